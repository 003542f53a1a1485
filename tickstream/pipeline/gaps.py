"""Say what was missed: after every interruption one gap for each set of symbols that came back together.

A gap starts at the last data received before the interruption, not at the moment it was noticed, and ends at the
first data after it. For bars the number missed is the count of whole candles in between while the market was open.

Where all symbols of a kind were asked for (a wildcard), those that have come are known, and have gaps of their own; the
gap of the wildcard itself, for those that have not, ends with the first data of any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import msgspec

from tickstream.events import Bar, Batch, Event, Gap, GapReason, MarketEvent, Notice, SessionEvent
from tickstream.subscriptions import is_wildcard
from tickstream.timestamps import NS_PER_SECOND, Timestamp

INTERRUPTING_NOTICES: dict[str, GapReason] = {"quota_exceeded": "quota", "suspend": "suspend"}
"""Notices after which data is missing although the connection stands."""
REFUSALS = frozenset({"symbol_refused", "symbol_limit"})
"""Notices that name symbols which will not come any more."""

CandlesBetween = Callable[[str, int, int], int]
"""(symbol, start ns, end ns) -> minutes in [start, end) in which the symbol's market was open."""


class _Interruption(msgspec.Struct, frozen=True):
    reason: GapReason
    start: Timestamp
    epoch: int


class _Track(msgspec.Struct):
    """What is known of one session."""

    session: int
    provider: str
    symbols: tuple[str, ...]
    alive_since: Timestamp
    """The last moment at which data is known to have flowed, or the start of watching."""
    last: dict[str, Timestamp | None] = {}
    """Symbol -> ts_event of its last data."""
    open: dict[str, _Interruption] = {}
    """Symbol -> the interruption that its next data will end."""
    epoch: int = 0
    wildcards: tuple[str, ...] = ()
    """Those of `symbols` that stand for others, which are added to them as they come."""


