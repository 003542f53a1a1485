"""Plausible candles of any symbol, out of nothing but a seed. Pure.

A price is a sum of waves of noise, from one step (a minute, unless told otherwise) to 65,536 steps long, each twice as
high and four times as long as the one before it: that is what a random walk looks like, but the price of any step is
known without walking there. So the same seed, symbol and step give the same candle, in whatever order one asks.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection
from typing import NamedTuple

from tickstream.simulator.market import MINUTE_NS, SYMBOL, Candle, decimal_text, points_of


class Instrument(NamedTuple):
    """What is typical of a symbol: a price, whose decimals are the symbol's, the spread and the move of a step, both in
    points (units of the last decimal)."""

    price: str
    spread_points: int
    move_points: int


INSTRUMENTS: dict[str, Instrument] = {
    "EURUSD": Instrument("1.08430", 12, 9),
    "GBPUSD": Instrument("1.27150", 15, 12),
    "USDJPY": Instrument("151.420", 14, 14),
    "USDCHF": Instrument("0.88310", 16, 8),
    "AUDUSD": Instrument("0.65480", 14, 7),
    "USDCAD": Instrument("1.36200", 17, 9),
    "NZDUSD": Instrument("0.60150", 18, 7),
    "EURGBP": Instrument("0.85270", 15, 6),
    "EURJPY": Instrument("164.180", 20, 16),
    "GBPJPY": Instrument("192.530", 26, 20),
    "EURCHF": Instrument("0.95760", 19, 6),
    "AUDJPY": Instrument("99.150", 21, 11),
    "XAUUSD": Instrument("2331.40", 25, 45),
    "XAGUSD": Instrument("27.840", 24, 12),
    "XPTUSD": Instrument("968.50", 190, 40),
    "USOIL": Instrument("78.320", 30, 22),
    "UKOIL": Instrument("82.750", 32, 22),
    "NATGAS": Instrument("2.186", 9, 3),
    "US30": Instrument("39112.5", 24, 45),
    "US500": Instrument("5218.3", 6, 9),
    "NAS100": Instrument("18240.7", 18, 42),
    "GER40": Instrument("18401.5", 13, 38),
    "UK100": Instrument("7952.6", 12, 14),
    "JP225": Instrument("38820", 9, 16),
    "BTCUSD": Instrument("64210.50", 1850, 3100),
    "ETHUSD": Instrument("3158.40", 160, 210),
    "SOLUSD": Instrument("146.250", 60, 190),
    "XRPUSD": Instrument("0.52310", 40, 38),
    "AAPL": Instrument("189.40", 3, 9),
    "TSLA": Instrument("176.85", 4, 19),
}

WAVES = 9
"""Waves of 1, 4, 16, ... steps; the longest has 65,536 (45 days of minutes)."""

_CURRENCIES = frozenset(
    (
        "EUR",
        "USD",
        "GBP",
        "JPY",
        "CHF",
        "AUD",
        "NZD",
        "CAD",
        "SEK",
        "NOK",
        "DKK",
        "SGD",
        "HKD",
        "CNH",
        "PLN",
        "CZK",
        "HUF",
        "MXN",
        "ZAR",
        "TRY",
    )
)


def instrument(symbol: str) -> Instrument:
    """What is typical of a symbol; unknown ones get a price of their own that never changes."""
    known = INSTRUMENTS.get(symbol)
    if known:
        return known
    luck = zlib.crc32(symbol.encode())
    if symbol[:3] in _CURRENCIES and symbol[3:] in _CURRENCIES:
        if symbol[3:] in {"JPY", "HUF"}:
            return Instrument(decimal_text(60_000 + luck % 120_000, 3), 25, 14)
        return Instrument(decimal_text(60_000 + luck % 120_000, 5), 20, 10)
    return Instrument(decimal_text(2_000 + luck % 48_000, 2), 6, 12)


class RandomMarket:
    """Candles of every symbol that looks like one, at every step of `step_ns`.

    `known` limits it to these symbols; without it all that look like one (`form`) are known, but those that begin with
    BAD. `listed` says what is typical of a symbol. `follow_hours` keeps closed markets silent.
    """

    first_ns = None

    def __init__(
        self,
        seed: int = 0,
        *,
        known: Collection[str] = (),
        spread_points: int | None = None,
        follow_hours: bool = False,
        form: re.Pattern[str] = SYMBOL,
        listed: Callable[[str], Instrument] = instrument,
        step_ns: int = MINUTE_NS,
    ) -> None:
        self.step_ns = step_ns
        self.symbols = frozenset(known) or None
        self._seed = seed
        self._spread_points = spread_points
        self._follow_hours = follow_hours
        self._form = form
        self._listed = listed
        self._walks: dict[str, _Walk] = {}

    def knows(self, symbol: str) -> bool:
        """True for symbols that can be subscribed."""
        if self.symbols is not None:
            return symbol in self.symbols
        return self._form.fullmatch(symbol) is not None and not symbol.startswith("BAD")

    def next_open(self, after_ns: int) -> int:
        """The next whole step."""
        return -(-after_ns // self.step_ns) * self.step_ns

    def items(self, start_ns: int, end_ns: int, symbols: Collection[str], limit: int) -> tuple[list[Candle], int]:
        """The candles that open in [start, end), by time and symbol, and where to go on."""
        found: list[Candle] = []
        walks = [self._walk(symbol) for symbol in sorted(symbols)]
        for step in range(-(-start_ns // self.step_ns), -(-end_ns // self.step_ns)):
            if len(found) >= limit:
                return found, step * self.step_ns
            found += [walk.candle(step, self.step_ns) for walk in walks if self._is_open(walk.symbol, step)]
        return found, end_ns

    def _is_open(self, symbol: str, step: int) -> bool:
        if not self._follow_hours:
            return True
        from tickstream.markets import market_of

        return market_of(symbol).is_open(step * self.step_ns)

    def _walk(self, symbol: str) -> _Walk:
        walk = self._walks.get(symbol)
        if walk is None:
            walk = self._walks[symbol] = _Walk(symbol, self._listed(symbol), self._seed, self._spread_points)
        return walk


class _Walk:
    """The path of one symbol. Remembers the ends of the waves it is in: steps in a row cost little."""

    def __init__(self, symbol: str, kind: Instrument, seed: int, spread_points: int | None) -> None:
        self.symbol = symbol
        self.decimals = len(kind.price.partition(".")[2])
        self.spread_points = kind.spread_points if spread_points is None else spread_points
        self._base = points_of(kind.price, self.decimals)
        self._move = kind.move_points
        self._salt = zlib.crc32(f"{seed}/{symbol}".encode()) << 32 | zlib.crc32(f"{symbol}/{seed}".encode())
        self._ends: list[tuple[int, int, int]] = [(-1, 0, 0)] * WAVES
        self._last = (-1, 0)

    def candle(self, step: int, step_ns: int) -> Candle:
        first, last = self._price(step), self._price(step + 1)
        luck = _hash(self._salt ^ step)
        high = max(first, last) + (luck & 0xFF) * self._move // 256
        low = max(1, min(first, last) - (luck >> 8 & 0xFF) * self._move // 256)
        decimals = self.decimals
        bid = decimal_text(last, decimals)
        return Candle(
            self.symbol,
            step * step_ns,
            decimal_text(first, decimals),
            decimal_text(high, decimals),
            decimal_text(low, decimals),
            bid,
            str(40 + (luck >> 16 & 0x1FF)),
            bid,
            decimal_text(last + self.spread_points, decimals),
            self.spread_points,
            decimals,
        )

    def _price(self, step: int) -> int:
        known, price = self._last
        if known == step:
            return price
        price = max(1, self._base + sum(self._wave(wave, step) for wave in range(WAVES)))
        self._last = (step, price)
        return price

    def _wave(self, wave: int, step: int) -> int:
        crest, into = step >> 2 * wave, step & (1 << 2 * wave) - 1
        known, begin, end = self._ends[wave]
        if known != crest:
            begin, end = self._height(wave, crest), self._height(wave, crest + 1)
            self._ends[wave] = (crest, begin, end)
        return begin + ((end - begin) * into >> 2 * wave)

    def _height(self, wave: int, crest: int) -> int:
        """Between -top and +top."""
        top = self._move << wave
        return _hash(self._salt ^ (wave + 1 << 56) ^ crest) % (2 * top + 1) - top


def _hash(value: int) -> int:
    """64 well-mixed bits (splitmix64, Vigna 2015)."""
    value = value + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return value ^ value >> 31
