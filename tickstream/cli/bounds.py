"""What ends a run that nothing else ends: signals, times, silence."""

from __future__ import annotations

import msgspec

from tickstream.errors import ExitCode

SIGNAL_CODES = {1: ExitCode.SIGHUP, 2: ExitCode.SIGINT, 15: ExitCode.SIGTERM}
TICK_S = 0.1
"""How long the main thread waits for a batch before it looks around."""
DRAIN_S = 5.0


class Bounds(msgspec.Struct, frozen=True):
    """What ends a run: seconds from its start, seconds without data; under `strict` what makes it incomplete."""

    duration_s: float | None = None
    idle_timeout_s: float | None = None
    strict: bool = False
    drain_s: float = DRAIN_S


def signal_code(number: int | None) -> ExitCode | None:
    """The exit code of a run that this signal ended."""
    return None if number is None else SIGNAL_CODES.get(number, ExitCode.SIGTERM)
