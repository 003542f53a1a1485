from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import START, bar, book, book_update, gap, levels, notice, quote, trade
from tests.sinks.test_encoders import EVENTS, FEW
from tickstream.events import Bar, Event, Trade, wire_fields
from tickstream.sinks.fields import csv_fields, default_columns
from tickstream.sinks.levels import level_rows
from tickstream.sinks.rows import CsvEncoder
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

COLUMNS = csv_fields()


def read(data: bytes) -> list[list[str]]:
    """What the csv module makes of it."""
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def cells(event: Event, columns: tuple[str, ...]) -> list[str]:
    """What an event's cells hold; times in ns."""
    values: dict[str, Any] = {"type": event.__struct_config__.tag}
    values |= zip(wire_fields(type(event))[1:], msgspec.structs.astuple(event), strict=True)
    return [_text(values.get(name)) for name in columns]


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Timestamp():
            return str(int(value))
        case msgspec.Raw():
            return bytes(value).decode()
    return str(value)


@FEW
@given(EVENTS, st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True).map(tuple))
def test_the_csv_module_reads_back_every_digit_and_text(events: list[Event], columns: tuple[str, ...]) -> None:
    data = CsvEncoder(columns, "ns", raw_text=True).encode(events)
    rows = [row for event in events for row in level_rows(type(event), [event])[1]]
    assert read(data) == [cells(row, columns) for row in rows]


@FEW
@given(EVENTS)
def test_whole_events_read_back_too(events: list[Event]) -> None:
    for kind in (Bar, Trade):
        some = [event for event in events if type(event) is kind]
        data = CsvEncoder(wire_fields(kind), "ns", raw_text=True).encode(some)
        assert read(data) == [cells(event, wire_fields(kind)) for event in some]


@FEW
@given(EVENTS)
def test_no_text_cell_begins_as_a_formula(events: list[Event]) -> None:
    for row in read(CsvEncoder(("symbol", "trade_id"), "ns").encode(events)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\0")) for cell in row)


def test_a_bar_is_written_as_documented() -> None:
    encoder = CsvEncoder(wire_fields(Bar), "iso")
    assert encoder.header() == (
        b"type,provider,symbol,ts_event,ts_recv,interval,open,high,low,close,volume,bid,ask,spread,closed,canonical\n"
    )
    assert encoder.encode([bar(close="1.13450")]) == (
        b"bar,tickatlas,EURUSD,2026-06-24T14:54:00.000000Z,2026-06-24T14:55:00.123456Z,1m,"
        b"1.13468,1.13468,1.13448,1.13450,291,1.13450,1.13462,0.00012,true,\n"
    )


def test_each_level_of_a_book_is_a_row() -> None:
    encoder = CsvEncoder(default_columns(Channel.BOOK), "us")
    assert encoder.header() == b"type,provider,symbol,ts_event,ts_recv,side,level,price,size,sequence,canonical\n"
    first = f"kraken,EUR/USD,{START // 1000},{START // 1000}"
    data = encoder.encode([
        book(("1.10", "5.0"), ("1.09", "0.50"), asks=(("1.20", "7"),), sequence=41),
        book_update(asks=(("1.20", "0.00"),)),
        book(),
    ])  # fmt: skip
    assert data.decode().splitlines() == [
        f"book_snapshot,{first},bid,1,1.10,5.0,41,",
        f"book_snapshot,{first},bid,2,1.09,0.50,41,",
        f"book_snapshot,{first},ask,1,1.20,7,41,",
        f"book_update,{first},ask,1,1.20,0.00,,",
        f"book_snapshot,{first},,,,,,",
    ]


def test_a_large_book_is_written_at_once() -> None:
    side = levels(*((str(price), "1.5") for price in range(20_000)))
    data = CsvEncoder(("level", "price", "size"), "us").encode([book(bids=side)])
    assert data.count(b"\n") == 20_000
    assert data.endswith(b"\n20000,19999,1.5\n")


@pytest.mark.parametrize(("time", "shown"), [("us", b"1782312840000000"), ("ns", b"1782312840000000000")])
def test_times_are_written_as_asked(time: Any, shown: bytes) -> None:
    assert CsvEncoder(("ts_event",), time).encode([bar()]) == shown + b"\n"


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-X", "'-X"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tX", "'\tX"),
        ("＝1", "'＝1"),
        ("=1,2", '"\'=1,2"'),
        ("a,b", '"a,b"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines", '"two\nlines"'),
        ("[x]", "[x]"),
        ("null", "null"),
        ("a,null", '"a,null"'),
        ("back\\slash", "back\\slash"),
        ("Zürich", "Zürich"),
        ("BRK.B", "BRK.B"),
        ("EUR/USD", "EUR/USD"),
        ("", ""),
    ],
)
def test_text_is_quoted_and_guarded_where_it_must_be(symbol: str, cell: str) -> None:
    data = CsvEncoder(("symbol", "close"), "iso").encode([bar(symbol), bar()])
    assert data.decode() == f"{cell},1.1345\nEURUSD,1.1345\n"


