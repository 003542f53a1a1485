"""A table of cells as events: which column is which field, and of which type each row is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from tickstream.capture.cells import Cells, Columns
from tickstream.capture.levels import EVENT_OF, Books, check_levels
from tickstream.capture.values import Times
from tickstream.events import EVENT_TYPES, Event, MarketEvent
from tickstream.sinks.levels import ROW_OF, LevelRow


class Table:
    """`fields` says which column fills a field (one column may fill two). `width` is how many columns there are.

    `kind`: the type of all rows; None: the column of the field `type` says it. `constants` are values of fields without
    a column. `guarded`: texts may have a `'` before a formula, as the CSV output writes them.
    """

    def __init__(
        self,
        fields: Mapping[str, int],
        width: int,
        times: Times,
        kind: type[Event] | None = None,
        constants: Mapping[str, Any] | None = None,
        *,
        guarded: bool = True,
    ) -> None:
        self.width = width
        self._fields = fields
        self._times = times
        self._kind = kind
        self._constants = constants
        self._guarded = guarded
        self._makers: dict[bytes, Columns] = {}
        self._books = Books()

    def events(self, columns: Sequence[Cells], count: int) -> list[Event]:
        """The events of so many rows, in their order. Raises ValueError unless every cell fits.

        Rows are levels of a book where the type says so: its last event comes with the next rows, or from `flush`.
        """
        if self._kind is not None:
            return self._whole(self._maker(_tag(self._kind)).events(self._named(columns), count))
        types = columns[self._fields["type"]] if count else ()
        rows: list[Event] = []
        start = 0
        for tag, run in groupby(types):
            end = start + sum(1 for _ in run)
            part = columns if end - start == count else [column[start:end] for column in columns]
            rows += self._maker(tag).events(self._named(part), end - start)
            start = end
        return self._whole(rows) if rows else []

    def flush(self) -> list[Event]:
        """What was held back."""
        return self._books.flush()

    def _whole(self, rows: list[Event]) -> list[Event]:
        if EVENT_OF.keys().isdisjoint(map(type, rows)):
            return self._books.flush() + rows
        check_levels(rows)
        events: list[Event] = []
        for row in rows:
            events += self._books.take(row) if isinstance(row, LevelRow) else [*self._books.flush(), row]
        return events

    def _named(self, columns: Sequence[Cells]) -> dict[str, Cells]:
        return {name: columns[place] for name, place in self._fields.items()}

    def _maker(self, tag: bytes) -> Columns:
        maker = self._makers.get(tag)
        if maker is None:
            kind = EVENT_TYPES.get(tag.decode(errors="replace"))
            if kind is None or not issubclass(kind, MarketEvent):
                raise ValueError(f"there is no market event of the type {tag[:40].decode(errors='replace')!r}")
            maker = self._makers[tag] = Columns(
                ROW_OF.get(kind, kind), self._times, self._constants, guarded=self._guarded
            )
        return maker


def _tag(kind: type[Event]) -> bytes:
    return str(kind.__struct_config__.tag).encode()
