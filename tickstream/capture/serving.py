"""A capture as a market: what a simulator sends when it is to send what was captured. Flat memory; forward only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

import msgspec

from tickstream.capture.archive import Archive
from tickstream.capture.playback import Stretch
from tickstream.capture.verifying_bars import interval_ns
from tickstream.errors import InputError
from tickstream.events import Bar, Event, MarketEvent
from tickstream.markets import MINUTES_PER_DAY, NS_PER_MINUTE
from tickstream.timestamps import Timestamp

DAY_NS = MINUTES_PER_DAY * NS_PER_MINUTE


class CapturedMarket:
    """The events of an archive that is played by the provider's clock; see `simulator.market.MarketSource`.

    With `loop` they begin anew after their end, some whole days later, without an end. To be asked by one thread, for
    ever later moments. Raises InputError when there is no event, and as `Source.chunks` does.
    """

    def __init__(self, archive: Archive, *, loop: bool = False) -> None:
        self._archive = archive
        self._loop = loop
        self.provider = archive.provider
        self.symbols: frozenset[str] = frozenset(archive.symbols(everyone=True))
        self.step_ns = _step(archive)
        self._later_ns = 0
        """How much later than they were captured the events of this lap are."""
        self._stretches = archive.stretches()
        self._stretch = Stretch((), ())
        self._at = 0
        self._last = 0
        if not self._ready():
            raise InputError("There is nothing to serve: no event in these files.")
        self.first_ns = self._stretch.moments[0]
        """When the first event was, ns."""

    def knows(self, symbol: str) -> bool:
        """True for symbols there are events of."""
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        """When the first event at or after this moment was; None when there are no more."""
        while self._ready():
            self._at = bisect_left(self._stretch.moments, after_ns - self._later_ns, self._at)
            if self._at < len(self._stretch.moments):
                return self._stretch.moments[self._at] + self._later_ns
        return None

    def items(
        self, start_ns: int, end_ns: int, symbols: Collection[str], limit: int
    ) -> tuple[Sequence[MarketEvent], int]:
        """The events of [start, end), and where to go on; about `limit`, what is of one moment never split."""
        found: list[MarketEvent] = []
        before = -1
        while (moment := self.next_open(start_ns)) is not None and moment < end_ns:
            if len(found) >= limit and moment != before:
                return found, moment
            event = self._stretch.events[self._at]
            if isinstance(event, MarketEvent) and event.symbol in symbols:
                found.append(_shifted(event, self._later_ns) if self._later_ns else event)
            self._at += 1
            before = moment
        return found, end_ns

    def _ready(self) -> bool:
        """Whether there is an event at hand. Reads on where needed, and begins anew in a loop."""
        while self._at >= len(self._stretch.moments):
            stretch = next(self._stretches, None)
            if stretch is None:
                if not self._loop or not self._last:
                    return False
                lap_ns = -(-(self._last + max(self.step_ns, 1) - self.first_ns) // DAY_NS) * DAY_NS
                self._later_ns += lap_ns
                self._stretches, stretch = self._archive.stretches(), Stretch((), ())
            self._stretch, self._at = _market_only(stretch), 0
            if self._stretch.moments:
                self._last = self._stretch.moments[-1]
        return True


def _step(archive: Archive) -> int:
    """The length of bars, which are sent when they are complete; 0 for events that happen at a moment."""
    lengths = {interval_ns(text) for text in archive.intervals}
    return (lengths.pop() or 0) if archive.types == {Bar} and len(lengths) == 1 else 0


def _market_only(stretch: Stretch) -> Stretch:
    kept = [at for at, event in enumerate(stretch.events) if isinstance(event, MarketEvent)]
    if len(kept) == len(stretch.events):
        return stretch
    events: list[Event] = [stretch.events[at] for at in kept]
    return Stretch(events, [stretch.moments[at] for at in kept])


def _shifted(event: MarketEvent, by_ns: int) -> MarketEvent:
    recv = Timestamp(event.ts_recv + by_ns)
    if event.ts_event is None:
        return msgspec.structs.replace(event, ts_recv=recv)
    return msgspec.structs.replace(event, ts_event=Timestamp(event.ts_event + by_ns), ts_recv=recv)
