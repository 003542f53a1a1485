"""Binance, spot streams: quotes, trades, books and bars without a key.

Wire facts are from github.com/binance/binance-spot-api-docs (web-socket-streams.md) unless a comment says "convention".
Prices and sizes are JSON strings. `m` says that the buyer was the maker: the taker sold. The top of the book and the
partial book come without a time. Of a book the best 20 levels are asked for, whole in each message. The updates of a
whole book are read where they come, but not asked for: their snapshot is to be had from the REST API only.
Updates are numbered without holes, and so are trades (convention).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from tickstream import numbers
from tickstream.canonical import Canonical
from tickstream.errors import ProviderError, RateLimited, TickstreamError
from tickstream.events import Bar, BookSnapshot, BookUpdate, MarketEvent, Quote, Side, Trade
from tickstream.providers import loose
from tickstream.providers.base import ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import SubscribingFeed, levels
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp, from_epoch

NAME = "binance"
LIFETIME_S = 24 * 3600.0
"""Of a connection; Binance ends it then."""
EARLIER_S = 600.0
"""So long before that another one is to take over."""
QUIET_AFTER_S = 60.0
"""Binance confirms symbols that there are not. Of those that are quiet for so long, this is said (convention)."""
_US, _MS = 1_000, 1_000_000
_REPORT = "Please report it, with the output of `tickstream doctor -o json`."

_named = msgspec.field
_Levels = list[tuple[msgspec.Raw, msgspec.Raw]]


class _Top(msgspec.Struct, gc=False):
    symbol: str = _named(name="s")
    sequence: int = _named(name="u")
    bid: msgspec.Raw = _named(name="b")
    bid_size: msgspec.Raw = _named(name="B")
    ask: msgspec.Raw = _named(name="a")
    ask_size: msgspec.Raw = _named(name="A")


class _Trade(msgspec.Struct, gc=False):
    symbol: str = _named(name="s")
    number: int = _named(name="t")
    price: msgspec.Raw = _named(name="p")
    size: msgspec.Raw = _named(name="q")
    time: int = _named(name="T")
    buyer_is_maker: bool = _named(name="m")


class _AggregateTrade(_Trade, gc=False):
    number: int = _named(name="a")


class _Depth(msgspec.Struct, gc=False):
    symbol: str = _named(name="s")
    time: int = _named(name="E")
    first: int = _named(name="U")
    last: int = _named(name="u")
    bids: _Levels = _named(name="b")
    asks: _Levels = _named(name="a")


class _PartialDepth(msgspec.Struct, gc=False):
    bids: _Levels
    asks: _Levels
    last: int = _named(name="lastUpdateId")


class _Candle(msgspec.Struct, gc=False):
    opens: int = _named(name="t")
    interval: str = _named(name="i")
    open: msgspec.Raw = _named(name="o")
    high: msgspec.Raw = _named(name="h")
    low: msgspec.Raw = _named(name="l")
    close: msgspec.Raw = _named(name="c")
    volume: msgspec.Raw = _named(name="v")
    closed: bool = _named(name="x")


class _Kline(msgspec.Struct, gc=False):
    symbol: str = _named(name="s")
    candle: _Candle = _named(name="k")


class _Message(msgspec.Struct, gc=False):
    """Data of a stream, or the reply to a request of ours, in one of two forms if it is an error."""

    stream: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: dict[str, Any] | None = None


class _Decoder(MessageDecoder[_Message]):
    def one(self, payload: bytes) -> _Message:
        """What a stream brings is looked at later: there is no type that could be unknown here."""
        return self._decoder.decode(payload)


class BinanceProtocol(SubscribingFeed[_Message]):
    """SUBSCRIBE -> a reply for each request, data. Binance sends pings, and ends every connection after 24 hours."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = _Decoder(_Message, "stream")
    hands_over = True
    send_interval_s = 0.5
    """Five messages a second are allowed, pings and pongs included."""
    symbols_at_once = 200
    max_symbols = 1024

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._unit_ns = _US if "timeUnit=MICROSECOND" in feed.url else _MS
        self._requested: list[list[str]] = []
        self._silent: set[str] = set()
        self._quiet_due: float | None = None
        self._ends_soon_at = float("inf")

    @property
    def counts_places(self) -> bool:
        """Trades are numbered without holes (convention)."""
        return self.feed.subscription.channel is Channel.TRADES

    def open(self, now: float) -> None:
        """It will live for a day."""
        super().open(now)
        self._ends_soon_at = now + LIFETIME_S - EARLIER_S

    def ends_soon(self, now: float) -> bool:
        """After a day, and when Binance shuts its server down."""
        return now >= self._ends_soon_at

    def place(self, event: MarketEvent) -> tuple[Any, ...] | None:
        """By trade id, by update id, and a bar by its start, and how full it is."""
        match event:
            case Trade(trade_id=str(number)):
                return (int(number),)
            case Quote(sequence=int(number)) | BookSnapshot(sequence=int(number)):
                return (number,)
            case Bar(volume=volume) if volume is not None:
                return (event.ts_event, numbers.decimal(volume), bool(event.closed))
            case _:
                return None

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask for all, and see later who is quiet."""
        super().begin(symbols, now)
        self._silent = set(symbols)
        self._quiet_due = now + QUIET_AFTER_S

    def request(self, symbols: list[str]) -> dict[str, Any]:
        """The request for these symbols. Its reply names nothing but its id."""
        self._requested.append(symbols)
        params = [f"{symbol.lower()}@{self._stream()}" for symbol in symbols]
        return {"method": "SUBSCRIBE", "params": params, "id": len(self._requested)}

    def _stream(self) -> str:
        match self.feed.subscription.channel:
            case Channel.TRADES:
                return self.setting("trades")
            case Channel.BOOK:
                return f"depth{self.setting('depth')}@100ms"
            case Channel.BARS:
                return f"kline_{self.setting('interval')}"
            case _:
                return "bookTicker"

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:
        """The next message is a whole book."""

    def on_message(self, message: _Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """Data of a stream, or a reply."""
        if message.stream is None:
            self._reply(message, ts_recv)
            return
        name, _, kind = message.stream.partition("@")
        if name == "!serverShutdown":
            self._ends_soon_at = now
            words = "Binance is about to shut this server down; a connection to another one takes over"
            self.notice(ts_recv, "server_shutdown", words)
            return
        known = "partial" if _PARTIAL.fullmatch(kind) else kind.partition("@")[0].partition("_")[0]
        if known not in _TAKES:
            self._unknown(kind or name, ts_recv)
            return
        decoder, make = _TAKES[known]
        try:
            event, first, last = make(decoder.decode(message.data), name.upper(), ts_recv, self._unit_ns)
        except msgspec.MsgspecError as reason:
            raise ValueError(str(reason)) from None
        self._silent.discard(event.symbol)
        if last:
            self.give_numbered([(event, first, last)], payload, ts_recv)
        else:
            self.give([event], payload, ts_recv)

    def _reply(self, message: _Message, ts_recv: Timestamp) -> None:
        said = message.error or {"code": message.code, "msg": message.msg}
        if said.get("code") is not None:
            self.report(ts_recv, str(said["code"]), str(said.get("msg", "")))
        elif isinstance(message.id, int) and 0 < message.id <= len(self._requested):
            if self._unanswered or self.phase is not Phase.LIVE:
                self.answered(self._requested[message.id - 1])
        else:
            raise ValueError("neither data of a combined stream (/stream) nor a reply to a request of ours")

    def closed(self, code: int | None, reason: str) -> TickstreamError | None:
        """1008 is the answer to too many messages."""
        if code == 1008:
            return RateLimited(f"Binance closed the connection (1008): {self.redact(reason)[:100]}.", code="1008")
        return super().closed(code, reason)

    def next_deadline(self) -> float | None:
        """As for all, and when to say who is quiet."""
        planned = (super().next_deadline(), self._quiet_due)
        return min((at for at in planned if at is not None), default=None)

    def tick(self, now: float, ts: Timestamp) -> None:
        """Look at the deadlines."""
        super().tick(now, ts)
        if self._quiet_due is not None and now >= self._quiet_due:
            self._quiet_due = None
            if quiet := tuple(symbol for symbol in self.active if symbol in self._silent):
                words = "nothing came yet: Binance has no such symbol, or nothing happens there"
                near = self.near(quiet)
                self.notice(ts, "quiet_symbols", f"{', '.join(quiet)}: {words}" + (f". {near}" if near else ""), quiet)


_Made = tuple[MarketEvent, int, int]
"""An event, and the first and the last number it has; 0 if it is not numbered without holes."""


def _quote(one: _Top, _: str, ts_recv: Timestamp, __: int) -> _Made:
    bid, bid_size, ask, ask_size = map(loose.price, (one.bid, one.bid_size, one.ask, one.ask_size))
    spread = numbers.difference(ask, bid)
    return Quote(NAME, one.symbol, None, ts_recv, bid, bid_size, ask, ask_size, spread, None, one.sequence), 0, 0


def _trade(one: _Trade, _: str, ts_recv: Timestamp, unit_ns: int) -> _Made:
    ts, price, size = from_epoch(one.time, unit_ns), loose.price(one.price), loose.price(one.size)
    side: Side = "sell" if one.buyer_is_maker else "buy"
    return Trade(NAME, one.symbol, ts, ts_recv, price, size, side, str(one.number)), one.number, one.number


def _update(one: _Depth, _: str, ts_recv: Timestamp, unit_ns: int) -> _Made:
    ts, bids, asks = from_epoch(one.time, unit_ns), levels(one.bids), levels(one.asks)
    return BookUpdate(NAME, one.symbol, ts, ts_recv, bids, asks, one.last), one.first, one.last


def _book(one: _PartialDepth, symbol: str, ts_recv: Timestamp, __: int) -> _Made:
    return BookSnapshot(NAME, symbol, None, ts_recv, levels(one.bids), levels(one.asks), one.last), 0, 0


def _bar(one: _Kline, _: str, ts_recv: Timestamp, unit_ns: int) -> _Made:
    candle = one.candle
    ts, opened, high = from_epoch(candle.opens, unit_ns), loose.price(candle.open), loose.price(candle.high)
    low, close, volume = loose.price(candle.low), loose.price(candle.close), loose.price(candle.volume)
    whole = candle.closed
    return Bar(NAME, one.symbol, ts, ts_recv, candle.interval, opened, high, low, close, volume, closed=whole), 0, 0


_TAKES: dict[str, tuple[msgspec.json.Decoder[Any], Callable[[Any, str, Timestamp, int], _Made]]] = {
    "bookTicker": (msgspec.json.Decoder(_Top), _quote),
    "trade": (msgspec.json.Decoder(_Trade), _trade),
    "aggTrade": (msgspec.json.Decoder(_AggregateTrade), _trade),
    "kline": (msgspec.json.Decoder(_Kline), _bar),
    "depth": (msgspec.json.Decoder(_Depth), _update),
    "partial": (msgspec.json.Decoder(_PartialDepth), _book),
}
_PARTIAL = re.compile(r"depth[0-9]+(@[0-9]+ms)?")
"""`depth20@100ms` is the best of a book, whole each time; `depth@100ms` are the updates of a whole one."""


def alias(meaning: Canonical, _settings: Mapping[str, str]) -> str | None:
    """The codes in one word. There are no pairs in dollars (convention), only in coins that are to be worth one."""
    return meaning.name if meaning.kind == "crypto" and "USD" not in meaning[1:3] else None


# fmt: off
ERRORS = (
    ErrorCode("0", "Binance does not know a property", _REPORT, ProviderError),
    ErrorCode("1", "Binance expected another type of value", _REPORT, ProviderError),
    ErrorCode("2", "Binance does not accept a request", _REPORT, ProviderError),
    ErrorCode("3", "Binance could not read a request as JSON", _REPORT, ProviderError),
    ErrorCode(
        "1008", "too many messages in a second; the connection was closed",
        "It is waited out; if it persists, another program may be using the same address.", RateLimited,
    ),
)
COMMON_SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LTCUSDT", "ETHBTC", "BNBBTC",
)
INTERVALS = (
    "1m", "1s", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M",
)
# fmt: on

SPEC = ProviderSpec(
    name=NAME,
    title="Binance",
    url="wss://stream.binance.com:9443/stream",
    key_env=None,
    channels=(Channel.QUOTES, Channel.TRADES, Channel.BOOK, Channel.BARS),
    symbol_pattern=re.compile(r"[A-Z0-9]{2,20}"),
    symbol_help="upper case letters and digits, the base and the quote currency in one word: BTCUSDT, ETHBTC",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=BinanceProtocol,
    max_connections=10,
    data_silence_s=900.0,
    settings={"interval": INTERVALS, "depth": ("20", "10", "5"), "trades": ("trade", "aggTrade")},
    site="https://github.com/binance/binance-spot-api-docs",
    free_tier="all of it: market data needs no key",
    limits=(
        "1024 streams a connection, which lasts 24 hours at the most",
        "5 messages a second from us, 300 attempts to connect in 5 minutes from one address",
    ),
    heartbeat="Binance, a ping every 20 s",
    alias=alias,
)

BinanceProtocol.spec = SPEC
