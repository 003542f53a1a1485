"""A connection takes over from one that is about to end, while that one still delivers: neither gap nor duplicate.

The new one is dialled in a thread of its own, then led step by step beside the old one, in the same thread. What it
brings is held back meanwhile. When the old one has delivered all that the new one began with, it is closed, and what
is held follows, but for what the old one has delivered too: the provider's own numbers tell (`FeedProtocol.place`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tickstream.clock import Clock
from tickstream.errors import ConnectionLost, TickstreamError
from tickstream.events import Batch, MarketEvent
from tickstream.providers.base import FeedProtocol
from tickstream.session.outbox import Outbox

if TYPE_CHECKING:
    from tickstream.session.connection import Connection

SETTLE_S = 1.0
"""From when the new one is live: what was under way on the old one has come by then."""
OVERLAP_S = 5.0
"""So long at the most both deliver."""
POLL_S = 0.02
"""How long one of the two may keep the other waiting."""
RETRY_S = 10.0
"""From one attempt to the next, while the old one lives."""
HELD_BYTES = 8 * 2**20
"""Beyond that the new one is not read from, until it takes over."""


class Held:
    """Where a connection puts its batches until it takes over: an outbox that keeps them."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.first: dict[str, MarketEvent] = {}
        """Symbol -> the first that came of it."""
        self._bytes = 0

    def put(self, batch: Batch) -> None:
        """Keep this."""
        self.batches.append(batch)
        self._bytes += batch.size
        for event in batch.market_events():
            self.first.setdefault(event.symbol, event)

    def flush(self) -> None:
        """It is kept."""

    def wait(self, seconds: float) -> None:
        """Nothing makes room here, and the old connection is not to wait."""

    @property
    def holding(self) -> bool:
        """Not because the queue is full."""
        return False

    @property
    def full(self) -> bool:
        """Do not read on."""
        return self._bytes > HELD_BYTES


class Sieve:
    """In front of an outbox: leaves out what another connection has delivered, and the messages that brought it."""

    def __init__(self, outbox: Outbox, latest: Mapping[str, MarketEvent], protocol: FeedProtocol) -> None:
        self._outbox = outbox
        self._place = protocol.place
        self._last = {symbol: place for symbol, event in latest.items() if (place := protocol.place(event))}
        """Symbol -> the latest place, until something beyond it has come."""
        self.flush, self.wait = outbox.flush, outbox.wait

    def put(self, batch: Batch) -> None:
        """Pass on what is new of this batch."""
        if self._last and (market := batch.market_events()):
            new = [self._is_new(event) for event in market]
            if len(batch.payloads) == len(market):
                batch.payloads = [payload for payload, keep in zip(batch.payloads, new, strict=True) if keep]
            verdict = iter(new)
            batch.events = [event for event in batch.events if not isinstance(event, MarketEvent) or next(verdict)]
        if batch.events or batch.quarantined:
            self._outbox.put(batch)

    def _is_new(self, event: MarketEvent) -> bool:
        last = self._last.get(event.symbol)
        if last is None:
            return True
        place = self._place(event)
        if place is not None and place <= last:
            return False
        del self._last[event.symbol]
        return True

    @property
    def holding(self) -> bool:
        """As the outbox behind it."""
        return self._outbox.holding

    @property
    def full(self) -> bool:
        """As the outbox behind it."""
        return self._outbox.full


