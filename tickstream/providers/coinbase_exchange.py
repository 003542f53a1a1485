"""The messages of Coinbase Exchange's feed, and what they are in our schema. Pure.

Wire facts are from docs.cdp.coinbase.com, exchange/websocket-feed, unless a comment says "recorded" or "convention".
Numbers are strings, ids and sequences are integers, times have up to six decimals. The `side` of a match is the
maker's, that of a ticker the taker's (recorded: the same trade in both).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import msgspec

from tickstream.events import BookSnapshot, BookUpdate, Level, MarketEvent, OrderAction, OrderUpdate, Quote, Side, Trade
from tickstream.numbers import Number, difference, differences, number
from tickstream.providers import quoted
from tickstream.timestamps import NS_PER_SECOND, Timestamp, from_epoch, parse_rfc3339

NAME = "coinbase"
TAKER: dict[Side, Side] = {"buy": "sell", "sell": "buy"}
"""The maker's side -> the taker's."""


class Ticker(msgspec.Struct, gc=False, tag="ticker"):
    """The last trade and the top of the book after it. Sizes came later than 2021 (recorded)."""

    product_id: str
    price: str
    best_bid: str | None = None
    best_bid_size: str | None = None
    best_ask: str | None = None
    best_ask_size: str | None = None
    time: str | None = None
    sequence: int | None = None


class Match(msgspec.Struct, gc=False, tag="match"):
    """A trade."""

    product_id: str
    trade_id: int
    maker_order_id: str
    side: Side
    size: str
    price: str
    sequence: int
    time: str


class LastMatch(Match, gc=False, tag="last_match"):
    """The trade before the subscription."""


class Snapshot(msgspec.Struct, gc=False, tag="snapshot"):
    """A whole book, both sides best first (recorded). Without a time in 2021."""

    product_id: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    time: str | None = None


class L2Update(msgspec.Struct, gc=False, tag="l2update"):
    """Levels with their new sizes."""

    product_id: str
    changes: list[tuple[Side, str, str]]
    time: str


class Heartbeat(msgspec.Struct, gc=False, tag="heartbeat"):
    """Each second, for each product: the numbers of the last trade and of the last message."""

    product_id: str
    last_trade_id: int
    sequence: int


class _Order(msgspec.Struct, gc=False):
    """What all messages of an order's life have."""

    product_id: str
    order_id: str
    side: Side
    sequence: int
    time: str


class Received(_Order, gc=False, tag="received"):
    """A market order may have no size: it has funds."""

    size: str | None = None
    price: str | None = None


class Open(_Order, gc=False, tag="open"):
    """It waits in the book."""

    remaining_size: str
    price: str


class Done(_Order, gc=False, tag="done"):
    """It is in the book no longer. Of a market order there is neither price nor rest."""

    reason: str
    remaining_size: str | None = None
    price: str | None = None
    cancel_reason: str | None = None


class Change(_Order, gc=False, tag="change"):
    """Another size, by its owner or to keep him from trading with himself."""

    reason: str | None = None
    price: str | None = None
    new_size: str | None = None
    new_price: str | None = None


class Activate(msgspec.Struct, gc=False, tag="activate"):
    """A stop order of one's own was placed. It has an epoch in seconds for a time, and no number."""

    product_id: str
    order_id: str
    side: Side
    timestamp: str
    stop_type: str
    stop_price: str
    size: str | None = None


class Listed(msgspec.Struct, gc=False):
    """A channel of a confirmation, and its products."""

    name: str
    product_ids: list[str] | None = None


class Subscriptions(msgspec.Struct, tag="subscriptions"):
    """The answer to every request: all that is subscribed now."""

    channels: list[Listed]


class Problem(msgspec.Struct, tag="error"):
    """An error: it has no code."""

    message: str = ""
    reason: str = ""


class Product(msgspec.Struct, gc=False):
    """What may be done with a product."""

    id: str
    status: str = "online"
    status_message: str | None = None
    post_only: bool | None = None
    limit_only: bool | None = None
    cancel_only: bool | None = None


class Status(msgspec.Struct, tag="status"):
    """All products there are."""

    products: list[Product]


OrderMessage = Received | Open | Done | Change | Activate
Message = (
    Ticker
    | Match
    | LastMatch
    | Snapshot
    | L2Update
    | Heartbeat
    | Received
    | Open
    | Done
    | Change
    | Activate
    | Subscriptions
    | Problem
    | Status
)

_top = attrgetter("price", "best_bid", "best_bid_size", "best_ask", "best_ask_size")
_price_size = attrgetter("price", "size")
_time, _changes, _product = attrgetter("time"), attrgetter("changes"), attrgetter("product_id")


# --- one by one: these raise ValueError for what is no number or no time ---------------------------------------------


def _optional(text: str | None) -> Number | None:
    return None if text is None else number(text)


def quote(one: Ticker, ts_recv: Timestamp) -> Quote:
    """A ticker. It may lack the time, the sizes, and a side of the book."""
    last, bid, bid_size, ask, ask_size = map(_optional, _top(one))
    spread = None if bid is None or ask is None else difference(ask, bid)
    ts = None if one.time is None else parse_rfc3339(one.time)
    return Quote(NAME, one.product_id, ts, ts_recv, bid, bid_size, ask, ask_size, spread, last, one.sequence)


def trade(one: Match, ts_recv: Timestamp) -> Trade:
    """A match, with the taker's side."""
    ts, price, size = parse_rfc3339(one.time), number(one.price), number(one.size)
    return Trade(NAME, one.product_id, ts, ts_recv, price, size, TAKER[one.side], str(one.trade_id), one.sequence)


