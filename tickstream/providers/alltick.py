"""AllTick: trades, books and quotes of stocks, currencies, metals and crypto. Two protocols under one name.

`v1`, the vendor's own (github alltick/docs; alltick-realtime-...-websocket-api): numbered commands, two endpoints, a
heartbeat, and lists of codes that replace the list before. `simple`, of a blog post: one endpoint, `symbol`, `price`,
`time`. What neither document says is a convention, and called so.

| message | event |
|---|---|
| 22998 `code price volume seq tick_time trade_direction` | trade: `volume` -> size, `seq` -> sequence; no `turnover` |
| 22999 `code bids asks seq tick_time` | book_snapshot, whole each time; or quote of its best, also where sizes lack |
| simple `symbol price time` | trade |

`trade_direction` is the taker's side (1 buys at the ask, 2 sells at the bid) for stocks and crypto; of all else it is
constant, and left out. Times are milliseconds, or seconds where they are shorter.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import msgspec

from tickstream import markets
from tickstream.canonical import Canonical
from tickstream.errors import Forbidden, InvalidKey, ProviderError, RateLimited
from tickstream.events import MarketEvent, Trade
from tickstream.providers import loose
from tickstream.providers.alltick_wire import (
    NAME,
    OTHERS,
    SIMPLE,
    STOCKS,
    Beaten,
    CommandDecoder,
    Depth,
    Message,
    Reply,
    SimpleDecoder,
    SimpleTick,
    Tick,
    depth_of,
    group_of,
    moment_of,
    trade_of,
)  # fmt: skip
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import REPLY_TIMEOUT_S, SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp
from tickstream.trial_list import TrialList

SIMPLE_DECODER = SimpleDecoder()
SIMPLE_HOST = "api.alltick.co"
BEAT, BOOK, TRADES = 22000, 22002, 22004
BEAT_S = 10.0
MUTE_AFTER_S = 30.0
"""Three heartbeats without an answer (convention)."""
APART_S = 3.5
"""3 s, and some for the network: requests of connections with one token; attempts to connect on a paid plan."""
AGAIN_S = 2.0
TRIES = 3
"""Of a request that came too soon (convention)."""
SILENT_AFTER_S = 60.0
"""After a list was accepted: codes of which nothing came are suspect (convention)."""
REMEMBERED = 64
"""Numbers of each code that may come again."""
LIMITS = {"free": 5, "basic": 100, "premium": 200, "professional": 3000}
"""Plan -> codes in a list. More are left out without a word."""


class AllTickProtocol(SubscribingFeed[Message | SimpleTick]):
    """The token is in the URL. A heartbeat at once, then the list, which is accepted or tried by halves."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = CommandDecoder(Message, "cmd_id")
    mute_after_s = MUTE_AFTER_S
    send_interval_s = 1.0

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._plain = self.setting("mode") == "simple"
        if self._plain:
            self._decoder = SIMPLE_DECODER
        self._trial = TrialList(())
        self._count = 0
        """Of commands so far: the `seq_id` of the latest."""
        self._asked_by = 0
        """The `seq_id` of the latest list."""
        self._tries = 0
        self._beat_at: float | None = None
        self._silent_at: float | None = None
        self._heard: set[str] = set()
        self._numbers: dict[str, deque[Hashable]] = {}
        self._said_duplicate = False

    # --- what we say -------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """The endpoint of the first symbol, with the token in its query."""
        symbols = self.feed.subscription.symbols
        first = next((symbol for symbol in symbols if symbol not in self.feed.refused), symbols[0])
        parts = urlsplit(self.feed.url)
        if parts.path in ("", "/", STOCKS, OTHERS, SIMPLE):
            path = SIMPLE if self._plain else group_of(first)
            at_home = self._plain and parts.hostname == urlsplit(SPEC.url).hostname
            parts = parts._replace(path=path, netloc=SIMPLE_HOST if at_home else parts.netloc)
        key = self.feed.key
        if key is not None:
            token = f"token={quote(key.reveal(), safe='')}"
            parts = parts._replace(query=f"{parts.query}&{token}" if parts.query else token)
        return ConnectRequest(parts.geturl(), secrets=() if key is None else (key,))

    def open(self, now: float) -> None:
        """A heartbeat at once."""
        super().open(now)
        if not self._plain:
            self._beat(now)

    def choose(self, ts: Timestamp, limit: int | None) -> tuple[str, ...]:
        """As FeedProtocol does it; without what belongs to another endpoint, or is over the plan that was named."""
        size = limit or LIMITS.get(self.setting("tier"))
        chosen = super().choose(ts, size and size * self.feed.shards)
        if self._plain:
            strange, why = [symbol for symbol in chosen if "." in symbol], "the simple protocol has AAPL, not AAPL.US"
        else:
            here = group_of(chosen[0])
            strange, why = [symbol for symbol in chosen if group_of(symbol) != here], f"not served at {here}"
        if strange:
            self.turned_down(ts, "symbol_refused", why, tuple(strange))
        return tuple(symbol for symbol in chosen if symbol in self.asked)

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask for these symbols; not at the same time as other connections of the run."""
        self._unanswered.update(symbols)
        self._trial = TrialList(symbols)
        self._ask_for_list(now + APART_S * self.feed.shard)

    def request(self, symbols: list[str]) -> dict[str, Any]:
        """The whole list: it replaces the one before."""
        if self._plain:
            return {"action": "subscribe", "symbols": symbols}
        if self.feed.subscription.channel is Channel.TRADES:
            return self._command(TRADES, {"symbol_list": [{"code": symbol} for symbol in symbols]})
        depth = 1 if self.feed.subscription.channel is Channel.QUOTES else int(self.setting("depth"))
        return self._command(BOOK, {"symbol_list": [{"code": symbol, "depth_level": depth} for symbol in symbols]})

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:
        """Each message is a whole book."""

    def _ask_for_list(self, at: float) -> None:
        self.send(self.request(list(self._trial.wanted)), at)
        self._asked_by = self._count
        self._reply_due = at + REPLY_TIMEOUT_S

    def _command(self, number: int, data: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        trace = f"tickstream-{self.feed.shard + 1}-{self._count}"
        return {"cmd_id": number, "seq_id": self._count, "trace": trace, "data": data}

    def _beat(self, now: float) -> None:
        self._outgoing.append(msgspec.json.encode(self._command(BEAT, {})))
        self._beat_at = now + BEAT_S

    # --- what we hear ------------------------------------------------------------------------------------------

    def on_message(self, message: Message | SimpleTick, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One message of any type."""
        match message:
            case Tick() if self.feed.subscription.channel is Channel.TRADES:
                number = loose.count(message.data.seq)
                self._give(trade_of(message.data, number, ts_recv), number, payload, ts_recv)
            case Depth() if self.feed.subscription.channel is not Channel.TRADES:
                number = loose.count(message.data.seq)
                book = self.feed.subscription.channel is Channel.BOOK
                self._give(depth_of(message.data, number, book, ts_recv), number, payload, ts_recv)
            case Tick() | Depth():
                self.unrequested(ts_recv, message.data.code)
            case SimpleTick():
                price, at = loose.price(message.price), moment_of(message.time, message.timestamp)
                trade = Trade(NAME, message.symbol, at, ts_recv, price)
                self._give(trade, None if at is None else (at, bytes(price)), payload, ts_recv)
            case Reply(seq_id=number) if number in (0, self._asked_by) and not isinstance(message, Beaten):
                self._answer(message, ts_recv, now)
            case Reply(ret=ret) if ret != OK:
                self.report(ts_recv, str(ret), message.msg)

    def _give(self, event: MarketEvent, number: Hashable, payload: bytes, ts_recv: Timestamp) -> None:
        """What came before, by the provider's number, or in the simple protocol by time and price, does not count."""
        if not self.is_ours(event.symbol, ts_recv):
            return
        seen = self._numbers.setdefault(event.symbol, deque(maxlen=REMEMBERED))
        if number is not None and number in seen:
            if not self._said_duplicate:
                self._said_duplicate = True
                self.notice(ts_recv, "duplicates", f"{event.symbol}: what had come before came again; left out")
            return
        seen.append(number)
        self._heard.add(event.symbol)
        self.give([event], payload, ts_recv)

    def _answer(self, reply: Reply, ts_recv: Timestamp, now: float) -> None:
        """The answer to a list: accepted, one of it is wrong, too long, too soon."""
        self._reply_due = None
        if reply.ret == OK:
            self._trial.accept()
        elif reply.ret in (UNKNOWN_CODE, NOT_IN_PLAN):
            if wrong := self._trial.refuse():
                self.turned_down(ts_recv, "symbol_refused", self.meaning_of(str(reply.ret), reply.msg), wrong)
        elif reply.ret == TOO_MANY:
            length = max((size for size in LIMITS.values() if size < len(self._trial.wanted)), default=0)
            if not length:
                raise Forbidden(f"AllTick: {self.words_for('603', reply.msg)}", code="603", hint="See your plan.")
            why = f"{self.meaning_of('603', reply.msg)}: trying {length}"
            self.turned_down(ts_recv, "symbol_limit", why, self._trial.shorten(length))
        elif reply.ret in (429, 605) and self._tries < TRIES:
            self._tries += 1
            return self._ask_for_list(now + AGAIN_S)
        else:
            return self.report(ts_recv, "400" if reply.ret in (201, 202) else str(reply.ret), reply.msg)
        self._tries = 0
        if self._trial.settled:
            self.answered(self._trial.accepted)
            self._silent_at = now + SILENT_AFTER_S
        else:
            self._ask_for_list(now)
        return None

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """The heartbeat, and a look at what did not come. Raises what SubscribingFeed raises."""
        if self._beat_at is not None and now >= self._beat_at:
            self._beat(now)
        if self._silent_at is not None and now >= self._silent_at:
            self._silent_at = None
            self._look_for_silent(ts)
        super().tick(now, ts)

    def next_deadline(self) -> float | None:
        """The earliest of: a heartbeat, the look at what is silent, and what SubscribingFeed waits for."""
        planned = (self._beat_at, self._silent_at, super().next_deadline())
        return min((at for at in planned if at is not None), default=None)

    def _mute_at(self) -> float | None:
        """The simple protocol has no heartbeats."""
        return None if self._plain else super()._mute_at()

    def _miss_replies(self, ts: Timestamp) -> None:
        """The simple protocol has no replies, either."""
        if self._plain:
            self._unanswered.clear()
            self.go_live()
        else:
            super()._miss_replies(ts)

    def _look_for_silent(self, ts: Timestamp) -> None:
        """More codes than the plan has are left out without a word: those at the end of the list are then silent."""
        listed = self._trial.accepted
        silent = [one for one in listed if one not in self._heard and SPEC.market_of(one).is_open(ts)]
        for size in LIMITS.values():
            cut = listed[size:]
            if silent and cut and self._heard.isdisjoint(cut) and len(self._heard) >= 0.8 * size:
                why = f"only the {size} before came within {SILENT_AFTER_S:.0f} s: a plan has no more in a list"
                return self.refuse(ts, "symbol_limit", why, cut)
        if silent and self._heard:
            some = ", ".join(silent[:10]) + (" ..." if len(silent) > 10 else "")
            text = f"nothing came of {some} within {SILENT_AFTER_S:.0f} s: a closed market, or over the plan's limit"
            self.notice(ts, "silent_symbols", text, tuple(silent))
        return None


