"""What ends a run that nothing else ends: signals, times, silence."""

from __future__ import annotations

import msgspec

from tickstream.errors import ExitCode

SIGNAL_CODES = {1: ExitCode.SIGHUP, 2: ExitCode.SIGINT, 15: ExitCode.SIGTERM}
TICK_S = 0.1
"""How long the main thread waits for a batch before it looks around."""
DRAIN_S = 5.0


class Bounds(msgspec.Struct, frozen=True):
    """What ends a run, the first of them; under `strict` what makes it incomplete."""

    duration_s: float | None = None
    """Seconds from its start."""
    until_ns: int | None = None
    """On the wall clock, so a machine that slept, or a clock that was set, does not shift it."""
    idle_timeout_s: float | None = None
    strict: bool = False
    drain_s: float = DRAIN_S
    """How long to go on writing what is under way."""

    def over(self, running_s: float, now_ns: int) -> bool:
        """True when its time is up, `running_s` seconds after its start."""
        if self.duration_s is not None and running_s >= self.duration_s:
            return True
        return self.until_ns is not None and now_ns >= self.until_ns

    def longest_s(self, now_ns: int) -> float | None:
        """How long a run that starts now may take."""
        until_s = None if self.until_ns is None else (self.until_ns - now_ns) / 1e9
        return min((one for one in (self.duration_s, until_s) if one is not None), default=None)


def signal_code(number: int | None) -> ExitCode | None:
    """The exit code of a run that this signal ended."""
    return None if number is None else SIGNAL_CODES.get(number, ExitCode.SIGTERM)
