"""`-o table`: a live table on the terminal.

It is drawn on the alternate screen, as htop and watch do, so that a resize leaves no debris and the scroll-back stays
what it was. When it ends, its last state is printed on the normal screen and stays readable. Where the cursor cannot
be moved (a pipe, TERM=dumb) a line is written for each symbol that has changed instead.

A batch updates the board, `refresh` draws: both in the main thread.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tickstream.errors import OutputError
from tickstream.events import Batch
from tickstream.sinks.alternate import AlternateScreen
from tickstream.sinks.base import Display, Sink, SinkRequest, SinkSpec
from tickstream.sinks.boards import Boards
from tickstream.sinks.columns import DISPLAY_FIELDS, Layout, table_columns
from tickstream.sinks.fields import check_fields
from tickstream.sinks.headlines import Now
from tickstream.sinks.ladders import Ladders
from tickstream.sinks.output import Abandoned, ReaderGone
from tickstream.sinks.screen import Screen, to_rich
from tickstream.sinks.terminal import Line, glyphs_for, is_dumb, line_width
from tickstream.status import ProviderStatus, RunStatus
from tickstream.subscriptions import Channel

if TYPE_CHECKING:
    from rich.console import Console

ANY_WIDTH = 10_000


class PlainTable(Sink):
    """The table where the cursor cannot be moved: a line for each symbol that has changed. The base of the other."""

    def __init__(self, request: SinkRequest) -> None:
        self._output, self._clock, self._display = request.output, request.clock, request.display
        status = request.status or RunStatus("LIVE", (ProviderStatus(""),), [])
        chosen = None if request.fields is None else check_fields(request.fields, DISPLAY_FIELDS)
        self._boards = Boards.of(status)
        columns = table_columns(request.channels, chosen, several=status.several)
        layout = Layout(columns, chosen=chosen is not None)
        display, looks = request.display, (self._boards, status, layout)
        ladders = request.channels == (Channel.BOOK,) and chosen is None
        self._screen = Ladders(*looks, depth=display.depth) if ladders else Screen(*looks)
        self._glyphs = glyphs_for(display.env)
        self._headed = False

    def write(self, batch: Batch) -> None:
        self._boards.add(batch.events, self._clock.monotonic())

    def refresh(self) -> None:
        rows = self._boards.take_changed()
        if rows:
            # A file has room for everything; a terminal without a cursor has not.
            width = terminal_size(self._output.fd, self._display)[0] if self._display.isatty else ANY_WIDTH
            lines = self._screen.plain(rows, self._now(width), heading=not self._headed)
            self._headed = True
            self._output.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))

    def flush(self) -> None:
        self.refresh()

    def _now(self, width: int) -> Now:
        return Now(self._clock.now_ns(), self._clock.monotonic(), width, self._glyphs, self._display.tz)


class LiveTable(PlainTable):
    """The table on the whole screen."""

    owns_terminal = True

    def __init__(self, request: SinkRequest) -> None:
        super().__init__(request)
        self._alternate = AlternateScreen(self._output.fd)
        self._console = ansi_console(self._display.env)
        self._closed = False

    def open(self) -> None:
        try:
            self._alternate.enter()
        except OSError as error:
            raise OutputError(f"cannot draw on the terminal: {error.strerror}", hint="Try -o jsonl.") from None
        self.refresh()

    def refresh(self) -> None:
        columns, lines = terminal_size(self._output.fd, self._display)
        picture = self._screen.draw(self._now(columns), lines)
        self._output.write(frame(picture, columns, lines, self._console))

    def flush(self) -> None:
        """Nothing waits: the next `refresh`, or `close`, draws what is new."""

    def emergency(self) -> None:
        self._alternate.leave()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._alternate.leave()
        columns, _ = terminal_size(self._output.fd, self._display)
        text = ansi(self._screen.draw(self._now(columns), final=True), self._console)
        with contextlib.suppress(OutputError, ReaderGone, Abandoned):  # a terminal that is gone needs no last picture
            self._output.write("".join(f"{line}\r\n" for line in text).encode("utf-8", "replace"))


def frame(picture: list[Line], columns: int, lines: int, console: Console) -> bytes:
    """The bytes that replace what is on the screen: one write, each line overwritten and erased to its end."""
    rows = []
    for line, text in zip(picture, ansi(picture, console), strict=True):
        # At the right margin the cursor stands on the last character: erasing from there would take it away.
        rows.append(text if line_width(line) >= columns else f"{text}\x1b[K")
    rest = "\r\n\x1b[J" if len(rows) < lines else ""
    return ("\x1b[H" + "\r\n".join(rows) + rest).encode("utf-8", "replace")


def ansi(picture: list[Line], console: Console) -> list[str]:
    """The lines with the escape sequences of their styles."""
    with console.capture() as captured:
        for line in picture:
            console.print(to_rich(line), soft_wrap=True)
    return captured.get().split("\n")[:-1]


def ansi_console(env: Mapping[str, str]) -> Console:
    """A rich console that only turns styles into escape sequences, as TERM, COLORTERM and NO_COLOR ask for."""
    from rich.console import Console

    return Console(
        file=io.StringIO(), force_terminal=True, legacy_windows=False, highlight=False, markup=False, emoji=False,
        width=ANY_WIDTH, height=100, _environ=env,
    )  # fmt: skip


def terminal_size(fd: int, display: Display) -> tuple[int, int]:
    """Columns and lines of the terminal now; 80 and 24 where it does not know."""
    if display.size is not None:
        return display.size()
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24


def make(request: SinkRequest) -> Sink:
    """The live table on a terminal that can do it, plain lines elsewhere. Raises UsageError for unknown fields."""
    return LiveTable(request) if can_draw(request) else PlainTable(request)


def can_draw(request: SinkRequest) -> bool:
    """Whether there is a terminal, and its cursor can be moved. Old Windows consoles know no escape sequences."""
    if not request.display.isatty or request.output.fd < 0 or is_dumb(request.display.env):
        return False
    if sys.platform == "win32":
        from rich.console import detect_legacy_windows

        return not detect_legacy_windows()
    return True


SINK = SinkSpec(name="table", summary="a live table, for people", make=make, refresh_s=0.2, extra_fields=DISPLAY_FIELDS)