class Succession:
    """Of one connection. `advance` is called between its steps, `successor` when it has ended."""

    def __init__(self, dial: Callable[[Held], Connection], clock: Clock) -> None:
        """`dial` gives another connection, upgraded and no more; it is called in a thread of its own."""
        self._dial = dial
        self._clock = clock
        self._not_before = float("-inf")
        self._attempt: _Attempt | None = None
        self._next: Connection | None = None
        self._held = Held()
        self._live_at: float | None = None
        self.seamless = False
        """Nothing is missing between the two: known once there is a successor."""

    @property
    def patience_s(self) -> float | None:
        """How long reading from the old connection may take; None: as long as it likes."""
        return None if self._attempt is None else POLL_S

    def advance(self, old: Connection) -> bool:
        """Lead the new connection on, if it is time for one. True when the old one is to end."""
        now = self._clock.monotonic()
        try:
            if self._next is not None:
                return self._step(self._next, old, now)
            if self._attempt is not None:
                self._next = self._attempt.connection()
                if self._next is not None:
                    self._next.begin()
            elif now >= self._not_before and old.protocol.ends_soon(now):
                self._held = Held()
                self._attempt = _Attempt(self._dial, self._held)
        except TickstreamError as error:
            self._give_up(now)
            message = f"the connection that is to take over failed, and is tried again: {error.message}"
            old.say("succession", message)
        return False

    def successor(self, old: Connection, ended: TickstreamError | None) -> Connection | None:
        """The connection that goes on, `ended` being why the old one did not; None: there is none yet."""
        new = self._next
        if new is None:
            self.abandon()
            return None
        self.seamless = self._seamless(old, ended)
        return new

    def release(self, old: Connection, outbox: Outbox) -> Sieve:
        """Let go of what was held, behind all that came of the old one. What follows it belongs into the sieve too: the
        new one may be behind the old one."""
        sieve = Sieve(outbox, old.latest, old.protocol)
        for batch in self._held.batches:
            sieve.put(batch)
        return sieve

    def abandon(self) -> None:
        """The run ends, or the old connection before there is another one."""
        attempt, self._attempt, new, self._next = self._attempt, None, self._next, None
        if new is not None:
            new.leave()
        elif attempt is not None:
            attempt.abandon()

    def _step(self, new: Connection, old: Connection, now: float) -> bool:
        new.step(0.0)
        if not new.live:
            return False
        if self._live_at is None:
            self._live_at = now
        both_s = now - self._live_at
        return both_s >= OVERLAP_S or (both_s >= SETTLE_S and self._joined(old))

    def _give_up(self, now: float) -> None:
        self._not_before = now + RETRY_S
        self._live_at = None
        self.abandon()

    def _joined(self, old: Connection) -> bool:
        """The new one has data, and the old one has delivered what that begins with, or all before it."""
        return bool(self._held.first) and all(
            joins(old.latest.get(symbol), event, old.protocol) for symbol, event in self._held.first.items()
        )

    def _seamless(self, old: Connection, ended: TickstreamError | None) -> bool:
        """By the numbers of the data, or because the old one said all it had to say before it went."""
        if self._live_at is None:
            return False
        if self._joined(old):
            return True
        if self._clock.monotonic() < self._live_at + SETTLE_S:
            return False
        if ended is None:  # after a time in which both should have delivered
            return not self._held.first
        return isinstance(ended, ConnectionLost) and ended.close_code is not None


class _Attempt:
    """A thread that dials."""

    def __init__(self, dial: Callable[[Held], Connection], held: Held) -> None:
        self._lock = threading.Lock()
        self._abandoned = False
        self._result: Connection | BaseException | None = None
        threading.Thread(target=self._run, args=(dial, held), name="succession", daemon=True).start()

    def connection(self) -> Connection | None:
        """None while it is dialling. Raises why there is none."""
        result = self._result
        if isinstance(result, BaseException):
            raise result
        return result

    def abandon(self) -> None:
        """Nobody wants it any more."""
        with self._lock:
            self._abandoned = True
            result = self._result
        if result is not None and not isinstance(result, BaseException):
            result.leave()

    def _run(self, dial: Callable[[Held], Connection], held: Held) -> None:
        result: Connection | BaseException
        try:
            result = dial(held)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            result = error
        with self._lock:
            self._result = result
            unwanted = self._abandoned
        if unwanted and not isinstance(result, BaseException):
            result.leave()


def joins(before: MarketEvent | None, event: MarketEvent, protocol: FeedProtocol) -> bool:
    """Whether nothing can be missing between the latest of the old connection and the first of the new one."""
    place = protocol.place(event)
    if place is None:
        return True
    last = None if before is None else protocol.place(before)
    if last is None:
        return False
    return place <= last or (protocol.counts_places and place[0] == last[0] + 1)
