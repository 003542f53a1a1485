"""Which file each event goes to: by symbol, interval and time, gaps with the data that ended them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tickstream.capture.manifest import Tally
from tickstream.capture.template import FileKey, PathTemplate
from tickstream.events import Event, Gap, MarketEvent

Group = tuple[str, str]
"""Symbol and interval; those that the template does not ask for are empty."""
_FOR_EVER = 1 << 63


class Placed(NamedTuple):
    """Events of one file, in the order received."""

    key: FileKey
    events: Sequence[Event]
    tally: Tally


class Period(NamedTuple):
    """Names hold for times in [begin, end), ns."""

    begin: int
    end: int


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
        self.by_symbol = "symbol" in template.fields
        self.by_interval = "interval" in template.fields
        self._current: dict[Group, tuple[Period, FileKey]] = {}
        """Where each group is."""
        self._latest: dict[str, Group] = {}
        """Symbol, or empty where the template does not ask for it -> the group of its latest file."""

    def period(self, ts: int) -> Period:
        """The period of this time: within it each group has one file."""
        length = self._template.period_ns
        return Period(0, _FOR_EVER) if length is None else Period(ts - ts % length, ts - ts % length + length)

    def key(self, ts: int, symbol: str = "") -> FileKey:
        """The file of this time, and symbol if the template asks for it, for events that do not say their interval."""
        return self._key((symbol, self._values["interval"] if self.by_interval else ""), ts)

    def place(self, events: Sequence[Event], now_ns: int) -> Iterator[Placed]:
        """Market events of any type and time, and the gaps for files that hold them, file by file.

        A gap stands before the first data after it, in the same file; one that no data has ended goes behind what came
        before it. `now_ns` is the time of a gap that is the first of its file.
        """
        files: dict[FileKey, list[Event]] = defaultdict(list)
        waiting: dict[str, list[Event]] = defaultdict(list)
        for event in events:
            if isinstance(event, MarketEvent):
                ts = event.ts_recv if event.ts_event is None else event.ts_event
                group = self._group_of(event)
                files[self._key(group, ts)] += [*waiting.pop(group[0], ()), event]
            elif isinstance(event, Gap) and self._split is not None:
                for part in self._split(event) if self.by_symbol else (event,):
                    waiting[part.symbols[0] if self.by_symbol else ""].append(part)
        for symbol, gaps in waiting.items():
            latest = self._latest.get(symbol)
            files[self.key(now_ns, symbol) if latest is None else self._current[latest][1]] += gaps
        for key, mine in files.items():
            yield Placed(key, mine, Tally.of(mine))

    def _group_of(self, event: Any) -> Group:
        symbol = event.symbol if self.by_symbol else ""
        return symbol, getattr(event, "interval", self._values["interval"]) if self.by_interval else ""

    def _key(self, group: Group, ts: int) -> FileKey:
        symbol, interval = group
        self._latest[symbol] = group
        at = self._current.get(group)
        if at is None or not at[0].begin <= ts < at[0].end:
            key = self._template.key(ts, self._values | {"symbol": symbol, "interval": interval})
            at = self._current[group] = self.period(ts), key
        return at[1]


def alone(gap: Gap) -> list[Gap]:
    """A gap for each of its symbols; what each of them missed is known only if it is one, or if they missed nothing."""
    missed = gap.missed if len(gap.symbols) == 1 or gap.missed == 0 else None
    return [msgspec.structs.replace(gap, symbols=(symbol,), missed=missed) for symbol in gap.symbols]
