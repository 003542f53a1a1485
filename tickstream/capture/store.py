"""Where a capture goes: files in a folder, written by one thread in the background, off the path of the data.

A record is safe from `kill -9` when the thread has written it, a twentieth of a second later at the most, compressed
or not; and from a power cut when it has been synced (`fsync_interval_s` later).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from tickstream.capture import disk, failpoints, finishing, manifest
from tickstream.capture.buffer import Buffer, Work
from tickstream.capture.compression import CODECS
from tickstream.capture.folder import Folder
from tickstream.capture.manifest import RunStart, Tally
from tickstream.capture.recovery import Recovered, Recovery
from tickstream.capture.retention import Retention
from tickstream.capture.room import OnDiskFull, Room
from tickstream.capture.rotation import Rotation
from tickstream.capture.template import FileKey
from tickstream.capture.writer import Writer
from tickstream.clock import Clock
from tickstream.errors import OutputError
from tickstream.events import Notice, Summary
from tickstream.sinks.output import Abandoned

SLICE_S = 0.1
"""The longest wait before `abandon` is asked again."""
RETENTION_S = 60.0
NOTICES_MOST = 1000
"""That nobody has taken; more are in the manifest only."""


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asks of its store; `run` is its entry in the manifest, with format and compression."""

    base: Path
    run: RunStart
    header: bytes = b""
    """What each new file begins with."""
    rotation: Rotation = Rotation()
    fsync_interval_s: float = 0.5
    buffer_bytes: int = 16 << 20
    """Of lines that wait for the writer: a third of a second of the fastest stream that there was. Behind that the
    queues of the sessions hold more."""
    min_free_bytes: int = 0
    on_disk_full: OnDiskFull = "wait"
    keep_s: float | None = None
    abandon: Callable[[], bool] | None = None
    """Asked at least every 0.1 s while `write` waits; True ends that with Abandoned."""


class StoreStatus(msgspec.Struct, frozen=True):
    """The store now. `free_bytes` is None where it is not known; `paused` is empty, or says why nothing is written."""

    open_files: int
    files: int
    """Finished by this run."""
    bytes: int
    """Written by this run, as on the disk."""
    waiting_bytes: int
    free_bytes: int | None
    paused: str


