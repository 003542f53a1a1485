"""Verification: events of many files in, an account of each series out. Pure; its memory grows with holes, not events.

What is guaranteed: of numbered events (bars by their time, trades by id, all others by sequence) every hole, duplicate
and disorder is found, however far apart, as long as a series has no more than `MAX_SPANS` holes at once. What nothing
numbers is compared with the last `WINDOW` events of its series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter

import msgspec

from tickstream.capture.manifest import Tally
from tickstream.capture.verifying_bars import BarSeries
from tickstream.capture.verifying_gaps import GapRecords
from tickstream.capture.verifying_numbered import NumberedSeries
from tickstream.capture.verifying_report import GapReport, SeriesReport
from tickstream.capture.verifying_series import Key, Reach, Rules, Series
from tickstream.events import Bar, Event, Gap, MarketEvent
from tickstream.subscriptions import is_wildcard

__all__ = ["Expected", "Key", "Reach", "Rules", "Verifier"]

Expected = Mapping[tuple[str, str], Reach]
"""(provider, symbol) -> where it was asked for."""

_bar_key = attrgetter("provider", "symbol", "interval")
_key = attrgetter("provider", "symbol")
_time = attrgetter("ts_event")


class Verifier:
    """Give it `known_gap` for what the manifest tells, then file by file its events, then ask for the series."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.gaps = GapRecords()
        self.tally = Tally()
        """Of the file at hand."""
        self._file = ""
        self._series: dict[Key, Series] = {}
        self._begun: set[Key] = set()
        """Series that know which file is at hand."""

    def known_gap(self, gap: Gap) -> None:
        """A gap that is told elsewhere; before the events, so that it can explain their holes."""
        self.gaps.add(gap)

    def begin_file(self, name: str) -> Tally:
        """What comes next is from this file. Returns the tally that it will be counted in."""
        self._file = name
        self.tally = Tally()
        self._begun.clear()
        return self.tally

    def take(self, events: Iterable[Event]) -> None:
        """Events in the order of the file; gaps among them are taken note of first."""
        for kind, run in groupby(events, type):
            if issubclass(kind, MarketEvent):
                self._take_market(kind, list(run))  # type: ignore[arg-type]  # that is what groupby says
            elif kind is Gap:
                for gap in run:
                    assert isinstance(gap, Gap)
                    self.tally.count_gap(gap.missed)
                    self.gaps.add(gap)

    def series(self, expected: Expected | None = None) -> list[SeriesReport]:
        """The account of every series, and of every symbol that was asked for and has none."""
        expected = expected or {}
        reports = [self._once(series.report(expected.get(key[:2]))) for key, series in self._series.items()]
        seen = {key[:2] for key in self._series}
        providers = {key.provider for key in self._series}
        for provider, symbol in expected:
            if (provider, symbol) in seen or (is_wildcard(symbol) and provider in providers):
                continue  # a wildcard stands for those that came
            reports.append(self._nothing(provider, symbol, expected[provider, symbol]))
        return sorted(reports, key=lambda one: (one.provider, one.symbol, one.type, one.interval or ""))

    def gap_reports(self, reports: Iterable[SeriesReport]) -> list[GapReport]:
        """The gap records of the symbols of these reports, within the bounds, in the order in which they begin."""
        found = [
            GapReport(
                provider=provider,
                symbol=symbol,
                reason=record.reason,
                start=record.start,
                end=record.end,
                missed=record.missed,
            )
            for provider, symbol in {(one.provider, one.symbol) for one in reports}
            for record in self.gaps.of(provider, symbol, self.rules.start, self.rules.end)
        ]
        return sorted(found, key=lambda one: (one.start, one.provider, one.symbol, one.end))

    def _once(self, report: SeriesReport) -> SeriesReport:
        """A gap costs a book once, and it is the updates that it leaves a hole in."""
        if report.type == "book_snapshot" and Key(report.provider, report.symbol, "book_update") in self._series:
            return msgspec.structs.replace(report, uncertain=0)
        return report

    def _nothing(self, provider: str, symbol: str, reach: Reach | None) -> SeriesReport:
        """A symbol without a single event: it owes what its neighbours have, if those are bars."""
        intervals = {key.interval for key in self._series if key.provider == provider and key.interval}
        if len(intervals) == 1:
            return BarSeries(Key(provider, symbol, "bar", intervals.pop()), self.rules, self.gaps).report(reach)
        types = {key.type for key in self._series if key.provider == provider}
        kind = types.pop() if len(types) == 1 else ""
        return NumberedSeries(Key(provider, symbol, kind), self.rules, self.gaps).report(reach)

    def _take_market(self, kind: type[MarketEvent], events: list[MarketEvent]) -> None:
        name = str(kind.__struct_config__.tag)
        keys = list(map(_bar_key if kind is Bar else _key, events))
        if len(set(keys)) == 1:
            self._hand(name, keys[0], events)
            return
        groups: dict[tuple[str, ...], list[MarketEvent]] = {}
        for key, event in zip(keys, events, strict=True):
            groups.setdefault(key, []).append(event)
        for key, group in groups.items():
            self._hand(name, key, group)

    def _hand(self, name: str, found: tuple[str, ...], events: list[MarketEvent]) -> None:
        key = Key(found[0], found[1], name, *found[2:])
        series = self._series.get(key)
        if series is None:
            kind = BarSeries if name == "bar" else NumberedSeries
            series = self._series[key] = kind(key, self.rules, self.gaps)
        if key not in self._begun:
            self._begun.add(key)
            series.begin_file(self._file)
        times = [time for time in map(_time, events) if time is not None]
        self.tally.count(key.symbol, name, len(events), min(times, default=None), max(times, default=None))
        series.take(events)
