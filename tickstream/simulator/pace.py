"""Market time against real time. Pure: real time is an argument."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class RealTime(NamedTuple):
    """Both real clocks: seconds that never jump, and ns since 1970 UTC."""

    monotonic_s: float
    wall_ns: int


class MarketClock(Protocol):
    """What time it is in the market."""

    def market_ns(self, now: RealTime) -> int:
        """Market time now, ns since 1970 UTC."""
        ...

    def seconds_until(self, market_ns: int, now: RealTime) -> float:
        """Real seconds until the market gets there; 0 or less when it has."""
        ...

    def skip(self, ns: int) -> None:
        """Jump forward."""
        ...


class WallClock:
    """Market time is real time."""

    def __init__(self) -> None:
        self._ahead_ns = 0

    def market_ns(self, now: RealTime) -> int:
        """The wall clock's time, plus what was skipped."""
        return now.wall_ns + self._ahead_ns

    def seconds_until(self, market_ns: int, now: RealTime) -> float:
        """Real seconds until then."""
        return (market_ns - now.wall_ns - self._ahead_ns) / 1e9

    def skip(self, ns: int) -> None:
        """Jump forward, and stay ahead of real time."""
        self._ahead_ns += ns


class PacedClock:
    """Market time begins at `start_ns` when the monotonic clock shows `begun_s`, and goes `speed` times as fast."""

    def __init__(self, start_ns: int, begun_s: float, speed: float) -> None:
        self._start_ns = start_ns
        self._begun_s = begun_s
        self._speed = speed

    def market_ns(self, now: RealTime) -> int:
        """Market time at this monotonic time."""
        return self._start_ns + round((now.monotonic_s - self._begun_s) * self._speed * 1e9)

    def seconds_until(self, market_ns: int, now: RealTime) -> float:
        """Real seconds until then."""
        return (market_ns - self._start_ns) / 1e9 / self._speed - (now.monotonic_s - self._begun_s)

    def skip(self, ns: int) -> None:
        """Jump forward."""
        self._start_ns += ns
