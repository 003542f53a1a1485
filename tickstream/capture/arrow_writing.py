"""Events into a Parquet file, a row group at a time, with flat memory. Imports pyarrow: import it inside functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from types import TracebackType
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tickstream import __version__
from tickstream.capture.kinds import check_kinds, market_kinds, row_kind
from tickstream.capture.levels import follows
from tickstream.capture.parquet_columns import DIGITS, EVENT, PRECISION, SCALE, SCHEMA_VERSION, Fit, columns_of, fits
from tickstream.events import Event, MarketEvent
from tickstream.sinks.encoders import JsonEncoder, TimeFormat, column, runs
from tickstream.sinks.levels import LevelRow, level_rows

ROWS = 2**15
"""Of a row group. Measured for bars: half as many make a file 3 % larger, twice as many none smaller."""

LABEL = pa.dictionary(pa.int32(), pa.string())
TYPES = {
    "number": pa.decimal128(PRECISION, SCALE),
    "time": pa.timestamp("ns", "UTC"),
    "integer": pa.int64(),
    "flag": pa.bool_(),
    "label": LABEL,
    "text": pa.string(),
}
ABSENT = SCALE + 1
"""Stands for no number among counts of decimals."""


class ParquetWriter:
    """Writes events of these market types, and events of the stream, in their order.

    `time` is remembered as the way in which their times were written. `compression` is none, gzip or zstd. Raises
    OtherKind, with nothing written of that call, and OSError. A context manager: leaving it writes the end of the file.
    """

    def __init__(
        self, target: BinaryIO, kinds: Iterable[type[Event]], time: TimeFormat = "iso", compression: str = "zstd"
    ) -> None:
        self.kinds = market_kinds(kinds)
        self._sorts = columns_of(self.kinds)
        self._numbers = [name for name, sort in self._sorts.items() if sort == "number"]
        self._columns: dict[str, list[Any]] = {name: [] for name in (*self._sorts, EVENT)}
        self._fits = {kind: Fit(kind) for kind in map(row_kind, self.kinds)}
        self._encode = JsonEncoder(None, "ns", events=True).encode
        self._last: LevelRow | None = None
        metadata = {
            "tickstream.schema": SCHEMA_VERSION,
            "tickstream.version": __version__,
            "tickstream.digits": ",".join(self._numbers),
            "tickstream.time": time,
        }
        fields = [pa.field(name, TYPES[sort]) for name, sort in self._sorts.items()]
        fields += [pa.field(DIGITS, LABEL), pa.field(EVENT, pa.string())]
        self._schema = pa.schema(fields, metadata=metadata)
        self._file = pq.ParquetWriter(
            target, self._schema, compression=compression, version="2.6", write_page_checksum=True
        )

    def write(self, events: list[Event]) -> bool:
        """Take events. True when a row group was written."""
        check_kinds(events, self.kinds)
        for kind, run in runs(events) if events else ():
            if issubclass(kind, MarketEvent):
                self._take(kind, run)
            else:
                self._take_whole(kind, run)
        return self._write_groups(ROWS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the rest, and the end of the file; after an error there is none, and so no file."""
        if kind is None:
            self._write_groups(1)
            self._file.close()
        else:
            self._file.is_open = False  # or it would write the end when it is collected

    def _take(self, kind: type[Event], run: list[Event]) -> None:
        """Market events of one type: as rows, and those that do not fit, or would be read as one, whole."""
        row, rows = level_rows(kind, run)
        fit = self._fits[row]
        columns = self._extract(row, rows)
        if row is kind and fit.all(columns):
            self._append(columns)
            return
        for event in run:
            _, rows = level_rows(kind, [event])
            first = rows[0]
            joins = isinstance(first, LevelRow) and self._last is not None and follows(self._last, first)
            if not joins and all(fit.one(self._extract(row, [one])) for one in rows):
                self._append(self._extract(row, rows), rows[-1])
            else:
                self._take_whole(kind, [event])

    def _take_whole(self, kind: type[Event], events: list[Event]) -> None:
        columns = self._extract(kind, events)
        columns[EVENT] = [self._encode([event])[:-1].decode() for event in events]
        self._append(columns)

    def _extract(self, kind: type[Event], rows: Sequence[Event]) -> dict[str, list[Any]]:
        columns = {name: list(column(kind, name)(list(rows))) for name in self._sorts}
        columns[EVENT] = [None] * len(rows)
        return columns

    def _append(self, columns: dict[str, list[Any]], last: Event | None = None) -> None:
        for name, values in columns.items():
            self._columns[name] += values
        self._last = last if isinstance(last, LevelRow) else None

    def _write_groups(self, least: int) -> bool:
        written = False
        while len(self._columns[EVENT]) >= least:
            part = {name: values[:ROWS] for name, values in self._columns.items()}
            for values in self._columns.values():
                del values[:ROWS]
            self._file.write_batch(self._batch(part), row_group_size=ROWS)
            written = True
        return written

    def _batch(self, part: dict[str, list[Any]]) -> pa.RecordBatch:
        whole = part[EVENT]
        arrays, places = [], []
        for name, sort in self._sorts.items():
            if sort == "number":
                array, decimals = _decimals(part[name], whole)
                places.append(decimals)
            else:
                array = _array(sort, part[name])
            arrays.append(array)
        arrays += [_digits(places, len(whole)), pa.array(whole, pa.string())]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def _array(sort: str, values: list[Any]) -> pa.Array:
    if sort in ("time", "integer"):
        try:
            array = pa.array(values, pa.int64())
        except OverflowError:  # of events that are written whole
            array = pa.array([_fitting(value) for value in values], pa.int64())
        return array.cast(TYPES[sort])
    return pa.array(values, TYPES[sort])


