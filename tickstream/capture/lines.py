"""Blocks of bytes as stretches of whole lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tickstream.capture.chunks import CHUNK_BYTES, LONGEST_LINE


class Stretch(NamedTuple):
    """Whole lines; `first` is the number of the first one, from 1.

    Without `ended` it is one line without its end: the last of the file. `overlong`: `data` is only the beginning of
    one line that is longer than any of ours.
    """

    data: bytes
    first: int
    ended: bool = True
    overlong: bool = False


def stretches(blocks: Iterable[bytes], size: int = CHUNK_BYTES, longest: int = LONGEST_LINE) -> Iterator[Stretch]:
    """Lines of about `size` bytes together, whatever the sizes of the blocks. Holds `size` + `longest` at the most."""
    pending: list[bytes] = []
    held, number, skipping = 0, 1, False
    for piece in _pieces(blocks, size):
        block = piece
        if skipping:
            end = block.find(b"\n") + 1
            if not end:
                continue
            skipping, block = False, block[end:]
        pending.append(block)
        held += len(block)
        if held < size:
            continue
        data = b"".join(pending)
        end = data.rfind(b"\n") + 1
        if end:
            yield Stretch(data[:end], number)
            number += data.count(b"\n", 0, end)
            data = data[end:]
        if len(data) > longest:
            yield Stretch(data, number, overlong=True)
            number, skipping, data = number + 1, True, b""
        pending, held = [data], len(data)
    data = b"".join(pending)
    end = data.rfind(b"\n") + 1
    if end:
        yield Stretch(data[:end], number)
    if end < len(data):
        yield Stretch(data[end:], number + data.count(b"\n"), ended=False)


def _pieces(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        if len(block) <= size:
            yield block
        else:
            yield from (block[start : start + size] for start in range(0, len(block), size))


def numbered(stretch: Stretch) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, without their ends, and their numbers."""
    for number, line in enumerate(stretch.data.split(b"\n"), stretch.first):
        if line and not line.isspace():
            yield number, line


def count(data: bytes) -> int:
    """How many lines there are, the last one too if it has no end."""
    return data.count(b"\n") + (not data.endswith(b"\n"))
