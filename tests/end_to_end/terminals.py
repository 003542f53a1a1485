"""`tickstream` on a pseudo-terminal of its own, whose keys, size and settings a test has in hand. Of Linux."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from types import TracebackType

from tests.end_to_end.watching import COMMAND, DEADLINE_S, Pump, Result, Running

_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the controlling terminal, so that Ctrl-C typed there becomes SIGINT."""

CTRL_C = b"\x03"
_MODES = {b"\x1b[?1049": (b"l", b"h"), b"\x1b[?25": (b"h", b"l"), b"\x1b[?7": (b"h", b"l")}
"""Alternate screen, cursor, line wrap: how each is said to be as it should be, and how not."""
_SEQUENCES = re.compile(rb"\x1b\[(?:\?(?:1049|25|7)[hl]|[0-9;]*m|[0-9]*[HJK])|\x1b\[H")
"""What our own screen is drawn with: modes, styles, cursor home, erase."""


class Terminal(Running):
    """A process on a terminal. `out_fd`: standard output goes there instead, and only talk comes to the terminal."""

    def __init__(
        self,
        *args: str,
        command: tuple[str, ...] = COMMAND,
        columns: int = 80,
        lines: int = 24,
        env: Mapping[str, str] | None = None,
        out_fd: int | None = None,
    ) -> None:
        self.keys, self._inner = pty.openpty()
        fcntl.ioctl(self._inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._settings = termios.tcgetattr(self._inner)
        self.popen = subprocess.Popen(
            (sys.executable, "-c", _OWN_TERMINAL, *command, *args),
            stdin=self._inner,
            stdout=self._inner if out_fd is None else out_fd,
            stderr=self._inner,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})},
        )
        read, write = os.pipe()
        os.close(write)
        super().__init__(Pump(os.dup(self.keys)), Pump(read))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(DEADLINE_S)
        self._leave()
        os.close(self.keys)

    def press(self, keys: bytes) -> None:
        """Type on the terminal."""
        os.write(self.keys, keys)

    def wait_shown(self, text: bytes, times: int = 1) -> None:
        """Wait until this has been written to the terminal."""
        self.out.wait_for(lambda data: data.count(text) >= times, repr(text))

    def hang_up(self) -> None:
        """The window is closed."""
        self.out.leave()
        os.close(self.keys)
        os.close(self._inner)
        self._inner = -1

    def wait(self, seconds: float = DEADLINE_S) -> Result:
        """Wait for the end; `out` is everything that the terminal was sent."""
        code = self.popen.wait(seconds)
        assert termios.tcgetattr(self._inner) == self._settings, "the settings of the terminal (echo) are not as before"
        self._leave()
        return Result(code, bytes(self.out.data), "")

    def _leave(self) -> None:
        if self._inner >= 0:
            os.close(self._inner)
            self._inner = -1
        self.out.join()


def assert_restored(shown: bytes) -> None:
    """The terminal is left as it was: normal screen, cursor, line wrap."""
    for mode, (good, bad) in _MODES.items():
        assert shown.rfind(mode + good) >= shown.rfind(mode + bad), f"{mode!r} is left at {bad!r}"


def without_sequences(shown: bytes) -> str:
    """The text that was shown, without the sequences that draw our own screen."""
    return _SEQUENCES.sub(b"", shown).decode()


def assert_harmless(shown: bytes) -> None:
    """Nothing reached the terminal that a provider could drive it with."""
    for character in without_sequences(shown):
        assert character.isprintable() or character in "\r\n", f"{character!r} in {shown[-3000:]!r}"
