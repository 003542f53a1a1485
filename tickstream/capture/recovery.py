"""What earlier runs left in a capture folder: parts to go on with, files to list, and how far each symbol had come."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec

from tickstream.capture import disk, manifest, survey
from tickstream.capture.compression import CODECS, Codec
from tickstream.capture.last_records import Ends, Left
from tickstream.capture.manifest import FileDeleted, FileFinished, PartOpened, RunStart, Torn
from tickstream.capture.part_file import PartFile
from tickstream.capture.room import Report
from tickstream.capture.tails import repair
from tickstream.clock import Clock
from tickstream.errors import ConfigError
from tickstream.events import SessionEvent


class Recovered(msgspec.Struct):
    """What the run before this one, of the same provider and channel, had.

    `symbols`: what there is of each symbol that this run asks for. `asked`: the symbols that the last such run asked
    for, with or without success. `epoch`: the highest of its connections. `resumed`: there was such a run.
    """

    symbols: dict[str, Left] = {}
    asked: frozenset[str] = frozenset()
    epoch: int = 0
    resumed: bool = False


class History(msgspec.Struct):
    """What the manifest says. `open`: parts that were announced, and of which nothing more is said."""

    runs: dict[str, RunStart] = {}
    open: dict[str, PartOpened] = {}
    files: dict[str, FileFinished] = {}
    """By name, those that were not deleted, oldest first."""
    epochs: dict[str, int] = {}
    """Provider -> the highest epoch."""

    @classmethod
    def of(cls, base: Path) -> History:
        """The history of a folder; empty for a new one. Raises OSError."""
        history = cls()
        for entry in manifest.read(base):
            history.add(entry)
        return history

    def add(self, entry: object) -> None:
        """What an entry of the manifest changes."""
        if isinstance(entry, RunStart):
            self.runs[entry.run] = entry
        elif isinstance(entry, PartOpened):
            self.open[entry.part] = entry
        elif isinstance(entry, FileFinished):
            self.open.pop(entry.part, None)
            self.files.pop(entry.file, None)
            self.files[entry.file] = entry
        elif isinstance(entry, FileDeleted):
            self.open.pop(entry.file, None)
            self.files.pop(entry.file, None)
        elif isinstance(entry, SessionEvent):
            self.epochs[entry.provider] = max(entry.epoch, self.epochs.get(entry.provider, 0))

    def alike(self, run_id: str, run: RunStart) -> bool:
        """True when that run was of the same provider and channel as this."""
        other = self.runs.get(run_id)
        return other is not None and (other.provider, other.channel) == (run.provider, run.channel)


class Leftover(msgspec.Struct):
    """A part of an earlier run, repaired; `renamed`: it has its final name already, and only the manifest lacks it."""

    part: PartFile
    go_on: bool
    renamed: bool = False


class Recovery:
    """Puts in order what a crash left, in an open folder whose lock is held. `header` is that of new files."""

    def __init__(
        self,
        base: Path,
        run: RunStart,
        clock: Clock,
        report: Report,
        header: bytes,
        listed: Callable[[msgspec.Struct], None],
    ) -> None:
        self._base = base
        self._run = run
        self._clock = clock
        self._report = report
        self._header = header
        self._list = listed
        self.history = History.of(base)

    def leftovers(self) -> list[Leftover]:
        """What was being written when its run ended, repaired. Raises OSError."""
        found = [left for entry in list(self.history.open.values()) if (left := self._look_for(entry)) is not None]
        newest = {left.part.entry.file: left for left in found}
        for left in found:  # those before it are complete, and their names come first
            left.go_on = left.go_on and newest[left.part.entry.file] is left
        return found

    def recovered(self, leftovers: list[Leftover]) -> Recovered:
        """How far each symbol had come. Raises OSError."""
        history, run = self.history, self._run
        ends = Ends(frozenset(run.symbols))
        for left in reversed(leftovers):
            entry = left.part.entry
            if entry.run == run.run or history.alike(entry.run, run):
                symbols = frozenset(run.symbols if entry.symbol is None else [entry.symbol])
                ends.read(left.part.path, left.part.codec, run.provider, symbols)
        for file in reversed(history.files.values()):
            path = self._base / file.file
            symbols = ends.wanting(frozenset(file.symbols))
            if symbols and history.alike(file.run, run) and _is_safe(file.file) and disk.is_regular(path):
                try:
                    ends.read(path, _codec(file.format, file.compression), run.provider, symbols)
                except (OSError, ConfigError) as error:
                    self._report("not_read", f"{path} cannot be read, so what it has may be written again: {error}")
        alike = [one for one in history.runs.values() if history.alike(one.run, run)]
        asked = frozenset(alike[-1].symbols) if alike else frozenset()
        return Recovered(ends.found(), asked, history.epochs.get(run.provider, 0), resumed=bool(alike))

    # --- one part ----------------------------------------------------------------------------------------------

    def _look_for(self, entry: PartOpened) -> Leftover | None:
        if not (_is_safe(entry.part) and _is_safe(entry.file)):
            self._report("not_finished", f"the manifest names a part outside of {self._base}: it is left alone")
            return None
        path = self._base / entry.part
        path.with_name(path.name + ".tmp").unlink(missing_ok=True)
        final = self._renamed(entry)
        if final is not None and disk.same_file(path, final):
            path.unlink()  # between the two steps of its publication
        if disk.is_regular(path):
            return self._repaired(entry, path)
        if final is not None:
            return Leftover(self._part(entry, final), go_on=False, renamed=True)
        self._strike_off(entry, "never made, or deleted")
        return None

    def _strike_off(self, entry: PartOpened, reason: str) -> None:
        self._list(FileDeleted(run=self._run.run, file=entry.part, ts=self._clock.now_ns(), reason=reason))

    def _renamed(self, entry: PartOpened) -> Path | None:
        """The finished file of this part that the manifest does not know, if there is one."""
        found, number = None, 0
        while os.path.lexists(name := disk.numbered(self._base / entry.file, number)):
            if name.relative_to(self._base).as_posix() not in self.history.files and disk.is_regular(name):
                found = name
            number += 1
        return found

    def _repaired(self, entry: PartOpened, path: Path) -> Leftover | None:
        if entry.format == "parquet" and survey.is_parquet(path):
            return Leftover(self._part(entry, path), go_on=False)
        try:
            cut = repair(path, _codec(entry.format, entry.compression), self._clock)
        except ConfigError as error:
            self._report("not_finished", f"{path} stays as it is: {error.message}")
            return None
        if cut is not None:
            saved = cut.saved_to.relative_to(self._base).as_posix()
            self._report("torn", f"{cut.bytes:,} torn bytes at the end of {path} were moved to {cut.saved_to.name}")
            self._list(
                Torn(
                    run=self._run.run,
                    file=entry.part,
                    bytes=cut.bytes,
                    saved_to=saved,
                    ts=self._clock.now_ns(),
                    salvaged=cut.salvaged,
                )
            )
        if not path.stat().st_size:  # killed before its first write, or all of it was torn
            path.unlink()
            self._strike_off(entry, "empty")
            return None
        part = self._part(entry, path)
        go_on = self._may_go_on(part)
        if go_on:
            part.entry = msgspec.structs.replace(entry, run=self._run.run)
        return Leftover(part, go_on)

    def _part(self, entry: PartOpened, path: Path) -> PartFile:
        codec = _codec(entry.format, entry.compression)
        part = PartFile(self._base, entry, codec, prior=path.stat().st_size, header=self._header)
        part.path = path
        return part

    def _may_go_on(self, part: PartFile) -> bool:
        """True when this run would write the same kind of records in the same way."""
        entry, run = part.entry, self._run
        other = self.history.runs.get(entry.run)
        if other is None or not self.history.alike(entry.run, run) or other.template != run.template:
            return False
        if (entry.format, entry.compression) != (run.format, run.compression):
            return False
        return not self._header or self._begins_alike(part)

    def _begins_alike(self, part: PartFile) -> bool:
        with os.fdopen(disk.open_read(part.path), "rb") as file:
            block = next(part.codec.blocks(file), b"")
        return not block or block.startswith(self._header)


def _is_safe(name: str) -> bool:
    """True for a relative name that stays inside the folder: a manifest may have been edited."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name


def _codec(form: str, compression: str) -> Codec:
    return CODECS["none"] if form == "parquet" else CODECS.get(compression, CODECS["none"])
