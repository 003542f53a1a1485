"""From files in any format to one in another: the same events, in the same order, and a word on what was none."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

import msgspec

from tickstream.capture.compression import CODECS
from tickstream.capture.kinds import OtherKind, check_kinds, market_kinds, row_kind
from tickstream.capture.reading import BadLine, Chunk, Source
from tickstream.errors import InputError, UsageError
from tickstream.events import Event, MarketEvent
from tickstream.sinks.encoders import JsonEncoder, TimeFormat
from tickstream.sinks.fields import check_fields, csv_fields, union
from tickstream.sinks.rows import CsvEncoder

Target = Callable[[], contextlib.AbstractContextManager[BinaryIO]]
"""What is written to; called once more where the conversion has to begin again."""
Progress = Callable[[int, int], None]
"""Called with the bytes read, and all the bytes there are to read (0 where that is not known)."""

MEMBER_BYTES = 2**20
"""What is compressed at once, before compression."""
SHOWN = 10
"""Bad lines that are kept to be shown."""
LOOK_AHEAD = 16
"""Chunks without market data that are held, at the most, until one shows what columns there have to be."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the file shall be. `fields` None is all of them; `time` None is as in the first file read."""

    format: Literal["jsonl", "csv", "parquet"]
    compression: str = "none"
    fields: tuple[str, ...] | None = None
    time: TimeFormat | None = None
    csv_raw: bool = False

    def check(self) -> None:
        """Raises UsageError for what does not go together, ConfigError for what is not installed."""
        if self.format == "parquet":
            from tickstream.capture import parquet

            if self.fields is not None:
                raise UsageError("--fields does not go with -o parquet.", hint="Its readers pick columns themselves.")
            parquet.require()
        else:
            CODECS[self.compression].require()
        if self.fields is not None:
            check_fields(self.fields, known=csv_fields() if self.format == "csv" else None)


class Outcome(msgspec.Struct):
    """What became of it. `bad` counts the lines that are no events, `first_bad` shows some of them."""

    events: int = 0
    bad: int = 0
    first_bad: list[BadLine] = []
    left_out: Counter[str] = msgspec.field(default_factory=Counter)
    """Types of events that the format cannot hold, and how many there were."""


class Writer(Protocol):
    """What takes events; leaving its context writes what is left."""

    def write(self, events: list[Event], /) -> object:
        """Take events. May raise OtherKind."""
        ...


def convert(
    sources: Sequence[Source], target: Target, wanted: Wanted, *, again: bool = True, progress: Progress | None = None
) -> Outcome:
    """Read the files one after the other into the target. `again`: both can be begun anew, as files can.

    That is needed where a table meets a type of event that it has no columns for. Raises InputError for a file that
    cannot be read, or if nothing in all of them is an event; UsageError when it would have to begin again and cannot.
    """
    kinds: tuple[type[Event], ...] = ()
    while True:
        outcome = Outcome()
        try:
            with target() as file:
                _convert(sources, file, wanted, kinds, outcome, progress or (lambda _read, _whole: None))
        except OtherKind as other:
            if not again:
                raise UsageError(
                    f"a {other.kind.__struct_config__.tag} comes behind events of other types, and has no columns now.",
                    hint="Convert from files into a file, pick columns with --fields, or use -o jsonl.",
                ) from None
            kinds = other.kinds
        else:
            return outcome


def _convert(
    sources: Sequence[Source],
    file: BinaryIO,
    wanted: Wanted,
    kinds: tuple[type[Event], ...],
    outcome: Outcome,
    progress: Progress,
) -> None:
    chunks = _chunks(sources, outcome, progress)
    held: list[list[Event]] = []
    while not kinds and len(held) < LOOK_AHEAD and (events := next(chunks, None)) is not None:
        held.append(events)
        kinds = market_kinds(map(type, events))
    times = [one for one in (wanted.time, *(source.time for source in sources)) if one is not None]
    time = times[0] if times else "iso"
    with _writer(file, wanted, kinds, time, outcome) as writer:
        for events in chain(held, chunks):
            writer.write(events)
    if outcome.bad and not outcome.events:
        raise InputError(
            f"{outcome.first_bad[0]}; nothing at all could be used.",
            hint="If tickstream did not write it, say what its columns are: --columns ts_event=time --type trade.",
        )


def _chunks(sources: Sequence[Source], outcome: Outcome, progress: Progress) -> Iterator[list[Event]]:
    sizes = [
        source.path.stat().st_size if source.path is not None and source.path.is_file() else 0 for source in sources
    ]
    whole = sum(sizes) if all(sizes) else 0
    for place, source in enumerate(sources):
        for chunk in source.chunks():
            outcome.events += len(chunk.events)
            _account(chunk, outcome)
            progress(sum(sizes[:place]) + source.consumed, whole)
            if chunk.events:
                yield chunk.events


def _account(chunk: Chunk, outcome: Outcome) -> None:
    for line in (*chunk.bad, *filter(None, (chunk.torn,))):
        outcome.bad += 1
        if len(outcome.first_bad) < SHOWN:
            outcome.first_bad.append(line)


def _writer(
    file: BinaryIO, wanted: Wanted, kinds: tuple[type[Event], ...], time: TimeFormat, outcome: Outcome
) -> contextlib.AbstractContextManager[Writer]:
    if wanted.format == "parquet":
        from tickstream.capture.arrow_writing import ParquetWriter

        return ParquetWriter(file, kinds, time, wanted.compression)
    if wanted.format == "csv":
        return _Rows(file, wanted, kinds, time, outcome)
    return _Lines(file, wanted.compression, JsonEncoder(wanted.fields, time, events=True).encode)


class _Lines:
    """Lines of text, compressed in members."""

    def __init__(self, file: BinaryIO, compression: str, encode: Callable[[list[Event]], bytes]) -> None:
        self._file = file
        self._codec = CODECS[compression]
        self._encode = encode
        self._held: list[bytes] = []
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._held:
            self._flush()

    def write(self, events: list[Event]) -> None:
        """Raises OSError."""
        self.add(self._encode(events))

    def add(self, data: bytes) -> None:
        """Lines as they are."""
        self._held.append(data)
        self._size += len(data)
        if self._size >= MEMBER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._codec.member(b"".join(self._held)))
        self._held, self._size = [], 0


class _Rows(_Lines):
    """CSV: market data only."""

    def __init__(
        self, file: BinaryIO, wanted: Wanted, kinds: tuple[type[Event], ...], time: TimeFormat, outcome: Outcome
    ) -> None:
        columns = wanted.fields or union(map(row_kind, kinds))
        encoder = CsvEncoder(columns, time, raw_text=wanted.csv_raw)
        super().__init__(file, wanted.compression, encoder.encode)
        self._kinds = None if wanted.fields else kinds
        self._left_out = outcome.left_out
        if columns:
            self.add(encoder.header())

    def write(self, events: list[Event]) -> None:
        if self._kinds is not None:
            check_kinds(events, self._kinds)
        others = [event for event in events if not isinstance(event, MarketEvent)]
        self._left_out.update(str(event.__struct_config__.tag) for event in others)
        super().write(events)
