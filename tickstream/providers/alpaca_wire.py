"""Alpaca's messages, and the events that they are. Pure. fields/alpaca.toml says which."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

from tickstream import numbers
from tickstream.events import Bar, BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade
from tickstream.providers import loose
from tickstream.providers.json_feed import LONGEST_MESSAGE, MessageDecoder
from tickstream.providers.subscribing import levels
from tickstream.timestamps import Timestamp, parse_rfc3339

NAME = "alpaca"
_SIDES: dict[str | None, Any] = {"B": "buy", "S": "sell"}


class Of(msgspec.Struct, tag_field="T", gc=False):
    """What data has in common: a symbol, and a time."""

    S: str
    t: str


class TradeMessage(Of, tag="t"):
    """A trade. `x` is the exchange (stocks), `tks` the side of the taker (crypto)."""

    p: msgspec.Raw
    s: msgspec.Raw
    i: int | str | None = None
    x: str | None = None
    tks: str | None = None


class QuoteMessage(Of, tag="q", rename={"as_": "as"}):
    """The best bid and ask."""

    bp: msgspec.Raw
    bs: msgspec.Raw
    ap: msgspec.Raw
    as_: msgspec.Raw


class Candle(Of):
    """Prices and volume from `t` on."""

    o: msgspec.Raw
    h: msgspec.Raw
    l: msgspec.Raw  # noqa: E741 - Alpaca's name
    c: msgspec.Raw
    v: msgspec.Raw


class Minute(Candle, tag="b"):
    """A minute that has just ended."""


class Updated(Candle, tag="u"):
    """The minute before, after late trades."""


class Daily(Candle, tag="d"):
    """The day so far."""


class WireLevel(msgspec.Struct, gc=False):
    """A level of a book."""

    p: msgspec.Raw
    s: msgspec.Raw


class BookMessage(Of, tag="o"):
    """A whole book (`r`), or the levels that changed."""

    b: list[WireLevel] = []
    a: list[WireLevel] = []
    r: bool = False


class Status(Of, tag="s"):
    """The trading of a stock is halted, resumed...: code, words, and why."""

    sc: str = ""
    sm: str = ""
    rc: str = ""
    rm: str = ""


class Correction(Of, tag="c"):
    """A trade (`o...`), and what it is now (`c...`)."""

    oi: int | str
    op: msgspec.Raw
    os: msgspec.Raw
    ci: int | str
    cp: msgspec.Raw
    cs: msgspec.Raw


class Cancelled(Of, tag="x"):
    """A trade that does not count: cancelled (`a` = C), or an error (E)."""

    i: int | str
    p: msgspec.Raw
    s: msgspec.Raw
    a: str = ""


class Limits(Of, tag="l"):
    """The band that limits prices (LULD)."""


class Imbalance(Of, tag="i"):
    """Of an auction."""


class News(msgspec.Struct, tag_field="T", tag="n"):
    """An article."""

    headline: str
    symbols: list[str] = []
    source: str = ""
    url: str = ""


class Success(msgspec.Struct, tag_field="T", tag="success"):
    """Connected, or authenticated."""

    msg: str


class Subscribed(msgspec.Struct, tag_field="T", tag="subscription"):
    """All that is subscribed now."""

    trades: list[str] = []
    quotes: list[str] = []
    bars: list[str] = []
    dailyBars: list[str] = []  # noqa: N815 - Alpaca's name
    orderbooks: list[str] = []
    news: list[str] = []


class Failure(msgspec.Struct, tag_field="T", tag="error"):
    """An error."""

    code: int
    msg: str = ""


Message = (
    TradeMessage | QuoteMessage | Minute | Updated | Daily | BookMessage | Status | Correction | Cancelled
    | Limits | Imbalance | News | Success | Subscribed | Failure
)  # fmt: skip
Frame = list[Message]
_first, _last = ord("["), ord("]")


class Decoder(MessageDecoder[Frame]):
    """Frames are arrays; of one that has something bad in it, each message is looked at by itself."""

    def __init__(self) -> None:
        super().__init__(Message, "T")
        self._frames = msgspec.json.Decoder(Frame)

    def batch(self, payloads: Sequence[bytes]) -> list[Frame] | None:
        """A list of messages for each frame, or None: then each is looked at with `parts` and `one`."""
        try:
            if any(len(one) > LONGEST_MESSAGE or one[0] != _first or one[-1] != _last for one in payloads):
                return None
            return list(map(self._frames.decode, payloads))
        except (msgspec.MsgspecError, RecursionError, ValueError, IndexError):  # an empty payload has no ends
            return None

    def one(self, payload: bytes) -> Frame:
        """A frame with this message alone. Raises as MessageDecoder.one does."""
        return [super().one(payload)]  # type: ignore[list-item]  # the base takes its union for a frame


def _trade(one: TradeMessage, ts_recv: Timestamp) -> MarketEvent:
    price, size = loose.price(one.p), loose.price(one.s)
    return Trade(NAME, one.S, moment(one.t), ts_recv, price, size, _SIDES.get(one.tks), _id(one))


def _id(one: TradeMessage) -> str | None:
    """Ids are the exchange's own: of two exchanges they may be the same."""
    return None if one.i is None else f"{one.x}:{one.i}" if one.x else str(one.i)


