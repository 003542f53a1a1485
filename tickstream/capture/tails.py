"""The end of a file after a crash: cut back to its last whole record, and nothing thrown away."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tickstream.capture import disk, failpoints
from tickstream.capture.codec import BLOCK, SALVAGED_MOST, Codec
from tickstream.clock import Clock
from tickstream.timestamps import NS_PER_SECOND

_ZEROS = bytes(8)


class Cut(NamedTuple):
    """What was cut off."""

    bytes: int
    """How many were torn."""
    saved_to: Path
    """The file beside it that holds them now."""
    salvaged: int
    """Bytes of whole lines that could be decoded from them, and stand in the file again."""


def repair(path: Path, codec: Codec, clock: Clock) -> Cut | None:
    """Make the file end with its last whole record, and have that on the disk; None when it does already.

    The torn bytes are moved to `<name>.torn-<time>`; whole lines in a torn member are written back as a member. A
    crash in here leaves a file that the next repair mends: the torn bytes are on the disk before they are cut.
    Raises OSError, ConfigError where the codec is not installed.
    """
    with os.fdopen(disk.open_update(path), "r+b") as file:
        whole = codec.whole_of(file)
        torn = file.seek(0, os.SEEK_END) - whole
        if not torn:
            return None
        saved = _save(file, whole, path, clock)
        failpoints.reached("during_repair_after_save")
        file.seek(whole)
        lines = codec.salvage(_before_zeros(file.read(SALVAGED_MOST)))
        file.seek(whole)
        if lines:
            file.write(codec.member(lines))
        file.truncate()
        file.flush()
        disk.sync_file(file.fileno())
        failpoints.reached("during_repair_after_cut")
    return Cut(torn, saved, len(lines))


def _before_zeros(torn: bytes) -> bytes:
    """What surely was written. A power cut leaves zeros, by the sector, where data should be; a decoder might take
    them for data, while compressed lines never have so many."""
    return torn.partition(_ZEROS)[0].rstrip(b"\0")


def _save(file: BinaryIO, start: int, path: Path, clock: Clock) -> Path:
    """Copy everything from `start` on into a file of its own beside this one."""
    seconds, below = divmod(clock.now_ns(), NS_PER_SECOND)
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds)) + f".{below // 1_000_000:03d}Z"
    number = 0
    while True:
        name = path.with_name(f"{path.name}.torn-{moment}" + (f"-{number}" if number else ""))
        try:
            fd = disk.open_append(name, new=True)
            break
        except FileExistsError:
            number += 1
    with os.fdopen(fd, "wb") as copy:
        file.seek(start)
        while block := file.read(BLOCK):
            copy.write(block)
        copy.flush()
        disk.sync_file(copy.fileno())
    disk.sync_folder(path.parent)
    return name
