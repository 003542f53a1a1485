"""Bars: one for each minute, or other interval, that the market owes by its hours. Pure; in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter

from tickstream.capture.verifying_checks import NumberCheck
from tickstream.capture.verifying_gaps import GapRecords
from tickstream.capture.verifying_report import Hole, SeriesReport
from tickstream.capture.verifying_series import Key, Reach, Rules, Series
from tickstream.events import MarketEvent
from tickstream.markets import NS_PER_MINUTE, NS_PER_SECOND
from tickstream.timestamps import Timestamp

_INTERVAL = re.compile(r"([1-9][0-9]{0,3})([smhdw])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LIVE_WITHIN_NS = 10 * NS_PER_MINUTE
"""Between the close of a bar and its reception in a live capture, clocks being off. Simulations are further."""
_time = attrgetter("ts_event")
_closed = attrgetter("closed")
_values = attrgetter("open", "high", "low", "close", "volume", "bid", "ask")
REVISED_WITHIN = 64
"""Bars: a provider that corrects one does so while it is among the latest. Alpaca: half a minute later."""


def interval_ns(text: str) -> int | None:
    """Nanoseconds of `1m`, `15m`, `1h`; None for what has no fixed length (a month), or is not known."""
    match = _INTERVAL.fullmatch(text)
    return None if match is None else int(match[1]) * _UNITS_S[match[2]] * NS_PER_SECOND


class BarSeries(Series):
    """Bars of one interval: one for each time the market owes, by the hours of its market."""

    def __init__(self, key: Key, rules: Rules, gaps: GapRecords) -> None:
        super().__init__(key, rules, gaps)
        self.interval_ns = interval_ns(key.interval or "")
        self._step = self.interval_ns or 1
        self._finished = NumberCheck(self._step, self.note, rules.max_spans)
        self._provisional = NumberCheck(self._step, lambda *_: None, rules.max_spans)
        self._pause = rules.pause_of(key.provider, key.symbol)
        self._unfinished = self._untimed = self._revised = 0
        self._latest: dict[Timestamp | None, tuple[bytes, ...]] | None = None if rules.bars_once(key.provider) else {}
        """Start -> values of the latest finished bars, of providers that may correct them."""
        self._may_change = frozenset({False} if rules.bars_once(key.provider) else {False, None})
        """What `closed` is of candles that are still being made: they come again and again."""

    def begin_file(self, name: str) -> None:
        super().begin_file(name)
        self._finished.begin_file()

    def check(self, events: Sequence[MarketEvent], times: list[Timestamp | None]) -> None:
        if None in times:
            events = [event for event in events if event.ts_event is not None]
            self._untimed += len(times) - len(events)
        if not self._may_change.isdisjoint(map(_closed, events)):
            updates = [event for event in events if _closed(event) in self._may_change]
            events = [event for event in events if _closed(event) not in self._may_change]
            self._unfinished += len(updates)
            self._provisional.take(list(map(_time, updates)), updates)
        if self._latest is not None:
            events = self._unrevised(events, self._latest)
        if events:
            self._finished.take(list(map(_time, events)), events)
        for one in self._finished.take_breaks():
            self._owed(one.last + 1, one.first, one.left, one.right)

    def _unrevised(
        self, events: Sequence[MarketEvent], latest: dict[Timestamp | None, tuple[bytes, ...]]
    ) -> list[MarketEvent]:
        """Those that are no correction of a bar that came before. The same bar again, unchanged, is none."""
        first: list[MarketEvent] = []
        for event in events:
            values = tuple(bytes(value or b"") for value in _values(event))
            before = latest.setdefault(event.ts_event, values)
            if before == values:
                first.append(event)
            else:
                latest[event.ts_event] = values
                self._revised += 1
            if len(latest) > REVISED_WITHIN:
                del latest[next(iter(latest))]
        return first

    def report(self, reach: Reach | None) -> SeriesReport:
        check = self._finished if self._finished.spans.count or not self._unfinished else self._provisional
        spans = check.spans
        low, high = self._bounds(reach)
        if self.countable:
            if spans.first is None or spans.last is None:
                if low is not None and high is not None:
                    self._owed(low, high, self._before, self._after)
            else:
                if low is not None:
                    self._owed(low, spans.first, self._before, spans.first_mark)
                for one in [*check.take_breaks(), *spans.breaks()]:
                    self._owed(one.last + 1, one.first, one.left, one.right)
                if high is not None:
                    self._owed(spans.last + 1, high, spans.last_mark, self._after)
            uncertain = self._last_gaps(high)
        else:
            uncertain = sum(map(self.costs_something, self.records()))
        expected = spans.count + self.missing if self.countable else None
        unfinished = self._unfinished if check is self._finished else 0
        return self.made(
            counted_by="ts_event",
            expected=expected,
            uncertain=uncertain,
            untimed=self._untimed,
            unfinished=unfinished,
            revised=self._revised,
        )

    @property
    def countable(self) -> bool:
        """Whether the hours of the market say how many bars are owed: intervals that its sessions are made of."""
        minutes, odd = divmod(self.interval_ns or 1, NS_PER_MINUTE)
        if odd or not minutes or 1440 % minutes:
            return False
        return all(moment % minutes == 0 for session in self.market.sessions or () for moment in session)

    def _bounds(self, reach: Reach | None) -> tuple[int | None, int | None]:
        """The first bar owed, and the first that is not any more; None: what is there tells."""
        low = None if reach is None or reach.first is None else reach.first // self._step + 1
        high = None if reach is None or reach.last is None else reach.last // self._step
        start, end = self.rules.start, self.rules.end
        return (low if start is None else -(-start // self._step), high if end is None else -(-end // self._step))

    def _owed(self, low: int, high: int, before: int | None, after: int | None) -> None:
        """No bar of [low, high) is there."""
        start, end = low * self._step, high * self._step
        missing, record = self._count(start, end), self.between(before, after)
        if record is None and self._pause is not None:  # where data was cut off nobody knows whether it paused
            missing -= self._pause.open_minutes(start, end) * NS_PER_MINUTE // self._step
        if missing > 0 and self.countable:
            self.hole(Hole(Timestamp(start), Timestamp(end), missing), record)

    def _last_gaps(self, high: int | None) -> int:
        """A run that ended without a connection: its last gap has no data behind it that would show the hole.

        In a live capture the gap's own times tell what the market owed. Else its cost is not known: returns 1 then.
        """
        last = self._finished.spans.last
        if self.rules.end is not None or (high is not None and last is not None and last + 1 < high):
            return 0
        uncertain = 0
        for record in self.unanswered():
            if not self._live(last):
                uncertain += record.missed != 0
                continue
            # The bar that was being made when the gap began would have come in it.
            missing = self._count(record.start // self._step * self._step, record.end)
            if missing > 0:
                self.hole(Hole(record.start, record.end, missing), record)
        return uncertain

    def _live(self, last: int | None) -> bool:
        """Whether the last bar was received when it was complete, and not in another year: market time is ours."""
        if last is None or self.last_recv is None:
            return True
        return abs(self.last_recv - (last + 1) * self._step) < LIVE_WITHIN_NS

    def _count(self, start_ns: int, end_ns: int) -> int:
        """Bars that the market owes in [start, end)."""
        return self.market.open_minutes(start_ns, end_ns) * NS_PER_MINUTE // self._step if end_ns > start_ns else 0
