"""Book events as rows of a table: one for each level, since a cell holds one value. Pure.

`side` is bid or ask, `level` counts from 1 on each side: of a snapshot the best price is 1, of an update it is the
place in the list. An event without any level, such as an empty book, is one row without side, level, price and size:
what it says would be lost otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tickstream.events import BookSnapshot, BookUpdate, Event
from tickstream.numbers import Number
from tickstream.timestamps import Timestamp

BookSide = Literal["bid", "ask"]


class LevelRow(Event, frozen=True, gc=False):
    """One level of a book event, with what is said of the whole event."""

    provider: str
    symbol: str
    ts_event: Timestamp | None
    ts_recv: Timestamp
    side: BookSide | None
    level: int | None
    price: Number | None
    size: Number | None
    sequence: int | None
    canonical: str | None = None


class SnapshotLevel(LevelRow, frozen=True, gc=False, tag_field="type", tag="book_snapshot"):
    """A level of a `BookSnapshot`."""


class UpdateLevel(LevelRow, frozen=True, gc=False, tag_field="type", tag="book_update"):
    """A level of a `BookUpdate`."""


ROW_OF: dict[type[Event], type[LevelRow]] = {BookSnapshot: SnapshotLevel, BookUpdate: UpdateLevel}


def level_rows(kind: type[Event], events: Sequence[Event]) -> tuple[type[Event], Sequence[Event]]:
    """The type and the rows of events of one type; of events other than a book's, they are what they were."""
    row = ROW_OF.get(kind)
    if row is None:
        return kind, events
    rows: list[Event] = []
    for event in events:
        assert isinstance(event, BookSnapshot | BookUpdate)
        common = (event.provider, event.symbol, event.ts_event, event.ts_recv)
        last, before = (event.sequence, event.canonical), len(rows)
        rows += [row(*common, "bid", n, price, size, *last) for n, (price, size) in enumerate(event.bids, 1)]
        rows += [row(*common, "ask", n, price, size, *last) for n, (price, size) in enumerate(event.asks, 1)]
        if len(rows) == before:
            rows.append(row(*common, None, None, None, None, *last))
    return row, rows
