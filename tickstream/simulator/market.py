"""Where the simulator's prices come from: candles, or events that were recorded. Pure; moments are ns since 1970 UTC.

Prices are text from beginning to end. What is computed (an ask, a random price) is computed in points, which are
integers: units of the symbol's last decimal.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

import msgspec

from tickstream.errors import ConfigError
from tickstream.events import MarketEvent
from tickstream.timestamps import parse_rfc3339

if TYPE_CHECKING:
    from tickstream.simulator.random_market import Instrument

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS

SYMBOL = re.compile(r"[A-Z0-9.]{1,20}")
"""What symbols look like where nothing else is said: TickAtlas' (github abuzant/tickatlas-sdk SPEC.md)."""

FLOAT_DIGITS = 15
"""Significant digits that survive a float; a price with more was a float once, and shows it."""

CSV_HEADER = ("time", "open", "high", "low", "close", "volume")


class Candle(msgspec.Struct, frozen=True, gc=False):
    """One step of one symbol, complete. Prices are decimal text, `spread_points` = ask - bid in points."""

    symbol: str
    open_ns: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    bid: str
    ask: str
    spread_points: int
    decimals: int

    def at(self, open_ns: int) -> Candle:
        """The same candle at another time."""
        return Candle(
            self.symbol,
            open_ns,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.bid,
            self.ask,
            self.spread_points,
            self.decimals,
        )


Item = Candle | MarketEvent
"""What a market has: candles that a provider's counterpart makes its messages of, or the events themselves."""


class MarketSource(Protocol):
    """A market: something that has items, at known times.

    Whoever has another one hands it to the simulator: prices of one's own, or what was captured.
    """

    @property
    def step_ns(self) -> int:
        """How long after it opens an item is complete, and so is sent: a candle's length, 0 for events."""
        ...

    @property
    def first_ns(self) -> int | None:
        """Open of the first item there is; None when there are some at all times."""
        ...

    @property
    def symbols(self) -> frozenset[str] | None:
        """All there are; None: all that look like one."""
        ...

    def knows(self, symbol: str) -> bool:
        """True for symbols that can be subscribed."""
        ...

    def next_open(self, after_ns: int) -> int | None:
        """Open of the first item at or after this moment; None when there are no more."""
        ...

    def items(self, start_ns: int, end_ns: int, symbols: Collection[str], limit: int) -> tuple[Sequence[Item], int]:
        """The items of these symbols that open in [start, end), by time, then by symbol; and where to go on.

        About `limit` items at the most: when there are more, it is to go on before `end_ns`. What opens at one moment
        is never split.
        """
        ...


