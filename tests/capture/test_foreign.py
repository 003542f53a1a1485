from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.reads import read_bytes, read_paths
from tests.sinks.making import START, quote, trade
from tickstream.capture.foreign import ForeignColumns, ForeignTimes, parse_columns
from tickstream.errors import TickstreamError, UsageError
from tickstream.events import Bar, Quote, Trade
from tickstream.numbers import number, text
from tickstream.timestamps import Timestamp

DATA = Path(__file__).parent.parent / "data"
TRADES = ForeignColumns(columns={"ts_event": "time", "price": "px"}, type="trade", symbol="BTCUSD")
TRADE = Trade("unknown", "BTCUSD", START, START, number("1.50"))


def refused(data: bytes, **said: object) -> str:
    with pytest.raises(UsageError) as error:
        read_bytes(data, foreign=ForeignColumns(**said))  # type: ignore[arg-type]  # as they come
    assert len(str(error.value).splitlines()) == 2
    return str(error.value)


# --- what is said of columns ------------------------------------------------------------------------------------------


def test_columns_are_named_as_field_equals_column() -> None:
    assert parse_columns("ts_event=time, price = px") == {"ts_event": "time", "price": "px"}


@pytest.mark.parametrize("said", ["", "time", "=time", "price=", "price=px,", "price=px,price=last"])
def test_what_names_no_column_is_refused(said: str) -> None:
    with pytest.raises(UsageError, match="--columns"):
        parse_columns(said)


def test_fields_and_types_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="there is no field 'prise'"):
        ForeignColumns(columns={"prise": "px"})
    with pytest.raises(UsageError, match="--type: 'tick' is none of bar, quote, trade"):
        ForeignColumns(type="tick")


def test_a_provider_alone_says_nothing_of_columns() -> None:
    assert not ForeignColumns(provider="kraken")
    assert ForeignColumns(symbol="X")


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "ns"),
    [("1782312840", START), ("1782312840.5", START + 500_000_000), ("1782312840000", START),
     ("1782312840000.25", START + 250_000), ("1782312840000000", START), ("1782312840000000000", START),
     ("2026-06-24 14:54:00", START), ("2026.06.24 14:54", START), ("2026/06/24 14:54:00", START),
     ("2026-06-24T16:54:00.000000001+02:00", START + 1), (" 1782312840. ", START)],
)  # fmt: skip
def test_times_are_read_in_the_ways_people_write_them(written: str, ns: int) -> None:
    assert ForeignTimes()[written.encode()] == ns


def test_the_first_count_says_of_which_unit_all_are() -> None:
    times = ForeignTimes()
    assert times[b"1782312840000"] == START
    assert times[b"60000"] == 60 * 10**9


@pytest.mark.parametrize("written", ["", "noon", "24.06.2026", "1e9", "-5", "1782312840000000000000", "\xff"])
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        ForeignTimes()[written.encode("latin-1")]


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_the_minutes_of_a_terminal_are_bars() -> None:
    said = ForeignColumns(columns={"ts_event": "time"}, type="bar", symbol="EURUSD", interval="1m", provider="mt5")
    read = read_paths(DATA / "m1" / "EURUSD.csv", foreign=said)
    assert (len(read.events), read.bad) == (120, [])
    first = read.events[0]
    assert isinstance(first, Bar)
    assert (first.provider, first.symbol, first.interval, first.ts_event, first.ts_recv) == (
        "mt5", "EURUSD", "1m", START, START,
    )  # fmt: skip
    assert (text(first.open), text(first.close), first.bid, first.closed) == ("1.13468", "1.1345", None, None)


def test_columns_of_their_own_names_need_not_be_named() -> None:
    data = b"ts_recv,ts_event,symbol,price,size,side\n1782312841,1782312840,BTC-USD,1.50,0.1,buy\n"
    read = read_bytes(data, foreign=ForeignColumns(type="trade"))
    assert read.events == [
        Trade("unknown", "BTC-USD", START, Timestamp(START + 10**9), number("1.50"), number("0.1"), "buy")
    ]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_and_a_last_line_without_its_end_are_taken(separator: str) -> None:
    data = b"time,px\n2026-06-24 14:54:00,1.50\n2026-06-24 14:54:00,1.50".replace(b",", separator.encode())
    assert read_bytes(data, foreign=TRADES).events == [TRADE] * 2


def test_names_may_be_quoted_and_columns_that_mean_nothing_to_us_are_passed_over() -> None:
    data = b'"time","note","px"\n1782312840,"a ""b"", c",1.50\n'
    assert read_bytes(data, foreign=TRADES).events == [TRADE]


