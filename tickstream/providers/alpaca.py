"""Alpaca, market data stream (v2 protocol): US stocks, crypto and news, each at an endpoint of its own.

Wire facts: docs.alpaca.markets, "Streaming Market Data", and Alpaca's clients (alpaca-py, alpaca-trade-api-go). Every
frame is an array of messages, told apart by `T`; numbers are JSON numbers, times RFC 3339 with up to nine decimals.
What becomes of each is in fields/alpaca.toml; limits (`l`) and imbalances (`i`) are not asked for.
With `encoding = "msgpack"` the same comes as MessagePack (alpaca_msgpack.py), and is read as the JSON that it means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from tickstream import markets
from tickstream.canonical import Canonical
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    Forbidden,
    InvalidKey,
    ProviderError,
    SessionStale,
    SymbolRefused,
)
from tickstream.keys import Secret
from tickstream.providers.alpaca_msgpack import CONTENT_TYPE, json_of, packed_of
from tickstream.providers.alpaca_wire import (
    MADE,
    NAME,
    Cancelled,
    Correction,
    Decoder,
    Failure,
    Frame,
    Imbalance,
    Limits,
    Message,
    News,
    Status,
    Subscribed,
    Success,
    news_of,
    trades_of,
)
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import LONGEST_MESSAGE, UNDECODABLE, MessageDecoder
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

AUTH_TIMEOUT_S = 10.0
"""Alpaca's own patience: then it says 404 and hangs up."""
AUTH_TRIES = 15
"""While another connection is there (406), as Alpaca's Go client does it, on the same connection."""
AUTH_PAUSE_S, LONGEST_PAUSE = 0.5, 10
"""Before the second try, and as many times that as there were tries, up to ten."""
TEST_SYMBOL = "FAKEPACA"
PATHS = {
    "iex": "/v2/iex", "sip": "/v2/sip", "delayed_sip": "/v2/delayed_sip", "test": "/v2/test",
    "overnight": "/v1beta1/overnight", "boats": "/v1beta1/boats", "news": "/v1beta1/news",
}  # fmt: skip
"""The setting `feed` -> where it is, for all but crypto."""
CRYPTO = "/v1beta3/crypto/"
WITH_STATUSES = frozenset({PATHS["iex"], PATHS["sip"], PATHS["delayed_sip"]})


class Credentials(Secret):
    """KEY:SECRET. Neither the whole nor one of the two is shown."""

    __slots__ = ("key", "secret")

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.key, _, self.secret = value.partition(":")

    def forms(self) -> set[str]:
        """All texts that give one of them away."""
        return super().forms().union(*(Secret(part).forms() for part in (self.key, self.secret) if part))


