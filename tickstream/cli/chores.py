"""What the main thread does from time to time beside taking batches: draw, write metrics, look after files."""

from __future__ import annotations

from collections.abc import Callable

Chore = tuple[float, Callable[[], None]]
"""Every so many seconds, this."""


class Chores:
    """All due at once at first. Asked after every batch, so the usual answer costs one comparison."""

    def __init__(self, *chores: Chore) -> None:
        self._chores = chores
        self._due = [float("-inf")] * len(chores)
        self._next = min(self._due, default=float("inf"))

    def do(self, now: float) -> None:
        """Do those that are due; `now` is monotonic seconds."""
        if now < self._next:
            return
        for number, (every_s, act) in enumerate(self._chores):
            if now >= self._due[number]:
                self._due[number] = now + every_s
                act()
        self._next = min(self._due)
