"""One session: connections one after the other, until told to stop or until an error that no retry mends."""

from __future__ import annotations

import logging

import msgspec

from tickstream.errors import TickstreamError
from tickstream.events import Batch, SessionEvent, SessionState
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.session.connection import Connection
from tickstream.session.context import SessionContext, Wire
from tickstream.session.outbox import Outbox
from tickstream.session.retry import RetryPolicy
from tickstream.session.succession import Held, Succession
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
        connection = self._connection
        if connection is not None:
            connection.wire.wake()

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
        opened = clock.monotonic()
        status.state = "connecting"
        try:
            wire = context.dial(protocol.connect_request(), self._step)
            status.epoch += 1
            status.bytes_before += status.bytes_received
            status.bytes_received = 0
            status.step = protocol.phase.value
            self._connection = self._connection_on(wire, protocol, status, self._outbox)
            opened = clock.monotonic()
            self._retry.connected(opened)
            self._stream(self._connection)
        except TickstreamError as error:
            return error
        finally:
            connection, self._connection = self._connection, None
            status.paused = False
            self._note_refused(protocol if connection is None else connection.protocol)
            if connection is not None and connection.got_data:
                self._retry.data_flowed(clock.monotonic() - opened)
        return None

    def _stream(self, connection: Connection) -> None:
        """This connection, and those that take over one from the other. Raises why the last of them ended."""
        while True:
            ended: TickstreamError | None = None
            try:
                connection.run()
            except TickstreamError as error:
                ended = error
            following = self._successor(connection, ended)
            if following is None:
                if ended is not None:
                    raise ended
                return
            connection = self._connection = following

    def _successor(self, connection: Connection, ended: TickstreamError | None) -> Connection | None:
        """The one that takes over, if there is one; it has taken over then."""
        succession = connection.succession
        if succession is None:
            return None
        if self._context.stop.is_set():
            succession.abandon()
            return None
        following = succession.successor(connection, ended)
        if following is not None:
            self._note_refused(connection.protocol)
            if not succession.seamless:
                self._change("down", "it ended before it had delivered all" if ended is None else ended.message)
            following.take_over(self._status, succession.release(connection, self._outbox))
            self._retry.connected(self._context.clock.monotonic())
        return following

    def _connection_on(
        self, wire: Wire, protocol: FeedProtocol, status: SessionStatus, outbox: Outbox | Held
    ) -> Connection:
        succession = Succession(self._another, self._context.clock) if protocol.hands_over else None
        return Connection(wire, protocol, self._context, status, outbox, succession)

    def _another(self, held: Held) -> Connection:
        """A connection beside the one that stands. Called in a thread of its own."""
        mine, context = self._status, self._context
        status = SessionStatus(mine.provider, mine.session, mine.symbols, epoch=mine.epoch + 1)
        protocol = context.spec.protocol(self._feed)
        return self._connection_on(context.dial(protocol.connect_request(), lambda _: None), protocol, status, held)

    def _note_refused(self, protocol: FeedProtocol) -> None:
        """What was refused is not asked for again."""
        if protocol.refused:
            self._feed = msgspec.structs.replace(self._feed, refused=self._feed.refused | protocol.refused.keys())

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