class AlpacaProtocol(SubscribingFeed[Frame]):
    """`connected` -> auth -> `authenticated` -> a subscribe at a time, each answered by all that is subscribed now."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = Decoder()
    symbols_at_once = 500

    def __init__(self, feed: Feed) -> None:
        super().__init__(msgspec.structs.replace(feed, key=Credentials(feed.key.reveal()) if feed.key else None))
        self._url = endpoint(
            self.feed.url, self.feed.subscription.symbols, self.setting("feed"), self.setting("crypto")
        )
        self._daily = self.setting("interval") == "1d"
        self._packs = self.setting("encoding") == "msgpack"
        self._topics = self._channels()
        self._auth_due: float | None = None
        self._auth_at: float | None = None
        self._tries = 0
        self._portions: list[list[str]] = []
        """To be asked for."""
        self._asking: list[str] = []
        """Asked for, and neither confirmed nor rejected."""
        self._extra: list[str] = []
        """The same, of trading statuses."""

    # --- what we say -----------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """Without the key: a second connection is told apart from a wrong key by the answer to a message."""
        request = msgspec.structs.replace(super().connect_request(), url=self._url)
        if not self._packs:
            return request
        return msgspec.structs.replace(request, binary=True, headers={"Content-Type": CONTENT_TYPE})

    def open(self, now: float) -> None:
        """Alpaca speaks first."""
        self._auth_due = now + AUTH_TIMEOUT_S
        self._last_message = now

    def request(self, symbols: list[str], action: str = "subscribe") -> dict[str, Any]:
        """Of these symbols all that the channel is made of."""
        return {"action": action, **dict.fromkeys(self._topics, symbols)}

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:  # noqa: ARG002 - who asks knows when
        """Ask for books anew: each begins with a snapshot."""
        for action in ("unsubscribe", "subscribe"):
            self.send(self.request(list(symbols), action))

    def ask(self, symbols: Sequence[str], now: float) -> None:
        """A portion at a time: an error does not say which request it is about."""
        self._unanswered.update(symbols)
        size = self.symbols_at_once
        self._portions += [list(symbols[start : start + size]) for start in range(0, len(symbols), size)]
        self._ask_next(now)

    def _ask_next(self, now: float) -> None:
        if self._portions:
            self._asking = self._portions.pop(0)
            self.send(self.request(self._asking))
            self.await_reply(now)
        elif urlsplit(self._url).path in WITH_STATUSES and self.setting("statuses") == "on" and not self._extra:
            self._extra = [symbol for symbol in self.feed.subscription.symbols if symbol in self.asked]
            self.send({"action": "subscribe", "statuses": self._extra})

    def frames_to_send(self, now: float) -> list[bytes]:
        """The requests whose turn has come, in the encoding of the connection."""
        due = super().frames_to_send(now)
        return [packed_of(msgspec.json.decode(one)) for one in due] if self._packs else due

    def _authenticate(self, now: float) -> None:
        key = self.feed.key
        pair = (key.key, key.secret) if isinstance(key, Credentials) else ("", "")
        self._outgoing.append(msgspec.json.encode({"action": "auth", "key": pair[0], "secret": pair[1]}))
        self._tries += 1
        self._auth_at, self._auth_due = None, now + AUTH_TIMEOUT_S

    def _channels(self) -> tuple[str, ...]:
        if urlsplit(self._url).path == PATHS["news"]:
            return ("news",)
        return {
            Channel.TRADES: ("trades",), Channel.QUOTES: ("quotes",), Channel.BOOK: ("orderbooks",),
        }.get(self.feed.subscription.channel, ("dailyBars",) if self._daily else ("bars", "updatedBars"))  # fmt: skip

    # --- what we hear ----------------------------------------------------------------------------------------------

    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """MessagePack is turned into the JSON that it means; what is JSON is taken as it is, whatever was agreed on."""
        if self._packs and not all(one[:1] == b"[" for one in payloads):
            payloads = [text for one in payloads if (text := self._unpacked(one)) is not None]
        super().receive(payloads, ts_recv, now)

    def _unpacked(self, payload: bytes) -> bytes | None:
        try:
            if len(payload) > LONGEST_MESSAGE:
                raise ValueError(f"a message of {len(payload)} bytes; {LONGEST_MESSAGE} are allowed")
            return payload if payload[:1] == b"[" else json_of(payload)
        except UNDECODABLE as reason:
            self.counters.messages += 1
            self.quarantine(payload, str(reason))
            return None

    def on_batch(self, messages: list[Frame], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:
        """Trades at once, if they can be."""
        if self._unanswered or self.phase is not Phase.LIVE:
            return False
        trades = trades_of(messages, ts_recv)
        if trades is None or not self.asked.issuperset({trade.symbol for trade in trades}):
            return False
        self._events += trades
        self._pass_on(payloads)
        return True

    def on_message(self, message: Frame, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One frame. Of a number that is none only its own message is lost."""
        try:
            events = [made(one, ts_recv) if (made := MADE.get(type(one))) else None for one in message]
        except ValueError:
            if len(message) == 1:
                raise
            for part in self._decoder.parts(payload):
                self._take(self._decoder.one(part), part, ts_recv, now)
            return
        for one, event in zip(message, events, strict=True):
            if event is None:
                self._hear(one, ts_recv, now)
        self.give([event for event in events if event is not None], payload, ts_recv)

    def _hear(self, one: Message, ts_recv: Timestamp, now: float) -> None:
        match one:
            case Success(msg="connected") if self.phase is Phase.AUTH and not self._tries:
                self._authenticate(now)
            case Success(msg="authenticated") if self.phase is Phase.AUTH:
                self._auth_due = self._auth_at = None
                self.phase = Phase.SUBSCRIBE
                self.begin(self.choose(ts_recv, None), now)
            case Subscribed():
                self._confirmed({*getattr(one, self._topics[0])}, ts_recv, now)
            case Failure():
                self._failed(str(one.code), one.msg, ts_recv, now)
            case News():
                words = f"{one.headline} ({one.source}) {one.url}"
                self.notice(ts_recv, "news", words, tuple(one.symbols[:50]))
            case Status() | Correction() | Cancelled() if self.is_ours(one.S, ts_recv):
                self.notice(ts_recv, *news_of(one), (one.S,))
            case Limits() | Imbalance():
                self.unrequested(ts_recv, one.S)
            case _:
                pass

    def _confirmed(self, listed: set[str], ts_recv: Timestamp, now: float) -> None:
        """All that is subscribed now: of a portion, what is missing in it, is not served."""
        if not self._asking:
            return
        asking, self._asking = self._asking, []
        if missing := tuple(symbol for symbol in asking if symbol not in listed):
            self.turned_down(ts_recv, "symbol_refused", "not among what Alpaca says is subscribed", missing)
        self.answered(symbol for symbol in asking if symbol in listed)
        self._ask_next(now)

    def _failed(self, code: str, said: str, ts_recv: Timestamp, now: float) -> None:
        if code == CONNECTION_LIMIT and self.phase is Phase.AUTH and self._tries < AUTH_TRIES:
            self._auth_at = now + AUTH_PAUSE_S * min(self._tries, LONGEST_PAUSE)
            self._auth_due = None
            if self._tries == 1:
                self.notice(ts_recv, code, f"{self.meaning_of(code, said)}; trying again on this connection")
        elif code == SYMBOL_LIMIT and self._asking:
            self._halve(ts_recv, now)
        elif self._extra and not self._asking and code in (SYMBOL_LIMIT, NOT_IN_PLAN, NO_CHANNEL):
            self.notice(ts_recv, code, f"trading statuses do not come: {self.meaning_of(code, said)}")
        else:
            self.report(ts_recv, code, said)

    def _halve(self, ts_recv: Timestamp, now: float) -> None:
        """All of a request is rejected, and what was subscribed before remains: ask for half as many."""
        asking, self._asking = self._asking, []
        if half := len(asking) // 2:
            self._portions[:0] = [asking[:half], asking[half:]]
        else:
            over = tuple(symbol for portion in (asking, *self._portions) for symbol in portion)
            self._portions = []
            self.turned_down(ts_recv, "symbol_limit", "over the symbol limit of this plan", over)
        self._ask_next(now)

    # --- time ------------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """Raises AuthTimeout; and as SubscribingFeed.tick does."""
        if self._auth_due is not None and now >= self._auth_due:
            self._auth_due = None
            waited = "answer the authentication" if self._tries else "speak first"
            raise AuthTimeout(f"Alpaca did not {waited} within {AUTH_TIMEOUT_S:.0f} s.", code="auth_timeout")
        if self._auth_at is not None and now >= self._auth_at:
            self._authenticate(now)
        super().tick(now, ts)

    def next_deadline(self) -> float | None:
        """The earliest of: an answer to the authentication due, another try, and what SubscribingFeed waits for."""
        planned = (self._auth_due, self._auth_at, super().next_deadline())
        return min((at for at in planned if at is not None), default=None)

    def _miss_replies(self, ts: Timestamp) -> None:
        if self._portions:
            raise SessionStale("Alpaca did not answer a subscription.")
        self._asking = []
        super()._miss_replies(ts)


