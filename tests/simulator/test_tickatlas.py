"""The server's side of TickAtlas, message by message, without a socket. Time is a number."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.candles import NOON_NS, candle, heard, live, payloads, round_of, rules, say, wire
from tickstream.session.frames import PONG, Control, FrameReader
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.market import MINUTE_NS
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Delivery, Ending, Push, Round
from tickstream.simulator.tickatlas import Rules, TickAtlasConversation, daily_quota, day_of, push, quote, time_text
from tickstream.timestamps import rfc3339

MINUTES_TO_MIDNIGHT = 719
"""From noon: the minute that is complete at 00:00."""


def error(code: str, message: str) -> dict[str, object]:
    return {"type": "error", "code": code, "message": message}


def codes(messages: list[dict[str, object]]) -> list[object]:
    return [message["code"] for message in messages if message["type"] == "error"]


@dataclass
class Both:
    """Two connections with one key."""

    rules: Rules
    first: Conversation
    second: Conversation


# --- authentication ------------------------------------------------------------------------------------------------


def test_a_key_is_answered_with_plan_limit_cost_and_what_is_left() -> None:
    assert say(TickAtlasConversation(rules("starter", quota=10_000, max_symbols=5), 0.0), action="auth", key="k") == [
        {
            "type": "authenticated",
            "plan": "starter",
            "max_symbols": 5,
            "credits_per_push": 5,
            "daily_quota_remaining": 10_000,
        }
    ]


def test_unlimited_credits_are_null() -> None:
    (answer,) = say(TickAtlasConversation(rules(), 0.0), action="auth", key="k")
    assert answer["daily_quota_remaining"] is None


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [({"key": "good"}, True), ({"api_key": "good"}, True), ({"key": "good", "api_key": "bad"}, True),
     ({"key": "bad", "api_key": "good"}, False), ({"key": None, "api_key": "good"}, False), ({}, False),
     ({"key": 5}, False)],
)  # fmt: skip
def test_key_goes_before_its_alias_api_key(fields: dict[str, object], accepted: bool) -> None:
    talk = TickAtlasConversation(rules(keys=("good",)), 0.0)
    (answer,) = say(talk, action="auth", **fields)
    assert answer["type"] == ("authenticated" if accepted else "error")
    assert (talk.ending is None) == accepted


def test_a_wrong_key_is_refused_and_the_connection_ends_with_the_code_as_reason() -> None:
    talk = TickAtlasConversation(rules(keys=("good",)), 0.0)
    assert say(talk, action="auth", key="bad") == [error("invalid_key", "Unknown or revoked API key")]
    assert talk.ending == Ending(1008, "invalid_key")
    assert say(talk, action="auth", key="good") == [], "after its end it says nothing"


@pytest.mark.parametrize("code", [1000, 4001, None])
def test_the_close_code_after_an_error_can_be_chosen(code: int | None) -> None:
    talk = TickAtlasConversation(rules(keys=("good",), close_code=code), 0.0)
    say(talk, action="auth", key="bad")
    assert talk.ending == Ending(code, "invalid_key")


@pytest.mark.parametrize("plan", ["free", "payg"])
def test_plans_without_streaming_are_forbidden(plan: str) -> None:
    talk = TickAtlasConversation(rules(plan), 0.0)
    assert codes(say(talk, action="auth", key="k")) == ["forbidden"]
    assert talk.ending is not None


def test_the_third_connection_of_a_key_is_refused_until_one_of_the_others_is_gone() -> None:
    the_rules = rules()
    first, _second, third, fourth = (TickAtlasConversation(the_rules, 0.0) for _ in range(4))
    answers = [say(talk, action="auth", key="k") for talk in (first, _second, third)]
    assert [answer[0]["type"] for answer in answers] == ["authenticated", "authenticated", "error"]
    assert third.ending == Ending(1008, "connection_limit")
    third.close()
    first.close()
    first.close()
    assert say(fourth, action="auth", key="k")[0]["type"] == "authenticated"


def test_no_auth_within_ten_seconds_ends_the_connection() -> None:
    talk = TickAtlasConversation(rules(), 100.0)
    assert talk.next_deadline() == 110.0
    talk.tick(109.9)
    assert heard(talk) == []
    talk.tick(110.0)
    assert codes(heard(talk)) == ["auth_timeout"]
    assert talk.ending == Ending(1008, "auth_timeout")
    talk.tick(111.0)
    assert heard(talk) == []


def test_a_second_auth_is_an_error_and_changes_nothing() -> None:
    talk = live(rules(), "EURUSD")
    assert codes(say(talk, action="auth", key="k")) == ["invalid_message"]
    assert talk.ending is None
    assert talk.auth_frames == 2


@pytest.mark.parametrize("action", ["subscribe", "unsubscribe", "ping", "dance"])
def test_nothing_works_before_authentication(action: str) -> None:
    talk = TickAtlasConversation(rules(), 0.0)
    assert codes(say(talk, action=action, symbols=["EURUSD"])) == ["not_authenticated"]
    assert talk.ending is None


# --- requests ------------------------------------------------------------------------------------------------------


def test_subscriptions_add_up_and_the_answer_lists_all_of_them() -> None:
    talk = live(rules(), "XAUUSD")
    assert say(talk, action="subscribe", symbols=["EURUSD", "XAUUSD", "EURUSD"]) == [
        {"type": "subscribed", "symbols": ["XAUUSD", "EURUSD"], "total_subscribed": 2}
    ]


def test_unsubscribing_lists_what_is_left() -> None:
    talk = live(rules(), "XAUUSD", "EURUSD")
    assert say(talk, action="unsubscribe", symbols=["XAUUSD", "GBPUSD"]) == [
        {"type": "unsubscribed", "symbols": ["EURUSD"], "total_subscribed": 1}
    ]


def test_unknown_symbols_are_refused_by_name_and_the_others_are_subscribed() -> None:
    talk = live(rules())
    assert say(talk, action="subscribe", symbols=["BADONE", "EURUSD", "BADTWO"]) == [
        error("invalid_symbol", "Unknown symbol: BADONE, BADTWO"),
        {"type": "subscribed", "symbols": ["EURUSD"], "total_subscribed": 1},
    ]


def test_symbols_over_the_limit_are_cut_off() -> None:
    talk = live(rules(max_symbols=2), "EURUSD")
    assert say(talk, action="subscribe", symbols=["XAUUSD", "GBPUSD", "USDJPY"]) == [
        error("symbol_limit", "Your plan allows 2 symbols: GBPUSD, USDJPY not subscribed"),
        {"type": "subscribed", "symbols": ["EURUSD", "XAUUSD"], "total_subscribed": 2},
    ]


def test_a_json_ping_is_answered_with_pong() -> None:
    assert say(live(rules()), action="ping") == [{"type": "pong"}]


def test_a_ping_frame_is_answered_with_its_own_payload() -> None:
    talk = live(rules())
    talk.ping(b"abc")
    assert FrameReader().feed(wire(talk.take_outgoing())).controls == [Control(PONG, b"abc")]


def test_an_unknown_action_is_an_error_and_no_end() -> None:
    talk = live(rules())
    assert codes(say(talk, action="dance")) == ["unknown_action"]
    assert talk.ending is None


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"5", b"{}", b'{"action":5}', b'{"action":"subscribe"}', b'{"action":"subscribe","symbols":"A"}',
     b'{"action":"subscribe","symbols":[1]}', b"[" * 100_000, b"\xff"],
)  # fmt: skip
def test_what_is_no_request_is_answered_with_an_error(payload: bytes) -> None:
    talk = live(rules())
    talk.receive([payload], 0.0)
    assert codes(heard(talk)) == ["invalid_message"]
    assert talk.ending is None


_VALUES = st.recursive(
    st.none() | st.text(max_size=10) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["action", "key", "symbols", "x"]),
            inner | st.sampled_from(["auth", "subscribe", "ping"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.lists(st.binary(max_size=200) | _VALUES.map(lambda value: json.dumps(value).encode()), max_size=6))
def test_whatever_a_client_sends_every_answer_is_a_message(requests: list[bytes]) -> None:
    talk = TickAtlasConversation(rules(), 0.0)
    talk.receive(requests, 0.0)
    assert all(isinstance(message["type"], str) for message in heard(talk))


def test_the_close_code_of_the_client_is_answered_with_the_same() -> None:
    talk = live(rules())
    talk.client_closed(4000)
    assert talk.ending == Ending(4000)
    other = live(rules())
    other.client_closed(None)
    assert other.ending == Ending(1000)


# --- heartbeats ----------------------------------------------------------------------------------------------------


def test_a_heartbeat_comes_every_thirty_seconds_once_authenticated() -> None:
    talk = TickAtlasConversation(rules(), 0.0)
    say(talk, 5.0, action="auth", key="k")
    beats = []
    for second in range(5, 130):
        talk.tick(float(second))
        beats += [(second, message["type"]) for message in heard(talk)]
    assert beats == [(35, "heartbeat"), (65, "heartbeat"), (95, "heartbeat"), (125, "heartbeat")]


def test_heartbeats_that_are_late_are_not_made_up_for() -> None:
    talk = live(rules())
    talk.tick(100.0)
    assert len(heard(talk)) == 1
    assert talk.next_deadline() == 120.0


# --- quotes --------------------------------------------------------------------------------------------------------


def test_a_quote_has_the_ten_fields_of_the_guide_with_the_digits_of_the_candle() -> None:
    assert quote(candle(minute=1)) == (
        b'{"type":"quote","data":{"symbol":"EURUSD","time":"2026-06-24T12:01:00Z","open":1.10000,"high":1.10010,'
        b'"low":1.09990,"close":1.10005,"bid":1.10005,"ask":1.10017,"spread":12,"volume":7}}'
    )


def test_the_spread_can_be_in_price_units() -> None:
    assert b'"spread":0.00012,' in quote(candle(), spread_in_price=True)


@given(st.integers(0, 4_000_000_000))
def test_times_are_utc_to_the_second(second: int) -> None:
    assert time_text(second * 10**9) == rfc3339(second * 10**9)[:19] + "Z"


@pytest.mark.parametrize("length", [1, 20])
def test_a_push_is_one_text_frame(length: int) -> None:
    one = msgspec.structs.replace(candle(), symbol="A" * length)
    assert FrameReader().feed(push(one).frame).payloads == [quote(one)]


def test_what_is_subscribed_is_delivered_and_nothing_else() -> None:
    talk = live(rules(), "EURUSD")
    talk.deliver(round_of("EURUSD", "XAUUSD"), 0.0)
    assert [json.loads(payload)["data"]["symbol"] for payload in payloads(talk.take_outgoing())] == ["EURUSD"]


def test_a_round_that_is_wanted_whole_is_sent_as_the_bytes_made_once_for_all() -> None:
    one, other = live(rules(), "EURUSD", "XAUUSD"), live(rules(), "XAUUSD", "EURUSD", "GBPUSD")
    due = round_of("EURUSD", "XAUUSD")
    for talk in (one, other):
        talk.deliver(due, 0.0)
        (delivery,) = talk.take_outgoing()
        assert isinstance(delivery, Delivery)
        assert delivery.data is due.data


def test_nothing_is_delivered_before_a_subscription_or_after_the_end() -> None:
    fresh, ended = TickAtlasConversation(rules(), 0.0), live(rules(), "EURUSD")
    ended.client_closed(1000)
    for talk in (fresh, ended):
        talk.deliver(round_of("EURUSD"), 0.0)
        assert talk.take_outgoing() == []


def test_the_ends_of_pushes_are_where_their_frames_end() -> None:
    delivery = Delivery([Push(candle(), "EURUSD", b"abc"), Push(candle(), "EURUSD", b"de")], b"abcde")
    assert delivery.ends() == [3, 5]


# --- credits -------------------------------------------------------------------------------------------------------


def quotes_and_errors(talk: Conversation) -> list[object]:
    return [message.get("code", message["type"]) for message in heard(talk)]


def test_used_up_credits_are_told_once_and_the_connection_stays() -> None:
    talk = live(rules("starter", quota=17), "EURUSD", "XAUUSD")
    for minute in range(5):
        talk.deliver(round_of("EURUSD", "XAUUSD", minute=minute), 0.0)
    assert quotes_and_errors(talk) == ["quote", "quote", "quote", "quota_exceeded"]
    assert talk.ending is None
    talk.tick(30.0)
    assert heard(talk) == [{"type": "heartbeat"}]


def test_quotes_go_on_after_midnight_without_a_new_subscription() -> None:
    talk = live(rules("starter", quota=10), "EURUSD")
    for minute in range(MINUTES_TO_MIDNIGHT - 4, MINUTES_TO_MIDNIGHT + 4):
        talk.deliver(round_of("EURUSD", minute=minute), 0.0)
    assert quotes_and_errors(talk) == ["quote", "quote", "quota_exceeded", "quote", "quote", "quota_exceeded"]


def test_midnight_is_when_the_minute_before_it_is_complete() -> None:
    assert day_of(candle("EURUSD", MINUTES_TO_MIDNIGHT - 1)) + 1 == day_of(candle("EURUSD", MINUTES_TO_MIDNIGHT))
    assert NOON_NS % (86_400 * 10**9) == 720 * MINUTE_NS


def test_two_connections_of_a_key_share_its_credits_and_both_are_told() -> None:
    the_rules = rules("starter", quota=15)
    one, other = live(the_rules, "EURUSD"), live(the_rules, "EURUSD")
    for minute in range(3):
        for talk in (one, other):
            talk.deliver(round_of("EURUSD", minute=minute), 0.0)
    assert quotes_and_errors(one) == ["quote", "quote", "quota_exceeded"]
    assert quotes_and_errors(other) == ["quote", "quota_exceeded"]


def test_a_key_without_credits_is_told_right_after_authentication() -> None:
    the_rules = rules("starter", quota=5)
    live(the_rules, "EURUSD").deliver(round_of("EURUSD"), 0.0)
    talk = TickAtlasConversation(the_rules, 0.0)
    answers = say(talk, action="auth", key="k")
    assert answers[0]["daily_quota_remaining"] == 0
    assert codes(answers) == ["quota_exceeded"]
    assert talk.ending is None


def test_what_is_left_is_told_at_the_next_authentication() -> None:
    the_rules = rules("starter", quota=100)
    live(the_rules, "EURUSD").deliver(round_of("EURUSD"), 0.0)
    (answer,) = say(TickAtlasConversation(the_rules, 0.0), action="auth", key="k")
    assert answer["daily_quota_remaining"] == 95


def test_used_up_credits_come_back_after_the_real_time_that_was_asked_for() -> None:
    talk = live(rules("starter", quota=5, reset_after_s=2.0), "EURUSD")
    for now in (0.0, 1.0, 2.0, 3.0):
        talk.deliver(round_of("EURUSD"), now)
    assert quotes_and_errors(talk) == ["quote", "quota_exceeded", "quote", "quota_exceeded"]


# --- the log -------------------------------------------------------------------------------------------------------


def test_the_log_never_holds_the_key() -> None:
    talk = TickAtlasConversation(rules(keys=("good",)), 0.0)
    say(talk, action="auth", key="canary-key")
    other = TickAtlasConversation(rules(), 0.0)
    say(other, action="auth", key="canary-key")
    say(other, action="subscribe", symbols=["EURUSD"])
    notes = talk.take_notes() + other.take_notes()
    assert notes == ["refused: invalid_key", "authenticated, plan pro", "subscribed: now EURUSD"]
    assert other.take_notes() == []


def test_a_round_knows_its_symbols() -> None:
    assert Round([push(candle("EURUSD")), push(candle("XAUUSD"))]).topics == {"EURUSD", "XAUUSD"}


@pytest.mark.parametrize(
    ("plan", "quota", "credits_a_day"),
    [("starter", "plan", 10_000), ("pro", "plan", 100_000), ("enterprise", "plan", 1_000_000), ("payg", "plan", None),
     ("pro", "unlimited", None), ("pro", 17, 17), ("pro", 0, 0), (None, "plan", 100_000)],
)  # fmt: skip
def test_the_quota_is_the_plans_or_the_one_given(plan: str, quota: int | str, credits_a_day: int | None) -> None:
    assert daily_quota(SimulatorOptions(plan=plan, quota=quota)) == credits_a_day  # type: ignore[arg-type]  # a table
