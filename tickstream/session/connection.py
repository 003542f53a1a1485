"""One connection, from the upgrade to its end: frames in, events out, and the watchdogs that notice when it is dead."""

from __future__ import annotations

import contextlib
from collections import deque

import msgspec

from tickstream.errors import ConnectionLost, NetworkError, ProtocolViolation, QuotaExceeded, TickstreamError
from tickstream.events import (
    Account,
    Batch,
    Event,
    MarketEvent,
    Notice,
    Quarantined,
    SessionEvent,
    SessionState,
    only_market,
)
from tickstream.providers.base import FeedCounters, FeedProtocol, NoticeLimit, Phase
from tickstream.session.closing import closing_error
from tickstream.session.context import SessionContext, Wire
from tickstream.session.frames import PING, PONG, Control, FrameBatch
from tickstream.session.outbox import Outbox
from tickstream.session.rest import RestDesk, rest_of
from tickstream.session.succession import Held, Sieve, Succession
from tickstream.session.watchdog import PONG_TIMEOUT_S, PROBE_TIMEOUT_S, Watchdog
from tickstream.status import SessionStatus

BAD_MESSAGES_IN = 100
"""A connection on which more than half of this many messages are unusable is given up."""
BLOCKED_POLL_S = 0.05
LEAVING_S = 0.5
LATE_READS = 256
"""After the line broke: what is still read of it, 64 KiB each."""


