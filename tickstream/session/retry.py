"""What to do after a connection ended: wait how long, in which state, or give up. Pure: errors and times in, waits out."""

from __future__ import annotations

import random

import msgspec

from tickstream.errors import (
    AuthTimeout,
    ConnectionLost,
    HandshakeError,
    NetworkError,
    ProviderError,
    Recovery,
    ResolveError,
    TickstreamError,
)
from tickstream.events import SessionState
from tickstream.session.backoff import Backoff, hold_delays, restart_delay

STABLE_S = 60.0
"""A connection that delivered data for this long was a good one: the first retry after it comes within a second."""
AUTH_TIMEOUTS_IN_A_ROW = 3
SAME_ANSWERS_IN_A_ROW = 3
"""Unknown host at the very start, HTTP 200 instead of an upgrade, close 1008: three times the same is the answer."""


class RetryOptions(msgspec.Struct, frozen=True):
    """Bounds: `retries` attempts or `retry_for_s` seconds without data in between; None is without bound."""

    retries: int | None = None
    retry_for_s: float | None = None
    hold_max_s: float = 3600.0


class Wait(msgspec.Struct, frozen=True):
    """Wait `seconds` before the next attempt."""

    seconds: float
    state: SessionState


class RetryPolicy:
    """Remembers the failures since data last flowed."""

    def __init__(self, options: RetryOptions, rng: random.Random) -> None:
        self._options = options
        self._rng = rng
        self._backoff = Backoff(rng)
        self._holds = hold_delays(rng)
        self._held_s = 0.0
        self._failing_since: float | None = None
        self._in_a_row: dict[str, int] = {}
        self._had_data = False
        self.failures = 0

    def data_flowed(self, for_s: float) -> None:
        """The connection that just ended had delivered data, and stood for `for_s` seconds: the past is forgiven."""
        self._backoff.reset(stable=for_s >= STABLE_S)
        self._holds = hold_delays(self._rng)
        self._held_s = 0.0
        self._failing_since = None
        self._in_a_row.clear()
        self._had_data = True
        self.failures = 0

    def after(self, error: TickstreamError, now: float) -> Wait:
        """The wait after this error. Raises it, with the reason for giving up in its hint, when there is no next attempt."""
        if not error.retryable:
            raise error
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = now
        self._give_up_on_repetition(error)
        if error.recovery is Recovery.HOLD:
            return self._hold(error)
        self._give_up_on_bounds(error, now)
        return Wait(self._delay(error), "down")

    def _hold(self, error: TickstreamError) -> Wait:
        seconds = next(self._holds, None)
        if seconds is None or self._held_s + seconds > self._options.hold_max_s:
            raise _given_up(error, f"Gave up after holding for {self._held_s:.0f} s (--hold-max).")
        self._held_s += seconds
        return Wait(seconds, "held")

    def _delay(self, error: TickstreamError) -> float:
        if isinstance(error, ConnectionLost) and error.close_code == 1012:
            return restart_delay(self._rng)
        asked = error.retry_after_s if isinstance(error, NetworkError | ProviderError) else None
        return self._backoff.next(retry_after_s=asked, rate_limited=error.recovery is Recovery.RATE)

    def _give_up_on_repetition(self, error: TickstreamError) -> None:
        kind = _repeatable(error, self._had_data)
        if kind is None:
            return
        self._in_a_row[kind] = self._in_a_row.get(kind, 0) + 1
        if self._in_a_row[kind] >= SAME_ANSWERS_IN_A_ROW:
            raise _given_up(error, f"Gave up after the same answer {SAME_ANSWERS_IN_A_ROW} times.")

    def _give_up_on_bounds(self, error: TickstreamError, now: float) -> None:
        options = self._options
        if options.retries is not None and self.failures > options.retries:
            raise _given_up(error, f"Gave up after {options.retries} retries (--retries).")
        failing_for = now - (self._failing_since or now)
        if options.retry_for_s is not None and failing_for >= options.retry_for_s:
            raise _given_up(error, f"Gave up after {failing_for:.0f} s without data (--retry-for).")


def _repeatable(error: TickstreamError, had_data: bool) -> str | None:
    """The name under which the same answer is counted; None for errors that may repeat for ever."""
    if isinstance(error, AuthTimeout):
        return "auth_timeout"
    if isinstance(error, ResolveError) and error.unknown_host and not had_data:
        return "unknown_host"
    if isinstance(error, HandshakeError) and error.status == 200:
        return "http_200"
    if isinstance(error, ConnectionLost) and error.close_code == 1008:
        return "close_1008"
    return None


def _given_up(error: TickstreamError, why: str) -> TickstreamError:
    error.hint = f"{why} {error.hint}".strip()
    return error
