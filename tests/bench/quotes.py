"""Quotes as TickAtlas sends them, framed and ready to send: random walks, about 190 bytes each.

Prices have the digits of their market, trailing zeros included, and walk by a few points at a time, so that values
recur as often as they do in a real feed. Times advance by a minute every 50 quotes.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import NamedTuple

from tickstream.session.frames import TEXT, encode_frame

TWO = ("EURUSD", "XAUUSD")
TWENTY = (
    "EURUSD", "GBPUSD", "USDJPY", "USDCHF", "AUDUSD", "USDCAD", "NZDUSD", "EURGBP", "EURJPY", "GBPJPY",
    "XAUUSD", "XAGUSD", "BTCUSD", "ETHUSD", "US500", "US30", "DE40", "UK100", "AUDJPY", "EURCHF",
)  # fmt: skip
MANY = 50_000
"""Different quotes; after the last comes the first again."""
STAMP = 10**14
"""Added to a time in microseconds of the monotonic clock: 15 digits for three years of uptime, exact in a float."""

_FIRST_DAY = date(2026, 3, 27)
_STARTS = {"XAUUSD": (233_150, 2), "USDJPY": (151_234, 3), "BTCUSD": (6_712_345, 2)}
"""Symbol -> price in points, decimals; all others begin at 1.08310."""


class Quote(NamedTuple):
    """The JSON text before the digits of `volume`, and after them."""

    head: bytes
    tail: bytes
    volume: int


class Framed(NamedTuple):
    """A quote as a frame whose volume has 15 digits: `head`, the digits, `tail`."""

    head: bytes
    tail: bytes


def quotes(symbols: tuple[str, ...], many: int = MANY, *, distinct: bool = False) -> list[Quote]:
    """The same ones on every call. `distinct`: each symbol once in each minute, as the provider really sends them."""
    rng = random.Random(20260327)
    prices = {symbol: _STARTS.get(symbol, (108_310, 5)) for symbol in symbols}
    made = []
    for number in range(many):
        symbol = symbols[number % len(symbols)] if distinct else rng.choice(symbols)
        before, places = prices[symbol]
        now = before + rng.randint(-3, 3)
        prices[symbol] = now, places
        high, low = max(before, now) + rng.randint(0, 9), min(before, now) - rng.randint(0, 9)
        spread = rng.randint(8, 20)
        shown = [_digits(price, places) for price in (before, high, low, now, now, now + spread)]
        day, minute = divmod(number // len(symbols) if distinct else number // 50 % 1440, 1440)
        opened, top, bottom, close, bid, ask = shown
        head = (
            f'{{"type":"quote","data":{{"symbol":"{symbol}",'
            f'"time":"{_FIRST_DAY + timedelta(day)}T{minute // 60:02d}:{minute % 60:02d}:00Z",'
            f'"open":{opened},"high":{top},"low":{bottom},"close":{close},"bid":{bid},"ask":{ask},'
            f'"spread":{spread},"volume":'
        )
        made.append(Quote(head.encode(), b"}}", rng.randint(1, 400)))
    return made


def _digits(points: int, places: int) -> str:
    return f"{points // 10**places}.{points % 10**places:0{places}d}"


def payloads(symbols: tuple[str, ...], many: int = MANY) -> list[bytes]:
    """The messages themselves."""
    return [b"%b%d%b" % (quote.head, quote.volume, quote.tail) for quote in quotes(symbols, many)]


def framed(quote: Quote) -> Framed:
    """The frame of a quote that will carry a stamp."""
    digits = b"%d" % STAMP
    frame = encode_frame(TEXT, quote.head + digits + quote.tail)
    head, _, tail = frame.rpartition(digits)
    return Framed(head, tail)