def points_of(text: str, decimals: int) -> int:
    """A decimal text as points: ("1.1345", 5) -> 113450."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(decimals, "0"))


def decimal_text(points: int, decimals: int) -> str:
    """Points as decimal text with all decimals: (113450, 5) -> "1.13450"."""
    if not decimals:
        return str(points)
    sign, digits = ("-", -points) if points < 0 else ("", points)
    padded = str(digits).rjust(decimals + 1, "0")
    return f"{sign}{padded[:-decimals]}.{padded[-decimals:]}"


def add_points(price: str, points: int, decimals: int) -> str:
    """A price plus points of so many decimals, exact, with all decimals of both: 1.1345 + 12 -> 1.13462."""
    finest = max(decimals, len(price.partition(".")[2]))
    return decimal_text(points_of(price, finest) + points * 10 ** (finest - decimals), finest)


class M1Replay:
    """Candles of CSV files `time,open,high,low,close,volume`, one file a symbol, named after it.

    In names %2F and the like stand for characters that file names cannot have. Digits are those of the file. The bid is
    the close, the ask is the bid plus `spread_points`, or what is `listed` for the symbol, where a point is the last
    decimal of the file. Times without an offset are UTC. With `loop` the files begin anew after their end, some whole
    days later, without an end. Raises ConfigError, naming file and line.
    """

    step_ns = MINUTE_NS

    def __init__(
        self,
        folder: Path,
        *,
        spread_points: int | None = None,
        form: re.Pattern[str] = SYMBOL,
        listed: Callable[[str], Instrument] | None = None,
        loop: bool = False,
    ) -> None:
        from tickstream.simulator.random_market import instrument

        files = _csv_files(folder, form)
        self.symbols = frozenset(files)
        merged: list[Candle] = []
        for symbol, path in files.items():
            usual = (listed or instrument)(symbol).spread_points
            merged += _read_csv(path, symbol, usual if spread_points is None else spread_points)
        merged.sort(key=lambda candle: (candle.open_ns, candle.symbol))
        self._candles = merged
        self._times = [candle.open_ns for candle in merged]
        self._lap_ns = -(-(self._times[-1] + MINUTE_NS - self._times[0]) // DAY_NS) * DAY_NS
        self._loop = loop

    @property
    def first_ns(self) -> int:
        """Open of the earliest candle of all files."""
        return self._times[0]

    def knows(self, symbol: str) -> bool:
        """True for symbols there is a file of."""
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        """Open of the first candle at or after this moment; None after the last."""
        later_ns = self._laps_before(after_ns) * self._lap_ns
        at = bisect_left(self._times, after_ns - later_ns)
        if at < len(self._times):
            return self._times[at] + later_ns
        return self._times[0] + later_ns + self._lap_ns if self._loop else None

    def items(self, start_ns: int, end_ns: int, symbols: Collection[str], limit: int) -> tuple[list[Candle], int]:
        """The candles that open in [start, end), and where to go on."""
        later_ns = self._laps_before(start_ns) * self._lap_ns
        if self._loop:
            end_ns = min(end_ns, self._times[0] + later_ns + self._lap_ns)
        first = bisect_left(self._times, start_ns - later_ns)
        last = bisect_left(self._times, end_ns - later_ns)
        if last - first > limit:
            end_ns = self._times[first + limit - 1] + 1 + later_ns
            last = bisect_left(self._times, end_ns - later_ns)
        found = self._candles[first:last]
        if not self.symbols <= set(symbols):
            found = [candle for candle in found if candle.symbol in symbols]
        return ([candle.at(candle.open_ns + later_ns) for candle in found] if later_ns else found), end_ns

    def _laps_before(self, moment_ns: int) -> int:
        return max(0, moment_ns - self._times[0]) // self._lap_ns if self._loop else 0


def _csv_files(folder: Path, form: re.Pattern[str]) -> dict[str, Path]:
    """Symbol -> file."""
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    except OSError as error:
        raise ConfigError(
            f"Cannot read the folder {folder}: {error.strerror or error}",
            hint="--m1 takes a folder of CSV files, one a symbol: EURUSD.csv with time,open,high,low,close,volume.",
        ) from error
    if not files:
        raise ConfigError(
            f"There is no CSV file in {folder}",
            hint="--m1 takes a folder of CSV files, one a symbol: EURUSD.csv with time,open,high,low,close,volume.",
        )
    named = {unquote(path.stem): path for path in files}
    for symbol, path in named.items():
        if form.fullmatch(symbol) is None:
            raise ConfigError(
                f"{path}: the file name is to be a symbol, and {symbol!r} is none of this provider",
                hint="Rename it, for example to EURUSD.csv; BTC%2FUSD.csv is BTC/USD.",
            )
    return named


_PRICE = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,25})?")
_VOLUME = re.compile(r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,15})?")


def _read_csv(path: Path, symbol: str, spread_points: int) -> list[Candle]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}") from error
    if not lines or tuple(name.strip().lower() for name in lines[0].split(",")) != CSV_HEADER:
        raise ConfigError(f"{path}, line 1: the header is not {','.join(CSV_HEADER)}")
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            rows.append(_read_row(path, number, line, rows[-1][0] if rows else -1))
    if not rows:
        raise ConfigError(f"{path}: there are no candles in it")
    decimals = _decimals([price for _, row in rows for price in row[1:5]])
    return [
        Candle(
            symbol,
            open_ns,
            row[1],
            row[2],
            row[3],
            row[4],
            row[5],
            row[4],
            add_points(row[4], spread_points, decimals),
            spread_points,
            decimals,
        )
        for open_ns, row in rows
    ]


def _decimals(prices: list[str]) -> int:
    """The most decimals that prices have, apart from such as a float's 1.1338300000000001: exports are full of them."""
    exact = [price for price in prices if len(price.replace(".", "").lstrip("0")) <= FLOAT_DIGITS]
    return max(len(price.partition(".")[2]) for price in exact or prices)


def _read_row(path: Path, number: int, line: str, before_ns: int) -> tuple[int, list[str]]:
    row = [value.strip() for value in line.split(",")]
    where = f"{path}, line {number}"
    if len(row) != len(CSV_HEADER):
        raise ConfigError(f"{where}: {len(row)} values where {len(CSV_HEADER)} belong")
    try:
        open_ns = int(parse_rfc3339(row[0]))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    if open_ns <= before_ns:
        raise ConfigError(
            f"{where}: {row[0]} is not after the line before it", hint="Sort the file by time, each minute once."
        )
    for name, value in zip(CSV_HEADER[1:5], row[1:5], strict=True):
        if _PRICE.fullmatch(value) is None or (value[0] == "0" and value[1:2].isdigit()):
            raise ConfigError(f"{where}: {name} is no price: {value[:40]!r}")
    if _VOLUME.fullmatch(row[5]) is None:
        raise ConfigError(f"{where}: volume is no number: {row[5][:40]!r}")
    return open_ns, row
