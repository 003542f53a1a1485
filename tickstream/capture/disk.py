"""What makes files durable: opening that follows no link, syncing of files and folders, publishing without overwriting.

What depends on the platform stands here: Windows cannot sync a folder, has no `writev`, and its rename never
overwrites; macOS needs F_FULLFSYNC for what fsync does elsewhere. Tested on Linux only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tickstream.capture import failpoints
from tickstream.errors import OutputError

POSIX = os.name != "nt"
FILE_MODE = 0o644
"""Market data is no secret, but nobody else may write to it, whatever the umask."""
FOLDER_MODE = 0o755
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""There is no room now; it may come back."""

_IOV_MAX = 1024
_NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL})
"""What a file system without hard links answers (FAT, some network shares)."""
_COMPRESSED = (".gz", ".zst")
_MOST_NUMBERS = 100_000
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "Free some space, or capture to another disk."),
    errno.EDQUOT: ("your disk quota is used up", "Free some space, or capture to another disk."),
    errno.EFBIG: ("the file has reached the largest size allowed", "See `ulimit -f`, or use --rotate with a size."),
    errno.EIO: ("the device failed", "The disk may be failing: see the system's log, and capture to another one."),
    errno.EROFS: ("the file system is read-only", "Capture to another one, or see the system's log for why."),
    errno.EACCES: ("permission denied", "Give this user the right to write there, or capture to another folder."),
    errno.EPERM: ("not permitted", "Give this user the right to write there, or capture to another folder."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Name another folder with --to."),
    errno.EISDIR: ("there is a folder of that name", "Name another folder with --to."),
    errno.ELOOP: ("a symbolic link stands in its place", "Remove the link, or name another folder with --to."),
    errno.ENAMETOOLONG: ("the name is too long", "Use a shorter template with --to."),
    errno.EMFILE: ("too many open files", "Raise `ulimit -n`."),
    errno.ENOENT: ("the folder is gone", "Do not move or delete a folder that is being captured to."),
}


class ShortWrite(OSError):
    """Only the first `done` bytes were written; `errno` says why."""

    def __init__(self, cause: OSError, done: int) -> None:
        super().__init__(cause.errno, cause.strerror or str(cause), cause.filename)
        self.done = done


class Space(NamedTuple):
    """A file system, in bytes."""

    free: int
    """What this user may still write."""
    total: int


def failure(error: OSError, path: Path | str, doing: str = "write") -> OutputError:
    """The OutputError that says what this means and what to do."""
    what, hint = _CAUSES.get(error.errno or 0, (error.strerror or str(error), "Capture to another folder."))
    return OutputError(f"cannot {doing} {path}: {what}", hint=hint)


def make_folders(folder: Path) -> None:
    """Make the folder and what is missing above it; each new one is in its parent for good. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        try:
            one.mkdir(FOLDER_MODE)
        except FileExistsError:
            if not one.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(one)) from None
        sync_folder(one.parent)


def open_append(path: Path, *, new: bool = False) -> int:
    """A descriptor that appends to the file, made if it is missing; `new`: it must be missing. Raises OSError."""
    return _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_EXCL if new else 0))


def open_existing(path: Path) -> int:
    """A descriptor that appends to a file that is there. Raises OSError."""
    return _open(path, os.O_WRONLY | os.O_APPEND)


def open_update(path: Path) -> int:
    """A descriptor for reading and writing the file, made if it is missing. Raises OSError: ELOOP for a link."""
    return _open(path, os.O_RDWR | os.O_CREAT)


def open_read(path: Path) -> int:
    """A descriptor for reading the file. Raises OSError: ELOOP for a link."""
    return _open(path, os.O_RDONLY)


def _open(path: Path, flags: int) -> int:
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    return os.open(path, flags, FILE_MODE)


def write_all(fd: int, pieces: Sequence[bytes]) -> int:
    """Write all of these, one after the other, and return how many bytes that is. Raises ShortWrite."""
    if not POSIX or len(pieces) == 1:
        return _write_rest(fd, memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces)), 0)
    done = 0
    for start in range(0, len(pieces), _IOV_MAX):
        some = pieces[start : start + _IOV_MAX]
        size = sum(map(len, some))
        try:
            count = os.writev(fd, some)
        except OSError as error:
            raise ShortWrite(error, done) from error
        done += count
        if count < size:
            done = _write_rest(fd, memoryview(b"".join(some))[count:], done)
    return done


def _write_rest(fd: int, rest: memoryview, done: int) -> int:
    while rest:
        try:
            count = os.write(fd, rest)
        except OSError as error:
            raise ShortWrite(error, done) from error
        done += count
        rest = rest[count:]
    return done


def sync_file(fd: int) -> None:
    """Have the file on the disk when this returns. Raises OSError; after EIO what was written is in doubt."""
    if sys.platform == "darwin":  # there fsync leaves it in the cache of the drive
        import fcntl

        with contextlib.suppress(OSError):  # network shares do not know it
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Have the names in the folder on the disk when this returns. Raises OSError."""
    if not POSIX:  # a folder cannot be opened there; NTFS journals names by itself
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network shares cannot
            raise
    finally:
        os.close(descriptor)


def publish(part: Path, final: Path) -> Path:
    """Give a finished part its name, never that of another file: then `-001`, `-002`... Returns the name it has now.

    The folder is synced. A crash in between leaves the part under its old name, its new one, or both (the same file
    then: `same_file`). Raises OSError.
    """
    for number in range(_MOST_NUMBERS):
        name = numbered(final, number)
        try:
            rename_new(part, name)
        except FileExistsError:
            continue
        sync_folder(name.parent)
        return name
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final))


def numbered(final: Path, number: int) -> Path:
    """The name with `-001` before its extension; the name itself for 0."""
    if not number:
        return final
    name, suffixes = final.name, ""
    for suffix in _COMPRESSED:
        if name.endswith(suffix):
            name, suffixes = name.removesuffix(suffix), suffix
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    return final.with_name(f"{stem}-{number:03d}{dot}{extension}{suffixes}")


def rename_new(part: Path, name: Path) -> None:
    """Give a file a name that no other has. Raises OSError: FileExistsError when another has it."""
    if not POSIX:
        part.rename(name)  # raises FileExistsError there
        return
    try:
        os.link(part, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(name)) from None
        part.rename(name)
    else:
        failpoints.reached("between_link_and_unlink")
        part.unlink()


def same_file(one: Path, other: Path) -> bool:
    """True when both are names of one file: what a crash in the middle of `publish` leaves."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def inside(path: Path, base: Path) -> bool:
    """True when the folder of `path`, with all links followed, is `base` or below it."""
    return Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(base))


def is_regular(path: Path) -> bool:
    """True for a file that is no link, device or folder."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def space(folder: Path) -> Space:
    """What is free on the file system of this folder. Raises OSError."""
    if not POSIX:
        import shutil

        usage = shutil.disk_usage(folder)
        return Space(usage.free, usage.total)
    status = os.statvfs(folder)
    return Space(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)


def network_file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The kind of network file system the folder is on (`nfs4`), None for a local one. Known on Linux only."""
    try:
        device = folder.stat().st_dev
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        left, _, right = line.partition(" - ")
        kind = right.split(" ", 1)[0]
        if left.split(" ")[2:3] == [wanted] and kind in _NETWORK:
            return kind
    return None
