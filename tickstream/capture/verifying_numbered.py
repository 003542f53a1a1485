"""Quotes, trades, books, orders: in the order of their ids or sequences, where they have any. Pure; bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from tickstream.capture.verifying_checks import ContentCheck, NumberCheck
from tickstream.capture.verifying_gaps import GapRecords
from tickstream.capture.verifying_report import CountedBy, Hole, SeriesReport
from tickstream.capture.verifying_series import Key, Reach, Rules, Series
from tickstream.capture.verifying_spans import Break
from tickstream.events import MarketEvent, Trade
from tickstream.timestamps import Timestamp

MAX_ID_DIGITS = 18
"""Longer ids count nothing."""
_trade_id = attrgetter("trade_id")
_sequence = attrgetter("sequence")


class NumberedSeries(Series):
    """Events that a provider may number: trades by `trade_id`, all others, and trades without one, by `sequence`.

    Where most numbers follow one another, what is left out is missing; where they do not (a sequence that several
    channels share), they tell duplicates and order only. Events without a number are compared by what is in them.
    """

    def __init__(self, key: Key, rules: Rules, gaps: GapRecords) -> None:
        super().__init__(key, rules, gaps)
        self._counted_by: CountedBy | None = None
        self._numbers = NumberCheck(1, self.note, rules.max_spans)
        self._contents = ContentCheck(self.note)
        self._distinct = 0
        """Numbers seen before the present count began."""
        self._breaks = 0
        self._last_number: int | None = None
        self._last_numbered_recv = 0

    def begin_file(self, name: str) -> None:
        super().begin_file(name)
        self._numbers.begin_file()
        self._contents.begin_file()

    def check(self, events: Sequence[MarketEvent], times: list[Timestamp | None]) -> None:  # noqa: ARG002 - bars need them
        if self._counted_by in (None, "trade_id") and isinstance(events[0], Trade):
            ids = list(map(_trade_id, events))
            if _all_count(ids):
                self._take("trade_id", list(map(int, ids)), events)
                return
            if any(one is not None for one in ids) or self._counted_by == "trade_id":
                self._take_mixed(ids, events)
                return
        numbers = list(map(_sequence, events))
        if None not in numbers:
            self._take("sequence", numbers, events)
            return
        numbered = [at for at, number in enumerate(numbers) if number is not None]
        if numbered:
            self._take("sequence", [numbers[at] for at in numbered], [events[at] for at in numbered])
        self._contents.take([event for event, number in zip(events, numbers, strict=True) if number is None])

    def report(self, reach: Reach | None) -> SeriesReport:  # noqa: ARG002 - nobody knows how much was owed
        spans = self._numbers.spans
        self._tell(self._numbers.take_breaks() + spans.breaks())
        distinct = self._distinct + spans.count
        contiguous = self._contiguous(distinct)
        if not contiguous:
            self.forget_holes()
        uncertain = 0
        for record in self.unanswered() if contiguous else self.records():
            if record.missed is None:
                uncertain += self.costs_something(record)
            elif record.missed:
                self.hole(Hole(record.start, record.end, record.missed), record)
        expected = distinct + self.missing if contiguous else None
        return self.made(counted_by=self._counted_by, expected=expected, uncertain=uncertain)

    def _contiguous(self, distinct: int) -> bool:
        if self._counted_by is None or self.rules.numbering == "increasing":
            return False
        steps = distinct - 1
        return self.rules.numbering == "contiguous" or 2 * self._breaks < steps or not steps

    def _take(self, counted_by: CountedBy, numbers: list[int], events: Sequence[MarketEvent]) -> None:
        self._counted_by = counted_by
        begin = 0
        if counted_by == "sequence":  # which may begin anew with a connection; ids do not
            for at in self._steps_back(numbers):
                before = events[at - 1].ts_recv if at else self._last_numbered_recv
                if self.between(before, events[at].ts_recv) is not None:
                    if at > begin:
                        self._numbers.take(numbers[begin:at], events[begin:at])
                    self._distinct += self._numbers.spans.count
                    self._numbers.restart()
                    begin = at
        self._numbers.take(numbers[begin:], events[begin:])
        self._last_number, self._last_numbered_recv = numbers[-1], events[-1].ts_recv
        self._tell(self._numbers.take_breaks())

    def _steps_back(self, numbers: list[int]) -> list[int]:
        """The positions of numbers that are less than the one before."""
        before = numbers[0] if self._last_number is None else self._last_number
        if before <= numbers[0] and numbers == sorted(numbers):
            return []
        return [at for at, (low, high) in enumerate(zip([before, *numbers], numbers, strict=False)) if high < low]

    def _take_mixed(self, ids: list[str | None], events: Sequence[MarketEvent]) -> None:
        """Ids that count, ids that are words, and none."""
        counting = [at for at, one in enumerate(ids) if one is not None and _all_count([one])]
        if counting:
            self._take("trade_id", [int(ids[at] or 0) for at in counting], [events[at] for at in counting])
        words = [at for at, one in enumerate(ids) if one is not None and not _all_count([one])]
        self._contents.take([events[at] for at in words], [ids[at] or "" for at in words])
        self._contents.take([event for event, one in zip(events, ids, strict=True) if one is None])

    def _tell(self, breaks: list[Break]) -> None:
        self._breaks += len(breaks)
        for one in breaks:
            hole = Hole(one.last + 1, one.first, one.first - one.last - 1)
            self.hole(hole, self.between(one.left, one.right))


def _all_count(ids: list[str | None]) -> bool:
    """Whether all of these are whole numbers of a sane length."""
    if None in ids or "" in ids:
        return False
    joined = "".join(ids)  # type: ignore[arg-type]  # None is not among them
    return joined.isascii() and joined.isdigit() and max(map(len, ids)) <= MAX_ID_DIGITS  # type: ignore[arg-type]  # as above
