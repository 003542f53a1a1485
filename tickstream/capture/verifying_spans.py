"""Which numbers of a long row have been seen: as the spans between the holes. Pure.

A row of minutes or of trade ids is nearly one span, so what is kept grows with the holes, never with the events. Beyond
`MAX_SPANS` of them the oldest half is settled: its holes are handed over, and what comes later for them is `LATE`.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from typing import NamedTuple

MAX_SPANS = 65_536
"""About 10 MB."""


class Arrival(Enum):
    """What a number is to those seen before it."""

    NEW = "new"
    DUPLICATE = "duplicate"
    LATE = "late"
    """It lies among what was settled: whether it is a duplicate or fills a hole is not known any more."""


class Break(NamedTuple):
    """Two spans that follow one another: `last` and `first` were seen, nothing in between.

    `left` and `right` are the marks of `last` and `first`: for our purpose, when they were received.
    """

    last: int
    first: int
    left: int
    right: int


class Spans:
    """Numbers seen, each with a mark; of a span the marks of its ends are kept."""

    def __init__(self, limit: int = MAX_SPANS) -> None:
        self._limit = limit
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._lefts: list[int] = []
        self._rights: list[int] = []
        self._floor: tuple[int, int] | None = None
        """The least number of all and its mark, once some are settled."""
        self.settled: list[Break] = []
        """Breaks that are final. Who takes them clears the list."""
        self.count = 0
        """Different numbers seen."""

    @property
    def first(self) -> int | None:
        """The least number seen."""
        if self._floor is not None:
            return self._floor[0]
        return self._starts[0] if self._starts else None

    @property
    def last(self) -> int | None:
        """The greatest number seen."""
        return self._ends[-1] if self._ends else None

    @property
    def first_mark(self) -> int:
        """Of `first`; there has to be one."""
        return self._lefts[0] if self._floor is None else self._floor[1]

    @property
    def last_mark(self) -> int:
        """Of `last`; there has to be one."""
        return self._rights[-1]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def add(self, number: int, mark: int) -> Arrival:
        """One number."""
        at = bisect_right(self._starts, number) - 1
        if at >= 0 and number <= self._ends[at]:
            return Arrival.DUPLICATE
        if at < 0 and self._floor is not None:
            return Arrival.LATE
        self._insert(at, number, number, mark, mark)
        return Arrival.NEW

    def add_run(self, first: int, last: int, left: int, right: int) -> bool:
        """All of [first, last], when none of them was seen and none is settled; else False, and nothing done."""
        at = bisect_right(self._starts, last) - 1
        if (at >= 0 and self._ends[at] >= first) or (at < 0 and self._floor is not None):
            return False
        self._insert(at, first, last, left, right)
        return True

    def breaks(self) -> list[Break]:
        """Those that are not settled, in order."""
        inner = zip(self._ends, self._starts[1:], self._rights, self._lefts[1:], strict=False)
        return [Break(*one) for one in inner]

    def _insert(self, at: int, first: int, last: int, left: int, right: int) -> None:
        """Behind the span `at`, joined with those it touches."""
        self.count += last - first + 1
        joins_before = at >= 0 and self._ends[at] == first - 1
        after = at + 1
        joins_after = after < len(self._starts) and self._starts[after] == last + 1
        if joins_before and joins_after:
            self._ends[at], self._rights[at] = self._ends[after], self._rights[after]
            for row in (self._starts, self._ends, self._lefts, self._rights):
                del row[after]
        elif joins_before:
            self._ends[at], self._rights[at] = last, right
        elif joins_after:
            self._starts[after], self._lefts[after] = first, left
        else:
            self._starts.insert(after, first)
            self._ends.insert(after, last)
            self._lefts.insert(after, left)
            self._rights.insert(after, right)
            if len(self._starts) > self._limit:
                self._settle(self._limit // 2)

    def _settle(self, spans: int) -> None:
        self.settled += self.breaks()[:spans]
        self._floor = self._floor or (self._starts[0], self._lefts[0])
        for row in (self._starts, self._ends, self._lefts, self._rights):
            del row[:spans]
