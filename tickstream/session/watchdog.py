"""Notice when a connection is dead, a feed mute, or the machine slept. Pure but for reading the clock handed in."""

from __future__ import annotations

from collections.abc import Callable

from tickstream.clock import Clock
from tickstream.errors import SessionStale
from tickstream.providers.base import FeedProtocol

PONG_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 5.0
"""After the machine slept: how long the connection has to prove that it still stands."""
FIRST_PING_S = 0.5
"""After the connection was opened: the latency is known early."""
SUSPEND_JUMP_S = 10.0


class Watchdog:
    """Three clocks that run out: no bytes (the line is dead), no data (the feed is mute), and a machine that slept.

    Only bytes feed the first and only data feeds the second: pings and heartbeats never make a feed look alive.
    """

    def __init__(self, protocol: FeedProtocol, clock: Clock, expects_data: Callable[[str, int, int], bool]) -> None:
        self._protocol = protocol
        self._clock = clock
        self._expects_data = expects_data
        self._interval = protocol.spec.ping_interval_s
        self._silence_s = protocol.spec.data_silence_s
        self._drift = clock.boottime() - clock.monotonic()
        self._last_bytes = self._last_data = self._last_ping = clock.monotonic()
        self._pong_due: float | None = None
        self._sent: tuple[bytes, float] | None = None
        self._pings = 0
        self._warned = False

    def opened(self, now: float) -> None:
        """The connection stands."""
        self._last_bytes = self._last_data = now
        self._last_ping = now - self._interval + FIRST_PING_S

    def heard(self, now: float) -> None:
        """Bytes came: whatever they were, the line is alive."""
        self._last_bytes = now
        self._pong_due = None

    def not_reading(self, now: float) -> None:
        """We do not read at the moment, so silence is ours."""
        self._last_bytes = self._last_data = now
        self._pong_due = None
        self._sent = None

    def data(self, now: float) -> float:
        """Market data came."""
        self._last_data = now
        self._warned = False
        return now

    def ping(self, now: float, timeout_s: float) -> bytes:
        """The payload of a ping to send now; bytes must come within `timeout_s`."""
        self._pings += 1
        self._pong_due = now + timeout_s
        payload = b"%d" % self._pings
        self._sent = (payload, now)
        self.spoke(now)
        return payload

    def spoke(self, now: float) -> None:
        """A ping, or a sign of life in its place, went out: the next one is due an interval from now."""
        self._last_ping = now

    def ponged(self, payload: bytes, now: float) -> float | None:
        """Milliseconds since the ping with this payload, None if it is not the latest one."""
        if self._sent is None or payload != self._sent[0]:
            return None
        sent_at, self._sent = self._sent[1], None
        return (now - sent_at) * 1000

    @property
    def unanswered(self) -> bool:
        """True while the latest ping has no pong."""
        return self._sent is not None

    def ping_due(self, now: float) -> bool:
        """Time for the next ping."""
        return now >= self._last_ping + self._interval

    def slept(self) -> bool:
        """True once after the machine was suspended for more than 10 s."""
        drift = self._clock.boottime() - self._clock.monotonic()
        jumped = drift - self._drift > SUSPEND_JUMP_S
        self._drift = drift
        return jumped

    def check(self, now: float) -> None:
        """Raises SessionStale when the line is dead."""
        if self._pong_due is not None and now >= self._pong_due:
            raise SessionStale(
                f"The connection is dead: nothing came for {now - self._last_bytes:.0f} s, not even a pong."
            )

    def silence(self, now: float, symbols: tuple[str, ...], now_ns: int) -> bool:
        """True once when no data came for the provider's `data_silence_s` though a market was open all that time.

        Raises SessionStale when that has gone on for twice as long. Time in which no data is due does not count.
        """
        if self._protocol.paused or not symbols:
            self._no_data_due(now)
            return False
        if now < self._last_data + self._allowed_s:
            return False
        since = now_ns - int((now - self._last_data) * 1e9)
        if not any(self._expects_data(symbol, since, now_ns) for symbol in symbols):
            self._no_data_due(now)
            return False
        if self._warned:
            raise SessionStale(f"Connected, but no data for {now - self._last_data:.0f} s although the market is open.")
        self._warned = True
        return True

    def next_deadline(self, now: float) -> float:
        """Monotonic time of the next thing to look at, the protocol's own included."""
        planned = [self._last_ping + self._interval, self._last_data + self._allowed_s, now + self._interval]
        planned += [at for at in (self._pong_due, self._protocol.next_deadline()) if at is not None]
        return min(planned)

    @property
    def _allowed_s(self) -> float:
        return self._silence_s * (2 if self._warned else 1)

    def _no_data_due(self, now: float) -> None:
        self._last_data = now
        self._warned = False
