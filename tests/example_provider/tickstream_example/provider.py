"""Example Exchange: trades, without a key. Numbers are strings, times milliseconds; `taker` is the taker's side."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from tickstream.errors import RateLimited
from tickstream.events import Trade
from tickstream.providers import loose
from tickstream.providers.base import ErrorCode, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp, from_epoch

NS_PER_MS = 1_000_000


class TradeMessage(msgspec.Struct, gc=False, tag_field="kind", tag="trade"):
    symbol: str
    price: msgspec.Raw
    size: msgspec.Raw
    taker: Literal["buy", "sell"]
    id: int
    ms: int


class Subscribed(msgspec.Struct, tag_field="kind", tag="subscribed"):
    symbols: list[str]
    unknown: list[str] = []


class Failure(msgspec.Struct, tag_field="kind", tag="error"):
    code: str
    message: str = ""


Message = TradeMessage | Subscribed | Failure


class ExampleProtocol(SubscribingFeed[Message]):
    """subscribe -> what is subscribed, trades."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = MessageDecoder(Message, "kind")

    def request(self, symbols: list[str]) -> dict[str, Any]:
        return {"op": "subscribe", "symbols": symbols}

    def on_message(self, message: Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        match message:
            case TradeMessage():
                trade = Trade(
                    "example", message.symbol, from_epoch(message.ms, NS_PER_MS), ts_recv,
                    loose.price(message.price), loose.price(message.size), message.taker, str(message.id),
                )  # fmt: skip
                # Ids count up by one: a hole becomes a gap, with the number missed.
                self.give_numbered([(trade, message.id, message.id)], payload, ts_recv)
            case Subscribed():
                if message.unknown:
                    self.turned_down(ts_recv, "symbol_refused", "not traded there", tuple(message.unknown))
                self.answered(message.symbols)
            case Failure():
                self.report(ts_recv, message.code, message.message)


SPEC = ProviderSpec(
    contract=1,
    name="example",
    title="Example Exchange",
    url="wss://stream.example.com/v1",
    key_env=None,
    channels=(Channel.TRADES,),
    symbol_pattern=re.compile(r"[A-Z]{2,6}-[A-Z]{3}"),
    symbol_help="a base and a quote currency with a hyphen between them: BTC-USD",
    common_symbols=("BTC-USD", "ETH-USD"),
    errors=(ErrorCode("slow_down", "too many requests in a second", "It is waited out.", RateLimited),),
    protocol=ExampleProtocol,
    site="https://example.com",
    free_tier="all of it",
    limits=("10 requests a second",),
    heartbeat="none",
)
ExampleProtocol.spec = SPEC
