"""Kraken, spot, WebSocket v2: quotes, trades, books and bars without a key.

Wire facts are from docs.kraken.com (exchange/api-reference/spot-websocket-v2, exchange/guides/websockets) unless a
comment says "convention". Prices and sizes are JSON numbers, perhaps in scientific notation: `9.417e-05` is passed on
as it stands. The side of a trade is the taker's. A bar comes again with each trade in it, and none is marked as closed.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from tickstream import numbers
from tickstream.canonical import pairs
from tickstream.checked_book import CheckedBook
from tickstream.errors import ProviderError, RateLimited
from tickstream.events import Bar, BookSnapshot, BookUpdate, MarketEvent, Quote, Trade
from tickstream.providers import loose
from tickstream.providers.base import ErrorCode, Feed, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import NewsOrReply, SubscribingFeed, levels
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp, parse_rfc3339

NAME = "kraken"
RENEW_AFTER_S = 5.0
"""From one subscription to a book that was wrong to the next, if that is wrong too (convention)."""

CHANNELS = {Channel.QUOTES: "ticker", Channel.TRADES: "trade", Channel.BOOK: "book", Channel.BARS: "ohlc"}
INTERVALS = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1440, "1w": 10080, "15d": 21600}
_INTERVAL_NAMES = {minutes: name for name, minutes in INTERVALS.items()}

_REPORT = "Please report it, with the output of `tickstream doctor -o json`."


class _Level(msgspec.Struct, gc=False):
    price: msgspec.Raw
    qty: msgspec.Raw


class _Book(msgspec.Struct, gc=False):
    symbol: str
    checksum: int
    bids: list[_Level] = []
    asks: list[_Level] = []
    timestamp: str | None = None


class _Ticker(msgspec.Struct, gc=False):
    symbol: str
    bid: msgspec.Raw
    bid_qty: msgspec.Raw
    ask: msgspec.Raw
    ask_qty: msgspec.Raw
    last: msgspec.Raw
    timestamp: str | None = None


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    side: Literal["buy", "sell"]
    price: msgspec.Raw
    qty: msgspec.Raw
    trade_id: int
    timestamp: str


class _Candle(msgspec.Struct, gc=False):
    symbol: str
    interval: int
    interval_begin: str
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    volume: msgspec.Raw


class _Pair(msgspec.Struct, gc=False):
    symbol: str
    price_precision: int
    qty_precision: int


class _Pairs(msgspec.Struct):
    pairs: list[_Pair] = []


class _Tickers(msgspec.Struct, tag_field="channel", tag="ticker"):
    data: list[_Ticker]


class _Trades(msgspec.Struct, tag_field="channel", tag="trade"):
    data: list[_Trade]


class _Books(msgspec.Struct, tag_field="channel", tag="book"):
    type: Literal["snapshot", "update"]
    data: list[_Book]


class _Candles(msgspec.Struct, tag_field="channel", tag="ohlc"):
    data: list[_Candle]


class _Instruments(msgspec.Struct, tag_field="channel", tag="instrument"):
    data: _Pairs


class _Status(msgspec.Struct, tag_field="channel", tag="status"):
    data: list[dict[str, Any]]


class _Heartbeat(msgspec.Struct, tag_field="channel", tag="heartbeat"):
    pass


class _Reply(msgspec.Struct):
    method: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    symbol: str | None = None


_Message = _Tickers | _Trades | _Books | _Candles | _Instruments | _Status | _Heartbeat


class KrakenProtocol(SubscribingFeed[_Message | _Reply]):
    """subscribe -> a reply for each symbol, data, heartbeats. Before books the decimals of all pairs are asked for."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = NewsOrReply(
        _Message, "channel", _Reply, ("method", "error"), long=b'{"channel":"instrument"'
    )
    mute_after_s = 15.0
    """Heartbeats come every second in which there is nothing else: fifteen missed ones are no chance (convention)."""
    send_interval_s = 0.25
    """`Exceeded msg rate` names no number (convention)."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._depth, self._interval = int(self.setting("depth")), INTERVALS[self.setting("interval")]
        self._places: dict[str, tuple[int, int]] = {}
        self._books: dict[str, CheckedBook] = {}
        """Those that are right."""
        self._renewed: dict[str, float] = {}

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """A book cannot be checked without the decimals of its pair."""
        if self.feed.subscription.channel is Channel.BOOK:
            self.send({"method": "subscribe", "params": {"channel": "instrument", "snapshot": True}})
            self.await_reply(now)
        else:
            self.ask(symbols, now)

    def request(self, symbols: list[str], method: str = "subscribe") -> dict[str, Any]:
        """The request for these symbols."""
        channel = self.feed.subscription.channel
        own: dict[Channel, dict[str, Any]] = {
            Channel.QUOTES: {"event_trigger": "bbo"},
            Channel.BOOK: {"depth": self._depth},
            Channel.BARS: {"interval": self._interval},
        }
        return {"method": method, "params": {"channel": CHANNELS[channel], "symbol": symbols, **own.get(channel, {})}}

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask for books anew: at once, or some seconds after the last time."""
        for symbol in symbols:
            self._books.pop(symbol, None)
            at = max(now, self._renewed.get(symbol, -RENEW_AFTER_S) + RENEW_AFTER_S)
            self._renewed[symbol] = at
            for method in ("unsubscribe", "subscribe"):
                self.send(self.request([symbol], method), not_before=at)

    def on_message(self, message: _Message | _Reply, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One message of any type."""
        match message:
            case _Tickers():
                self.give([_quote(one, ts_recv) for one in message.data], payload, ts_recv)
            case _Trades():
                trades = [(_trade(one, ts_recv), one.trade_id, one.trade_id) for one in message.data]
                self.give_numbered(trades, payload, ts_recv)
            case _Candles():
                self.give([_bar(one, ts_recv) for one in message.data], payload, ts_recv)
            case _Books():
                mine = [one for one in message.data if self.is_ours(one.symbol, ts_recv)]
                changes = [self._change(one, message.type == "snapshot", ts_recv, now) for one in mine]
                self.give([one for one in changes if one is not None], payload, ts_recv)
            case _Instruments():
                self._know(message.data.pairs, ts_recv, now)
            case _Status(data=[{"system": str(system)}, *_]) if system != "online":
                self.notice(ts_recv, "status", f"Kraken says of itself: {system[:40]}")
            case _Reply(error=str(error)):
                self._refused(error, message.symbol, ts_recv)
            case _Reply(method="subscribe", result={"symbol": str(symbol)}):
                self.answered((symbol,))

    def _know(self, pairs: list[_Pair], ts_recv: Timestamp, now: float) -> None:
        """The decimals of all pairs; later, those of pairs that changed."""
        first = not self._places
        self._places.update({one.symbol: (one.price_precision, one.qty_precision) for one in pairs})
        if not first or self.feed.subscription.channel is not Channel.BOOK:
            return
        symbols = tuple(symbol for symbol in self.feed.subscription.symbols if symbol in self.asked)
        if unknown := tuple(symbol for symbol in symbols if symbol not in self._places):
            self.turned_down(ts_recv, "symbol_refused", "not among the pairs that Kraken lists", unknown)
        self.ask([symbol for symbol in symbols if symbol in self._places], now)

    def _change(self, book: _Book, whole: bool, ts_recv: Timestamp, now: float) -> BookSnapshot | BookUpdate | None:
        """What a message changes in a book; None for a book that is wrong, and until there is a new one."""
        if whole:
            self._books[book.symbol] = CheckedBook(self._depth, self._places.get(book.symbol))
        kept = self._books.get(book.symbol)
        if kept is None:
            return None
        sides = (levels((one.price, one.qty) for one in side) for side in (book.bids, book.asks))
        bids, asks = (kept.replace if whole else kept.apply)(*sides)
        if not kept.is_right(book.checksum):
            message = f"{book.symbol}: our book is not the same as Kraken's; it is asked for anew"
            self.notice(ts_recv, "book_checksum", message, (book.symbol,))
            self.resubscribe((book.symbol,), now)
            return None
        ts = book.timestamp and parse_rfc3339(book.timestamp)
        return (BookSnapshot if whole else BookUpdate)(NAME, book.symbol, ts or None, ts_recv, bids, asks)

    def _refused(self, error: str, symbol: str | None, ts_recv: Timestamp) -> None:
        """Errors have no codes: what they begin with, is taken for one."""
        code = next((entry.code for entry in ERRORS if error.startswith(entry.code)), error)
        if code == NO_PAIR and symbol in self.asked:
            self.turned_down(ts_recv, "symbol_refused", self.redact(error)[:100], (symbol,))
        else:
            self.report(ts_recv, code, error)


def _quote(one: _Ticker, ts_recv: Timestamp) -> MarketEvent:
    ts = None if one.timestamp is None else parse_rfc3339(one.timestamp)
    values = (numbers.parse(value) for value in (one.bid, one.bid_qty, one.ask, one.ask_qty, one.last))
    bid, bid_size, ask, ask_size, last = values
    spread = None if bid is None or ask is None else numbers.difference(ask, bid)
    return Quote(NAME, one.symbol, ts, ts_recv, bid, bid_size, ask, ask_size, spread, last)


def _trade(one: _Trade, ts_recv: Timestamp) -> Trade:
    price, size = loose.price(one.price), loose.price(one.qty)
    return Trade(NAME, one.symbol, parse_rfc3339(one.timestamp), ts_recv, price, size, one.side, str(one.trade_id))


def _bar(one: _Candle, ts_recv: Timestamp) -> MarketEvent:
    opened, high, low, close, volume = map(loose.price, (one.open, one.high, one.low, one.close, one.volume))
    ts, interval = parse_rfc3339(one.interval_begin), _INTERVAL_NAMES.get(one.interval, f"{one.interval}m")
    return Bar(NAME, one.symbol, ts, ts_recv, interval, opened, high, low, close, volume)


NO_PAIR = "Currency pair not supported"
# fmt: off
ERRORS = (
    ErrorCode(NO_PAIR, "a pair that Kraken does not serve", "Write BTC/USD: with a slash, and BTC, not XBT."),
    ErrorCode("Already subscribed", "asked for twice; nothing is lost", _REPORT),
    ErrorCode("Subscription Not Found", "there was no such subscription; nothing is lost", _REPORT),
    ErrorCode("Unsupported field", "Kraken does not know a field of a request", _REPORT, ProviderError),
    ErrorCode("Malformed request", "Kraken could not read a request", _REPORT, ProviderError),
    ErrorCode("EGeneral:Invalid arguments", "Kraken does not accept a request", _REPORT, ProviderError),
    ErrorCode(
        "Exceeded msg rate", "too many requests in a short time",
        "It is waited out; if it persists, another program may be using the same address.", RateLimited,
    ),
    ErrorCode("EService:Unavailable", "Kraken is in maintenance", "It is retried: status.kraken.com.", ProviderError),
)
COMMON_SYMBOLS = (
    "BTC/USD", "ETH/USD", "SOL/USD", "XRP/USD", "ADA/USD", "DOGE/USD", "LTC/USD", "BTC/EUR", "ETH/EUR", "ETH/BTC",
)
# fmt: on

SPEC = ProviderSpec(
    name=NAME,
    title="Kraken",
    url="wss://ws.kraken.com/v2",
    key_env=None,
    channels=tuple(CHANNELS),
    symbol_pattern=re.compile(r"[A-Z0-9.]{1,16}/[A-Z0-9.]{1,16}"),
    symbol_help="a base and a quote currency with a slash between them, in upper case: BTC/USD (not XBT/USD)",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=KrakenProtocol,
    max_connections=10,
    data_silence_s=900.0,
    settings={"depth": ("10", "25", "100", "500", "1000"), "interval": tuple(INTERVALS)},
    site="https://docs.kraken.com",
    free_tier="all of it: market data needs no key",
    alias=pairs("/"),
    limits=("about 150 attempts to connect in 10 minutes from one address, then none for 10 minutes",),
    heartbeat="Kraken, every second in which there is nothing else",
)

KrakenProtocol.spec = SPEC