def book(one: Snapshot, ts_recv: Timestamp) -> BookSnapshot:
    """A whole book."""
    ts = None if one.time is None else parse_rfc3339(one.time)
    return BookSnapshot(NAME, one.product_id, ts, ts_recv, _levels(one.bids), _levels(one.asks))


def _levels(pairs: Sequence[tuple[str, str]]) -> tuple[Level, ...]:
    texts = [*chain.from_iterable(pairs)]
    values = quoted.numbers(texts)
    each = iter([*map(number, texts)] if values is None else values)
    return tuple(zip(each, each, strict=True))


def change(one: L2Update, ts_recv: Timestamp) -> BookUpdate:
    """Levels that changed."""
    sides: dict[str, list[Level]] = {"buy": [], "sell": []}
    for side, price, size in one.changes:
        sides[side].append((number(price), number(size)))
    ts = parse_rfc3339(one.time)
    return BookUpdate(NAME, one.product_id, ts, ts_recv, tuple(sides["buy"]), tuple(sides["sell"]))


def order(one: OrderMessage | Match, ts_recv: Timestamp) -> OrderUpdate:
    """A step of an order's life; a match is one of the maker's."""
    action: OrderAction
    price: str | None
    size: str | None = None
    left: str | None = None
    reason: str | None = None
    trade_id: str | None = None
    match one:
        case Match():
            action, price, size, trade_id = "match", one.price, one.size, str(one.trade_id)
        case Received():
            action, price, size = "received", one.price, one.size
        case Open():
            action, price, left = "open", one.price, one.remaining_size
        case Done():
            action, price, left = "done", one.price, one.remaining_size
            reason = one.reason if one.cancel_reason is None else f"{one.reason} {one.cancel_reason}"
        case Change():
            action, price, left, reason = "change", one.new_price or one.price, one.new_size, one.reason
        case _:
            action, price, size, reason = "received", one.stop_price, one.size, f"stop {one.stop_type}"
    order_id = one.maker_order_id if isinstance(one, Match) else one.order_id
    return OrderUpdate(
        NAME, one.product_id, _moment(one), ts_recv, action, order_id, one.side, _optional(price), _optional(size),
        _optional(left), reason, trade_id, None if isinstance(one, Activate) else one.sequence,
    )  # fmt: skip


def _moment(one: OrderMessage | Match) -> Timestamp:
    return from_epoch(one.timestamp, NS_PER_SECOND) if isinstance(one, Activate) else parse_rfc3339(one.time)


# --- whole batches: None unless all of it is in the usual form -------------------------------------------------------


def quotes(tickers: Sequence[Ticker], ts_recv: Timestamp) -> list[MarketEvent] | None:
    """`quote` of each."""
    values = quoted.numbers([*chain.from_iterable(map(_top, tickers))])
    moments = quoted.moments([*map(_time, tickers)])
    if values is None or moments is None:
        return None
    lasts, bids, bid_sizes, asks, ask_sizes = (values[first::5] for first in range(5))
    spreads = differences([*map(b",".join, zip(asks, bids, strict=True))])
    columns = zip(tickers, moments, bids, bid_sizes, asks, ask_sizes, spreads, lasts, strict=True)
    return [
        Quote(NAME, one.product_id, ts, ts_recv, bid, bid_size, ask, ask_size, spread, last, one.sequence)
        for one, ts, bid, bid_size, ask, ask_size, spread, last in columns
    ]


def trades(matches: Sequence[Match], ts_recv: Timestamp) -> list[MarketEvent] | None:
    """`trade` of each."""
    values = quoted.numbers([*chain.from_iterable(map(_price_size, matches))])
    moments = quoted.moments([*map(_time, matches)])
    if values is None or moments is None:
        return None
    each = iter(values)
    return [
        Trade(NAME, one.product_id, ts, ts_recv, price, size, TAKER[one.side], str(one.trade_id), one.sequence)
        for one, ts, price, size in zip(matches, moments, each, each, strict=True)
    ]


def changes(updates: Sequence[L2Update], ts_recv: Timestamp) -> list[MarketEvent] | None:
    """`change` of each."""
    entries = [*map(_changes, updates)]
    flat = [*chain.from_iterable(chain.from_iterable(entries))]
    prices, sizes = quoted.numbers(flat[1::3]), quoted.numbers(flat[2::3])
    moments = quoted.moments([*map(_time, updates)])
    if prices is None or sizes is None or moments is None:
        return None
    levels = [*zip(prices, sizes, strict=True)]
    products = map(_product, updates)
    if len(levels) == len(updates) and all(entries):  # one change in each
        return [
            BookUpdate(NAME, product, ts, ts_recv, (level,), ())
            if side == "buy"
            else BookUpdate(NAME, product, ts, ts_recv, (), (level,))
            for product, ts, side, level in zip(products, moments, flat[::3], levels, strict=True)
        ]
    both = map(_sides, entries, repeat(iter(levels)))
    return [
        BookUpdate(NAME, product, ts, ts_recv, bids, asks)
        for product, ts, (bids, asks) in zip(products, moments, both, strict=True)
    ]


def _sides(
    entries: Sequence[tuple[Side, str, str]], levels: Iterator[Level]
) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Its bids and its asks, of one message; `levels` are those of all messages."""
    bids: list[Level] = []
    asks: list[Level] = []
    for (side, _, _), level in zip(entries, levels, strict=False):  # in this order: no level is taken for nothing
        (bids if side == "buy" else asks).append(level)
    return tuple(bids), tuple(asks)


WHOLE: dict[type[Any], Callable[[Any, Timestamp], list[MarketEvent] | None]] = {
    Ticker: quotes,
    Match: trades,
    L2Update: changes,
}
"""What comes so often that batches of it are worth a way of their own."""
