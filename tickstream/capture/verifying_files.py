"""Verification of files on the disk: each is read once, and hashed if a manifest lists it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tickstream.capture import manifest
from tickstream.capture.lock import is_held
from tickstream.capture.manifest import Tally
from tickstream.capture.reading import Chunk, ReadOptions, Source, sources
from tickstream.capture.verifying import Expected, Verifier
from tickstream.capture.verifying_manifest import Book, Held
from tickstream.capture.verifying_report import MAX_GAPS, FileReport, ReadReport, Report
from tickstream.capture.verifying_series import Reach, Rules
from tickstream.clock import Clock
from tickstream.errors import InputError, UsageError

MAX_BAD_LINES = 20
"""Of each file are kept to be shown; all are counted."""
HASHED_BESIDE = 2**20
"""Bytes. Smaller files are not worth a thread."""

Progress = Callable[[int, int], None]
"""Called for each chunk with the bytes of the files read so far, and how many there are."""


class _Base:
    """A capture folder: where its manifest is, and what that says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.book = book_of(folder)
        self.tallies: dict[str, Tally] = {}
        runs = self.book.run_reports()
        self.goes_on = bool(runs) and runs[-1].ended is None and is_held(folder)


class Verification:
    """Made for one use: `run()` reads everything and returns the report.

    Raises UsageError for paths that do not exist, ConfigError for what needs an extra that is not installed.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        rules: Rules,
        options: ReadOptions,
        clock: Clock,
        progress: Progress | None = None,
    ) -> None:
        self._paths = [str(path) for path in paths]
        self._clock = clock
        self._progress = progress
        self._verifier = Verifier(rules)
        self._bases: dict[Path, _Base] = {}
        self._folders: dict[Path, _Base | None] = {}
        """Folder -> the capture it belongs to."""
        self._sources = self._find(options)
        self._sizes = {source.name: _size(source.path) for source in self._sources}
        self._read = 0
        self._all = sum(self._sizes.values())

    def run(self) -> Report:
        """Read it all."""
        began = self._clock.monotonic()
        for base in self._bases.values():
            for gap in base.book.gaps:
                self._verifier.known_gap(gap)
        files = [self._file(source) for source in self._sources]
        missing = self._missing_files()
        series = self._verifier.series(self._expected())
        gaps = self._verifier.gap_reports(series)
        seconds = self._clock.monotonic() - began
        return Report(
            series=tuple(series),
            files=(*files, *missing),
            runs=tuple(run for base in self._covered() for run in base.book.run_reports(goes_on=base.goes_on)),
            gaps=tuple(gaps[:MAX_GAPS]),
            more_gaps=max(0, len(gaps) - MAX_GAPS),
            read=ReadReport(
                files=len(files), bytes=self._read, events=sum(one.events for one in files), seconds=seconds
            ),
        )

    # --- files ------------------------------------------------------------------------------------------------------

    def _find(self, options: ReadOptions) -> list[Source]:
        found: dict[str, Source] = {}
        for path in self._paths:
            place = Path(path)
            try:
                some = sources([path], options)
            except UsageError:
                if not place.is_dir() or self._base_of(place) is None:
                    raise
                some = []  # all of its files are gone: that is for the manifest to say
            found.update((source.name, source) for source in some)
            for folder in {source.path.parent for source in some if source.path is not None}:
                self._base_of(folder)
        return list(found.values())

    def _base_of(self, folder: Path) -> _Base | None:
        """The capture that this folder is, or is in."""
        if folder not in self._folders:
            place = base_of(folder)
            base = None if place is None else self._bases.get(place)
            if place is not None and base is None:
                base = self._bases[place] = _Base(place)
            self._folders[folder] = base
        return self._folders[folder]

    def _file(self, source: Source) -> FileReport:
        tally = self._verifier.begin_file(source.name)
        base = None if source.path is None else self._base_of(source.path.parent)
        inside = "" if base is None or source.path is None else _inside(source.path, base.folder)
        listed = base is not None and inside in base.book.files
        hashing = _Hashing(source.path) if listed and source.path is not None else None
        account = _Account()
        try:
            for chunk in source.chunks():
                self._verifier.take(chunk.events)
                account.add(chunk)
                self._tell(source)
            unreadable = account.senseless
        except (InputError, UsageError) as error:
            unreadable = str(error)
        size = self._sizes[source.name] or source.consumed
        self._read += size
        problems: list[str] = []
        state = "unlisted"
        if base is not None:
            base.tallies[inside] = tally
            state = base.book.state(inside)
            if state == "unfinished" and base.goes_on:
                state = "being written"
            if hashing is not None and unreadable is None:
                problems = base.book.disagreements(inside, Held(bytes=size, sha256=hashing.digest(), tally=tally))
        return FileReport(
            file=source.name,
            state=state,  # type: ignore[arg-type]  # the book's word, or one of ours
            bytes=size,
            lines=account.lines,
            events=tally.events,
            torn=account.torn,
            bad=account.bad,
            bad_lines=tuple(account.bad_lines),
            problems=tuple(problems),
            unreadable=unreadable,
        )

    def _tell(self, source: Source) -> None:
        if self._progress is not None:
            self._progress(self._read + source.consumed, self._all)

    def _missing_files(self) -> list[FileReport]:
        """What a manifest lists within the paths given, and is not there."""
        found = []
        for base in self._bases.values():
            for file, entry in base.book.files.items():
                path = base.folder / file
                if file not in base.tallies and self._was_asked_for(path) and not path.exists():
                    problem = f"the manifest has it with {entry.events:,} events, and it is not there"
                    found.append(FileReport(file=str(path), state="missing", problems=(problem,)))
            for taken in base.book.taken:
                if self._was_asked_for(path := base.folder / taken.file):
                    problem = f"it was {taken.reason} while it was written, with what was in it"
                    found.append(FileReport(file=str(path), state="missing", problems=(problem,)))
        return found

    def _was_asked_for(self, path: Path) -> bool:
        return any(path.is_relative_to(Path(one).resolve()) for one in self._paths if Path(one).is_dir())

    # --- what was expected ------------------------------------------------------------------------------------------

    def _covered(self) -> list[_Base]:
        """The captures of which everything was to be read."""
        return [base for base in self._bases.values() if self._was_asked_for(base.folder)]

    def _expected(self) -> Expected:
        """Only where everything was read can one say what is missing at the ends."""
        expected: dict[tuple[str, str], Reach] = {}
        for base in self._covered():
            expected.update(base.book.reaches(base.tallies, at_rest=not base.goes_on))
        return expected


class _Account:
    """What reading one file has brought so far."""

    def __init__(self) -> None:
        self.lines = self.usable = self.bad = 0
        self.torn: str | None = None
        self.bad_lines: list[str] = []

    def add(self, chunk: Chunk) -> None:
        self.lines += chunk.lines
        self.usable += len(chunk.events)
        self.bad += len(chunk.bad)
        room = MAX_BAD_LINES - len(self.bad_lines)
        self.bad_lines += [f"line {one.line}: {one.reason}" for one in chunk.bad[:room]]
        if chunk.torn is not None:
            self.torn = f"line {chunk.torn.line}: {chunk.torn.reason}"

    @property
    def senseless(self) -> str | None:
        """Why it is no file of events at all, if it is none."""
        if self.usable or not self.bad:
            return None
        return f"no line of it is an event; {self.bad_lines[0]}"


class _Hashing:
    """The SHA-256 of a file, computed beside its reading; None where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest: str | None = None
        self._thread = threading.Thread(target=self._run, name="sha256", daemon=True)
        if _size(path) > HASHED_BESIDE:
            self._thread.start()

    def digest(self) -> str | None:
        """In hexadecimal."""
        if self._thread.ident is None:
            self._run()
        else:
            self._thread.join()
        return self._digest

    def _run(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            self._digest = hashlib.file_digest(file, "sha256").hexdigest()


def book_of(base: Path) -> Book:
    """The manifest of a capture folder. Raises InputError when it cannot be read."""
    try:
        return Book(manifest.read(base))
    except OSError as error:
        raise InputError(f"Cannot read {base / manifest.NAME}: {error.strerror or error}.") from error


def base_of(folder: Path) -> Path | None:
    """The folder with the manifest of the capture that this folder is, or is in; None where there is none."""
    here = folder.resolve()
    return next((place for place in (here, *here.parents) if (place / manifest.NAME).is_file()), None)


def _inside(path: Path, folder: Path) -> str:
    """A file's name as its manifest writes it: relative, with slashes."""
    return (path.parent.resolve() / path.name).relative_to(folder).as_posix()


def _size(path: Path | None) -> int:
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:
        return 0  # reading it will say why
