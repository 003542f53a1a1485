"""What is in a captured file, for one whose writer died before it could say so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from tickstream.capture import disk
from tickstream.capture.codec import Codec, Damaged, Window
from tickstream.capture.finding import Found
from tickstream.capture.foreign import ForeignColumns
from tickstream.capture.formats import open_lines
from tickstream.capture.lines import stretches
from tickstream.capture.manifest import Tally
from tickstream.capture.part_file import PartFile
from tickstream.capture.reading import ReadOptions, Source
from tickstream.errors import InputError, UsageError
from tickstream.events import Event

PARQUET_MAGIC = b"PAR1"


def is_parquet(path: Path) -> bool:
    """True when the file begins and ends as Parquet does, whatever it is called."""
    with os.fdopen(disk.open_read(path), "rb") as file:
        head = file.read(4)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4))
        return size > 8 and head == PARQUET_MAGIC == file.read(4)


def events_of(blocks: Iterable[bytes], name: str, provider: str | None) -> Iterator[list[Event]]:
    """The events of the lines in these uncompressed blocks, the beginning of their file first.

    Bad lines are passed over, and so is all when nothing says what it is.
    """
    pieces = stretches(blocks)
    first = next(pieces, None)
    if first is None:
        return
    try:
        decoder = open_lines(name, first, ForeignColumns(), provider).decoder
    except UsageError:
        return
    for stretch in chain((first,), pieces):
        yield decoder.decode(stretch)[0]
    yield decoder.finish()[0]


def events_in(path: Path, codec: Codec, provider: str | None, end: int | None = None) -> Iterator[list[Event]]:
    """The events of a file, of its first `end` bytes. Raises OSError, ConfigError; damage ends it."""
    if is_parquet(path):
        try:
            yield from (chunk.events for chunk in Source(Found(str(path), path), ReadOptions()).chunks())
        except InputError:
            return
    else:
        with os.fdopen(disk.open_read(path), "rb") as file:
            end = file.seek(0, os.SEEK_END) if end is None else end
            yield from events_of(_undamaged(codec.blocks(Window(file, 0, end))), str(path), provider)


def count(part: PartFile) -> Iterator[None]:
    """Add what a part held before this run to its tally, once all of it has been read. Raises OSError, ConfigError."""
    found = Tally()
    for events in events_in(part.path, part.codec, part.entry.provider, part.prior):
        found.add(Tally.of(events))
        yield
    part.tally.add(found)
    part.counted = True


def catch_up(part: PartFile) -> Iterator[None]:
    """Count and hash what a part held before this run, so that its end need not wait for that. Raises as `count`."""
    if not part.counted:
        yield from count(part)
    yield from part.catch_up()


def _undamaged(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """All that can be decoded. It was whole when it was repaired: its hash will tell that the disk has changed it."""
    try:
        yield from blocks
    except Damaged:
        return
