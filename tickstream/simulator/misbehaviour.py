"""A provider that goes wrong as it was told to. Pure, as the one that does not."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from tickstream.events import BookSnapshot, Quote
from tickstream.simulator.bad_bytes import BAD_BYTES, fragmented, payload_of
from tickstream.simulator.conversation import Conversation, Sifted, Sort
from tickstream.simulator.faults import Fault, FaultKind, Moment, Schedule
from tickstream.simulator.market import MINUTE_NS, Candle, Item
from tickstream.simulator.outgoing import Delivery, Ending, Message, Outgoing, Push, Raw, Round, delivery_of
from tickstream.timestamps import Timestamp

FLAP_S = 2.0
SKEW_NS = 60 * MINUTE_NS
BURST_STEPS = 1_000

WITHHELD: dict[Sort, str] = {"auth": "no-auth-reply", "ack": "no-ack", "heartbeat": "no-heartbeat", "pong": "no-pong"}
"""Messages -> the fault in which they are not sent."""


class Misbehaving(Conversation):
    """What stands before a provider's own conversation (see `misbehaving`), so that it has these faults.

    `skip` lets the market jump forward by so many steps.
    """

    def __init__(self, shared: Any, now: float, faults: list[Fault], skip: Callable[[int], None]) -> None:
        super().__init__(shared, now)
        self._schedule = Schedule(faults)
        self._skip = skip
        self._modes: set[str] = set()
        self._pushed = 0
        self._flap_at: float | None = None
        self._audible: int | None = None
        """So many of the items queued are still sent; None: all."""
        self._held: dict[str, Push] = {}
        self._to_lose = 0
        self._now = now
        self.moment("connect")

    # When.

    def receive(self, payloads: list[bytes], now: float) -> None:
        """Take messages of the client."""
        self._now = now
        super().receive(payloads, now)

    def deliver(self, due: Round, now: float) -> None:
        """Send what of this round is subscribed and paid for."""
        self._now = now
        if "no-data" not in self._modes:
            super().deliver(due, now)

    def tick(self, now: float) -> None:
        """Time has passed."""
        self._now = now
        self._fire("seconds", now - self._opened)
        if self._flap_at is not None and now >= self._flap_at:
            self.ending = self.ending or Ending(1000, "flap")
        super().tick(now)

    def next_deadline(self) -> float | None:
        """When `tick` has something to do."""
        second = self._schedule.next_second()
        moments = [super().next_deadline(), self._flap_at, None if second is None else self._opened + second]
        return min((at for at in moments if at is not None), default=None)

    def moment(self, moment: Moment) -> None:
        """This moment has come."""
        self._fire(moment)

    def hand_out(self, delivery: Delivery) -> None:
        """The moments after so many pushes."""
        pushes = delivery.pushes
        while pushes and self.ending is None:
            count = self._schedule.next_push(self._pushed) or len(pushes)
            now, pushes = pushes[:count], pushes[count:]
            self._emit(now)
            self._pushed += len(now)
            self._fire("pushes", self._pushed)
            self._fire("every")

    def _fire(self, moment: Moment, reached: float = 0.0, *, modes_only: bool = False) -> None:
        for kind in self._schedule.take(moment, reached, modes_only=modes_only):
            if self.ending is None:
                if moment != "every":
                    self.note(f"fault: {kind.name}")
                self._do(kind)

    # What happens once.

    def _do(self, kind: FaultKind) -> None:
        name = kind.name
        if kind.sort == "mode":
            self._begin(name)
        elif name in self.faults:
            self.faults[name](self, self._now)
        elif name in BAD_BYTES:
            self._outgoing += BAD_BYTES[name](self.sample, min(self.symbols, default=self.sample.some_symbol))
        elif name.startswith("close-"):
            self.ending = Ending(int(name.removeprefix("close-")), "fault")
        else:
            _EVENTS[name](self)

    def flap(self) -> None:
        """Close a little later."""
        self._flap_at = self._now + FLAP_S

    def burst(self) -> None:
        """Let the market jump."""
        self._skip(BURST_STEPS)

    def lose(self) -> None:
        """Let the next push disappear."""
        self._to_lose += 1

    # What lasts.

    def _begin(self, name: str) -> None:
        self._modes.add(name)
        if name in ("mute", "blackhole") and self._audible is None:
            self._audible = len(self._outgoing)
            self.deaf = name == "blackhole"
        elif name == "slow-frame":
            self.slow = True

    def sift(
        self,
        symbols: Iterable[str],
        knows: Callable[[str], bool],
        active: Container[str] = frozenset(),
        room: int | None = None,
    ) -> Sifted:
        """A subscription has come: modes begin before it is answered, all else comes after the answer."""
        self._fire("subscribe", modes_only=True)
        wanted = list(symbols)
        if "symbol-limit" in self._modes:
            return Sifted([], [], wanted)
        refused = wanted[:1] if "invalid-symbol" in self._modes else []
        wanted = wanted[len(refused) :]
        if "partial-ack" in self._modes:
            wanted = wanted[:-1]
        good, unknown, over = super().sift(wanted, knows, active, room)
        return Sifted(good, [*refused, *unknown], over)

    def send(self, payload: bytes, sort: Sort = "other") -> None:
        """Queue a message, unless it is of a sort that is withheld."""
        if WITHHELD.get(sort) not in self._modes:
            super().send(payload, sort)

    def ping(self, payload: bytes) -> None:
        """Answer a ping frame."""
        if "no-pong" not in self._modes:
            super().ping(payload)

    def client_closed(self, code: int | None) -> None:
        """The client's close frame has come."""
        if self._audible is None:
            super().client_closed(code)

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent since the last call, in order."""
        out = super().take_outgoing()
        if self._audible is not None:
            out, self._audible = out[: self._audible], 0
        return [_in_fragments(item) for item in out] if "fragments" in self._modes else out

    # Data.

    def _emit(self, pushes: list[Push]) -> None:
        if self._to_lose:
            lost, self._to_lose = self._to_lose, max(0, self._to_lose - len(pushes))
            pushes = pushes[lost:]
        if self._modes & _CHANGES.keys():
            pushes = [self._changed(one) for one in pushes]
        if "out-of-order" in self._modes:
            pushes = list(self._swapped(pushes))
        if "duplicate" in self._modes:
            pushes = list(chain.from_iterable((one, one) for one in pushes))
        if pushes:
            super().hand_out(delivery_of(pushes))

    def _changed(self, one: Push) -> Push:
        item = one.item
        for name, change in _CHANGES.items():
            if name in self._modes:
                item = change(item)
        return one if item is one.item else self.push(item)

    def _swapped(self, pushes: list[Push]) -> Iterable[Push]:
        """Each second push of a topic before the first: it is held back until then."""
        for one in pushes:
            held = self._held.pop(one.topic, None)
            if held is None:
                self._held[one.topic] = one
            else:
                yield one
                yield held


@lru_cache(maxsize=64)
def misbehaving(kind: type[Conversation]) -> type[Misbehaving]:
    """A provider's conversation that can have faults."""
    return type(f"Misbehaving{kind.__name__}", (Misbehaving, kind), {})


