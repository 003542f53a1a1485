"""When a connection is dead, a feed mute, or the machine slept, seen on a script: hours in milliseconds."""

from __future__ import annotations

import pytest

from tests.providers.conversation import error, quote, subscribed
from tests.session.script import Bytes, Line, Rubbish
from tickstream.errors import SessionStale
from tickstream.events import Bar, Batch, Event, Gap, Notice, SessionEvent
from tickstream.pipeline.gaps import GapStage
from tickstream.session.watchdog import FIRST_PING_S, PONG_TIMEOUT_S, PROBE_TIMEOUT_S

INTERVAL_S = 20.0
SILENCE_S = 150.0
HEARTBEAT = {"type": "heartbeat"}


def notices(line: Line) -> list[str]:
    return [event.code for event in line.events if isinstance(event, Notice)]


def stop_answering(line: Line) -> None:
    line.wire._pongs = False


class TestADeadLine:
    @pytest.mark.parametrize("last", [31.0, 40.4, 50.0, 59.9])
    def test_it_is_found_within_an_interval_and_a_timeout(self, last: float) -> None:
        line = Line()
        line.wire.do(last, lambda: stop_answering(line))
        line.at(last, quote())
        ended = line.run(until=300)
        assert isinstance(ended, SessionStale)
        assert "not even a pong" in ended.message
        assert line.wire.now - last <= INTERVAL_S + PONG_TIMEOUT_S + 0.01
        assert line.wire.aborted

    def test_its_gap_begins_with_the_last_data_not_with_its_discovery(self) -> None:
        line = Line()
        line.at(61, quote())
        line.wire.do(61, lambda: stop_answering(line))
        line.run(until=300)
        found = line.wire.now
        stage = GapStage("tickatlas", {1: ("EURUSD",)}, line.batches[0].ts_recv, lambda *_: 0, 60)
        for batch in line.batches:
            stage.process(batch)
        out: list[Event] = []
        down = SessionEvent("tickatlas", 1, 1, line.clock.now_ns(), "down")
        for events in ([down], [event for event in line.events if isinstance(event, Bar)]):
            out += stage.process(Batch(1, 1, line.clock.now_ns(), list(events))).events
        (gap,) = (event for event in out if isinstance(event, Gap))
        assert gap.end - gap.start == pytest.approx((found - 61) * 1e9)

    @pytest.mark.parametrize("sign", [HEARTBEAT, {"type": "pong"}, {"type": "new"}, b"{", Rubbish(), Bytes(1)])
    def test_any_byte_is_a_sign_of_life(self, sign: object) -> None:
        line = Line(pongs=False)
        line.every(9, sign, start=1, end=80)  # type: ignore[arg-type]  # all of these are items
        assert line.run(until=80) is None

    def test_a_message_on_its_way_is_one_too(self) -> None:
        """Many megabytes over a slow line complete nothing for a long time."""
        line = Line(pongs=False)
        line.every(5, Bytes(4096), start=1, end=80)
        assert line.run(until=85) is None

    def test_the_first_ping_is_not_answered_the_line_is_dead_early(self) -> None:
        line = Line(pongs=False)
        assert isinstance(line.run(until=300), SessionStale)
        assert line.wire.now == pytest.approx(FIRST_PING_S + PONG_TIMEOUT_S)


class TestAMuteFeed:
    def test_pongs_are_no_heartbeats(self) -> None:
        line = Line()
        line.at(1, quote())
        ended = line.run(until=300)
        assert isinstance(ended, SessionStale)
        assert line.wire.now == pytest.approx(91)

    def test_heartbeats_are_no_data(self) -> None:
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=900)
        line.at(60, quote())
        reported: list[list[str]] = []
        for moment in (60 + SILENCE_S - 0.1, 60 + SILENCE_S + 0.1):
            line.wire.do(moment, lambda: (line.take(), reported.append(notices(line))))
        ended = line.run(until=900)
        assert reported == [[], ["stale"]]
        assert notices(line) == ["stale"], "once"
        assert isinstance(ended, SessionStale)
        assert line.wire.now == pytest.approx(60 + 2 * SILENCE_S), "and given up after twice as long"

    def test_data_is_awaited_from_the_confirmation_on(self) -> None:
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=900)
        ended = line.run(until=900)
        assert isinstance(ended, SessionStale)
        assert line.wire.now == pytest.approx(2 * SILENCE_S + 0.05)

    def test_data_after_the_report_begins_a_new_silence(self) -> None:
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=900)
        line.at(1, quote())
        line.at(200, quote())
        line.run(until=480)
        assert notices(line) == ["stale", "stale"]

    def test_a_closed_market_owes_no_data(self) -> None:
        line = Line(market_open=lambda *_: False)
        line.every(30, HEARTBEAT, start=1, end=3000)
        assert line.run(until=3000) is None
        assert notices(line) == []

    def test_one_open_market_is_enough_to_expect_data(self) -> None:
        line = Line("EURUSD", "BTCUSD", market_open=lambda symbol, *_: symbol == "BTCUSD")
        line.every(30, HEARTBEAT, start=1, end=3000)
        assert isinstance(line.run(until=3000), SessionStale)

    def test_the_silence_is_judged_over_all_of_its_time(self) -> None:
        asked: list[tuple[str, float]] = []

        def market_open(symbol: str, start: int, end: int) -> bool:
            asked.append((symbol, (end - start) / 1e9))
            return True

        line = Line(market_open=market_open)
        line.every(30, HEARTBEAT, start=1, end=900)
        line.at(60, quote())
        line.run(until=900)
        assert asked == [("EURUSD", pytest.approx(150)), ("EURUSD", pytest.approx(300))]

    def test_a_market_that_closes_after_the_report_is_no_reason_to_reconnect(self) -> None:
        line = Line()
        opened = line.clock.now_ns()
        line.connection._watch._expects_data = lambda _s, _start, end: end - opened < 200e9
        line.every(30, HEARTBEAT, start=1, end=2000)
        assert line.run(until=2000) is None
        assert notices(line) == ["stale"]


