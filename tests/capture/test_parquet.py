from __future__ import annotations

import gc
import io
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from tests.capture.strategies import MARKET_KINDS, PLAIN_KINDS, events
from tests.sinks.making import START, bar, gap, notice, quote, trade
from tickstream.capture import parquet
from tickstream.capture.arrow_writing import ParquetWriter
from tickstream.capture.finding import Found
from tickstream.capture.kinds import OtherKind
from tickstream.capture.reading import BadLine, ForeignColumns, ReadOptions, Source
from tickstream.errors import ConfigError, InputError, UsageError
from tickstream.events import EVENT_TYPES, Bar, BookSnapshot, BookUpdate, Event, Quote, Trade
from tickstream.numbers import number, text
from tickstream.sinks.encoders import JsonEncoder
from tickstream.timestamps import Timestamp


def written(some: list[Event], kinds: list[type[Event]] | None = None, compression: str = "zstd") -> bytes:
    target = io.BytesIO()
    with ParquetWriter(target, MARKET_KINDS if kinds is None else kinds, compression=compression) as writer:
        writer.write(some)
    return target.getvalue()


def read(data: bytes, foreign: ForeignColumns | None = None) -> tuple[list[Event], list[BadLine]]:
    chunks = parquet.opened("x", io.BytesIO(data), foreign or ForeignColumns()).chunks()
    found: list[Event] = []
    bad: list[BadLine] = []
    for chunk in chunks:
        found += chunk.events
        bad += chunk.bad
    return found, bad


def lines_file(tmp_path: Path, some: list[Event]) -> Path:
    path = tmp_path / "x.parquet.jsonl.part"
    path.write_bytes(JsonEncoder(None, "ns", events=True).encode(some))
    return path


@given(events(list(EVENT_TYPES.values())))
@settings(deadline=None)
def test_every_event_is_read_again_digit_for_digit(some: list[Event]) -> None:
    assert read(written(some)) == (some, [])


@given(events([BookSnapshot, BookUpdate], most=12))
@settings(deadline=None, max_examples=50)
def test_book_events_that_follow_each_other_stay_apart(some: list[Event]) -> None:
    assert read(written(some)) == (some, [])


@given(events(PLAIN_KINDS))
@settings(deadline=None, max_examples=30)
def test_a_file_has_the_columns_of_its_events_and_no_others(some: list[Event]) -> None:
    kinds = {type(event) for event in some}
    data = written(some, list(kinds))
    assert read(data) == (some, [])
    names = set(pq.ParquetFile(io.BytesIO(data)).schema_arrow.names)
    assert names == {"type", "digits", "event"}.union(*(kind.__struct_encode_fields__ for kind in kinds))


def test_other_programs_see_numbers_times_and_labels() -> None:
    rows: list[Event] = [bar(ts_recv=START), bar("XAUUSD", volume=None, ts_recv=START)]
    table = pq.read_table(io.BytesIO(written(rows, [Bar])))
    assert table.schema.field("bid").type == pa.decimal128(38, 18)
    assert table.schema.field("ts_event").type == pa.timestamp("ns", "UTC")
    assert table.schema.field("symbol").type == pa.dictionary(pa.int32(), pa.string())
    [first, second] = table.to_pylist()
    assert (first["bid"], first["volume"], second["volume"]) == (Decimal("1.1345"), 291, None)
    assert (first["symbol"], second["symbol"], first["closed"]) == ("EURUSD", "XAUUSD", True)
    assert first["ts_event"].isoformat() == "2026-06-24T14:54:00+00:00"
    assert (first["digits"], second["digits"]) == ("5,5,5,4,0,4,5,5", "5,5,5,4,,4,5,5")
    assert (first["event"], second["event"]) == (None, None)
    assert table.schema.metadata[b"tickstream.digits"] == b"open,high,low,close,volume,bid,ask,spread"
    assert table.schema.metadata[b"tickstream.schema"] == b"1"


def test_a_number_that_no_decimal_holds_is_kept_as_json_and_the_others_stay_numbers() -> None:
    table = pq.read_table(io.BytesIO(written([trade("1e-8", size=number("2.50"))], [Trade])))
    [row] = table.to_pylist()
    assert (row["price"], row["size"]) == (None, Decimal("2.50"))
    assert '"price":1e-8,"size":2.50' in row["event"]


