"""The files being written: begun when first needed, synced together, replaced when somebody takes one away.

Raises OutputError for whatever cannot be mended.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tickstream.capture import disk, failpoints
from tickstream.capture.compression import CODECS
from tickstream.capture.folder import Folder
from tickstream.capture.manifest import BY_OTHERS, FileDeleted, PartOpened
from tickstream.capture.part_file import PartFile, Place, Unit
from tickstream.capture.room import Report, Room
from tickstream.capture.rotation import Rotation
from tickstream.capture.template import FileKey
from tickstream.clock import Clock
from tickstream.errors import OutputError
from tickstream.timestamps import Timestamp

OPEN_MOST = 128
"""Descriptors at a time; beyond, the file that was not written to for longest rests."""


class Parts:
    """`header` is what every new file begins with. `done` is given each part that is complete and synced."""

    def __init__(
        self,
        folder: Folder,
        room: Room,
        clock: Clock,
        report: Report,
        done: Callable[[PartFile], None],
        rotation: Rotation,
        header: bytes = b"",
    ) -> None:
        self._folder = folder
        self._base = folder.base
        self._codec = CODECS["none" if folder.run.format == "parquet" else folder.run.compression]
        self._room = room
        self._clock = clock
        self._report = report
        self._done = done
        self._rotation = rotation
        self._header = header
        self._parts: dict[str, PartFile] = {}
        """Name of the finished file -> its part."""
        self._dirty: dict[PartFile, None] = {}
        self._open: dict[PartFile, None] = {}
        """Those with a descriptor; the one that was written to last is last."""
        self._reserved: set[str] = set()
        self.bytes_written = 0
        self.lost = 0
        """Events that were taken, and could not be written when `let_go` was called."""

    def __len__(self) -> int:
        return len(self._parts)

    def __contains__(self, part: PartFile) -> bool:
        return self._parts.get(part.entry.file) is part

    def adopt(self, part: PartFile) -> bool:
        """Go on with the part of an earlier run; False where another part is written for its file already."""
        return self._parts.setdefault(part.entry.file, part) is part

    def reserve(self, part: str) -> None:
        """Give no new part this name: the manifest will yet say that the one that had it is finished."""
        self._reserved.add(part)

    @property
    def entries(self) -> list[PartOpened]:
        """What the manifest says of them."""
        return [part.entry for part in self._parts.values()]

    @property
    def held(self) -> int:
        """Bytes in memory because they are not safe on the disk yet."""
        return sum(part.held for part in tuple(self._dirty))

    # --- what is done ------------------------------------------------------------------------------------------

    def begin(self, keys: Iterable[FileKey]) -> None:
        """Announce parts for those of these that have none. They are made when something is written to them."""
        now = self._clock.now_ns()
        new = [self._new_part(key, now) for key in keys if key.file not in self._parts]
        if new:
            self._folder.list([part.entry for part in new], self._room)
            failpoints.reached("after_part_entry_before_part")
            self._parts.update((part.entry.file, part) for part in new)

    def put(self, key: FileKey, units: list[Unit]) -> None:
        """Write units, in order. The list holds those that were not written if this raises."""
        if self._rotation.size is None:
            self._append(self._parts[key.file], units)
            return
        while units:
            part = self._parts[key.file]
            count = self._fitting(part, units)
            if not count:
                self.complete(part)
                self.begin([key])
                continue
            group = units[:count]
            try:
                self._append(part, group)
            finally:
                units[:count] = group

    def sync(self) -> None:
        """Have all that was written on the disk."""
        for part in list(self._dirty):
            self._sync(part)

    def complete(self, part: PartFile) -> None:
        """Sync this part and hand it over as done; also the one that came into its place, if there was trouble."""
        while (current := self._parts.get(part.entry.file)) is not None:
            self._sync(current)
            if self._parts.get(part.entry.file) is current:
                self._detach(current)
                self._done(current)

    def complete_all(self) -> None:
        """The same for all."""
        for part in list(self._parts.values()):
            self.complete(part)

    def complete_over(self) -> None:
        """The same for those whose time is over."""
        now = self._clock.now_ns()
        for part in list(self._parts.values()):
            if self._rotation.over(part.entry.ts, now, part.entry.until, now - part.last_write_ns):
                self.complete(part)

    def let_go(self) -> None:
        """After an OutputError: hand over what can still be synced; the rest stays as it is, for the next run."""
        for part in list(self._parts.values()):
            try:
                self.complete(part)
            except OutputError:
                self.lost += sum(unit.tally.events for unit in part.pending)
                self._detach(part)
                part.rest()

    # --- parts -------------------------------------------------------------------------------------------------

    def _new_part(self, key: FileKey, now: Timestamp) -> PartFile:
        final = self._base / key.file
        run = self._folder.run
        if not disk.inside(final, self._base):
            raise OutputError(f"cannot write {final}: a link leads out of {self._base}", hint="Remove the link.")
        try:
            disk.make_folders(final.parent)
        except OSError as error:
            raise disk.failure(error, final.parent, "make the folder") from None
        entry = PartOpened(
            run=run.run,
            ts=now,
            file=key.file,
            part=self._free_name(final, ".jsonl.part" if run.format == "parquet" else ".part"),
            format=run.format,
            compression=run.compression,
            until=None if key.until is None else Timestamp(key.until),
            symbol=key.symbol,
            provider=run.provider,
        )
        return PartFile(self._base, entry, self._codec, header=self._header)

    def _free_name(self, final: Path, ending: str) -> str:
        number = 0
        while True:
            name = disk.numbered(final, number)
            part = name.with_name(name.name + ending)
            relative = part.relative_to(self._base).as_posix()
            if relative not in self._reserved and not os.path.lexists(part):
                return relative
            number += 1

    def _fitting(self, part: PartFile, units: list[Unit]) -> int:
        """How many of these still go into the part."""
        size = part.size + part.pending_bytes
        for count, unit in enumerate(units):
            if self._rotation.full(size, len(unit.data)):
                return count
            size += len(unit.data)
        return len(units)

    def _append(self, part: PartFile, units: list[Unit]) -> None:
        """Append these to the part, or to the one that has to follow it."""
        now, before = self._clock.now_ns(), part.size
        self._dirty[part] = None
        try:
            self._room.attempt(lambda: part.append(units, now), part.path)
        except OSError as error:
            self._append(self._instead(part, error), units)
            return
        finally:
            self.bytes_written += max(0, part.size - before)
        self._used(part)

    def _used(self, part: PartFile) -> None:
        self._open.pop(part, None)
        self._open[part] = None
        if len(self._open) > OPEN_MOST:
            oldest = next(iter(self._open))
            if oldest in self._dirty:
                self._sync(oldest)
            self._open.pop(oldest, None)
            oldest.rest()

    def _sync(self, part: PartFile) -> None:
        if part.place() is not Place.HERE:
            self._displaced(part)
            return
        before = part.size
        try:
            self._room.attempt(part.flush, part.path)
        except OSError as error:
            self._sync(self._instead(part, error))
            return
        finally:
            self.bytes_written += max(0, part.size - before)
        try:
            part.sync()
        except OSError as error:
            if part.place() is Place.HERE:
                self._in_doubt(part, error)
            else:  # it has just been taken away
                self._displaced(part)
        else:
            self._dirty.pop(part, None)

    def _detach(self, part: PartFile) -> None:
        """It is not written to any more."""
        if self._parts.get(part.entry.file) is part:
            del self._parts[part.entry.file]
        self._dirty.pop(part, None)
        self._open.pop(part, None)

    # --- trouble -----------------------------------------------------------------------------------------------

    def _instead(self, part: PartFile, error: OSError) -> PartFile:
        """The part to write to when this one takes no more. Raises OutputError where no other will."""
        if error.errno == errno.EFBIG and part.size:
            return self._succeed(part)
        if error.errno == errno.ENOENT:
            return self._displaced(part)
        raise disk.failure(error, part.path) from None

    def _next(self, part: PartFile) -> PartFile:
        """The part that takes the place of a detached one."""
        entry = part.entry
        self.begin([FileKey(entry.file, entry.until, entry.symbol)])
        new = self._parts[entry.file]
        self._dirty[new] = None
        return new

    def _succeed(self, part: PartFile) -> PartFile:
        """The file cannot grow any more: what waits to be compressed goes to the next."""
        self._detach(part)
        new = self._next(part)
        new.take_pending(part)
        try:
            part.sync()
        except OSError as error:
            self._in_doubt(part, error)
        else:
            self._done(part)
        return new

    def _displaced(self, part: PartFile) -> PartFile:
        """Somebody has moved, deleted or changed the part. What is not safe is written anew, unless it is there still.

        A part that was changed stays announced in the manifest: the next run makes of it what it can.
        """
        self._folder.ensure(self._room, lambda: self.entries)
        place = part.place()
        self._detach(part)
        self._tell_displaced(part, place)
        new = self._next(part)
        if place in (Place.MOVED, Place.CHANGED):
            new.take_pending(part)
            self._sync_displaced(part)
        else:
            self._move(part, new)
        part.rest()
        return new

    def _tell_displaced(self, part: PartFile, place: Place) -> None:
        what = "deleted" if place is Place.HERE else place.value  # here: its folder went before it was made
        content = f"the {part.tally.events:,} events in it are gone" if part.counted else "what was in it is gone"
        lost = f"; {content}" if what == "deleted" else ""
        self._report("file_vanished", f"{part.path} was {what} while it was written{lost}. A new file goes on")
        if place is not Place.CHANGED:
            reason = "never made" if place is Place.HERE else f"{what} {BY_OTHERS}"
            now = self._clock.now_ns()
            gone = FileDeleted(run=self._folder.run.run, file=part.entry.part, ts=now, reason=reason)
            self._folder.list([gone], self._room)

    def _sync_displaced(self, part: PartFile) -> None:
        try:
            part.sync()
        except OSError as error:
            raise disk.failure(error, part.path, "sync what was") from None

    def _in_doubt(self, part: PartFile, error: OSError) -> None:
        """After a failed sync nobody knows what the disk holds, and asking again gets a wrong yes (fsync(2), EIO)."""
        if error.errno in disk.FULL:
            self._room.wait(error, part.path)
        reason = error.strerror or str(error)
        self._report("sync_failed", f"{part.path} could not be synced ({reason}): what was in doubt goes to a new file")
        self._detach(part)
        try:
            part.cut_back()
            new = self._next(part)
            self._move(part, new)
            self._done(part)
            new.sync()
        except OSError as again:
            raise disk.failure(again, part.path, "sync") from None

    def _move(self, part: PartFile, new: PartFile) -> None:
        before = new.size
        try:
            self._room.attempt(lambda: part.move_unsafe_to(new), new.path)
        except OSError as error:
            raise disk.failure(error, new.path) from None
        self.bytes_written += new.size - before