class TestAPause:
    def test_a_quota_pause_owes_no_data_until_the_reset(self) -> None:
        midnight = 9 * 3600 + 6 * 60
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=midnight + 900)
        line.at(60, quote(), error("quota_exceeded"))
        ended = line.run(until=midnight + 900)
        assert isinstance(ended, SessionStale), "silence after the reset is a fault again"
        assert line.wire.now == pytest.approx(midnight + 60 + 2 * SILENCE_S, abs=21)
        assert notices(line) == ["quota_exceeded", "stale"]
        assert [message["action"] for message in line.wire.sent] == ["auth", "subscribe", "subscribe"]

    def test_quotes_that_come_back_end_it_without_a_reconnect(self) -> None:
        midnight = 9 * 3600 + 6 * 60
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=midnight + 900)
        line.at(60, quote(), error("quota_exceeded"))
        line.every(60, quote(), start=midnight + 30, end=midnight + 900)
        assert line.run(until=midnight + 900) is None
        assert notices(line) == ["quota_exceeded"]
        assert len(line.wire.sent) == 2

    def test_one_that_comes_after_the_report_of_silence_takes_it_back(self) -> None:
        line = Line()
        line.every(30, HEARTBEAT, start=1, end=2000)
        line.at(200, error("quota_exceeded"))
        assert line.run(until=2000) is None
        assert notices(line) == ["stale", "quota_exceeded"]

    def test_before_anything_is_confirmed_no_data_is_due(self) -> None:
        line = Line(answer=lambda message: [])
        line.protocol._reply_due = None  # type: ignore[attr-defined]  # as of a protocol that waits for long
        line.connection._watch._silence_s = 1
        line.at(5, HEARTBEAT)
        line.run(until=9)
        assert notices(line) == []


class TestSleep:
    def test_a_machine_that_slept_probes_the_line_at_once(self) -> None:
        line = Line()
        line.at(30, quote())
        line.wire.do(33, lambda: line.clock.suspend(600))
        line.at(60, quote())
        assert line.run(until=61) is None
        assert notices(line) == ["suspend"]
        assert line.wire.pings == pytest.approx([0.5, 20.5, 33, 53])

    def test_a_line_that_did_not_survive_it_is_given_up_within_five_seconds(self) -> None:
        line = Line()
        line.wire.do(33, lambda: stop_answering(line))
        line.wire.do(33, lambda: line.clock.suspend(600))
        assert isinstance(line.run(until=90), SessionStale)
        assert line.wire.now == pytest.approx(33 + PROBE_TIMEOUT_S)

    def test_its_gap_has_its_own_reason(self) -> None:
        line = Line()
        line.at(30, quote())
        line.wire.do(33, lambda: line.clock.suspend(600))
        line.at(60, quote())
        line.run(until=61)
        stage = GapStage("tickatlas", {1: ("EURUSD",)}, line.batches[0].ts_recv, lambda *_: 0, 60)
        out = [event for batch in line.batches for event in stage.process(batch).events]
        (gap,) = (event for event in out if isinstance(event, Gap))
        assert gap.reason == "suspend"
        assert gap.end - gap.start == pytest.approx(630e9)

    def test_a_short_nap_is_nothing(self) -> None:
        line = Line()
        for moment in (10, 20, 30):
            line.wire.do(moment, lambda: line.clock.suspend(9))
        line.run(until=40)
        assert notices(line) == []


def test_a_confirmation_in_time_is_no_news() -> None:
    line = Line(answer=lambda message: [])
    line.at(1, {"type": "authenticated"})
    line.at(10, subscribed("EURUSD"))
    line.run(until=15)
    assert notices(line) == []


def test_a_protocol_that_is_live_without_a_word_is_up() -> None:
    line = Line(answer=lambda message: [])
    line.wire.do(3, line.protocol.go_live)
    line.run(until=5)
    assert [event.state for event in line.events if isinstance(event, SessionEvent)] == ["up"]