def _fitting(value: int | None) -> int | None:
    return value if value is not None and -(2**63) <= value < 2**63 else None


def _decimals(values: list[Any], whole: list[str | None]) -> tuple[pa.Array, pa.Array]:
    """Numbers as decimals, and how many decimals each was written with.

    Those of events that are written whole may be of any form: the ones that do not fit are null.
    """
    if any(whole):
        values = [
            None if value is None or (event and not fits(value)) else value
            for value, event in zip(values, whole, strict=True)
        ]
    types = set(map(type, values))  # to look for None itself would compare it with each number
    if types == {type(None)}:
        return pa.nulls(len(values), TYPES["number"]), pa.array(repeat(ABSENT, len(values)), pa.int32())
    joined = b",".join([b"" if value is None else value for value in values] if type(None) in types else values)
    text = pc.split_pattern(pa.array([joined], pa.binary()).cast(pa.string()), ",").flatten()
    text = pc.if_else(pc.equal(text, ""), None, text)
    point = pc.find_substring(text, ".")
    behind = pc.subtract(pc.subtract(pc.binary_length(text), point), 1)
    places = pc.fill_null(pc.if_else(pc.less(point, 0), 0, behind), ABSENT)
    return text.cast(TYPES["number"]), places


def _digits(places: list[pa.Array], count: int) -> pa.Array:
    """For each row the decimals of its numbers, `5,5,,4`: made once for each combination, of which there are few."""
    code = pa.array(repeat(0, count), pa.int64())
    for column_places in places:
        code = pc.add(pc.multiply(code, ABSENT + 1), column_places.cast(pa.int64()))
    encoded = code.dictionary_encode()
    texts = [_text(value, len(places)) for value in encoded.dictionary.to_pylist()]
    return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(texts, pa.string()))


def _text(code: int, columns: int) -> str:
    return ",".join(reversed(list(_places(code, columns))))


def _places(code: int, columns: int) -> Iterator[str]:
    for _ in range(columns):
        code, place = divmod(code, ABSENT + 1)
        yield "" if place == ABSENT else str(place)
