"""One session: connections one after the other, until told to stop or until an error that no retry mends."""

from __future__ import annotations

import logging

import msgspec

from tickstream.errors import TickstreamError
from tickstream.events import Batch, SessionEvent, SessionState
from tickstream.providers.base import Feed
from tickstream.session.connection import Connection
from tickstream.session.context import SessionContext, Wire
from tickstream.session.outbox import Outbox
from tickstream.session.retry import RetryPolicy
from tickstream.status import SessionStatus

log = logging.getLogger(__name__)

HANDOVER_POLL_S = 0.05
"""How often a full queue is asked again for room while nothing is being read."""


class Session:
    """`run` is the body of its thread."""

    def __init__(
        self, context: SessionContext, feed: Feed, status: SessionStatus, outbox: Outbox, retry: RetryPolicy
    ) -> None:
        self._context = context
        self._feed = feed
        self._status = status
        self._outbox = outbox
        self._retry = retry
        self._wire: Wire | None = None
        self._connection: Connection | None = None
        self.error: TickstreamError | None = None
        """Why the session ended, None when it was told to."""

    def run(self) -> None:
        """Connect, stream, wait, again. Ends when `stop` is set, or with `error`."""
        reason: str | None = None
        try:
            while not self._context.stop.is_set():
                error = self._connect_and_stream()
                if error is not None and not self._context.stop.is_set():
                    self._wait_after(error)
        except TickstreamError as error:
            self.error = error
            reason = error.message
        self._change("closed", reason)
        # What was received is handed over, however slow the reader: whoever ends the run abandons the queue at last.
        while self._outbox.holding:
            self._outbox.wait(HANDOVER_POLL_S)

    def wake(self) -> None:
        """Make the session look at `stop` now. Thread-safe."""
        wire = self._wire
        if wire is not None:
            wire.wake()

    def resubscribe(self, symbol: str, epoch: int) -> None:
        """The book of this symbol is wrong: have it begin anew. Thread-safe.

        Nothing is to be done when another connection than that `epoch` stands: it began with new books.
        """
        connection = self._connection
        if connection is not None and connection.epoch == epoch:
            connection.resubscribe(symbol)

    def _connect_and_stream(self) -> TickstreamError | None:
        context, status, clock = self._context, self._status, self._context.clock
        protocol = context.spec.protocol(self._feed)
        connection = self._connection = None
        opened = clock.monotonic()
        status.state = "connecting"
        try:
            wire = context.dial(protocol.connect_request(), self._step)
            self._wire = wire
            status.epoch += 1
            status.bytes_before += status.bytes_received
            status.bytes_received = 0
            status.step = protocol.phase.value
            connection = self._connection = Connection(wire, protocol, context, status, self._outbox)
            opened = clock.monotonic()
            self._retry.connected(opened)
            connection.run()
        except TickstreamError as error:
            return error
        finally:
            self._wire = self._connection = None
            status.paused = False
            if protocol.refused:
                self._feed = msgspec.structs.replace(self._feed, refused=self._feed.refused | protocol.refused.keys())
            if connection is not None and connection.got_data:
                self._retry.data_flowed(clock.monotonic() - opened)
        return None

    def _wait_after(self, error: TickstreamError) -> None:
        """Raises the error when there is no next attempt."""
        clock, status = self._context.clock, self._status
        wait = self._retry.after(error, clock.monotonic())
        status.attempts = self._retry.failures
        status.retry_at = clock.monotonic() + wait.seconds
        self._change(wait.state, error.message, wait.seconds)
        deadline = status.retry_at
        while not self._context.stop.is_set() and clock.monotonic() < deadline:
            self._outbox.flush()
            left = deadline - clock.monotonic()
            clock.wait(self._context.stop, min(left, HANDOVER_POLL_S) if self._outbox.holding else left)
        status.retry_at = None

    def _step(self, step: str) -> None:
        self._status.step = step
        log.debug("session %d: %s", self._status.session, step)

    def _change(self, state: SessionState, reason: str | None = None, retry_in_s: float | None = None) -> None:
        status, ts = self._status, self._context.clock.now_ns()
        status.state, status.reason = state, reason or ""
        rounded = None if retry_in_s is None else round(retry_in_s, 3)
        event = SessionEvent(status.provider, status.session, status.epoch, ts, state, reason, rounded)
        self._outbox.put(Batch(status.session, status.epoch, ts, [event]))
