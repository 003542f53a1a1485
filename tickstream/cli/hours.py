"""`--market-hours`: no connection before the market opens, and an end when it closes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tickstream.cli.source import Source
from tickstream.clock import Clock
from tickstream.events import Batch
from tickstream.markets import Market
from tickstream.timestamps import NS_PER_SECOND

LEAD_S = 10
"""To be connected and subscribed when the market opens."""
LAST_DATA_S = 15
"""The last candle of a session is sent after it: so long after the close at the most, and its own length."""
_MOST_SESSIONS = 100


def opening(markets: Iterable[Market], now_ns: int) -> int | None:
    """When the first of these markets opens; None when one is open now. Ns since 1970 UTC."""
    each = list(markets)
    if any(market.is_open(now_ns) for market in each):
        return None
    return min((found for market in each if (found := market.next_open(now_ns)) is not None), default=None)


def closing(markets: Iterable[Market], from_ns: int) -> int | None:
    """When all of these markets are closed, from a moment at which one is open; None when that never happens."""
    each, at = list(markets), from_ns
    for _ in range(_MOST_SESSIONS):
        closes = [market.next_close(at) for market in each if market.is_open(at)]
        if not closes:
            return at
        if None in closes:
            return None
        at = max(close for close in closes if close is not None)
    return None


class TradingSession:
    """The session of these markets together that goes on at `now_ns`, or the next one."""

    def __init__(self, markets: Iterable[Market], now_ns: int, bar_interval_s: int | None = None) -> None:
        markets = set(markets)
        opens = opening(markets, now_ns)
        begins = now_ns if opens is None else opens
        closes = closing(markets, begins)
        self.opens_ns = opens
        """When it begins; None: it has begun."""
        self.starts_ns = now_ns if opens is None else max(now_ns, opens - LEAD_S * NS_PER_SECOND)
        """When to connect."""
        self.ends_ns = None if closes is None else closes + (LAST_DATA_S + (bar_interval_s or 0)) * NS_PER_SECOND
        """When the last of its data has come; None: it goes on for ever."""


class AtTheOpen:
    """A source that begins at a moment, and does not connect before. Until then its `get` waits for nothing."""

    def __init__(self, source: Source, clock: Clock, starts_ns: int, on_begin: Callable[[], None]) -> None:
        self._on_begin = on_begin
        self._source = source
        self._clock = clock
        self._starts_ns = starts_ns
        self._begun = self._stopped = False

    def start(self) -> None:
        self._begin_if_due()

    def get(self, seconds: float) -> Batch | None:
        if not (self._begun or self._begin_if_due()):
            seconds = min(seconds, (self._starts_ns - self._clock.now_ns()) / NS_PER_SECOND)
        return self._source.get(seconds)

    def wake(self) -> None:
        self._source.wake()

    def stop(self) -> None:
        self._stopped = True
        self._source.stop()

    def discard(self) -> int:
        self._stopped = True
        return self._source.discard()

    @property
    def done(self) -> bool:
        return self._source.done if self._begun else self._stopped

    @property
    def error(self) -> BaseException | None:
        return self._source.error

    @property
    def dropped(self) -> int:
        return self._source.dropped

    @property
    def paused(self) -> bool:
        return self._source.paused if self._begun else True

    def _begin_if_due(self) -> bool:
        if not self._stopped and self._clock.now_ns() >= self._starts_ns:
            self._begun = True
            self._on_begin()
            self._source.start()
        return self._begun
