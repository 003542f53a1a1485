"""What Polygon's events are in our schema: polygon's own, as decoded by polygon.py.

Each event has its own names for the same things, and `c`, `s`, `a`, `i`, `p` mean something else in each. Prices are
JSON numbers, times are milliseconds. A field that is zero or empty may be left out.

| `ev` | is | fields |
|---|---|---|
| `T` | trade | `sym`, `p` price, `s` size, `t`; `x`, `trfi` and `i` -> trade_id; `q` -> sequence |
| `XT` | trade | `pair`, `p` price, `s` size, `t`; `x` and `i` -> trade_id; `c` -> side: 1 sell, 2 buy |
| `Q`, `XQ` | quote | `sym` or `pair`, `bp bs ap as`, `t`, `q` -> sequence |
| `C` | quote | `p` the pair, `b` bid, `a` ask, `t` |
| `AM`, `XA`, `CA` | bar of a minute | `sym` or `pair`, `o h l c`, `v` volume (of CA: ticks), `s` its beginning |
| `A`, `XAS`, `CAS` | bar of a second | the same |

Left out: conditions, averages, volumes of the day, official openings. `q` grows, but has holes: it proves no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import msgspec

from tickstream import numbers
from tickstream.events import Bar, MarketEvent, Quote, Side, Trade
from tickstream.numbers import Number
from tickstream.providers import loose
from tickstream.timestamps import MAX_NS, Timestamp, from_epoch

NAME = "polygon"
NS_PER_MS = 1_000_000

_NULL = msgspec.Raw(b"null")
_ZEROS = frozenset((b"0", b"0.0"))
_SIDES: dict[int, Side] = {1: "sell", 2: "buy"}


class _Trade(msgspec.Struct, gc=False, kw_only=True, tag_field="ev", tag="T"):
    symbol: str = msgspec.field(name="sym")
    price: msgspec.Raw = msgspec.field(name="p")
    size: msgspec.Raw = msgspec.field(default=_NULL, name="s")
    t: int | None = None
    i: str | int | None = None
    x: str | int | None = None
    trfi: int | None = None
    q: int | None = None

    side: ClassVar[Side | None] = None

    @property
    def trade_id(self) -> str | None:
        """Unique for the symbol: `i` alone is so only within an exchange (`x`) and a reporting facility (`trfi`)."""
        return None if self.i is None else f"{self.x}.{self.trfi}:{self.i}" if self.trfi else f"{self.x}:{self.i}"


class _CoinTrade(msgspec.Struct, gc=False, kw_only=True, tag_field="ev", tag="XT"):
    symbol: str = msgspec.field(name="pair")
    price: msgspec.Raw = msgspec.field(name="p")
    size: msgspec.Raw = msgspec.field(default=_NULL, name="s")
    t: int | None = None
    i: str | int | None = None
    x: str | int | None = None
    c: list[int] = []

    q: ClassVar[None] = None

    @property
    def trade_id(self) -> str | None:
        """Unique for the symbol."""
        return None if self.i is None else f"{self.x}:{self.i}"

    @property
    def side(self) -> Side | None:
        """The side that the conditions name, which is taken for the taker's (convention)."""
        return next((_SIDES[one] for one in self.c if one in _SIDES), None)


class _Top(msgspec.Struct, gc=False, kw_only=True, tag_field="ev"):
    """The sides of a quote."""

    bid: msgspec.Raw = msgspec.field(default=_NULL, name="bp")
    bid_size: msgspec.Raw = msgspec.field(default=_NULL, name="bs")
    ask: msgspec.Raw = msgspec.field(default=_NULL, name="ap")
    ask_size: msgspec.Raw = msgspec.field(default=_NULL, name="as")
    t: int | None = None
    q: int | None = None


class _Quote(_Top, gc=False, kw_only=True, tag="Q"):
    symbol: str = msgspec.field(name="sym")


class _CoinQuote(_Top, gc=False, kw_only=True, tag="XQ"):
    symbol: str = msgspec.field(name="pair")


class _Rate(msgspec.Struct, gc=False, kw_only=True, tag_field="ev", tag="C"):
    symbol: str = msgspec.field(name="p")
    bid: msgspec.Raw = msgspec.field(default=_NULL, name="b")
    ask: msgspec.Raw = msgspec.field(default=_NULL, name="a")
    t: int | None = None

    bid_size: ClassVar[msgspec.Raw] = _NULL
    ask_size: ClassVar[msgspec.Raw] = _NULL
    q: ClassVar[None] = None


class _Candle(msgspec.Struct, gc=False, kw_only=True, tag_field="ev"):
    s: int
    o: msgspec.Raw
    h: msgspec.Raw
    l: msgspec.Raw  # noqa: E741 - Polygon's name
    c: msgspec.Raw
    v: msgspec.Raw = _NULL


class _Minute(_Candle, gc=False, kw_only=True, tag="AM"):
    symbol: str = msgspec.field(name="sym")


class _Second(_Candle, gc=False, kw_only=True, tag="A"):
    symbol: str = msgspec.field(name="sym")


class _RateMinute(_Candle, gc=False, kw_only=True, tag="CA"):
    symbol: str = msgspec.field(name="pair")


