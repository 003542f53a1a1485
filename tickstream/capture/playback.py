"""Captures in the order of time: many files merged into one stream of events, with flat memory.

Files are opened when their time comes, which their first events tell. Of each open file one chunk is in memory, so what
is kept grows with the files that overlap (one for each symbol, as a rule), not with their number or size. Within a file
the order is kept: a moment that lies before one that came earlier counts as that one.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, count, groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from tickstream.capture.chunks import BadLine, Chunk
from tickstream.events import MARKET_TYPES, Event, Gap, MarketEvent, Summary
from tickstream.timestamps import NS_PER_SECOND, Timestamp

By = Literal["ts_recv", "ts_event"]
"""The clock by which events are put in order and played: ours, or the provider's."""

LOOK_AHEAD = 64
"""Files of a group whose beginnings are known at once."""
LATE_NS = 3600 * NS_PER_SECOND
"""A whole chunk that lies so far behind the end asked for ends its file."""
FOREVER = 1 << 63

_recv = attrgetter("ts_recv")
_end = attrgetter("end")


class Readable(Protocol):
    """A file: `capture.reading.Source`. `path` None is standard input, which can be read only once."""

    path: Path | None

    def chunks(self) -> Iterator[Chunk]:
        """All of it."""
        ...

    def first_events(self) -> list[MarketEvent]:
        """The first of it; none where nobody can tell."""
        ...


class Wanted(NamedTuple):
    """Which events: [start, end) of `ts_event` (`ts_recv` where that is unknown); and the clock they are played by.

    `payloads`: with the provider's messages, where a file has them.
    """

    by: By = "ts_recv"
    start: Timestamp | None = None
    end: Timestamp | None = None
    payloads: bool = False


class Stretch(NamedTuple):
    """Events that follow one another, each with its moment in ns; `bad` lines were found on the way to them.

    `payloads`, where they were asked for: for each event the provider's messages that brought it.
    """

    events: Sequence[Event]
    moments: Sequence[int]
    bad: Sequence[BadLine] = ()
    payloads: Sequence[Sequence[bytes]] = ()


def merged(groups: Iterable[Iterable[Readable]], wanted: Wanted, gaps: Iterable[Gap] = ()) -> Iterator[Stretch]:
    """All events of these files in the order of their moments, and these gaps, which are in none of them.

    The files of a group come in the order in which they begin, or nearly so: one that begins before `LOOK_AHEAD` others
    that stand before it in its group is played late. Raises as `Source.chunks` does.
    """
    waiting = _Waiting(groups, wanted.by)
    told = _Lane(0, iter([Chunk("", sorted(gaps, key=_end), 0, 0)]), Wanted())
    list(told.fill())
    lanes = [told] if told.moments else []
    while True:
        while waiting.next is not None and waiting.next <= min((lane.moments[-1] for lane in lanes), default=FOREVER):
            lane = _Lane(*waiting.take(), wanted)
            yield from lane.fill()
            if lane.moments:
                lanes.append(lane)
        if not lanes:
            return
        yield _in_order(lanes, min(lane.moments[-1] for lane in lanes))
        for lane in lanes:
            if not lane.moments:
                yield from lane.fill()
        lanes = [lane for lane in lanes if lane.moments]


def _in_order(lanes: list[_Lane], limit: int) -> Stretch:
    """What comes until the end of the chunk that ends first. Of equal moments, gaps are first, then files by number."""
    parts = [lane.take(limit) for lane in sorted(lanes, key=attrgetter("number"))]
    parts = [part for part in parts if part.moments]
    if len(parts) == 1:
        return parts[0]
    moments = list(chain.from_iterable(part.moments for part in parts))
    events = list(chain.from_iterable(part.events for part in parts))
    order = sorted(range(len(moments)), key=moments.__getitem__)
    payloads: Sequence[Sequence[bytes]] = ()
    if any(part.payloads for part in parts):
        each = list(chain.from_iterable(part.payloads or [()] * len(part.events) for part in parts))
        payloads = [each[at] for at in order]
    return Stretch([events[at] for at in order], [moments[at] for at in order], (), payloads)


