"""FCS API, WebSocket v4: bars and quotes of currencies, crypto and stocks, each symbol by its exchange.

Wire facts are from FCS' client libraries and their READMEs (github fcsapi/websocket-js, websocket-python, chart-js)
unless a comment says "convention": the server's side is documented nowhere. Prices are JSON numbers.

| message | bars | quotes |
|---|---|---|
| `initial` | `t o h l c`; its `v` is not that of the candle, and is left out | `c` -> last |
| `candle` | `t o h l c v`, `b` -> bid, `a` -> ask | `b a`, `c` -> last; no time: `t` is when the candle began |
| `askbid` | the bar held: `c` -> close, perhaps high or low, `b a` | `update` -> ts_event, `b a`, `c` -> last |
| `profile` | notice when the session is not `market` | the same |

A bar comes again with each change, and none is marked as closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from tickstream import markets, numbers
from tickstream.canonical import Canonical
from tickstream.errors import AuthTimeout, Forbidden, InvalidKey, TickstreamError
from tickstream.events import Bar, MarketEvent, Quote
from tickstream.numbers import Number
from tickstream.providers import loose
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp

NAME = "fcs"
DEMO_KEY = "fcs_socket_demo"
WELCOME_TIMEOUT_S = 10.0
"""From the upgrade to `welcome` (convention)."""
PING_INTERVAL_S = 25.0
MUTE_AFTER_S = 75.0
"""Three pings of ours without an answer (convention)."""
STRAY_ROOMS = 20
"""So many rooms that we did not join are left one by one; then we leave all, and join ours anew (convention)."""
LONGEST_ECHO = 64
"""Characters of a symbol or timeframe that we send back."""
NS_PER_MS = 1_000_000

INTERVALS = {
    "1m": "1", "5m": "5", "15m": "15", "30m": "30", "1h": "60", "2h": "120", "4h": "240", "1d": "1D", "1w": "1W",
    "1M": "1M",
}  # fmt: skip
"""Ours -> the `timeframe` on the wire. Case matters: 1m is a minute, 1M a month."""

_TIMEFRAME = re.compile(r"(?P<count>[0-9]{0,4})(?P<unit>[mHhDdWwM]?)", re.ASCII)
_NULL = msgspec.Raw(b"null")


def canonical(timeframe: str) -> str:
    """A timeframe in the one form that FCS' chart library sends: 15m is 15, 1H is 60, D is 1D.

    Raises ValueError for what is none.
    """
    match = _TIMEFRAME.fullmatch(timeframe)
    if match is None or not timeframe:
        raise ValueError("not a timeframe")
    count, unit = match["count"], match["unit"]
    if unit in ("", "m"):
        return str(int(count or "1"))
    return str(int(count or "1") * 60) if unit in "Hh" else f"1{unit.upper()}"


class _Prices(msgspec.Struct, gc=False):
    mode: str | None = None
    t: msgspec.Raw = _NULL
    o: msgspec.Raw = _NULL
    h: msgspec.Raw = _NULL
    l: msgspec.Raw = _NULL  # noqa: E741 - FCS' name
    c: msgspec.Raw = _NULL
    v: msgspec.Raw = _NULL
    a: msgspec.Raw = _NULL
    b: msgspec.Raw = _NULL
    update: msgspec.Raw = _NULL
    profile: dict[str, Any] | None = None


class _Price(msgspec.Struct, gc=False, tag="price"):
    symbol: str
    timeframe: str
    prices: _Prices


class _Welcome(msgspec.Struct, tag="welcome"):
    pass


class _Ping(msgspec.Struct, tag="ping"):
    pass


class _Pong(msgspec.Struct, tag="pong"):
    pass


class _Said(msgspec.Struct, tag="message"):
    success: bool
    message: str = ""
    short: str | None = None
    room: str | None = None
    symbol: str | None = None


class _Error(msgspec.Struct, tag="error"):
    message: str = ""
    short: str | None = None


_Message = _Price | _Welcome | _Ping | _Pong | _Said | _Error


class FcsProtocol(SubscribingFeed[_Message]):
    """The key is in the URL. `welcome` -> a `join_symbol` for each symbol -> a confirmation, a profile, prices."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = MessageDecoder(_Message)
    mute_after_s = MUTE_AFTER_S
    symbols_at_once = 1

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._interval = self.setting("interval")
        self._welcome_due: float | None = None
        self._ping_at: float | None = None
        self._beats = False
        """The server sends pings or pongs: without any message it is dead."""
        self._bars: dict[str, Bar] = {}
        """The latest of each symbol."""
        self._stray: set[tuple[str, str]] = set()

    # --- what we say -------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """The key is in the query, percent-encoded."""
        key = self.feed.key
        if key is None:
            return ConnectRequest(self.feed.url)
        joint = "&" if "?" in self.feed.url else "?"
        return ConnectRequest(f"{self.feed.url}{joint}access_key={quote(key.reveal(), safe='')}", secrets=(key,))

    def open(self, now: float) -> None:
        """Nothing may be asked for before `welcome`: FCS' own library drops what is."""
        self._welcome_due = now + WELCOME_TIMEOUT_S
        self._last_message = now

    def request(self, symbols: list[str]) -> dict[str, Any]:
        """One symbol in one timeframe."""
        return {"type": "join_symbol", "symbol": symbols[0], "timeframe": INTERVALS[self._interval]}

    def leave(self, symbol: str, timeframe: str) -> None:
        """Leave a room that we did not join, once; all of them, when there are too many."""
        room = (symbol[:LONGEST_ECHO], timeframe[:LONGEST_ECHO])
        if room in self._stray or len(self._stray) > STRAY_ROOMS:
            return
        self._stray.add(room)
        if len(self._stray) <= STRAY_ROOMS:
            self.send({"type": "leave_symbol", "symbol": room[0], "timeframe": room[1]})
            return
        self.send({"type": "remove_all"})
        for own in self.feed.subscription.symbols:
            if own in self.asked:
                self.send(self.request([own]))

    # --- what we hear ------------------------------------------------------------------------------------------

    def on_message(self, message: _Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One message of any type."""
        match message:
            case _Price():
                self._price(message, payload, ts_recv)
            case _Ping():
                self._beats = True
                self._say("pong", ts_recv)
            case _Pong():
                self._beats = True
            case _Welcome():
                self._welcomed(ts_recv, now)
            case _Error() | _Said(success=False) if self.phase is Phase.AUTH:
                known = self.spec.error(message.short or "")
                self.report(ts_recv, known.code if known and known.error else NOT_WELCOME, message.message)
            case _Said(success=True):
                self.answered(self._meant(message))
            case _Said():
                self._refused(message, ts_recv)
            case _:
                self.report(ts_recv, message.short or "error", message.message)

    def _say(self, kind: str, ts: Timestamp) -> None:
        self._outgoing.append(msgspec.json.encode({"type": kind, "timestamp": ts // NS_PER_MS}))

    def _welcomed(self, ts_recv: Timestamp, now: float) -> None:
        if self.phase is Phase.AUTH:
            self._welcome_due = None
            self._ping_at = now + PING_INTERVAL_S
            self.phase = Phase.SUBSCRIBE
            self.begin(self.choose(ts_recv, None), now)

    def _meant(self, said: _Said) -> tuple[str, ...]:
        """Which of our symbols it is about: the room is `EXCHANGE:SYMBOL_timeframe_0s`, the symbol may lack its
        exchange."""
        for symbol in (said.room and said.room.rsplit("_", 2)[0], said.symbol):
            if symbol in self.asked:
                return (symbol,)
        alike = tuple(symbol for symbol in self.asked if symbol.partition(":")[2] == said.symbol)
        return alike if len(alike) == 1 else ()

    def _refused(self, said: _Said, ts_recv: Timestamp) -> None:
        if symbols := self._meant(said):
            self.turned_down(ts_recv, "symbol_refused", self.redact(said.message)[:100] or "refused", symbols)
        else:
            self.report(ts_recv, said.short or "error", said.message)

    def _price(self, message: _Price, payload: bytes, ts_recv: Timestamp) -> None:
        symbol, prices = message.symbol, message.prices
        if not self.is_ours(symbol, ts_recv):
            return self.leave(symbol, message.timeframe)
        if canonical(message.timeframe) != INTERVALS[self._interval]:
            self.unrequested(ts_recv, f"{symbol} {message.timeframe}")
            return self.leave(symbol, message.timeframe)
        if prices.mode == "profile":
            return self._profile(symbol, prices.profile or {}, ts_recv)
        if prices.mode not in (None, "initial", "candle", "askbid"):
            return self._unknown(f"price {prices.mode}", ts_recv)
        made = self._bar if self.feed.subscription.channel is Channel.BARS else _quote
        event = made(symbol, prices, ts_recv)
        self.give([event] if event else [], payload, ts_recv)
        return None

    def _profile(self, symbol: str, profile: dict[str, Any], ts_recv: Timestamp) -> None:
        """Sent once after joining: as good as a confirmation."""
        if symbol in self._unanswered:
            self.answered((symbol,))
        session = profile.get("current_session")
        if isinstance(session, str) and session != "market" and self._reports.allows(ts_recv / NS_PER_SECOND):
            self.notice(
                ts_recv, "session", f"{symbol}: FCS API says of its session: {self.redact(session)[:40]}", (symbol,)
            )

    def _bar(self, symbol: str, prices: _Prices, ts_recv: Timestamp) -> Bar | None:
        """The bar after this message; None for a bid and ask of a candle whose beginning was not seen.

        Merged as FCS' chart library does it. Raises ValueError for a message without what it has to have.
        """
        bid, ask, spread = _bid_ask(prices)
        if prices.mode == "askbid":
            held, close = self._bars.get(symbol), loose.price(prices.c)
            if held is None or loose.time(prices.t) != held.ts_event:
                return None
            if spread is None:
                bid, ask, spread = held.bid, held.ask, held.spread
            bar = msgspec.structs.replace(
                held, ts_recv=ts_recv, close=close, high=max(held.high, close, key=numbers.decimal),
                low=min(held.low, close, key=numbers.decimal), bid=bid, ask=ask, spread=spread,
            )  # fmt: skip
        else:
            opened, high, low, close = map(loose.price, (prices.o, prices.h, prices.l, prices.c))
            opens = loose.time(prices.t)
            if not opens:
                raise ValueError("a candle without a time")
            volume = None if prices.mode == "initial" else numbers.parse(prices.v)
            bar = Bar(NAME, symbol, opens, ts_recv, self._interval, opened, high, low, close, volume, bid, ask, spread)
        self._bars[symbol] = bar
        return bar

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """Look at the deadlines, and ping. Raises AuthTimeout and what SubscribingFeed raises."""
        if self._welcome_due is not None and now >= self._welcome_due:
            raise AuthTimeout(
                f"FCS API did not say welcome within {WELCOME_TIMEOUT_S:.0f} s.", code="auth_timeout",
                hint="The key may be unknown, or its plan without sockets; a slow network does this, too.",
            )  # fmt: skip
        if self._ping_at is not None and now >= self._ping_at:
            self._ping_at = now + PING_INTERVAL_S
            self._say("ping", ts)
        super().tick(now, ts)

    def next_deadline(self) -> float | None:
        """The earliest of: `welcome` due, our next ping, and what SubscribingFeed waits for."""
        planned = (self._welcome_due, self._ping_at, super().next_deadline())
        return min((at for at in planned if at is not None), default=None)

    def _mute_at(self) -> float | None:
        """Nobody knows whether the server answers pings: only from one that does is silence a sign."""
        return super()._mute_at() if self._beats else None

    def closed(self, code: int | None, reason: str) -> TickstreamError | None:
        """A code of FCS' own before `welcome` is no accident (convention)."""
        if self.phase is Phase.AUTH and code is not None and 4000 <= code < 5000:
            said = f" ({self.redact(reason)[:100]})" if reason else ""
            text = f"FCS API closed the connection with {code}{said} before its welcome."
            return Forbidden(text, code=f"close_{code}", hint="Check the key, and that its plan has sockets.")
        return super().closed(code, reason)


def _bid_ask(prices: _Prices) -> tuple[Number | None, Number | None, Number | None]:
    """Bid, ask and spread; the spread is None when one of them is not known."""
    bid, ask = numbers.parse(prices.b), numbers.parse(prices.a)
    return bid, ask, None if bid is None or ask is None else numbers.difference(ask, bid)


def _quote(symbol: str, prices: _Prices, ts_recv: Timestamp) -> MarketEvent:
    bid, ask, spread = _bid_ask(prices)
    last = numbers.parse(prices.c)
    if bid is None and ask is None and last is None:
        raise ValueError("prices without any price")
    ts = loose.time(prices.update) if prices.mode == "askbid" and prices.update != _NULL else None
    return Quote(NAME, symbol, ts, ts_recv, bid, None, ask, None, spread, last)


def market_of(symbol: str) -> markets.Market:
    """By the exchange: currencies and metals at FX and ONA have the week of forex, two exchanges New York's day."""
    exchange, _, instrument = symbol.partition(":")
    if exchange in ("NASDAQ", "NYSE"):
        return markets.US_EQUITIES
    return markets.market_of(instrument)


NOT_WELCOME = "not_welcome"
# fmt: off
ERRORS = (
    ErrorCode(
        NOT_WELCOME, "an error in place of the welcome: an unknown key, or one whose plan has no sockets",
        "Check the key's origin with `tickstream config show`, and your plan. Without a key the demo's is used.",
        InvalidKey, False,
    ),
    ErrorCode(
        "invalid_key", "the key is unknown or revoked",
        "Check the key's origin with `tickstream config show`. Without a key the demo's is used.", InvalidKey, False,
    ),
    ErrorCode(
        "invalid_symbol", "a symbol that FCS API does not serve", "Write FX:EURUSD: the exchange, a colon, the symbol.",
        None, False,
    ),
)
COMMON_SYMBOLS = (
    "FX:EURUSD", "FX:GBPUSD", "FX:USDJPY", "FX:AUDUSD", "FX:USDCAD", "FX:USDCHF", "FX:XAUUSD", "ONA:EURUSD",
    "ONA:XAUUSD", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "BINANCE:BNBUSDT", "BINANCE:XRPUSDT", "BINANCE:SOLUSDT",
    "BINANCE:ADAUSDT", "BINANCE:LTCUSDT", "OKX:LTCUSDT", "OKX:XRPUSDT", "NASDAQ:AAPL", "NASDAQ:GOOGL", "NASDAQ:MSFT",
    "NASDAQ:TSLA",
)
# fmt: on


def alias(meaning: Canonical, _settings: Mapping[str, str]) -> str | None:
    """A pair by itself means the one of FX, of a coin the one of Binance, which has none in dollars.

    A stock needs its exchange, but for those that the page names.
    """
    match meaning.kind:
        case "stock":
            symbol = f"{meaning.exchange or 'NASDAQ'}:{meaning.base}"
            return symbol if meaning.exchange or symbol in COMMON_SYMBOLS else None
        case "crypto":
            return f"BINANCE:{meaning.name}" if "USD" not in meaning[1:3] else None
        case _:
            return f"FX:{meaning.name}"


SPEC = ProviderSpec(
    name=NAME,
    title="FCS API",
    url="wss://ws-v4.fcsapi.com/ws",
    key_env="FCS_API_KEY",
    channels=(Channel.BARS, Channel.QUOTES),
    symbol_pattern=re.compile(r"[A-Z0-9_]{1,20}:[A-Z0-9._&!-]{1,30}"),
    symbol_help="an exchange, a colon and its symbol, in upper case: FX:EURUSD, BINANCE:BTCUSDT, NASDAQ:AAPL",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=FcsProtocol,
    max_connections=10,
    ping_interval_s=PING_INTERVAL_S,
    data_silence_s=300.0,
    settings={"interval": tuple(INTERVALS)},
    site="https://fcsapi.com",
    demo_key=DEMO_KEY,
    free_tier=f"the demo key {DEMO_KEY}, which is used when none is set; of its own a key needs a paid plan",
    limits=("about one update a second for each symbol", "limits of connections and symbols are not published"),
    heartbeat="either side may ping; ours every 25 s",
    market_of=market_of,
    alias=alias,
)

FcsProtocol.spec = SPEC
