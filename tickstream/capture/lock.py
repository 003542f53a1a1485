"""One writer for each capture folder: a lock that the kernel holds, and lets go of when the process dies in any way.

`flock` on Unix, `msvcrt.locking` on Windows (tested on Linux only). The file stays where it is; what is in it says
who holds the lock, and means nothing while nobody does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType

import msgspec

from tickstream.capture import disk
from tickstream.clock import Clock
from tickstream.errors import TargetLocked
from tickstream.timestamps import rfc3339

NAME = ".tickstream.lock"

_LONGEST = 65_536
_WINDOWS_BYTE = 2**30
"""Windows locks make bytes unreadable, so the one that is locked lies far behind what is written."""


class Holder(msgspec.Struct, frozen=True):
    """What the holder of a lock says of itself. `command` has no secrets in it."""

    pid: int
    started: str
    command: list[str] = []


class TargetLock:
    """The lock of a capture folder; a context manager. The folder is made if it is missing.

    Raises TargetLocked at once when another process holds it, OutputError when the folder cannot be written.
    """

    def __init__(self, base: Path, clock: Clock, command: list[str]) -> None:
        self.path = base / NAME
        self._clock = clock
        self._command = command
        self._fd: int | None = None

    def __enter__(self) -> TargetLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock, and say who has it."""
        try:
            disk.make_folders(self.path.parent)
            fd = self._take()
        except OSError as error:
            raise disk.failure(error, self.path.parent, "capture to") from None
        self._fd = fd
        holder = Holder(os.getpid(), rfc3339(self._clock.now_ns()), self._command)
        with contextlib.suppress(OSError):  # a full disk: the lock holds, though it cannot say who has it
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
            os.write(fd, msgspec.json.encode(holder) + b"\n")

    def release(self) -> None:
        """Let go of it. More than once does no harm."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
                _unlock(fd)  # a process that is just being started may have a copy of the descriptor for a moment
            os.close(fd)

    def ensure(self) -> None:
        """Take the lock again if its file was deleted or replaced under us. Raises as the class does."""
        if self._fd is not None and not _still_there(self._fd, self.path):
            os.close(self._fd)
            self._fd = None
            self.acquire()

    def _take(self) -> int:
        while True:
            fd = disk.open_update(self.path)
            try:
                locked = _try_lock(fd)
                if locked and _still_there(fd, self.path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            holder = None if locked else _holder(fd)
            os.close(fd)
            if not locked:
                raise _taken(self.path.parent, holder)


def is_held(base: Path) -> bool:
    """Whether a run writes to this folder now: the kernel knows, while a pid may be that of somebody else by now.

    Asked with a shared lock, for an instant. False on Windows, where only taking the lock would tell.
    """
    try:
        fd = disk.open_read(base / NAME)
    except OSError:
        return False
    try:
        return not _try_shared(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def hold(fd: int) -> bool:
    """Lock an open file until it is closed, or the process dies in any way; False when another has it.

    Raises OSError where files cannot be locked.
    """
    return _try_lock(fd)


def _still_there(fd: int, path: Path) -> bool:
    """True while the path names the file that is open."""
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def _holder(fd: int) -> Holder | None:
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        return msgspec.json.decode(os.read(fd, _LONGEST), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None  # it is just being written


def _taken(base: Path, holder: Holder | None) -> TargetLocked:
    who = f"pid {holder.pid}, since {holder.started}" if holder else "which has not said yet who it is"
    stop = f"Stop it (kill {holder.pid}), or capture" if holder else "Capture"
    return TargetLocked(f"another run writes to {base}: {who}", hint=f"{stop} to another folder with --to.")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, _WINDOWS_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, _WINDOWS_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    def _try_shared(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
