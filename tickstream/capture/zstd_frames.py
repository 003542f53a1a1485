"""zstd (RFC 8878) in frames with checksums, whose ends are found from block to block without decoding them.

Python has it from 3.14 on; below, backports.zstd from the extra `zstd` is the same code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from tickstream.capture.codec import BLOCK, SALVAGED_MOST, Codec, Damaged, Member, Reader, whole_lines
from tickstream.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType

LEVEL = 3
"""zstd's own default."""

_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte 0x50 to 0x5f
_SINGLE_SEGMENT, _CHECKSUM = 0x20, 0x04
_RLE, _RESERVED = 1, 3


class Zstd(Codec):
    """Read by `zstdcat`, `zstd -t` and everything that knows zstd."""

    name = "zstd"
    suffix = ".zst"

    def __init__(self) -> None:
        self._module: ModuleType | None = None

    def require(self) -> None:
        """Raises ConfigError when neither Python nor the extra has zstd."""
        self._zstd()

    def member(self, data: bytes) -> bytes:
        zstd = self._zstd()
        options = {zstd.CompressionParameter.compression_level: LEVEL, zstd.CompressionParameter.checksum_flag: 1}
        compressed: bytes = zstd.compress(data, options=options)
        return compressed

    def blocks(self, file: Reader) -> Iterator[bytes]:
        zstd = self._zstd()
        decoder: Any = None
        data, read = b"", 0
        while data or (data := file.read(BLOCK)):
            read += len(data)
            decoder = decoder or zstd.ZstdDecompressor()
            try:
                yield from _decoded(decoder, data)
            except zstd.ZstdError as error:
                raise Damaged(read - len(data), not data.strip(b"\0"), str(error)) from None
            data = decoder.unused_data if decoder.eof else b""
            read -= len(data)
            decoder = None if decoder.eof else decoder
        if decoder is not None:
            raise Damaged(read, torn=True, what="the last zstd frame is not whole")

    def members(self, file: BinaryIO, start: int = 0) -> Iterator[Member]:
        size = file.seek(0, os.SEEK_END)
        while start < size:
            end = _frame_end(file, start)
            if not start < end <= size:
                return
            yield Member(start, end)
            start = end

    def salvage(self, torn: bytes) -> bytes:
        """zstd gives its blocks of up to 128 KiB whole or not at all."""
        zstd = self._zstd()
        try:
            blocks = islice(_decoded(zstd.ZstdDecompressor(), torn), SALVAGED_MOST // BLOCK)
            return whole_lines(b"".join(blocks))
        except zstd.ZstdError:
            return b""

    def _zstd(self) -> ModuleType:
        if self._module is None:
            try:
                self._module = _load()
            except ImportError:
                raise ConfigError(
                    "zstd is not installed", hint="Run: pip install 'tickstream[zstd]', or use gzip."
                ) from None
        return self._module


def _load() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _decoded(decoder: Any, data: bytes) -> Iterator[bytes]:
    """What comes out of the decoder for these bytes, in bounded blocks."""
    block = decoder.decompress(data, BLOCK)
    while block:
        yield block
        if decoder.eof or decoder.needs_input:
            return
        block = decoder.decompress(b"", BLOCK)


def _frame_end(file: BinaryIO, start: int) -> int:
    """Where the frame at `start` ends by its structure, beyond the end of the file if it is torn; 0: no frame."""
    file.seek(start)
    head = file.read(18)
    if head[1:4] == _SKIPPABLE and 0x50 <= head[0] <= 0x5F and len(head) >= 8:
        return start + 8 + int.from_bytes(head[4:8], "little")
    if not head.startswith(_MAGIC) or len(head) < 5:
        return 0
    flags = head[4]
    single = bool(flags & _SINGLE_SEGMENT)
    size_bytes = (1 if single else 0, 2, 4, 8)[flags >> 6]
    at = start + 5 + (not single) + (0, 1, 2, 4)[flags & 3] + size_bytes
    while True:
        file.seek(at)
        block = file.read(3)
        if len(block) < 3:
            return 0
        described = int.from_bytes(block, "little")
        kind, length = described >> 1 & 3, described >> 3
        if kind == _RESERVED:
            return 0
        at += 3 + (1 if kind == _RLE else length)
        if described & 1:
            return at + (4 if flags & _CHECKSUM else 0)
