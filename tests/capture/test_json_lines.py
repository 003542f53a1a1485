from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import bar, gap, notice, quote, session_event, trade
from tickstream.capture.json_lines import JsonLines
from tickstream.capture.lines import Stretch
from tickstream.capture.values import Times
from tickstream.events import EVENT_TYPES, Account, Bar, Event, Summary, Trade
from tickstream.numbers import Number, text
from tickstream.sinks.encoders import JsonEncoder, TimeFormat
from tickstream.timestamps import MAX_NS, Timestamp, parse_rfc3339, rfc3339

ONE_OF_EACH: list[Event] = [
    bar(), quote(), trade(), gap(), notice(symbols=("EURUSD",)), session_event(),
    Account("tickatlas", Timestamp(0), "pro", 20, 4, None),
    Summary("tickatlas", Timestamp(0), 1.5, 0, 1, 1, 0, 0, 0, 0, 0, None, 0, 2, ("X",), 99, 4, None),
]  # fmt: skip


def written(events: list[Event], time: TimeFormat = "ns") -> bytes:
    return JsonEncoder(None, time, events=True).encode(events)


def read(data: bytes) -> list[Event]:
    events, bad = JsonLines("x").decode(Stretch(data, 1))
    assert bad == []
    return events


def complaints(data: bytes, first: int = 1) -> tuple[list[Event], list[tuple[int, str]]]:
    events, bad = JsonLines("x").decode(Stretch(data, first, ended=data.endswith(b"\n")))
    return events, [(line.line, line.reason) for line in bad]


def test_what_was_written_is_read_again() -> None:
    assert read(written(ONE_OF_EACH)) == ONE_OF_EACH


def test_every_type_of_event_can_be_read() -> None:
    assert {type(event) for event in ONE_OF_EACH} <= set(EVENT_TYPES.values())
    for tag in EVENT_TYPES:
        _, bad = complaints(b'{"type":"%s"}\n' % tag.encode())
        assert bad != []
        assert "missing required field" in bad[0][1]


@pytest.mark.parametrize("time", ["us", "iso"])
def test_times_are_read_as_precisely_as_they_were_written(time: TimeFormat) -> None:
    event = bar(ts_recv=Timestamp(1_782_312_840_123_456_789))
    assert read(written([event], time)) == [bar(ts_recv=Timestamp(1_782_312_840_123_456_000))]


@given(st.integers(10**17, 10**20 - 1))
def test_counts_of_nanoseconds_and_of_microseconds_are_told_apart(ns: int) -> None:
    assert Times()[ns] == ns
    assert Times()[ns // 1000] == ns // 1000 * 1000


@given(st.integers(0, MAX_NS - 1))
def test_texts_of_ours_are_read_as_any_other_text(ns: int) -> None:
    text_ = rfc3339(ns)
    assert Times()[text_] == parse_rfc3339(text_) == ns // 1000 * 1000


@pytest.mark.parametrize("digits", ["+12345", " 12345", "1_2345", "12345x", "١٢٣٤٥٦"])
def test_a_text_that_only_looks_like_ours_is_refused(digits: str) -> None:
    with pytest.raises(ValueError):
        Times()[f"2026-06-24T14:54:00.{digits}Z"]


@pytest.mark.parametrize("written_time", ["", "yesterday", "2026-13-01T00:00:00Z", -1, MAX_NS, 1.5, True, None])
def test_what_is_no_time_is_refused(written_time: object) -> None:
    with pytest.raises(ValueError):
        Times()[written_time]


def test_the_times_that_are_remembered_are_bounded() -> None:
    times = Times()
    for count in range(10_000):
        assert times[10**18 + count] == 10**18 + count
        assert times[rfc3339(count * 10**9)] == count * 10**9
    assert max(len(times), len(times._days)) <= 4096


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_digits_stay_as_they_are(value: object) -> None:
    [event] = read(written([trade(str(value))]))
    assert isinstance(event, Trade)
    assert text(event.price) == str(value)


@pytest.mark.parametrize("digits", ["1e-8", "0." + "0" * 80 + "1", "-0", "1E+5"])
def test_unusual_numbers_are_read_too(digits: str) -> None:
    [event] = read(written([bar(spread=Number(digits.encode()))]))
    assert isinstance(event, Bar)
    assert event.spread is not None
    assert text(event.spread) == digits


@pytest.mark.parametrize("value", [b'"1.5"', b"null", b"true", b"[1]", b"{}", b'{"a":1}'])
def test_a_price_that_is_no_number_makes_the_line_bad(value: bytes) -> None:
    line = written([trade("12345")]).replace(b"12345", value)
    events, bad = complaints(written([bar()]) + line)
    assert (events, [number for number, _ in bad]) == ([bar()], [2])
    assert bad[0][1].startswith("not a number") or "Expected" in bad[0][1]


def test_bad_lines_are_named_and_stop_nothing() -> None:
    good = written([bar()])
    data = good + b"rubbish\n" + good + b'{"type":"tomorrow"}\n' + b'{"type":"bar"}\n' + good + b"\xff\xfe\0\n" + good
    events, bad = complaints(data, first=101)
    assert events == [bar()] * 4
    assert [line for line, _ in bad] == [102, 104, 105, 107]
    assert "tomorrow" in bad[1][1]


def test_two_records_on_one_line_are_one_bad_line() -> None:
    glued = written([bar()])[:-1] + written([bar()])
    events, bad = complaints(glued + written([trade()]))
    assert events == [trade()]
    assert [line for line, _ in bad] == [1]


def test_blank_lines_are_passed_over() -> None:
    events, bad = complaints(b"\n" + written([bar()]) + b"  \r\n\n" + written([bar()]))
    assert (events, bad) == ([bar()] * 2, [])


def test_lines_may_end_as_on_windows() -> None:
    assert read(written([bar(), trade()]).replace(b"\n", b"\r\n")) == [bar(), trade()]


def test_a_last_line_without_an_end_is_an_event_when_it_is_whole() -> None:
    data = written([bar()])
    assert complaints(data[:-1]) == ([bar()], [])
    for cut in range(1, len(data) - 1):
        events, bad = complaints(data[:cut])
        assert (events, len(bad)) == ([], 1)


def test_deep_nesting_is_a_bad_line() -> None:
    events, bad = complaints(b"[" * 100_000 + b"\n" + written([bar()]))
    assert (events, len(bad)) == ([bar()], 1)


@given(st.lists(st.sampled_from(ONE_OF_EACH), max_size=30), st.data())
def test_any_damage_costs_only_the_lines_that_it_hits(events: list[Event], data: st.DataObject) -> None:
    lines = written(events).splitlines(keepends=True)
    hit = data.draw(st.sets(st.integers(0, max(0, len(lines) - 1)), max_size=len(lines)))
    for index in hit:
        lines[index] = b"!" + lines[index]
    decoded, bad = complaints(b"".join(lines))
    assert decoded == [event for index, event in enumerate(events) if index not in hit]
    assert [line - 1 for line, _ in bad] == sorted(hit)


def test_fields_of_a_later_version_do_no_harm() -> None:
    assert read(written([trade()]).replace(b'"side"', b'"venue":["x"],"side"')) == [trade()]