class Connection:
    """Runs until told to stop, or until it raises the TickstreamError that ended it."""

    def __init__(
        self,
        wire: Wire,
        protocol: FeedProtocol,
        context: SessionContext,
        status: SessionStatus,
        outbox: Outbox | Held | Sieve,
        succession: Succession | None = None,
    ) -> None:
        self._wire = wire
        self._protocol = protocol
        self._outbox = outbox
        self.succession = succession
        self._clock = context.clock
        self._stop = context.stop
        self._status = status
        self._epoch = status.epoch
        self._meter = context.meter
        self._exit_on_quota = context.exit_on_quota
        self._watch = Watchdog(protocol, context.clock, context.expects_data)
        self._limit = NoticeLimit()
        self._account: Account | None = None
        self._pushes = 0
        self._counted = FeedCounters()
        self._broken = False
        self._bytes = 0
        self._bad_frames = 0
        self._bad_window = (0, 0)
        self._refused = 0
        self._quota_used_up = False
        self._missed_a_pong = False
        self._wrong_books: deque[str] = deque()
        self._rest = rest_of(protocol, wire, context.clock)
        self._begun = False
        self.live = False
        self.got_data = False
        self.latest: dict[str, MarketEvent] = {}
        """Symbol -> the latest event, for another connection that is to go on behind it."""

    @property
    def epoch(self) -> int:
        """Its number among the connections of the session."""
        return self._epoch

    def resubscribe(self, symbol: str) -> None:
        """Have the book of this symbol begin anew. Thread-safe, returns at once."""
        self._wrong_books.append(symbol)
        self._wire.wake()

    @property
    def wire(self) -> Wire:
        """Its transport."""
        return self._wire

    @property
    def protocol(self) -> FeedProtocol:
        """Its conversation."""
        return self._protocol

    def begin(self) -> None:
        """The connection stands: the conversation may begin."""
        self._begun = True
        now = self._clock.monotonic()
        self._protocol.open(now)
        self._watch.opened(now)

    def run(self) -> None:
        """The conversation. Returns after a clean goodbye when `stop` is set, or another connection is to go on; raises
        why it ended otherwise."""
        if not self._begun:
            self.begin()
        succession = self.succession
        try:
            while not self._stop.is_set():
                self.step(None if succession is None else succession.patience_s)
                if succession is not None and succession.advance(self):
                    break
        except ProtocolViolation as violation:
            self._take_late(self._wire.close(violation.close_code, "protocol error"))
            raise
        except NetworkError as error:
            raise self._why(error) from None
        except TickstreamError:
            self._take_late(self._wire.close(1000))
            raise
        except BaseException:
            self._wire.abort()
            raise
        self._take_late(self._wire.close(1000))

    def step(self, limit_s: float | None = None) -> None:
        """Send what is due, read until the next deadline or for `limit_s` seconds, and look at the time."""
        if self._wrong_books:
            self._begin_books_anew()
        if self._rest is not None:
            self._make_requests(self._rest)
        for payload in self._protocol.frames_to_send(self._clock.monotonic()):
            self._wire.send(payload)
        self._look_at_the_time(self._read(limit_s))

    def take_over(self, status: SessionStatus, outbox: Sieve) -> None:
        """Deliver there from now on, and be the connection whose state is shown."""
        status.succeed(self._status)
        self._status, self._outbox = status, outbox

    def leave(self) -> None:
        """End without a conversation that is worth anything."""
        self._wire.close(1000, "", LEAVING_S)

    def say(self, code: str, message: str) -> None:
        """A notice among the events."""
        self._put_event(self._notice(code, message))

    def _begin_books_anew(self) -> None:
        symbols: dict[str, None] = {}
        while self._wrong_books:
            symbols[self._wrong_books.popleft()] = None
        self._protocol.resubscribe(tuple(symbols), self._clock.monotonic())

    def _make_requests(self, rest: RestDesk) -> None:
        try:
            rest.turn()
        finally:
            if self._protocol.has_events:
                self._deliver(0)

    # --- reading -----------------------------------------------------------------------------------------------

    def _read(self, limit_s: float | None) -> bool:
        """Take what arrives before the next deadline. False when there was no room to put it: nothing was read."""
        outbox = self._outbox
        outbox.flush()
        self._status.blocked = outbox.holding
        if outbox.full:
            outbox.wait(BLOCKED_POLL_S)
            self._watch.not_reading(self._clock.monotonic())
            return False
        now = self._clock.monotonic()
        timeout = BLOCKED_POLL_S if outbox.holding else max(0.0, self._watch.next_deadline(now) - now)
        frames = self._wire.receive(timeout if limit_s is None else min(timeout, limit_s))
        received = self._wire.bytes_received
        if received != self._bytes:  # perhaps of a message that is not complete yet
            self._watch.heard(self._clock.monotonic())
            self._bytes = received
        if frames is not None:
            self._take(frames)
        return True

    def _take(self, frames: FrameBatch) -> None:
        now = self._clock.monotonic()
        broken = self._answer(frames.controls, now)
        received = self._wire.bytes_received
        size, self._status.bytes_received = received - self._status.bytes_received, received
        for payload, reason in frames.bad:
            self._protocol.quarantine(payload, reason)
        self._bad_frames += len(frames.bad)
        try:
            if frames.payloads:
                self._protocol.receive(frames.messages(), self._clock.now_ns(), now)
        finally:
            self._deliver(size)
        self._count_bad()
        if frames.close is not None:
            meaning = self._protocol.closed(frames.close.code, frames.close.reason)
            reason = self._protocol.redact(frames.close.reason)
            raise meaning or closing_error(frames.close.code, reason, self.live)
        if frames.error is not None:
            raise frames.error
        if broken is not None:
            raise broken

    def _answer(self, controls: list[Control], now: float) -> NetworkError | None:
        """Pings at once, and before anything else. That it failed is no reason to lose the data of the same read."""
        try:
            for control in controls:
                if control.opcode == PING and not self._broken:
                    self._wire.pong(control.payload)
                elif control.opcode == PONG and (latency := self._watch.ponged(control.payload, now)) is not None:
                    self._status.ping_ms = latency
        except NetworkError as broken:
            return broken
        return None

    def _why(self, error: NetworkError) -> TickstreamError:
        """The line broke. What had arrived is taken: data, and perhaps the provider's reason, which counts for more."""
        self._broken = True
        try:
            for _ in range(0 if _has_code(error) else LATE_READS):
                frames = self._wire.receive(0)
                if frames is None:
                    break
                self._take(frames)
        except NetworkError as later:
            error = later if _has_code(later) else error
        except TickstreamError as reason:
            return reason
        finally:
            self._wire.abort()
        if isinstance(error, ConnectionLost) and not _has_code(error):
            return self._protocol.closed(None, "") or error
        return error

    def _take_late(self, payloads: list[bytes]) -> None:
        """What arrived while we said goodbye is data as well."""
        if payloads:
            with contextlib.suppress(TickstreamError):  # we are leaving; its events so far still count
                self._protocol.receive(payloads, self._clock.now_ns(), self._clock.monotonic())
            with contextlib.suppress(TickstreamError):  # a bound that the last of it passes ends nothing any more
                self._deliver(sum(map(len, payloads)))

    def _deliver(self, size: int) -> None:
        """Hand over what the protocol made of the last messages, and settle the credits."""
        protocol = self._protocol
        ts_recv = self._clock.now_ns()
        events = protocol.take_events()
        payloads = protocol.take_payloads()
        quarantined = protocol.take_quarantined()
        if protocol.phase is Phase.LIVE and not self.live:
            self.live = True
            events = [self._session_event("up"), *events]
            self._status.state = "up"
        if self._status.step:
            self._status.step = "" if self.live else protocol.phase.value
        if quarantined:
            events = [*events, *self._bad_message_notices(quarantined)]
        if payloads:
            self.got_data = True
            self._status.last_data = self._watch.data(self._clock.monotonic())
        if events or quarantined:
            batch = Batch(self._status.session, self._epoch, ts_recv, events, payloads, size, quarantined)
            batch.market_only = only_market(events)
            if market := batch.market_events():
                batch.ts_recv = ts_recv = market[0].ts_recv
            if self.succession is not None:
                self.latest.update({event.symbol: event for event in market})
            self._outbox.put(batch)
        self._count()
        self._status.paused = protocol.paused
        if len(protocol.refused) > self._refused:
            self._refused = len(protocol.refused)
            self._status.refused = tuple(dict.fromkeys((*self._status.refused, *protocol.refused)))
        self._settle(ts_recv)

    def _count(self) -> None:
        counters, before, status = self._protocol.counters, self._counted, self._status
        status.quarantined += counters.quarantined - before.quarantined
        status.unknown += counters.unknown - before.unknown
        status.unrequested += counters.unrequested - before.unrequested
        self._counted = msgspec.structs.replace(counters)

    def _settle(self, ts_recv: int) -> None:
        protocol, meter = self._protocol, self._meter
        if meter is not None:
            meter.expect(self._status.session, len(protocol.asked))
            if protocol.account is not None and protocol.account is not self._account:
                self._account = protocol.account
                meter.account(self._account.credits_per_push, self._account.quota_remaining, ts_recv)
                meter.check()
            pushes = protocol.counters.pushes - self._pushes
            if pushes:
                self._pushes += pushes
                meter.charge(pushes, ts_recv)
                meter.check()
            if protocol.paused and not self._quota_used_up:
                meter.quota_exceeded(ts_recv)
        self._quota_used_up = protocol.paused
        if protocol.paused and self._exit_on_quota:
            raise QuotaExceeded(
                "The day's credits are used up (quota_exceeded).", code="quota_exceeded",
                hint="They come back at 00:00 UTC. Without --exit-on-quota the run waits for them.",
            )  # fmt: skip

    def _session_event(self, state: SessionState, reason: str | None = None) -> SessionEvent:
        spec = self._protocol.spec
        return SessionEvent(spec.name, self._status.session, self._epoch, self._clock.now_ns(), state, reason)

    def _notice(self, code: str, message: str, symbols: tuple[str, ...] = ()) -> Notice:
        return Notice(self._protocol.spec.name, self._clock.now_ns(), code, message, symbols)

    def _bad_message_notices(self, quarantined: list[Quarantined]) -> list[Event]:
        now = self._clock.monotonic()
        return [
            self._notice("bad_message", f"a message could not be used: {item.reason}")
            for item in quarantined
            if self._limit.allows(now)
        ]

    def _count_bad(self) -> None:
        """Give up a connection that mostly sends rubbish."""
        counters = self._protocol.counters
        seen, bad = counters.messages + self._bad_frames, counters.quarantined
        seen_before, bad_before = self._bad_window
        if seen - seen_before >= BAD_MESSAGES_IN:
            if (bad - bad_before) * 2 > seen - seen_before:
                raise ProtocolViolation(
                    f"{bad - bad_before} of the last {seen - seen_before} messages could not be used.", close_code=1008,
                    hint="Something else than the provider may be answering (a proxy, another API version).",
                )  # fmt: skip
            self._bad_window = (seen, bad)

    # --- time --------------------------------------------------------------------------------------------------

    def _look_at_the_time(self, has_read: bool) -> None:
        now = self._clock.monotonic()
        watch, protocol = self._watch, self._protocol
        if watch.slept():
            self._put_event(self._notice("suspend", "the machine slept; checking whether the connection still stands"))
            self._wire.ping(watch.ping(now, PROBE_TIMEOUT_S))
        if not has_read:  # what the provider owes us may have come: we have not looked, so no deadline is over
            if watch.ping_due(now):
                self._wire.pong(b"")  # unasked pongs are allowed (RFC 6455 5.5.3): a sign of life
                watch.spoke(now)
            return
        try:
            protocol.tick(now, self._clock.now_ns())
        finally:
            if protocol.has_events or (protocol.phase is Phase.LIVE and not self.live):
                self._deliver(0)
        if watch.ping_due(now):
            self._ping(now)
        if watch.silence(now, protocol.active, self._clock.now_ns()):
            message = f"no data for {protocol.spec.data_silence_s:.0f} s although the market is open"
            self._put_event(self._notice("stale", message, protocol.active))
        watch.check(now)

    def _ping(self, now: float) -> None:
        if self._watch.unanswered and not self._missed_a_pong:  # and yet bytes have come, or we would not be here
            self._missed_a_pong = True
            self._put_event(self._notice("no_pong", "the server does not answer pings; its data is taken for life"))
        self._wire.ping(self._watch.ping(now, PONG_TIMEOUT_S))

    def _put_event(self, event: Event) -> None:
        self._outbox.put(Batch(self._status.session, self._epoch, self._clock.now_ns(), [event]))


def _has_code(error: NetworkError) -> bool:
    """It is the meaning of a close frame: nothing comes after that."""
    return isinstance(error, ConnectionLost) and error.close_code is not None
