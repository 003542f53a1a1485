"""Rows of levels, as CSV and Parquet files hold books, put together to book events again. Pure.

An event's rows follow each other: its bids, then its asks, each side counted from 1. Two events of a symbol with the
same times and the same sequence, of which the first has no asks and the second no bids, look like one, and become one.
"""

from __future__ import annotations

from tickstream.events import BookSnapshot, BookUpdate, Event
from tickstream.sinks.levels import ROW_OF, LevelRow

EVENT_OF: dict[type[Event], type[BookSnapshot | BookUpdate]] = {
    ROW_OF[kind]: kind for kind in (BookSnapshot, BookUpdate)
}


class Books:
    """Takes rows in their order. The last event is held back until a row, or `flush`, shows that it is whole."""

    def __init__(self) -> None:
        self._rows: list[LevelRow] = []

    def take(self, row: LevelRow) -> list[Event]:
        """The event that this row shows to be whole, if it does."""
        done = self.flush() if self._rows and not follows(self._rows[-1], row) else []
        self._rows.append(row)
        return done

    def flush(self) -> list[Event]:
        """The event that was held back, if there is one."""
        if not self._rows:
            return []
        rows, self._rows = self._rows, []
        first = rows[0]
        bids = tuple((row.price, row.size) for row in rows if row.side == "bid")
        asks = tuple((row.price, row.size) for row in rows if row.side == "ask")
        kind = EVENT_OF[type(first)]
        common = first.provider, first.symbol, first.ts_event, first.ts_recv
        return [kind(*common, bids, asks, first.sequence, first.canonical)]  # type: ignore[arg-type]  # a row with a side has both


def check_levels(rows: list[Event]) -> None:
    """Raises ValueError for a row that has only half a level."""
    for row in rows:
        if isinstance(row, LevelRow):
            there = [value is not None for value in (row.side, row.level, row.price, row.size)]
            if any(there) != all(there):
                raise ValueError("a level has a side, a number, a price and a size, or none of them")


def follows(before: LevelRow, row: LevelRow) -> bool:
    """Whether two rows that stand behind each other are taken for one event."""
    if _head(before) != _head(row) or row.level is None or before.level is None:
        return False
    return row.level == before.level + 1 if row.side == before.side else (before.side, row.level) == ("bid", 1)


def _head(row: LevelRow) -> tuple[object, ...]:
    return type(row), row.provider, row.symbol, row.ts_event, row.ts_recv, row.sequence, row.canonical
