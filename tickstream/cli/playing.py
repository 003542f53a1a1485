"""A replay put together: which files, whose data, which symbols, and the player over them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from tickstream.capture import manifest
from tickstream.capture.chunks import Chunk
from tickstream.capture.playback import LOOK_AHEAD, Wanted, merged
from tickstream.capture.reading import ReadOptions, Source, sources
from tickstream.capture.verifying_files import base_of
from tickstream.capture.verifying_manifest import Book
from tickstream.cli.environment import Environment
from tickstream.cli.outputs import OutputOptions
from tickstream.cli.player import Pace, Player, ReplayClock
from tickstream.cli.source import Stream
from tickstream.errors import UsageError
from tickstream.events import Bar, BookSnapshot, BookUpdate, Event, Gap, MarketEvent, OrderUpdate, Quote, Trade
from tickstream.sinks.fields import union
from tickstream.status import RunStatus
from tickstream.subscriptions import Channel

SILENCE_S = 150.0
"""Of the capture's time: without data for so long, in an open market, a symbol is stale."""
_CHANNELS: dict[type[Event], Channel] = {
    Bar: Channel.BARS,
    Quote: Channel.QUOTES,
    Trade: Channel.TRADES,
    BookSnapshot: Channel.BOOK,
    BookUpdate: Channel.BOOK,
    OrderUpdate: Channel.ORDERS,
}


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the replay."""

    paths: tuple[str, ...]
    read: ReadOptions
    wanted: Wanted = Wanted()
    pace: Pace = Pace()
    once: bool = False
    """Every symbol has to be known before it begins."""


class _Known:
    """A file of which the beginning is remembered."""

    def __init__(self, source: Source) -> None:
        self.path = source.path
        self.source = source
        market = [] if source.path is None else source.first_events()
        self._first = market[:1]
        self.symbols = dict.fromkeys(event.symbol for event in market)
        self.types = frozenset(map(type, market))
        self.provider = market[0].provider if market else ""

    def chunks(self) -> Iterator[Chunk]:
        return self.source.chunks()

    def first_events(self) -> list[MarketEvent]:
        return self._first


class Replay:
    """Everything about a replay that is known before it begins.

    Raises UsageError and InputError for paths that cannot be read.
    """

    def __init__(self, env: Environment, options: ReplayOptions) -> None:
        self._options = options
        self._books: dict[Path, Book] = {}
        self._bases: dict[Path, Path | None] = {}
        groups = [self._in_bounds(sources([path], options.read)) for path in options.paths]
        self._looked_at = [[_Known(source) for source in group[:LOOK_AHEAD]] for group in groups]
        self._later = [group[LOOK_AHEAD:] for group in groups]
        known = [one for group in self._looked_at for one in group]
        self.provider = next((one.provider for one in known if one.provider), "") or self._provider()
        self.types = frozenset[type[Event]]().union(*(one.types for one in known))
        self.symbols = self._symbols(known)
        if options.wanted.payloads and any(one.source.format not in ("raw", None) for one in known):
            raise UsageError(
                "-o raw needs a raw capture: these files hold events, not the provider's messages.",
                hint="Use -o jsonl, or capture with -o raw.",
            )
        stretches = merged(self._groups(), options.wanted, self._untold_gaps(known))
        self.player = Player(stretches, env.clock, options.pace, self.provider)
        self.env = replace(env, clock=ReplayClock(env.clock, self.player))
        """With the time of the capture: what is fresh, and whether its market is open, is told by that."""

    def stream(self) -> Stream:
        """As an output takes it."""
        speed = self._options.pace.speed
        return Stream(
            self.player,
            (),
            RunStatus("REPLAY", self.provider, [], self.symbols),
            self._channel(),
            math.inf if math.isinf(speed) else max(1.0, SILENCE_S / speed),
        )

    def columns(self, options: OutputOptions) -> OutputOptions:
        """The output's options; a CSV of several types of events gets the columns of all of them."""
        if options.format == "csv" and options.fields is None and len(self.types) > 1:
            known = [kind for kind in _CHANNELS if kind in self.types]
            return replace(options, fields=union(known))
        return options

    def _channel(self) -> Channel:
        return next((channel for kind, channel in _CHANNELS.items() if kind in self.types), Channel.BARS)

    # --- files --------------------------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[Iterable[_Known]]:
        for looked_at, later in zip(self._looked_at, self._later, strict=True):
            yield _chained(looked_at, later)

    def _in_bounds(self, group: list[Source]) -> list[Source]:
        """Without the files that hold nothing of what is wanted, where a manifest says so."""
        _, start, end, _ = self._options.wanted
        kept = []
        for source in group:
            said = self._entry(source)
            before = said is not None and said.last is not None and start is not None and said.last < start
            behind = said is not None and said.first is not None and end is not None and said.first >= end
            if not before and not behind:
                kept.append(source)
        return kept

    def _entry(self, source: Source) -> manifest.FileFinished | None:
        book = self._book(source)
        if book is None or source.path is None:
            return None
        base = self._bases[source.path.parent]
        assert base is not None
        return book.files.get((source.path.parent.resolve() / source.path.name).relative_to(base).as_posix())

    def _book(self, source: Source) -> Book | None:
        if source.path is None:
            return None
        folder = source.path.parent
        if folder not in self._bases:
            self._bases[folder] = base_of(folder)
        base = self._bases[folder]
        if base is None:
            return None
        if base not in self._books:
            self._books[base] = Book(manifest.read(base))
        return self._books[base]

    # --- whose data, and which symbols --------------------------------------------------------------------------------

    def _provider(self) -> str:
        return next((run.provider for book in self._books.values() for run in book.runs), "unknown")

    def _symbols(self, known: list[_Known]) -> tuple[str, ...]:
        """In the order in which they were asked for, then as they are found."""
        found = dict.fromkeys(symbol for one in known for symbol in one.symbols)
        listed = [self._entry(source) for source in self._all_sources()]
        if self._options.once and not all(listed):
            found.update(dict.fromkeys(self._all_symbols()))
        found.update(dict.fromkeys(symbol for entry in listed if entry is not None for symbol in entry.symbols))
        asked = [symbol for book in self._books.values() for run in book.runs for symbol in run.symbols]
        return tuple(dict.fromkeys([*(symbol for symbol in asked if symbol in found), *found]))

    def _all_sources(self) -> Iterator[Source]:
        for looked_at, later in zip(self._looked_at, self._later, strict=True):
            yield from (one.source for one in looked_at)
            yield from later

    def _all_symbols(self) -> Iterator[str]:
        """By reading everything: --once needs to know whom to wait for."""
        for source in self._all_sources():
            if source.path is None:
                raise UsageError("--once needs files: what comes from stdin is not known beforehand.")
            for chunk in source.chunks():
                yield from {event.symbol for event in chunk.events if isinstance(event, MarketEvent)}

    def _untold_gaps(self, known: list[_Known]) -> list[Gap]:
        """Gaps that stand in a manifest only: files other than JSON lines hold none."""
        by, start, end, _ = self._options.wanted
        told = any(one.source.format == "jsonl" for one in known)
        if told or by != "ts_recv":
            return []
        mine = set(self.symbols)
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
