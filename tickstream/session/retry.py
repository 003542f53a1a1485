"""What to do after a connection ended: wait how long, in which state, or give up. Pure: errors in, waits out."""

from __future__ import annotations

import random
from collections import deque

import msgspec

from tickstream.errors import (
    AuthTimeout,
    ConnectionLost,
    HandshakeError,
    NetworkError,
    ProtocolViolation,
    ProviderError,
    Recovery,
    ResolveError,
    TickstreamError,
)
from tickstream.events import SessionState
from tickstream.session.backoff import Backoff, hold_delays, restart_delay

STABLE_S = 60.0
"""A connection that delivered data for this long was a good one: the first retry after it comes within a second."""
SAME_ANSWERS_IN_A_ROW = 3
"""What may pass once, and three times running is the answer: see `_repeatable`."""
FLAPS = 12
FLAP_WINDOW_S = 600.0
"""Connections that stood and brought no data: so many in this time at the most. Attempts that reach nobody cost the
provider nothing, and are bounded by the backoff alone."""


class RetryOptions(msgspec.Struct, frozen=True):
    """Bounds: `retries` attempts or `retry_for_s` seconds without data in between; None is without bound.

    They do not count the time on hold, which has a bound of its own.
    """

    retries: int | None = None
    retry_for_s: float | None = None
    hold_max_s: float = 3600.0


class Wait(msgspec.Struct, frozen=True):
    """Wait `seconds` before the next attempt."""

    seconds: float
    state: SessionState


class RetryPolicy:
    """Remembers the failures since data last flowed."""

    def __init__(self, options: RetryOptions, rng: random.Random, least_s: float = 0.0) -> None:
        """`least_s`: from one attempt to connect to the next, whatever the backoff says."""
        self._options = options
        self._rng = rng
        self._least_s = least_s
        self._connected_at: float | None = None
        """Of the latest attempt, if it came so far."""
        self._backoff = Backoff(rng)
        self._holds = hold_delays(rng)
        self._held_s = 0.0
        self._failing_since: float | None = None
        self._retries = 0
        self._connections: deque[float] = deque(maxlen=FLAPS)
        self._last_answer: str | None = None
        self._in_a_row = 0
        self._had_data = False
        self.failures = 0
        """Since data last flowed, those on hold included."""

    def connected(self, now: float) -> None:
        """A connection stands, from now on."""
        self._connections.append(now)
        self._connected_at = now

    def data_flowed(self, for_s: float) -> None:
        """The connection that just ended had delivered data, and stood for `for_s` seconds: the past is forgiven."""
        self._backoff.reset(stable=for_s >= STABLE_S)
        self._holds = hold_delays(self._rng)
        self._held_s = 0.0
        self._failing_since = None
        self._retries = 0
        self._connections.clear()
        self._last_answer, self._in_a_row = None, 0
        self._had_data = True
        self.failures = 0

    def after(self, error: TickstreamError, now: float) -> Wait:
        """The wait after this error. If there is no next attempt raises it, with the reason in its hint."""
        if not error.retryable:
            raise error
        self.failures += 1
        attempted = now if self._connected_at is None else self._connected_at
        self._connected_at = None
        self._give_up_on_repetition(error)
        if error.recovery is Recovery.HOLD:
            return self._hold(error)
        seconds = max(self._delay(error), self._until_another_connection(now), attempted + self._least_s - now)
        self._give_up_on_bounds(error, now, seconds)
        return Wait(seconds, "down")

    def _hold(self, error: TickstreamError) -> Wait:
        seconds = next(self._holds, None)
        if seconds is not None and isinstance(error, ProviderError):
            seconds = max(seconds, error.retry_after_s or 0.0)
        if seconds is None or self._held_s + seconds > self._options.hold_max_s:
            raise _given_up(error, f"Gave up after holding for {self._held_s:.0f} s (--hold-max).")
        self._held_s += seconds
        return Wait(seconds, "held")

    def _delay(self, error: TickstreamError) -> float:
        asked = error.retry_after_s if isinstance(error, NetworkError | ProviderError) else None
        delay = self._backoff.next(retry_after_s=asked, rate_limited=error.recovery is Recovery.RATE)
        if isinstance(error, ConnectionLost) and error.close_code == 1012:
            return max(delay, restart_delay(self._rng))
        return delay

    def _until_another_connection(self, now: float) -> float:
        """The backoff bounds attempts; this bounds those that the provider accepts, for nothing."""
        if len(self._connections) < FLAPS:
            return 0.0
        return self._connections[0] + FLAP_WINDOW_S - now

    def _give_up_on_repetition(self, error: TickstreamError) -> None:
        answer = _repeatable(error, self._had_data)
        self._in_a_row = self._in_a_row + 1 if answer == self._last_answer else 1
        self._last_answer = answer
        if answer is not None and self._in_a_row >= SAME_ANSWERS_IN_A_ROW:
            raise _given_up(error, f"Gave up after the same answer {SAME_ANSWERS_IN_A_ROW} times.")

    def _give_up_on_bounds(self, error: TickstreamError, now: float, seconds: float) -> None:
        """When the next attempt would be one too many, or too late."""
        options = self._options
        if self._failing_since is None:
            self._failing_since = now
        self._retries += 1
        if options.retries is not None and self._retries > options.retries:
            raise _given_up(error, f"Gave up: --retries {options.retries} reached.")
        if options.retry_for_s is not None and now + seconds - self._failing_since > options.retry_for_s:
            raise _given_up(
                error,
                f"Gave up after {now - self._failing_since:.0f} s: the next attempt, in {seconds:.0f} s, would be "
                f"beyond {options.retry_for_s:g} s (--retry-for).",
            )


def _repeatable(error: TickstreamError, had_data: bool) -> str | None:  # noqa: PLR0911 - a table
    """The name under which the same answer is counted; None for errors that may repeat for ever.

    Before any data, an answer is more likely to be about us: a wrong host, or an error that we do not know.
    """
    match error:
        case AuthTimeout():
            return "auth_timeout"
        case ConnectionLost(close_code=1008):
            return "close_1008"
        case ProtocolViolation(close_code=1009):
            return "too_big"
        case HandshakeError(status=200):
            return "http_200"
        case ResolveError(unknown_host=True) if not had_data:
            return "unknown_host"
        case ProviderError() if type(error) is ProviderError and not had_data:
            return f"error {error.code}"
        case _:
            return None


def _given_up(error: TickstreamError, why: str) -> TickstreamError:
    error.hint = f"{why} {error.hint}".strip()
    return error
