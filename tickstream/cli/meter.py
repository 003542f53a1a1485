"""A line on the terminal of stderr that tells how far a long reading is. Elsewhere nothing is said."""

from __future__ import annotations

import contextlib

from tickstream.capture.progress import size
from tickstream.cli.environment import Environment

EVERY_S = 0.2
"""How often it is drawn."""
PATIENCE_S = 1.0
"""What takes no longer needs no such line."""


class Meter:
    """Called with the bytes read and the bytes in all; `clear` takes the line away."""

    def __init__(self, env: Environment, what: str) -> None:
        self._env = env
        self._what = what
        self._began = env.clock.monotonic()
        self._next = self._began + PATIENCE_S
        self._drawn = False

    def __call__(self, read: int, whole: int) -> None:
        now = self._env.clock.monotonic()
        if now < self._next or not self._env.stderr_isatty:
            return
        self._next = now + EVERY_S
        speed = read / (now - self._began)
        part = f"{100 * read // whole} %, " if whole else ""
        self._write(f"\r{self._what}: {part}{size(read)}, {size(round(speed))}/s\x1b[K")
        self._drawn = True

    def clear(self) -> None:
        """Leave nothing behind."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._env.stderr.write(text)
            self._env.stderr.flush()
