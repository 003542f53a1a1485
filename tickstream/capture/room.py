"""What happens when the disk is full: wait for room and go on, or give up; and a warning before it comes to that."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from tickstream.capture import disk
from tickstream.clock import Clock
from tickstream.errors import OutputError

RETRY_S = 5.0
LOW_BYTES = 1 << 30
LOW_SHARE = 0.05

OnDiskFull = Literal["wait", "exit"]
Report = Callable[[str, str], None]
"""Takes a notice: its code and its words."""

_T = TypeVar("_T")


class Room:
    """Lets the writer try again what failed for lack of room.

    `min_free` bytes are left to others. `stop`, once set, ends every wait: then one attempt decides. `paused` is why
    nothing is written at present, empty while all is well.
    """

    def __init__(
        self, base: Path, clock: Clock, stop: threading.Event, report: Report, policy: OnDiskFull, min_free: int = 0
    ) -> None:
        self._base = base
        self._clock = clock
        self._stop = stop
        self._report = report
        self._policy = policy
        self._min_free = min_free
        self._warned = False
        self.paused = ""
        self.free: int | None = None
        """Bytes, when last looked; None: not known."""

    def attempt(self, action: Callable[[], _T], path: Path) -> _T:
        """The result of the action, which is repeated for as long as the disk is full.

        Raises OutputError where that must not be waited for, and any other OSError of the action.
        """
        while True:
            try:
                result = action()
            except OSError as error:
                if error.errno not in disk.FULL:
                    raise
                self.wait(error, path)
            else:
                self._go_on()
                return result

    def keep_free(self, more: int) -> None:
        """Wait until `more` bytes can be written and `min_free` are left. Raises OutputError as `attempt` does."""
        while self._min_free and (free := self._free_now()) is not None and free - more < self._min_free:
            cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.wait(cause, self._base, f"less than {self._min_free:,} bytes would be left free (--min-free-space)")

    def wait(self, error: OSError, path: Path, why: str = "") -> None:
        """Wait a while for room. Raises OutputError where that must not be waited for."""
        failure = disk.failure(error, path)
        if why:
            failure = OutputError(f"cannot write {path}: {why}", hint=failure.hint)
        if self._policy == "exit" or self._stop.is_set():
            raise failure
        if not self.paused:
            self._report("disk_full", f"{failure.message}; trying again every {RETRY_S:g} s")
            self.paused = failure.message
        self._clock.wait(self._stop, RETRY_S)

    def look(self) -> None:
        """See what is free, and warn once when that becomes little. To be called every now and then."""
        try:
            space = disk.space(self._base)
        except OSError:
            return  # a folder that has vanished is noticed by those who write to it
        self.free = space.free
        low = min(LOW_BYTES, round(space.total * LOW_SHARE))
        if space.free < low and not self._warned:
            self._warned = True
            self._report("low_space", f"only {space.free:,} bytes are free on the disk of {self._base}")
        elif space.free >= 2 * low:
            self._warned = False

    def _free_now(self) -> int | None:
        try:
            self.free = disk.space(self._base).free
        except OSError:
            return None
        return self.free

    def _go_on(self) -> None:
        if self.paused:
            self.paused = ""
            self._report("disk_writable", f"there is room again on the disk of {self._base}: writing goes on")
