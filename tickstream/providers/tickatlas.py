"""TickAtlas: one completed M1 candle with bid and ask per symbol and minute, charged in credits per push.

Wire facts are from the provider's streaming guide (tickatlas.com/guides/websocket-streaming) unless a comment says
"convention": those are documented nowhere, and are what our simulator does too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

import msgspec

from tickstream import numbers
from tickstream.canonical import pairs
from tickstream.credits import CreditRates, Plan
from tickstream.errors import AuthTimeout, ConnectionLimit, Forbidden, InvalidKey, SessionStale
from tickstream.events import Account, Bar, Glimpses
from tickstream.providers import loose
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import UNDECODABLE, JsonFeed, MessageDecoder
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp, parse_rfc3339

NAME = "tickatlas"
REPLY_TIMEOUT_S = 10.0
"""For the answer to `auth` (the server's own limit) and to `subscribe`."""
MUTE_AFTER_S = 90.0
"""Three missed heartbeats of 30 s: whatever answers our pings is not the feed any more (convention)."""
RESUBSCRIBE_AFTER_RESET_S = 60.0
"""After 00:00 UTC quotes come back by themselves; a feed that is still silent then is subscribed again (convention)."""
TIMES_KEPT = 4096
DAY_NS = 86_400 * NS_PER_SECOND

_REPORT = "Please report it, with the output of `tickstream doctor -o json`."


class _Candle(msgspec.Struct, gc=False):
    symbol: str
    time: str
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    bid: msgspec.Raw
    ask: msgspec.Raw
    volume: msgspec.Raw


class _Quote(msgspec.Struct, gc=False, tag="quote"):
    data: _Candle


class _Glance(msgspec.Struct, gc=False):
    """As much of a candle as `-o raw` needs."""

    symbol: str
    time: str


class _GlancedQuote(msgspec.Struct, gc=False, tag="quote"):
    data: _Glance


class _Heartbeat(msgspec.Struct, gc=False, tag="heartbeat"):
    pass


class _Pong(msgspec.Struct, gc=False, tag="pong"):
    pass


_NULL = msgspec.Raw(b"null")


class _Authenticated(msgspec.Struct, tag="authenticated"):
    plan: str | None = None
    max_symbols: msgspec.Raw = _NULL
    credits_per_push: msgspec.Raw = _NULL
    daily_quota_remaining: msgspec.Raw = _NULL


class _Subscribed(msgspec.Struct, tag="subscribed"):
    symbols: list[str]


class _Unsubscribed(msgspec.Struct, tag="unsubscribed"):
    symbols: list[str] = []


class _Error(msgspec.Struct, tag="error"):
    code: str
    message: str = ""


class _LooseCandle(msgspec.Struct):
    """A candle in any form that the guide's readers would accept: numbers as strings, times as epochs, nulls."""

    symbol: str
    time: msgspec.Raw
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    bid: msgspec.Raw = _NULL
    ask: msgspec.Raw = _NULL
    volume: msgspec.Raw = _NULL


class _LooseQuote(msgspec.Struct, tag="quote"):
    data: _LooseCandle


_Rest = _Heartbeat | _Pong | _Authenticated | _Subscribed | _Unsubscribed | _Error
_Message = _Quote | _GlancedQuote | _Rest
_loose_quote = msgspec.json.Decoder(_LooseQuote)
_ONLY_QUOTES, _ONLY_GLANCED = {_Quote}, {_GlancedQuote}
_data = attrgetter("data")
_symbol, _time_text = attrgetter("symbol"), attrgetter("time")
_ask_bid = attrgetter("ask", "bid")


class TickAtlasProtocol(JsonFeed[_Message]):
    """authenticate -> subscribe -> candles, heartbeats, errors."""

    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = MessageDecoder(_Quote | _Rest)
    glancing: ClassVar[MessageDecoder[Any] | None] = MessageDecoder(_GlancedQuote | _Rest)

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._reply_due: float | None = None
        self._last_message: float | None = None
        self._resubscribe_at: float | None = None
        self._quota_message: str | None = None
        """Of a `quota_exceeded` in the batch at hand."""
        self._times: dict[str, Timestamp] = {}

    # --- what we say -------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """No credentials in the URL or the headers."""
        return ConnectRequest(self.feed.url, secrets=(self.feed.key,) if self.feed.key else ())

    def open(self, now: float) -> None:
        """Authenticate at once: the server closes after 10 s without it."""
        field = self.feed.settings.get("auth_field", "key")
        self._send({"action": "auth", field: self.feed.key.reveal() if self.feed.key else ""})
        self._reply_due = now + REPLY_TIMEOUT_S
        self._last_message = now

    def _send(self, message: dict[str, Any]) -> None:
        self._outgoing.append(msgspec.json.encode(message))

    # --- what we hear ------------------------------------------------------------------------------------------

    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """Any message is a sign of life. What comes together with `quota_exceeded` was sent before quotes stopped."""
        self._last_message = now
        super().receive(payloads, ts_recv, now)
        if self._quota_message is not None:
            self._pause(self._quota_message, ts_recv, now)
            self._quota_message = None

    def on_batch(self, messages: list[_Message], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:
        """The usual batch: nothing but quotes."""
        kinds = {*map(type, messages)}
        if kinds == _ONLY_QUOTES:
            taken = self._take_plain_candles([*map(_data, messages)], ts_recv)
        else:
            taken = kinds == _ONLY_GLANCED and self._glance_at([*map(_data, messages)], ts_recv)
        if taken:
            self._pass_on(payloads)
        return taken

    def _take_plain_candles(self, candles: list[_Candle], ts_recv: Timestamp) -> bool:
        """Turn candles into bars if all of them are beyond doubt; False (and nothing done) otherwise."""
        times = self._times_of(candles)
        if times is None or not self.asked.issuperset(map(_symbol, candles)):
            return False
        quoted = numbers.pairs(map(_ask_bid, candles))
        values = [value for c in candles for value in (c.open, c.high, c.low, c.close, c.volume)]
        if not numbers.all_plain([*values, *quoted]):
            return False
        # fmt: off
        self._events += [
            Bar(NAME, c.symbol, times[c.time], ts_recv, "1m", c.open, c.high, c.low, c.close, c.volume,
                c.bid, c.ask, spread, True)
            for c, spread in zip(candles, numbers.differences(quoted), strict=True)
        ]
        # fmt: on
        self._data_flows(len(candles))
        return True

    def _glance_at(self, candles: list[_Glance], ts_recv: Timestamp) -> bool:
        """The same for `-o raw`, which wants symbol and time only."""
        times = self._times_of(candles)
        if times is None or not self.asked.issuperset(map(_symbol, candles)):
            return False
        self._glimpse(Glimpses(NAME, candles, times, ts_recv))
        self._data_flows(len(candles))
        return True

    def _times_of(self, candles: Sequence[_Candle | _Glance]) -> dict[str, Timestamp] | None:
        """A table that has the times of all these candles, None if one is not in the usual form."""
        times = self._times
        try:
            for new in {*map(_time_text, candles)}.difference(times):
                times[new] = parse_rfc3339(new)
        except ValueError:
            return None
        if len(times) > TIMES_KEPT:
            self._times = {}
        return times

    def on_message(self, message: _Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """One message of any type."""
        match message:
            case _Quote() | _GlancedQuote():
                if not self.on_batch([message], [payload], ts_recv):
                    self._receive_quote(payload, ts_recv)
            case _Authenticated():
                self._authenticated(message, ts_recv, now)
            case _Subscribed() if self.phase is not Phase.AUTH:
                self._reply_due = None
                self.confirm(ts_recv, frozenset(message.symbols))
            case _Unsubscribed() if not self.asked.isdisjoint(message.symbols):
                # We never ask for it, so the provider ends these of its own accord (convention).
                self.confirm(ts_recv, self.asked.difference(message.symbols))
            case _Error() if message.code == "quota_exceeded":
                self._quota_message = message.message
            case _Error():
                self.report(ts_recv, message.code, message.message)

    def on_misfit(self, kind: str, payload: bytes, reason: str, ts_recv: Timestamp) -> None:
        """A quote may come in a looser form than usual."""
        if kind == "quote":
            self._receive_quote(payload, ts_recv)
        else:
            self.quarantine(payload, reason)

    def _receive_quote(self, payload: bytes, ts_recv: Timestamp) -> None:
        """One quote, looked at field by field. It is charged whatever we make of it."""
        try:
            candle = _loose_quote.decode(payload).data
            bar = _bar(candle, ts_recv) if candle.symbol in self.asked else None
        except UNDECODABLE as reason:
            self.counters.pushes += 1
            return self.quarantine(payload, str(reason))
        if bar is None:
            self.counters.pushes += 1
            return self.unrequested(ts_recv, candle.symbol)
        self._events.append(bar)
        self._payloads.append(payload)
        self._data_flows(1)
        return None

    def _data_flows(self, pushes: int) -> None:
        self.counters.pushes += pushes
        if self.phase is not Phase.LIVE:
            # The order of `subscribed` and the first quote is not promised: data is as good as the confirmation.
            self.go_live()
        self.paused = False
        self._resubscribe_at = None

    # --- the conversation --------------------------------------------------------------------------------------

    def _authenticated(self, message: _Authenticated, ts_recv: Timestamp, now: float) -> None:
        if self.phase is not Phase.AUTH:
            return
        self.phase = Phase.SUBSCRIBE
        self.account = Account(
            NAME,
            ts_recv,
            message.plan and self.redact(message.plan)[:60],
            loose.count(message.max_symbols),
            loose.count(message.credits_per_push),
            loose.count(message.daily_quota_remaining, if_negative=0),  # overdrawn
        )
        self._events.append(self.account)
        symbols = self.choose(ts_recv, self.account.max_symbols)
        self._send({"action": "subscribe", "symbols": list(symbols)})
        self._reply_due = now + REPLY_TIMEOUT_S

    def _pause(self, message: str, ts_recv: Timestamp, now: float) -> None:
        """Quotes stop until 00:00 UTC. The message may come once, or in place of each quote withheld."""
        if self.paused:
            return
        self.paused = True
        self._last_error = ("quota_exceeded", message)
        until_midnight_ns = DAY_NS - ts_recv % DAY_NS
        self._resubscribe_at = now + until_midnight_ns / NS_PER_SECOND + RESUBSCRIBE_AFTER_RESET_S
        self.notice(ts_recv, "quota_exceeded", self.meaning_of("quota_exceeded", message))

    # --- time --------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """The earliest of: a reply due, a mute feed, a subscription to renew."""
        mute = None if self._last_message is None else self._last_message + MUTE_AFTER_S
        planned = [at for at in (self._reply_due, mute, self._resubscribe_at) if at is not None]
        return min(planned, default=None)

    def tick(self, now: float, ts: Timestamp) -> None:
        """Look at the deadlines. Raises AuthTimeout and SessionStale."""
        if self._reply_due is not None and now >= self._reply_due:
            self._reply_due = None
            if self.phase is Phase.AUTH:
                raise AuthTimeout(
                    f"TickAtlas did not answer the authentication within {REPLY_TIMEOUT_S:.0f} s.",
                    code="auth_timeout",
                    hint='If it persists, the server may expect another field: auth_field = "api_key" in the config.',
                )
            if self.phase is Phase.SUBSCRIBE:
                self.go_live()
                self.notice(ts, "no_ack", f"no confirmation within {REPLY_TIMEOUT_S:.0f} s; waiting for data")
        if self._resubscribe_at is not None and now >= self._resubscribe_at:
            self._resubscribe_at = None
            self.paused = False  # from here on silence is a fault again
            self._send({"action": "subscribe", "symbols": list(self.active)})
        if self._last_message is not None and now >= self._last_message + MUTE_AFTER_S:
            raise SessionStale(f"TickAtlas sent neither data nor a heartbeat for {MUTE_AFTER_S:.0f} s.")


def _bar(candle: _LooseCandle, ts_recv: Timestamp) -> Bar:
    """Raises ValueError when a required field is missing or is no number."""
    opened, high, low, close = (loose.price(p) for p in (candle.open, candle.high, candle.low, candle.close))
    volume = numbers.parse(candle.volume)
    bid, ask = numbers.parse(candle.bid), numbers.parse(candle.ask)
    spread = None if bid is None or ask is None else numbers.difference(ask, bid)
    ts_event = loose.time(candle.time)
    return Bar(NAME, candle.symbol, ts_event, ts_recv, "1m", opened, high, low, close, volume, bid, ask, spread, True)


# fmt: off
ERRORS = (
    ErrorCode(
        "invalid_key", "the key is unknown or revoked",
        "Check the key's origin with `tickstream config show`, or make a new one in your account.", InvalidKey,
    ),
    ErrorCode(
        "forbidden", "the plan has no streaming (Free and Pay-As-You-Go)",
        "Streaming needs Starter, Pro or Enterprise; `tickstream credits --compare` shows which fits.", Forbidden,
    ),
    ErrorCode(
        "connection_limit", "the key already has its 2 connections",
        "Stop another run with this key; a dead connection frees its slot after a few minutes.", ConnectionLimit,
    ),
    ErrorCode(
        "auth_timeout", "no authentication arrived within 10 s",
        "A slow network or proxy; it is retried. `tickstream doctor` shows which step is slow.", AuthTimeout,
    ),
    ErrorCode(
        "quota_exceeded", "the day's credits are used up; the connection stays, quotes resume after 00:00 UTC",
        "Wait, watch fewer symbols, or take a larger plan; --exit-on-quota ends the run instead.",
    ),
    ErrorCode("symbol_limit", "more symbols than the plan allows", "Watch fewer, or take a larger plan.", None, False),
    ErrorCode("invalid_symbol", "a symbol the provider does not serve", "Write EURUSD, without a slash.", None, False),
    ErrorCode("not_authenticated", "a request came before the authentication", _REPORT, None, False),
    ErrorCode("invalid_message", "the server could not read a request", _REPORT, None, False),
    ErrorCode("unknown_action", "the server does not know a request", _REPORT, None, False),
)
# The streaming guide names no daily credits: assumed are the REST requests a day of each plan; nor the symbol limit of
# Pro and Enterprise, which its examples show to be 20 at least.
PLANS = (
    Plan("free", 0, 0, 0, 1_000, streaming=False),
    Plan("payg", None, 0, 0, None, streaming=False),
    Plan("starter", 29, 5, 5, 10_000, quota_is_assumed=True),
    Plan("pro", 79, 4, 20, 100_000, max_symbols_is_minimum=True, quota_is_assumed=True),
    Plan("enterprise", 349, 3, 20, 1_000_000, max_symbols_is_minimum=True, quota_is_assumed=True),
)
COMMON_SYMBOLS = (
    "EURUSD", "GBPUSD", "USDJPY", "AUDUSD", "USDCAD", "USDCHF", "NZDUSD", "EURGBP", "EURJPY", "GBPJPY", "XAUUSD",
    "XAGUSD", "BTCUSD", "ETHUSD",
)

SPEC = ProviderSpec(
    name=NAME, title="TickAtlas", site="https://tickatlas.com",
    url="wss://tickatlas.com/ws/v1/quotes", key_env="TICKATLAS_API_KEY",
    channels=(Channel.BARS,), bar_interval_s=60, bars_once=True,
    symbol_pattern=re.compile(r"[A-Z0-9.]{1,20}"),
    symbol_help="upper case letters, digits and dots, 1 to 20 of them, no slash: EURUSD, XAUUSD, BTCUSD",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=TickAtlasProtocol,
    credit_rates=CreditRates(plans=PLANS),
    max_connections=2,
    limits=(
        "2 connections for a key", "5 symbols on Starter; on Pro and Enterprise at least 20",
        "each push costs credits: see `tickstream credits`",
    ),
    free_tier="none: streaming begins with the Starter plan",
    heartbeat="the server, every 30 s",
    settings={"auth_field": ("key", "api_key")}, alias=pairs(""),
)
# fmt: on

TickAtlasProtocol.spec = SPEC
