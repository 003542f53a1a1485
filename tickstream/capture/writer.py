"""What is done with all that arrives, and when: write, sync, rotate, finish, delete what is old. No thread of its own.

A `Writer` is driven: `take` what has gathered, `look` at the clock, `step` on with long work while nothing arrives,
`close` at the end. Whatever cannot be mended is raised as OutputError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from tickstream.capture import disk, finishing, survey
from tickstream.capture.buffer import Work
from tickstream.capture.codec import UNSYNCED_MOST
from tickstream.capture.folder import Folder
from tickstream.capture.manifest import BY_OTHERS, FileDeleted, FileFinished
from tickstream.capture.part_file import PartFile
from tickstream.capture.parts import Parts
from tickstream.capture.room import Report, Room
from tickstream.capture.rotation import Rotation
from tickstream.clock import Clock
from tickstream.errors import ConfigError, InputError, OutputError

LOOK_S = 1.0
"""How often free space, the clock and the folder itself are looked at."""


class _Job(msgspec.Struct):
    part: PartFile
    make: Callable[[], Iterator[None]]
    steps: Iterator[None]


class Writer:
    """Writes into an open folder. `header` is what every new file begins with."""

    def __init__(
        self,
        folder: Folder,
        room: Room,
        clock: Clock,
        report: Report,
        rotation: Rotation,
        header: bytes = b"",
        fsync_interval_s: float = 0.5,
    ) -> None:
        self._folder = folder
        self._room = room
        self._clock = clock
        self._report = report
        self._fsync_interval_s = fsync_interval_s
        self.parts = Parts(folder, room, clock, report, self.finish, rotation, header)
        self._jobs: deque[_Job] = deque()
        self._next_sync = clock.monotonic() + fsync_interval_s
        self._next_look = clock.monotonic()
        self.finished: list[FileFinished] = []
        """Files of this run's writing, as listed; whoever reads it may empty it."""
        self.files = 0

    def adopt(self, part: PartFile, *, go_on: bool) -> None:
        """Take over a part of an earlier run, to `go_on` with it or to finish it."""
        if go_on and self.parts.adopt(part):
            self.do(part, lambda: survey.catch_up(part))
        else:
            self.finish(part)

    def finish(self, part: PartFile) -> None:
        """Make this part, complete and synced, a finished file: at once, or in steps where that takes long."""

        def steps() -> Iterator[None]:
            return finishing.finish(part, self._folder.base, self._folder.run.run, self._clock, self.list)

        waits = any(job.part.entry.file == part.entry.file for job in self._jobs)  # names shall follow the order
        if part.counted and part.hashed == part.synced and not waits and not finishing.converts(part):
            job = _Job(part, steps, steps())
            while not self._advance(job):
                pass
        else:
            self.do(part, steps)

    def do(self, part: PartFile, make: Callable[[], Iterator[None]]) -> None:
        """Have this work done when nothing else is. It begins anew if the disk was full, so it must be able to."""
        self._jobs.append(_Job(part, make, make()))

    def list(self, entry: FileFinished | FileDeleted) -> None:
        """Put what became of a file into the manifest."""
        self._folder.list([entry], self._room)
        if isinstance(entry, FileFinished):
            self.files += 1
            self.finished.append(entry)

    def take(self, work: Work) -> None:
        """Write what has gathered. If this raises, `work.units` holds what was not written."""
        if work.notes:
            self._folder.append(b"".join(work.notes), self._room)
            work.notes.clear()
        if work.units:
            self._room.keep_free(work.size)
            self.parts.begin(work.units)
            for key in list(work.units):
                self.parts.put(key, work.units[key])
                del work.units[key]
            if self.parts.held > UNSYNCED_MOST:  # a sync does not wait for its time
                self.parts.sync()

    def look(self) -> None:
        """Do what is due by the clock."""
        now = self._clock.monotonic()
        if now >= self._next_sync:
            self._next_sync = now + self._fsync_interval_s
            self.parts.sync()
        if now >= self._next_look:
            self._next_look = now + LOOK_S
            self._folder.ensure(self._room, lambda: self.parts.entries)
            self._room.look()
            self.parts.complete_over()

    @property
    def wait_s(self) -> float:
        """How long there is nothing to do unless something arrives."""
        if self._jobs:
            return 0.0
        due = min(self._next_sync, self._next_look) if self.parts.held else self._next_look
        return max(0.0, due - self._clock.monotonic())

    def step(self) -> bool:
        """Go on with long work, for some milliseconds; True while there is more of it."""
        if self._jobs and self._advance(self._jobs[0]):
            self._jobs.popleft()
        return bool(self._jobs)

    def close(self) -> None:
        """Sync and finish everything."""
        self.parts.complete_all()
        while self.step():
            pass

    def let_go(self) -> None:
        """After an OutputError: finish what can still be finished; the rest stays as it is, for the next run."""
        self.parts.let_go()
        while self._jobs:
            try:
                self.step()
            except OutputError:
                self._jobs.popleft()

    def _advance(self, job: _Job) -> bool:
        """One step; True when it was the last."""
        try:
            next(job.steps)
        except StopIteration:
            return True
        except FileNotFoundError:
            self._vanished(job.part)
            return True
        except (ConfigError, InputError) as error:  # no pyarrow here; a line that somebody has edited
            self._report("not_finished", f"{job.part.path} stays as it is: {error.message}")
            return True
        except OSError as error:
            if error.errno not in disk.FULL:
                raise disk.failure(error, job.part.path) from None
            self._room.wait(error, job.part.path)
            job.steps = job.make()
        return False

    def _vanished(self, part: PartFile) -> None:
        if part in self.parts:  # still being written: its next sync sees to it
            return
        self._report("file_vanished", f"{part.path} was moved or deleted before it was finished")
        now = self._clock.now_ns()
        self.list(FileDeleted(run=self._folder.run.run, file=part.entry.part, ts=now, reason=f"deleted {BY_OTHERS}"))
