"""`-o line`: the whole run in one line, for tmux, a status bar or the corner of a screen.

On a terminal the line is rewritten in place; elsewhere a new one is written when something has changed, twice a second
at the most.
"""

from __future__ import annotations

import contextlib

from tickstream.errors import OutputError
from tickstream.events import Batch
from tickstream.markets import State
from tickstream.sinks.base import Sink, SinkRequest, SinkSpec
from tickstream.sinks.board import TREND_LENGTH, Row
from tickstream.sinks.boards import Boards
from tickstream.sinks.clean import clean
from tickstream.sinks.columns import DISPLAY_FIELDS, Moment, cell, percent, trend
from tickstream.sinks.fields import check_fields
from tickstream.sinks.headlines import Now, state_of
from tickstream.sinks.output import Abandoned, ReaderGone
from tickstream.sinks.table import can_draw, terminal_size
from tickstream.sinks.terminal import fit, glyphs_for
from tickstream.status import ProviderStatus, RunStatus, SessionStatus

_WORDS = {State.STALE: "stale", State.CLOSED: "closed", State.HELD: "held", State.WAITING: "waiting"}
"""What is said of a symbol; nothing of one that is all right."""


class LineSink(Sink):
    """One line: `EURUSD 1.13450/1.13462 ▲0.02%  XAUUSD 4083.53/4083.83 ▼0.11%  600 cr/h`."""

    def __init__(self, request: SinkRequest) -> None:
        self._output, self._clock, self._display = request.output, request.clock, request.display
        self._fields = None if request.fields is None else check_fields(request.fields, DISPLAY_FIELDS)
        self._status = request.status or RunStatus("LIVE", (ProviderStatus(""),), [])
        self._boards = Boards.of(self._status)
        self._glyphs = glyphs_for(request.display.env)
        self.owns_terminal = can_draw(request)
        self._shown = ""

    def write(self, batch: Batch) -> None:
        self._boards.add(batch.events, self._clock.monotonic())

    def refresh(self) -> None:
        text = self.text()
        if text == self._shown:
            return
        self._shown = text
        if self.owns_terminal:
            columns, _ = terminal_size(self._output.fd, self._display)
            # One column less: in the last one the cursor would wrap, and erase what was written there.
            text = f"\r{fit(text, max(1, columns - 1), self._glyphs.ellipsis)}\x1b[K"
        else:
            text += "\n"
        self._output.write(text.encode("utf-8", "replace"))

    def flush(self) -> None:
        self.refresh()

    def close(self) -> None:
        if self.owns_terminal and self._shown:
            self._shown = ""
            with contextlib.suppress(OutputError, ReaderGone, Abandoned):
                self._output.write(b"\r\n")

    def text(self) -> str:
        """The line as it is now; empty before the first data, but on a terminal."""
        rows = [row for row in self._boards.rows if row.seen_at is not None or self.owns_terminal]
        if not rows:
            return ""
        status, clock = self._status, self._clock
        now = Now(clock.now_ns(), clock.monotonic(), 0, self._glyphs, self._display.tz)
        pieces = [] if status.label == "LIVE" else [status.label]
        pieces += sorted({word for word in map(self._trouble, status.sessions) if word})
        sessions = {(one.provider, symbol): one for one in status.sessions for symbol in one.symbols}
        providers = {one.name: one for one in status.providers}
        for row in rows:
            provider = providers.get(row.board.provider) or ProviderStatus(row.board.provider)
            pieces.append(self._symbol(row, sessions.get((provider.name, row.symbol)), provider, now))
        for one in status.providers:
            burn = one.credits.burn_per_hour(now.wall_ns) if one.credits else None
            if burn is not None:
                pieces.append(self._whose(one.name) + f"{burn:,} cr/h")
        return "  ".join(pieces)

    def _whose(self, provider: str) -> str:
        """The provider, where there are several."""
        return f"{clean(provider)} " if self._status.several else ""

    def _trouble(self, session: SessionStatus) -> str:
        word = _trouble(session)
        return self._whose(session.provider) + word if word else ""

    def _symbol(self, row: Row, session: SessionStatus | None, provider: ProviderStatus, now: Now) -> str:
        # A session that has been closed is no news: the last line of a run tells what its last data was.
        known = None if session is None or session.state == "closed" else session
        at = state_of(row, known, now, provider)
        if self._fields is not None:
            moment = Moment(now.monotonic, now.glyphs, now.tz)
            texts = [
                trend(row, TREND_LENGTH, self._glyphs).text if name == "trend" else cell(name, row, at, moment).text
                for name in self._fields
            ]
            return " ".join(text for text in texts if text)
        word = "refused" if row.refused is not None else _WORDS.get(at, "")
        if not word and row.board.books.withholds(row.symbol):
            word = "withheld"
        name = clean(self._status.name_of(row.board.provider, row.symbol))
        parts = (name, _price(row), percent(row, self._glyphs).replace(" ", ""), word)
        return " ".join(part for part in parts if part)


def _price(row: Row) -> str:
    bid, ask = row.values.get("bid"), row.values.get("ask")
    if bid is not None and ask is not None:
        return f"{bid}/{ask}"
    return str(row.values.get("price") or row.values.get("last") or row.values.get("close") or bid or ask or "")


def _trouble(session: SessionStatus) -> str:
    """A word for a session that does not deliver. Without a countdown: the line would change each second."""
    if session.state in ("up", "closed"):
        return "paused" if session.paused else ""
    return "reconnecting" if session.state == "down" else session.state


SINK = SinkSpec(
    name="line", summary="one status line, for tmux or a bar", make=LineSink, refresh_s=0.5, extra_fields=DISPLAY_FIELDS
)
