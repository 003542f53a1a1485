"""What a compression is to a capture: members that stand alone, so that a crash costs the last one at most.

Every member (a gzip member, a zstd frame) holds whole lines. Any tool reads the file as one stream (`zcat`, `zstdcat`);
whoever repairs it, or looks at its end, walks from member to member.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from tickstream.capture import disk

BLOCK = 1 << 20
"""Bytes: the most that is read, or comes out of a decoder, at a time."""
UNSYNCED_MOST = 16 << 20
"""Bytes that may be written and not synced, but for those of one take: what a power cut can turn into zeros. With half
as much the syncs of twenty files cost the writer a tenth more."""
SALVAGED_MOST = 64 << 20
"""Bytes that are decoded of a torn member at the most; ours hold about one."""
CHECKED = 2 * UNSYNCED_MOST
"""Bytes at the end of a file that are looked at closely when it is repaired."""


class Damaged(Exception):
    """A file cannot be decoded to its end. What stands before has been.

    `torn`: it just ends too early. Otherwise it is not what it should be, from about byte `offset` on.
    """

    def __init__(self, offset: int, torn: bool, what: str) -> None:
        super().__init__(f"{'ends too early' if torn else 'damaged'} near byte {offset:,}: {what}")
        self.offset = offset
        self.torn = torn


class Member(NamedTuple):
    """Where one lies in the file: bytes [start, end)."""

    start: int
    end: int


class Reader(Protocol):
    """The part of a binary file that decoding needs."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""
        ...


class Window:
    """A stretch of a file, as a Reader."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file = file
        self._at = start
        self._end = end

    def read(self, size: int, /) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(max(0, min(size, self._end - self._at)))
        self._at += len(data)
        return data


class Codec(ABC):
    """One way of compression. Whatever reads may raise OSError."""

    name: str
    suffix: str

    def require(self) -> None:  # noqa: B027 - what is built in requires nothing
        """Raises ConfigError when what it needs is not installed."""

    @abstractmethod
    def member(self, data: bytes) -> bytes:
        """The data, compressed on its own."""

    @abstractmethod
    def blocks(self, file: Reader) -> Iterator[bytes]:
        """The data of a file from where it stands, 1 MiB at the most at a time, however well it was compressed.

        Raises Damaged where it ends too early or is no such file, after all that could be decoded.
        """

    @abstractmethod
    def members(self, file: BinaryIO, start: int = 0) -> Iterator[Member]:
        """Its members from byte `start` on, where one begins, told by their structure; ends before one that is torn."""

    @abstractmethod
    def salvage(self, torn: bytes) -> bytes:
        """The whole lines that can still be decoded from a member that is not whole."""

    def whole(self, path: Path) -> int:
        """Where the last whole member ends, all before it being whole too."""
        with os.fdopen(disk.open_read(path), "rb") as file:
            return self.whole_of(file)

    def whole_of(self, file: BinaryIO) -> int:
        """The same of an open file."""
        checked = file.seek(0, os.SEEK_END) - CHECKED
        end = 0
        for member in self.members(file):
            if member.end > checked and not self._is_sound(file, member):
                break
            end = member.end
        return end

    def _is_sound(self, file: BinaryIO, member: Member) -> bool:
        try:
            for _ in self.blocks(Window(file, *member)):
                pass
        except Damaged:
            return False
        return True


class Plain(Codec):
    """No compression: every line is its own member."""

    name = "none"
    suffix = ""

    def member(self, data: bytes) -> bytes:
        return data

    def blocks(self, file: Reader) -> Iterator[bytes]:
        while block := file.read(BLOCK):
            yield block

    def members(self, file: BinaryIO, start: int = 0) -> Iterator[Member]:
        """Stretches of whole lines of about 1 MiB, more where a line is longer."""
        while True:
            file.seek(start)
            size = 0
            while block := file.read(BLOCK):
                size += len(block)
                if b"\n" in block:
                    break
            if not block:
                return
            end = start + size - len(block) + block.rfind(b"\n") + 1
            yield Member(start, end)
            start = end

    def whole_of(self, file: BinaryIO) -> int:
        """After the last line feed, and before any zeros, which a power cut leaves of what was not synced."""
        end = _first_zero(file)
        while end:
            start = max(0, end - BLOCK)
            file.seek(start)
            block = file.read(end - start)
            if b"\n" in block:
                return start + block.rfind(b"\n") + 1
            end = start
        return 0

    def salvage(self, torn: bytes) -> bytes:  # noqa: ARG002 - a line without its end is never whole
        return b""


def _first_zero(file: BinaryIO) -> int:
    """Where the first zero byte is, of the last bytes that could be zeros; the end where there is none."""
    size = file.seek(0, os.SEEK_END)
    at = max(0, size - CHECKED)
    file.seek(at)
    while block := file.read(BLOCK):
        zero = block.find(b"\0")
        if zero >= 0:
            return at + zero
        at += len(block)
    return size


def whole_lines(data: bytes) -> bytes:
    """All up to the last line feed."""
    return data[: data.rfind(b"\n") + 1]
