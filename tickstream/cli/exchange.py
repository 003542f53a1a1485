"""One connection's conversation at a doctor's pace: until something is reached, or the time for it is over."""

from __future__ import annotations

from collections.abc import Callable

from tickstream.clock import Clock
from tickstream.errors import TickstreamError
from tickstream.events import MarketEvent, Notice
from tickstream.providers.base import FeedProtocol, Phase
from tickstream.session.closing import closing_error
from tickstream.session.context import Wire
from tickstream.session.frames import PING, PONG, FrameBatch
from tickstream.session.rest import rest_of


class Exchange:
    """A protocol on a wire. It never reconnects, and nothing but the first and the latest market event is kept.

    An error that comes together with what is waited for is raised by the next wait: it belongs to the next step.
    """

    def __init__(self, wire: Wire, protocol: FeedProtocol, clock: Clock) -> None:
        self.protocol = protocol
        self.first: MarketEvent | None = None
        self.latest: MarketEvent | None = None
        self.bad_reason = ""
        """Why the first message that could not be used was of no use."""
        self._wire = wire
        self._clock = clock
        self._error: TickstreamError | None = None
        self._notices: list[Notice] = []
        self._pings = 0
        self._rest = rest_of(protocol, wire, clock)
        self._sent: tuple[bytes, float] | None = None
        self._pong_ms: float | None = None
        protocol.open(clock.monotonic())

    def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Converse until `reached()`; False when `seconds` are over. Raises the error that ended the conversation."""
        deadline = self._clock.monotonic() + seconds
        while not reached():
            if self._error is not None:
                raise self._error
            now = self._clock.monotonic()
            if now >= deadline:
                return False
            try:
                self._turn(now, deadline)
            except TickstreamError as error:
                self._error = error
        return True

    def ping(self, seconds: float) -> float | None:
        """Milliseconds that the answer to a ping took; None when none came within `seconds`."""
        if self._error is not None:
            raise self._error
        self._pings += 1
        self._pong_ms = None
        payload = b"doctor %d" % self._pings
        self._sent = (payload, self._clock.monotonic())
        self._wire.ping(payload)
        self.until(lambda: self._pong_ms is not None, seconds)
        return self._pong_ms

    def take_notices(self) -> list[Notice]:
        """What the protocol had to say since the last call."""
        out, self._notices = self._notices, []
        return out

    def _turn(self, now: float, deadline: float) -> None:
        if self._rest is not None:
            self._rest.turn()
        for payload in self.protocol.frames_to_send(now):
            self._wire.send(payload)
        planned = self.protocol.next_deadline()
        until = deadline if planned is None else min(deadline, planned)
        batch = self._wire.receive(max(0.0, until - now))
        try:
            if batch is not None:
                self._take(batch)
            self.protocol.tick(self._clock.monotonic(), self._clock.now_ns())
        finally:
            self._collect()

    def _take(self, batch: FrameBatch) -> None:
        now = self._clock.monotonic()
        for control in batch.controls:
            if control.opcode == PING:
                self._wire.pong(control.payload)
            elif control.opcode == PONG and self._sent is not None and control.payload == self._sent[0]:
                self._pong_ms = (now - self._sent[1]) * 1000
        for payload, reason in batch.bad:
            self.protocol.quarantine(payload, reason)
        if batch.payloads:
            self.protocol.receive(batch.payloads, self._clock.now_ns(), now)
        if batch.close is not None:
            meaning = self.protocol.closed(batch.close.code, batch.close.reason)
            reason = self.protocol.redact(batch.close.reason)
            raise meaning or closing_error(batch.close.code, reason, live=self.protocol.phase is Phase.LIVE)
        if batch.error is not None:
            raise batch.error

    def _collect(self) -> None:
        for event in self.protocol.take_events():
            if isinstance(event, Notice):
                self._notices.append(event)
            elif isinstance(event, MarketEvent):
                self.first = self.first or event
                self.latest = event
        self.protocol.take_payloads()
        for bad in self.protocol.take_quarantined():
            self.bad_reason = self.bad_reason or bad.reason
