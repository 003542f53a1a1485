"""Which file each event of a batch goes to, and what that adds to the file's tally. Pure.

Nearly every batch is of one type and within one period of the template, so an event costs a look at its symbol and its
time: 0.15 us, measured for bars of 20 symbols in batches of 300.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from tickstream.capture.manifest import Tally
from tickstream.capture.template import FileKey, PathTemplate
from tickstream.events import MARKET_TYPES, Batch, Event, Gap, MarketEvent
from tickstream.timestamps import Timestamp

Group = tuple[str, str]
"""Symbol and interval; those that the template does not ask for are empty."""
_ALL: Group = ("", "")
_FOR_EVER = 1 << 63

_symbol = attrgetter("symbol")
_ts_event = attrgetter("ts_event")


class Placed(NamedTuple):
    """Events of one file, in the order received."""

    key: FileKey
    events: Sequence[Event]
    tally: Tally


class _Current(msgspec.Struct):
    """The file that a group is at."""

    key: FileKey
    begin: int
    end: int
    """Its name holds for times in [begin, end), ns."""


class Placing:
    """`values`: what does not change in a run: provider, channel, and the interval of events that do not say theirs.

    `split` tells a gap of several symbols apart; None: files hold no gap records.
    """

    def __init__(
        self, template: PathTemplate, values: Mapping[str, str], split: Callable[[Gap], list[Gap]] | None = None
    ) -> None:
        self._template = template
        self._values = dict(values)
        self._split = split
        self._by_symbol = "symbol" in template.fields
        self._by_interval = "interval" in template.fields
        self._current: dict[Group, _Current] = {}
        self._latest: dict[str, Group] = {}
        """Symbol, or empty where the template does not ask for it -> the group of its latest file."""

    def place(self, batch: Batch) -> Iterator[Placed]:
        """The market events of a batch, and its gaps for files that hold them, file by file."""
        events, ts_recv = batch.events, batch.ts_recv
        kinds = set(map(type, events))
        if not MARKET_TYPES.issuperset(kinds):
            if self._split is not None and Gap in kinds:
                yield from self._one_by_one(events, ts_recv)
                return
            events = [event for event in events if isinstance(event, MarketEvent)]
            kinds = set(map(type, events))
        tag = _tag(kinds.pop()) if len(kinds) == 1 else None
        for group, mine in self._groups(events):
            placed = self._at_once(group, mine, tag) if tag else None
            if placed is None:
                yield from self._one_by_one(mine, ts_recv)
            else:
                yield placed

    def key_at(self, ts: int) -> FileKey:
        """The file of this time, for a template that asks for time only."""
        return self._key(_ALL, ts)

    def _groups(self, market: Sequence[Event]) -> Iterable[tuple[Group, Sequence[Event]]]:
        if not (self._by_symbol or self._by_interval):
            return [(_ALL, market)] if market else []
        groups: defaultdict[Any, list[Event]] = defaultdict(list)
        if self._by_interval:
            for event in market:
                groups[self._group_of(event)].append(event)
            return groups.items()
        for event in market:
            groups[event.symbol].append(event)  # type: ignore[attr-defined]  # of market events; a cast would cost as much
        return [((symbol, ""), mine) for symbol, mine in groups.items()]

    def _group_of(self, event: Any) -> Group:
        symbol = event.symbol if self._by_symbol else ""
        return symbol, getattr(event, "interval", self._values["interval"]) if self._by_interval else ""

    def _at_once(self, group: Group, mine: Sequence[Event], tag: str) -> Placed | None:
        """Events of one type, when they all belong into the file that their group is at."""
        at = self._current.get(group)
        if at is None:
            return None
        times = list(map(_ts_event, mine))
        try:
            first, last = min(times), max(times)
        except TypeError:  # the provider's time of some is unknown
            return None
        if first is None or first < at.begin or last >= at.end:
            return None
        tally = Tally()
        for symbol, count in [(group[0], len(mine))] if self._by_symbol else Counter(map(_symbol, mine)).items():
            tally.count(symbol, tag, count, first, last)
        return Placed(at.key, mine, tally)

    def _one_by_one(self, events: Sequence[Event], ts_recv: Timestamp) -> Iterator[Placed]:
        """Events of any type and period. A gap stands before the first data after it, in the same file."""
        files: dict[FileKey, list[Event]] = defaultdict(list)
        waiting: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if isinstance(event, MarketEvent):
                ts = ts_recv if event.ts_event is None else event.ts_event
                group = self._group_of(event)
                files[self._key(group, ts)] += [*waiting.pop(group[0], ()), event]
            elif isinstance(event, Gap) and self._split is not None:
                for part in self._split(event) if self._by_symbol else (event,):
                    waiting[part.symbols[0] if self._by_symbol else ""].append(part)
        for symbol, gaps in waiting.items():
            files[self._latest_key(symbol, ts_recv)] += gaps
        for key, mine in files.items():
            yield Placed(key, mine, Tally.of(mine))

    def _latest_key(self, symbol: str, ts: int) -> FileKey:
        """Where a gap goes that no data has ended: behind what came before it."""
        group = self._latest.get(symbol)
        if group is None:
            return self._key((symbol, self._values["interval"] if self._by_interval else ""), ts)
        return self._current[group].key

    def _key(self, group: Group, ts: int) -> FileKey:
        symbol, interval = group
        self._latest[symbol] = group
        at = self._current.get(group)
        if at is None or not at.begin <= ts < at.end:
            key = self._template.key(ts, self._values | {"symbol": symbol, "interval": interval})
            period = self._template.period_ns
            begin, end = (0, _FOR_EVER) if period is None else (ts - ts % period, ts - ts % period + period)
            at = self._current[group] = _Current(key, begin, end)
        return at.key


def alone(gap: Gap) -> list[Gap]:
    """A gap for each of its symbols; what each of them missed is known only if it is one, or if they missed nothing."""
    missed = gap.missed if len(gap.symbols) == 1 or gap.missed == 0 else None
    return [msgspec.structs.replace(gap, symbols=(symbol,), missed=missed) for symbol in gap.symbols]


def _tag(kind: type[Event]) -> str:
    return str(kind.__struct_config__.tag)
