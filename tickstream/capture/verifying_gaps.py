"""The gap records of a capture, and which holes they explain. Pure; all moments are receive times.

A hole is explained when a record of its symbol lies between the data before it and the data after it, by the times at
which those were received: so it holds too where market time and ours have nothing to do with each other.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

import msgspec

from tickstream.events import Gap, GapReason
from tickstream.timestamps import Timestamp


class GapRecord(msgspec.Struct, frozen=True, gc=False, order=True):
    """One symbol's part of a gap. `missed` None: not known, or known of several symbols together only."""

    start: Timestamp
    end: Timestamp
    reason: GapReason
    missed: int | None = None


class GapRecords:
    """Records by provider and symbol. The same gap may be told twice, in the data and in the manifest."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dict[tuple[int, int, str], GapRecord]] = {}
        self._sorted: dict[tuple[str, str], _Sorted] = {}

    def add(self, gap: Gap) -> None:
        """Remember a gap for each of its symbols."""
        missed = gap.missed if len(gap.symbols) == 1 or not gap.missed else None
        for symbol in gap.symbols:
            known = self._records.setdefault((gap.provider, symbol), {})
            key = (gap.start, gap.end, gap.reason)
            told = known.get(key)
            if told is None or told.missed is None:  # told again, perhaps narrowed to the symbol
                known[key] = GapRecord(gap.start, gap.end, gap.reason, missed)
                self._sorted.pop((gap.provider, symbol), None)

    def of(self, provider: str, symbol: str, start: int | None = None, end: int | None = None) -> list[GapRecord]:
        """In the order in which they begin; those that touch [start, end)."""
        return [
            record
            for record in self._of(provider, symbol).records
            if (start is None or record.end >= start) and (end is None or record.start < end)
        ]

    def between(self, provider: str, symbol: str, before: int | None, after: int | None) -> GapRecord | None:
        """A record between data received at `before` and at `after`; None: since ever, and for ever.

        Touching does not count, but for what takes no time at all: a gap, or the way from `before` to `after`.
        """
        found = self._of(provider, symbol)
        at = len(found.records) if after is None else bisect_right(found.starts, after)
        while at > 0 and (before is None or found.latest_ends[at - 1] >= before):
            at -= 1
            record = found.records[at]
            start = record.start if before is None else max(record.start, before)
            end = record.end if after is None else min(record.end, after)
            if start < end or (start == end and (record.start == record.end or before == after)):
                return record
        return None

    def _of(self, provider: str, symbol: str) -> _Sorted:
        key = (provider, symbol)
        found = self._sorted.get(key)
        if found is None:
            found = self._sorted[key] = _Sorted(self._records.get(key, {}).values())
        return found


class _Sorted:
    """Records by their start; `latest_ends[n]` is the latest end among the first n + 1."""

    def __init__(self, records: Iterable[GapRecord]) -> None:
        self.records = sorted(records, key=lambda record: (record.start, record.end))
        self.starts = [record.start for record in self.records]
        self.latest_ends = list(accumulate((record.end for record in self.records), max))
