"""Parquet files as events, a batch of rows at a time. Imports pyarrow: import it inside functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby, repeat
from typing import Any, BinaryIO, Protocol, cast, get_args

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tickstream.capture.chunks import BadLine, Chunk
from tickstream.capture.foreign import ForeignColumns, foreign_table
from tickstream.capture.json_lines import JsonLines
from tickstream.capture.kinds import row_kind
from tickstream.capture.levels import EVENT_OF, Books, check_levels
from tickstream.capture.lines import Stretch
from tickstream.capture.parquet_columns import DIGITS, EVENT, SCALE, SCHEMA_VERSION, columns_of
from tickstream.capture.values import NanoTimes
from tickstream.errors import InputError
from tickstream.events import EVENT_TYPES, Event, MarketEvent
from tickstream.numbers import Number
from tickstream.sinks.encoders import TimeFormat
from tickstream.sinks.levels import LevelRow
from tickstream.timestamps import Timestamp

ROWS = 2**12
"""Read at once: about as much as a chunk of lines."""

BUFFER_BYTES = 2**18
"""Of a column that are read at once: a row group may be as large as its file, and is not held in memory."""
DAMAGE = (pa.ArrowException, OSError, EOFError)

_KINDS = {tag: row_kind(kind) for tag, kind in EVENT_TYPES.items() if issubclass(kind, MarketEvent)}
_SORTS = columns_of(EVENT_TYPES.values())


class RowDecoder(Protocol):
    """What makes events of the rows of one file."""

    wanted: list[str]
    """The columns it looks at."""

    def decode(self, batch: pa.RecordBatch, first: int) -> tuple[list[Event], list[BadLine]]:
        """The events, and the rows that are none; `first` is the number of the first row."""
        ...

    def flush(self) -> list[Event]:
        """What was held back until the end of the file."""
        ...


class ParquetFile:
    """An open file. Raises InputError when it is damaged, UsageError when its columns have to be named."""

    def __init__(self, name: str, file: BinaryIO, foreign: ForeignColumns) -> None:
        self._name = name
        try:
            self._file = pq.ParquetFile(
                file, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER_BYTES
            )
        except DAMAGE as error:
            raise InputError(f"Cannot read {name}: {_words(error)}.") from error
        metadata: dict[bytes, bytes] = self._file.schema_arrow.metadata or {}
        version = metadata.get(b"tickstream.schema")
        if version is not None and version != SCHEMA_VERSION.encode():
            raise InputError(
                f"Cannot read {name}: its schema has the version {version.decode(errors='replace')[:20]}.",
                hint="A newer tickstream wrote it, and can read it.",
            )
        names = self._file.schema_arrow.names
        self.time = cast(TimeFormat, metadata.get(b"tickstream.time", b"iso").decode()) if version else None
        """How the times were written where the rows come from; None for a file of others."""
        self.rows: int = self._file.metadata.num_rows
        digits = metadata.get(b"tickstream.digits", b"").decode().split(",")
        self._decoder: RowDecoder = _OurRows(name, names, digits) if version else _ForeignRows(name, names, foreign)

    def chunks(self) -> Iterator[Chunk]:
        """All rows. A row group that is damaged is reported, and the next one is read."""
        first = 1
        for group in range(self._file.num_row_groups):
            end = first + self._file.metadata.row_group(group).num_rows
            try:
                for batch in self._file.iter_batches(ROWS, row_groups=[group], columns=self._decoder.wanted):
                    events, bad = self._decoder.decode(batch, first)
                    first += batch.num_rows
                    yield Chunk(self._name, events, batch.num_rows, batch.nbytes, None, bad)
            except DAMAGE as error:
                reason = f"this row and the {end - first - 1} after it cannot be read: {_words(error)}"
                yield Chunk(self._name, [], end - first, 0, None, [BadLine(self._name, first, reason)])
            first = end
        if rest := self._decoder.flush():
            yield Chunk(self._name, rest, 0, 0)


class _OurRows:
    """Rows of a file that tickstream wrote. `digits`: the columns that `digits` counts the decimals of."""

    def __init__(self, name: str, names: Sequence[str], digits: Sequence[str]) -> None:
        self.wanted = [one for one in names if one in _SORTS or one in (DIGITS, EVENT)]
        self._name = name
        self._digits = digits
        self._books = Books()
        self._lines = JsonLines(name, NanoTimes())
        self._fields = {tag: [one.encode_name for one in msgspec.structs.fields(kind)] for tag, kind in _KINDS.items()}
        self._required = {
            tag: [
                one.encode_name
                for one in msgspec.structs.fields(kind)
                if type(None) not in get_args(one.type) and kind not in EVENT_OF
            ]
            for tag, kind in _KINDS.items()
        }

    def decode(self, batch: pa.RecordBatch, first: int) -> tuple[list[Event], list[BadLine]]:
        columns = self._columns(batch)
        whole = columns[EVENT]
        events: list[Event] = []
        bad: list[BadLine] = []
        start = 0
        for (tag, is_whole), run in groupby(zip(columns["type"], (one is not None for one in whole), strict=True)):
            end = start + sum(1 for _ in run)
            if is_whole:
                events += self._books.flush()
                text = "\n".join(whole[start:end]).encode()
                found, complaints = self._lines.decode(Stretch(text, first + start, ended=False))
                events += found
                bad += complaints
            else:
                events += self._events(
                    tag, {name: values[start:end] for name, values in columns.items()}, end - start, first + start, bad
                )
            start = end
        return events, bad

    def flush(self) -> list[Event]:
        return self._books.flush()

    def _events(
        self, tag: str, columns: Mapping[str, Sequence[Any]], count: int, first: int, bad: list[BadLine]
    ) -> list[Event]:
        """The events of rows of one type; row by row if one of them lacks something."""
        try:
            return self._typed(tag, columns, count)
        except ValueError as error:
            if count == 1:
                bad.append(BadLine(self._name, first, str(error)))
                return []
        events: list[Event] = []
        for row in range(count):
            one = {name: values[row : row + 1] for name, values in columns.items()}
            events += self._events(tag, one, 1, first + row, bad)
        return events

    def _typed(self, tag: str, columns: Mapping[str, Sequence[Any]], count: int) -> list[Event]:
        kind = _KINDS.get(tag)
        if kind is None:
            raise ValueError(f"there is no market event of the type {str(tag)[:40]!r}")
        for name in self._required[tag]:
            if name not in columns or None in columns[name]:
                raise ValueError(f"{name} is missing")
        rows: list[Event] = list(map(kind, *(columns.get(name) or repeat(None, count) for name in self._fields[tag])))
        if kind not in EVENT_OF:
            return self._books.flush() + rows
        check_levels(rows)
        return [event for row in rows for event in self._books.take(cast(LevelRow, row))]

    def _columns(self, batch: pa.RecordBatch) -> dict[str, list[Any]]:
        """The columns as Python values; a column of nothing is left out."""
        cuts = self._cuts(batch.column(DIGITS))
        columns: dict[str, list[Any]] = {"type": [], EVENT: []}
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            sort = _SORTS.get(name)
            if name == DIGITS or (array.null_count == len(array) and name != EVENT):
                continue
            if sort == "number":
                columns[name] = _numbers(array, cuts[name])
            elif sort == "time":
                moments = array.cast(pa.int64()).to_pylist()
                columns[name] = [None if ns is None else Timestamp(ns) for ns in moments]
            else:
                columns[name] = _values(array)
        return columns

    def _cuts(self, digits: pa.Array) -> dict[str, list[int | None]]:
        """For each number column: where to cut the text of each row's decimal to have the digits that were written."""
        encoded = digits if pa.types.is_dictionary(digits.type) else digits.dictionary_encode()
        known = [[_cut(one) for one in text.split(",")] for text in encoded.dictionary.to_pylist()]
        rows = encoded.indices.to_pylist()
        of_columns = zip(self._digits, zip(*known, strict=True), strict=True)
        return {name: [cuts[row] for row in rows] for name, cuts in of_columns}


