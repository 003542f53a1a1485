"""TickAtlas, the server's side: plans, credits, authentication, one-minute candles. Pure: time is an argument.

Wire facts: TickAtlas' streaming guide (tickatlas.com/guides/websocket-streaming). What the guide leaves open is a
convention of ours and marked so: additive subscriptions, `unsubscribed`, the codes `not_authenticated`,
`invalid_message`, `unknown_action`, `invalid_symbol` and `symbol_limit`, close code 1008, spread in points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from tickstream import numbers
from tickstream.credits import Plan
from tickstream.errors import UsageError
from tickstream.events import Bar
from tickstream.simulator.accounts import Account, Accounts
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import SOME_ONLY
from tickstream.simulator.market import DAY_NS, MINUTE_NS, Candle, Item, MarketSource, decimal_text
from tickstream.simulator.options import PARTICULAR, SimulatorOptions
from tickstream.simulator.outgoing import HEADERS, Ending, Push, Round
from tickstream.simulator.sample import Sample
from tickstream.suggestions import shown
from tickstream.timestamps import rfc3339

PATH = "/ws/v1/quotes"

AUTH_DEADLINE_S = 10.0
HEARTBEAT_S = 30.0
USUAL_PLAN = "pro"

PLANS: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan("free", 0, 0, 0, 1_000, streaming=False),
        Plan("payg", None, 0, 0, None, streaming=False),
        Plan("starter", 29, 5, 5, 10_000),
        Plan("pro", 79, 4, 50, 100_000),
        Plan("enterprise", 349, 3, 200, 1_000_000),
    )
}
"""Credits per push and the limit of starter are TickAtlas' own figures. Its limits of pro and enterprise are not
published (20 at least), its daily credits neither (these are the REST requests a day): the rest is ours."""

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


def push(candle: Candle, spread_in_price: bool = False) -> Push:
    """The push of a candle."""
    payload = quote(candle, spread_in_price)
    return Push(candle, candle.symbol, HEADERS[len(payload)] + payload)


def message(kind: str, **fields: object) -> bytes:
    """A server message: `type` first, the fields in the order given."""
    return msgspec.json.encode({"type": kind, **fields})


def day_of(item: Item) -> int:
    """The market day in which it is charged: that in which it is complete."""
    opens = item.open_ns if isinstance(item, Candle) else item.ts_event or item.ts_recv
    return (opens + MINUTE_NS) // DAY_NS


def candle_of(bar: Item) -> Candle | None:
    """The candle of a bar that was recorded; None for all else."""
    if not isinstance(bar, Bar):
        return None
    decimals = max(map(numbers.places, (bar.open, bar.high, bar.low, bar.close)))
    spread = 0 if bar.spread is None else int(numbers.decimal(bar.spread).scaleb(decimals))
    volume, bid, ask = ("null" if value is None else numbers.text(value) for value in (bar.volume, bar.bid, bar.ask))
    opened, high, low, close = map(numbers.text, (bar.open, bar.high, bar.low, bar.close))
    opens_ns = bar.ts_event or bar.ts_recv
    return Candle(bar.symbol, opens_ns, opened, high, low, close, volume, bid, ask, spread, decimals)


_SOME_QUOTE: dict[str, object] = {
    "time": "2026-06-24T14:54:00Z",
    "open": 1.5,
    "high": 1.5,
    "low": 1.5,
    "close": 1.5,
    "bid": 1.5,
    "ask": 1.75,
    "spread": 12,
    "volume": 7,
}


class TickAtlasConversation(Conversation):
    """One connection. It needs a key first, then symbols."""

    sample: ClassVar[Sample] = Sample(
        harmless=message("heartbeat"),
        strange=message("auction", state="open"),
        error=lambda code, text: message("error", code=code, message=text),
        data=lambda symbol: {"type": "quote", "data": {"symbol": symbol, **_SOME_QUOTE}},
        symbol=("data", "symbol"),
        time=("data", "time"),
        prices=(("data", "open"), ("data", "close"), ("data", "bid")),
        some_symbol="EURUSD",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "auth-timeout": lambda talk, _: talk.refuse("auth_timeout"),
        "invalid-key": lambda talk, _: talk.refuse("invalid_key"),
        "echo-key": lambda talk, _: talk.refuse("invalid_key", f"Unknown or revoked API key: {talk.key}"),
        "connection-limit": lambda talk, _: talk.refuse("connection_limit"),
        "forbidden": lambda talk, _: talk.refuse("forbidden"),
        "quota-exceeded": lambda talk, now: talk.go_broke(now),
    }
    modes = SOME_ONLY

    def __init__(self, rules: Rules, now: float) -> None:
        super().__init__(rules, now)
        self.rules = rules
        self.account: Account | None = None
        self._heartbeat_at: float | None = None
        self._paused = False
        self._broke = False

    def hear(self, payload: bytes, now: float) -> None:
        """One message of the client."""
        try:
            decoded = msgspec.json.decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            decoded = None
        if isinstance(decoded, dict) and isinstance(decoded.get("action"), str):
            self._handle(decoded, now)
        else:
            self.unreadable()

    def tick(self, now: float) -> None:
        """Time has passed: heartbeats, and the end of the wait for an auth message."""
        if self.ending is not None:
            return
        if self._heartbeat_at is None:
            if not self.auth_frames and now >= self._opened + self.rules.auth_deadline_s:
                self.refuse("auth_timeout")
        elif now >= self._heartbeat_at:
            self.send(message("heartbeat"), "heartbeat")
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
        paid = self.account.charge(len(wanted), day_of(wanted[0].item), now)
        if paid:
            self._paused = False
            self.hand_out(self.delivery(wanted if paid == len(wanted) else wanted[:paid], due))
        if paid < len(wanted) or self.account.exhausted:
            self.pause()

    def close(self) -> None:
        """The connection is gone: the key's slot is free again."""
        if self.account is not None:
            self.rules.accounts.leave(self.account)
            self.account = None

    def push(self, item: Item) -> Push:
        """The push of a candle."""
        assert isinstance(item, Candle)
        return push(item, self.rules.spread_in_price)

    def unreadable(self) -> None:
        """A message has come that is no text."""
        self.error("invalid_message")

    def error(self, code: str, text: str | None = None) -> None:
        """Queue an error; the connection goes on."""
        self.send(message("error", code=code, message=ERRORS.get(code, code) if text is None else text), "error")

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
            self.send(message("pong"), "pong")
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
        key = request["key"] if "key" in request else request.get("api_key")
        if not self.admit(str(key)):
            return
        account = accounts.find(key)
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
        if self._broke:
            account.exhaust(now)
        fields = {
            "plan": account.plan.name,
            "max_symbols": self.rules.max_symbols,
            "credits_per_push": account.plan.credits_per_push,
            "daily_quota_remaining": account.remaining(self.rules.accounts.day, now),
        }
        self.send(message("authenticated", **fields), "auth")
        if account.exhausted:
            self.pause()

    def subscribe(self, symbols: list[str]) -> None:
        """Add symbols: what is not known, and what is over the plan's limit, is refused; the rest is active."""
        limit = self.rules.max_symbols
        good, unknown, over = self.sift(symbols, self.rules.knows, self.topics, limit - len(self.topics))
        self.topics.update({symbol: symbol for symbol in good})
        if unknown:
            self.error("invalid_symbol", f"Unknown symbol: {', '.join(unknown)}")
        if over:
            self.error("symbol_limit", f"Your plan allows {limit} symbols: {', '.join(over)} not subscribed")
        self.acknowledge("subscribed")
        self.subscribed()

    def unsubscribe(self, symbols: list[str]) -> None:
        """Remove symbols; those that are not active do not matter."""
        for symbol in symbols:
            self.topics.pop(symbol, None)
        self.acknowledge("unsubscribed")

    def acknowledge(self, kind: str) -> None:
        """Answer with all symbols that are active now."""
        self.note(f"{kind}: now {' '.join(self.topics) or 'nothing'}")
        self.send(message(kind, symbols=list(self.topics), total_subscribed=len(self.topics)), "ack")

    def go_broke(self, now: float) -> None:
        """Use up the day's credits, now or as soon as we know whose."""
        self._broke = True
        if self.account is not None:
            self.account.exhaust(now)
            self.pause()

    def pause(self) -> None:
        """The credits are used up: say so once."""
        if not self._paused:
            self._paused = True
            self.note("quota exceeded")
            self.error("quota_exceeded")


