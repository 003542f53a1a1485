"""JSON messages in batches: what is taken at once is what would be taken one by one, and rubbish costs only itself."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.providers.conversation import Conversation, authenticated, error, live, quote, subscribed
from tickstream.errors import ProviderError
from tickstream.events import Event, Notice
from tickstream.providers.json_feed import LONGEST_MESSAGE, UNKNOWN_TYPES_SHOWN, JsonFeed, MessageDecoder

RECORDED = (Path(__file__).parent.parent / "data" / "tickatlas.jsonl").read_bytes().splitlines()
SYMBOLS = ("EURUSD", "XAUUSD")
HEARTBEAT = b'{"type":"heartbeat"}'


class _Price(msgspec.Struct, tag="price"):
    value: int


class _Note(msgspec.Struct, tag="note"):
    text: str = ""


DECODER: MessageDecoder[_Price | _Note] = MessageDecoder(_Price | _Note)


def outcome(talk: Conversation) -> dict[str, Any]:
    """Everything a protocol made of what it heard, but for what looks at whole batches: the pause, the messages."""
    return {
        "events": [e for e in talk.events if not (isinstance(e, Notice) and e.code == "quota_exceeded")],
        "payloads": talk.payloads,
        "set aside": talk.protocol.take_quarantined(),
        "counters": msgspec.structs.replace(talk.protocol.counters, messages=0),
        "state": (talk.protocol.phase, talk.protocol.active, talk.protocol.refused),
        "sent": talk.sent,
    }


def heard(batches: list[list[bytes]]) -> tuple[dict[str, Any], str | None]:
    talk = live(*SYMBOLS)
    try:
        for batch in batches:
            talk.hear(*batch)
    except ProviderError as ended:
        return outcome(talk), f"{type(ended).__name__}: {ended}"
    return outcome(talk), None


class TestBatches:
    def test_a_batch_is_decoded_in_one_pass_in_order(self) -> None:
        assert DECODER.batch([b'{"type":"price","value":1}', b'{"type":"note"}']) == [_Price(1), _Note()]

    @pytest.mark.parametrize(
        "payloads",
        [
            [b'{"type":"price"', b'"value":1}'],
            [b'{"type":"price",', b'"value":1}', b'{"type":"note"}{"type":"note"}'],
            [b'{"type":"note"}\n{"type":"note"}', b""],
            [b'{"type":"note"}{"type":"note"}', b" "],
            [b'{"type":"note"}\n{"type":"note"}'],
            [b'{"type":"note","text":"a', b'b"}'],
            [b'[{"type":"note"}]'],
            [b'\xef\xbb\xbf{"type":"note"}'],
            [b'{"type":"price","value":"x"}', b'{"type":"note"}'],
            [b""],
            [b'{"type":"note"}' + b" " * LONGEST_MESSAGE + b"}"],
        ],
    )
    def test_a_batch_that_is_not_one_message_each_is_looked_at_one_by_one(self, payloads: list[bytes]) -> None:
        assert DECODER.batch(payloads) is None

    def test_a_message_may_hold_newlines_between_its_parts(self) -> None:
        assert DECODER.batch([b'{"type":"note",\n"text":"a"}', b'{"type":"note"}']) == [_Note("a"), _Note()]

    def test_one_bad_message_among_a_hundred_costs_exactly_itself(self) -> None:
        for bad in (b"{", b"", b"null", b'{"type":"quote","data":{}}', b"[1]", b"\xff\xfe", b'{"type":5}', b"{}"):
            talk = live(*SYMBOLS)
            good = [quote(close=f"1.{n:05d}") for n in range(1, 100)]
            talk.hear(*good[:50], bad, *good[50:])
            assert talk.payloads == good
            assert len(talk.market) == 99
            assert talk.protocol.counters.quarantined == 1
            assert talk.protocol.counters.messages == 102, "with the two that made it live"


class TestMessages:
    def test_an_array_of_messages_is_each_of_them(self) -> None:
        talk = live(*SYMBOLS)
        one, two = quote("EURUSD"), quote("XAUUSD")
        talk.hear(b"[" + one + b" ,\n " + two + b"]", b"[]", b" [" + HEARTBEAT + b"]")
        assert [bar.symbol for bar in talk.market] == ["EURUSD", "XAUUSD"]
        assert talk.payloads == [one, two]
        assert talk.protocol.counters.quarantined == 0

    def test_what_is_no_message_in_an_array_costs_exactly_itself(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear(b"[" + quote() + b',5,null,"x",[1],{"type":"quote"},' + quote() + b"]")
        assert len(talk.market) == 2
        assert talk.protocol.counters.quarantined == 5
        assert talk.protocol.counters.messages == 9, "an array counts as what is in it"

    def test_a_byte_order_mark_is_passed_over(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear(b"\xef\xbb\xbf" + quote(), b"\xef\xbb\xbf[" + quote() + b"]")
        assert len(talk.market) == 2

    @pytest.mark.parametrize(
        "rubbish",
        [
            b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            b'{"type":"quote","data":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            b'{"type":"x","deep":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            b'{"type":"subscribed","symbols":' + b"9" * 5000 + b"}", b"9" * 5000, b'"' + b"a" * 10_000 + b'"',
            b'{"type":"quote","type":"heartbeat"}', b"NaN", b"\x00", b"\xed\xa0\x80", b"true", b'{"type":null}',
        ],
    )  # fmt: skip
    def test_absurd_json_is_set_aside_without_a_traceback(self, rubbish: bytes) -> None:
        talk = live(*SYMBOLS)
        talk.hear(quote(), rubbish, quote())
        assert len(talk.market) == 2
        assert talk.protocol.counters.quarantined == 1

    def test_a_message_too_long_to_decode_is_set_aside_unread(self) -> None:
        talk = live(*SYMBOLS)
        padding = b'{"type":"heartbeat","x":"%b"}' % (b"y" * LONGEST_MESSAGE)
        talk.hear(quote(), padding, b"[" + b"1," * LONGEST_MESSAGE + b"1]", quote())
        assert len(talk.market) == 2
        kept = talk.protocol.take_quarantined()
        assert [len(item.payload) for item in kept] == [4096, 4096]
        assert f"{LONGEST_MESSAGE} are allowed" in kept[0].reason

    def test_duplicate_keys_are_no_trouble(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear(quote(close="1.1").replace(b'"close"', b'"close":1.2,"close"'))
        assert len(talk.market) + talk.protocol.counters.quarantined == 1


class TestUnknownTypes:
    def test_a_type_of_tomorrow_is_counted_and_shown_once(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear({"type": "trade", "price": 1}, {"type": "trade"}, quote(), {"type": "book"})
        assert talk.protocol.counters.unknown == 3
        assert talk.codes == ["unknown_type", "unknown_type"]
        assert len(talk.market) == 1
        assert talk.protocol.counters.quarantined == 0

    def test_a_flood_of_types_is_not_a_flood_of_notices(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear(*({"type": f"t{n}"} for n in range(100)))
        assert len(talk.codes) == UNKNOWN_TYPES_SHOWN
        assert talk.protocol.counters.unknown == 100

    def test_the_name_of_a_type_is_shown_at_a_bounded_length(self) -> None:
        talk = live(*SYMBOLS)
        talk.hear({"type": "x" * 100_000})
        assert "x" * 60 in repr(talk.events)
        assert "x" * 61 not in repr(talk.events)


class Forgetful(JsonFeed[_Price | _Note]):
    """A protocol that overrides nothing it need not, and finds some messages of no use."""

    decoder = DECODER
    spec = live("X").protocol.spec

    def connect_request(self) -> Any:
        raise AssertionError

    def open(self, now: float) -> None:
        raise AssertionError

    def on_message(self, message: _Price | _Note, payload: bytes, ts_recv: Any, now: float) -> None:
        if isinstance(message, _Price) and message.value < 0:
            raise ValueError("a price below zero")
        self._payloads.append(payload)


class TestAnyProtocol:
    def test_a_message_found_to_be_of_no_use_is_set_aside(self) -> None:
        feed = Forgetful(live("X").protocol.feed)
        good, bad = b'{"type":"price","value":1}', b'{"type":"price","value":-1}'
        feed.receive([good, bad, good], live("X").ts, 0)
        feed.receive([b"[" + good + b"," + bad + b"]"], live("X").ts, 0)
        assert feed.take_payloads() == [good, good, good]
        assert [item.reason for item in feed.take_quarantined()] == ["a price below zero"] * 2

    def test_a_known_type_with_wrong_fields_is_set_aside(self) -> None:
        feed = Forgetful(live("X").protocol.feed)
        feed.receive([b'{"type":"price","value":"one"}', b'{"type":"price"}', b'{"type":1}'], live("X").ts, 0)
        assert feed.counters.quarantined == 3
        assert feed.counters.unknown == 0


# --- properties ------------------------------------------------------------------------------------------------------

recorded = st.sampled_from([*RECORDED, quote(), quote("XAUUSD"), quote("OTHER"), quote(close="null"), HEARTBEAT])
nested = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A recorded message with bytes changed, cut, doubled or replaced by others."""
    payload = bytearray(draw(recorded))
    rng = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(payload) + 1)
        other = rng.choice(RECORDED)
        piece = rng.choice([bytes([rng.randrange(256)]), b'"', b"null", b"-", b"1e999", b"{", b"}", b",", b"\n", other])
        cut = rng.choice([0, 0, 1, 5])
        payload[at : at + cut] = piece
    return bytes(payload)