def test_events_of_the_stream_keep_their_place() -> None:
    some: list[Event] = [bar(), gap(), bar("XAUUSD"), notice(), bar()]
    data = written(some, [Bar])
    assert read(data) == (some, [])
    assert pq.read_table(io.BytesIO(data)).column("type").to_pylist() == ["bar", "gap", "bar", "notice", "bar"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_it_can_be_compressed_in_three_ways(compression: str) -> None:
    data = written([bar()] * 100, [Bar], compression)
    assert read(data)[0] == [bar()] * 100
    shown = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(2).compression
    assert shown == compression.upper().replace("NONE", "UNCOMPRESSED")


def test_row_groups_are_written_as_the_rows_come_and_order_is_kept() -> None:
    some: list[Event] = [bar(minute=minute) for minute in range(70_000)]
    target = io.BytesIO()
    with ParquetWriter(target, [Bar]) as writer:
        sizes = []
        for start in range(0, len(some), 5000):
            writer.write(some[start : start + 5000])
            sizes.append(target.tell())
    assert sizes[6] > sizes[5] == sizes[0]
    assert pq.ParquetFile(target).num_row_groups == 3
    assert read(target.getvalue()) == (some, [])


def test_a_type_without_columns_is_refused_before_anything_is_written() -> None:
    with ParquetWriter(io.BytesIO(), [Bar]) as writer, pytest.raises(OtherKind) as refused:
        writer.write([bar(), quote()])
    assert refused.value.kind is Quote


# --- from a file of lines ---------------------------------------------------------------------------------------------


def converted(lines: Path) -> bytes:
    target = lines.with_suffix(".tmp")
    for _ in parquet.convert(lines, target):
        pass
    return target.read_bytes()


def test_a_file_of_lines_becomes_a_file_of_rows(tmp_path: Path) -> None:
    some: list[Event] = [bar(minute=minute, ts_recv=Timestamp(START + minute)) for minute in range(3000)]
    lines = lines_file(tmp_path, some)
    data = converted(lines)
    assert read(data) == (some, [])
    assert lines.stat().st_size > 10 * len(data)


def test_types_that_come_late_get_their_columns(tmp_path: Path) -> None:
    some: list[Event] = [*[bar(minute=minute) for minute in range(2000)], quote(), *[trade()] * 2000, gap()]
    data = converted(lines_file(tmp_path, some))
    assert read(data) == (some, [])
    assert {"open", "bid_size", "price"} <= set(pq.ParquetFile(io.BytesIO(data)).schema_arrow.names)


def test_an_empty_file_of_lines_becomes_a_file_without_rows(tmp_path: Path) -> None:
    assert read(converted(lines_file(tmp_path, []))) == ([], [])


def test_what_was_in_the_way_is_replaced(tmp_path: Path) -> None:
    lines = lines_file(tmp_path, [bar()])
    lines.with_suffix(".tmp").write_bytes(b"x" * 100_000)
    assert read(converted(lines)) == ([bar()], [])


@pytest.mark.parametrize("damage", [b"rubbish\n", b'{"type":"bar","prov'])
def test_a_line_that_is_no_event_stops_the_conversion(tmp_path: Path, damage: bytes) -> None:
    lines = lines_file(tmp_path, [bar()])
    lines.write_bytes(lines.read_bytes() + damage)
    with pytest.raises(InputError, match=r"part:2: "):
        converted(lines)


def test_a_conversion_that_is_given_up_leaves_nothing_to_be_written_later(tmp_path: Path) -> None:
    lines = lines_file(tmp_path, [bar(minute=minute) for minute in range(5000)])
    steps = parquet.convert(lines, tmp_path / "x")
    next(steps)
    steps.close()
    del steps
    gc.collect()
    with pytest.raises(InputError, match="x"):
        list(Source(Found("x", tmp_path / "x"), ReadOptions()).chunks()) or read((tmp_path / "x").read_bytes())


def test_it_is_written_bit_by_bit(tmp_path: Path) -> None:
    lines = lines_file(tmp_path, [bar(minute=minute) for minute in range(20_000)])
    assert sum(1 for _ in parquet.convert(lines, tmp_path / "x")) > 10


# --- what can be wrong ------------------------------------------------------------------------------------------------


def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pip install 'tickstream\[parquet\]'"):
        parquet.require()
    with pytest.raises(ConfigError, match="pyarrow"):
        read(b"PAR1")


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_file_without_its_end_cannot_be_read(cut: int) -> None:
    with pytest.raises(InputError, match=r"^Cannot read x: "):
        read(written([bar()], [Bar])[:cut])


def test_a_damaged_row_group_is_reported_and_the_others_are_read() -> None:
    some: list[Event] = [bar(minute=minute, ts_recv=Timestamp(START + minute * 7)) for minute in range(70_000)]
    data = bytearray(written(some, [Bar]))
    column = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(4)
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 0xFF
    found, bad = read(bytes(data))
    assert [line.line for line in bad] == [len(found) - 4463]
    assert "cannot be read" in bad[0].reason
    assert found[:32_768] == some[:32_768]
    assert found[-4464:] == some[-4464:]


def test_a_later_schema_is_not_guessed_at() -> None:
    table = pq.read_table(io.BytesIO(written([bar()], [Bar])))
    target = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"tickstream.schema": b"2"}), target)
    with pytest.raises(InputError, match="newer tickstream"):
        read(target.getvalue())


