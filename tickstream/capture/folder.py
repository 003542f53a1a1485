"""A capture folder as its one writer holds it: the lock and the manifest, made again if somebody takes them away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from tickstream.capture import disk, manifest
from tickstream.capture.lock import TargetLock
from tickstream.capture.manifest import Manifest, RunStart, Torn
from tickstream.capture.room import Report, Room
from tickstream.clock import Clock


class Folder:
    """The folder of a run. `open_parts` gives the manifest's entries of what is being written now."""

    def __init__(self, base: Path, run: RunStart, clock: Clock, report: Report) -> None:
        self.base = base
        self.run = run
        self._clock = clock
        self._report = report
        self._lock = TargetLock(base, clock, list(run.command))
        self._manifest = Manifest(base)

    def open(self) -> None:
        """Take the lock, and repair the manifest. Raises TargetLocked, OutputError."""
        self._lock.acquire()
        try:
            self._open_manifest()
        except OSError as error:
            self._lock.release()
            raise disk.failure(error, self._manifest.path) from None
        if kind := disk.network_file_system(self.base):
            self._report(
                "network_folder", f"{self.base} is on a network file system ({kind}): its locks may not hold elsewhere"
            )

    def append(self, lines: bytes, room: Room) -> None:
        """Add lines to the manifest for good. Raises OutputError."""
        try:
            room.attempt(lambda: self._manifest.append(lines), self._manifest.path)
        except OSError as error:
            raise disk.failure(error, self._manifest.path) from None

    def list(self, entries: Iterable[msgspec.Struct], room: Room) -> None:
        """Add entries to the manifest for good. Raises OutputError."""
        self.append(manifest.lines(entries), room)

    def ensure(self, room: Room, open_parts: Callable[[], Iterable[msgspec.Struct]]) -> None:
        """Make lock and manifest anew if they have gone or are other files now. Raises TargetLocked, OutputError."""
        try:
            self._lock.ensure()
            if self._manifest.is_there():
                return
            self._manifest.close()
            disk.make_folders(self.base)
            self._open_manifest()
        except OSError as error:
            raise disk.failure(error, self._manifest.path) from None
        self._report("manifest_vanished", f"{self._manifest.path} was moved or deleted: a new one begins here")
        self.list([self.run, *open_parts()], room)

    def close(self) -> None:
        """Let go of both. More than once does no harm."""
        self._manifest.close()
        self._lock.release()

    def _open_manifest(self) -> None:
        now = self._clock.now_ns()
        cut = self._manifest.open(self._clock)
        if cut is not None:
            entry = Torn(run=self.run.run, file=manifest.NAME, bytes=cut.bytes, saved_to=cut.saved_to.name, ts=now)
            self._manifest.append(manifest.lines([entry]))
