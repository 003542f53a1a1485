from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sinks.making import START, bar, book, book_update, gap, notice, order, quote, session_event, trade
from tickstream.events import Event, MarketEvent, wire_fields
from tickstream.numbers import number
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.fields import valid_fields
from tickstream.timestamps import Timestamp, parse_rfc3339

DIGITS = st.tuples(
    st.integers(-(10**18), 10**18), st.sampled_from(["", ".0", ".50", ".00000001", ".123456789012", "e-8", ".10E+5"])
).map(lambda parts: f"{parts[0]}{parts[1]}")
MOMENTS = st.integers(0, 253_402_300_799_999_999_999).map(Timestamp)
TEXTS = st.sampled_from(["EURUSD", "a,b", 'say "x"', "=1+1", "null", "[\\", "", "-", "a\r\nb", "\x00"]) | st.text(
    st.characters(codec="utf-8"), max_size=8
)


NUMBERS = DIGITS.map(number)
LEVELS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3).map(tuple)


@st.composite
def market_events(draw: st.DrawFn) -> Event:
    """All market events, with any digits, texts, times, and fields missing."""
    maybe = st.none() | NUMBERS
    common: dict[str, Any] = {"symbol": draw(TEXTS), "ts_event": draw(st.none() | MOMENTS), "ts_recv": draw(MOMENTS)}
    common["canonical"] = draw(st.none() | TEXTS)
    kind = draw(st.sampled_from("bqtsuo"))
    if kind in "su":
        sides = {"bids": draw(LEVELS), "asks": draw(LEVELS), "sequence": draw(st.none() | st.integers(0, 2**63))}
        return (book if kind == "s" else book_update)(**common | sides)
    if kind == "o":
        return order(**common, order_id=draw(TEXTS), price=draw(maybe), remaining=draw(maybe), reason=draw(TEXTS))
    if kind == "b":
        closed = draw(st.none() | st.booleans())
        return bar(**common, open=draw(NUMBERS), volume=draw(maybe), spread=draw(maybe), closed=closed)
    if kind == "q":
        sequence = draw(st.none() | st.integers(0, 2**63))
        return quote(None, **common, bid_size=draw(maybe), last=draw(maybe), sequence=sequence)
    side = draw(st.sampled_from([None, "buy", "sell"]))
    return trade(**common, size=draw(maybe), side=side, trade_id=draw(st.none() | TEXTS))


class Digits(str):
    """A number as it is written."""

    __slots__ = ()


def parsed(line: bytes) -> dict[str, Any]:
    """A JSON line with the digits of its numbers, in its order."""
    value = json.loads(line, parse_float=Digits, parse_int=Digits)
    assert isinstance(value, dict)
    return value


def expected(event: Event) -> dict[str, Any]:
    """What an event is in JSON, field by field; times in ns."""
    found: dict[str, Any] = {"type": event.__struct_config__.tag}
    for name, value in zip(wire_fields(type(event))[1:], msgspec.structs.astuple(event), strict=True):
        if value is None and name != "ts_event":
            continue
        found[name] = shown(value)
    return found


def shown(value: Any) -> Any:
    """A value as it is read back."""
    match value:
        case tuple():
            return [shown(one) for one in value]
        case msgspec.Raw():
            return Digits(bytes(value).decode())
        case int() if not isinstance(value, bool):
            return Digits(str(int(value)))
    return value


EVENTS = st.lists(market_events(), max_size=4)
FEW = settings(max_examples=60)


@FEW
@given(EVENTS)
def test_every_line_has_the_digits_texts_and_order_of_its_event(events: list[Event]) -> None:
    lines = JsonEncoder(None, "ns", events=False).encode(events).splitlines()
    assert [list(parsed(line).items()) for line in lines] == [list(expected(event).items()) for event in events]