class _Waiting:
    """Files that have not been opened, those that begin first in front; so many of a group are looked into, no more."""

    def __init__(self, groups: Iterable[Iterable[Readable]], by: By) -> None:
        self._by = by
        self._numbers = count(1)
        self._known: list[tuple[int, int, Readable, Iterator[Readable]]] = []
        for group in groups:
            files = iter(group)
            for file in islice(files, LOOK_AHEAD):
                self._look(file, files)

    @property
    def next(self) -> int | None:
        """When the first of them begins; None when there is none."""
        return self._known[0][0] if self._known else None

    def take(self) -> tuple[int, Iterator[Chunk]]:
        """The number of the first of them, and what is in it."""
        _, number, file, others = heapq.heappop(self._known)
        for another in islice(others, 1):
            self._look(another, others)
        return number, file.chunks()

    def _look(self, file: Readable, others: Iterator[Readable]) -> None:
        first = [] if file.path is None else moments_of(file.first_events()[:1], self._by)
        heapq.heappush(self._known, (first[0] if first else 0, next(self._numbers), file, others))


class _Lane:
    """An open file: its chunk at hand, and how far that has been played."""

    def __init__(self, number: int, chunks: Iterator[Chunk], wanted: Wanted) -> None:
        self.number = number
        self._chunks = chunks
        self._wanted = wanted
        self._events: Sequence[Event] = ()
        self._payloads: Sequence[Sequence[bytes]] = ()
        self._at = 0
        self._high = 0
        self.moments: Sequence[int] = ()
        """Of the chunk at hand; empty when all of it has been played."""

    def fill(self) -> Iterator[Stretch]:
        """Read on until there are events to play, or the end of the file; yields the bad lines on the way."""
        for chunk in self._chunks:
            bad = [*chunk.bad, *([chunk.torn] if chunk.torn is not None else [])]
            if bad:
                yield Stretch((), (), bad)
            if self._is_behind(chunk.events):
                return
            events = self._within(chunk.events)
            if events:
                moments = accumulate(moments_of(events, self._wanted.by), max, initial=self._high)
                self.moments = list(moments)[1:]
                self._events, self._at, self._high = events, 0, self.moments[-1]
                self._payloads = _paired(chunk, events) if self._wanted.payloads else ()
                return

    def take(self, limit: int) -> Stretch:
        """What comes until this moment, and at it."""
        part = slice(self._at, bisect_right(self.moments, limit, self._at))
        stretch = Stretch(self._events[part], self.moments[part], (), self._payloads[part])
        self._at = part.stop
        if self._at == len(self.moments):
            self.moments, self._events, self._payloads = (), (), ()
        return stretch

    def _is_behind(self, events: Sequence[Event]) -> bool:
        """Whether nothing of this file will be wanted any more."""
        if self._wanted.end is None:
            return False
        times = [_time(event) for event in events if isinstance(event, MarketEvent)]
        return bool(times) and min(times) >= self._wanted.end + LATE_NS

    def _within(self, events: Sequence[Event]) -> Sequence[Event]:
        """What is asked for, and the news of the stream in front of it; never the summary of a run."""
        start, end = self._wanted.start, self._wanted.end
        if start is None and end is None:
            return [event for event in events if type(event) is not Summary] if _has_news(events) else events
        kept: list[Event] = []
        news: list[Event] = []
        for event in events:
            if not isinstance(event, MarketEvent):
                news.append(event)
                continue
            if (start is None or _time(event) >= start) and (end is None or _time(event) < end):
                kept += (one for one in news if type(one) is not Summary)
                kept.append(event)
            news.clear()
        return kept


def _paired(chunk: Chunk, wanted: Sequence[Event]) -> list[Sequence[bytes]]:
    """For each event the messages that brought it: where there is one for each event of the same moment, that one."""
    messages: dict[int, list[bytes]] = {}
    for received, payload in chunk.payloads:
        messages.setdefault(received, []).append(payload)
    brought: dict[int, Sequence[bytes]] = {}
    market = (event for event in chunk.events if isinstance(event, MarketEvent))
    for received, same in groupby(market, _recv):
        events = list(same)
        mine = messages.pop(received, [])
        if len(mine) == len(events):
            brought.update((id(event), (payload,)) for event, payload in zip(events, mine, strict=True))
        else:
            brought[id(events[0])] = mine
    return [brought.get(id(event), ()) for event in wanted]


def moments_of(events: Sequence[Event], by: By) -> list[int]:
    """When each of these is to be played. News of the stream goes with the data behind it, by the provider's clock."""
    if by == "ts_recv":
        if not _has_news(events):
            return list(map(_recv, events))
        return [event.end if isinstance(event, Gap) else _recv(event) for event in events]
    moments: list[int] = []
    for event in reversed(events):
        moments.append(_time(event) if isinstance(event, MarketEvent) else moments[-1] if moments else 0)
    moments.reverse()
    return moments


def _has_news(events: Sequence[Event]) -> bool:
    return not MARKET_TYPES.issuperset(map(type, events))


def _time(event: MarketEvent) -> int:
    return event.ts_recv if event.ts_event is None else event.ts_event
