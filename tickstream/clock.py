"""Time as a thing one can hand over: the wall clock, a clock that never jumps, and a wait that can be woken."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from tickstream.timestamps import Timestamp


class Clock(Protocol):
    """What the session and the command line know of time."""

    def now_ns(self) -> Timestamp:
        """Wall clock, UTC, nanoseconds since 1970. May jump."""
        ...

    def monotonic(self) -> float:
        """Seconds; never jumps, and stands still while the machine sleeps (where the platform tells the difference)."""
        ...

    def boottime(self) -> float:
        """Seconds; never jumps, and goes on while the machine sleeps (Linux; elsewhere follows the wall clock)."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, `seconds` at the most; True when it is set."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> Timestamp:
        return Timestamp(time.time_ns())

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


class FakeClock:
    """A clock that moves only when told to, or when somebody waits on it: tests of hours take microseconds."""

    def __init__(self, start_ns: int = 1_782_312_840_000_000_000) -> None:
        self._start_ns = start_ns
        self._elapsed = 0.0
        self._slept = 0.0
        self.waits: list[float] = []

    def now_ns(self) -> Timestamp:
        return Timestamp(self._start_ns + round((self._elapsed + self._slept) * 1e9))

    def monotonic(self) -> float:
        return 1000.0 + self._elapsed

    def boottime(self) -> float:
        return 1000.0 + self._elapsed + self._slept

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._elapsed += seconds

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: wall clock and boot time go on, the monotonic clock does not."""
        self._slept += seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        self.waits.append(seconds)
        self.advance(max(0.0, seconds))
        return event.is_set()