class _RateSecond(_Candle, gc=False, kw_only=True, tag="CAS"):
    symbol: str = msgspec.field(name="pair")


class _CoinMinute(_Candle, gc=False, kw_only=True, tag="XA"):
    symbol: str = msgspec.field(name="pair")


class _CoinSecond(_Candle, gc=False, kw_only=True, tag="XAS"):
    symbol: str = msgspec.field(name="pair")


class Status(msgspec.Struct, tag_field="ev", tag="status"):
    """About the conversation itself: `status` is the code, `message` its words."""

    status: str
    message: str = ""


_AnyTrade = _Trade | _CoinTrade
_AnyQuote = _Quote | _CoinQuote | _Rate
_AnyCandle = _Minute | _Second | _RateMinute | _RateSecond | _CoinMinute | _CoinSecond
Message = _AnyTrade | _AnyQuote | _AnyCandle | Status
_INTERVALS: dict[type[Any], str] = dict.fromkeys((_Minute, _RateMinute, _CoinMinute), "1m") | dict.fromkeys(
    (_Second, _RateSecond, _CoinSecond), "1s"
)
_RATES: Final = (_Rate, _RateMinute, _RateSecond)


def symbol_of(message: Any) -> str:
    """The symbol in the form that it is asked for: pairs of currencies may come with a hyphen."""
    return str(message.symbol).replace("-", "/") if isinstance(message, _RATES) else message.symbol


# --- one message, whatever is left out of it -------------------------------------------------------------------------


def event_of(message: Any, ts_recv: Timestamp) -> MarketEvent:
    """The event of one message, whatever is left out of it. Raises ValueError for values that are none."""
    symbol, interval = symbol_of(message), _INTERVALS.get(type(message))
    if interval is not None:
        opened, high, low, close = map(loose.price, (message.o, message.h, message.l, message.c))
        volume = numbers.parse(message.v)
        return Bar(NAME, symbol, from_epoch(message.s, NS_PER_MS), ts_recv, interval, opened, high, low, close, volume)
    ts = None if message.t is None else from_epoch(message.t, NS_PER_MS)
    if isinstance(message, _AnyTrade):
        price, size = loose.price(message.price), numbers.parse(message.size)
        return Trade(NAME, symbol, ts, ts_recv, price, size, message.side, message.trade_id, message.q)
    bid, ask = _known(message.bid), _known(message.ask)
    sizes = numbers.parse(message.bid_size), numbers.parse(message.ask_size)
    spread = None if bid is None or ask is None else numbers.difference(ask, bid)
    return Quote(NAME, symbol, ts, ts_recv, bid, sizes[0], ask, sizes[1], spread, sequence=message.q)


def _known(raw: msgspec.Raw) -> Number | None:
    """A bid or an ask; 0 is another way to leave it out."""
    value = numbers.parse(raw)
    return None if value is None or not numbers.decimal(value) else value


# --- a whole batch, if nothing is left out ---------------------------------------------------------------------------


def _trades(some: Sequence[Any], ts_recv: Timestamp) -> list[Trade] | None:
    times = _times(some)
    if times is None or not numbers.all_plain([value for one in some for value in (one.price, one.size)]):
        return None
    return [
        Trade(NAME, one.symbol, ts, ts_recv, one.price, one.size, one.side, one.trade_id, one.q)
        for one, ts in zip(some, times, strict=True)
    ]


def _quotes(some: Sequence[Any], ts_recv: Timestamp) -> list[Quote] | None:
    times, quoted = _times(some), numbers.pairs((one.ask, one.bid) for one in some)
    prices = {value for one in some for value in (bytes(one.ask), bytes(one.bid))}
    if times is None or not _ZEROS.isdisjoint(prices) or not numbers.all_plain(quoted):
        return None
    if not numbers.all_plain([value for one in some for value in (one.bid_size, one.ask_size)]):
        return None
    return [
        Quote(NAME, one.symbol, ts, ts_recv, one.bid, one.bid_size, one.ask, one.ask_size, spread, sequence=one.q)
        for one, ts, spread in zip(some, times, numbers.differences(quoted), strict=True)
    ]


def _rates(some: Sequence[Any], ts_recv: Timestamp) -> list[Quote] | None:
    times, quoted = _times(some), numbers.pairs((one.ask, one.bid) for one in some)
    prices = {value for one in some for value in (bytes(one.ask), bytes(one.bid))}
    if times is None or not _ZEROS.isdisjoint(prices) or not numbers.all_plain(quoted):
        return None
    return [
        Quote(NAME, symbol_of(one), ts, ts_recv, one.bid, None, one.ask, None, spread)
        for one, ts, spread in zip(some, times, numbers.differences(quoted), strict=True)
    ]


def _times(some: Sequence[Any]) -> list[Timestamp] | None:
    try:
        times = [Timestamp(one.t * NS_PER_MS) for one in some]
    except TypeError:  # one has none
        return None
    return times if min(times) >= 0 and max(times) < MAX_NS else None


WHOLE: dict[type[Any], Callable[[Sequence[Any], Timestamp], Sequence[MarketEvent] | None]] = {
    _Trade: _trades, _CoinTrade: _trades, _Quote: _quotes, _CoinQuote: _quotes, _Rate: _rates,
}  # fmt: skip
