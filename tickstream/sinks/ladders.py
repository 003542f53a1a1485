"""Order books as ladders: asks above, the spread in the middle, bids below, as deep as the screen allows. Pure.

The spread stays in its place: where fewer levels are known the ends stay empty, and of a book that is withheld all of
it is, but for the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal

from tickstream.markets import State
from tickstream.sinks.board import Row
from tickstream.sinks.boards import Boards
from tickstream.sinks.books import WAITING, Side
from tickstream.sinks.columns import Cell, Layout, Moment, cell, change_style, percent
from tickstream.sinks.headlines import Now
from tickstream.sinks.screen import Screen
from tickstream.sinks.terminal import Line, both_ends, fit, fit_line, line_width
from tickstream.status import RunStatus

NARROWEST, WIDEST = 38, 80
"""Columns of a ladder: where each has so many, they stand side by side."""
BETWEEN = 2
LEAST_LEVELS = 3
"""Of a side: with fewer, ladders are left out instead."""
AROUND = 3
"""Lines of a ladder beside its levels: the symbol, the heading, the spread."""
BARS = (4, 40)
"""The shortest bar worth having, and the longest."""
COLUMNS = ("price", "size", "total")
_EXACT = Context(prec=1000)
_SMALLEST = Decimal("0.0001")
_WITHHELD = Cell("WITHHELD", "yellow")


class Ladders(Screen):
    """A ladder for each symbol, `depth` levels a side at the most."""

    def __init__(self, boards: Boards, status: RunStatus, layout: Layout, depth: int = 10) -> None:
        super().__init__(boards, status, layout)
        self._depth = depth
        self._layouts: dict[Row, Layout] = {}

    def _needs(self, rows: int) -> int:
        return AROUND + 2 * min(LEAST_LEVELS, self._depth) if rows else 0

    def _body(self, rows: list[Row], now: Now, room: int | None, *, final: bool) -> list[Line]:
        """As many ladders as there is room for, side by side and below one another."""
        if room is not None and self._boards.notice is None:
            room -= 1  # for the first one to come: the spread must not move then
        across = max(1, min(len(rows), (now.width + BETWEEN) // (NARROWEST + BETWEEN)))
        width = min(WIDEST, (now.width - BETWEEN * (across - 1)) // across)
        down, levels = self._fit(-(-len(rows) // across), room)
        shown, more = rows[: across * down], rows[across * down :]
        states = dict(zip(shown, self._states(shown, now), strict=True))
        lines: list[Line] = []
        for start in range(0, len(shown), across):
            some = shown[start : start + across]
            height = levels if room is not None else max(map(self._known, some))
            ladders = [self._ladder(row, states[row], now, width, height, final=final) for row in some]
            lines += [[]] if lines else []
            lines += [_beside(parts, width) for parts in zip(*ladders, strict=True)]
        return lines + self._more(len(more), now)

    def _fit(self, down: int, room: int | None) -> tuple[int, int]:
        """How many rows of ladders, and how many levels a side in each."""
        if room is None:
            return down, self._depth
        least = AROUND + 2 * min(LEAST_LEVELS, self._depth)
        fitting = max(1, (room + 1) // (least + 1))
        if down > fitting:  # then a line says how many are left out
            down, room = max(1, room // (least + 1)), room - 1
        each = (room - (down - 1)) // max(1, down)
        return down, max(0, min(self._depth, (each - AROUND) // 2))

    def _known(self, row: Row) -> int:
        """Levels of the longer side."""
        return max(map(len, row.board.books.depth(row.symbol, self._depth)))

    def _cells(self, rows: Sequence[Row], now: Now) -> list[dict[str, Cell]]:
        """As in any table, but for the state of a book that is withheld."""
        cells = super()._cells(rows, now)
        for row, texts in zip(rows, cells, strict=True):
            if row.board.books.withholds(row.symbol):
                texts["state"] = _WITHHELD
        self._layout.grow("state", (texts["state"].text for texts in cells))
        return cells

    # --- one ladder ------------------------------------------------------------------------------------------------

    def _ladder(self, row: Row, state: State, now: Now, width: int, levels: int, *, final: bool) -> list[Line]:
        layout = self._layouts.setdefault(row, Layout(COLUMNS, chosen=True))
        bids, asks = ((), ()) if row.refused is not None else row.board.books.depth(row.symbol, levels)
        cells = [_cells(side) for side in (asks, bids)]
        for number, name in enumerate(COLUMNS):
            layout.grow(name, [texts[number] for side in cells for texts in side])
        longest = max((Decimal(texts[1]) for side in cells for texts in side), default=Decimal(0))
        chosen, gap = layout.choose(width)
        heads = [layout.heading(name, name, size, now.glyphs.ellipsis) for name, size in chosen]
        above, below = (
            [self._level(texts, style, number == 0, longest, layout, now, width) for number, texts in enumerate(side)]
            for side, style in zip(cells, ("red", "green"), strict=True)
        )
        empty: Line = []
        return [
            self._title(row, state, now, width, final=final),
            [((" " * gap).join(heads), "dim")],
            *[empty] * (levels - len(above)),
            *reversed(above),
            self._middle(row, asks, bids, now, width),
            *below,
            *[empty] * (levels - len(below)),
        ]

    def _level(
        self,
        texts: tuple[str, str, str],
        style: str,
        best: bool,
        longest: Decimal,
        layout: Layout,
        now: Now,
        width: int,
    ) -> Line:
        chosen, gap = layout.choose(width)
        styles = {"price": f"bold {style}" if best else style, "size": "bold" if best else "", "total": "dim"}
        of = dict(zip(COLUMNS, texts, strict=True))
        line: Line = []
        for name, size in chosen:
            line += [(layout.place(name, of[name], size, now.glyphs.ellipsis), styles[name]), (" " * gap, "")]
        room = min(BARS[1], width - line_width(line))
        if room < BARS[0] or not longest:
            return line[:-1]
        length = max(1, int(Decimal(texts[1]) * room / longest + Decimal("0.5")))
        return [*line, (now.glyphs.bar * min(room, length), style)]

    def _title(self, row: Row, state: State, now: Now, width: int, *, final: bool) -> Line:
        moment = Moment(now.monotonic, now.glyphs, now.tz)
        left: Line = [(str(row.values["symbol"]), "bold")]
        if self._status.several:
            left.insert(0, (f"{row.values['provider']} ", ""))
        if not final and row.refused is None:
            at = _WITHHELD if row.board.books.withholds(row.symbol) else cell("state", row, state, moment)
            left += [("  ", ""), at, ("  ", ""), cell("age", row, state, moment)]
        change = percent(row, now.glyphs)
        return both_ends(left, [(change, change_style(row))] if change else [], width, now.glyphs.ellipsis)

    def _middle(self, row: Row, asks: Side, bids: Side, now: Now, width: int) -> Line:
        """The spread, or why there is no book to look at."""
        rule, ellipsis = now.glyphs.rule, now.glyphs.ellipsis
        words, style = self._words(row, asks, bids)
        line: Line = [(rule * 2 + " ", "dim"), (fit(words, max(0, width - 6), ellipsis), style), (" ", "")]
        return fit_line([*line, (rule * max(0, width - line_width(line)), "dim")], width, ellipsis)

    def _words(self, row: Row, asks: Side, bids: Side) -> tuple[str, str]:
        if row.refused is not None:
            return f"refused: {row.refused}", "red"
        why_not = row.board.books.why_not(row.symbol)
        if why_not:
            return why_not, "dim" if why_not == WAITING else "yellow"
        if not asks or not bids:
            return f"spread {row.values.get('spread', 'unknown')}", ""
        ask, bid = (Decimal(bytes(side[0][0]).decode()) for side in (asks, bids))
        return f"spread {row.values.get('spread', '')}{_share(ask, bid)}", ""


def _share(ask: Decimal, bid: Decimal) -> str:
    """The spread in hundredths of the price in the middle."""
    middle = abs(ask + bid) / 2
    if not middle:
        return ""
    share = (ask - bid) * 100 / middle
    return f"   {share:.4f}%" if share >= _SMALLEST else f"   <{_SMALLEST}%"


def _cells(side: Side) -> list[tuple[str, str, str]]:
    """Price, size, and the size up to here, from the best level on."""
    total, cells = Decimal(0), []
    for price, size in side:
        text = bytes(size).decode()
        total = _EXACT.add(total, Decimal(text))
        cells.append((bytes(price).decode(), text, format(total, "f")))
    return cells


def _beside(parts: Sequence[Line], width: int) -> Line:
    """Lines of ladders next to one another."""
    line: Line = []
    for part in parts[:-1]:
        line += [*part, (" " * (width - line_width(part) + BETWEEN), "")]
    return [*line, *parts[-1]]
