"""gzip (RFC 1952) in members that carry their own length, so that their end is found without inflating them.

The length stands in an extra field of the header (RFC 1952, 2.3.1.1), as in BGZF, which every gzip tool skips.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from tickstream.capture.codec import BLOCK, SALVAGED_MOST, Codec, Damaged, Member, Reader, Window, whole_lines

LEVEL = 1
"""The fastest: lines of numbers gain little from more."""

_GZIP = 31  # zlib's wbits for a gzip header and trailer around the deflate stream
_RAW = -15
_START = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H2sH", 8, b"ts", 4)
"""ID, deflate, FEXTRA; no time, so that equal data gives equal files; system unknown; 8 bytes extra: `ts`, 4 bytes."""
_LENGTH = struct.Struct("<I")
_TRAILER = struct.Struct("<II")
_HEADER = len(_START) + _LENGTH.size


class Gzip(Codec):
    """Read by `zcat`, `gzip -t` and everything that knows gzip."""

    name = "gzip"
    suffix = ".gz"

    def member(self, data: bytes) -> bytes:
        deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, _RAW)
        body = deflate.compress(data) + deflate.flush()
        trailer = _TRAILER.pack(zlib.crc32(data), len(data) & 0xFFFFFFFF)
        return b"".join((_START, _LENGTH.pack(_HEADER + len(body) + len(trailer)), body, trailer))

    def blocks(self, file: Reader) -> Iterator[bytes]:
        inflate = None
        data, read = b"", 0
        while data or (data := file.read(BLOCK)):
            read += len(data)
            inflate = inflate or zlib.decompressobj(_GZIP)
            try:
                block = inflate.decompress(data, BLOCK)
            except zlib.error as error:
                raise Damaged(read - len(data), not data.strip(b"\0"), str(error)) from None
            if block:
                yield block
            data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            read -= len(data)
            inflate = None if inflate.eof else inflate
        if inflate is not None:
            if rest := inflate.flush():
                yield rest
            raise Damaged(read, torn=True, what="the last gzip member is not whole")

    def members(self, file: BinaryIO, start: int = 0) -> Iterator[Member]:
        size = file.seek(0, os.SEEK_END)
        while start < size:
            file.seek(start)
            header = file.read(_HEADER)
            if header.startswith(_START) and len(header) == _HEADER:
                end = start + _LENGTH.unpack_from(header, len(_START))[0]
            else:
                end = _inflated_end(Window(file, start, size), start)
            if not start + _HEADER <= end <= size:
                return
            yield Member(start, end)
            start = end

    def salvage(self, torn: bytes) -> bytes:
        try:
            return whole_lines(zlib.decompressobj(_GZIP).decompress(torn, SALVAGED_MOST))
        except zlib.error:
            return b""


def _inflated_end(file: Reader, start: int) -> int:
    """Where a member of another tool ends; 0 when it does not."""
    inflate = zlib.decompressobj(_GZIP)
    data = b""
    try:
        while data or (data := file.read(BLOCK)):
            start += len(data)
            inflate.decompress(data, BLOCK)
            data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            start -= len(data)
            if inflate.eof:
                return start
    except zlib.error:
        pass
    return 0
