"""Interactive Brokers: quotes and trades from the Client Portal gateway, a program on the user's own machine.

Its WebSocket speaks once the user has logged in at the gateway; what has to be asked for over HTTP (the session, the
contract of a ticker, a sign of life) is in `ibkr_gateway.py`, the session itself in `ibkr_session.py`, what messages
say in `ibkr_wire.py`. Wire facts are
from the documents named there. What stands nowhere is a convention.

`symbol` is the contract as it was asked for: its number (conid) `265598`, perhaps with where it is traded
(`265598@NASDAQ`), or a ticker. A ticker is Interactive Brokers' own symbol of it, and is known before anybody is asked:
rows, files and gaps have their names before the connection stands. Which contract it is is said in a notice. Messages
that are read from a capture have numbers only.

Data is a picture of the market several times a second at the most: of trades in between nothing is heard, and there is
no number that would tell. A subscription ends after 15 minutes without a word, so each is renewed before that, and when
nothing came of it for two minutes while its market is open.
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from tickstream import markets
from tickstream.canonical import Canonical
from tickstream.errors import ConnectionLimit, InvalidKey, ProviderError, RateLimited
from tickstream.events import Gap, MarketEvent
from tickstream.providers import ibkr_gateway as gateway
from tickstream.providers.base import ErrorCode, Feed, ProviderSpec
from tickstream.providers.ibkr_session import LOG_IN, GatewayFeed
from tickstream.providers.ibkr_wire import (
    AVAILABILITY,
    DATA,
    NAME,
    QUOTE_FIELDS,
    TRADE_FIELDS,
    Change,
    Frame,
    Standing,
    change_of,
    status_of,
    text_of,
)
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

RENEW_S = 780.0
"""Two minutes before a subscription ends by itself."""
FIRST_KEPT = 8
SILENT_S = 120.0
"""Without a word of a contract while its market is open, its subscription may have ended (convention)."""


class _Watch(msgspec.Struct):
    """The subscription of one contract. Times are monotonic, but for the last one."""

    asked_at: float
    heard_at: float
    heard_ts: Timestamp | None = None
    renewed: bool = False
    """Its next message answers a renewed subscription."""
    silent: bool = False
    """It was renewed because nothing came."""
    first: list[bytes] | None = []
    """What came before the first trade: without it a capture of messages could not be read. None: that was there."""

    def due(self) -> float:
        """When to ask for it again."""
        return min(self.asked_at + RENEW_S, max(self.asked_at, self.heard_at) + SILENT_S)


class IbkrProtocol(GatewayFeed):
    """Accounts, contracts of tickers, then `smd` for each symbol, which its first message confirms."""

    spec: ClassVar[ProviderSpec]
    send_interval_s = 0.05
    symbols_at_once = 1

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._contracts: dict[str, str] = {}
        """Symbol -> the contract in the words of `smd`: conid, perhaps @EXCHANGE."""
        self._unresolved: dict[str, str] = {}
        """Symbol -> why it is no contract."""
        self._symbols: dict[str, str] = {}
        """What may follow `smd+` -> the symbol."""
        self._watches: dict[str, _Watch] = {}
        self._standings: dict[str, Standing] = {}

    # --- contracts ---------------------------------------------------------------------------------------------

    def prepare(self, now: float) -> None:
        """Tickers have to be looked up; numbers are what they are."""
        if tickers := self._tickers():
            self.rest.append(self.paths.stocks(tickers))
        else:
            self._begin_at = now

    def take_listing(self, body: bytes, ts_recv: Timestamp, now: float) -> None:
        """The contracts of our tickers."""
        found = gateway.contracts(body)
        for symbol in self._tickers():
            chosen = gateway.choose(found.get(gateway.listed(symbol), []))
            if isinstance(chosen, str):
                self._unresolved[symbol] = chosen
            else:
                self._contracts[symbol] = chosen.conid
                self.notice(ts_recv, "contract", f"{symbol} is the contract {chosen}", (symbol,))
        self._begin_at = now

    def _tickers(self) -> list[str]:
        wanted = self.feed.subscription.symbols
        return [symbol for symbol in wanted if symbol not in self.feed.refused and not symbol[0].isdigit()]

    def choose(self, ts: Timestamp, limit: int | None) -> tuple[str, ...]:
        """As FeedProtocol does it; without what is no contract, and what is another's."""
        chosen = super().choose(ts, limit or int(self.setting("lines")))
        for symbol in chosen:
            self._contracts.setdefault(symbol, symbol)
            conid = self._contracts[symbol].partition("@")[0]
            if symbol in self._unresolved:
                self.turned_down(ts, "symbol_refused", self._unresolved[symbol], (symbol,))
            elif (other := self._symbols.setdefault(conid, symbol)) != symbol:
                self.turned_down(ts, "symbol_refused", f"the same contract as {other}", (symbol,))
            else:
                self._symbols[self._contracts[symbol]] = symbol
        return tuple(symbol for symbol in chosen if symbol in self.asked)

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask for these symbols, and watch over each from now on."""
        self._watches = {symbol: _Watch(now, now) for symbol in symbols}
        super().begin(symbols, now)

    def request(self, symbols: list[str]) -> msgspec.Raw:
        """One command, which is no JSON."""
        fields = TRADE_FIELDS if self.feed.subscription.channel is Channel.TRADES else QUOTE_FIELDS
        arguments = msgspec.json.encode({"fields": fields}).decode()
        return msgspec.Raw(f"{DATA}{self._contracts[symbols[0]]}+{arguments}".encode())

    # --- what we hear ------------------------------------------------------------------------------------------

    def on_message(self, message: Frame, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One message of any kind."""
        topic = message.topic
        if message.error is not None:
            self._refused(message.error, topic, ts_recv)
        elif topic.startswith(DATA):
            self._take_change(topic.removeprefix(DATA), change_of(message), payload, ts_recv, now)
        elif topic == "sts":
            self.take_status(status_of(message), now)
        elif topic in ("blt", "ntf"):
            self.report(ts_recv, topic, text_of(message))
        elif message.message == "waiting for session":
            self.show_session()
        elif message.is_nothing:
            raise ValueError("neither a topic nor anything else that the gateway says")
        elif topic and topic.partition("+")[0] not in _OTHER_TOPICS:
            self._unknown(topic, ts_recv)

    def _refused(self, error: str, topic: str, ts_recv: Timestamp) -> None:
        symbol = self._symbols.get(topic.removeprefix(DATA).partition("+")[0])
        if symbol in self.asked and symbol is not None:
            self._watches.pop(symbol, None)
            self.turned_down(ts_recv, "symbol_refused", self.redact(error)[:200], (symbol,))
        else:
            self.report(ts_recv, "error", error)

    def _take_change(self, contract: str, change: Change, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        symbol = self._symbols.get(contract) or self._symbols.get(contract.partition("@")[0], contract)
        if not self.is_ours(symbol, ts_recv):
            return
        if self._unanswered:
            self.answered((symbol,))
        standing = self._standings.setdefault(symbol, Standing())
        watch = self._watches.setdefault(symbol, _Watch(now, now))
        renewed = watch.renewed and bool(change.came)
        if renewed:
            if watch.silent and watch.heard_ts is not None and standing.differs(change):
                self._missed(symbol, watch.heard_ts, ts_recv)
            watch.renewed = watch.silent = False
        watch.heard_at, watch.heard_ts = now, ts_recv
        self._note_state(symbol, standing, change, ts_recv)
        event: MarketEvent | None
        if self._is_trade(standing, change):
            event = standing.trade(change, symbol, ts_recv, renewed=renewed)
            self._keep_first(watch, payload, event)
        else:
            event = standing.quote(change, symbol, ts_recv)
        if event is not None:
            self.give([event], payload, ts_recv)

    def _is_trade(self, standing: Standing, change: Change) -> bool:
        """Both channels have prices of trades. Of a capture nobody says which it was: sizes of trades are in one."""
        channel = self.feed.subscription.channel
        if channel in SPEC.channels:
            return channel is Channel.TRADES
        return "last_size" in change.came or standing.values["last_size"] is not None

    def _keep_first(self, watch: _Watch, payload: bytes, event: MarketEvent | None) -> None:
        if watch.first is None:
            return
        if event is None:
            watch.first = [*watch.first, payload][-FIRST_KEPT:]
        else:
            self._payloads += watch.first
            watch.first = None

    def _missed(self, symbol: str, since: Timestamp, ts_recv: Timestamp) -> None:
        """The market has moved, and nobody told us."""
        text = f"{symbol}: its subscription had ended without a word, and was renewed"
        self.notice(ts_recv, "silent_stop", text, (symbol,))
        self._events.append(Gap(NAME, (symbol,), "disconnect", since, max(since, ts_recv)))

    def _note_state(self, symbol: str, standing: Standing, change: Change, ts_recv: Timestamp) -> None:
        """Say what changes how all the data is to be taken."""
        if change.availability and change.availability != standing.availability:
            known = AVAILABILITY.get(change.availability)
            if known and (standing.availability or change.availability != "R"):
                self.notice(ts_recv, "availability", f"{symbol}: {known}", (symbol,))
            standing.availability = change.availability
        if "last" in change.came and change.mark != standing.mark:
            words = "trading is halted" if change.mark == "H" else "trading goes on"
            self.notice(ts_recv, "halted", f"{symbol}: {words}", (symbol,))
            standing.mark = change.mark

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """Subscriptions to renew. Raises what GatewayFeed raises."""
        for symbol, watch in self._watches.items():
            if now >= watch.due():
                self._renew(symbol, watch, now, ts)
        super().tick(now, ts)

    def _renew(self, symbol: str, watch: _Watch, now: float, ts: Timestamp) -> None:
        silent = now >= max(watch.asked_at, watch.heard_at) + SILENT_S
        if silent and now < watch.asked_at + RENEW_S and not SPEC.market_of(symbol).is_open(ts):
            watch.heard_at = now  # nothing is due
            return
        self.send(msgspec.Raw(f"u{DATA[1:]}{self._contracts[symbol]}+{{}}".encode()))
        self.send(self.request([symbol]))
        watch.asked_at = now
        watch.renewed = True
        watch.silent = watch.silent or silent

    def next_deadline(self) -> float | None:
        """The earliest of: a subscription to renew, and what GatewayFeed waits for."""
        planned = (*(watch.due() for watch in self._watches.values()), super().next_deadline())
        return min((at for at in planned if at is not None), default=None)


def market_of(symbol: str) -> markets.Market:  # noqa: ARG001 - a number tells nothing about hours
    """New York's hours for stocks: those of anything else are not known here, and its silence says nothing."""
    return markets.US_EQUITIES


def alias(meaning: Canonical, settings: object) -> str | None:  # noqa: ARG001 - the same whatever is set
    """A stock by its ticker; currencies and coins have numbers only."""
    return meaning.base if meaning.kind == "stock" else None


_OTHER_TOPICS = frozenset(
    ("system", "act", "tic", "sor", "str", "spl", "ssd", "sld", "smh", "sbd", "ech", "trs", "ubd", "umd", "umh")
)
"""What the gateway says besides, and what is about other data than that of the market."""
# fmt: off
ERRORS = (
    ErrorCode("http_401", "nobody has logged in at the gateway, or the login has ended", LOG_IN, InvalidKey),
    ErrorCode("not_authenticated", "the brokerage session has ended", f"It is opened again. {LOG_IN}", ProviderError),
    ErrorCode(
        "competing", "another program has the brokerage session of this login (TWS, the mobile app, a web page)",
        "Log out there; it is waited for.", ConnectionLimit,
    ),
    ErrorCode(
        "http_429", "too many requests; for ten minutes nothing else is answered",
        "It is waited out; another program may use the same gateway.", RateLimited,
    ),
    ErrorCode(
        "http_503", "the gateway has no bridge to the brokerage session", f"It is tried again. {LOG_IN}",
        ProviderError,
    ),
    ErrorCode("error", "the gateway refuses a command", "The words in brackets are its own."),
    ErrorCode("ntf", "a notification of Interactive Brokers", "The words in brackets are its own."),
    ErrorCode("blt", "a bulletin of Interactive Brokers", "The words in brackets are its own."),
)
COMMON_SYMBOLS = (
    "AAPL", "MSFT", "NVDA", "AMZN", "GOOG", "META", "TSLA", "IBM", "SPY", "QQQ", "265598", "8314", "416904", "13455763",
)
# fmt: on

SPEC = ProviderSpec(
    name=NAME,
    title="Interactive Brokers",
    url="wss://localhost:5000/v1/api/ws",
    key_env=None,
    channels=(Channel.QUOTES, Channel.TRADES),
    symbol_pattern=re.compile(r"[1-9][0-9]{0,9}(@[A-Z]{2,12})?|[A-Z][A-Z0-9]{0,8}([.][A-Z]{1,3})?"),
    symbol_help="conids, numbers such as 265598 or 265598@NASDAQ, or tickers of stocks, such as AAPL or BRK.B",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=IbkrProtocol,
    max_connections=1,
    data_silence_s=300.0,
    settings={"lines": ("100", "200", "300", "500", "1000"), "tls_pin": ("",)},
    site="https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/",
    free_tier="no key: an account, its Client Portal gateway running on this machine, and a login there in a browser",
    limits=(
        "100 market data lines for a login, shared with TWS (setting lines, for those who have more)",
        "one brokerage session for a login: TWS, mobile app or a web page take it away",
        "10 requests a second at the gateway; a login ends after a day at the latest",
        "quotes and trades are pictures of the market, several a second: of what is between them nothing is heard",
    ),
    heartbeat="the gateway's `system` every 10 s; ours `tic` and /tickle every 55 s",
    market_of=market_of,
    alias=alias,
)
IbkrProtocol.spec = SPEC
