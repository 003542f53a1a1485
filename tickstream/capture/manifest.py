"""`manifest.jsonl`: what a capture folder holds and what it misses, one JSON object on each line, only appended to.

Each line has a `type`. A part is announced before it is made (`part`), and a file is listed once it has its final name
(`file`): whatever a crash leaves between the two is found through the manifest, and never by searching the folder.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from tickstream.capture import disk
from tickstream.capture.codec import Plain
from tickstream.capture.tails import Cut, repair
from tickstream.clock import Clock
from tickstream.events import Event, Gap, MarketEvent, Notice, SessionEvent, Summary
from tickstream.sinks.encoders import time_hook
from tickstream.timestamps import Timestamp, parse_rfc3339

NAME = "manifest.jsonl"

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class RunStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="run"):
    """A run began. `command` is its command line without secrets."""

    run: str
    started: Timestamp
    pid: int
    version: str
    provider: str
    channel: str
    symbols: tuple[str, ...]
    format: str
    compression: str
    template: str
    command: tuple[str, ...] = ()


class PartOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="part"):
    """`part` will be made now, and become `file`, or `file` with a number.

    `until`: when its name is over. `symbol`: the only one in it, where each has files of its own. `provider`: whose
    messages they are.
    """

    run: str
    ts: Timestamp
    file: str
    part: str
    format: str
    compression: str
    until: Timestamp | None = None
    symbol: str | None = None
    provider: str | None = None


class FileFinished(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A file is complete and will not change any more.

    `first` and `last` are the earliest and the latest `ts_event`; `symbols` counts the events of each by type;
    `missed` sums up its gaps, None where one does not know. `part` is what it was called while it was written.
    """

    run: str
    file: str
    format: str
    compression: str
    events: int
    first: Timestamp | None
    last: Timestamp | None
    symbols: dict[str, dict[str, int]]
    gaps: int
    missed: int | None
    bytes: int
    sha256: str
    finished: Timestamp
    part: str = ""


BY_OTHERS = "by somebody else"
"""How the reason ends for which a part has gone with data in it that is nowhere else."""


class FileDeleted(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="deleted"):
    """`--keep` let go of a finished file, or a part turned out to be empty."""

    run: str
    file: str
    ts: Timestamp
    reason: str


class Torn(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="torn"):
    """A crash left half a record, or half a member, at the end of `file`; its bytes are in `saved_to` now.

    `salvaged` bytes of whole lines could be decoded from them and are in the file.
    """

    run: str
    file: str
    bytes: int
    saved_to: str
    ts: Timestamp
    salvaged: int = 0


class RunEnd(msgspec.Struct, frozen=True, tag_field="type", tag="end"):
    """A run ended; the fields of its summary stand beside `run`."""

    run: str
    ts_recv: Timestamp
    exit_code: int
    dropped: int = 0
    quarantined: int = 0


Entry = RunStart | PartOpened | FileFinished | FileDeleted | Torn | RunEnd | Gap | Notice | SessionEvent
"""What is understood. Stream events are as in the stream, with `run` beside."""