def trades_of(frames: Sequence[Frame], ts_recv: Timestamp) -> list[Trade] | None:
    """What `MADE` gives for trades, all at once; None unless they are nothing but trades beyond doubt."""
    messages: list[Any] = list(chain.from_iterable(frames))
    if {*map(type, messages)} != _ONLY_TRADES or not all(frames):
        return None
    if not numbers.all_plain([*map(_price_in, messages), *map(_size_in, messages)]):
        return None
    try:
        return [
            Trade(NAME, one.S, moment(one.t), ts_recv, one.p, one.s, _SIDES.get(one.tks), _id(one)) for one in messages
        ]
    except ValueError:
        return None


_ONLY_TRADES = {TradeMessage}
_price_in, _size_in = attrgetter("p"), attrgetter("s")


def moment(text: str) -> Timestamp:
    """As parse_rfc3339; most messages of a batch are of the same second, which is read once. Raises ValueError."""
    below = text[20:-1]
    if text[19:20] == "." and text[-1] == "Z" and len(below) <= NANOSECONDS and below.isascii() and below.isdigit():
        return Timestamp(_second(text[:19]) + int(below.ljust(NANOSECONDS, "0")))
    return parse_rfc3339(text)


NANOSECONDS = 9
"""Decimals."""


@lru_cache(maxsize=4096)
def _second(text: str) -> int:
    return int(parse_rfc3339(text + "Z"))


def _quote(one: QuoteMessage, ts_recv: Timestamp) -> MarketEvent:
    bid, bid_size = _side(one.bp, one.bs)
    ask, ask_size = _side(one.ap, one.as_)
    spread = None if bid is None or ask is None else numbers.difference(ask, bid)
    return Quote(NAME, one.S, moment(one.t), ts_recv, bid, bid_size, ask, ask_size, spread)


def _side(price: msgspec.Raw, size: msgspec.Raw) -> tuple[numbers.Number, numbers.Number] | tuple[None, None]:
    at, waits = loose.price(price), loose.price(size)
    return (at, waits) if numbers.decimal(at) else (None, None)


def _bar(one: Candle, ts_recv: Timestamp) -> MarketEvent:
    opened, high, low, close, volume = map(loose.price, (one.o, one.h, one.l, one.c, one.v))
    daily = isinstance(one, Daily)
    interval, closed = ("1d", None) if daily else ("1m", True)
    ts = moment(one.t)
    return Bar(NAME, one.S, ts, ts_recv, interval, opened, high, low, close, volume, closed=closed)


def _book(one: BookMessage, ts_recv: Timestamp) -> MarketEvent:
    bids, asks = (levels((level.p, level.s) for level in side) for side in (one.b, one.a))
    ts = moment(one.t)
    if not one.r:
        return BookUpdate(NAME, one.S, ts, ts_recv, bids, asks)
    best = tuple(sorted(bids, key=_price_of, reverse=True)), tuple(sorted(asks, key=_price_of))
    return BookSnapshot(NAME, one.S, ts, ts_recv, *best)


def _price_of(level: Level) -> Any:
    return numbers.decimal(level[0])


def news_of(one: Status | Correction | Cancelled) -> tuple[str, str]:
    """The code and the words of a notice. Raises ValueError."""
    if isinstance(one, Status):
        why = f"{one.rc} {one.rm}".strip()
        return "trading_status", f"{one.S} at {one.t}: {one.sc} {one.sm}" + (f" ({why})" if why else "")
    if isinstance(one, Correction):
        was, now = _digits(one.os, one.op), _digits(one.cs, one.cp)
        return "correction", f"{one.S} at {one.t}: trade {one.oi} of {was} is now trade {one.ci} of {now}"
    return "cancelled_trade", f"{one.S} at {one.t}: trade {one.i} of {_digits(one.s, one.p)} does not count ({one.a})"


def _digits(size: msgspec.Raw, price: msgspec.Raw) -> str:
    return f"{numbers.text(loose.price(size))} at {numbers.text(loose.price(price))}"


_Maker = Callable[[Any, Timestamp], MarketEvent]
MADE: Mapping[type, _Maker] = {
    TradeMessage: _trade, QuoteMessage: _quote, Minute: _bar, Updated: _bar, Daily: _bar, BookMessage: _book,
}  # fmt: skip
"""Data of every channel: a capture of messages is read without being told which it was."""
