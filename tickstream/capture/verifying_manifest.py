"""What a manifest says, set against what the files hold. Pure: entries and tallies in, disagreements out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tickstream.capture.manifest import BY_OTHERS, FileDeleted, FileFinished, PartOpened, RunEnd, RunStart, Tally, Torn
from tickstream.capture.verifying_report import FileState, RunReport
from tickstream.capture.verifying_series import Reach
from tickstream.events import Gap, Notice
from tickstream.pipeline.gaps import REFUSALS


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a file turned out to hold. `sha256` None: it was not computed."""

    bytes: int
    sha256: str | None
    tally: Tally


class Book:
    """The entries of one manifest."""

    def __init__(self, entries: Iterable[Any]) -> None:
        self.runs: list[RunStart] = []
        self.gaps: list[Gap] = []
        self.torn: list[Torn] = []
        self.files: dict[str, FileFinished] = {}
        """Finished and not deleted, by their path relative to the manifest."""
        self.parts: dict[str, PartOpened] = {}
        """Announced and not finished, by the path of the part."""
        self.taken: list[FileDeleted] = []
        """Parts that somebody took away while they were written, with what was in them."""
        self.retired = False
        """Finished files were deleted, as `--keep` asks: what came first is not there any more."""
        self._ends: dict[str, RunEnd] = {}
        self._refused: dict[str, dict[str, None]] = {}
        for entry in entries:
            self._enter(entry)

    def state(self, file: str) -> FileState:
        """What the manifest knows of a file that is there."""
        if file in self.files:
            return "listed"
        return "unfinished" if file in self.parts or file.endswith(".part") else "unlisted"

    def run_reports(self, *, goes_on: bool = False) -> list[RunReport]:
        """All runs, in order. `goes_on`: the last of them has not ended yet."""
        return [self._run_report(run, goes_on and run is self.runs[-1]) for run in self.runs]

    def disagreements(self, file: str, held: Held) -> list[str]:
        """What is said of a finished file and is not so."""
        said = self.files.get(file)
        if said is None:
            return []
        found = []
        if said.bytes != held.bytes:
            found.append(f"it has {held.bytes:,} bytes, and had {said.bytes:,} when it was finished")
        elif held.sha256 is not None and said.sha256 != held.sha256:
            found.append("its content has changed since it was finished (SHA-256)")
        elif said.format == "raw":
            return []  # the messages are the same: it is the decoder that reads them differently now
        before, now = _by_symbol_and_type(said.symbols), _by_symbol_and_type(held.tally.symbols)
        found += [
            f"{symbol}: {now.get((symbol, kind), 0):,} {kind}, the manifest has {before.get((symbol, kind), 0):,}"
            for symbol, kind in sorted({*before, *now})
            if before.get((symbol, kind)) != now.get((symbol, kind))
        ]
        if (said.first, said.last) != (held.tally.first, held.tally.last) and not found:
            found.append("its first or last ts_event is not the manifest's")
        return found

    def reaches(self, tallies: Mapping[str, Tally], *, at_rest: bool) -> dict[tuple[str, str], Reach]:
        """Where each symbol was asked for, by (provider, symbol); `tallies` of all files, `at_rest`: no run goes on.

        The symbols of the first run are owed from the first event of all on, those of the last run until the last.
        Others may have been added or left out on purpose: for these, what is there tells.
        """
        found: dict[tuple[str, str], Reach] = {}
        for provider in {run.provider for run in self.runs}:
            runs = [run for run in self.runs if run.provider == provider]
            symbols = {symbol for run in runs for symbol in run.symbols}
            mine = [tally for tally in tallies.values() if not symbols.isdisjoint(tally.symbols)]
            first = min((tally.first for tally in mine if tally.first is not None), default=None)
            last = max((tally.last for tally in mine if tally.last is not None), default=None)
            for symbol in symbols:
                begins = first if symbol in runs[0].symbols and not self.retired else None
                ends = last if symbol in runs[-1].symbols and at_rest else None
                if not self._is_refused(symbol, runs):
                    found[provider, symbol] = Reach(begins, ends)
        return found

    def _enter(self, entry: Any) -> None:
        match entry:
            case RunStart():
                self.runs.append(entry)
            case RunEnd():
                self._ends[entry.run] = entry
            case PartOpened():
                self.parts[entry.part] = entry
            case FileFinished():
                self.files[entry.file] = entry
                self.parts.pop(entry.part, None)
            case FileDeleted():
                self.retired = self.files.pop(entry.file, None) is not None or self.retired
                if self.parts.pop(entry.file, None) is not None and entry.reason.endswith(BY_OTHERS):
                    self.taken.append(entry)
            case Gap():
                self.gaps.append(entry)
            case Torn():
                self.torn.append(entry)
            case Notice() if entry.code in REFUSALS and self.runs:
                self._refused.setdefault(self.runs[-1].run, {}).update(dict.fromkeys(entry.symbols))

    def _run_report(self, run: RunStart, goes_on: bool) -> RunReport:
        end = self._ends.get(run.run)
        return RunReport(
            run=run.run,
            provider=run.provider,
            symbols=run.symbols,
            started=run.started,
            ended=None if end is None else end.ts_recv,
            exit_code=None if end is None else end.exit_code,
            dropped=0 if end is None else end.dropped,
            quarantined=0 if end is None else end.quarantined,
            refused=tuple(self._refused.get(run.run, ())),
            goes_on=goes_on,
        )

    def _is_refused(self, symbol: str, runs: list[RunStart]) -> bool:
        """In every run that asked for it."""
        return all(symbol in self._refused.get(run.run, ()) for run in runs if symbol in run.symbols)


def _by_symbol_and_type(counts: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, str], int]:
    return {(symbol, kind): count for symbol, kinds in counts.items() for kind, count in kinds.items()}
