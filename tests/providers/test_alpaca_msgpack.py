"""Alpaca's MessagePack: every value, timestamp and float becomes the JSON that it means; the events are the same."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.test_alpaca import AUTHENTICATED, CONNECTED, RECORDED, STOCK, reading, subscribed, talk
from tickstream.cli.mapping import mapping_of
from tickstream.events import MarketEvent, Notice
from tickstream.providers.alpaca import SPEC, AlpacaProtocol
from tickstream.providers.alpaca_msgpack import CONTENT_TYPE, TIMES, json_of, packed_of
from tickstream.providers.base import Feed
from tickstream.providers.json_feed import LONGEST_MESSAGE, UNDECODABLE
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import MAX_NS, Timestamp

SETTINGS = {"encoding": "msgpack", "statuses": "off"}
MAPPING = mapping_of(SPEC)
EXAMPLES = [f"[{entry.example}]".encode() for entry in (MAPPING.messages if MAPPING else ()) if entry.example]
DATA = [*RECORDED[3:14], *EXAMPLES]


def packed(message: bytes) -> bytes:
    """As Alpaca sends it: times are timestamps."""
    return packed_of(json.loads(message), TIMES)


def timestamp(data: bytes) -> bytes:
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(-1, data))


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (struct.pack(">I", 1_609_459_200), "2021-01-01T00:00:00Z"),
        ((500 << 34 | 1_609_459_200).to_bytes(8, "big"), "2021-01-01T00:00:00.0000005Z"),
        (struct.pack(">Iq", 123_456_789, 1_609_459_200), "2021-01-01T00:00:00.123456789Z"),
        (struct.pack(">Iq", 999_999_999, 253_402_300_799), "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_each_form_of_a_timestamp_keeps_its_nanoseconds(data: bytes, text: str) -> None:
    assert json_of(timestamp(data)) == json.dumps(text).encode()


@given(st.integers(0, MAX_NS - 1))
def test_times_come_back_as_they_were(ts_ns: int) -> None:
    from tickstream.providers.alpaca_msgpack import time_text
    from tickstream.timestamps import parse_rfc3339

    text = json.loads(json_of(packed_of({"t": time_text(ts_ns)}, TIMES)))["t"]
    assert parse_rfc3339(text) == Timestamp(ts_ns)


@pytest.mark.parametrize(
    "bad",
    [
        b"", b"\xc1", b"\x91", b"\x93\x01", b"\x81\x01\x01", b"\xd6\xff\x00", b"\xd7\xff" + b"\xff" * 8,
        b"\xc7\x0c\xff" + struct.pack(">Iq", 10**9, 0), b"\xc7\x0c\xff" + struct.pack(">Iq", 0, -1),
        b"\xc7\x0c\xff" + struct.pack(">Iq", 0, 253_402_300_800), b"\xc7\x0c\xff" + b"\x00" * 11, b"\x91" * 200_000,
        b"\x01\x01", b"\xd4\x05\x00",
    ],
)  # fmt: skip
def test_what_is_no_message_pack_is_one_of_the_errors_that_decoding_has(bad: bytes) -> None:
    with pytest.raises(UNDECODABLE):
        json_of(bad)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_one_of_these_errors(payload: bytes) -> None:
    try:
        text = json_of(payload)
    except UNDECODABLE:
        return
    json.loads(text)


PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    PLAIN | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: st.lists(inner, max_size=18) | st.dictionaries(st.text(max_size=4), inner, max_size=18),
    max_leaves=30,
)


@settings(max_examples=60)
@given(VALUES)
def test_every_json_value_comes_back(value: Any) -> None:
    assert json.loads(json_of(packed_of(value))) == value


@pytest.mark.parametrize(
    ("value", "digits"), [(126.55, "126.55"), (0.1 + 0.2, "0.30000000000000004"), (1.0, "1.0"), (1e-8, "1e-8")]
)
def test_a_float_has_the_fewest_digits_that_mean_it(value: float, digits: str) -> None:
    assert json_of(b"\xcb" + struct.pack(">d", value)).decode() == digits


@pytest.mark.parametrize(
    ("value", "digits"),
    [(126.55, "126.55"), (0.1, "0.1"), (16777217.0, "16777216.0"), (3.4028235e38, "3.4028235e38"), (1e-45, "1.4e-45")],
)
def test_a_float_of_four_bytes_has_the_fewest_digits_among_those(value: float, digits: str) -> None:
    text = json_of(b"\xca" + struct.pack(">f", value))
    assert struct.pack(">f", float(text)) == struct.pack(">f", value)
    assert float(text) == pytest.approx(float(digits), rel=1e-6)
    assert len(text) <= len(digits) + 3


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_no_number_is_null_which_is_no_price(value: str) -> None:
    assert json_of(b"\xcb" + struct.pack(">d", float(value))) == b"null"
    assert json_of(b"\xca" + struct.pack(">f", float(value))) == b"null"


def test_a_text_that_is_no_time_stays_one() -> None:
    assert json_of(packed_of([{"t": "yesterday", "c": ["@"]}], TIMES)) == b'[{"t":"yesterday","c":["@"]}]'


# --- events ----------------------------------------------------------------------------------------------------------


def events_of(encoding: str, channel: Channel, messages: list[bytes], at_once: int = 1) -> list[Any]:
    made = AlpacaProtocol(Feed(SPEC.url, Subscription((STOCK,), channel), settings={"encoding": encoding}))
    made.asked = golden.Everything()
    return golden.events_of(made, messages, at_once)


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("channel", SPEC.channels)
def test_the_same_messages_give_the_same_events_in_both_encodings(channel: Channel, at_once: int) -> None:
    as_json = events_of("json", channel, DATA, at_once)
    as_packed = events_of("msgpack", channel, [packed(one) for one in DATA], at_once)
    assert sum(isinstance(event, MarketEvent) for event in as_json) == 6 + len(EXAMPLES)
    assert golden.as_lines(as_packed) == golden.as_lines(as_json)
    assert as_packed[0] == as_json[0]
    assert golden.events_of(reading(channel), DATA, at_once) == as_json


def test_a_client_asks_for_it_in_the_upgrade_and_speaks_it() -> None:
    one = talk(settings=SETTINGS)
    request = one.protocol.connect_request()
    assert (request.binary, request.headers) == (True, {"Content-Type": CONTENT_TYPE})
    one.protocol.receive([packed(CONNECTED)], Timestamp(1), 0.0)
    (auth,) = one.protocol.frames_to_send(0.0)
    assert msgspec.msgpack.decode(auth)["action"] == "auth"
    one.protocol.receive([packed(AUTHENTICATED)], Timestamp(1), 0.0)
    (subscribe,) = one.protocol.frames_to_send(0.0)
    assert msgspec.msgpack.decode(subscribe) == {"action": "subscribe", "trades": [STOCK]}
    one.protocol.receive([packed(subscribed("trades", STOCK)), packed(RECORDED[3])], Timestamp(1), 0.0)
    assert one.protocol.active == (STOCK,)
    assert one.protocol.take_payloads() == [RECORDED[3]]


def test_json_is_what_is_spoken_otherwise() -> None:
    request = talk().protocol.connect_request()
    assert (request.binary, request.headers) == (False, {})


def test_a_server_that_does_not_know_it_is_understood_all_the_same() -> None:
    mixed = [RECORDED[3], packed(RECORDED[4])]
    assert events_of("msgpack", Channel.TRADES, mixed, 2) == events_of("json", Channel.TRADES, RECORDED[3:5])


def test_a_bad_message_costs_the_others_nothing_and_is_kept_as_it_came() -> None:
    made = AlpacaProtocol(Feed(SPEC.url, Subscription((STOCK,), Channel.TRADES), settings=SETTINGS))
    made.asked = golden.Everything()
    long = msgspec.msgpack.encode(["x" * LONGEST_MESSAGE])
    made.receive([packed(RECORDED[3]), b"\xc1", long, packed(RECORDED[4])], Timestamp(1), 0.0)
    assert len(made.take_events()) == 2
    assert (made.counters.messages, made.counters.quarantined) == (4, 2)
    assert [bad.payload[:4] for bad in made.take_quarantined()] == [b"\xc1", long[:4]]


@given(st.lists(golden.torn([packed(one) for one in RECORDED]), min_size=1, max_size=4))
def test_of_torn_messages_come_events_that_can_be_written_or_a_quarantine(messages: list[bytes]) -> None:
    for channel in SPEC.channels:
        golden.assert_survived("alpaca", messages, channel, settings=SETTINGS)


def test_notices_have_their_times_as_in_json() -> None:
    (halt,) = (one for one in events_of("msgpack", Channel.TRADES, [packed(RECORDED[8])]) if isinstance(one, Notice))
    assert "2021-02-22T19:15:00Z" in halt.message
