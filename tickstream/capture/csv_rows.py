"""CSV text as events: RFC 4180, whole columns at a time. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from operator import methodcaller
from typing import NamedTuple

from tickstream.capture.chunks import QUOTED_BYTES, BadLine
from tickstream.capture.lines import Stretch
from tickstream.capture.table import Table
from tickstream.events import Event

LONGEST_OPEN = 2**16
"""Bytes. A quoted cell that goes on over line ends for longer is a quote that somebody forgot."""


class _Row(NamedTuple):
    line: int
    text: bytes
    cells: list[bytes]


class CsvRows:
    """Decodes the rows of a file.

    `header` is the line of the names; where it stands again (files put together), it is passed over. `ends`: a last row
    without its line end is cut off, since tickstream ends every row; other files' may lack it.
    """

    def __init__(self, path: str, header: bytes, separator: bytes, table: Table, ends: bool) -> None:
        self._path = path
        self._header = header.strip(b"\r\n")
        self._separator = separator
        self._table = table
        self._ends = ends
        self._separators = methodcaller("count", separator)
        self._open: list[bytes] = []
        """The lines so far of a row whose last cell has an open quote."""
        self._open_from = 0

    def decode(self, stretch: Stretch) -> tuple[list[Event], list[BadLine]]:
        """The events of these rows, and the rows that are none."""
        data = stretch.data
        if not stretch.ended and self._ends:
            return [], [self._bad(stretch.first, data, "the end of the last row is missing")]
        if b'"' not in data and not self._open:
            rows = data.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
            if self._header in rows:
                rows = [row for row in rows if row != self._header]
            events = self._plain(rows)
            if events is not None:
                return events, []
        return self._carefully(self._records(stretch))

    def finish(self) -> tuple[list[Event], list[BadLine]]:
        """The end of the file: what was held back, and the row whose quote was never closed."""
        lost, self._open = self._open, []
        bad = [self._bad(self._open_from, b"\n".join(lost), "a quote is never closed")] if lost else []
        return self._table.flush(), bad

    def _plain(self, rows: list[bytes]) -> list[Event] | None:
        """The events of rows without a quote; None where all is not as it should be."""
        width = self._table.width
        if set(map(self._separators, rows)) != {width - 1}:
            return None
        cells = self._separator.join(rows).split(self._separator)
        try:
            return self._table.events([cells[column::width] for column in range(width)], len(rows))
        except ValueError:
            return None

    def _carefully(self, records: Iterator[_Row | BadLine]) -> tuple[list[Event], list[BadLine]]:
        rows: list[_Row] = []
        bad: list[BadLine] = []
        for row in records:
            if isinstance(row, BadLine):
                bad.append(row)
            elif len(row.cells) == self._table.width:
                rows.append(row)
            else:
                reason = f"{len(row.cells)} cells; the header has {self._table.width}"
                bad.append(self._bad(row.line, row.text, reason))
        events = self._salvage(rows, bad)
        return events, sorted(bad, key=lambda one: one.line)

    def _salvage(self, rows: Sequence[_Row], bad: list[BadLine]) -> list[Event]:
        """The events of the good ones among these rows, by halving."""
        if not rows:
            return []
        try:
            return self._table.events(list(zip(*(row.cells for row in rows), strict=True)), len(rows))
        except ValueError as error:
            if len(rows) == 1:
                bad.append(self._bad(rows[0].line, rows[0].text, str(error)))
                return []
        half = len(rows) // 2
        return self._salvage(rows[:half], bad) + self._salvage(rows[half:], bad)

    def _records(self, stretch: Stretch) -> Iterator[_Row | BadLine]:
        lines = stretch.data.removesuffix(b"\n").split(b"\n")
        for number, line in enumerate(lines, stretch.first):
            if self._open or not (line.isspace() or line.rstrip(b"\r") in (b"", self._header)):
                yield from self._take(number, line)

    def _take(self, number: int, line: bytes) -> Iterator[_Row | BadLine]:
        """Add a line to the row that is open, or begin one; give the row when it is whole."""
        if not self._open:
            self._open_from = number
        self._open.append(line)
        text = b"\n".join(self._open)
        if text.count(b'"') % 2 == 0:
            self._open = []
            yield self._row(self._open_from, text.removesuffix(b"\r"))
        elif len(text) > LONGEST_OPEN:
            first, (culprit, *others) = self._open_from, self._open
            self._open = []
            yield self._bad(first, culprit, "a quote is never closed")
            for follower, other in enumerate(others, first + 1):
                yield from self._take(follower, other)

    def _row(self, number: int, text: bytes) -> _Row | BadLine:
        try:
            [cells] = csv.reader(
                [text.decode("utf-8", "surrogateescape")], delimiter=self._separator.decode(), strict=True
            )
        except (csv.Error, ValueError) as error:
            return self._bad(number, text, str(error))
        return _Row(number, text, [cell.encode("utf-8", "surrogateescape") for cell in cells])

    def _bad(self, line: int, text: bytes, reason: str) -> BadLine:
        return BadLine(self._path, line, reason, text[:QUOTED_BYTES])
