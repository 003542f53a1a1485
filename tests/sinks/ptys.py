"""A pseudo-terminal to draw on, and what a terminal would show of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterator

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"
NO_WRAP, WRAP = b"\x1b[?7l", b"\x1b[?7h"
_SEQUENCE = re.compile(rb"\x1b\[[?0-9;]*[A-Za-z]")


class Terminal:
    """The outer end of a pseudo-terminal. `inner` is the descriptor to write to."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._outer, self.inner = pty.openpty()
        self.resize(columns, lines)
        self.seen = b""

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size."""
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        """Somebody types."""
        os.write(self._outer, keys)

    def read(self) -> bytes:
        """What has been written since the last call."""
        got = b""
        while select.select([self._outer], [], [], 0)[0]:
            try:
                chunk = os.read(self._outer, 65_536)
            except OSError:  # the inner end is closed everywhere
                break
            if not chunk:
                break
            got += chunk
        got = got.replace(b"\r\r\n", b"\r\n")  # the terminal's driver adds a carriage return to each line feed
        self.seen += got
        return got

    def wait_for(self, wanted: bytes, seconds: float = 20.0) -> bytes:
        """All that was ever written, once it holds `wanted`; an error when it does not come."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            assert time.monotonic() < deadline, f"{wanted!r} did not come; came: {self.seen[-2000:]!r}"
            select.select([self._outer], [], [], 0.05)
            self.read()
        return self.seen

    def close_inner(self) -> None:
        """Leave the inner end to others."""
        with contextlib.suppress(OSError):
            os.close(self.inner)

    def close(self) -> None:
        """Hang up."""
        self.close_inner()
        with contextlib.suppress(OSError):
            os.close(self._outer)


@contextlib.contextmanager
def terminal(columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    """A pseudo-terminal for a while."""
    made = Terminal(columns, lines)
    try:
        yield made
    finally:
        made.close()


def last_frame(data: bytes) -> list[str]:
    """The lines of the last picture drawn from the upper left corner, without escape sequences."""
    frame = data.rsplit(b"\x1b[H", 1)[1]
    return _SEQUENCE.sub(b"", frame).decode().rstrip("\r\n").split("\r\n")


def without_sequences(data: bytes) -> str:
    """The text alone."""
    return _SEQUENCE.sub(b"", data).decode()
