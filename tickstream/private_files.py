"""Files that may hold a key: read only when nobody else can, replaced in one step, created for their owner alone.

On Windows the mode bits say nothing about who can read; there the folder of the user's profile is what protects.
Tested on Linux only.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from tickstream.errors import ConfigError

POSIX = os.name != "nt"

FILE_MODE = 0o600
FOLDER_MODE = 0o700


class PrivateFile(NamedTuple):
    """What was read, and who else could have read or written it."""

    path: Path
    data: bytes
    foreign: bool
    """It belongs to another user."""
    mode: int
    """Permission bits; 0o600 where the platform has none."""

    def require_private(self, what: str) -> None:
        """Raises ConfigError when others can read it; `what` names it in the message."""
        self._require(what, 0o077, "can be read by others", f"Run: chmod 600 {self.path}")

    def require_trusted(self, what: str) -> None:
        """Raises ConfigError when others can write to it; `what` names it in the message."""
        self._require(what, 0o022, "can be written by others", f"Run: chmod go-w {self.path}")

    def _require(self, what: str, forbidden: int, exposed: str, cure: str) -> None:
        if self.foreign:
            raise ConfigError(
                f"{what} belongs to somebody else: it is not used",
                hint=f"Make a copy of your own; a key can also be handed over with --key-stdin < {self.path}.",
            )
        if self.mode & forbidden:
            raise ConfigError(f"{what} {exposed}: it is not used", hint=cure)


def read(path: Path, limit: int) -> PrivateFile:
    """The file's bytes. Raises OSError as `open` does, ConfigError when it is longer than `limit` bytes."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigError(f"{path} is longer than {limit:,} bytes: that is not what it should be")
    if not POSIX:
        return PrivateFile(path, data, foreign=False, mode=FILE_MODE)
    return PrivateFile(path, data, status.st_uid != os.geteuid(), stat.S_IMODE(status.st_mode))


def create_folder(path: Path) -> None:
    """Make the folder and what is missing above it, for the owner alone whatever the umask. Raises OSError."""
    for folder in (*reversed(path.parents), path):
        try:
            folder.mkdir(FOLDER_MODE, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def create(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, and its folder. Raises OSError: FileExistsError if it is there."""
    create_folder(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), FILE_MODE)
    try:
        _write(descriptor, text)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, text: str) -> None:
    """Put a new file, that only its owner can read, in the place of another: a crash leaves the old or the new, whole.

    A symbolic link stays one: what it points to is replaced. Raises OSError, and nothing is changed then.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    try:
        create(temporary, text)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _write(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if not POSIX:  # a folder cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