def test_what_is_said_of_every_row_wins_over_a_column() -> None:
    data = b"time,px,symbol\n1782312840,1.50,OTHER\n"
    assert read_bytes(data, foreign=TRADES).events == [TRADE]


def test_a_column_may_say_the_type_of_each_row() -> None:
    data = b"time,type,symbol,price,bid\n1782312840,trade,A,1.50,\n1782312840,quote,A,,1.25\n1782312840,swap,A,,\n"
    read = read_bytes(data, foreign=ForeignColumns(columns={"ts_event": "time"}))
    assert read.events == [
        Trade("unknown", "A", START, START, number("1.50")), Quote("unknown", "A", START, START, number("1.25"))
    ]  # fmt: skip
    assert [line for line, _ in read.bad] == [4]


def test_a_text_of_others_is_never_taken_for_a_guarded_formula() -> None:
    [event] = read_bytes(b"time,px,trade_id\n1782312840,1.50,'=1\n", foreign=TRADES).events
    assert isinstance(event, Trade)
    assert event.trade_id == "'=1"


def test_rows_that_do_not_fit_are_named() -> None:
    data = b"time,px\n1782312840,1.50\n1782312840,n/a\n,1.50\n1782312840,+1\n1782312840,1.50\n"
    read = read_bytes(data, foreign=TRADES)
    assert read.events == [TRADE] * 2
    assert read.bad == [
        (3, "price: not a number: 'n/a'"),
        (4, "ts_recv: an empty cell"),
        (5, "price: not a number: '+1'"),
    ]


def test_what_is_missing_is_asked_for() -> None:
    data = b"time,px\n1782312840,1.50\n"
    columns = {"ts_event": "time", "price": "px"}
    assert "--columns ts_event=time,price=px" in refused(data)
    assert "--type" in refused(data, columns=columns)
    assert "--symbol" in refused(data, columns=columns, type="trade")
    assert "no column 'pxx' for price" in refused(data, columns={"price": "pxx"}, type="trade")
    assert "price=NAME" in refused(data, columns={"ts_event": "time"}, type="trade", symbol="X")
    assert "ts_event=NAME" in refused(data, columns={"price": "px"}, type="trade", symbol="X")
    bars = b"time,open,high,low,close\n"
    assert "--interval" in refused(bars, columns={"ts_event": "time"}, type="bar", symbol="X")
    with pytest.raises(UsageError, match="two columns"):
        read_bytes(b"a,a\n", foreign=TRADES)


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_objects_are_read_like_rows() -> None:
    data = (
        b'{"time":1782312840,"px":1.50}\n{"px":"1.50","time":"2026-06-24T14:54:00Z","more":{"a":[1]}}\n\n'
        b'{"time":1782312840,"px":1.50,"side":null,"size":"0.10"}\n'
    )
    read = read_bytes(data, foreign=TRADES)
    assert read.events == [TRADE, TRADE, Trade("unknown", "BTCUSD", START, START, number("1.50"), number("0.10"))]
    assert read.bad == []


def test_objects_that_do_not_fit_are_named() -> None:
    data = b'{"time":1782312840,"px":1.50}\n{"time":1782312840}\n[1]\n{"time":1782312840,"px":{}}\n{"time":17823'
    read = read_bytes(data, foreign=TRADES)
    assert read.events == [TRADE]
    assert [line for line, _ in read.bad] == [2, 3, 4]
    assert [line for line, _ in read.torn] == [5]


def test_objects_that_never_have_what_is_needed_are_a_matter_of_names() -> None:
    assert "price=NAME" in refused(b'{"time":1,"p":2}\n', columns={"ts_event": "time"}, type="trade", symbol="X")


@given(st.binary(max_size=60))
def test_any_rubbish_is_read_without_a_crash(data: bytes) -> None:
    for start in (b"time,px\n", b'{"time":1782312840,"px":1}\n', b""):
        try:
            read_bytes(start + data, foreign=TRADES)
        except TickstreamError:
            continue


def test_our_own_files_are_not_read_as_those_of_others() -> None:
    from tests.capture.test_csv_rows import written as csv
    from tests.capture.test_json_lines import written as jsonl

    assert read_bytes(csv([quote(), trade()]), foreign=TRADES).events == [quote(), trade()]
    assert read_bytes(jsonl([quote(), trade()]), foreign=TRADES).events == [quote(), trade()]
