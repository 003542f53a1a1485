"""Files read back: events in chunks, from files that tickstream wrote and from others, with flat memory.

What cannot be used is reported with file and line, and stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from tickstream.capture.chunks import CHUNK_BYTES, LONGEST_LINE, QUOTED_BYTES, BadLine, Chunk
from tickstream.capture.compression import CODECS, Codec, Damaged
from tickstream.capture.finding import Found, Many, find, recorded_provider
from tickstream.capture.foreign import ForeignColumns
from tickstream.capture.formats import Format, LineDecoder, open_lines
from tickstream.capture.lines import Stretch, count, stretches
from tickstream.capture.raw_lines import RawLines
from tickstream.errors import InputError, TickstreamError, UsageError
from tickstream.events import MarketEvent
from tickstream.sinks.encoders import TimeFormat
from tickstream.timestamps import Timestamp

__all__ = ["BadLine", "Chunk", "ForeignColumns", "ReadOptions", "Source", "sources"]

PEEK_BYTES = 2**14
PEEKS = 8
"""So much, and so often, is read of a file whose first events are looked for."""
_BOM = b"\xef\xbb\xbf"
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PARQUET = b"PAR1"


class ReadOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about the files."""

    stdin: BinaryIO | None = None
    """What `-` stands for."""
    provider: str | None = None
    """Whose messages raw lines are; otherwise the path says it, as in `{provider}/raw/...`."""
    foreign: ForeignColumns = ForeignColumns()
    """What the columns of files are that tickstream did not write."""


class Source:
    """A file, or standard input: read from its beginning each time `chunks` is called (standard input once)."""

    def __init__(self, found: Found, options: ReadOptions) -> None:
        self.name = found.name
        """As the user would write it; `-` for standard input."""
        self.path = found.path
        """None for standard input."""
        self.part = found.part
        """It is still being written, or was when its run died."""
        self.format: Format | None = None
        """Known once reading has begun; None for an empty file."""
        self.time: TimeFormat | None = None
        """How its moments are written; None where that is none of our ways. Known once reading has begun."""
        self.relative = found.relative
        """The path below the folder that was named; the name for a file that was."""
        self.consumed = 0
        """Bytes of the file, as it lies on the disk, that have been read so far."""
        self._options = options

    def __repr__(self) -> str:
        return f"Source({self.name})"

    def chunks(self) -> Iterator[Chunk]:
        """The file from its beginning to its end; damage to it ends the file, not the program, and is reported.

        Raises InputError when it cannot be read, UsageError when nothing says what it is, ConfigError when what it is
        compressed with, or Parquet, is not installed.
        """
        return self._chunks(CHUNK_BYTES)

    def first_events(self) -> list[MarketEvent]:
        """The first market events, as many as a look at the beginning shows; none where that shows none.

        Not of standard input. An error is no matter here: it is raised, with its reason, when the file is read.
        """
        try:
            for chunk in islice(self._chunks(PEEK_BYTES), PEEKS):
                market = [event for event in chunk.events if isinstance(event, MarketEvent)]
                if market:
                    return market
        except TickstreamError:
            pass
        return []

    def first_time(self) -> Timestamp | None:
        """The time of the first market event, of its receipt where the provider gave none; None where nothing says it.

        Reads the beginning only. Not of standard input.
        """
        return next((one.ts_recv if one.ts_event is None else one.ts_event for one in self.first_events()), None)

    def _chunks(self, size: int) -> Iterator[Chunk]:
        try:
            if self.path is None:
                yield from self._read(self._options.stdin, size)
            else:
                with self.path.open("rb") as file:
                    yield from self._read(file, size)
        except OSError as error:
            raise InputError(f"Cannot read {self.name}: {error.strerror or error}.") from error

    def _read(self, file: BinaryIO | None, size: int) -> Iterator[Chunk]:
        self.consumed = 0
        head = file.read(size) if file is not None else b""
        if file is None or not head:
            return iter(())
        if head.startswith(_PARQUET):
            return self._rows(file)
        codec = next((CODECS[name] for magic, name in _MAGIC.items() if head.startswith(magic)), CODECS["none"])
        return self._lines(_Begun(head, file, size, self), codec, size)

    def _lines(self, file: _Begun, codec: Codec, size: int) -> Iterator[Chunk]:
        codec.require()
        damage: list[Damaged] = []
        all_of_them = stretches(_until_damaged(codec, file, damage), size)
        first = next(all_of_them, None)
        line = 1
        torn = False
        if first is not None:
            first = first._replace(data=first.data.removeprefix(_BOM))
            opened = open_lines(self.name, first, self._options.foreign, self._options.provider, self._recorded)
            self.format, self.time = opened.format, opened.time
            for stretch in chain((first,), all_of_them):
                chunk = self._chunk(opened.decoder, stretch)
                line, torn = stretch.first + chunk.lines, chunk.torn is not None
                yield chunk
            events, bad = opened.decoder.finish()
            if events or bad:
                yield Chunk(self.name, events, 0, 0, None, bad)
        if damage:
            what = BadLine(self.name, line, f"the file {damage[0]}")
            if not damage[0].torn:
                yield Chunk(self.name, [], 0, 0, None, [what])
            elif not torn:
                yield Chunk(self.name, [], 0, 0, what)

    def _recorded(self) -> str | None:
        return None if self.path is None else recorded_provider(self.path)

    def _chunk(self, decoder: LineDecoder, stretch: Stretch) -> Chunk:
        size = len(stretch.data)
        if stretch.overlong:
            reason = f"longer than {LONGEST_LINE >> 20} MiB; left out"
            line = BadLine(self.name, stretch.first, reason, stretch.data[:QUOTED_BYTES])
            return Chunk(self.name, [], 1, size, bad=[line])
        events, bad = decoder.decode(stretch)
        torn = bad.pop() if bad and not stretch.ended else None
        payloads = decoder.take_payloads() if isinstance(decoder, RawLines) else []
        return Chunk(self.name, events, count(stretch.data), size, torn, bad, payloads)

    def _rows(self, file: BinaryIO) -> Iterator[Chunk]:
        if not file.seekable():
            raise UsageError("Parquet cannot be read from a pipe: its end has to be read first.", hint="Name the file.")
        from tickstream.capture.parquet import opened

        parquet = opened(self.name, file, self._options.foreign)
        self.format, self.time = "parquet", parquet.time
        size, rows = file.seek(0, os.SEEK_END), 0
        for chunk in parquet.chunks():
            rows += chunk.lines
            self.consumed = size * rows // parquet.rows
            yield chunk


