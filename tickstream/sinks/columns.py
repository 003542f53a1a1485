"""The columns of the table: what stands in a cell, how wide a column is, and which ones fit on the screen. Pure.

Numbers are right-aligned on the decimal point, with the digits of the provider. Widths only ever grow, so that
nothing jumps while one watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import NamedTuple

import msgspec

from tickstream.markets import State
from tickstream.sinks.board import TREND_LENGTH, Row
from tickstream.sinks.fields import default_columns
from tickstream.sinks.terminal import Glyphs, cell_width, fit, sparkline
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

DISPLAY_FIELDS = ("change", "change_pct", "trend", "age", "state")
"""Columns that only the table has."""

FRESHNESS = ("age", "state")

MAX_WIDTH = 24
"""Of a cell. Nothing honest is wider."""
FLASH_S = 0.8
"""How long a price that has moved is coloured."""
TREND_WIDTHS = (8, TREND_LENGTH)
"""The narrowest sparkline worth having, and the widest."""

_TITLES = {
    "change_pct": "chg%",
    "ts_event": "event",
    "ts_recv": "received",
    "bid_size": "bid size",
    "ask_size": "ask size",
}
_PRIORITY = (
    "symbol", "provider", "bid", "ask", "price", "state", "change_pct", "last", "age", "spread", "side", "trend",
    "size", "change", "bid_size", "ask_size", "volume", "close", "high", "low", "open",
)  # fmt: skip
"""What stays when the screen is narrow: the first for longest."""
_LEFT_OUT = ("type", "provider", "ts_event", "ts_recv", "interval", "closed", "sequence", "trade_id", "canonical")
"""Fields that the table does not show unless it is asked to."""
_CANDLE = ("open", "high", "low", "close", "volume")
_LEFT_ALIGNED = frozenset({
    "type", "provider", "symbol", "interval", "side", "trade_id", "closed", "trend", "state", "canonical",
})  # fmt: skip
_PRICES = frozenset({"bid", "ask", "price", "last", "close"})

_LEAST = {
    **dict.fromkeys(("bid", "ask", "price", "last", "open", "high", "low", "close"), 9),
    **dict.fromkeys(("spread", "change_pct", "state"), 7),
    **dict.fromkeys(("volume", "symbol"), 6),
    "change": 8,
    "age": 3,
}
"""Widths that nearly every column comes to: held from the start, so that the first data shifts nothing."""

_STATE_STYLES = {
    State.LIVE: "green",
    State.QUIET: "cyan",
    State.STALE: "bold red",
    State.CLOSED: "dim",
    State.HELD: "yellow",
    State.WAITING: "dim",
}


class Cell(NamedTuple):
    """Text and style."""

    text: str
    style: str = ""


class Moment(msgspec.Struct, frozen=True):
    """What a cell's content depends on beside the row. `now` is monotonic seconds."""

    now: float
    glyphs: Glyphs
    tz: tzinfo | None


def table_columns(
    channels: tuple[Channel, ...], fields: tuple[str, ...] | None, *, several: bool = False
) -> tuple[str, ...]:
    """The columns wanted: those of `--fields`, or the channels' (what one can trade at first) and the display's own.

    `several`: of several providers, so that each row has to say whose it is.
    """
    if fields is not None:
        return fields
    names = dict.fromkeys(name for channel in channels for name in _of_channel(channel))
    whose = ("provider",) if several else ()
    return (*whose, *sorted(names, key=lambda name: name in _CANDLE), *DISPLAY_FIELDS)


def _of_channel(channel: Channel) -> list[str]:
    if channel is Channel.BOOK:  # a row shows the top of the book
        return [name for name in default_columns(Channel.QUOTES) if name not in _LEFT_OUT and name != "last"]
    return [name for name in default_columns(channel) if name not in _LEFT_OUT]


