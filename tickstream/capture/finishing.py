"""From a complete part to a finished file: converted where its format asks for that, named, and in the manifest.

Long work is done in steps, between which the writer goes on writing what arrives. At every point a crash leaves the
part or the finished file, and what it takes to go on from there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tickstream.capture import disk, failpoints, survey
from tickstream.capture.codec import BLOCK, Codec, Damaged
from tickstream.capture.manifest import FileDeleted, FileFinished
from tickstream.capture.part_file import PartFile
from tickstream.clock import Clock

SMALL_MEMBER = 8 << 10
"""Bytes: files whose members are smaller on average are compressed once more, in members of 1 MiB of lines."""

Listed = Callable[[FileFinished | FileDeleted], None]
"""Puts an entry into the manifest for good."""


def finish(part: PartFile, base: Path, run: str, clock: Clock, listed: Listed) -> Iterator[None]:
    """Make the part a finished file; everything in it has been synced. Raises OSError, ConfigError."""
    failpoints.reached("before_finish")
    part.rest()
    if not part.counted:
        yield from survey.count(part)
    if not part.synced or (part.entry.format == "csv" and not part.tally.events):  # nothing, or only the header
        part.path.unlink(missing_ok=True)
        listed(FileDeleted(run=run, file=part.entry.part, ts=clock.now_ns(), reason="empty"))
        return
    yield from _convert(part)
    yield from part.catch_up()
    failpoints.reached("after_fsync_before_rename")
    final = disk.publish(part.path, base / part.entry.file)
    failpoints.reached("after_rename_before_manifest")
    listed(entry_of(part, final.relative_to(base).as_posix(), clock))
    failpoints.reached("after_manifest")


def list_renamed(part: PartFile, base: Path, clock: Clock, listed: Listed) -> Iterator[None]:
    """List a file that has its final name and is not in the manifest. Raises OSError."""
    yield from survey.catch_up(part)
    listed(entry_of(part, part.path.relative_to(base).as_posix(), clock))


def entry_of(part: PartFile, file: str, clock: Clock) -> FileFinished:
    """What the manifest says of a part that has become this file."""
    entry, tally = part.entry, part.tally
    return FileFinished(
        run=entry.run,
        file=file,
        format=entry.format,
        compression=entry.compression,
        events=tally.events,
        first=tally.first,
        last=tally.last,
        symbols=tally.symbols,
        gaps=tally.gaps,
        missed=tally.missed,
        bytes=part.synced,
        sha256=part.sha.hexdigest(),
        finished=clock.now_ns(),
        part=entry.part,
    )


def converts(part: PartFile) -> bool:
    """True when its finished file is made from the part, which takes long."""
    return part.entry.format == "parquet" or bool(part.codec.suffix)


def _convert(part: PartFile) -> Iterator[None]:
    """Put what the finished file shall hold in the place of what the part holds, if that is something else."""
    temporary = part.path.with_name(part.path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    if part.entry.format == "parquet":
        if survey.is_parquet(part.path):  # a crash came between its conversion and its name
            return
        from tickstream.capture import parquet

        yield from parquet.convert(part.path, temporary)
    elif part.codec.suffix and _members_are_small(part):
        try:
            yield from _repack(part.path, temporary, part.codec)
        except Damaged:  # the disk has changed what was written: it stays as it is, and its hash will tell
            temporary.unlink(missing_ok=True)
            return
    else:
        return
    with os.fdopen(disk.open_existing(temporary), "ab") as file:
        disk.sync_file(file.fileno())
        size = os.fstat(file.fileno()).st_size
    failpoints.reached("before_replace")
    temporary.replace(part.path)
    disk.sync_folder(part.path.parent)
    failpoints.reached("after_replace_before_rename")
    part.size = part.synced = size
    part.sha, part.hashed = hashlib.sha256(), 0


def _members_are_small(part: PartFile) -> bool:
    with _reading(part.path) as file:
        members = sum(1 for _ in part.codec.members(file))
    return members > 1 and part.synced < SMALL_MEMBER * members


def _repack(source: Path, target: Path, codec: Codec) -> Iterator[None]:
    """The same lines in larger members."""
    held: list[bytes] = []
    size = 0
    with _reading(source) as file, os.fdopen(disk.open_append(target, new=True), "wb") as out:
        for block in codec.blocks(file):
            held.append(block)
            size += len(block)
            if size < BLOCK or b"\n" not in block:
                continue
            data = b"".join(held)
            end = data.rfind(b"\n") + 1
            out.write(codec.member(data[:end]))
            held, size = [data[end:]], len(data) - end
            yield
        if size:
            out.write(codec.member(b"".join(held)))


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    with os.fdopen(disk.open_read(path), "rb") as file:
        yield file