class _Begun:
    """A file of which the beginning has been read. `most`: no more bytes are read at a time."""

    def __init__(self, head: bytes, file: BinaryIO, most: int, source: Source) -> None:
        self._source = source
        self._head = head
        self._file = file
        self._most = most

    def read(self, size: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:size], self._head[size:]
        else:
            data = self._file.read(min(size, self._most))
        self._source.consumed += len(data)
        return data


def _until_damaged(codec: Codec, file: _Begun, damage: list[Damaged]) -> Iterator[bytes]:
    try:
        yield from codec.blocks(file)
    except Damaged as found:
        damage.append(found)


def sources(paths: Iterable[Path | str], options: ReadOptions | None = None) -> list[Source]:
    """The files that these paths stand for, in the order given.

    A path is a file, a folder (all files of data in and below it, also those that are still being written), a pattern
    with `*`, `?` or `[`, or `-`. Files of a folder or a pattern come in the order of their first events. Raises
    UsageError for a path that stands for nothing, InputError for a folder that cannot be read.
    """
    options = options or ReadOptions()
    found: list[Source] = []
    for path in paths:
        files = find(str(path))
        several = [Source(one, options) for one in files]
        if isinstance(files, Many) and len(files) > 1:
            several = [several[place] for place in _in_time(files, several)]
        found += several
    return found


def _in_time(files: list[Found], several: list[Source]) -> list[int]:
    """The places of these files in the order of their first events; what holds none comes last, by its name."""
    firsts = [one.first or source.first_time() for one, source in zip(files, several, strict=True)]
    return sorted(range(len(files)), key=lambda place: (firsts[place] is None, firsts[place] or 0, place))
