"""What Coinbase Exchange's server says: the messages of events, of a book that changes, of an order's life. Pure.

Wire facts: docs.cdp.coinbase.com, exchange/websocket-feed. Each trade is six messages of `full`: an order is received
and opened, another one is received and meets it, and both are done.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from tickstream.events import BookSnapshot, MarketEvent, OrderUpdate, Quote, Trade
from tickstream.numbers import Number, text
from tickstream.providers.coinbase_exchange import TAKER
from tickstream.simulator.outgoing import Push, Round
from tickstream.simulator.random_market import Instrument
from tickstream.timestamps import rfc3339

STEPS_OF_A_TRADE = 6

INSTRUMENTS: dict[str, Instrument] = {
    "BTC-USD": Instrument("64210.55", 1, 60),
    "ETH-USD": Instrument("3158.40", 1, 14),
    "SOL-USD": Instrument("146.25", 1, 5),
    "XRP-USD": Instrument("0.5231", 1, 8),
    "ADA-USD": Instrument("0.3841", 1, 6),
    "DOGE-USD": Instrument("0.12431", 1, 30),
    "LTC-USD": Instrument("74.21", 1, 3),
    "BTC-EUR": Instrument("59870.20", 1, 60),
    "ETH-EUR": Instrument("2945.10", 1, 14),
    "ETH-BTC": Instrument("0.04918", 1, 1),
}


def message(kind: str, **fields: object) -> bytes:
    """A message of this type."""
    return msgspec.json.encode({"type": kind, **fields})


def sequence_of(trade_id: int, step: int = 3) -> int:
    """The number of a message about this trade: by default, of the match."""
    return trade_id * STEPS_OF_A_TRADE + step


def order_id(trade_id: int, whose: str) -> str:
    """An order's name."""
    return f"{zlib.crc32(whose.encode()):08x}-7a3f-4c21-9b5e-{trade_id % 16**12:012x}"


def orders_of(trade: Trade) -> list[OrderUpdate]:
    """What `full` says of a trade."""
    number = int(trade.trade_id or 0)
    taker = trade.side or "buy"
    maker = TAKER[taker]
    first, second = order_id(number, "maker"), order_id(number, "taker")
    price, size, nothing = trade.price, trade.size, Number(b"0.00000000")

    def step(at: int, action: Any, order: str, side: Any, **more: Any) -> OrderUpdate:
        common = (trade.provider, trade.symbol, trade.ts_event, trade.ts_recv)
        return OrderUpdate(*common, action, order, side, price, **more, sequence=sequence_of(number, at))

    return [
        step(0, "received", first, maker, size=size),
        step(1, "open", first, maker, remaining=size),
        step(2, "received", second, taker, size=size),
        step(3, "match", first, maker, size=size, trade_id=trade.trade_id),
        step(4, "done", first, maker, remaining=nothing, reason="filled"),
        step(5, "done", second, taker, remaining=nothing, reason="filled"),
    ]


def payload_of(event: MarketEvent) -> bytes:
    """The message of an event; a book has none of its own, for it is sent as what changes."""
    where = {"product_id": event.symbol, "time": rfc3339(event.ts_event or event.ts_recv)}
    match event:
        case Quote():
            top = {"best_bid": event.bid, "best_bid_size": event.bid_size, "best_ask": event.ask}
            prices = {"price": event.last or event.bid, **top, "best_ask_size": event.ask_size}
            return message("ticker", sequence=event.sequence or 0, **where, **_texts(prices), side="buy")
        case Trade(trade_id=str(trade_id), side=side):
            return _match(int(trade_id), event.sequence, TAKER[side or "buy"], event.price, event.size, where)
        case OrderUpdate(action="match", trade_id=str(trade_id)):
            return _match(int(trade_id), event.sequence, event.side or "sell", event.price, event.size, where)
        case OrderUpdate():
            about = {"order_id": event.order_id, "side": event.side, "sequence": event.sequence, "reason": event.reason}
            rest = "new_size" if event.action == "change" else "remaining_size"
            values = _texts({"price": event.price, "size": event.size, rest: event.remaining})
            return message(event.action, **where, **{key: value for key, value in about.items() if value}, **values)
        case _:
            return b""


def _match(
    number: int, sequence: int | None, maker: str, price: Number | None, size: Number | None, where: dict[str, str]
) -> bytes:
    ids = {"maker_order_id": order_id(number, "maker"), "taker_order_id": order_id(number, "taker")}
    values = _texts({"size": size, "price": price})
    at = sequence_of(number) if sequence is None else sequence
    return message("match", trade_id=number, **ids, side=maker, **values, **where, sequence=at)


def _texts(values: Mapping[str, Number | None]) -> dict[str, str]:
    return {name: text(value) for name, value in values.items() if value is not None}


class RoundOfTrades(Round):
    """`last` has the last trade of each product in it."""

    def __init__(self, pushes: list[Push]) -> None:
        super().__init__(pushes)
        self.last = {one.item.symbol: one.item for one in pushes if isinstance(one.item, Trade)}


def status_message(products: Iterable[str]) -> bytes:
    """All products."""
    entries = []
    for product in products:
        base, quote = product.split("-")
        entries.append({
            "id": product, "base_currency": base, "quote_currency": quote, "base_increment": "0.00000001",
            "quote_increment": "0.01", "display_name": f"{base}/{quote}", "status": "online", "status_message": "",
            "min_market_funds": "1", "post_only": False, "limit_only": False, "cancel_only": False,
            "fx_stablecoin": False,
        })  # fmt: skip
    return message("status", products=entries, currencies=[])


class SentBook:
    """One symbol's book as a client has it."""

    def __init__(self) -> None:
        self._sides: tuple[dict[str, str], dict[str, str]] | None = None

    def changes(self, book: BookSnapshot, cross: bool) -> tuple[bool, list[list[str]]]:
        """Whether it is the first, and what brings the client's book up to date. `cross`: and a bid that cannot be."""
        before, now = self._sides or ({}, {}), (_sizes(book.bids), _sizes(book.asks))
        first, self._sides = self._sides is None, now
        changes = [["buy", next(iter(now[1]), "1"), "1.00000000"]] if cross and not first else []
        for side, then, sizes in zip(("buy", "sell"), before, now, strict=True):
            changes += [[side, price, "0.00000000"] for price in then if price not in sizes]
            changes += [[side, price, size] for price, size in sizes.items() if then.get(price) != size]
        return first, changes


def book_message(book: BookSnapshot, whole: bool, changes: list[list[str]]) -> bytes:
    """A whole book, or what changes in it."""
    where = {"product_id": book.symbol, "time": rfc3339(book.ts_event or book.ts_recv)}
    if not whole:
        return message("l2update", **where, changes=changes)
    bids, asks = ([level[1:] for level in changes if level[0] == side] for side in ("buy", "sell"))
    return message("snapshot", **where, bids=bids, asks=asks)


def _sizes(side: Iterable[tuple[Number, Number]]) -> dict[str, str]:
    return {text(price): text(size) for price, size in side}


class ChannelWanted(msgspec.Struct):
    """A channel of a request, with products of its own."""

    name: str
    product_ids: list[str] = []


class Wanted(msgspec.Struct):
    """A request: of several `channels`, or of one `channel` on the feed of Advanced Trade."""

    type: Literal["subscribe", "unsubscribe"]
    channels: list[str | ChannelWanted] = []
    channel: str | None = None
    product_ids: list[str] = []
    key: str = ""
    passphrase: str = ""
    timestamp: str = ""
    signature: str = ""