class Store:
    """Takes whole lines for files. All calls come from one thread; after an OutputError only `finish` may follow."""

    def __init__(self, options: StoreOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._buffer = Buffer(options.buffer_bytes)
        self._stop = threading.Event()
        self._rotate = threading.Event()
        self._folder = Folder(options.base, options.run, clock, self._report)
        self._room = Room(options.base, clock, self._stop, self._report, options.on_disk_full, options.min_free_bytes)
        self._writer = Writer(
            self._folder, self._room, clock, self._report, options.rotation, options.header, options.fsync_interval_s
        )
        self._thread = threading.Thread(target=self._run, name="capture-writer", daemon=True)
        self._notices: list[Notice] = []
        self._early: list[bytes] = []
        self._error: BaseException | None = None
        self._waiting_since: float | None = None
        self._closed = False
        self.lost = 0
        """Events that were taken and could not be written."""
        self._retention: Retention | None = None
        self._next_retention = clock.monotonic()

    # --- for the thread of the data ----------------------------------------------------------------------------

    def open(self) -> Recovered:
        """Take the folder, put in order what earlier runs left, and begin.

        Raises TargetLocked when another run has it, OutputError when it cannot be written, ConfigError when the
        compression is not installed.
        """
        if self._options.run.format != "parquet":
            CODECS[self._options.run.compression].require()
        self._folder.open()
        try:
            recovered = self._recover()
        except OSError as error:
            self._folder.close()
            raise disk.failure(error, self._options.base, "recover") from None
        except BaseException:
            self._folder.close()
            raise
        self._thread.start()
        return recovered

    def write(self, key: FileKey, data: bytes, tally: Tally) -> None:
        """Take whole lines for a file; a rotation never splits them. Waits while the buffer is full.

        Raises OutputError when they cannot be written any more, Abandoned when `abandon` ended the wait.
        """
        if self._error is not None:
            self.check()
        while not self._buffer.put(key, data, tally, SLICE_S):
            self.check()
            if self._waiting_since is None:
                self._waiting_since = self._clock.monotonic()
            if self._options.abandon is not None and self._options.abandon():
                self._waiting_since = None
                raise Abandoned(data.count(b"\n"), torn=False)
        self._waiting_since = None

    def note(self, lines: bytes) -> None:
        """Take whole lines for the manifest (`manifest.lines`, `manifest.stream_entry`)."""
        self._buffer.note(lines)

    def check(self) -> None:
        """Raises what ended the writer, if anything did. Never waits."""
        if self._error is not None:
            raise self._error

    def tick(self) -> None:
        """Have the writer look at the clock now. It does so by itself; this is for clocks that are moved by hand."""
        self._buffer.nudge()

    def rotate(self) -> None:
        """Have every file that is being written finished as soon as possible; new ones go on. Never waits."""
        self._rotate.set()
        self._buffer.nudge()

    def take_notices(self) -> list[Notice]:
        """What the user should know and has not been told; each is in the manifest too."""
        taken, self._notices = self._notices, []
        return taken

    @property
    def blocked_s(self) -> float:
        """For how long `write` has been waiting for room, seconds; 0 while it does not."""
        since = self._waiting_since
        return 0.0 if since is None else self._clock.monotonic() - since

    @property
    def status(self) -> StoreStatus:
        """The store as it is now."""
        writer = self._writer
        return StoreStatus(
            open_files=len(writer.parts),
            files=writer.files,
            bytes=writer.parts.bytes_written,
            waiting_bytes=self._buffer.held,
            free_bytes=self._room.free,
            paused=self._room.paused,
        )

    def settle(self) -> None:
        """Write, sync and finish everything: after this all files have their names. More than once does no harm.

        Raises OutputError; then `lost` says how many events are not in any file.
        """
        self._stop.set()
        self._buffer.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self.lost += _events(self._buffer.take(0))
        self.check()

    def finish(self, summary: Summary | None) -> None:
        """Settle, put the run's `end` into the manifest, and let go of the folder. More than once does no harm.

        Raises OutputError as `settle` does, and the folder is let go of all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.settle()
        finally:
            try:
                if summary is not None:
                    self._end(summary)
            finally:
                self._folder.close()

    def _end(self, summary: Summary) -> None:
        failpoints.reached("before_end")
        line = manifest.stream_entry(summary, self._options.run.run)
        with contextlib.suppress(OutputError) if self._error is not None else contextlib.nullcontext():
            self._folder.append(line, self._room)

    # --- recovery ----------------------------------------------------------------------------------------------

    def _recover(self) -> Recovered:
        options, clock = self._options, self._clock
        entries: list[msgspec.Struct] = []
        recovery = Recovery(options.base, options.run, clock, self._report, options.header, entries.append)
        leftovers = recovery.leftovers()
        recovered = recovery.recovered(leftovers)
        self._folder.list([options.run, *entries], self._room)
        for left in leftovers:
            if left.renamed:
                self._writer.parts.reserve(left.part.entry.part)
                steps = partial(finishing.list_renamed, left.part, options.base, clock, self._writer.list)
                self._writer.do(left.part, steps)
            else:
                self._writer.adopt(left.part, go_on=left.go_on)
        if options.keep_s is not None:
            self._retention = Retention(
                options.base, options.run.run, options.keep_s, clock, self._writer.list, self._report
            )
            history = recovery.history
            self._retention.keep(file for file in history.files.values() if history.alike(file.run, options.run))
        return recovered

    # --- the writer's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        work = Work({}, [], 0)
        try:
            while not self._buffer.stopped or self._buffer.held:
                work = self._buffer.take(self._writer.wait_s)
                self._writer.take(work)
                self._buffer.written(work.size)
                if self._rotate.is_set():
                    self._rotate.clear()
                    self._writer.parts.complete_all()
                self._writer.look()
                if self._buffer.held < self._options.buffer_bytes // 2:
                    self._writer.step()
                self._delete_old()
            self._writer.close()
            self._writer.take(self._buffer.take(0))  # what was noted meanwhile
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread of the data, whatever it is
            self._error = error
            self._give_up(work)

    def _give_up(self, work: Work) -> None:
        """Finish what can be finished, and count what is lost, until the thread of the data has noticed."""
        self.lost = _events(work)
        if isinstance(self._error, OutputError):
            with contextlib.suppress(OutputError):
                self._writer.let_go()
        self.lost += self._writer.parts.lost

    def _delete_old(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_retention:
            return
        self._next_retention = now + RETENTION_S
        if self._retention is not None:
            self._retention.keep(self._writer.finished)
            self._retention.delete()
        self._writer.finished.clear()

    def _report(self, code: str, message: str) -> None:
        """A notice: for the manifest, and for the user."""
        run = self._options.run
        notice = Notice(run.provider, self._clock.now_ns(), code, message)
        self._buffer.note(manifest.stream_entry(notice, run.run))
        if len(self._notices) < NOTICES_MOST:
            self._notices.append(notice)


def _events(work: Work) -> int:
    return sum(unit.tally.events for units in work.units.values() for unit in units)