class Tally(msgspec.Struct):
    """What a file holds. `first` and `last`: the earliest and latest `ts_event`."""

    events: int = 0
    gaps: int = 0
    missed: int | None = 0
    first: Timestamp | None = None
    last: Timestamp | None = None
    symbols: dict[str, dict[str, int]] = {}

    @classmethod
    def of(cls, events: Sequence[Event]) -> Tally:
        """What these events are; those of the stream other than gaps do not count."""
        tally = cls()
        market: list[MarketEvent] = []
        for event in events:
            if isinstance(event, MarketEvent):
                market.append(event)
            elif isinstance(event, Gap):
                tally.count_gap(event.missed)
        for (symbol, kind), count in Counter((event.symbol, type(event)) for event in market).items():
            tally.count(symbol, str(kind.__struct_config__.tag), count, None, None)
        times = [event.ts_event for event in market if event.ts_event is not None]
        if times:
            tally._stretch(min(times), max(times))
        return tally

    def count(self, symbol: str, kind: str, events: int, first: Timestamp | None, last: Timestamp | None) -> None:
        """Market events of one symbol and type, between these times."""
        self.events += events
        kinds = self.symbols.setdefault(symbol, {})
        kinds[kind] = kinds.get(kind, 0) + events
        self._stretch(first, last)

    def count_gap(self, missed: int | None) -> None:
        """A gap record."""
        self.gaps += 1
        self.missed = None if self.missed is None or missed is None else self.missed + missed

    def add(self, other: Tally) -> None:
        """All that the other has counted."""
        self.events += other.events
        self.gaps += other.gaps
        self.missed = None if self.missed is None or other.missed is None else self.missed + other.missed
        for symbol, kinds in other.symbols.items():
            mine = self.symbols.setdefault(symbol, {})
            for kind, events in kinds.items():
                mine[kind] = mine.get(kind, 0) + events
        self._stretch(other.first, other.last)

    def _stretch(self, first: Timestamp | None, last: Timestamp | None) -> None:
        if first is not None and (self.first is None or first < self.first):
            self.first = first
        if last is not None and (self.last is None or last > self.last):
            self.last = last


class Manifest:
    """The manifest of a capture folder, for the one who writes it. Raises OSError."""

    def __init__(self, base: Path) -> None:
        self.path = base / NAME
        self._fd: int | None = None

    def open(self, clock: Clock) -> Cut | None:
        """Make it, or repair its last line and go on behind it; what was cut, if anything was."""
        cut = repair(self.path, Plain(), clock) if disk.is_regular(self.path) else None
        self._fd = disk.open_append(self.path)
        disk.sync_folder(self.path.parent)
        return cut

    def append(self, lines: bytes) -> None:
        """Add whole lines, all or none of them. They are on the disk when this returns."""
        assert self._fd is not None
        try:
            disk.write_all(self._fd, [lines])
        except disk.ShortWrite as error:
            if error.done:
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - error.done)
            raise
        disk.sync_file(self._fd)

    def is_there(self) -> bool:
        """True while the file that is open is the one of that name."""
        try:
            return self._fd is not None and os.path.samestat(os.fstat(self._fd), self.path.lstat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Let go of it. More than once does no harm."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def run_id(now_ns: int) -> str:
    """A ULID: 26 characters that sort by time. Specification: github.com/ulid/spec."""
    value = now_ns // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


_encoder = msgspec.json.Encoder(enc_hook=time_hook("iso"))


_moment = lru_cache(maxsize=4096)(parse_rfc3339)  # neighbours in a manifest share most of theirs


def _time(kind: type, value: Any) -> Timestamp:
    if kind is not Timestamp or not isinstance(value, str):
        raise ValueError("a time is text")
    return _moment(value)


_decoder: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry, dec_hook=_time)


def lines(entries: Iterable[msgspec.Struct]) -> bytes:
    """Entries as they stand in the manifest."""
    return _encoder.encode_lines(list(entries))


def stream_entry(event: Event, run: str) -> bytes:
    """An event of the stream as a line of the manifest; a summary is the `end` of its run."""
    line = _encoder.encode(event)
    if isinstance(event, Summary):
        line = line.replace(b'{"type":"summary"', b'{"type":"end"', 1)
    return b'%b,"run":%b}\n' % (line[:-1], _encoder.encode(run))


def read(base: Path) -> Iterator[Entry | dict[str, Any]]:
    """The entries of a folder's manifest, in order; nothing where there is none. Raises OSError.

    An entry of a type that is not known here comes as a dict; a line that is no JSON object is left out.
    """
    try:
        file = (base / NAME).open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                yield _decoder.decode(line)
            except msgspec.ValidationError:
                yield from _unknown(line)
            except (msgspec.DecodeError, RecursionError):
                continue


def _unknown(line: bytes) -> Iterator[dict[str, Any]]:
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):  # which the check of its type came before
        return
    if isinstance(entry, dict):
        yield entry
