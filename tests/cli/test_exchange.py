from __future__ import annotations

import pytest

from tests.cli.scripted import ScriptedWire, batch
from tickstream.cli.exchange import Exchange
from tickstream.clock import FakeClock
from tickstream.errors import AuthTimeout, ConnectionLost, Forbidden, InvalidKey, ProtocolViolation
from tickstream.keys import Secret
from tickstream.providers.base import Feed, Phase
from tickstream.providers.tickatlas import TickAtlasProtocol
from tickstream.session.frames import PING, PONG, Close, Control, FrameBatch
from tickstream.subscriptions import Subscription

WELCOME = {"type": "authenticated", "plan": "pro", "max_symbols": 20, "credits_per_push": 4, "daily_quota_remaining": 9}
SUBSCRIBED = {"type": "subscribed", "symbols": ["EURUSD"], "total_subscribed": 1}
QUOTE = (
    '{"type":"quote","data":{"symbol":"EURUSD","time":"2026-06-24T14:53:00Z","open":1.1,"high":1.1,"low":1.1,'
    '"close":1.1,"bid":1.1,"ask":1.2,"spread":1,"volume":7}}'
)


def exchange(
    *script: tuple[float, FrameBatch | BaseException], pong_s: float | None = 0.1
) -> tuple[Exchange, ScriptedWire, FakeClock]:
    clock = FakeClock()
    wire = ScriptedWire(clock, *script, pong_s=pong_s)
    feed = Feed("wss://x/", Subscription(("EURUSD",)), Secret("tk_canary_0123456789"))
    return Exchange(wire, TickAtlasProtocol(feed), clock), wire, clock


def test_it_sends_what_the_protocol_has_to_say_and_waits_for_what_is_asked() -> None:
    talk, wire, clock = exchange((2.0, batch(WELCOME)))
    began = clock.monotonic()
    assert talk.until(lambda: talk.protocol.phase is Phase.SUBSCRIBE, 15.0)
    assert clock.monotonic() - began == 2.0
    assert wire.sent == [{"action": "auth", "key": "tk_canary_0123456789"}]


def test_what_does_not_come_in_time_is_false() -> None:
    talk, _, clock = exchange()
    began = clock.monotonic()
    assert not talk.until(lambda: False, 3.0)
    assert clock.monotonic() - began == 3.0


def test_the_protocols_own_deadline_ends_the_wait_earlier() -> None:
    talk, _, clock = exchange()
    began = clock.monotonic()
    with pytest.raises(AuthTimeout):
        talk.until(lambda: False, 15.0)
    assert clock.monotonic() - began == 10.0


def test_an_error_that_comes_with_what_is_waited_for_belongs_to_the_next_wait() -> None:
    refusal = {"type": "error", "code": "forbidden", "message": "no"}
    talk, _, _ = exchange((0.1, batch(WELCOME, refusal)))
    assert talk.until(lambda: talk.protocol.phase is Phase.SUBSCRIBE, 15.0)
    with pytest.raises(Forbidden):
        talk.until(lambda: talk.protocol.phase is Phase.LIVE, 15.0)
    with pytest.raises(Forbidden):
        talk.ping(5.0)


def test_a_close_means_what_the_protocol_says_it_means() -> None:
    talk, _, _ = exchange((0.1, batch({"type": "error", "code": "invalid_key"}, close=Close(1008, "invalid_key"))))
    with pytest.raises(InvalidKey):
        talk.until(lambda: False, 15.0)


def test_a_close_without_an_error_means_what_its_code_says() -> None:
    talk, _, _ = exchange((0.1, batch(WELCOME, SUBSCRIBED)), (0.1, batch(close=Close(1011, "tk_canary_0123456789"))))
    with pytest.raises(ConnectionLost) as caught:
        talk.until(lambda: False, 15.0)
    assert caught.value.close_code == 1011
    assert "canary" not in str(caught.value)


def test_broken_frames_end_it() -> None:
    talk, _, _ = exchange((0.1, FrameBatch([], [], [], error=ProtocolViolation("reserved bit"))))
    with pytest.raises(ProtocolViolation):
        talk.until(lambda: False, 15.0)


def test_pings_of_the_server_are_answered() -> None:
    talk, wire, _ = exchange((0.1, batch(controls=(Control(PING, b"hello"),))))
    assert talk.until(lambda: bool(wire.pongs), 5.0)
    assert wire.pongs == [b"hello"]


def test_a_ping_is_timed_by_its_own_pong() -> None:
    talk, _, _ = exchange((0.01, batch(controls=(Control(PONG, b"not asked for"),))), pong_s=0.25)
    assert not talk.until(lambda: False, 1.0)
    assert talk.ping(5.0) == pytest.approx(250.0)


def test_a_ping_without_an_answer_is_none() -> None:
    talk, _, clock = exchange(pong_s=None)
    began = clock.monotonic()
    assert talk.ping(5.0) is None
    assert clock.monotonic() - began == 5.0


def test_the_first_market_event_is_kept_and_notices_are_handed_out_once() -> None:
    mystery = {"type": "error", "code": "solar_flare", "message": "hm"}
    quotes = batch(QUOTE, QUOTE.replace("14:53", "14:54"))
    talk, _, _ = exchange((0.1, batch(WELCOME, SUBSCRIBED, mystery)), (0.1, quotes))
    assert talk.until(lambda: talk.first is not None, 5.0)
    assert talk.first is not None
    assert talk.first.ts_event == 1_782_312_780_000_000_000
    assert [notice.code for notice in talk.take_notices()] == ["solar_flare"]
    assert talk.take_notices() == []


def test_the_reason_of_the_first_bad_message_is_kept() -> None:
    talk, _, _ = exchange(
        (0.1, FrameBatch([], [(b"\xff", "not UTF-8")], [])), (0.1, FrameBatch([], [(b"\xfe", "not it")], []))
    )
    talk.until(lambda: talk.protocol.counters.quarantined == 2, 5.0)
    assert talk.bad_reason == "not UTF-8"