def test_numbers_are_no_formulas() -> None:
    data = CsvEncoder(("symbol", "spread"), "iso").encode([bar("=X", spread=msgspec.Raw(b"-1.50"))])
    assert data == b"'=X,-1.50\n"


def test_raw_text_is_quoted_but_not_guarded() -> None:
    assert CsvEncoder(("symbol",), "iso", raw_text=True).encode([bar("=A1,B1")]) == b'"=A1,B1"\n'


def test_a_missing_field_is_an_empty_cell_wherever_it_stands() -> None:
    columns = ("bid", "symbol", "bid_size", "last")
    assert CsvEncoder(columns, "iso").encode([quote(None), quote("1.10")]) == b",EUR/USD,,\n1.10,EUR/USD,,\n"


def test_a_row_of_one_empty_cell_is_no_empty_line() -> None:
    assert CsvEncoder(("volume",), "iso").encode([bar(volume=None), bar()]) == b'""\n291\n'
    assert CsvEncoder(("symbol",), "iso").encode([bar(""), bar()]) == b'""\nEURUSD\n'


def test_events_of_several_types_share_the_columns() -> None:
    data = CsvEncoder(("type", "symbol", "price", "close"), "iso").encode([bar(), trade(), bar()])
    assert data == b"bar,EURUSD,,1.1345\ntrade,BTC-USD,68123.50,\nbar,EURUSD,,1.1345\n"


def test_columns_that_do_not_depend_on_the_event_end_with_the_events() -> None:
    assert CsvEncoder(("type", "price"), "iso").encode([bar(), bar()]) == b"bar,\nbar,\n"


def test_stream_events_are_no_rows() -> None:
    assert CsvEncoder(("symbol",), "iso").encode([gap(), bar(), notice()]) == b"EURUSD\n"
    assert CsvEncoder(("symbol",), "iso").encode([gap()]) == b""
    assert CsvEncoder(("symbol",), "iso").encode([]) == b""


def test_any_number_of_different_texts_is_written_without_remembering_them_all() -> None:
    encoder = CsvEncoder(("trade_id", "ts_event"), "us")
    for start in range(0, 12_000, 250):
        data = encoder.encode([trade(trade_id=f"{number:05}") for number in range(start, start + 250)])
        assert data.split(b"\n")[0] == b"%05d,%d" % (start, START // 1000)
    assert len(encoder._clean_texts) < 10_000


def test_ids_with_punctuation_stay_as_they_are_however_many_have_come() -> None:
    encoder = CsvEncoder(("trade_id",), "ns")
    for begin in range(0, 5000, 50):
        ids = [f"a-{number}" for number in range(begin, begin + 50)]
        assert encoder.encode([trade(trade_id=one) for one in ids]).decode().split() == ids


def test_one_id_that_needs_quotes_among_many_gets_them() -> None:
    ids = [f"{number}" for number in range(30)]
    data = CsvEncoder(("trade_id",), "ns").encode([trade(trade_id=one) for one in (*ids, 'a"b')])
    assert data.decode().splitlines() == [*ids, '"a""b"']