class Layout:
    """The columns of one table, and how wide they have grown. `chosen`: the user named them, so their order is rank."""

    def __init__(self, columns: tuple[str, ...], chosen: bool = False) -> None:
        self.columns = columns
        self._rank = {name: rank for rank, name in enumerate(columns if chosen else _PRIORITY)}
        self._before: dict[str, int] = {}
        """Column -> the most columns before a decimal point, or the width of a text."""
        self._after: dict[str, int] = {}
        """Column -> the most columns from a decimal point on."""

    def grow(self, name: str, cells: Iterable[str]) -> None:
        """Make room for these cells."""
        before, after = self._before.get(name, 0), self._after.get(name, 0)
        for text in cells:
            head, tail = _split(name, text)
            before, after = max(before, head), max(after, tail)
        self._before[name], self._after[name] = before, after

    def width(self, name: str) -> int:
        """The width of a column, its title included."""
        if name == "trend":
            return TREND_WIDTHS[0]
        grown = min(MAX_WIDTH, self._before.get(name, 0) + self._after.get(name, 0))
        return max(len(title(name)), _LEAST.get(name, 0), grown)

    def choose(self, width: int, without: tuple[str, ...] = ()) -> tuple[list[tuple[str, int]], int]:
        """The columns that fit into `width`, with their widths, and the gap between them: the least important go first.

        One column always stays; it may be cut.
        """
        names = [name for name in self.columns if name not in without] or list(self.columns)
        gap = 1 if self._total(names, 2) > width >= self._total(names, 1) else 2
        while len(names) > 1 and self._total(names, gap) > width:
            names.remove(max(names, key=lambda name: self._rank.get(name, len(self._rank))))
        widths = {name: self.width(name) for name in names}
        if "trend" in widths:
            spare = width - self._total(names, gap)
            widths["trend"] = min(TREND_WIDTHS[1], widths["trend"] + max(0, spare))
        return [(name, min(width, widths[name])) for name in names], gap

    def _total(self, names: Sequence[str], gap: int) -> int:
        return sum(map(self.width, names)) + gap * (len(names) - 1)

    def place(self, name: str, text: str, width: int, ellipsis: str) -> str:
        """The text in its column: on the left, or with its decimal point under the others'."""
        if name not in _LEFT_ALIGNED:
            text += " " * (self._after.get(name, 0) - _split(name, text)[1])
            text = " " * (width - cell_width(text)) + text
        text = fit(text, width, ellipsis)
        return text + " " * (width - cell_width(text))

    def heading(self, name: str, text: str, width: int, ellipsis: str) -> str:
        """The title of a column: on the left over texts, on the right over numbers."""
        text = fit(text, width, ellipsis)
        space = " " * (width - cell_width(text))
        return text + space if name in _LEFT_ALIGNED else space + text


def title(name: str) -> str:
    """The heading of a column."""
    return _TITLES.get(name, name)


def _split(name: str, text: str) -> tuple[int, int]:
    """Columns before the decimal point, and from it on; everything is before it in a text."""
    if name in _LEFT_ALIGNED:
        return cell_width(text), 0
    head, point, tail = text.partition(".")
    return cell_width(head), len(point + tail)


def cell(name: str, row: Row, state: State, moment: Moment) -> Cell:
    """What stands in a column of a row; the trend is drawn by `trend`."""
    if name == "state":
        return Cell(state.name, _STATE_STYLES[state])
    if name == "age":
        return Cell("" if row.seen_at is None else short_span(moment.now - row.seen_at), "dim")
    if name == "change":
        return Cell(signed(row.change), change_style(row))
    if name == "change_pct":
        return Cell(percent(row, moment.glyphs), change_style(row))
    value = row.values.get(name, "")
    if isinstance(value, Timestamp):
        return Cell(time_of_day(value, moment.tz), "dim")
    return Cell(value, _style(name, row, moment.now))


def trend(row: Row, width: int, glyphs: Glyphs) -> Cell:
    """The sparkline of a row."""
    return Cell(sparkline(row.prices, width, glyphs), change_style(row))


def _style(name: str, row: Row, now: float) -> str:
    if name == "symbol":
        return "bold"
    if name == "side":
        return {"buy": "green", "sell": "red"}.get(str(row.values.get("side")), "")
    if name in _PRICES and row.moved_at is not None and now - row.moved_at < FLASH_S:
        return "green" if row.direction > 0 else "red"
    return ""


def change_style(row: Row) -> str:
    """Green for up, red for down."""
    change = row.change
    return "" if not change else "green" if change > 0 else "red"


def percent(row: Row, glyphs: Glyphs) -> str:
    """The change with its arrow: `▲ 0.02%`; the arrow tells of the price, the figure may be rounded to 0.00."""
    value, change = row.change_percent, row.change
    if value is None or change is None:
        return ""
    arrow = glyphs.flat if not change else glyphs.up if change > 0 else glyphs.down
    return f"{arrow} {abs(value)}%"


def signed(change: Decimal | None) -> str:
    """A change with its sign and all its decimals; none for zero."""
    if change is None:
        return ""
    return format(change, "+f") if change else format(abs(change), "f")


def short_span(seconds: float) -> str:
    """An age in its largest unit: `0s`, `59s`, `3m`, `2h`, `5d`."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def local_time(ns: int, tz: tzinfo | None) -> datetime:
    """A moment in the zone of the display; without one, the machine's."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).astimezone(tz)


def time_of_day(ns: int, tz: tzinfo | None) -> str:
    """`14:55:32`."""
    return local_time(ns, tz).strftime("%H:%M:%S")
