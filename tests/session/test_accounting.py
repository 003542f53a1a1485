"""What a connection counts: messages that could not be used, pushes, credits; and when it draws a conclusion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.conversation import error, quote
from tests.session.script import Line, Rubbish
from tickstream.credits import CreditMeter
from tickstream.errors import CreditLimit, ProtocolViolation, QuotaExceeded
from tickstream.events import Bar, Notice
from tickstream.session.connection import BAD_MESSAGES_IN


def bars(line: Line) -> list[str]:
    return [event.symbol for event in line.events if isinstance(event, Bar)]


def notices(line: Line) -> list[str]:
    return [event.code for event in line.events if isinstance(event, Notice)]


class TestRubbish:
    def test_bad_messages_cost_nothing_but_themselves_and_ten_notices_a_minute(self) -> None:
        line = Line()
        for second in range(30):
            line.at(second + 1, *[quote()] * 5, b"{", Rubbish())
        assert line.run(until=31) is None
        assert len(bars(line)) == 150
        assert notices(line) == ["bad_message"] * 10
        assert line.status.quarantined == 60
        assert sum(len(batch.quarantined) for batch in line.batches) == 60

    def test_the_notice_says_why(self) -> None:
        line = Line()
        line.at(1, Rubbish(b"\x00", "binary message"))
        line.run(until=2)
        (notice,) = (event for event in line.events if isinstance(event, Notice))
        assert notice.message == "a message could not be used: binary message"

    @pytest.mark.parametrize("one_by_one", [True, False])
    @pytest.mark.parametrize("rubbish", [b"{", Rubbish()])
    def test_a_connection_that_mostly_sends_rubbish_is_given_up(self, rubbish: Any, one_by_one: bool) -> None:
        line = Line()
        messages = [rubbish] * 60 + [{"type": "heartbeat"}] * 40
        if one_by_one:
            for number, message in enumerate(messages):
                line.at(1 + number / 100, message)
        else:
            line.at(1, *messages)
        ended = line.run(until=60)
        assert isinstance(ended, ProtocolViolation)
        assert "could not be used" in ended.message
        assert line.wire.closed == (1008, "protocol error")

    def test_half_of_it_is_borne(self) -> None:
        line = Line()
        for second in range(1, 20):
            line.at(second, *[b"{", quote()] * (BAD_MESSAGES_IN // 2))
        assert line.run(until=30) is None
        assert len(bars(line)) == 950

    def test_what_was_good_long_ago_does_not_excuse_it(self) -> None:
        line = Line()
        line.at(1, *[quote()] * 5000)
        line.at(2, *[b"{"] * 100)
        assert isinstance(line.run(until=60), ProtocolViolation)


class TestCredits:
    def test_each_push_is_charged(self) -> None:
        line = Line(meter=CreditMeter())
        line.at(60, quote(), quote())
        line.at(120, quote(), quote(close="null"))
        line.run(until=121)
        assert line.meter is not None
        assert line.meter.used == 20
        assert line.meter.remaining(line.clock.now_ns()) == 9980

    def test_it_stops_as_soon_as_one_more_push_would_pass_the_bound(self) -> None:
        line = Line(meter=CreditMeter(max_credits=12))
        line.every(60, quote(), start=60, end=600)
        assert isinstance(line.run(until=900), CreditLimit)
        assert line.wire.now == 120, "10 are used, and the third push would make it 15"
        assert bars(line) == ["EURUSD"] * 2
        assert line.wire.closed == (1000, "")

    def test_what_still_arrives_then_is_delivered_and_charged(self) -> None:
        line = Line(meter=CreditMeter(max_credits=12))
        line.at(60, quote(), quote())
        line.wire.late = [quote()]
        assert isinstance(line.run(until=900), CreditLimit)
        assert bars(line) == ["EURUSD"] * 3
        assert line.meter is not None
        assert line.meter.used == 15

    def test_a_bound_below_one_push_ends_it_before_it_subscribes(self) -> None:
        line = Line(meter=CreditMeter(max_credits=4))
        assert isinstance(line.run(until=900), CreditLimit)
        assert [message["action"] for message in line.wire.sent] == ["auth"]

    def test_credits_come_back_after_the_reset(self) -> None:
        """2026-06-24T14:54:00Z is when the script begins: 9 h 6 min before it."""
        midnight = 9 * 3600 + 6 * 60
        line = Line(meter=CreditMeter(daily_quota=10_000))
        line.every(30, {"type": "heartbeat"}, start=1, end=midnight + 200)
        line.at(60, quote(), error("quota_exceeded"))
        assert line.meter is not None
        left: list[int | None] = []
        for moment in (100, midnight - 1, midnight + 50, midnight + 70):
            line.wire.do(moment, lambda: left.append(line.meter and line.meter.remaining(line.clock.now_ns())))
        line.at(midnight + 60, quote())
        assert line.run(until=midnight + 90) is None
        assert left == [0, 0, 10_000, 9_995]

    def test_quota_exceeded_ends_it_only_if_asked_to(self) -> None:
        for exits in (True, False):
            line = Line(exit_on_quota=exits, meter=CreditMeter())
            line.at(60, quote(), error("quota_exceeded"))
            ended = line.run(until=70)
            assert isinstance(ended, QuotaExceeded) == exits
            assert line.status.paused
            assert bars(line) == ["EURUSD"]
            assert notices(line) == ["quota_exceeded"]

    def test_without_a_meter_nothing_is_charged(self) -> None:
        line = Line(exit_on_quota=True)
        line.at(60, error("quota_exceeded"))
        assert isinstance(line.run(until=70), QuotaExceeded)
