"""The last events of a captured file, read from its end, and only as far as needed."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from tickstream.capture import disk, survey
from tickstream.capture.codec import BLOCK, Codec, Damaged, Member, Window
from tickstream.events import Event, MarketEvent
from tickstream.subscriptions import is_wildcard
from tickstream.timestamps import Timestamp

RECENT = 100
"""Events of a symbol that are remembered: what a provider may send again after a reconnect."""
ENOUGH = 4 << 20
"""Bytes of a file, as it lies on the disk, that are read for more than the last event of each symbol."""


class Left(msgspec.Struct):
    """What there is of one symbol. `recent` are its last events, oldest first."""

    ts_event: Timestamp | None
    ts_recv: Timestamp
    recent: list[MarketEvent]


class Ends:
    """Gathers the last events of `symbols` from files, the newest file first. A wildcard takes all there are."""

    def __init__(self, symbols: frozenset[str]) -> None:
        self._symbols = symbols
        self._all = any(map(is_wildcard, symbols))
        self._recent: dict[str, deque[MarketEvent]] = {}

    def missing(self, symbols: frozenset[str]) -> frozenset[str]:
        """Those of these that are wanted, and of which there is nothing yet."""
        return (symbols if self._all else symbols & self._symbols) - self._recent.keys()

    def wanting(self, symbols: frozenset[str]) -> frozenset[str]:
        """Those of these of which more would be welcome."""
        among = symbols if self._all else symbols & self._symbols
        return frozenset(one for one in among if len(self._recent.get(one, ())) < RECENT)

    def read(self, path: Path, codec: Codec, provider: str, symbols: frozenset[str]) -> None:
        """Add from the end of this file, which holds these symbols. Raises OSError."""
        with os.fdopen(disk.open_read(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            for at, events in _backwards(file, codec, path, provider):
                self._add(events)
                if not self.missing(symbols) and (size - at >= ENOUGH or not self.wanting(symbols)):
                    return

    def found(self) -> dict[str, Left]:
        """What there is of each symbol."""
        return {symbol: _left(list(recent)) for symbol, recent in self._recent.items()}

    def _add(self, events: list[MarketEvent]) -> None:
        """Events that came before all that were added."""
        for event in reversed(events):
            if self._all or event.symbol in self._symbols:
                recent = self._recent.setdefault(event.symbol, deque())
                if len(recent) < RECENT:
                    recent.appendleft(event)


def _left(recent: list[MarketEvent]) -> Left:
    times = [event.ts_event for event in recent if event.ts_event is not None]
    return Left(max(times, default=None), max(event.ts_recv for event in recent), recent)


def _backwards(
    file: BinaryIO, codec: Codec, path: Path, provider: str | None
) -> Iterator[tuple[int, list[MarketEvent]]]:
    """The market events of the file in batches, the last batch first, and where in the file each begins."""
    if survey.is_parquet(path):  # a day of it at the most: from its beginning
        yield 0, _market(survey.events_in(path, codec, provider))
        return
    header = [] if (first := _first_line(file, codec)).startswith(b"{") else [first]
    pieces = _members_back(file, codec) if codec.suffix else _lines_back(file)
    for member in pieces:
        blocks = codec.blocks(Window(file, *member))
        try:
            data = b"".join(blocks)
        except Damaged:
            continue
        begin = header if member.start else []
        yield member.start, _market(survey.events_of([*begin, data], str(path), provider))


def _market(events: Iterator[list[Event]]) -> list[MarketEvent]:
    return [event for some in events for event in some if isinstance(event, MarketEvent)]


def _members_back(file: BinaryIO, codec: Codec) -> Iterator[Member]:
    return reversed(list(codec.members(file)))


def _lines_back(file: BinaryIO) -> Iterator[Member]:
    """Stretches of whole lines of about 1 MiB, the last one first."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = at = end
        while at:
            at = max(0, at - BLOCK)
            file.seek(at)
            block = file.read(min(BLOCK, start - at))
            line_end = block.find(b"\n", 0, len(block) - (start == end)) + 1
            start = at
            if line_end and at:
                start = at + line_end
                break
        yield Member(start, end)
        end = start


def _first_line(file: BinaryIO, codec: Codec) -> bytes:
    file.seek(0)
    line = b""
    with contextlib.suppress(Damaged):  # somebody, or the disk, has changed a file that was whole
        for block in codec.blocks(file):
            line += block
            if b"\n" in line:
                break
    return line[: line.find(b"\n") + 1]
