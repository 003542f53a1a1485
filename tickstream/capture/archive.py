"""Captures to be played: which files, whose data, which symbols, and the events of all of them in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tickstream.capture import manifest
from tickstream.capture.chunks import Chunk
from tickstream.capture.playback import LOOK_AHEAD, Stretch, Wanted, merged
from tickstream.capture.reading import ReadOptions, Source, sources
from tickstream.capture.verifying_files import base_of, book_of
from tickstream.capture.verifying_manifest import Book
from tickstream.errors import UsageError
from tickstream.events import Bar, Event, Gap, MarketEvent


class _Known:
    """A file of which the beginning is remembered."""

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self.source = source
        market = [] if source.path is None else source.first_events()
        self._first = market[:1]
        self.series = dict.fromkeys((event.provider, event.symbol) for event in market)
        self.types = frozenset(map(type, market))
        self.intervals = frozenset(event.interval for event in market if isinstance(event, Bar))
        self.provider = market[0].provider if market else ""

    def chunks(self) -> Iterator[Chunk]:
        return self.source.chunks()

    def first_events(self) -> list[MarketEvent]:
        return self._first


class Archive:
    """The files of some paths, and what can be known of them without reading them: from manifests and first events.

    Raises UsageError for paths that do not exist, InputError for folders that cannot be read.
    """

    def __init__(self, paths: Iterable[str], options: ReadOptions, wanted: Wanted) -> None:
        self._wanted = wanted
        self._books: dict[Path, Book] = {}
        self._bases: dict[Path, Path | None] = {}
        groups = [self._in_bounds(sources([path], options)) for path in paths]
        self._looked_at = [[_Known(source) for source in group[:LOOK_AHEAD]] for group in groups]
        self._later = [group[LOOK_AHEAD:] for group in groups]
        known = [one for group in self._looked_at for one in group]
        self.provider = next((one.provider for one in known if one.provider), "") or self._asked_of()
        """Whose data it is; `unknown` where nothing says it."""
        self.types = frozenset[type[Event]]().union(*(one.types for one in known))
        """Of the first events."""
        self.intervals = frozenset[str]().union(*(one.intervals for one in known))
        """Of the first bars."""
        self.formats = frozenset(one.source.format for one in known if one.source.format is not None)

    def stretches(self) -> Iterator[Stretch]:
        """All events that are wanted, from the beginning, and the gaps that stand in no file. As `merged` raises."""
        return merged(self._groups(), self._wanted, self._untold_gaps())

    def symbols(self, *, everyone: bool = False) -> tuple[str, ...]:
        """In the order in which they were asked for, then as they are found; `everyone`: see `series`."""
        each = self.series(everyone=everyone).values()
        return tuple(dict.fromkeys(symbol for symbols in each for symbol in symbols))

    def series(self, *, everyone: bool = False) -> dict[str, tuple[str, ...]]:
        """The symbols by provider, both in the order in which they were asked for, then as they are found.

        `everyone`: also those that no manifest and no first event names, by reading all that no manifest lists. Raises
        UsageError if that is standard input.
        """
        found = dict.fromkeys(pair for group in self._looked_at for one in group for pair in one.series)
        whose = {run.run: run.provider for book in self._books.values() for run in book.runs}
        for source in self._sources():
            entry = self._entry(source)
            if entry is not None:
                provider = whose.get(entry.run, self.provider)
                found.update(dict.fromkeys((provider, symbol) for symbol in entry.symbols))
            elif everyone:
                found.update(dict.fromkeys(_series_in(source)))
        runs = [run for book in self._books.values() for run in book.runs]
        asked = [(run.provider, symbol) for run in runs for symbol in run.symbols]
        by_provider: dict[str, list[str]] = {}
        for provider, symbol in dict.fromkeys([*(pair for pair in asked if pair in found), *found]):
            by_provider.setdefault(provider, []).append(symbol)
        return {provider: tuple(symbols) for provider, symbols in by_provider.items()}

    def _groups(self) -> Iterator[Iterable[_Known]]:
        for looked_at, later in zip(self._looked_at, self._later, strict=True):
            yield _chained(looked_at, later)

    def _sources(self) -> Iterator[Source]:
        for looked_at, later in zip(self._looked_at, self._later, strict=True):
            yield from (one.source for one in looked_at)
            yield from later

    # --- what manifests say -------------------------------------------------------------------------------------------

    def _in_bounds(self, group: Sequence[Source]) -> list[Source]:
        """Without the files that hold nothing of what is wanted, where a manifest says so."""
        start, end = self._wanted.start, self._wanted.end
        kept = []
        for source in group:
            said = self._entry(source)
            before = said is not None and said.last is not None and start is not None and said.last < start
            behind = said is not None and said.first is not None and end is not None and said.first >= end
            if not before and not behind:
                kept.append(source)
        return kept

    def _entry(self, source: Source) -> manifest.FileFinished | None:
        """What the manifest says of a finished file."""
        if source.path is None:
            return None
        base = self._base_of(source.path.parent)
        if base is None:
            return None
        inside = (source.path.parent.resolve() / source.path.name).relative_to(base)
        return self._books[base].files.get(inside.as_posix())

    def _base_of(self, folder: Path) -> Path | None:
        if folder not in self._bases:
            base = self._bases[folder] = base_of(folder)
            if base is not None and base not in self._books:
                self._books[base] = book_of(base)
        return self._bases[folder]

    def _asked_of(self) -> str:
        return next((run.provider for book in self._books.values() for run in book.runs), "unknown")

    def _untold_gaps(self) -> list[Gap]:
        """Gaps that stand in a manifest only: files other than JSON lines hold none. They are by our clock."""
        by, start, end, _ = self._wanted
        if "jsonl" in self.formats or by != "ts_recv":
            return []
        mine = set(self.symbols())
        return [
            gap
            for book in self._books.values()
            for gap in book.gaps
            if not mine.isdisjoint(gap.symbols)
            and (start is None or gap.end >= start)
            and (end is None or gap.start < end)
        ]


def _chained(looked_at: list[_Known], later: list[Source]) -> Iterator[_Known]:
    yield from looked_at
    yield from map(_Known, later)


def _series_in(source: Source) -> Iterator[tuple[str, str]]:
    if source.path is None:
        raise UsageError("What comes from stdin is not known beforehand.", hint="Write it to a file, and name that.")
    for chunk in source.chunks():
        yield from {(event.provider, event.symbol) for event in chunk.events if isinstance(event, MarketEvent)}