def _values(array: pa.Array) -> list[Any]:
    if not pa.types.is_dictionary(array.type):
        return cast(list[Any], array.to_pylist())
    known = array.dictionary.to_pylist()
    return [None if place is None else known[place] for place in array.indices.to_pylist()]


def _cut(places: str) -> int | None:
    behind = SCALE - int(places or SCALE)
    return None if not behind else -behind - (behind == SCALE)


def _numbers(array: pa.Array, cuts: list[int | None]) -> list[Number | None]:
    texts = _decimal_texts(array)
    return [None if text is None else Number(text[:cut]) for text, cut in zip(texts, cuts, strict=True)]


def _decimal_texts(array: pa.Array) -> list[str | None]:
    """Decimals with all places of their type; Arrow writes those below 0.000001 with an exponent."""
    texts: list[str | None] = array.cast(pa.string()).to_pylist()
    if "E" in "".join(filter(None, texts)):
        texts = [format(Decimal(text), "f") if text is not None and "E" in text else text for text in texts]
    return texts


class _ForeignRows:
    """Rows of a file of others, whose columns `--columns` explains."""

    def __init__(self, name: str, names: Sequence[str], foreign: ForeignColumns) -> None:
        self.wanted = list(names)
        self._name = name
        self._table = foreign_table(name, names, foreign)

    def decode(self, batch: pa.RecordBatch, first: int) -> tuple[list[Event], list[BadLine]]:
        columns = [_cells(array) for array in batch.columns]
        try:
            return self._table.events(columns, batch.num_rows), []
        except ValueError:
            pass
        events: list[Event] = []
        bad: list[BadLine] = []
        for row in range(batch.num_rows):
            try:
                events += self._table.events([cells[row : row + 1] for cells in columns], 1)
            except ValueError as error:
                bad.append(BadLine(self._name, first + row, str(error)))
        return events, bad

    def flush(self) -> list[Event]:
        return self._table.flush()


def _cells(array: pa.Array) -> list[bytes]:
    """A column as text cells; moments as nanoseconds, of a kind of value that no event has as nothing."""
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ns", array.type.tz)).cast(pa.int64())
    try:
        texts = _decimal_texts(array) if pa.types.is_decimal(array.type) else array.cast(pa.string()).to_pylist()
    except pa.ArrowNotImplementedError:
        texts = [""] * len(array)
    return [b"" if text is None else text.encode() for text in texts]


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