@FEW
@given(EVENTS, st.lists(st.sampled_from(valid_fields()), min_size=1, unique=True))
def test_chosen_fields_are_those_of_the_full_form_in_the_order_chosen(events: list[Event], fields: list[str]) -> None:
    lines = JsonEncoder(tuple(fields), "ns", events=False).encode(events).split(b"\n")[:-1]
    wanted = [[(name, full[name]) for name in fields if name in full] for full in map(expected, events)]
    assert [list(parsed(line).items()) for line in lines] == wanted


def test_a_bar_is_written_as_documented() -> None:
    assert JsonEncoder(None, "iso", events=False).encode([bar(close="1.13450")]) == (
        b'{"type":"bar","provider":"tickatlas","symbol":"EURUSD","ts_event":"2026-06-24T14:54:00.000000Z",'
        b'"ts_recv":"2026-06-24T14:55:00.123456Z","interval":"1m","open":1.13468,"high":1.13468,"low":1.13448,'
        b'"close":1.13450,"volume":291,"bid":1.13450,"ask":1.13462,"spread":0.00012,"closed":true}\n'
    )


@pytest.mark.parametrize(
    ("time", "shown"), [("iso", "2026-06-24T14:55:00.123456Z"), ("us", 1782312900123456), ("ns", 1782312900123456789)]
)
def test_times_are_written_as_asked(time: Any, shown: Any) -> None:
    for fields in (None, ("ts_recv",)):
        line = JsonEncoder(fields, time, events=False).encode([bar()])
        assert json.loads(line)["ts_recv"] == shown


def test_more_moments_than_the_cache_holds_are_all_written_right() -> None:
    events: list[Event] = [bar(ts_event=Timestamp(START + microsecond * 1000)) for microsecond in range(9000)]
    lines = JsonEncoder(("ts_event",), "iso", events=False).encode(events).splitlines()
    assert [parse_rfc3339(json.loads(line)["ts_event"]) for line in lines] == [
        event.ts_event for event in events if isinstance(event, MarketEvent)
    ]


def test_stream_events_stand_where_they_happened() -> None:
    events = [bar(), gap(), bar(minute=1), notice(), session_event()]
    lines = JsonEncoder(None, "iso", events=True).encode(events).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["bar", "gap", "bar", "notice", "session"]


def test_stream_events_are_left_out_unless_asked_for() -> None:
    lines = JsonEncoder(None, "iso", events=False).encode([gap(), bar(), notice()]).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["bar"]


def test_stream_events_keep_their_full_form_when_fields_are_chosen() -> None:
    encoder = JsonEncoder(("close",), "us", events=True)
    lines = encoder.encode([bar(), gap(), bar()]).splitlines()
    assert json.loads(lines[1]) == {
        "type": "gap",
        "provider": "tickatlas",
        "symbols": ["EURUSD", "XAUUSD"],
        "reason": "disconnect",
        "from": START // 1000,
        "to": START // 1000 + 60_000_000,
        "missed": 3,
    }
    assert lines[0] == lines[2] == b'{"close":1.1345}'


def test_the_type_alone_is_one_line_for_each_event() -> None:
    assert JsonEncoder(("type",), "iso", events=False).encode([bar(), trade()]) == b'{"type":"bar"}\n{"type":"trade"}\n'


def test_an_event_with_none_of_the_chosen_fields_is_an_empty_object() -> None:
    assert JsonEncoder(("price",), "iso", events=False).encode([bar(), bar()]) == b"{}\n{}\n"


def test_nothing_in_gives_nothing_out() -> None:
    assert JsonEncoder(None, "iso", events=True).encode([]) == b""
    assert JsonEncoder(("bid",), "iso", events=False).encode([notice()]) == b""


def test_digits_that_a_float_would_lose_are_kept() -> None:
    for text in ("0.00000001", "1.10000", "123456789012345678901234567890.5", "1e-08", "-0.0"):
        line = JsonEncoder(("close",), "iso", events=False).encode([bar(close=text)])
        assert line == f'{{"close":{text}}}\n'.encode()
        assert json.loads(line, parse_float=Decimal)["close"] == Decimal(text)
