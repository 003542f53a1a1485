from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.reads import read_bytes
from tests.capture.strategies import MARKET_KINDS, PLAIN_KINDS, events
from tests.sinks.making import START, bar, quote, trade
from tickstream.capture.cells import CellTimes
from tickstream.capture.csv_rows import LONGEST_OPEN, CsvRows
from tickstream.capture.kinds import row_kind
from tickstream.capture.lines import stretches
from tickstream.capture.table import Table
from tickstream.events import Bar, BookSnapshot, BookUpdate, Event
from tickstream.numbers import number
from tickstream.sinks.encoders import TimeFormat
from tickstream.sinks.fields import union
from tickstream.sinks.rows import CsvEncoder
from tickstream.timestamps import Timestamp

ALL = union(map(row_kind, MARKET_KINDS))


def written(some: list[Event], columns: tuple[str, ...] = ALL, time: TimeFormat = "ns", raw: bool = False) -> bytes:
    encoder = CsvEncoder(columns, time, raw_text=raw)
    return encoder.header() + encoder.encode(some)


def as_csv_can_hold_it(event: Event) -> Event:
    """In CSV no text and an empty text are one, and so are `'=1` and `=1`."""
    changes: dict[str, Any] = {}
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        if value == "" and type(None) in get_args(field.type):
            changes[field.name] = None
        elif value == "'=1":
            changes[field.name] = "=1"
    return msgspec.structs.replace(event, **changes)


@given(events(PLAIN_KINDS), st.booleans())
@settings(deadline=None)
def test_what_was_written_is_read_again(some: list[Event], raw: bool) -> None:
    read = read_bytes(written(some, raw=raw))
    assert read.events == list(map(as_csv_can_hold_it, some))
    assert (read.bad, read.torn) == ([], [])


@given(events(PLAIN_KINDS), st.integers(1, 80))
@settings(deadline=None, max_examples=50)
def test_it_does_not_matter_where_a_file_is_cut_into_pieces(some: list[Event], size: int) -> None:
    data = written(some)
    header = data[: data.index(b"\n")]
    table = Table({name: place for place, name in enumerate(ALL)}, len(ALL), CellTimes())
    rows = CsvRows("x", header, b",", table, ends=True)
    got: list[Event] = []
    for stretch in stretches((data[at : at + size] for at in range(0, len(data), size)), size):
        found, bad = rows.decode(stretch)
        got += found
        assert bad == []
    assert rows.finish() == ([], [])
    assert got == list(map(as_csv_can_hold_it, some))


def test_books_are_put_together_from_their_levels() -> None:
    def book(kind: type[BookSnapshot] | type[BookUpdate], bids: int, asks: int, sequence: int) -> Event:
        level = (number("1.50"), number("2"))
        return kind("kraken", "BTC/USD", START, START, (level,) * bids, (level,) * asks, sequence)

    some = [book(BookSnapshot, 2, 3, 1), book(BookUpdate, 0, 0, 2), book(BookUpdate, 0, 0, 2)]
    some += [book(BookUpdate, 0, 2, 3), book(BookUpdate, 1, 0, 4), book(BookUpdate, 1, 1, 4), bar()]
    some.append(book(BookUpdate, 1, 0, 5))
    assert read_bytes(written(some)).events == some


def test_half_a_level_is_a_bad_row() -> None:
    [event] = read_bytes(written([quote()])).events
    header = b"type,provider,symbol,ts_event,ts_recv,side,level,price,size,sequence\n"
    rows = b"book_update,x,y,,1000,bid,1,1.5,2,\nbook_update,x,y,,1000,bid,2,1.5,,\n"
    read = read_bytes(header + rows)
    assert [line for line, _ in read.bad] == [3]
    assert event == quote()
    assert len(read.events) == 1


@pytest.mark.parametrize("time", ["iso", "us", "ns"])
def test_times_are_read_as_they_were_written(time: TimeFormat) -> None:
    event = bar(ts_recv=Timestamp(START + 123_456_000))
    read = read_bytes(written([event], time=time))
    assert read.events == [event]
    assert read.sources[0].time == time


BARS = union([Bar])


def test_a_row_that_is_not_as_it_should_be_is_named_and_stops_nothing() -> None:
    lines = written([bar(minute=minute) for minute in range(6)], BARS).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"1.13468", b"1.1.1", 1)
    lines[4] = b"bar,tickatlas,EURUSD\n"
    lines[5] = lines[5].replace(b"true", b"maybe")
    read = read_bytes(b"".join(lines))
    assert len(read.events) == 3
    assert read.bad == [
        (3, "open: not a number: '1.1.1'"),
        (5, "3 cells; the header has 16"),
        (6, "closed: 'maybe' is none of 'true', 'false'"),
    ]


