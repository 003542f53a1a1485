"""The alternate screen of a terminal, and the way back from it, whatever happens. Tested on Linux."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from types import FrameType

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""Alternate screen, no cursor, no line wrap, cleared."""
_LEAVE = b"\x1b[0m\x1b[2J\x1b[?7h\x1b[?25h\x1b[?1049l"


class AlternateScreen:
    """Enter it, leave it. In between, the end of the interpreter leaves it too, and Ctrl-Z leaves it for a while."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._entered = False
        self._on_stop: object = None

    def enter(self) -> None:
        """Switch over; raises OSError when the terminal is gone."""
        os.write(self._fd, _ENTER)
        self._entered = True
        atexit.register(self.leave)
        if hasattr(signal, "SIGTSTP") and threading.current_thread() is threading.main_thread():
            self._on_stop = signal.signal(signal.SIGTSTP, self._stop)

    def leave(self) -> None:
        """Switch back; safe in a signal handler, and more than once."""
        if not self._entered:
            return
        self._entered = False
        with contextlib.suppress(OSError):
            os.write(self._fd, _LEAVE)
        atexit.unregister(self.leave)
        if self._on_stop is not None:
            signal.signal(signal.SIGTSTP, self._on_stop)  # type: ignore[arg-type]  # what signal.signal returned
            self._on_stop = None

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: give the shell its screen, stop, and take it again when we go on (`fg`)."""
        with contextlib.suppress(OSError):
            os.write(self._fd, _LEAVE)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)
        with contextlib.suppress(OSError):
            os.write(self._fd, _ENTER)