@st.composite
def reshaped(draw: st.DrawFn) -> bytes:
    """A recorded message with one value replaced by any JSON value, or left out."""
    message = msgspec.json.decode(draw(recorded))
    owner = draw(st.sampled_from([message, *(v for v in message.values() if isinstance(v, dict))]))
    name = draw(st.sampled_from(sorted(owner)))
    if draw(st.booleans()):
        owner[name] = draw(nested)
    else:
        del owner[name]
    return msgspec.json.encode(message)


anything = recorded | mutated() | reshaped() | st.binary(max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.lists(anything, max_size=8), st.lists(st.integers(0, 8), max_size=3))
@example([b'{"type":"heartbeat"', b"}", HEARTBEAT * 2], [])
@example([HEARTBEAT + b"\n" + HEARTBEAT, b""], [])
def test_whatever_comes_in_whatever_batches_makes_the_same(messages: list[bytes], cuts: list[int]) -> None:
    """Nothing but a ProviderError is ever raised, and a batch is what its messages are one by one."""
    edges = sorted({0, len(messages), *(cut for cut in cuts if cut < len(messages))})
    batches = [messages[a:b] for a, b in pairwise(edges)]
    one_by_one, ended = heard([[message] for message in messages])
    in_batches, ended_too = heard(batches)
    assert ended_too == ended
    assert in_batches == one_by_one


