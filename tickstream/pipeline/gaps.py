"""Say what was missed: after every interruption one gap for each set of symbols that came back together.

A gap starts at the last data received before the interruption, not at the moment it was noticed, and ends at the
first data after it. For bars the number missed is the count of whole candles in between while the market was open.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter

import msgspec

from tickstream.events import Bar, Batch, Event, Gap, GapReason, MarketEvent, Notice, SessionEvent
from tickstream.timestamps import NS_PER_SECOND, Timestamp

INTERRUPTING_NOTICES: dict[str, GapReason] = {"quota_exceeded": "quota", "suspend": "suspend"}
"""Notices after which data is missing although the connection stands."""

_key = attrgetter("symbol", "ts_event")

CandlesBetween = Callable[[str, int, int], int]
"""(symbol, start ns, end ns) -> minutes in [start, end) in which the symbol's market was open."""


class _Interruption(msgspec.Struct):
    reason: GapReason
    start: Timestamp
    epoch: int


class _Track(msgspec.Struct):
    """What is known of one session."""

    provider: str
    symbols: tuple[str, ...]
    alive_since: Timestamp
    """The last moment at which data is known to have flowed, or the start of watching."""
    last: dict[str, Timestamp | None] = {}
    """Symbol -> ts_event of its last bar."""
    open: dict[str, _Interruption] = {}
    """Symbol -> the interruption that its next data will end."""
    epoch: int = 0


class GapStage:
    """`symbols` maps a session's number to what it was asked for; `market_minutes` counts what a market owes."""

    def __init__(
        self,
        provider: str,
        symbols: dict[int, tuple[str, ...]],
        started: Timestamp,
        market_minutes: CandlesBetween,
        bar_interval_s: int | None = None,
    ) -> None:
        self._tracks = {n: _Track(provider, asked, started) for n, asked in symbols.items()}
        self._market_minutes = market_minutes
        self._interval_ns = None if bar_interval_s is None else bar_interval_s * NS_PER_SECOND
        self.count = 0
        self.missed = 0

    def process(self, batch: Batch) -> Batch:
        """Insert the gaps that this batch ends, before the first event of a symbol concerned."""
        track = self._tracks[batch.session]
        events = batch.events
        market = [e for e in events if isinstance(e, MarketEvent)]
        if len(market) != len(events):
            return self._process_mixed(batch, track)
        if market:
            if track.open:
                batch.events = [*self._close(track, market, batch.ts_recv), *events]
            self._remember(track, market, batch.ts_recv)
        return batch

    def _process_mixed(self, batch: Batch, track: _Track) -> Batch:
        out: list[Event] = []
        for event in batch.events:
            if isinstance(event, MarketEvent):
                if track.open:
                    out += self._close(track, [event], batch.ts_recv)
                self._remember(track, [event], batch.ts_recv)
            elif isinstance(event, SessionEvent):
                self._session_changed(track, event)
            elif isinstance(event, Notice):
                self._noticed(track, event)
            elif isinstance(event, Gap):
                self._count(event)
            out.append(event)
        batch.events = out
        return batch

    def finish(self, now: Timestamp) -> list[Event]:
        """Interruptions that no data ended: their gaps reach to the end of the run."""
        gaps: list[Event] = []
        for number, track in self._tracks.items():
            for interruption, symbols in _grouped(track.open, track.open):
                gaps.append(self._gap(number, track, interruption, symbols, now, None))
            track.open.clear()
        return gaps

    def _session_changed(self, track: _Track, event: SessionEvent) -> None:
        if event.state == "up":
            track.epoch = event.epoch
            if not track.open:
                track.alive_since = max(track.alive_since, event.ts_recv)
        elif event.state in ("down", "held"):
            reason: GapReason = "suspend" if event.reason == "suspend" else "disconnect"
            self._interrupt(track, reason)

    def _noticed(self, track: _Track, event: Notice) -> None:
        if event.code in INTERRUPTING_NOTICES:
            self._interrupt(track, INTERRUPTING_NOTICES[event.code])
        elif event.code in ("symbol_refused", "symbol_limit"):
            refused = set(event.symbols)
            track.symbols = tuple(s for s in track.symbols if s not in refused)
            for symbol in refused:
                track.open.pop(symbol, None)

    def _interrupt(self, track: _Track, reason: GapReason) -> None:
        for symbol in track.symbols:
            track.open.setdefault(symbol, _Interruption(reason, track.alive_since, track.epoch))

    def _remember(self, track: _Track, market: list[MarketEvent], ts_recv: Timestamp) -> None:
        track.last.update(map(_key, market))
        track.alive_since = ts_recv

    def _close(self, track: _Track, market: list[MarketEvent], ts_recv: Timestamp) -> list[Event]:
        first: dict[str, MarketEvent] = {}
        for event in market:
            first.setdefault(event.symbol, event)
        back = [symbol for symbol in first if symbol in track.open]
        number = next(n for n, known in self._tracks.items() if known is track)
        gaps: list[Event] = []
        for interruption, symbols in _grouped(track.open, back):
            gaps.append(self._gap(number, track, interruption, symbols, ts_recv, self._missed(track, symbols, first)))
        for symbol in back:
            del track.open[symbol]
        return gaps

    def _missed(self, track: _Track, symbols: tuple[str, ...], first: dict[str, MarketEvent]) -> int | None:
        """Candles that never came, or None where that cannot be known (no candle before, or times that run back)."""
        if self._interval_ns is None:
            return None
        total = 0
        for symbol in symbols:
            event, last = first[symbol], track.last.get(symbol)
            if not isinstance(event, Bar) or event.ts_event is None or last is None or event.ts_event < last:
                return None
            owed = self._market_minutes(symbol, last + self._interval_ns, event.ts_event)
            total += max(0, owed) * 60 * NS_PER_SECOND // self._interval_ns
        return total

    def _gap(
        self,
        number: int,
        track: _Track,
        what: _Interruption,
        symbols: tuple[str, ...],
        end: Timestamp,
        missed: int | None,
    ) -> Gap:
        gap = Gap(track.provider, symbols, what.reason, what.start, end, number, what.epoch or None, missed)
        self._count(gap)
        return gap

    def _count(self, gap: Gap) -> None:
        self.count += 1
        self.missed += gap.missed or 0


def _grouped(
    open_: dict[str, _Interruption], symbols: list[str] | dict[str, _Interruption]
) -> list[tuple[_Interruption, tuple[str, ...]]]:
    """Symbols by interruption, in order: those that were cut off together make one gap."""
    groups: dict[int, tuple[_Interruption, list[str]]] = {}
    shared: dict[tuple[str, int, int], int] = {}
    for symbol in symbols:
        what = open_[symbol]
        key = shared.setdefault((what.reason, what.start, what.epoch), len(shared))
        groups.setdefault(key, (what, []))[1].append(symbol)
    return [(what, tuple(members)) for what, members in groups.values()]
