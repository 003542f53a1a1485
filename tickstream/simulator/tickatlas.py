"""TickAtlas, the server's side of one connection. Pure: messages in, messages out, time as an argument.

Wire facts: TickAtlas' streaming guide (tickatlas.com/guides/websocket-streaming). What the guide leaves open is a
convention of ours and marked so: additive subscriptions, `unsubscribed`, the codes `not_authenticated`,
`invalid_message`, `unknown_action`, `invalid_symbol` and `symbol_limit`, close code 1008, spread in points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate

import msgspec

from tickstream.session.frames import PONG, TEXT, encode_frame
from tickstream.simulator.accounts import Account, Accounts
from tickstream.simulator.market import DAY_NS, MINUTE_NS, Candle, decimal_text
from tickstream.timestamps import rfc3339

PATH = "/ws/v1/quotes"

AUTH_DEADLINE_S = 10.0
HEARTBEAT_S = 30.0

ERRORS: dict[str, str] = {
    "auth_timeout": "No auth message within 10 seconds",
    "invalid_key": "Unknown or revoked API key",
    "connection_limit": "This key already has 2 active connections",
    "forbidden": "WebSocket streaming is not included in your plan",
    "quota_exceeded": "Daily quota exhausted",
    "not_authenticated": "Send an auth message first",
    "invalid_message": "Not a valid message",
    "unknown_action": "Unknown action",
    "invalid_symbol": "Unknown symbol",
    "symbol_limit": "More symbols than your plan allows",
}
"""Code -> message."""


class Rules(msgspec.Struct, frozen=True):
    """What holds for all connections. Times in seconds."""

    accounts: Accounts
    max_symbols: int
    knows: Callable[[str], bool]
    heartbeat_s: float = HEARTBEAT_S
    auth_deadline_s: float = AUTH_DEADLINE_S
    spread_in_price: bool = False
    close_code: int | None = 1008
    """Close code after an error; None drops the connection without a close frame."""


class Push(msgspec.Struct, frozen=True, gc=False):
    """A candle on its way to the clients, with its finished frame."""

    candle: Candle
    frame: bytes


class Round:
    """Pushes that are due together, all on the same market day (the day in which their candles are complete)."""

    def __init__(self, pushes: list[Push]) -> None:
        self.pushes = pushes
        self.day = (pushes[0].candle.open_ns + MINUTE_NS) // DAY_NS

    @cached_property
    def symbols(self) -> frozenset[str]:
        """All symbols in it."""
        return frozenset(push.candle.symbol for push in self.pushes)

    @cached_property
    def data(self) -> bytes:
        """All frames: made once, for all clients that get the whole round."""
        return b"".join([push.frame for push in self.pushes])


class Message(msgspec.Struct, frozen=True):
    """To send: one JSON message."""

    payload: bytes


class Delivery(msgspec.Struct, frozen=True):
    """To send: pushes. `data` is all their frames."""

    pushes: list[Push]
    data: bytes

    def ends(self) -> list[int]:
        """Where each push ends in `data`."""
        return list(accumulate(len(push.frame) for push in self.pushes))


class Raw(msgspec.Struct, frozen=True):
    """To send: bytes that are frames already, or should not be."""

    data: bytes


class Flood(msgspec.Struct, frozen=True):
    """To send, and nothing after it: bytes without an end."""

    chunks: Iterator[bytes]


Outgoing = Message | Delivery | Raw | Flood


class Ending(msgspec.Struct, frozen=True):
    """The connection is to be closed once all is sent. `code` None: without a close frame; `reset`: by a TCP RST."""

    code: int | None
    reason: str = ""
    reset: bool = False


def quote(candle: Candle, spread_in_price: bool = False) -> bytes:
    """The `quote` message of a candle. The spread is in points, or in price units."""
    spread = decimal_text(candle.spread_points, candle.decimals) if spread_in_price else candle.spread_points
    return (
        f'{{"type":"quote","data":{{"symbol":"{candle.symbol}","time":"{time_text(candle.open_ns)}",'
        f'"open":{candle.open},"high":{candle.high},"low":{candle.low},"close":{candle.close},'
        f'"bid":{candle.bid},"ask":{candle.ask},"spread":{spread},"volume":{candle.volume}}}}}'
    ).encode()


def time_text(ns: int) -> str:
    """UTC, to the second: 2026-06-24T14:54:00Z."""
    day, second = divmod(ns // 1_000_000_000, 86_400)
    return _day_text(day) + _CLOCK_TEXTS[second // 60] if not second % 60 else rfc3339(ns)[:19] + "Z"


@lru_cache(maxsize=64)
def _day_text(day: int) -> str:
    return rfc3339(day * DAY_NS)[:11]


_CLOCK_TEXTS = tuple(f"{minute // 60:02d}:{minute % 60:02d}:00Z" for minute in range(1440))
_HEADERS = tuple(encode_frame(TEXT, bytes(length))[: -length or None] for length in range(1024))
"""Frame headers by length of the payload: looking one up is a third of the work of making one."""


def push(candle: Candle, spread_in_price: bool = False) -> Push:
    """The push of a candle."""
    payload = quote(candle, spread_in_price)
    return Push(candle, _HEADERS[len(payload)] + payload)


def message(kind: str, **fields: object) -> bytes:
    """A server message: `type` first, the fields in the order given."""
    return msgspec.json.encode({"type": kind, **fields})


class Conversation:
    """One connection. Give it what arrives and the time; take `take_outgoing()`, and obey `ending`."""

    def __init__(self, rules: Rules, now: float) -> None:
        self.rules = rules
        self.account: Account | None = None
        self.symbols: dict[str, None] = {}
        """Active symbols in the order of subscription."""
        self.ending: Ending | None = None
        self.auth_frames = 0
        self.deaf = False
        """True when nothing of the client is to be read any more."""
        self.slow = False
        """True when only one byte a second is to be sent."""
        self._outgoing: list[Outgoing] = []
        self._notes: list[str] = []
        self._opened = now
        self._heartbeat_at: float | None = None
        self._paused = False

    def receive(self, payloads: list[bytes], now: float) -> None:
        """Take messages of the client."""
        for payload in payloads:
            if self.ending is not None:
                return
            try:
                decoded = msgspec.json.decode(payload)
            except (msgspec.DecodeError, ValueError, RecursionError):
                decoded = None
            if isinstance(decoded, dict) and isinstance(decoded.get("action"), str):
                self._handle(decoded, now)
            else:
                self.error("invalid_message")

    def tick(self, now: float) -> None:
        """Time has passed: heartbeats, and the end of the wait for an auth message."""
        if self.ending is not None:
            return
        if self._heartbeat_at is None:
            if not self.auth_frames and now >= self._opened + self.rules.auth_deadline_s:
                self.refuse("auth_timeout")
        elif now >= self._heartbeat_at:
            self.heartbeat()
            missed = int((now - self._heartbeat_at) / self.rules.heartbeat_s)
            self._heartbeat_at += (missed + 1) * self.rules.heartbeat_s

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None: never."""
        if self._heartbeat_at is not None:
            return self._heartbeat_at
        return None if self.auth_frames else self._opened + self.rules.auth_deadline_s

    def deliver(self, due: Round, now: float) -> None:
        """Send what of this round is subscribed and paid for."""
        wanted = self.wanted(due)
        if not wanted or self.account is None or self.ending is not None:
            return
        paid = self.account.charge(len(wanted), due.day, now)
        if paid:
            self._paused = False
            whole = paid == len(due.pushes)
            pushes = wanted[:paid]
            self.hand_out(Delivery(pushes, due.data if whole else b"".join([one.frame for one in pushes])))
        if paid < len(wanted) or self.account.exhausted:
            self.pause()

    def wanted(self, due: Round) -> list[Push]:
        """The pushes of a round that are subscribed."""
        if due.symbols <= self.symbols.keys():
            return due.pushes
        return [one for one in due.pushes if one.candle.symbol in self.symbols]

    def hand_out(self, delivery: Delivery) -> None:
        """Put pushes among what is to be sent."""
        self._outgoing.append(delivery)

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent since the last call, in order."""
        out, self._outgoing = self._outgoing, []
        return out

    def take_notes(self) -> list[str]:
        """What happened since the last call, for the log: no text of the client is in it."""
        out, self._notes = self._notes, []
        return out

    def note(self, text: str) -> None:
        """Something for the log."""
        self._notes.append(text)

    def ping(self, payload: bytes) -> None:
        """A ping frame has come: answer it."""
        self._outgoing.append(Raw(encode_frame(PONG, payload)))

    def client_closed(self, code: int | None) -> None:
        """The client's close frame has come: answer with the same code."""
        self.ending = Ending(code or 1000)

    def close(self) -> None:
        """The connection is gone: the key's slot is free again."""
        if self.account is not None:
            self.rules.accounts.leave(self.account)
            self.account = None

    def send(self, kind: str, **fields: object) -> None:
        """Queue a message."""
        self._outgoing.append(Message(message(kind, **fields)))

    def error(self, code: str, text: str | None = None) -> None:
        """Queue an error; the connection goes on."""
        self.send("error", code=code, message=ERRORS.get(code, code) if text is None else text)

    def refuse(self, code: str, text: str | None = None) -> None:
        """Queue an error, and end the connection."""
        self.note(f"refused: {code}")
        self.error(code, text)
        self.ending = Ending(self.rules.close_code, code)

    def _handle(self, request: dict[str, object], now: float) -> None:
        action = request["action"]
        if action == "auth":
            self.auth_frames += 1
            if self.account is None:
                self.authenticate(request, now)
            else:
                self.error("invalid_message", "Already authenticated")
        elif self.account is None:
            self.error("not_authenticated")
        elif action == "ping":
            self.pong()
        elif action in {"subscribe", "unsubscribe"}:
            wanted = request.get("symbols")
            if not isinstance(wanted, list) or not all(isinstance(symbol, str) for symbol in wanted):
                self.error("invalid_message", "symbols is to be an array of strings")
            elif action == "subscribe":
                self.subscribe(wanted)
            else:
                self.unsubscribe(wanted)
        else:
            self.error("unknown_action")

    def authenticate(self, request: dict[str, object], now: float) -> None:
        """The first message. `api_key` is accepted for `key`, as one sample of the guide has it."""
        accounts = self.rules.accounts
        account = accounts.find(request["key"] if "key" in request else request.get("api_key"))
        if account is None:
            self.refuse("invalid_key")
        elif not account.plan.streaming:
            self.refuse("forbidden")
        elif not accounts.enter(account):
            self.refuse("connection_limit")
        else:
            self.account = account
            self._heartbeat_at = now + self.rules.heartbeat_s
            self.note(f"authenticated, plan {account.plan.name}")
            self.welcome(account, now)

    def welcome(self, account: Account, now: float) -> None:
        """The key is good."""
        remaining = account.remaining(self.rules.accounts.day, now)
        self.send(
            "authenticated",
            plan=account.plan.name,
            max_symbols=self.rules.max_symbols,
            credits_per_push=account.plan.credits_per_push,
            daily_quota_remaining=remaining,
        )
        if account.exhausted:
            self.pause()

    def subscribe(self, symbols: list[str]) -> None:
        """Add symbols: what is not known, and what is over the plan's limit, is refused; the rest is active."""
        unknown = [symbol for symbol in symbols if not self.rules.knows(symbol)]
        fresh = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.symbols and symbol not in unknown]
        room = self.rules.max_symbols - len(self.symbols)
        self.symbols.update(dict.fromkeys(fresh[:room]))
        if unknown:
            self.error("invalid_symbol", f"Unknown symbol: {', '.join(unknown)}")
        if len(fresh) > room:
            self.error(
                "symbol_limit",
                f"Your plan allows {self.rules.max_symbols} symbols: {', '.join(fresh[room:])} not subscribed",
            )
        self.acknowledge("subscribed")

    def unsubscribe(self, symbols: list[str]) -> None:
        """Remove symbols; those that are not active do not matter."""
        for symbol in symbols:
            self.symbols.pop(symbol, None)
        self.acknowledge("unsubscribed")

    def acknowledge(self, kind: str) -> None:
        """Answer with all symbols that are active now."""
        self.note(f"{kind}: now {' '.join(self.symbols) or 'nothing'}")
        self.send(kind, symbols=list(self.symbols), total_subscribed=len(self.symbols))

    def heartbeat(self) -> None:
        """A sign of life."""
        self.send("heartbeat")

    def pong(self) -> None:
        """Answer a JSON ping."""
        self.send("pong")

    def pause(self) -> None:
        """The credits are used up: say so once."""
        if not self._paused:
            self._paused = True
            self.note("quota exceeded")
            self.error("quota_exceeded")
