"""What the displays show of a run: a board for each provider, so that a symbol which two have is two rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from tickstream.events import Event
from tickstream.sinks.board import Board, Row
from tickstream.status import RunStatus
from tickstream.timestamps import Timestamp

MOST_BOARDS = 32
"""So many providers are shown: files of others that are replayed must not fill our memory with them."""

_provider = attrgetter("provider")


class Boards:
    """The boards, in the order of the providers. With one, all that comes is its own, and nobody looks whose it is."""

    def __init__(self, boards: Sequence[Board]) -> None:
        self.each = list(boards)
        self._of = {board.provider: board for board in self.each}

    @classmethod
    def of(cls, status: RunStatus) -> Boards:
        """Those of a run, with a row for each symbol that was asked for."""
        return cls([Board(one.symbols, status.sessions, one.name) for one in status.providers])

    def add(self, events: Sequence[Event], now: float) -> None:
        """Take a batch, received at `now` monotonic seconds. Mostly all of it is of one provider."""
        if len(self.each) == 1:
            self.each[0].add(events, now)
            return
        for provider, some in groupby(events, _provider):
            board = self._of.get(provider) or self._new_board(provider)
            if board is not None:
                board.add(list(some), now)

    def _new_board(self, provider: str) -> Board | None:
        if len(self.each) >= MOST_BOARDS:
            return None
        board = self._of[provider] = Board((), (), provider)
        self.each.append(board)
        return board

    @property
    def rows(self) -> list[Row]:
        """By provider."""
        return [row for board in self.each for row in board.rows.values()]

    def take_changed(self) -> list[Row]:
        """The rows that have had data since the last call."""
        return [row for board in self.each for row in board.take_changed()]

    @property
    def refused(self) -> int:
        """How many symbols are refused."""
        return sum(len(board.refused) for board in self.each)

    @property
    def notice(self) -> tuple[Timestamp, str] | None:
        """The last thing to know about the stream: when, and what, cleaned."""
        notices = [(board.notice, board.provider) for board in self.each if board.notice is not None]
        if not notices:
            return None
        (at, text), provider = max(notices, key=lambda one: one[0][0])
        return at, f"{provider}: {text}" if len(self.each) > 1 else text
