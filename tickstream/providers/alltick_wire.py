"""AllTick's messages, in both of its protocols, and the events that they are. Pure; sources in alltick.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from tickstream import numbers
from tickstream.events import BookSnapshot, MarketEvent, Quote, Side, Trade
from tickstream.providers import loose
from tickstream.providers.json_feed import MessageDecoder
from tickstream.timestamps import Timestamp, from_epoch

NAME = "alltick"
STOCKS, OTHERS, SIMPLE = "/quote-stock-b-ws-api", "/quote-b-ws-api", "/ws/stock"
"""Paths of the endpoints."""
MICROSECONDS_FROM = 15
"""Digits of an epoch."""

_STOCK = re.compile(r"[A-Za-z0-9]+\.(US|HK|SH|SZ)")
_NULL = msgspec.Raw(b"null")


class TickData(msgspec.Struct, gc=False):
    """A trade; numbers may be text."""

    code: str
    price: msgspec.Raw
    volume: msgspec.Raw = _NULL
    seq: msgspec.Raw = _NULL
    tick_time: msgspec.Raw = _NULL
    trade_direction: msgspec.Raw = _NULL


class _Level(msgspec.Struct, gc=False):
    price: msgspec.Raw
    volume: msgspec.Raw = _NULL


class DepthData(msgspec.Struct, gc=False):
    """A book, best levels first, whole each time."""

    code: str
    bids: list[_Level] = []
    asks: list[_Level] = []
    seq: msgspec.Raw = _NULL
    tick_time: msgspec.Raw = _NULL


class Tick(msgspec.Struct, gc=False, tag_field="cmd_id", tag=22998):
    """Push of a trade."""

    data: TickData


class Depth(msgspec.Struct, gc=False, tag_field="cmd_id", tag=22999):
    """Push of a book."""

    data: DepthData


class Reply(msgspec.Struct, tag_field="cmd_id", tag=0):
    """The answer to a request; what could not be read is answered with the number 0."""

    ret: int
    msg: str = ""
    seq_id: int = 0


class Beaten(Reply, tag=22001):
    """To a heartbeat."""


class BookReply(Reply, tag=22003):
    """To a list of books."""


class TradesReply(Reply, tag=22005):
    """To a list of trades."""


class Cancelled(Reply, tag=22007):
    """To the end of a list."""


class SimpleTick(msgspec.Struct, gc=False):
    """All that the simple protocol sends."""

    symbol: str
    price: msgspec.Raw
    time: msgspec.Raw = _NULL
    timestamp: msgspec.Raw = _NULL


Message = Tick | Depth | Reply | Beaten | BookReply | TradesReply | Cancelled


class _Command(msgspec.Struct):
    cmd_id: int


class CommandDecoder(MessageDecoder[Any]):
    """Messages told apart by a number."""

    _command = msgspec.json.Decoder(_Command)

    def kind(self, payload: bytes) -> str:
        """The number as text. Raises one of UNDECODABLE when there is none."""
        return str(self._command.decode(payload).cmd_id)


class SimpleDecoder(MessageDecoder[Any]):
    """Messages of one kind, without a name for it."""

    def __init__(self) -> None:
        super().__init__(Tick | Depth, "cmd_id")
        self._decoder = msgspec.json.Decoder(SimpleTick)


def group_of(symbol: str) -> str:
    """Its endpoint: stocks have one of their own."""
    return STOCKS if _STOCK.fullmatch(symbol) else OTHERS


def moment_of(*forms: msgspec.Raw) -> Timestamp | None:
    """The first of these that is there: ISO 8601, or an epoch whose unit its length tells. Raises ValueError."""
    for raw in forms:
        if raw != _NULL:
            digits = bytes(raw).strip(b'"').decode()
            if digits.isdigit() and len(digits) >= MICROSECONDS_FROM:
                return from_epoch(digits, 1000)
            return loose.time(raw)
    return None


def trade_of(tick: TickData, number: int | None, ts_recv: Timestamp) -> Trade:
    """Its trade; with a side only where `trade_direction` means one. Raises ValueError."""
    price, size, at = loose.price(tick.price), numbers.parse(tick.volume), moment_of(tick.tick_time)
    told = group_of(tick.code) == STOCKS or tick.code.endswith("USDT")
    side = _SIDES.get(loose.count(tick.trade_direction)) if told else None
    return Trade(NAME, tick.code, at, ts_recv, price, size, side, None, number)


def depth_of(depth: DepthData, number: int | None, book: bool, ts_recv: Timestamp) -> MarketEvent:
    """The book; where sizes are not known, or only a quote is wanted, its best prices. Raises ValueError.

    Prices of 0 are none: so AllTick writes a side without orders.
    """
    at = moment_of(depth.tick_time)
    bids, asks = _levels(depth.bids), _levels(depth.asks)
    if book and all(size is not None for _, size in (*bids, *asks)):
        whole = [
            tuple((price, size) for price, size in side if size and numbers.decimal(size)) for side in (bids, asks)
        ]
        return BookSnapshot(NAME, depth.code, at, ts_recv, whole[0], whole[1], number)
    bid, bid_size = bids[0] if bids else (None, None)
    ask, ask_size = asks[0] if asks else (None, None)
    spread = None if bid is None or ask is None else numbers.difference(ask, bid)
    return Quote(NAME, depth.code, at, ts_recv, bid, bid_size, ask, ask_size, spread, None, number)


def _levels(side: Sequence[_Level]) -> list[tuple[numbers.Number, numbers.Number | None]]:
    priced = ((loose.price(level.price), numbers.parse(level.volume)) for level in side)
    return [(price, size) for price, size in priced if numbers.decimal(price)]


_SIDES: dict[int | None, Side] = {1: "buy", 2: "sell"}
