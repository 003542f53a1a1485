"""Numbers that a provider counts up, one symbol at a time: what is missing between them. Pure."""

from __future__ import annotations

from tickstream.events import Gap
from tickstream.timestamps import Timestamp


class Continuity:
    """For one connection of a provider that numbers its messages without holes (`sequence`, trade ids)."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._last: dict[str, tuple[int, Timestamp]] = {}
        """Symbol -> the highest number, and when it was received."""

    def follow(self, symbol: str, first: int, last: int, ts_recv: Timestamp) -> Gap | None:
        """These numbers have come. The gap before them, if there is one; numbers that came before are no gap."""
        before, since = self._last.get(symbol, (first - 1, ts_recv))
        self._last[symbol] = (max(before, last), ts_recv)
        missed = first - before - 1
        if missed <= 0:
            return None
        return Gap(self._provider, (symbol,), "sequence", since, max(since, ts_recv), missed=missed)
