"""One file while it is being written: what was appended, what is on the disk for good, and what is only hoped to be.

Bytes stay in memory until they have been synced: after a sync that failed nobody knows what the disk holds, and they
are written again, elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from tickstream.capture import disk, failpoints
from tickstream.capture.codec import BLOCK, Codec
from tickstream.capture.manifest import PartOpened, Tally


class Unit(NamedTuple):
    """Whole lines that are written and counted together."""

    data: bytes
    tally: Tally


class Place(Enum):
    """What became of a file that somebody else may have touched."""

    HERE = "here"
    MOVED = "moved"
    DELETED = "deleted"
    CHANGED = "changed"
    """Truncated, or written to."""


class PartFile:
    """A part under `base`. One thread uses it; whatever touches the disk raises OSError.

    `prior`: bytes it had already, from a run before; they are neither hashed nor counted until `catch_up` and
    `survey.count` have. `header`: what an empty file begins with.
    """

    def __init__(self, base: Path, entry: PartOpened, codec: Codec, prior: int = 0, header: bytes = b"") -> None:
        self.entry = entry
        self.path = base / entry.part
        self.codec = codec
        self.prior = prior
        self._header = [Unit(codec.member(header), Tally())] if header else []
        self.counted = not prior
        """`tally` covers what was there before."""
        self.tally = Tally()
        """Of what is synced."""
        self.hashed = 0
        """How many bytes from the beginning `sha` covers: mostly all that is written, while it is in the cache."""
        self.sha = hashlib.sha256()
        self.size = self.synced = prior
        self.pending: list[Unit] = []
        """Compressed, they found no room."""
        self.pending_bytes = 0
        self.unsynced: list[Unit] = []
        """As they stand in the file behind `synced`."""
        self.last_write_ns: int = entry.ts
        """Wall clock."""
        self._named = prior > 0
        """Its name is on the disk for good."""
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def held(self) -> int:
        """Bytes that are in memory because they are not safe on the disk."""
        return self.size - self.synced + self.pending_bytes

    def append(self, units: list[Unit], now_ns: int) -> None:
        """Take units, in order. Raises ShortWrite, then `units` holds only those that were not taken."""
        self.last_write_ns = now_ns
        if not self.codec.suffix:
            self._write(units)
            return
        self.pending += units
        self.pending_bytes += sum(len(unit.data) for unit in units)
        units.clear()
        self.flush()  # a member each time: what waits in memory is lost with a process that is killed

    def flush(self) -> None:
        """Compress and write what waits. Raises ShortWrite, and it waits on."""
        if self.pending:
            tally = Tally()
            for unit in self.pending:
                tally.add(unit.tally)
            member = self.codec.member(b"".join([unit.data for unit in self.pending]))
            self._write([Unit(member, tally)])
            self.pending, self.pending_bytes = [], 0

    def sync(self) -> None:
        """Have all that was appended on the disk when this returns. After an OSError that is in doubt."""
        self.flush()
        if self.size == self.synced:
            return
        failpoints.reached("after_write_before_fsync")
        disk.sync_file(self._open())
        if not self._named:
            disk.sync_folder(self.path.parent)
            self._named = True
        for unit in self.unsynced:
            if self.hashed == self.synced:  # it has just caught up
                self._hash(unit)
            self.synced += len(unit.data)
            self.tally.add(unit.tally)
        self.unsynced.clear()
        failpoints.reached("after_fsync")

    def move_unsafe_to(self, other: PartFile) -> None:
        """Write all that is not safe here into another part of the same kind. Raises ShortWrite, to be called again."""
        other._write(self.unsynced)
        other.take_pending(self)

    def take_pending(self, other: PartFile) -> None:
        """Take over what waits there to be compressed; it is older than what waits here."""
        self.pending, other.pending = other.pending + self.pending, []
        self.pending_bytes, other.pending_bytes = other.pending_bytes + self.pending_bytes, 0

    def cut_back(self) -> None:
        """Let the file end with what is safe; what is not stays in memory only."""
        self._close()
        os.truncate(self.path, self.synced)
        self.size = self.synced
        if self.hashed > self.size:
            self.sha, self.hashed = hashlib.sha256(), 0

    def place(self) -> Place:
        """Where the file is now."""
        if self._identity is None and not self.prior:
            return Place.HERE  # it has not been made
        try:
            status = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            status = None
        if status is not None and self._identity in (None, (status.st_dev, status.st_ino)):
            return Place.HERE if status.st_size == self.size else Place.CHANGED
        if self._fd is not None and os.fstat(self._fd).st_nlink > 0:
            return Place.MOVED
        return Place.DELETED if self._fd is not None or status is None else Place.MOVED

    def rest(self) -> None:
        """Let go of the descriptor; the next append opens the file again."""
        self._close()

    def catch_up(self) -> Iterator[None]:
        """Hash what was synced and is not hashed yet, block by block."""
        with os.fdopen(disk.open_read(self.path), "rb") as file:
            while self.hashed < self.synced:
                file.seek(self.hashed)
                block = file.read(min(BLOCK, self.synced - self.hashed))
                if not block:
                    raise OSError(f"{self.path} is shorter than what was written to it")
                self.sha.update(block)
                self.hashed += len(block)
                yield

    def _write(self, units: list[Unit]) -> None:
        fd = self._open()
        header = [] if self.size else self._header
        pieces = header + units
        try:
            disk.write_all(fd, [unit.data for unit in pieces])
        except disk.ShortWrite as error:
            whole = _whole_units(pieces, error.done)
            if whole <= len(header):  # a header alone is no file
                whole = 0
            os.ftruncate(fd, self.size + sum(len(unit.data) for unit in pieces[:whole]))
            self._written(pieces[:whole])
            del units[: max(0, whole - len(header))]
            raise
        self._written(pieces)
        units.clear()

    def _written(self, units: list[Unit]) -> None:
        self.unsynced += units
        for unit in units:
            if self.hashed == self.size:
                self._hash(unit)
            self.size += len(unit.data)

    def _hash(self, unit: Unit) -> None:
        self.sha.update(unit.data)
        self.hashed += len(unit.data)

    def _open(self) -> int:
        if self._fd is None:
            known = self._identity is not None or self.prior > 0
            fd = disk.open_existing(self.path) if known else disk.open_append(self.path, new=True)
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if self._identity not in (None, identity) or status.st_size != self.size:
                os.close(fd)
                raise FileNotFoundError(2, "it was replaced by another file", str(self.path))
            self._fd, self._identity = fd, identity
        return self._fd

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _whole_units(units: list[Unit], done: int) -> int:
    """How many of them fit into the `done` bytes that were written."""
    for count, unit in enumerate(units):
        done -= len(unit.data)
        if done < 0:
            return count
    return len(units)
