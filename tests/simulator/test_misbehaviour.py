"""A TickAtlas that goes wrong, without a socket: what a client would get, fault by fault."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.simulator.candles import heard, payloads, round_of, rules, say, wire
from tickstream.session.frames import FrameReader
from tickstream.simulator.bad_bytes import BAD_BYTES, DEPTH, DIGITS, GIB, PINGS, payload_of
from tickstream.simulator.faults import FAULTS, parse_fault
from tickstream.simulator.misbehaviour import BURST_STEPS, Misbehaving, misbehaving
from tickstream.simulator.outbox import Outbox
from tickstream.simulator.outgoing import Delivery, Ending, Flood, Outgoing
from tickstream.simulator.tickatlas import Rules, TickAtlasConversation, push, quote

SAMPLE = TickAtlasConversation.sample
FaultyConversation = misbehaving(TickAtlasConversation)
REFUSALS = {
    "auth-timeout": "auth_timeout", "invalid-key": "invalid_key", "connection-limit": "connection_limit",
    "forbidden": "forbidden",
}  # fmt: skip


def faulty(*faults: str, the_rules: Rules | None = None) -> Misbehaving:
    return FaultyConversation(the_rules or rules(), 0.0, [parse_fault(text) for text in faults], skip=lambda _: None)


def subscribed(*faults: str, symbols: tuple[str, ...] = ("EURUSD", "XAUUSD")) -> Misbehaving:
    talk = faulty(*faults)
    say(talk, action="auth", key="k")
    say(talk, action="subscribe", symbols=list(symbols))
    return talk


def after(talk: Misbehaving, minutes: int) -> list[Outgoing]:
    """What is to be sent after so many minutes of quotes of two symbols."""
    for minute in range(minutes):
        talk.deliver(round_of("EURUSD", "XAUUSD", minute=minute), 0.0)
    return talk.take_outgoing()


def quotes(items: list[Outgoing]) -> list[tuple[str, str]]:
    """Symbol and time of each quote."""
    data = [json.loads(payload)["data"] for payload in payloads(items)]
    return [(one["symbol"], one["time"][14:16]) for one in data]


# --- every fault ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if kind.sort != "http"])
@pytest.mark.parametrize("moment", ["connect", "auth", "subscribe", "1s", "1"])
def test_every_fault_works_at_every_moment(name: str, moment: str) -> None:
    talk = faulty(f"{name}@{moment}")
    say_anything = [{"action": "auth", "key": "k"}, {"action": "subscribe", "symbols": ["EURUSD"]}, {"action": "ping"}]
    talk.receive([json.dumps(request).encode() for request in say_anything], 0.0)
    talk.deliver(round_of("EURUSD"), 0.5)
    talk.tick(1.5)
    assert any(name in note for note in talk.take_notes())


# --- the provider's errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_comes_instead_of_the_answer_to_auth(name: str) -> None:
    talk = faulty(name)
    (answer,) = say(talk, action="auth", key="k")
    assert answer["code"] == REFUSALS[name]
    assert talk.ending == Ending(1008, REFUSALS[name])


def test_a_refusal_can_come_in_the_middle_of_the_stream() -> None:
    talk = subscribed("invalid-key@3")
    messages = [json.loads(payload) for payload in payloads(after(talk, 5))]
    assert [message["type"] for message in messages] == ["quote", "quote", "quote", "error"]
    assert talk.ending == Ending(1008, "invalid_key")


def test_the_key_is_echoed() -> None:
    (answer,) = say(faulty("echo-key"), action="auth", key="canary-key")
    assert (answer["code"], "canary-key" in str(answer["message"])) == ("invalid_key", True)


def test_no_answer_to_auth() -> None:
    talk = faulty("no-auth-reply")
    assert say(talk, action="auth", key="k") == []
    assert talk.ending is None


@pytest.mark.parametrize("moment", ["connect", "auth", "subscribe", "0"])
def test_credits_are_used_up(moment: str) -> None:
    talk = faulty(f"quota-exceeded@{moment}")
    answers = say(talk, action="auth", key="k") + say(talk, action="subscribe", symbols=["EURUSD", "XAUUSD"])
    answers += [json.loads(payload) for payload in payloads(after(talk, 3))]
    codes = [answer["code"] for answer in answers if answer["type"] == "error"]
    assert codes == ["quota_exceeded"]
    assert sum(answer["type"] == "quote" for answer in answers) == (2 if moment == "0" else 0)
    assert talk.ending is None


def test_the_first_symbol_is_refused() -> None:
    talk = faulty("invalid-symbol")
    say(talk, action="auth", key="k")
    answers = say(talk, action="subscribe", symbols=["EURUSD", "XAUUSD"])
    assert [(answer["type"], answer.get("symbols")) for answer in answers] == [
        ("error", None),
        ("subscribed", ["XAUUSD"]),
    ]
    assert say(talk, action="subscribe", symbols=[])[-1]["symbols"] == ["XAUUSD"]


def test_all_symbols_are_over_the_limit() -> None:
    talk = faulty("symbol-limit")
    say(talk, action="auth", key="k")
    answers = say(talk, action="subscribe", symbols=["EURUSD"])
    assert [answer["type"] for answer in answers] == ["error", "subscribed"]
    assert answers[-1]["symbols"] == []


def test_the_last_symbol_is_left_out_without_a_word() -> None:
    talk = faulty("partial-ack")
    say(talk, action="auth", key="k")
    assert say(talk, action="subscribe", symbols=["EURUSD", "XAUUSD"]) == [
        {"type": "subscribed", "symbols": ["EURUSD"], "total_subscribed": 1}
    ]


def test_no_acknowledgement_but_quotes() -> None:
    talk = faulty("no-ack")
    say(talk, action="auth", key="k")
    assert say(talk, action="subscribe", symbols=["EURUSD"]) == []
    assert quotes(after(talk, 1)) == [("EURUSD", "00")]


def test_no_quotes_but_heartbeats() -> None:
    talk = subscribed("no-data")
    assert after(talk, 3) == []
    talk.tick(30.0)
    assert heard(talk) == [{"type": "heartbeat"}]


# --- the connection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ending"),
    [("drop", Ending(None)), ("reset", Ending(None, reset=True)), ("close-1012", Ending(1012, "fault"))],
)
def test_an_end_comes_after_exactly_so_many_pushes(name: str, ending: Ending) -> None:
    talk = subscribed(f"{name}@5")
    assert len(quotes(after(talk, 9))) == 5
    assert talk.ending == ending


def test_of_two_ends_the_first_counts() -> None:
    talk = subscribed("close-1001@2", "drop@2")
    after(talk, 3)
    assert talk.ending == Ending(1001, "fault")


def test_an_end_after_seconds() -> None:
    talk = subscribed("close-1001@5s")
    assert talk.next_deadline() == 5.0
    talk.tick(4.9)
    assert talk.ending is None
    talk.tick(5.0)
    assert talk.ending == Ending(1001, "fault")


def test_a_flap_closes_two_seconds_after_the_subscription() -> None:
    talk = subscribed("flap")
    assert talk.next_deadline() == 2.0
    talk.tick(2.0)
    assert talk.ending == Ending(1000, "flap")
    talk.tick(3.0)
    assert talk.ending == Ending(1000, "flap")


@pytest.mark.parametrize("name", ["mute", "blackhole"])
def test_silence_begins_after_what_was_sent_before(name: str) -> None:
    talk = subscribed(f"{name}@3")
    assert len(quotes(after(talk, 5))) == 3
    say(talk, action="ping")
    talk.ping(b"")
    talk.tick(30.0)
    assert talk.take_outgoing() == []
    talk.client_closed(1000)
    assert talk.ending is None, "not even a close is answered"
    assert talk.deaf == (name == "blackhole")


def test_no_heartbeats() -> None:
    talk = subscribed("no-heartbeat")
    talk.tick(30.0)
    assert heard(talk) == []


def test_no_pongs() -> None:
    talk = subscribed("no-pong")
    assert say(talk, action="ping") == []
    talk.ping(b"x")
    assert talk.take_outgoing() == []


def test_slowness() -> None:
    assert subscribed("slow-frame@connect").slow
    assert not subscribed().slow


def test_every_message_in_three_fragments_with_pings_between() -> None:
    talk = faulty("fragments")
    talk.receive([b'{"action":"auth","key":"k"}', b'{"action":"subscribe","symbols":["EURUSD","XAUUSD"]}'], 0.0)
    talk.ping(b"mine")
    data = wire(talk.take_outgoing() + after(talk, 2))
    batch = FrameReader().feed(data)
    assert batch.error is None
    assert [json.loads(payload)["type"] for payload in batch.payloads] == [
        "authenticated",
        "subscribed",
        *["quote"] * 4,
    ]
    assert [control.payload for control in batch.controls].count(b"between") == 12
    assert data[0] == 0x01, "the first fragment has no FIN"


# --- frames and messages that should not be ------------------------------------------------------------------------


def test_a_bad_message_is_extra_and_costs_no_quote() -> None:
    items = after(subscribed("unknown-type@3"), 3)
    kinds = [json.loads(payload)["type"] for payload in payloads(items)]
    assert kinds == ["quote", "quote", "quote", "auction", "quote", "quote", "quote"]


def test_a_bad_message_after_every_push() -> None:
    items = after(subscribed("unknown-type@every"), 2)
    assert [json.loads(payload)["type"] for payload in payloads(items)] == ["quote", "auction"] * 4


@pytest.mark.parametrize(
    ("name", "violation"),
    [("rsv", 1002), ("bad-opcode", 1002), ("big-ping", 1002), ("huge-frame", 1009), ("endless-fragments", 1009)],
)
def test_a_bad_frame_breaks_the_protocol(name: str, violation: int) -> None:
    reader = FrameReader()
    outbox = Outbox()
    for item in BAD_BYTES[name](SAMPLE, "EURUSD"):
        outbox.put(item)
    for _ in range(1_000):
        head = bytes(outbox.head())
        outbox.advance(len(head))
        batch = reader.feed(head)
        if batch.error is not None:
            assert batch.error.close_code == violation
            return
    raise AssertionError("nobody would notice")


@pytest.mark.parametrize(("name", "reason"), [("bad-utf8", "not UTF-8"), ("binary", "binary message")])
def test_a_message_that_is_no_text_is_bad(name: str, reason: str) -> None:
    batch = FrameReader().feed(wire(BAD_BYTES[name](SAMPLE, "EURUSD")))
    assert [why for _, why in batch.bad] == [reason]
    assert batch.error is None


@pytest.mark.parametrize("name", ["empty", "bad-json", "deep"])
def test_a_message_that_is_no_json(name: str) -> None:
    (payload,) = payloads(BAD_BYTES[name](SAMPLE, "EURUSD"))
    with pytest.raises((ValueError, RecursionError)):
        json.loads(payload)


def test_a_flood_of_pings_is_ten_thousand_of_them() -> None:
    batch = FrameReader().feed(wire(BAD_BYTES["ping-flood"](SAMPLE, "EURUSD")))
    assert len(batch.controls) == PINGS


def test_the_masked_frame_is_readable_all_the_same() -> None:
    assert payloads(BAD_BYTES["masked"](SAMPLE, "EURUSD")) == [b'{"type":"heartbeat"}']


def test_a_huge_frame_really_has_all_its_bytes_and_pings_follow() -> None:
    (flood,) = BAD_BYTES["huge-frame"](SAMPLE, "EURUSD")
    assert isinstance(flood, Flood)
    sizes = [len(next(flood.chunks)) for _ in range(1 + GIB // 65536)]
    assert sum(sizes) == 10 + GIB
    assert next(flood.chunks) == b"\x89\x00"


def decoded(name: str) -> list[object]:
    return [json.loads(payload) for payload in payloads(BAD_BYTES[name](SAMPLE, "XAUUSD"))]


def test_prices_of_a_wrong_type() -> None:
    opened, closed, bid = (message["data"] for message in decoded("wrong-type"))  # type: ignore[index]  # of our making
    assert (opened["open"], closed["close"], bid["bid"]) == ({}, "about one", True)
    assert opened["symbol"] == "XAUUSD", "a symbol that is subscribed"


def test_prices_that_are_no_numbers() -> None:
    texts = payloads(BAD_BYTES["nan"](SAMPLE, "EURUSD"))
    assert [text.partition(b'"close":')[2].partition(b",")[0] for text in texts] == [b"NaN", b"Infinity", b"1e999"]


def test_a_huge_number() -> None:
    (text,) = payloads(BAD_BYTES["huge-number"](SAMPLE, "EURUSD"))
    assert b'"close":' + b"1" * DIGITS + b"," in text


def test_deep_nesting() -> None:
    (text,) = payloads(BAD_BYTES["deep"](SAMPLE, "EURUSD"))
    assert text.count(b"[") == DEPTH


def test_an_array_of_messages() -> None:
    assert decoded("array") == [[{"type": "heartbeat"}, {"type": "heartbeat"}]]


def test_missing_fields() -> None:
    missing = [({"symbol", "time", "close"} - message["data"].keys()) for message in decoded("missing-field")]  # type: ignore[index]  # as above
    assert missing == [{"symbol"}, {"time"}, {"close"}]


def test_control_characters_in_symbol_code_and_text() -> None:
    nasty, error = decoded("control-chars")
    for text in (nasty["data"]["symbol"], error["code"], error["message"]):  # type: ignore[index]  # as above
        assert {"\x1b", "\n", "\u202e", "[", "\x00"} <= set(text)


def test_a_symbol_that_was_not_asked_for() -> None:
    (message,) = decoded("unrequested-symbol")
    assert message["data"]["symbol"] == "NOTASKED"  # type: ignore[index]  # as above


# --- quotes that are odd -------------------------------------------------------------------------------------------


def test_each_quote_twice() -> None:
    items = after(subscribed("duplicate"), 2)
    eur0, xau0, eur1, xau1 = ("EURUSD", "00"), ("XAUUSD", "00"), ("EURUSD", "01"), ("XAUUSD", "01")
    assert quotes(items) == [eur0, eur0, xau0, xau0, eur1, eur1, xau1, xau1]


def test_quotes_of_a_symbol_in_pairs_the_wrong_way_round() -> None:
    items = after(subscribed("out-of-order"), 5)
    assert [minute for symbol, minute in quotes(items) if symbol == "EURUSD"] == ["01", "00", "03", "02"]
    assert all(isinstance(item, Delivery) for item in items)


def field(items: list[Outgoing], name: str) -> list[object]:
    return [json.loads(payload, parse_float=Decimal)["data"][name] for payload in payloads(items)]


def test_times_in_the_future() -> None:
    assert field(after(subscribed("skew"), 1), "time") == ["2026-06-24T13:00:00Z"] * 2


def test_ask_below_bid() -> None:
    items = after(subscribed("crossed"), 1)
    bids, asks = field(items, "bid"), field(items, "ask")
    assert [ask - bid for ask, bid in zip(asks, bids, strict=True)] == [Decimal("-0.00012")] * 2  # type: ignore[operator]  # Decimals
    assert field(items, "spread") == [-12, -12]


def test_bid_and_ask_null() -> None:
    items = after(subscribed("null-quote"), 1)
    assert field(items, "bid") == field(items, "ask") == [None, None]


def test_what_is_recorded_is_what_was_sent() -> None:
    (item,) = after(subscribed("crossed", "skew"), 1)
    assert isinstance(item, Delivery)
    assert [payload_of(one.frame) for one in item.pushes] == [quote(one.item) for one in item.pushes]
    assert item.data == b"".join(push(one.item).frame for one in item.pushes)


def test_a_burst_lets_the_market_jump() -> None:
    skipped: list[int] = []
    talk = FaultyConversation(rules(), 0.0, [parse_fault("burst@2")], skip=skipped.append)
    say(talk, action="auth", key="k")
    say(talk, action="subscribe", symbols=["EURUSD", "XAUUSD"])
    after(talk, 3)
    assert skipped == [BURST_STEPS]