_EVENTS: dict[str, Callable[[Misbehaving], None]] = {
    "flap": Misbehaving.flap,
    "burst": Misbehaving.burst,
    "lost": Misbehaving.lose,
    "drop": lambda conversation: setattr(conversation, "ending", Ending(None)),
    "reset": lambda conversation: setattr(conversation, "ending", Ending(None, reset=True)),
}


def _skewed(item: Item) -> Item:
    if isinstance(item, Candle):
        return item.at(item.open_ns + SKEW_NS)
    if item.ts_event is None or isinstance(item, BookSnapshot):  # a book is not sent as it is, but as what changes
        return item
    return msgspec.structs.replace(item, ts_event=Timestamp(item.ts_event + SKEW_NS))


def _crossed(item: Item) -> Item:
    if isinstance(item, Candle):
        return msgspec.structs.replace(item, bid=item.ask, ask=item.bid, spread_points=-item.spread_points)
    return msgspec.structs.replace(item, bid=item.ask, ask=item.bid) if isinstance(item, Quote) else item


def _without_quote(item: Item) -> Item:
    return msgspec.structs.replace(item, bid="null", ask="null") if isinstance(item, Candle) else item


_CHANGES: dict[str, Callable[[Item], Item]] = {"skew": _skewed, "crossed": _crossed, "null-quote": _without_quote}


def _in_fragments(item: Outgoing) -> Outgoing:
    if isinstance(item, Message):
        return Raw(fragmented(item.payload))
    if isinstance(item, Delivery):
        return delivery_of([Push(one.item, one.topic, fragmented(payload_of(one.frame))) for one in item.pushes])
    return item
