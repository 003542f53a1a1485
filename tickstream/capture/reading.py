"""Files read back: events in chunks, from files that tickstream wrote and from others, with flat memory.

What cannot be used is reported with file and line, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from tickstream.capture.chunks import CHUNK_BYTES, LONGEST_LINE, QUOTED_BYTES, BadLine, Chunk
from tickstream.capture.finding import Found, find
from tickstream.capture.json_lines import JsonLines
from tickstream.capture.lines import Stretch, count, stretches
from tickstream.errors import InputError
from tickstream.events import Event

__all__ = ["BadLine", "Chunk", "ReadOptions", "Source", "sources"]


class LineDecoder(Protocol):
    """What makes events of the lines of one file."""

    def decode(self, stretch: Stretch) -> tuple[list[Event], list[BadLine]]:
        """The events, and the lines that are none."""
        ...


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about the files."""

    stdin: BinaryIO | None = None
    """What `-` stands for."""
    provider: str | None = None
    """Whose messages raw lines are, where nothing else says it."""


class Source:
    """A file, or standard input: read from its beginning each time `chunks` is called (standard input once)."""

    def __init__(self, found: Found, options: ReadOptions) -> None:
        self.name = found.name
        """As the user would write it; `-` for standard input."""
        self.path = found.path
        """None for standard input."""
        self.part = found.part
        """It is still being written, or was when its run died."""
        self._options = options

    def __repr__(self) -> str:
        return f"Source({self.name})"

    def chunks(self) -> Iterator[Chunk]:
        """The file from its beginning to its end. Raises InputError when it cannot be read."""
        decoder: LineDecoder = JsonLines(self.name)
        for stretch in stretches(self._blocks()):
            yield self._chunk(decoder, stretch)

    def _chunk(self, decoder: LineDecoder, stretch: Stretch) -> Chunk:
        size = len(stretch.data)
        if stretch.overlong:
            reason = f"longer than {LONGEST_LINE >> 20} MiB; left out"
            line = BadLine(self.name, stretch.first, reason, stretch.data[:QUOTED_BYTES])
            return Chunk(self.name, [], 1, size, bad=[line])
        events, bad = decoder.decode(stretch)
        torn = bad.pop() if bad and not stretch.ended else None
        return Chunk(self.name, events, count(stretch.data), size, torn, bad)

    def _blocks(self) -> Iterator[bytes]:
        try:
            if self.path is None:
                yield from _blocks_of(self._options.stdin)
            else:
                with self.path.open("rb") as file:
                    yield from _blocks_of(file)
        except OSError as error:
            raise InputError(f"Cannot read {self.name}: {error.strerror or error}.") from error


def _blocks_of(file: BinaryIO | None) -> Iterator[bytes]:
    while file is not None and (block := file.read(CHUNK_BYTES)):
        yield block


def sources(paths: Iterable[Path | str], options: ReadOptions | None = None) -> list[Source]:
    """The files that these paths stand for, in the order given; of a folder, in time order for each symbol.

    A path is a file, a folder (what its manifest lists, and files that are still being written), a pattern with `*`,
    `?` or `[`, or `-`. Raises UsageError for a path that does not exist.
    """
    options = options or ReadOptions()
    return [Source(one, options) for path in paths for one in find(str(path))]
