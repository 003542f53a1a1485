"""The alternate screen of a terminal, and the way back from it, whatever happens. Tested on Linux."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import select
import signal
import sys
import threading
from types import FrameType

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Alternate screen, no cursor, no line wrap, cleared."""
_LEAVE = b"\x1b[0m\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l"

SLICE_S = 0.1
PATIENCE = 5
"""How many slices a terminal that takes nothing is waited for."""


class AlternateScreen:
    """Enter it, leave it. In between, the end of the interpreter leaves it too, and Ctrl-Z leaves it for a while."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._entered = False
        self._on_stop: object = None

    def enter(self) -> None:
        """Switch over; raises OSError when the terminal is gone."""
        self._send(_ENTER)
        self._entered = True
        atexit.register(self.leave)
        if hasattr(signal, "SIGTSTP") and threading.current_thread() is threading.main_thread():
            self._on_stop = signal.signal(signal.SIGTSTP, self._stop)

    def leave(self) -> None:
        """Switch back; safe in a signal handler, and more than once."""
        if not self._entered:
            return
        self._entered = False
        _go_on(self._fd)
        with contextlib.suppress(OSError):
            self._send(_LEAVE)
        atexit.unregister(self.leave)
        if self._on_stop is not None:
            signal.signal(signal.SIGTSTP, self._on_stop)  # type: ignore[arg-type]  # what signal.signal returned
            self._on_stop = None

    def _send(self, data: bytes) -> None:
        """Write it all. A terminal that was stopped (Ctrl-S) is waited for a moment only: BlockingIOError."""
        for _ in range(PATIENCE):
            if _has_room(self._fd):
                data = data[os.write(self._fd, data) :]
            if not data:
                return
        raise BlockingIOError(errno.EAGAIN, "it takes nothing")

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: give the shell its screen, stop, and take it again when we go on (`fg`)."""
        with contextlib.suppress(OSError):
            self._send(_LEAVE)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        with contextlib.suppress(OSError):
            self._send(_ENTER)


def _go_on(fd: int) -> None:
    """Start a terminal that was stopped with Ctrl-S: it could not be given back otherwise.

    Not from the background, where the system would stop us for asking (SIGTTOU).
    """
    if sys.platform == "win32":
        return
    import termios

    with contextlib.suppress(OSError):  # no terminal of ours, so no foreground either
        if os.tcgetpgrp(fd) != os.getpgrp():
            return
    with contextlib.suppress(termios.error):
        before, without = termios.tcgetattr(fd), termios.tcgetattr(fd)
        without[0] &= ~termios.IXON  # a terminal that knows no Ctrl-S any more has to go on
        termios.tcsetattr(fd, termios.TCSANOW, without)
        termios.tcsetattr(fd, termios.TCSANOW, before)


def _has_room(fd: int) -> bool:
    """Waits a slice for it. Windows can only select sockets, and knows no Ctrl-S that we could notice."""
    return sys.platform == "win32" or bool(select.select([], [fd], [], SLICE_S)[1])