def changed(some: list[Event], kinds: list[type[Event]], **columns: Any) -> bytes:
    """A file whose columns somebody has changed, and left the rest as it was."""
    table = pq.read_table(io.BytesIO(written(some, kinds)))
    for name, values in columns.items():
        field = table.schema.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def test_rows_that_lack_something_are_named_and_the_others_are_read() -> None:
    some: list[Event] = [bar(minute=minute) for minute in range(5)]
    found, bad = read(changed(some, [Bar], open=[1, None, 1, 1, 1], symbol=["A", "A", "A", None, "A"]))
    assert len(found) == 3
    assert [(line.line, line.reason) for line in bad] == [(2, "open is missing"), (4, "symbol is missing")]
    found, bad = read(changed(some, [Bar], type=["bar", "candle", "bar", None, "bar"]))
    assert (len(found), [line.line for line in bad]) == (3, [2, 4])
    found, bad = read(changed(some, [Bar], event=[None, "{", None, None, None]))
    assert (len(found), [line.line for line in bad]) == (4, [2])


def test_half_a_level_of_a_book_is_named() -> None:
    book = BookUpdate("x", "y", START, START, bids=((number("1"), number("2")),) * 2, asks=())
    found, bad = read(changed([book], [BookUpdate], price=[1, None]))
    assert [line.line for line in bad] == [2]
    assert found == [BookUpdate("x", "y", START, START, bids=((number("1"), number("2")),), asks=())]


# --- files of others --------------------------------------------------------------------------------------------------


def foreign_file(**columns: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


def test_a_file_of_others_is_read_once_its_columns_are_named() -> None:
    moment = pa.array([1_782_312_840_000, None], pa.timestamp("ms"))
    data = foreign_file(
        time=moment,
        px=pa.array(["1.50", "1.60"]),
        qty=pa.array([Decimal("0.0000001"), None]),
        flags=pa.array([[1], [2]]),
    )
    with pytest.raises(UsageError, match="--type"):
        read(data)
    said = ForeignColumns(columns={"ts_event": "time", "price": "px", "size": "qty"}, type="trade", symbol="BTCUSD")
    found, bad = read(data, said)
    assert found == [Trade("unknown", "BTCUSD", START, START, number("1.50"), number("0.0000001"))]
    assert [(line.line, line.reason) for line in bad] == [(2, "ts_recv: an empty cell")]


def test_floats_of_others_have_the_digits_that_tell_them_apart() -> None:
    data = foreign_file(time=pa.array([1_782_312_840]), price=pa.array([1.1345]), more=pa.array([True]))
    [event], _ = read(data, ForeignColumns(columns={"ts_event": "time"}, type="trade", symbol="X"))
    assert isinstance(event, Trade)
    assert text(event.price) == "1.1345"