def market_of(symbol: str) -> markets.Market:
    """New York's hours for its stocks; those of Hong Kong, Shanghai and Shenzhen are not known here."""
    return markets.US_EQUITIES if symbol.endswith(".US") else markets.market_of(_METALS.get(symbol, symbol))


OK, UNKNOWN_CODE, TOO_MANY, NOT_IN_PLAN = 200, 600, 603, 604
_METALS = {"GOLD": "XAUUSD", "Silver": "XAGUSD", "Platinum": "XPTUSD", "Palladium": "XPDUSD"}
_REPORT = "Please report it, with the output of `tickstream doctor -o json`."
# fmt: off
ERRORS = (
    ErrorCode("400", "AllTick could not read a request", _REPORT, ProviderError),
    ErrorCode(
        "401", "the token is wrong or has expired",
        "Check its origin with `tickstream config show`, or get another one in your account.", InvalidKey,
    ),
    ErrorCode("402", "AllTick does not accept the query of the URL", _REPORT, ProviderError),
    ErrorCode("429", "too many requests", "It is waited out; another program may use the same token.", RateLimited),
    ErrorCode(
        "600", "a code that AllTick does not know, or not at this endpoint",
        "Write AAPL.US, 700.HK, 600416.SH, EURUSD, GOLD, BTCUSDT: upper and lower case matter.",
    ),
    ErrorCode("601", "AllTick missed the body of a request", _REPORT, ProviderError),
    ErrorCode("603", "more codes than the plan allows", "Watch fewer, or take a larger plan."),
    ErrorCode("604", "a code that the plan does not include", "Leave it out, or take another plan."),
    ErrorCode("605", "too many requests", "It is waited out; another program may use the same token.", RateLimited),
    ErrorCode(
        "606", "too many requests or connections, and AllTick ends this one",
        "It is waited out; another program may use the same token.", RateLimited,
    ),
)
COMMON_SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "EURUSD", "USDJPY", "AUDUSD", "EURGBP", "GOLD", "Silver", "Platinum",
    "Palladium", "COPPER", "Aluminum", "Nickel", "USOIL", "UKOIL", "NGAS", "AAPL.US", "MSFT.US", "GOOG.US", "AMZN.US",
    "TSLA.US", "UNH.US", "META.US", "V.US", "700.HK", "9988.HK", "1398.HK", "1288.HK", "3690.HK", "600416.SH",
    "000627.SZ",
)
# fmt: on