def endpoint(url: str, symbols: Sequence[str], feed: str, crypto: str) -> str:
    """Where these symbols are; a URL with a path is taken as it is."""
    if urlsplit(url).path.strip("/"):
        return url
    group = group_of(symbols[0]) if symbols and feed != "news" else ""
    path = f"{CRYPTO}{crypto}" if group == "crypto" else PATHS["test" if group == "test" else feed]
    return url.rstrip("/") + path


def group_of(symbol: str) -> str:
    """Which symbols can share a connection: those of one endpoint."""
    return "crypto" if "/" in symbol else "test" if symbol == TEST_SYMBOL else "stocks"


def market_of(symbol: str) -> markets.Market:
    """Stocks have New York's day; crypto, and the symbol for tests, are always open."""
    return markets.US_EQUITIES if group_of(symbol) == "stocks" else markets.ALWAYS


SYMBOL_LIMIT, CONNECTION_LIMIT, NOT_IN_PLAN, NO_CHANNEL = "405", "406", "409", "410"
_REPORT = "Please report it, with the output of `tickstream doctor -o json`."
# fmt: off
ERRORS = (
    ErrorCode("400", "Alpaca could not read a request", _REPORT, ProviderError),
    ErrorCode("401", "a request came before the authentication", _REPORT, ProviderError),
    ErrorCode(
        "402", "Alpaca does not accept the key or its secret", "Set ALPACA_API_KEY to KEY:SECRET, both of one pair.",
        InvalidKey,
    ),
    ErrorCode("403", "a second authentication; nothing is lost", _REPORT),
    ErrorCode("404", "no authentication arrived within 10 s", "A slow network or proxy; it is retried.", AuthTimeout),
    ErrorCode(
        SYMBOL_LIMIT, "more symbols than the plan allows (30 of trades and quotes in the free one)",
        "Watch fewer, or take a larger plan.",
    ),
    ErrorCode(
        CONNECTION_LIMIT, "another connection with this key is at the same endpoint",
        "Stop the other program; a connection that broke is let go after some seconds.", ConnectionLimit,
    ),
    ErrorCode(
        "407", "we read more slowly than Alpaca sends", "Watch fewer symbols, or write to a faster output.",
        ProviderError,
    ),
    ErrorCode("408", "this account has no v2 data", "Ask Alpaca's support.", Forbidden),
    ErrorCode(
        NOT_IN_PLAN, "the plan does not include this feed", 'Set feed = "iex", or take a plan with SIP data.',
        Forbidden,
    ),
    ErrorCode(
        NO_CHANNEL, "this feed has no such channel", "Books are of crypto (BTC/USD) only; news have no channels.",
        SymbolRefused,
    ),
    ErrorCode("411", "the OAuth token's scope lacks market data", "Take a key of your own account.", Forbidden),
    ErrorCode("412", "options come in MessagePack only", "Watch stocks or crypto.", SymbolRefused),
    ErrorCode("413", "all quotes of options at once cannot be had", "Name the symbols.", SymbolRefused),
    ErrorCode("500", "a fault at Alpaca", "It is retried: status.alpaca.markets.", ProviderError),
)
COMMON_SYMBOLS = (
    "AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "GOOGL", "META", "SPY", "QQQ", "BRK.B", TEST_SYMBOL,
    "BTC/USD", "ETH/USD", "SOL/USD", "LTC/USD",
)
# fmt: on