class TickAtlas(Counterpart):
    """TickAtlas: a key has a plan, the plan its credits a push and its symbols; two connections a key."""

    title = "TickAtlas"
    path = PATH
    conversation = TickAtlasConversation
    plans = tuple(PLANS)
    honours = frozenset(PARTICULAR)

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        plan = PLANS[options.plan or USUAL_PLAN]
        quota, reset_after_s = daily_quota(options), options.quota_reset_after_s
        accounts = Accounts(plan, keys=options.keys, quota=quota, reset_after_s=reset_after_s)
        accounts.day = (first_ns + MINUTE_NS) // DAY_NS
        self.shared = Rules(
            accounts,
            options.max_symbols or plan.max_symbols or 0,
            source.knows,
            options.heartbeat_s or HEARTBEAT_S,
            options.auth_deadline_s or AUTH_DEADLINE_S,
            options.spread_in_price,
            options.close_code,
        )

    @classmethod
    def check(cls, options: SimulatorOptions) -> None:
        """Raises UsageError for options that make no sense."""
        super().check(options)
        if options.plan is not None and options.plan not in PLANS:
            raise UsageError(f"There is no plan {shown(options.plan)}", hint=f"Plans: {', '.join(PLANS)}.")

    def round(self, items: Sequence[Item]) -> Round:
        """A push for each candle."""
        in_price = self.shared.spread_in_price
        pushes = [
            push(candle, in_price) for item in items if (candle := item if type(item) is Candle else candle_of(item))
        ]
        self.shared.accounts.day = day_of(items[0])
        return Round(pushes)


def daily_quota(options: SimulatorOptions) -> int | None:
    """Credits a day; None: unlimited."""
    if options.quota == "plan":
        return PLANS[options.plan or USUAL_PLAN].daily_quota
    return None if options.quota == "unlimited" else int(options.quota)


COUNTERPART = TickAtlas
