"""Coinbase Advanced Trade, the other feed of Coinbase: quotes, trades, books and bars of five minutes, without a key.

Wire facts are from docs.cdp.coinbase.com (coinbase-app/advanced-trade-apis/websocket) unless a comment says
"convention". Each message names its channel and has a number, counted up by one for the whole connection. Numbers are
strings. The side of a trade is the maker's. Orders need keys of another kind, and are not served here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from tickstream.errors import SymbolRefused
from tickstream.events import Bar, BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Side, Trade
from tickstream.numbers import difference, number
from tickstream.providers.coinbase import NAME, NO_PRODUCT, CoinbaseProtocol
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import NewsOrReply
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp, from_epoch, parse_rfc3339

URL = "wss://advanced-trade-ws.coinbase.com"
CHANNELS = {Channel.QUOTES: "ticker", Channel.TRADES: "market_trades", Channel.BOOK: "level2", Channel.BARS: "candles"}
BAR = "5m"
_TAKER: dict[str, Side] = {"BUY": "sell", "SELL": "buy"}
_CONNECTION = ""
"""What is counted: all messages, whatever they are about."""


class _Ticker(msgspec.Struct, gc=False):
    product_id: str
    price: str
    best_bid: str | None = None
    best_bid_quantity: str | None = None
    best_ask: str | None = None
    best_ask_quantity: str | None = None


class _Trade(msgspec.Struct, gc=False):
    trade_id: str
    product_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    time: str


class _Level(msgspec.Struct, gc=False):
    side: Literal["bid", "offer"]
    price_level: str
    new_quantity: str


class _Candle(msgspec.Struct, gc=False):
    product_id: str
    start: str
    open: str
    high: str
    low: str
    close: str
    volume: str


class _Tickers(msgspec.Struct, gc=False):
    tickers: list[_Ticker]


class _Trades(msgspec.Struct, gc=False):
    trades: list[_Trade]


class _Book(msgspec.Struct, gc=False):
    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[_Level]


class _Candles(msgspec.Struct, gc=False):
    candles: list[_Candle]


class _State(msgspec.Struct):
    subscriptions: dict[str, list[str]] = {}


class _Message(msgspec.Struct, tag_field="channel"):
    sequence_num: int
    timestamp: str


class _TickerNews(_Message, tag="ticker"):
    events: list[_Tickers]


class _TradeNews(_Message, tag="market_trades"):
    events: list[_Trades]


class _BookNews(_Message, tag="l2_data"):
    events: list[_Book]


class _CandleNews(_Message, tag="candles"):
    events: list[_Candles]


class _Subscriptions(_Message, tag="subscriptions"):
    events: list[_State]


class _Heartbeat(_Message, tag="heartbeats"):
    pass


class _Problem(msgspec.Struct):
    message: str | None = None


_News = _TickerNews | _TradeNews | _BookNews | _CandleNews | _Subscriptions | _Heartbeat


class AdvancedProtocol(CoinbaseProtocol):
    """A subscribe for each channel -> all that is subscribed now, data, heartbeats."""

    decoder: ClassVar[MessageDecoder[Any]] = NewsOrReply(
        _News, "channel", _Problem, ("message",), long=b'{"channel":"l2_data"'
    )
    url = URL
    send_interval_s = 0.15
    """8 messages a second are allowed for an address."""

    # --- what we say -----------------------------------------------------------------------------------------------

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Data of each symbol; heartbeats, without which quiet channels are closed. Raises SymbolRefused."""
        if self.feed.subscription.channel not in CHANNELS:
            raise SymbolRefused(
                f"Coinbase's feed `advanced` has no {self.feed.subscription.channel} for keys of Coinbase Exchange.",
                code="channel", hint='Leave out feed = "advanced".',
            )  # fmt: skip
        self.subscribe(symbols, now)
        self.send({"type": "subscribe", "channel": "heartbeats"})

    def request(self, symbols: list[str], kind: str = "subscribe") -> dict[str, Any]:
        """The request for these symbols."""
        return {"type": kind, "product_ids": symbols, "channel": CHANNELS[self.feed.subscription.channel]}

    # --- what we hear ----------------------------------------------------------------------------------------------

    def on_batch(self, messages: list[Any], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:  # noqa: ARG002 - see JsonFeed
        """Each by itself."""
        return False

    def on_message(self, message: Any, payload: bytes, ts_recv: Timestamp, now: float) -> None:  # noqa: ARG002 - nothing here takes time
        """One message of any channel. Its number is looked at first: what is in it may be of no use."""
        if isinstance(message, _Problem):
            self._said(message.message or "", ts_recv)
            return
        self._count(message.sequence_num, ts_recv)
        if isinstance(message, _Subscriptions):
            wanted = CHANNELS.get(self.feed.subscription.channel, "")
            products = {one for state in message.events for one in state.subscriptions.get(wanted, ())}
            self.confirmed({self._symbol(one) for one in products}, ts_recv)
            return
        if events := self._events_of(message, ts_recv):
            self.give(events, payload, ts_recv)

    def _events_of(self, message: Any, ts_recv: Timestamp) -> list[MarketEvent]:
        match message:
            case _TickerNews():
                ts = parse_rfc3339(message.timestamp)
                return [self._quote(one, ts, ts_recv) for event in message.events for one in event.tickers]
            case _TradeNews():
                found = [self._trade(one, ts_recv) for event in message.events for one in event.trades]
                return sorted(found, key=lambda one: one.ts_event or 0)  # the newest may come first
            case _BookNews():
                ts = parse_rfc3339(message.timestamp)
                return [self._book(one, ts, ts_recv) for one in message.events]
            case _CandleNews():
                return [self._bar(one, ts_recv) for event in message.events for one in event.candles]
        return []

    def _count(self, sequence: int, ts_recv: Timestamp) -> None:
        """Every message has the next number: a hole may have had anything in it."""
        gap = self.continuity.follow(_CONNECTION, sequence, sequence, ts_recv)
        symbols = tuple(symbol for symbol in self.feed.subscription.symbols if symbol in self.asked)
        if gap is not None and symbols:
            self._events.append(msgspec.structs.replace(gap, symbols=symbols, missed=None))

    def _said(self, text: str, ts_recv: Timestamp) -> None:
        """An error has only words, and those are documented nowhere: a product that is named in them was refused."""
        named = tuple(symbol for symbol in self.feed.subscription.symbols if symbol in text.split())
        if named and any(words in text for words in NO_PRODUCT):
            self.turned_down(ts_recv, "symbol_refused", self.redact(text)[:100], named)
        else:
            self.report(ts_recv, "error", text)

    def _symbol(self, product: str) -> str:
        """BTC-USDC is served as BTC-USD."""
        return product if product in self.asked or f"{product}C" not in self.asked else f"{product}C"

    def _quote(self, one: _Ticker, ts: Timestamp, ts_recv: Timestamp) -> Quote:
        texts = (one.best_bid, one.best_bid_quantity, one.best_ask, one.best_ask_quantity)
        bid, bid_size, ask, ask_size = (number(text) if text else None for text in texts)
        spread = None if bid is None or ask is None else difference(ask, bid)
        symbol = self._symbol(one.product_id)
        return Quote(NAME, symbol, ts, ts_recv, bid, bid_size, ask, ask_size, spread, number(one.price))

    def _trade(self, one: _Trade, ts_recv: Timestamp) -> Trade:
        ts, price, size = parse_rfc3339(one.time), number(one.price), number(one.size)
        return Trade(NAME, self._symbol(one.product_id), ts, ts_recv, price, size, _TAKER[one.side], one.trade_id)

    def _book(self, one: _Book, ts: Timestamp, ts_recv: Timestamp) -> BookSnapshot | BookUpdate:
        sides: dict[str, list[Level]] = {"bid": [], "offer": []}
        for level in one.updates:
            sides[level.side].append((number(level.price_level), number(level.new_quantity)))
        kind = BookSnapshot if one.type == "snapshot" else BookUpdate
        return kind(NAME, self._symbol(one.product_id), ts, ts_recv, tuple(sides["bid"]), tuple(sides["offer"]))

    def _bar(self, one: _Candle, ts_recv: Timestamp) -> Bar:
        opened, high, low, close, volume = map(number, (one.open, one.high, one.low, one.close, one.volume))
        ts = from_epoch(one.start, NS_PER_SECOND)
        return Bar(NAME, self._symbol(one.product_id), ts, ts_recv, BAR, opened, high, low, close, volume)