def alias(meaning: Canonical, _settings: Mapping[str, str]) -> str | None:
    """Stocks of the United States by ticker, and crypto. There are no currencies and no metals."""
    match meaning.kind:
        case "stock":
            return meaning.base
        case "crypto":
            return f"{meaning.base}/{meaning.quote}"
        case _:
            return None


SPEC = ProviderSpec(
    name=NAME,
    title="Alpaca",
    url="wss://stream.data.alpaca.markets",
    key_env="ALPACA_API_KEY",
    channels=(Channel.TRADES, Channel.QUOTES, Channel.BARS, Channel.BOOK),
    symbol_pattern=re.compile(r"[A-Z][A-Z0-9]{0,9}(?:\.[A-Z]{1,4})?|[A-Z0-9]{1,10}/[A-Z]{2,6}"),
    symbol_help="a US stock (AAPL, BRK.B), a pair of crypto with a slash (BTC/USD), or FAKEPACA, which is for tests",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=AlpacaProtocol,
    ping_interval_s=10.0,
    data_silence_s=300.0,
    settings={
        "feed": tuple(PATHS), "crypto": ("us", "us-1", "eu-1"), "interval": ("1m", "1d"), "statuses": ("on", "off"),
        "encoding": ("json", "msgpack"),
    },
    site="https://alpaca.markets",
    free_tier="IEX stocks and crypto: 30 symbols of trades and quotes, bars of all; FAKEPACA at any hour",
    limits=("one connection at each endpoint (stocks, crypto, news)", "30 symbols in the free plan"),
    heartbeat="none; Alpaca answers our ping every 10 s",
    market_of=market_of,
    group_of=group_of,
    alias=alias,
)  # fmt: skip

AlpacaProtocol.spec = SPEC
