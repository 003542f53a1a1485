"""Coinbase Exchange: quotes, trades and books without a key, orders with one. Bars are of `coinbase_advanced.py`.

Wire facts are from docs.cdp.coinbase.com (exchange/websocket-feed) unless a comment says "recorded" or "convention".
What its messages are in our schema is in `coinbase_exchange.py`. Books carry no number and no checksum: only a crossed
one shows that something was lost. Trades are numbered without holes for each product, and the messages of `full` too;
heartbeats tell the last number of both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar

import msgspec

from tickstream.canonical import pairs
from tickstream.errors import InvalidKey, ProviderError, RateLimited, SymbolRefused
from tickstream.events import Gap
from tickstream.keys import Secret
from tickstream.markets import ALWAYS
from tickstream.providers import coinbase_exchange as wire
from tickstream.providers.base import ConnectRequest, ErrorCode, Feed, Phase, ProviderSpec
from tickstream.providers.json_feed import MessageDecoder
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp

NAME = wire.NAME
URL = "wss://ws-feed.exchange.coinbase.com"
SANDBOX_URL = "wss://ws-feed-public.sandbox.exchange.coinbase.com"
LONGEST_BOOK = 8 * 2**20
"""Bytes. The whole book of BTC-USD has more than a million, and the list of all products may."""
_LONG = (b'{"type":"snapshot"', b'{"type":"status"')

ALIASES = {"level2_50": "level2_batch", "ticker_1000": "ticker_batch"}
"""What a confirmation may call a channel (recorded) -> what we call it."""
NEED_KEY = frozenset({"level2", "full", "user"})
VERIFIED_PATH = "GET/users/self/verify"
"""What is signed, behind the time."""

_product, _trade_id = attrgetter("product_id"), attrgetter("trade_id")


class Credentials(Secret):
    """KEY:SECRET:PASSPHRASE. Neither the whole nor any of the three is shown."""

    __slots__ = ("_parts",)

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self._parts = [*value.split(":", 2), "", ""][:3]

    def forms(self) -> set[str]:
        """All texts that give one of them away."""
        return super().forms().union(*(Secret(part).forms() for part in self._parts if part))

    def signature(self, timestamp: str) -> dict[str, str]:
        """The fields that authenticate a request, at this time in seconds. Raises InvalidKey for a secret of no use."""
        import base64
        import hmac

        key, secret, passphrase = self._parts
        try:
            made = hmac.digest(base64.b64decode(secret, validate=True), (timestamp + VERIFIED_PATH).encode(), "sha256")
        except ValueError:
            raise InvalidKey("The secret of the Coinbase key is not base64.", code=SIGNATURE, hint=_KEY_FORM) from None
        text = base64.b64encode(made).decode()
        return {"key": key, "passphrase": passphrase, "timestamp": timestamp, "signature": text}


class _Decoder(MessageDecoder[wire.Message]):
    def parts(self, payload: bytes) -> list[bytes]:
        """As MessageDecoder.parts does it, but for whole books."""
        if payload.startswith(_LONG) and len(payload) <= LONGEST_BOOK:
            return [payload]
        return super().parts(payload)


class CoinbaseProtocol(SubscribingFeed[Any]):
    """subscribe -> all that is subscribed now, data, heartbeats. Without a request within 5 s Coinbase hangs up.

    With the setting `feed = "advanced"`, and for bars, it is an AdvancedProtocol.
    """

    url: ClassVar[str] = URL
    """Where its feed is."""
    spec: ClassVar[ProviderSpec]
    decoder: ClassVar[MessageDecoder[Any]] = _Decoder(wire.Message)
    mute_after_s = 10.0
    """Heartbeats come every second (convention: ten missed ones are no chance)."""
    send_interval_s = 0.1
    """100 a second are allowed for an address, all its connections together."""

    def __new__(cls, feed: Feed) -> CoinbaseProtocol:
        """The one for the feed that is asked for."""
        if feed.settings.get("feed") == "advanced" or feed.subscription.channel is Channel.BARS:
            from tickstream.providers.coinbase_advanced import AdvancedProtocol

            return super().__new__(AdvancedProtocol)
        return super().__new__(cls)

    def __init__(self, feed: Feed) -> None:
        super().__init__(msgspec.structs.replace(feed, key=Credentials(feed.key.reveal()) if feed.key else None))
        channel = feed.subscription.channel
        self._channel = self.setting(channel) if channel in self.spec.settings else "matches"
        self._orders = channel is Channel.ORDERS
        self._wall = Timestamp(0)
        self._awaited = 0
        """Confirmations on their way."""
        self._trading: dict[str, str] = {}
        """Product -> what may be done with it, if not everything."""

    # --- what we say -----------------------------------------------------------------------------------------------

    def connect_request(self) -> ConnectRequest:
        """Requests are signed, not the connection."""
        sandbox = self.setting("environment") == "sandbox" and self.url == URL
        elsewhere = self.feed.url != URL
        url = self.feed.url if elsewhere else SANDBOX_URL if sandbox else self.url
        return msgspec.structs.replace(super().connect_request(), url=url)

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Data and heartbeats of each symbol."""
        self.subscribe(symbols, now)
        if self.setting("status") == "on":
            self.send({"type": "subscribe", "channels": [{"name": "status"}]})

    def subscribe(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask, and expect a confirmation of each request."""
        self.ask(symbols, now)
        self._awaited = -(-len(symbols) // self.symbols_at_once)

    def request(self, symbols: list[str], kind: str = "subscribe") -> dict[str, Any]:
        """The request for these symbols, signed if the channel needs it."""
        channels = [self._channel, "heartbeat"] if kind == "subscribe" else [self._channel]
        asked = {"type": kind, "product_ids": symbols, "channels": channels}
        if self._channel in NEED_KEY and isinstance(self.feed.key, Credentials):
            asked |= self.feed.key.signature(f"{self._wall / NS_PER_SECOND:.3f}")
        return asked

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:  # noqa: ARG002 - who asks knows when
        """Ask for books anew: each begins with a snapshot."""
        for kind in ("unsubscribe", "subscribe"):
            self.send(self.request(list(symbols), kind))

    # --- what we hear ----------------------------------------------------------------------------------------------

    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """Signatures need the wall clock."""
        self._wall = ts_recv
        super().receive(payloads, ts_recv, now)

    def tick(self, now: float, ts: Timestamp) -> None:
        """Raises as SubscribingFeed.tick does."""
        self._wall = ts
        super().tick(now, ts)

    def on_batch(self, messages: list[Any], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:
        """Each stretch of messages of one type at once, if it can be."""
        if len({*map(type, messages)}) == 1:
            return self._take_stretch(messages, payloads, ts_recv)
        start = 0
        for _, some in groupby(messages, type):
            stretch = list(some)
            end = start + len(stretch)
            if len(stretch) == 1 or not self._take_stretch(stretch, payloads[start:end], ts_recv):
                for message, payload in zip(stretch, payloads[start:end], strict=True):
                    self._take(message, payload, ts_recv, 0.0)
            start = end
        return True

    def _take_stretch(self, messages: list[Any], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:
        """Messages of one type, if they are data beyond doubt; False (and nothing done) otherwise."""
        kind = type(messages[0])
        whole = wire.WHOLE.get(kind)
        if whole is None or self._orders or not self.asked.issuperset(map(_product, messages)):
            return False
        numbered = _numbered(messages) if kind is wire.Match else {}
        events = whole(messages, ts_recv) if numbered is not None else None
        if events is None:
            return False
        for product, (first, last) in (numbered or {}).items():
            self._missing(self.continuity.follow(product, first, last, ts_recv))
        self._events += events
        self._pass_on(payloads)
        if self.phase is not Phase.LIVE:
            self.go_live()
        if self._unanswered:
            self.answered({*map(_product, messages)})
        return True

    def on_message(self, message: Any, payload: bytes, ts_recv: Timestamp, now: float) -> None:  # noqa: ARG002 - nothing here takes time
        """One message of any type."""
        match message:
            case wire.Match():
                self._match(message, payload, ts_recv)
            case wire.Ticker():
                self.give([wire.quote(message, ts_recv)], payload, ts_recv)
            case wire.L2Update():
                self.give([wire.change(message, ts_recv)], payload, ts_recv)
            case wire.Snapshot():
                self.give([wire.book(message, ts_recv)], payload, ts_recv)
            case wire.Heartbeat():
                self._heartbeat(message, ts_recv)
            case wire.Subscriptions():
                self._subscribed(message, ts_recv)
            case wire.Problem():
                self._problem(message, ts_recv)
            case wire.Status():
                self._status(message, ts_recv)
            case wire.Activate():
                self.give([wire.order(message, ts_recv)], payload, ts_recv)
            case _:
                self._order(message, payload, ts_recv)

    def _match(self, match: wire.Match, payload: bytes, ts_recv: Timestamp) -> None:
        if self._orders:
            self._order(match, payload, ts_recv)
        else:
            self.give_numbered([(wire.trade(match, ts_recv), match.trade_id, match.trade_id)], payload, ts_recv)

    def _order(self, one: Any, payload: bytes, ts_recv: Timestamp) -> None:
        """Of `full`, every message of a product has the next number; `user` leaves out what is others'."""
        event = wire.order(one, ts_recv)
        if self._channel == "full":
            self.give_numbered([(event, one.sequence, one.sequence)], payload, ts_recv)
        else:
            self.give([event], payload, ts_recv)

    def _heartbeat(self, one: wire.Heartbeat, ts_recv: Timestamp) -> None:
        """What was sent before it, and did not come, is lost. It has no number of its own: `full` counts on without
        it. 0: there was none."""
        last = one.sequence if self._orders else one.last_trade_id
        if last and one.product_id in self.asked and self._channel in ("matches", "full"):
            self._missing(self.continuity.follow(one.product_id, last + 1, last, ts_recv))

    def _missing(self, gap: Gap | None) -> None:
        if gap is not None:
            self._events.append(gap)

    def _subscribed(self, message: wire.Subscriptions, ts_recv: Timestamp) -> None:
        products = [
            product
            for channel in message.channels
            if ALIASES.get(channel.name, channel.name) == self._channel
            for product in channel.product_ids or ()
        ]
        self.confirmed(frozenset(products), ts_recv)

    def confirmed(self, listed: Set[str], ts_recv: Timestamp) -> None:
        """All that is subscribed now: with the last confirmation, what is not in it was refused."""
        self._awaited -= 1
        if not self._unanswered.isdisjoint(listed):
            self.answered(listed)
        if self._awaited == 0 and self._unanswered:
            missing = tuple(symbol for symbol in self.feed.subscription.symbols if symbol in self._unanswered)
            self.turned_down(ts_recv, "symbol_refused", "not in Coinbase's confirmation", missing)

    def _problem(self, error: wire.Problem, ts_recv: Timestamp) -> None:
        """Errors have no codes: the words by which they are known are taken for one."""
        text = f"{error.message}: {error.reason}" if error.reason else error.message
        known = next((entry for entry in ERRORS if entry.code in text), None)
        if known is not None and known.code in NO_PRODUCT:
            product = error.reason.partition(" ")[0]
            if product in self.asked:
                self.turned_down(ts_recv, "symbol_refused", self.redact(error.reason)[:100], (product,))
                return
            if product in self.refused:  # there is an error for each channel that was asked for
                return
        self.report(ts_recv, known.code if known else error.message, error.reason or error.message)

    def _status(self, message: wire.Status, ts_recv: Timestamp) -> None:
        """It is said when something changes for one of our products."""
        for product in message.products:
            limits = [name for name in ("post_only", "limit_only", "cancel_only") if getattr(product, name)]
            now = ", ".join(([] if product.status == "online" else [product.status[:40]]) + limits)
            if product.id in self.asked and now != self._trading.get(product.id, ""):
                self._trading[product.id] = now
                words = f"{product.id}: {now or 'online'} {product.status_message or ''}".strip()
                self.notice(ts_recv, "status", words, (product.id,))


def _numbered(matches: Sequence[wire.Match]) -> Mapping[str, tuple[int, int]] | None:
    """Product -> the first and the last of its trade ids; None when one is missing between them."""
    ids: dict[str, list[int]] = {}
    if len(products := {*map(_product, matches)}) == 1:
        ids[products.pop()] = [*map(_trade_id, matches)]
    else:
        for one in matches:
            ids.setdefault(one.product_id, []).append(one.trade_id)
    if any(of != list(range(of[0], of[0] + len(of))) for of in ids.values()):
        return None
    return {product: (of[0], of[-1]) for product, of in ids.items()}


SIGNATURE = "invalid signature"
NO_KEY = (
    "level2, level3, and full channels now require authentication. "
    "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth"
)
"""The words of 2026 (recorded)."""
NO_PRODUCT = frozenset({"is not a valid product", "is delisted"})
_KEY_FORM = (
    "COINBASE_API_KEY is KEY:SECRET:PASSPHRASE of an Exchange API key; keys of the Developer Platform do not work here."
)
# fmt: off
ERRORS = (
    ErrorCode("is not a valid product", "a product that Coinbase does not have", "Write BTC-USD: with a hyphen."),
    ErrorCode("is delisted", "a product that is traded no more", "Leave it out."),
    ErrorCode(
        "require authentication", "level2, full and user need a key",
        'Set COINBASE_API_KEY, or take book = "level2_batch", which needs none.', InvalidKey,
    ),
    ErrorCode(SIGNATURE, "Coinbase does not accept the key, its secret or its passphrase", _KEY_FORM, InvalidKey),
    ErrorCode("could not be authenticated", "Coinbase does not accept the key", _KEY_FORM, InvalidKey, False),
    ErrorCode(
        "is not a valid channel", "a channel that Coinbase does not have",
        "Please report it, with the output of `tickstream doctor -o json`.", SymbolRefused,
    ),
    ErrorCode(
        "ErrSlowConsume", "we read more slowly than Coinbase sends",
        "Watch fewer products on one connection (--connections), or write to a faster output.", ProviderError,
    ),
    ErrorCode("ErrSlowRead", "too many requests in a short time", "It is waited out.", RateLimited),
)
COMMON_SYMBOLS = (
    "BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "ADA-USD", "DOGE-USD", "LTC-USD", "BTC-EUR", "ETH-EUR", "ETH-BTC",
)
# fmt: on

SPEC = ProviderSpec(
    name=NAME,
    title="Coinbase",
    url=URL,
    key_env="COINBASE_API_KEY",
    channels=(Channel.QUOTES, Channel.TRADES, Channel.BOOK, Channel.ORDERS, Channel.BARS),
    symbol_pattern=re.compile(r"[A-Z0-9]{1,16}-[A-Z0-9]{1,16}"),
    symbol_help="a base and a quote currency with a hyphen between them, in upper case: BTC-USD",
    common_symbols=COMMON_SYMBOLS,
    errors=ERRORS,
    protocol=CoinbaseProtocol,
    max_connections=10,
    data_silence_s=900.0,
    settings={
        "feed": ("exchange", "advanced"),
        "environment": ("production", "sandbox"),
        "quotes": ("ticker", "ticker_batch"),
        "book": ("level2_batch", "level2"),
        "orders": ("full", "user"),
        "status": ("off", "on"),
    },
    site="https://docs.cdp.coinbase.com/exchange",
    key_channels=(Channel.ORDERS,),
    free_tier="quotes, trades, books and bars, without a key",
    limits=(
        "8 new connections a second from one address",
        "100 requests a second from one address",
        "10 subscriptions to the same product and channel for an account",
    ),
    heartbeat="Coinbase, every second for each product",
    market_of=lambda _symbol: ALWAYS,
    alias=pairs("-"),
)

CoinbaseProtocol.spec = SPEC
