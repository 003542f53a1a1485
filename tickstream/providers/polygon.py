"""Polygon.io, now called Massive: trades, quotes and bars of stocks, options, indices, currencies and crypto.

Wire facts are from massive.com/docs/websocket and the machine-readable description in github massive-com/client-python
unless a comment says "convention". Each asset class has an endpoint of its own; every frame is an array of events. What
those are in our schema is in polygon_events.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import msgspec

from tickstream import markets
from tickstream.canonical import Canonical
from tickstream.errors import AuthTimeout, ConnectionLimit, Forbidden, InvalidKey, ProviderError
from tickstream.events import joined
from tickstream.providers import polygon_events as wire
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import UNDECODABLE, MessageDecoder
from tickstream.providers.polygon_events import NAME
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

AUTH_TIMEOUT_S = 10.0
"""For the greeting, and again for the answer to the key."""
HELD_S = 60.0
"""After `max_connections`: the least wait."""
LONGEST_FRAME = 2**20
"""Bytes. The official Go client reads no longer ones."""

WILDCARDS = {"stocks": "*", "forex": "*/*", "crypto": "*-*"}
"""Cluster -> the symbol that stands for all of them; `*` on the wire."""
_ALL = frozenset(WILDCARDS.values())
_STOCKS = {"trades": "T", "quotes": "Q", "1m": "AM", "1s": "A"}
TOPICS = {
    "stocks": _STOCKS,
    "options": _STOCKS,
    "indices": {"1m": "AM", "1s": "A"},
    "forex": {"quotes": "C", "1m": "CA", "1s": "CAS"},
    "crypto": {"trades": "XT", "quotes": "XQ", "1m": "XA", "1s": "XAS"},
}
"""Cluster -> channel, or interval of bars -> topic. Each cluster is an endpoint of its own."""


def cluster_of(symbol: str) -> str:
    """Where a symbol is served: EUR/USD at forex, BTC-USD at crypto, O:... and I:... at theirs, all else at stocks."""
    if "/" in symbol:
        return "forex"
    if "-" in symbol:
        return "crypto"
    return {"O:": "options", "I:": "indices"}.get(symbol[:2], "stocks")


class Frames(MessageDecoder[list[Any]]):
    """A frame is an array of messages; one that is looked at by itself is a frame of one."""

    def __init__(self, union: Any) -> None:
        super().__init__(union, "ev")
        self._frames: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[union])

    def batch(self, payloads: Sequence[bytes]) -> list[list[Any]] | None:
        """One frame for each payload, or None: see MessageDecoder. `]` newline `[` is inside of no JSON value."""
        if any(one[:1] != b"[" or one[-1:] != b"]" or len(one) > LONGEST_FRAME for one in payloads):
            return None
        try:
            frames = self._frames.decode_lines(joined(payloads))
        except UNDECODABLE:
            return None
        return frames if len(frames) == len(payloads) else None

    def one(self, payload: bytes) -> list[Any]:
        """Raises as MessageDecoder.one does."""
        return [super().one(payload)]


class PolygonProtocol(SubscribingFeed[list[wire.Message]]):
    """connected -> the key -> auth_success -> topics -> success for each -> events."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = Frames(wire.Message)

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._cluster = cluster_of(feed.subscription.symbols[0])
        channel = feed.subscription.channel
        self._topic = TOPICS[self._cluster].get(self.setting("interval") if channel is Channel.BARS else channel)
        self._auth_due: float | None = None

    # --- what we say -----------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """The endpoint of the first symbol's cluster; the key is in a message."""
        request = super().connect_request()
        base, _, last = request.url.rpartition("/")
        return msgspec.structs.replace(request, url=f"{base}/{self._cluster}") if last in TOPICS else request

    def open(self, now: float) -> None:
        """Polygon speaks first."""
        self._auth_due = now + AUTH_TIMEOUT_S

    def request(self, symbols: list[str]) -> dict[str, Any]:
        """The topics of these symbols."""
        return {"action": "subscribe", "params": ",".join(map(self._topic_of, symbols))}

    def _topic_of(self, symbol: str) -> str:
        return f"{self._topic}.{'*' if symbol in _ALL else symbol}"

    # --- what we hear ----------------------------------------------------------------------------------------------

    def on_batch(self, messages: list[list[wire.Message]], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:
        """The usual batch: nothing but trades, or nothing but quotes."""
        some = list(chain.from_iterable(messages))
        kinds = {*map(type, some)}
        whole = wire.WHOLE.get(*kinds) if len(kinds) == 1 else None
        if (
            whole is None
            or not all(messages)
            or not (self._takes_all or self.asked.issuperset(map(wire.symbol_of, some)))
        ):
            return False
        events = whole(some, ts_recv)
        if events is None:
            return False
        self.counters.messages += len(some) - len(payloads)
        self._events += events
        self._pass_on(payloads)
        if self.phase is not Phase.LIVE:
            self.go_live()
        if self._unanswered:
            self.answered({*map(wire.symbol_of, some)})
        return True

    def on_message(self, message: list[wire.Message], payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One frame. A bad message in it costs the others nothing."""
        self.counters.messages += max(0, len(message) - 1)
        events = []
        for one in message:
            if isinstance(one, wire.Status):
                self._status(one, ts_recv, now)
                continue
            try:
                events.append(wire.event_of(one, ts_recv))
            except ValueError as reason:
                self.quarantine(payload, str(reason))
        self.give(events, payload, ts_recv)

    @property
    def _takes_all(self) -> bool:
        return not _ALL.isdisjoint(self.asked)

    def is_ours(self, symbol: str, ts: Timestamp) -> bool:
        """All symbols are, where all were asked for."""
        return self._takes_all or super().is_ours(symbol, ts)

    def _status(self, said: wire.Status, ts_recv: Timestamp, now: float) -> None:
        match said.status:
            case "connected" if self.phase is Phase.AUTH and self._auth_due is not None:
                key = self.feed.key.reveal() if self.feed.key else ""
                self.send({"action": "auth", "params": key})
                self._auth_due = now + AUTH_TIMEOUT_S
            case "auth_success" if self.phase is Phase.AUTH:
                self._auth_due = None
                self.phase = Phase.SUBSCRIBE
                self._subscribe(ts_recv, now)
            case "success" if said.message.startswith("subscribed to:"):
                self.answered(self._named(said.message))
            case "connected" | "auth_success" | "success":
                pass
            case "error" | "not_found" if named := self._named(said.message):
                self.turned_down(ts_recv, "symbol_refused", self.redact(said.message)[:100], named)
            case "error" if said.message.lower().startswith(NOT_AUTHORIZED):
                self.report(ts_recv, NOT_AUTHORIZED, said.message)
            case _:
                self.report(ts_recv, said.status, said.message)

    def _subscribe(self, ts_recv: Timestamp, now: float) -> None:
        wanted = self.choose(ts_recv, None)
        if self._topic is None:
            why = f"there are no {self.feed.subscription.channel} at the endpoint {self._cluster}"
            self.turned_down(ts_recv, "symbol_refused", why, wanted)
        if elsewhere := tuple(one for one in wanted if cluster_of(one) != self._cluster):
            why = f"a connection has one endpoint, and {wanted[0]} is at {self._cluster}: stream these in another run"
            self.turned_down(ts_recv, "symbol_refused", why, elsewhere)
        self.begin(tuple(one for one in wanted if one in self.asked), now)

    def _named(self, message: str) -> tuple[str, ...]:
        """Those of our symbols whose topics a message names."""
        words = frozenset(re.split(r"[\s,]+", message))
        return tuple(
            one for one in self.feed.subscription.symbols if one in self.asked and self._topic_of(one) in words
        )

    def error_for(self, code: str, message: str) -> ProviderError | None:
        """With too many connections a minute is the least to wait."""
        error = super().error_for(code, message)
        if isinstance(error, ConnectionLimit):
            error.retry_after_s = HELD_S
        return error

    # --- time ------------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """Raises AuthTimeout, and what SubscribingFeed raises."""
        if self._auth_due is not None and now >= self._auth_due:
            raise AuthTimeout(f"Polygon did not let us in within {AUTH_TIMEOUT_S:.0f} s.", code="auth_timeout")
        super().tick(now, ts)

    def next_deadline(self) -> float | None:
        """The answer to the key, or what SubscribingFeed waits for."""
        planned = (self._auth_due, super().next_deadline())
        return min((at for at in planned if at is not None), default=None)


_HOURS = {"forex": markets.FOREX, "crypto": markets.ALWAYS}


def market_of(symbol: str) -> markets.Market:
    """By the cluster. Stocks are quoted before and after New York's day, too, but silence means nothing then."""
    return _HOURS.get(cluster_of(symbol), markets.US_EQUITIES)


NOT_AUTHORIZED = "not authorized"
# fmt: off
ERRORS = (
    ErrorCode(
        "auth_failed", "the key is not known, or its plan does not have this endpoint",
        "Check the key's origin with `tickstream config show`, and your plan: each endpoint is bought by itself.",
        InvalidKey,
    ),
    ErrorCode(
        "auth_timeout", "the key did not arrive in time", "It is retried; if it persists, the network is very slow.",
        AuthTimeout,
    ),
    ErrorCode(
        "max_connections", "the key has as many connections at this endpoint as its plan allows, usually one",
        "End the other connection, or wait: it is tried again, a minute later at the earliest.", ConnectionLimit,
    ),
    ErrorCode(
        NOT_AUTHORIZED, "the plan does not have this channel", "Take another channel, or another plan.",
        Forbidden, False,
    ),
    ErrorCode(
        "not_found", "a topic that Polygon does not have", "Check the spelling of the symbols.", None, False,
    ),
)
COMMON_SYMBOLS = (
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "TSLA", "SPY", "QQQ", "BRK.B", "EUR/USD", "GBP/USD", "USD/JPY", "USD/CNH",
    "BTC-USD", "ETH-USD", "SOL-USD", "I:SPX", "*", "*/*", "*-*",
)
# fmt: on


def alias(meaning: Canonical, _settings: Mapping[str, str]) -> str | None:
    """Metals are among the currencies (convention)."""
    match meaning.kind:
        case "stock":
            return meaning.base
        case "crypto":
            return f"{meaning.base}-{meaning.quote}"
        case _:
            return f"{meaning.base}/{meaning.quote}"


SPEC = ProviderSpec(
    name=NAME,
    title="Polygon",
    url="wss://socket.massive.com/stocks",
    key_env="POLYGON_API_KEY",
    channels=(Channel.TRADES, Channel.QUOTES, Channel.BARS),
    symbol_pattern=re.compile(
        r"[A-Z][A-Za-z0-9.]{0,11}|O:[A-Z0-9.]{1,8}[0-9]{6}[CP][0-9]{8}|I:[A-Z0-9]{1,12}"
        r"|[A-Z]{3}/[A-Z]{3}|[A-Z0-9]{1,12}-[A-Z]{3,5}|\*|\*/\*|\*-\*"
    ),
    symbol_help=(
        "AAPL or O:SPY241220P00720000 or I:SPX, EUR/USD for currencies, BTC-USD for crypto; "
        "all stocks, currencies or coins are '*', '*/*' or '*-*'"
    ),
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=PolygonProtocol,
    max_connections=1,
    ping_interval_s=25.0,
    data_silence_s=900.0,
    settings={"interval": ("1m", "1s")},
    site="https://massive.com",
    free_tier="none for streams: they need a plan for each of stocks, options, indices, currencies, crypto",
    limits=(
        "one connection for each endpoint (stocks, options, indices, forex, crypto), unless the plan has more",
        "any number of symbols, as long as they are read as fast as they come",
    ),
    heartbeat="none but WebSocket pings; ours every 25 s",
    market_of=market_of,
    alias=alias,
)

PolygonProtocol.spec = SPEC
