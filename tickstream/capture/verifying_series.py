"""What all series of a capture have in common: events, findings, holes and the gap records that explain them. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

import msgspec

from tickstream.capture.verifying_gaps import GapRecord, GapRecords
from tickstream.capture.verifying_prices import crossed_events
from tickstream.capture.verifying_report import MAX_EXAMPLES, MAX_HOLES, Example, Finding, Hole, SeriesReport
from tickstream.capture.verifying_spans import MAX_SPANS
from tickstream.events import MarketEvent
from tickstream.markets import Market
from tickstream.timestamps import Timestamp

Numbering = Literal["auto", "contiguous", "increasing"]

_time = attrgetter("ts_event")


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected. Bounds are of `ts_event` (`ts_recv` where it is unknown): [start, end)."""

    market_of: Callable[[str, str], Market]
    """(provider, symbol) -> its market."""
    pause_of: Callable[[str, str], Market | None] = lambda _provider, _symbol: None
    """(provider, symbol) -> when it may be silent all the same."""
    bars_once: Callable[[str], bool] = lambda _provider: True
    """Whether a provider sends each bar once, complete. Of others, bars that do not say they are closed may change."""
    start: Timestamp | None = None
    end: Timestamp | None = None
    numbering: Numbering = "auto"
    """Whether each id is one more than the last. auto: yes, if most of them are."""
    max_spans: int = MAX_SPANS


class Key(NamedTuple):
    """What makes a series."""

    provider: str
    symbol: str
    type: str
    interval: str | None = None


class Reach(NamedTuple):
    """From the first to the last event that it has to have had, market time in ns. None: what is there tells.

    The bars at these two ends are not owed: a run may begin and end amid a round of pushes.
    """

    first: int | None = None
    last: int | None = None


class Series(ABC):
    """Takes events, file by file, and gives a report at the end."""

    def __init__(self, key: Key, rules: Rules, gaps: GapRecords) -> None:
        self.key = key
        self.rules = rules
        self.market = rules.market_of(key.provider, key.symbol)
        self._gaps = gaps
        self._file = ""
        self._events = 0
        self._first: Timestamp | None = None
        self._last: Timestamp | None = None
        self._before: int | None = None
        """When the last event before the bounds was received."""
        self._after: int | None = None
        """When the first event after the bounds was received."""
        self.last_recv: int | None = None
        """When the last event was received."""
        self._counts = dict.fromkeys(Finding, 0)
        self._examples: list[Example] = []
        self._holes: list[Hole] = []
        self._hole_count = self._missing = self._explained = 0

    def begin_file(self, name: str) -> None:
        """What comes next is from this file."""
        self._file = name

    def take(self, events: Sequence[MarketEvent]) -> None:
        """Events of this series, in the order of the file."""
        if self.rules.start is not None or self.rules.end is not None:
            events = self._within(events)
        if not events:
            return
        self._events += len(events)
        times = list(map(_time, events))
        known = times if None not in times else [time for time in times if time is not None]
        if known:
            low, high = min(known), max(known)
            self._first = low if self._first is None else min(self._first, low)
            self._last = high if self._last is None else max(self._last, high)
        self.last_recv = max(self.last_recv or 0, events[-1].ts_recv)
        for at in crossed_events(events):
            self.note(Finding.CROSSED, events[at])
        self.check(events, times)

    @abstractmethod
    def check(self, events: Sequence[MarketEvent], times: list[Timestamp | None]) -> None:
        """Look for duplicates and disorder; `times` are their `ts_event`."""

    @abstractmethod
    def report(self, reach: Reach | None) -> SeriesReport:
        """The account, once all is taken. `reach`: where it was asked for, if that is known."""

    def note(self, finding: Finding, event: MarketEvent) -> None:
        """An event is a finding."""
        self._counts[finding] += 1
        if self._counts[finding] <= MAX_EXAMPLES:
            self._examples.append(Example(finding, self._file, event.ts_event, event.ts_recv))

    def hole(self, hole: Hole, record: GapRecord | None) -> None:
        """Something is missing, explained by this record, or by none."""
        self._hole_count += 1
        self._missing += hole.missing
        self._explained += hole.missing if record is not None else 0
        if len(self._holes) < MAX_HOLES:
            explained = msgspec.structs.replace(hole, explained=record.reason) if record is not None else hole
            self._holes.append(explained)

    def forget_holes(self) -> None:
        """They were none: the numbers do not follow one another."""
        self._holes.clear()
        self._hole_count = self._missing = self._explained = 0

    @property
    def missing(self) -> int:
        """Of all holes so far."""
        return self._missing

    def between(self, before: int | None, after: int | None) -> GapRecord | None:
        """A gap record between two moments of reception."""
        return self._gaps.between(self.key.provider, self.key.symbol, before, after)

    def records(self) -> list[GapRecord]:
        """The gap records of the symbol; where there are bounds, those within."""
        return self._gaps.of(self.key.provider, self.key.symbol, self.rules.start, self.rules.end)

    def unanswered(self) -> list[GapRecord]:
        """Gap records with nothing received after them: what they cost shows nowhere else."""
        last = self.last_recv
        if self._after is not None:
            return []
        return [record for record in self.records() if last is None or (record.start >= last and record.end > last)]

    def costs_something(self, record: GapRecord) -> bool:
        """Whether anything can have been lost in it: the market was open, or it says so."""
        if record.missed is not None:
            return record.missed > 0
        market = self.market
        return (
            market.is_open(record.start)
            or market.is_open(record.end)
            or market.open_minutes(record.start, record.end) > 0
        )

    def made(self, **more: Any) -> SeriesReport:
        """The report, with what the kind of series knows beside."""
        return SeriesReport(
            provider=self.key.provider,
            symbol=self.key.symbol,
            type=self.key.type,
            interval=self.key.interval,
            events=self._events,
            first=self._first,
            last=self._last,
            missing=self._missing,
            explained=self._explained,
            duplicates=self._counts[Finding.DUPLICATE],
            out_of_order=self._counts[Finding.OUT_OF_ORDER],
            crossed=self._counts[Finding.CROSSED],
            gaps=len(self.records()),
            holes=tuple(self._holes),
            more_holes=self._hole_count - len(self._holes),
            examples=tuple(self._examples),
            **more,
        )

    def _within(self, events: Sequence[MarketEvent]) -> Sequence[MarketEvent]:
        """Those within the bounds; of the others, when they were received next to the bounds."""
        kept = []
        for event in events:
            moment = event.ts_recv if event.ts_event is None else event.ts_event
            if self.rules.start is not None and moment < self.rules.start:
                self._before = max(self._before or 0, event.ts_recv)
            elif self.rules.end is not None and moment >= self.rules.end:
                self._after = event.ts_recv if self._after is None else min(self._after, event.ts_recv)
            else:
                kept.append(event)
        return kept
