"""Standard output: whole lines, one write for a batch, flushed at once, and never waiting for ever."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import BinaryIO

from tickstream.clock import Clock
from tickstream.errors import OutputError
from tickstream.sinks.descriptors import descriptor_of, fileno

SLICE_S = 0.1
"""The longest wait before `abandon` is asked again."""
GRACE_SLICES = 3
"""How many slices an abandoned write still waits for room to complete the line it has begun."""

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "Free some space, or write to another disk."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space, or write to another disk."),
    errno.EFBIG: ("the file has reached the largest size allowed", "See `ulimit -f`, or write to another file system."),
    errno.EIO: ("the device failed", "The terminal is gone, or the disk is failing: see the system's log."),
    errno.EBADF: ("it is closed, or not open for writing", "Give tickstream a standard output that it can write to."),
}
_READER_GONE = {
    errno.EPIPE,
    errno.ECONNRESET,
    errno.ESHUTDOWN,
    *((errno.EINVAL,) if sys.platform == "win32" else ()),  # what a closed pipe gives there
}


class ReaderGone(Exception):
    """The reader of our output closed its end. No error: `| head` is finished, and so are we."""


class Abandoned(Exception):
    """A write was given up while its reader was not reading.

    `left`: lines that were not written, or not to their end. `torn`: one of them was begun.
    """

    def __init__(self, left: int, torn: bool) -> None:
        super().__init__(f"gave up with {left} lines unwritten" + (", the first of them cut" if torn else ""))
        self.left = left
        self.torn = torn


def _never() -> bool:
    return False


class Output:
    """Where data leaves the process. One thread writes; others may read `blocked_s` and `bytes_written`.

    `abandon` is asked at least every 0.1 s while the reader keeps us waiting, so it is also the place to warn about
    that; True ends the write with Abandoned. After ReaderGone, Abandoned or OutputError nothing more can be written.
    """

    def __init__(self, target: int | BinaryIO, clock: Clock, abandon: Callable[[], bool] | None = None) -> None:
        self._descriptor = descriptor_of(target)
        self.fd = target if isinstance(target, int) else fileno(target)
        """The descriptor that was given; -1 for a file object without one."""
        self._clock = clock
        self._abandon = abandon or _never
        self._waiting_since: float | None = None
        self.bytes_written = 0

    @property
    def blocked_s(self) -> float:
        """For how long the present write has been waiting for its reader, seconds; 0 while nothing waits."""
        since = self._waiting_since
        return 0.0 if since is None else self._clock.monotonic() - since

    def write(self, data: bytes) -> None:
        """Write whole lines. They have left the process when this returns.

        Raises ReaderGone, OutputError, or Abandoned.
        """
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[self._descriptor.send(rest) :]
                except BlockingIOError:
                    if self._asked_to_stop():
                        rest = self._end_of_line(data, rest)
                        raise self._abandoned(data, rest) from None
                    self._descriptor.wait(SLICE_S)
        except OSError as error:
            raise self._failure(error, data, rest) from None
        finally:
            self._waiting_since = None
            self.bytes_written += len(data) - len(rest)

    def check(self) -> None:
        """Raises ReaderGone when the reader of a pipe has gone, which a quiet market would never tell. Never waits."""
        if self._descriptor.reader_gone():
            raise ReaderGone

    def close(self) -> None:
        """Let go of what was opened here. The target that was given stays open."""
        self._descriptor.close()

    def _asked_to_stop(self) -> bool:
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()
        return self._abandon()

    def _end_of_line(self, data: bytes, rest: memoryview) -> memoryview:
        """Try, for a moment, to complete the line that was begun; what remains after that."""
        for _ in range(GRACE_SLICES):
            begun = _begun(data, rest)
            if not begun:
                break
            self._descriptor.wait(SLICE_S)
            try:
                rest = rest[self._descriptor.send(rest[:begun]) :]
            except BlockingIOError:
                continue
        return rest

    @staticmethod
    def _abandoned(data: bytes, rest: memoryview) -> Abandoned:
        left = data.count(b"\n", len(data) - len(rest))
        return Abandoned(left, torn=_begun(data, rest) > 0)

    def _failure(self, error: OSError, data: bytes, rest: memoryview) -> Exception:
        if error.errno in _READER_GONE:
            return ReaderGone()
        torn = _torn(data, rest)
        cut = torn and self._cut_back(torn)
        what, todo = _CAUSES.get(error.errno or 0, (error.strerror or str(error), "Write somewhere else."))
        whole = "The last line in it is incomplete. " if torn and not cut else ""
        return OutputError(f"cannot write to standard output: {what}", hint=whole + todo)

    def _cut_back(self, torn: int) -> bool:
        """Take an incomplete last line out of a regular file, if we are at its end: half a record helps nobody."""
        try:
            status = os.fstat(self.fd)
            end = os.lseek(self.fd, 0, os.SEEK_CUR)
            if not stat.S_ISREG(status.st_mode) or status.st_size != end:
                return False
            os.ftruncate(self.fd, end - torn)
            os.lseek(self.fd, end - torn, os.SEEK_SET)
        except OSError:
            return False
        return True


def _torn(data: bytes, rest: memoryview) -> int:
    """How many bytes of an incomplete line have been written."""
    done = len(data) - len(rest)
    return done - (data.rfind(b"\n", 0, done) + 1)


def _begun(data: bytes, rest: memoryview) -> int:
    """How many bytes are missing to complete the line that was begun; 0 when none was."""
    if not _torn(data, rest):
        return 0
    done = len(data) - len(rest)
    end = data.find(b"\n", done) + 1
    return (end or len(data)) - done