@pytest.mark.parametrize(
    ("column", "cell", "complaint"),
    [("ts_recv", "", "ts_recv: an empty cell"), ("ts_recv", "noon", "ts_recv: not an RFC 3339 time: 'noon'"),
     ("ts_recv", "-1", "ts_recv: not an RFC 3339 time: '-1'"), ("open", "NaN", "open: not a number: 'NaN'"),
     ("open", "", "open: an empty cell"), ("open", "true", "open: not a number: true"),
     ("open", "[1", "open: not a number: '[1'"), ("open", '"1,2"', "open: not a number: '1,2'"),
     ("type", "candle", "there is no market event of the type 'candle'"),
     ("type", "gap", "there is no market event of the type 'gap'")],
)  # fmt: skip
def test_what_a_cell_cannot_be(column: str, cell: str, complaint: str) -> None:
    row = dict(zip(BARS, written([bar()], BARS).splitlines()[1].decode().split(","), strict=True)) | {column: cell}
    data = ",".join(BARS) + "\n" + ",".join(row.values()) + "\n"
    assert read_bytes(data.encode()).bad == [(2, complaint)]


@pytest.mark.parametrize(("cell", "complaint"), [("1.5", "'1.5'"), ("x", "'x'")])
def test_a_sequence_is_a_whole_number(cell: str, complaint: str) -> None:
    row = f"trade,x,y,,1000,1.5,,,,{cell}"
    read = read_bytes(f"type,provider,symbol,ts_event,ts_recv,price,size,side,trade_id,sequence\n{row}\n".encode())
    assert read.bad == [(2, f"sequence: not a number: {complaint}")]


def test_bytes_that_are_no_text_are_a_bad_row() -> None:
    data = written([bar(), bar()], BARS).replace(b"EURUSD", b"EUR\xff", 1)
    read = read_bytes(data)
    assert (read.events, [line for line, _ in read.bad]) == ([bar()], [2])
    quoted = written([bar(), bar()], BARS).replace(b"EURUSD", b'"EUR\xff"', 1)
    assert [line for line, _ in read_bytes(quoted).bad] == [2]


def test_a_row_without_its_end_is_torn_off_wherever_it_was_cut() -> None:
    data = written([bar(), bar()], BARS)
    start = data.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start + 1, len(data)):
        read = read_bytes(data[:cut])
        assert (read.events, read.bad) == ([bar()], [])
        assert read.torn == [(3, "the end of the last row is missing")]


def test_a_header_that_stands_again_is_passed_over() -> None:
    data = written([bar()], BARS)
    assert read_bytes(data + data + b"\n" + data).events == [bar()] * 3
    assert read_bytes(data + data.replace(b"EURUSD", b'"EUR""USD"')).events == [bar(), bar('EUR"USD')]


def test_files_of_windows_are_read() -> None:
    data = b"\xef\xbb\xbf" + written([bar('"A"'), bar()], BARS).replace(b"\n", b"\r\n")
    assert read_bytes(data).events == [bar('"A"'), bar()]
    assert read_bytes(written([bar()] * 3, BARS).replace(b"\n", b"\r\n")).events == [bar()] * 3


def test_a_quote_that_nobody_closes_costs_its_line_only() -> None:
    lines = written([bar(minute=minute) for minute in range(2000)], BARS).splitlines(keepends=True)
    lines[7] = lines[7].replace(b"EURUSD", b'EUR"USD')
    assert sum(map(len, lines[8:])) > LONGEST_OPEN
    read = read_bytes(b"".join(lines))
    assert read.bad == [(8, "a quote is never closed")]
    assert len(read.events) == 1999


def test_a_quote_that_is_still_open_at_the_end_is_reported() -> None:
    data = written([bar(), bar()], BARS)
    cut = data.rindex(b"EURUSD")
    read = read_bytes(data[:cut] + b'"' + data[cut:])
    assert (read.events, read.bad) == ([bar()], [(3, "a quote is never closed")])


def test_text_behind_a_quote_is_a_bad_row() -> None:
    data = written([bar(), bar()], BARS).replace(b"EURUSD", b'"EUR"USD', 1)
    read = read_bytes(data)
    assert (read.events, [line for line, _ in read.bad]) == ([bar()], [2])


def test_types_may_alternate() -> None:
    some: list[Event] = [bar(), trade(), bar(), quote(), quote(), trade()]
    assert read_bytes(written(some)).events == some


def test_a_header_alone_is_no_event_and_nothing_bad() -> None:
    read = read_bytes(written([], BARS))
    assert (read.events, read.bad, read.torn) == ([], [], [])