@settings(max_examples=150, deadline=None)
@given(st.lists(anything, max_size=6))
def test_whatever_comes_before_the_feed_is_live_raises_nothing_but_provider_errors(messages: list[bytes]) -> None:
    talk = Conversation(*SYMBOLS)
    try:
        talk.hear(*messages)
        talk.hear(authenticated(), *messages)
        talk.hear(subscribed("EURUSD"), *messages)
    except ProviderError:
        return
    assert all(isinstance(event, Event) for event in talk.events)


@given(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 99_999)), min_size=1, max_size=50))
def test_good_quotes_arrive_all_in_order_digit_for_digit(ticks: list[tuple[str, int]]) -> None:
    talk = live(*SYMBOLS)
    messages = [quote(symbol, close=f"1.{price:05d}0") for symbol, price in ticks]
    talk.hear(*messages)
    assert talk.payloads == messages
    assert [(bar.symbol, bytes(bar.close)) for bar in talk.market] == [  # type: ignore[attr-defined]  # they are bars
        (symbol, b"1.%05d0" % price) for symbol, price in ticks
    ]


def test_an_error_in_the_middle_of_an_array_ends_the_conversation_too() -> None:
    talk = live(*SYMBOLS)
    with pytest.raises(ProviderError):
        talk.hear(b"[" + quote() + b"," + msgspec.json.encode(error("connection_limit")) + b"," + quote() + b"]")
    assert len(talk.market) == 1
