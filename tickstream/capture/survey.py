"""What is in the lines of a captured file, for files whose writer died before it could say so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tickstream.capture import disk
from tickstream.capture.codec import Damaged, Window
from tickstream.capture.json_lines import JsonLines
from tickstream.capture.lines import stretches
from tickstream.capture.manifest import Tally
from tickstream.capture.part_file import PartFile
from tickstream.events import Event


def events_of(blocks: Iterable[bytes], form: str, name: str) -> Iterator[list[Event]]:
    """The events of uncompressed blocks of a file of this format, from its beginning; bad lines are passed over."""
    if form not in ("jsonl", "parquet"):
        return
    decoder = JsonLines(name)
    for stretch in stretches(blocks):
        yield decoder.decode(stretch)[0]


def count(part: PartFile) -> Iterator[None]:
    """Add what a part held before this run to its tally, once all of it has been read. Raises OSError."""
    found = Tally()
    with os.fdopen(disk.open_read(part.path), "rb") as file:
        blocks = part.codec.blocks(Window(file, 0, part.prior))
        try:
            for events in events_of(blocks, part.entry.format, part.entry.part):
                found.add(Tally.of(events))
                yield
        except Damaged:
            pass  # it was whole when it was repaired: the disk has changed it since, which its hash will tell
    part.tally.add(found)
    part.counted = True


def catch_up(part: PartFile) -> Iterator[None]:
    """Count and hash what a part held before this run, so that its end need not wait for that. Raises OSError."""
    if not part.counted:
        yield from count(part)
    yield from part.catch_up()
