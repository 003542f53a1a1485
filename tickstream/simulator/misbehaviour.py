"""A TickAtlas that goes wrong as it was told to. Pure, as the one that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import msgspec

from tickstream.simulator.accounts import Account
from tickstream.simulator.bad_bytes import BAD_BYTES, fragmented, payload_of
from tickstream.simulator.faults import Fault, FaultKind, Moment, Schedule
from tickstream.simulator.market import MINUTE_NS, Candle
from tickstream.simulator.tickatlas import (
    Conversation,
    Delivery,
    Ending,
    Message,
    Outgoing,
    Push,
    Raw,
    Round,
    Rules,
    push,
)

FLAP_S = 2.0
SKEW_NS = 60 * MINUTE_NS
BURST_MINUTES = 1_000

REFUSALS = {
    "auth-timeout": "auth_timeout",
    "invalid-key": "invalid_key",
    "connection-limit": "connection_limit",
    "forbidden": "forbidden",
}
"""Fault -> error code."""


class FaultyConversation(Conversation):
    """One connection with faults. `skip` lets the market jump forward by so many minutes."""

    def __init__(self, rules: Rules, now: float, faults: list[Fault], skip: Callable[[int], None]) -> None:
        super().__init__(rules, now)
        self._schedule = Schedule(faults)
        self._skip = skip
        self._modes: set[str] = set()
        self._key = ""
        self._pushed = 0
        self._flap_at: float | None = None
        self._audible: int | None = None
        """So many of the items queued are still sent; None: all."""
        self._held: dict[str, Push] = {}
        self._broke = False
        self._now = now
        self._fire("connect")

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

    def authenticate(self, request: dict[str, object], now: float) -> None:
        """The moment `auth`: instead of the answer, if the fault ends the connection."""
        self._key = str(request.get("key", request.get("api_key", "")))
        self._fire("auth")
        if self.ending is None:
            super().authenticate(request, now)

    def subscribe(self, symbols: list[str]) -> None:
        """The moment `subscribe`: modes begin before the answer, all else comes after it."""
        self._fire("subscribe", modes_only=True)
        self._subscribe(symbols)
        self._fire("subscribe")

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
        elif name in BAD_BYTES:
            self._outgoing += BAD_BYTES[name](next(iter(self.symbols), "EURUSD"))
        elif name in REFUSALS:
            self.refuse(REFUSALS[name])
        elif name.startswith("close-"):
            self.ending = Ending(int(name.removeprefix("close-")), "fault")
        else:
            _EVENTS[name](self)

    def echo_key(self) -> None:
        """Betray the key."""
        self.refuse("invalid_key", f"Unknown or revoked API key: {self._key}")

    def flap(self) -> None:
        """Close a little later."""
        self._flap_at = self._now + FLAP_S

    def burst(self) -> None:
        """Let the market jump."""
        self._skip(BURST_MINUTES)

    def go_broke(self) -> None:
        """Use up the day's credits, now or as soon as we know whose."""
        self._broke = True
        if self.account is not None:
            self.account.exhaust(self._now)
            self.pause()

    def welcome(self, account: Account, now: float) -> None:
        """The key is good."""
        if self._broke:
            account.exhaust(now)
        if "no-auth-reply" not in self._modes:
            super().welcome(account, now)

    # What lasts.

    def _begin(self, name: str) -> None:
        self._modes.add(name)
        if name in ("mute", "blackhole") and self._audible is None:
            self._audible = len(self._outgoing)
            self.deaf = name == "blackhole"
        elif name == "slow-frame":
            self.slow = True

    def _subscribe(self, symbols: list[str]) -> None:
        if "symbol-limit" in self._modes:
            self.error("symbol_limit")
            self.acknowledge("subscribed")
            return
        if "invalid-symbol" in self._modes and symbols:
            self.error("invalid_symbol", f"Unknown symbol: {symbols[0]}")
            symbols = symbols[1:]
        super().subscribe(symbols[:-1] if "partial-ack" in self._modes else symbols)

    def acknowledge(self, kind: str) -> None:
        """Answer with all symbols that are active now."""
        if "no-ack" not in self._modes:
            super().acknowledge(kind)

    def heartbeat(self) -> None:
        """A sign of life."""
        if "no-heartbeat" not in self._modes:
            super().heartbeat()

    def pong(self) -> None:
        """Answer a JSON ping."""
        if "no-pong" not in self._modes:
            super().pong()

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

    # Quotes.

    def _emit(self, pushes: list[Push]) -> None:
        if self._modes & _CHANGES.keys():
            pushes = [self._changed(one) for one in pushes]
        if "out-of-order" in self._modes:
            pushes = list(self._swapped(pushes))
        if "duplicate" in self._modes:
            pushes = list(chain.from_iterable((one, one) for one in pushes))
        if pushes:
            self._outgoing.append(Delivery(pushes, b"".join([one.frame for one in pushes])))

    def _changed(self, one: Push) -> Push:
        candle = one.candle
        for name, change in _CHANGES.items():
            if name in self._modes:
                candle = change(candle)
        return push(candle, self.rules.spread_in_price)

    def _swapped(self, pushes: list[Push]) -> Iterable[Push]:
        """Each second push of a symbol before the first: it is held back until then."""
        for one in pushes:
            held = self._held.pop(one.candle.symbol, None)
            if held is None:
                self._held[one.candle.symbol] = one
            else:
                yield one
                yield held


_EVENTS: dict[str, Callable[[FaultyConversation], None]] = {
    "echo-key": FaultyConversation.echo_key,
    "flap": FaultyConversation.flap,
    "burst": FaultyConversation.burst,
    "quota-exceeded": FaultyConversation.go_broke,
    "drop": lambda conversation: setattr(conversation, "ending", Ending(None)),
    "reset": lambda conversation: setattr(conversation, "ending", Ending(None, reset=True)),
}


def _crossed(candle: Candle) -> Candle:
    return msgspec.structs.replace(candle, bid=candle.ask, ask=candle.bid, spread_points=-candle.spread_points)


_CHANGES: dict[str, Callable[[Candle], Candle]] = {
    "skew": lambda candle: candle.at(candle.open_ns + SKEW_NS),
    "crossed": _crossed,
    "null-quote": lambda candle: msgspec.structs.replace(candle, bid="null", ask="null"),
}


def _in_fragments(item: Outgoing) -> Outgoing:
    if isinstance(item, Message):
        return Raw(fragmented(item.payload))
    if isinstance(item, Delivery):
        pushes = [Push(one.candle, fragmented(payload_of(one.frame))) for one in item.pushes]
        return Delivery(pushes, b"".join([one.frame for one in pushes]))
    return item
