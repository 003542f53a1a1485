"""What happens in a step of a made-up market, as events: trades, the top of the book, the book, bars. Pure.

All of it follows from the candle, so a step is the same whoever watches and however often: each step has the same count
of trades, numbered on from the step before, and a level of the book has the same size as long as it lasts.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from tickstream.events import Bar, BookSnapshot, Level, MarketEvent, Quote, Side, Trade
from tickstream.numbers import Number, decimal, difference, number
from tickstream.simulator.market import MINUTE_NS, Candle, decimal_text
from tickstream.timestamps import Timestamp

TRADES = 2
"""Of each symbol and step."""
LEVELS = 30
"""Of each side of the book."""
LASTING = 8
"""A level keeps its size for so many steps."""
SIZE_DECIMALS = 8
MOST_SHARES = 500
LARGEST_SIZE = 3 * 10**8
"""In units of the last decimal."""


class Tape:
    """`step_ns` is the length of a candle, `written` how the provider writes a decimal: `1.50` as 1.5, for example."""

    def __init__(self, provider: str, step_ns: int, written: Callable[[str], str] = str) -> None:
        self._provider = provider
        self._step_ns = step_ns
        self._written = written
        self._bars: dict[tuple[str, int], _Bar] = {}

    def trades(self, candle: Candle) -> list[MarketEvent]:
        """The trades of a step, at the bid or the ask, one after the other."""
        found: list[MarketEvent] = []
        step = candle.open_ns // self._step_ns
        for count in range(TRADES):
            luck = _luck(candle.symbol, step, count)
            side: Side = "buy" if luck & 1 else "sell"
            price = candle.ask if side == "buy" else candle.bid
            ts = Timestamp(candle.open_ns + self._step_ns * (count + 1) // (TRADES + 1))
            size = 1 + luck % (LARGEST_SIZE // 100)
            trade_id = str(step * TRADES + count)
            found.append(
                Trade(self._provider, candle.symbol, ts, ts, self._number(price), self._size(size), side, trade_id)
            )
        return found

    def quote(self, candle: Candle) -> MarketEvent:
        """The top of the book at the end of a step."""
        bids, asks = self._sides(candle, 1)
        (bid, bid_size), (ask, ask_size) = bids[0], asks[0]
        last = self._number(candle.close)
        ts = self._end(candle)
        sequence = candle.open_ns // self._step_ns
        return Quote(
            self._provider, candle.symbol, ts, ts, bid, bid_size, ask, ask_size, difference(ask, bid), last, sequence
        )

    def book(self, candle: Candle) -> MarketEvent:
        """The whole book at the end of a step."""
        ts = self._end(candle)
        bids, asks = self._sides(candle, LEVELS)
        sequence = candle.open_ns // self._step_ns
        return BookSnapshot(self._provider, candle.symbol, ts, ts, bids, asks, sequence)

    def bars(self, candle: Candle, intervals: Mapping[str, int]) -> list[MarketEvent]:
        """The bars that the step is in, as they are after it: of each interval, whose length is in minutes.

        A bar begins with its first step that somebody asks for.
        """
        found: list[MarketEvent] = []
        for name, minutes in intervals.items():
            length_ns = minutes * MINUTE_NS
            opens_ns = candle.open_ns // length_ns * length_ns
            bar = self._bars.get((candle.symbol, minutes))
            if bar is None or bar.opens_ns != opens_ns:
                bar = self._bars[candle.symbol, minutes] = _Bar(opens_ns, candle)
            bar.add(candle)
            ts, end = Timestamp(opens_ns), self._end(candle)
            opened, high, low, close = (self._number(decimal_text(price, candle.decimals)) for price in bar.prices)
            volume = self._size(bar.volume)
            closed = end >= opens_ns + length_ns
            found.append(
                Bar(self._provider, candle.symbol, ts, end, name, opened, high, low, close, volume, closed=closed)
            )
        return found

    def _sides(self, candle: Candle, count: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """A level at each point, from the best on."""
        step = candle.open_ns // self._step_ns
        bid = _points(candle.bid, candle.decimals)
        ask = max(_points(candle.ask, candle.decimals), bid + 1)
        bids = range(bid, max(0, bid - count), -1)
        asks = range(ask, ask + count)
        return tuple(self._level(candle, at, step) for at in bids), tuple(self._level(candle, at, step) for at in asks)

    def _level(self, candle: Candle, points: int, step: int) -> Level:
        size = 1 + _luck(candle.symbol, points, (step + points) // LASTING) % LARGEST_SIZE
        return self._number(decimal_text(points, candle.decimals)), self._size(size)

    def _end(self, candle: Candle) -> Timestamp:
        return Timestamp(candle.open_ns + self._step_ns)

    def _number(self, text: str) -> Number:
        return number(self._written(text))

    def _size(self, units: int) -> Number:
        return self._number(decimal_text(units, SIZE_DECIMALS))


class _Bar:
    """A bar so far."""

    def __init__(self, opens_ns: int, first: Candle) -> None:
        self.opens_ns = opens_ns
        self.volume = 0
        opened = _points(first.open, first.decimals)
        self.prices = (opened, opened, opened, opened)

    def add(self, candle: Candle) -> None:
        """One more step of it."""
        high, low, close = (_points(price, candle.decimals) for price in (candle.high, candle.low, candle.close))
        opened, highest, lowest, _ = self.prices
        self.prices = (opened, max(high, highest), min(low, lowest), close)
        self.volume += _points(candle.volume, SIZE_DECIMALS)


def in_shares(event: MarketEvent) -> MarketEvent:
    """A made-up event as one of a stock, of which there are whole shares only."""
    match event:
        case Trade(size=size) if size is not None:
            return msgspec.structs.replace(event, size=_shares(size))
        case Quote(bid_size=bid, ask_size=ask) if bid is not None and ask is not None:
            return msgspec.structs.replace(event, bid_size=_shares(bid), ask_size=_shares(ask))
        case Bar(volume=volume) if volume is not None:
            return msgspec.structs.replace(event, volume=_shares(volume))
    return event


def _shares(size: Number) -> Number:
    """The whole part; of less than one share, a made-up number of them."""
    exact = decimal(size)
    return number(str(int(exact) or 1 + int(exact.scaleb(SIZE_DECIMALS)) % MOST_SHARES))


def _points(text: str, decimals: int) -> int:
    """A price or size in units of its last decimal; files have prices with the noise of a float behind that."""
    return int(Decimal(text).scaleb(decimals).to_integral_value())


def _luck(symbol: str, *numbers: int) -> int:
    return zlib.crc32(f"{symbol}{numbers}".encode())
