"""The whole picture: head, table, foot, as lines of styled text that fit the screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tickstream.markets import State
from tickstream.sinks.board import Row
from tickstream.sinks.boards import Boards
from tickstream.sinks.columns import FRESHNESS, Cell, Layout, Moment, cell, time_of_day, title, trend
from tickstream.sinks.headlines import Now, counters_line, notice_line, provider_lines, state_of, title_line
from tickstream.sinks.terminal import Line, cell_width, fit
from tickstream.status import ProviderStatus, RunStatus

if TYPE_CHECKING:
    from rich.text import Text


_LEAST_ROWS = 3


class Screen:
    """Draws a run. It remembers only how wide the columns have grown."""

    def __init__(self, boards: Boards, status: RunStatus, layout: Layout) -> None:
        self._boards = boards
        self._status = status
        self._layout = layout

    def draw(self, now: Now, height: int | None = None, *, final: bool = False) -> list[Line]:
        """The lines of the screen at this moment, none wider than `now.width`, at most `height` of them.

        `final`: nothing will come any more, so the columns about how fresh the data is are left out.
        """
        rows = self._boards.rows
        above, below = self._around(now, height, len(rows))
        room = None if height is None else max(2, height - len(above) - len(below))
        return (above + self._body(rows, now, room, final=final) + below)[:height]

    def _body(self, rows: list[Row], now: Now, room: int | None, *, final: bool) -> list[Line]:
        """The table, in `room` lines with its heading."""
        shown, more = _shown(rows, None if room is None else room - 1)
        return self._table(shown, now, FRESHNESS if final else ()) + self._more(more, now)

    def _needs(self, rows: int) -> int:
        """Lines to which head and foot give way."""
        return min(rows, _LEAST_ROWS)

    @staticmethod
    def _more(count: int, now: Now) -> list[Line]:
        """What there was no room for."""
        return [[(fit(f"+{count} more", now.width, now.glyphs.ellipsis), "dim")]] if count else []

    def plain(self, rows: Sequence[Row], now: Now, heading: bool) -> list[str]:
        """The rows as lines for a place without a cursor, each with the time; trend and age would not help there."""
        cells, clock, ellipsis = self._cells(rows, now), time_of_day(now.wall_ns, now.tz), now.glyphs.ellipsis
        chosen, gap = self._layout.choose(now.width - len(clock) - 2, without=("trend", "age"))
        between = " " * gap
        lines = []
        if heading:
            titles = (self._layout.heading(name, title(name), width, ellipsis) for name, width in chosen)
            lines.append(f"{'time':8}  {between.join(titles)}")
        for texts in cells:
            parts = (self._layout.place(name, texts[name].text, width, ellipsis) for name, width in chosen)
            lines.append(f"{clock}  {between.join(parts)}")
        return [line.rstrip() for line in lines]

    def _states(self, rows: Sequence[Row], now: Now) -> list[State]:
        """What each row's symbol is at."""
        sessions = {(one.provider, symbol): one for one in self._status.sessions for symbol in one.symbols}
        known = {one.name: one for one in self._status.providers}
        states = []
        for row in rows:
            provider = known.get(row.board.provider) or ProviderStatus(row.board.provider)
            states.append(state_of(row, sessions.get((provider.name, row.symbol)), now, provider))
        return states

    def _cells(self, rows: Sequence[Row], now: Now) -> list[dict[str, Cell]]:
        """The cells of these rows but for the trend; the columns have room for them."""
        layout, moment = self._layout, Moment(now.monotonic, now.glyphs, now.tz)
        names = [name for name in layout.columns if name != "trend"]
        cells = []
        for row, at in zip(rows, self._states(rows, now), strict=True):
            cells.append({name: cell(name, row, at, moment) for name in names})
        for name in names:
            layout.grow(name, (one[name].text for one in cells))
        return cells

    def _around(self, now: Now, height: int | None, rows: int) -> tuple[list[Line], list[Line]]:
        """The lines above and below the table, as many as the height allows: the most important first."""
        rule: Line = [(now.glyphs.rule * now.width, "dim")]
        boards, status = self._boards, self._status
        providers = provider_lines(boards, status, now)
        parts: list[tuple[int, bool, Line]] = [  # importance, above?, line
            (1, True, title_line(boards, status, now)),
            *((0 if status.several else 2 * place, True, line) for place, line in enumerate(providers)),
            (5, True, rule),
            (6, False, rule),
            (3, False, counters_line(boards, status, now)),
            (4, False, notice_line(boards, now)),
        ]
        wanted = [part for part in parts if part[2]]
        if height is not None:
            room = height - 1 - self._needs(rows)
            best = sorted(wanted, key=lambda part: part[0])[: max(0, room)]
            wanted = [part for part in wanted if part in best]
        return [line for _, up, line in wanted if up], [line for _, up, line in wanted if not up]

    def _table(self, rows: Sequence[Row], now: Now, without: tuple[str, ...]) -> list[Line]:
        layout, cells = self._layout, self._cells(rows, now)
        chosen, gap = layout.choose(now.width, without)
        space, ellipsis = (" " * gap, ""), now.glyphs.ellipsis
        lines = [self._heading(chosen, gap, now)]
        for row, texts in zip(rows, cells, strict=True):
            if row.refused is not None:
                lines.append(self._refused(row, row.refused, now))
                continue
            line: Line = []
            for name, width in chosen:
                text, style = trend(row, width, now.glyphs) if name == "trend" else texts[name]
                line += [(layout.place(name, text, width, ellipsis), style), space]
            lines.append(line[:-1])
        return lines

    def _heading(self, chosen: list[tuple[str, int]], gap: int, now: Now) -> Line:
        ellipsis = now.glyphs.ellipsis
        cells = [self._layout.heading(name, title(name), width, ellipsis) for name, width in chosen]
        return [((" " * gap).join(cells), "dim")]

    def _refused(self, row: Row, reason: str, now: Now) -> Line:
        layout, ellipsis = self._layout, now.glyphs.ellipsis
        whose = [name for name in layout.columns if name in {"provider", "symbol"}] or ["symbol"]
        name = "  ".join(layout.place(one, str(row.values[one]), layout.width(one), ellipsis) for one in whose)
        name = fit(name, now.width, ellipsis)
        rest = fit(f"refused: {reason}", max(0, now.width - cell_width(name) - 2), ellipsis)
        return [(name, "bold"), ("  ", ""), (rest, "red")] if rest else [(name, "red")]


def _shown(rows: list[Row], room: int | None) -> tuple[list[Row], int]:
    """The rows that fit, and how many do not."""
    if room is None or len(rows) <= room:
        return rows, 0
    return rows[: room - 1], len(rows) - room + 1


def to_rich(line: Line) -> Text:
    """A line for rich: text that is never read as markup, never wrapped."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop", end="")
    for part, style in line:
        text.append(part, style)
    return text