class GapStage:
    """`symbols` maps a session's number to what it was asked for; `market_minutes` counts what a market owes.

    `each`: a gap of its own for each symbol, with what that one missed, for those who keep symbols apart.
    """

    def __init__(
        self,
        provider: str,
        symbols: dict[int, tuple[str, ...]],
        started: Timestamp,
        market_minutes: CandlesBetween,
        bar_interval_s: int | None = None,
        *,
        each: bool = False,
    ) -> None:
        self._tracks = {
            number: _Track(number, provider, asked, started, wildcards=tuple(filter(is_wildcard, asked)))
            for number, asked in symbols.items()
        }
        self._market_minutes = market_minutes
        self._each = each
        self._interval_ns = None if bar_interval_s is None else bar_interval_s * NS_PER_SECOND
        self.count = 0
        self.missed: int | None = 0
        """Over all gaps; None once there was one of which it is not known."""

    def resume(self, symbol: str, last_event: Timestamp | None, last_recv: Timestamp) -> None:
        """An earlier run has this symbol up to here: what lies between is a gap that the next data ends.

        `last_event` is the `ts_event` of the last it has, `last_recv` when it was received.
        """
        for track in self._tracks.values():
            if track.wildcards and symbol not in track.symbols:
                track.symbols = (*track.symbols, symbol)
            if symbol in track.symbols:
                track.open[symbol] = _Interruption("restart", last_recv, 0)
                if last_event is not None:
                    track.last[symbol] = last_event

    def process(self, batch: Batch) -> Batch:
        """Insert the gaps that this batch ends, before the data that ends them."""
        track = self._tracks[batch.session]
        market = batch.market_events()
        if len(market) != len(batch.events):
            batch.events = self._mixed(track, batch)
        elif market:
            gaps = self._flow(track, market, batch.ts_recv)
            if gaps:
                batch.events = [*gaps, *market]
                batch.market_only = False
        return batch

    def finish(self, now: Timestamp) -> list[Event]:
        """Interruptions that no data ended: their gaps reach to the end of the run."""
        gaps: list[Event] = []
        for track in self._tracks.values():
            gaps += self._end(track, list(track.open), now)
        return gaps

    # --- what happens ------------------------------------------------------------------------------------------

    def _mixed(self, track: _Track, batch: Batch) -> list[Event]:
        """Market events that stand together end an interruption together."""
        out: list[Event] = []
        for is_market, some in groupby(batch.events, _is_market):
            events = list(some)
            if is_market:
                out += self._flow(track, events, batch.ts_recv)  # type: ignore[arg-type]  # that is what is_market says
                out += events
                continue
            for event in events:
                out += self._hear(track, event)
                out.append(event)
        return out

    def _flow(self, track: _Track, market: Sequence[MarketEvent], ts_recv: Timestamp) -> list[Event]:
        """Data: returns the gaps that it ends."""
        gaps: list[Event] = []
        if track.open:
            first: dict[str, MarketEvent] = {}
            for event in market:
                first.setdefault(event.symbol, event)
            for wildcard in track.wildcards:
                first[wildcard] = market[0]
            gaps = self._end(track, [symbol for symbol in first if symbol in track.open], ts_recv, first)
        if track.wildcards and (new := {event.symbol for event in market}.difference(track.last)):
            track.symbols = tuple(dict.fromkeys((*track.symbols, *sorted(new))))
        self._note_last(track, market)
        track.alive_since = ts_recv
        return gaps

    @staticmethod
    def _note_last(track: _Track, market: Sequence[MarketEvent]) -> None:
        """From the end until each symbol was met: that is mostly after a few events."""
        met: set[str] = set()
        for event in reversed(market):
            if event.symbol not in met:
                met.add(event.symbol)
                track.last[event.symbol] = event.ts_event
                if len(met) >= len(track.symbols):
                    return

    def _hear(self, track: _Track, event: Event) -> list[Event]:
        """What happened to the stream: returns the gaps that end with it."""
        if isinstance(event, SessionEvent):
            self._session_changed(track, event)
        elif isinstance(event, Gap):
            self._lost_on_the_way(track, event)
        elif isinstance(event, Notice) and event.code in INTERRUPTING_NOTICES:
            self._interrupt(track, INTERRUPTING_NOTICES[event.code])
        elif isinstance(event, Notice) and event.code in REFUSALS:
            return self._refused(track, event)
        return []

    def _session_changed(self, track: _Track, event: SessionEvent) -> None:
        if event.state == "up":
            track.epoch = event.epoch
            if not track.open:
                track.alive_since = max(track.alive_since, event.ts_recv)
        elif event.state in ("down", "held"):
            self._interrupt(track, "disconnect")

    def _lost_on_the_way(self, track: _Track, gap: Gap) -> None:
        """The queue dropped data before us: it was received, so it does not belong to any gap of ours as well."""
        self._count(gap)
        track.alive_since = max(track.alive_since, gap.end)
        for symbol in gap.symbols:
            track.last.pop(symbol, None)

    def _refused(self, track: _Track, notice: Notice) -> list[Event]:
        """These will not come any more; of those that had come, what was missed up to now is a gap."""
        refused = frozenset(notice.symbols)
        track.symbols = tuple(symbol for symbol in track.symbols if symbol not in refused)
        gaps = self._end(track, [s for s in notice.symbols if s in track.open and s in track.last], notice.ts_recv)
        for symbol in refused:
            track.open.pop(symbol, None)
        return gaps

    # --- gaps --------------------------------------------------------------------------------------------------

    def _interrupt(self, track: _Track, reason: GapReason) -> None:
        interruption = _Interruption(reason, track.alive_since, track.epoch)
        for symbol in track.symbols:
            track.open.setdefault(symbol, interruption)

    def _end(
        self, track: _Track, symbols: list[str], end: Timestamp, first: dict[str, MarketEvent] | None = None
    ) -> list[Event]:
        """One gap for each interruption of these symbols. `first` is the data that ends it, if data does."""
        groups: dict[tuple[_Interruption, str], list[str]] = {}
        for symbol in symbols:
            groups.setdefault((track.open.pop(symbol), symbol if self._each else ""), []).append(symbol)
        gaps: list[Event] = []
        for (what, _), members in groups.items():
            missed = None if first is None else self._missed(track, members, first)
            end = max(what.start, end)  # the wall clock may have been set back
            gap = Gap(
                track.provider, tuple(members), what.reason, what.start, end, track.session, what.epoch or None, missed
            )
            self._count(gap)
            gaps.append(gap)
        return gaps

    def _missed(self, track: _Track, symbols: Iterable[str], first: dict[str, MarketEvent]) -> int | None:
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

    def _count(self, gap: Gap) -> None:
        self.count += 1
        self.missed = None if self.missed is None or gap.missed is None else self.missed + gap.missed


def _is_market(event: Event) -> bool:
    return isinstance(event, MarketEvent)