def alias(meaning: Canonical, settings: Mapping[str, str]) -> str | None:
    """In v1 metals have names, no coin is in dollars, a stock has its country behind it; `simple` has bare tickers."""
    if settings.get("mode") == "simple":
        return meaning.name
    match meaning.kind:
        case "stock":
            return f"{meaning.base}.US"
        case "metal":
            return next((code for code, name in _METALS.items() if name == meaning.name), meaning.name)
        case "crypto" if "USD" in meaning[1:3]:
            return None
        case _:
            return meaning.name


SPEC = ProviderSpec(
    name=NAME,
    title="AllTick",
    url=f"wss://quote.alltick.co{OTHERS}",
    key_env="ALLTICK_TOKEN",
    channels=(Channel.TRADES, Channel.BOOK, Channel.QUOTES),
    symbol_pattern=re.compile(r"[A-Za-z0-9]{1,20}(\.(US|HK|SH|SZ))?"),
    symbol_help="AAPL.US, 700.HK, 600416.SH for stocks, else as AllTick lists it: EURUSD, GOLD, Silver, BTCUSDT",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=AllTickProtocol,
    max_connections=10,
    data_silence_s=300.0,
    settings={"mode": ("v1", "simple"), "tier": ("unknown", *LIMITS), "depth": ("10", "5", "1")},
    site="https://alltick.co",
    free_tier="one connection, 5 codes of ten; its page says without ticks and books",
    limits=(
        "codes in a list: 5 (Free), 100 (Basic), 200 (Premium), 3,000 (Professional); more are left out silently",
        "connections: 1, 1, 3, 10; stocks have one of their own beside",
        "requests: 1 s apart on a connection, 3 s apart on a token; connections 3 s apart, 10 s on the free plan",
    ),
    heartbeat="ours every 10 s; without one for 30 s AllTick disconnects",
    market_of=market_of,
    group_of=group_of,
    reconnect_s=APART_S,
    alias=alias,
)

AllTickProtocol.spec = SPEC
