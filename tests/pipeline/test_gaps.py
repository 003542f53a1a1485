"""Gaps: every interval in which data may be missing is said, once, from the last data before to the first after."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.events import START, at, bar, batch, gaps_in, notice, quote, session
from tickstream.events import Bar, Event, Gap, Quote
from tickstream.markets import market_of
from tickstream.pipeline.base import Stage
from tickstream.pipeline.gaps import GapStage

BOTH = ("EURUSD", "XAUUSD")


def open_minutes(symbol: str, start: int, end: int) -> int:
    return market_of(symbol).open_minutes(start, end)


def stage_for(*symbols: str, interval: int | None = 60, **more: tuple[str, ...]) -> GapStage:
    asked = {1: symbols or BOTH, **{int(name[1:]): theirs for name, theirs in more.items()}}
    return GapStage("tickatlas", asked, START, open_minutes, interval)


class Run:
    """A stage and what came out of it."""

    def __init__(self, stage: GapStage | None = None) -> None:
        self.stage = stage or stage_for()
        self.out: list[Event] = []

    def hear(self, minutes: float, *events: Event, **batch_fields: Any) -> list[Event]:
        events_out = list(self.stage.process(batch(minutes, *events, **batch_fields)).events)
        self.out += events_out
        return events_out

    def up(self, minutes: float, epoch: int = 1) -> None:
        self.hear(minutes, session("up", minutes, epoch=epoch))

    def down(self, minutes: float) -> None:
        self.hear(minutes, session("down", minutes))

    @property
    def gaps(self) -> list[Gap]:
        return gaps_in(self.out)


def assert_gap(gap: Event, symbols: tuple[str, ...], start: float, end: float, missed: int | None, reason: str) -> None:
    assert isinstance(gap, Gap)
    assert gap.symbols == symbols
    assert (gap.start, gap.end) == (at(start), at(end))
    assert (gap.missed, gap.reason) == (missed, reason)


def test_it_is_a_stage() -> None:
    stage: Stage = stage_for()
    assert stage.finish(START) == []


def test_a_feed_that_flows_has_no_gaps() -> None:
    run = Run()
    run.up(0)
    for minute in range(5):
        run.hear(minute + 1, bar("EURUSD", minute), bar("XAUUSD", minute))
    run.stage.finish(at(99))
    assert run.gaps == []
    assert (run.stage.count, run.stage.missed) == (0, 0)


class TestADisconnect:
    def run(self) -> Run:
        run = Run()
        run.up(0)
        run.hear(1.1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.down(3)
        run.up(4, epoch=2)
        return run

    def test_one_gap_for_the_symbols_that_come_back_together(self) -> None:
        run = self.run()
        out = run.hear(5.2, bar("EURUSD", 4), bar("XAUUSD", 4), epoch=2)
        assert [type(event) for event in out] == [Gap, Bar, Bar]
        assert_gap(out[0], BOTH, 1.1, 5.2, 6, "disconnect")
        assert isinstance(out[0], Gap)
        assert (out[0].session, out[0].epoch, out[0].provider) == (1, 1, "tickatlas")
        assert (run.stage.count, run.stage.missed) == (1, 6)

    def test_a_gap_each_for_symbols_that_come_back_at_other_times(self) -> None:
        run = self.run()
        run.hear(5.2, bar("XAUUSD", 4))
        run.hear(6.2, bar("EURUSD", 5), bar("XAUUSD", 5))
        assert len(run.gaps) == 2
        assert_gap(run.gaps[0], ("XAUUSD",), 1.1, 5.2, 3, "disconnect")
        assert_gap(run.gaps[1], ("EURUSD",), 1.1, 6.2, 4, "disconnect")

    def test_one_gap_too_when_data_comes_in_the_batch_of_the_reconnect(self) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.down(2)
        up = session("up", 4, epoch=2)
        out = run.hear(4, up, bar("EURUSD", 3), bar("XAUUSD", 3), notice("unknown_type", 4), bar("EURUSD", 4))
        assert [type(event).__name__ for event in out] == ["SessionEvent", "Gap", "Bar", "Bar", "Notice", "Bar"]
        assert_gap(out[1], BOTH, 1, 4, 4, "disconnect")

    def test_attempts_that_fail_in_between_change_nothing(self) -> None:
        run = self.run()
        for minute in range(4, 10):
            run.hear(minute, session("held" if minute % 2 else "down", minute))
        run.hear(11, bar("EURUSD", 10), bar("XAUUSD", 10))
        assert len(run.gaps) == 1
        assert_gap(run.gaps[0], BOTH, 1.1, 11, 18, "disconnect")

    def test_a_gap_begins_with_the_last_data_of_any_symbol_of_the_session(self) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.hear(8, bar("XAUUSD", 7))
        run.down(9)
        run.hear(10, bar("EURUSD", 9), bar("XAUUSD", 9))
        assert_gap(run.gaps[0], BOTH, 8, 10, 9, "disconnect")

    def test_what_did_not_come_back_reaches_to_the_end_of_the_run(self) -> None:
        run = self.run()
        run.hear(5.2, bar("EURUSD", 4))
        last = run.stage.finish(at(60))
        assert len(last) == 1
        assert_gap(last[0], ("XAUUSD",), 1.1, 60, None, "disconnect")
        assert run.stage.finish(at(61)) == []
        assert run.stage.missed is None, "of one gap it is not known"

    def test_without_data_before_it_the_gap_begins_where_watching_began(self) -> None:
        run = Run()
        run.down(1)
        run.up(2)
        run.hear(3, bar("EURUSD", 2), bar("XAUUSD", 2))
        assert_gap(run.gaps[0], BOTH, 0, 3, None, "disconnect")
        run = Run()
        run.up(2)
        run.down(3)
        run.hear(5, bar("EURUSD", 4))
        assert_gap(run.gaps[0], ("EURUSD",), 2, 5, None, "disconnect")

    def test_the_same_candle_twice_is_nothing_missed(self) -> None:
        run = self.run()
        run.hear(5, bar("EURUSD", 0), bar("XAUUSD", 1))
        assert run.gaps[0].missed == 0

    @pytest.mark.parametrize("after", [-5, None])
    def test_times_that_run_back_or_are_unknown_are_not_counted(self, after: float | None) -> None:
        run = self.run()
        run.hear(5, bar("EURUSD", after), bar("XAUUSD", 4))
        assert run.gaps[0].missed is None

    def test_only_bars_are_owed_by_the_minute(self) -> None:
        run = Run(stage_for("EURUSD"))
        run.hear(1, quote("EURUSD", 1))
        run.down(2)
        run.hear(5, quote("EURUSD", 5))
        assert run.gaps[0].missed is None
        run = Run(stage_for("EURUSD", interval=None))
        run.hear(1, bar("EURUSD", 0))
        run.down(2)
        run.hear(5, bar("EURUSD", 4))
        assert run.gaps[0].missed is None

    def test_longer_bars_are_counted_as_such(self) -> None:
        run = Run(stage_for("EURUSD", interval=300))
        run.hear(5, bar("EURUSD", 0))
        run.down(6)
        run.hear(26, bar("EURUSD", 20))
        assert run.gaps[0].missed == 3

    def test_a_closed_market_owes_nothing(self) -> None:
        run = Run(stage_for("EURUSD", "BTCUSD"))
        friday_2050, sunday_2105 = 2 * 1440 + 410, 4 * 1440 + 425
        run.hear(friday_2050 + 1, bar("EURUSD", friday_2050), bar("BTCUSD", friday_2050))
        run.down(friday_2050 + 2)
        run.hear(sunday_2105 + 1, bar("EURUSD", sunday_2105))
        run.hear(sunday_2105 + 1.1, bar("BTCUSD", sunday_2105))
        assert [gap.missed for gap in run.gaps] == [9 + 5, 2 * 1440 + 14], "forex closes Friday 21:00 UTC for two days"

    def test_a_clock_set_back_makes_no_gap_that_ends_before_it_begins(self) -> None:
        run = self.run()
        run.hear(-30, bar("EURUSD", 4), bar("XAUUSD", 4))
        assert_gap(run.gaps[0], BOTH, 1.1, 1.1, 6, "disconnect")


class TestOtherInterruptions:
    @pytest.mark.parametrize(("code", "reason"), [("quota_exceeded", "quota"), ("suspend", "suspend")])
    def test_a_pause_on_a_standing_connection_is_a_gap_of_its_own_kind(self, code: str, reason: str) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.hear(2, notice(code, 2))
        run.hear(30, bar("EURUSD", 29), bar("XAUUSD", 29))
        assert_gap(run.gaps[0], BOTH, 1, 30, 56, reason)

    def test_the_first_of_several_reasons_is_the_one(self) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.hear(2, notice("suspend", 2))
        run.down(3)
        run.hear(3, notice("quota_exceeded", 3))
        run.hear(9, bar("EURUSD", 8), bar("XAUUSD", 8))
        assert [gap.reason for gap in run.gaps] == ["suspend"]

    @pytest.mark.parametrize("code", ["stale", "bad_message", "no_ack"])
    def test_other_notices_interrupt_nothing(self, code: str) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), notice(code, 1))
        run.hear(9, session("closed", 9), bar("EURUSD", 8))
        assert run.gaps == []

    def test_two_interruptions_of_one_session_are_two_gaps(self) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.down(2)
        run.hear(3, bar("EURUSD", 2))
        run.down(4)
        run.hear(5, bar("EURUSD", 4), bar("XAUUSD", 4))
        assert [(gap.symbols, gap.start, gap.end) for gap in run.gaps] == [
            (("EURUSD",), at(1), at(3)), (("EURUSD",), at(3), at(5)), (("XAUUSD",), at(1), at(5)),
        ]  # fmt: skip

    def test_sessions_are_told_apart(self) -> None:
        run = Run(stage_for("EURUSD", s2=("XAUUSD",)))
        run.hear(1, bar("EURUSD", 0))
        run.hear(1, bar("XAUUSD", 0), session=2)
        run.down(2)
        run.hear(3, bar("XAUUSD", 2), session=2)
        assert run.gaps == []
        run.hear(4, bar("EURUSD", 3))
        assert_gap(run.gaps[0], ("EURUSD",), 1, 4, 2, "disconnect")
        assert run.gaps[0].session == 1


class TestRefusedSymbols:
    @pytest.mark.parametrize("code", ["symbol_refused", "symbol_limit"])
    def test_what_never_came_and_will_not_come_leaves_no_gap(self, code: str) -> None:
        run = Run()
        run.down(1)
        run.hear(2, notice(code, 2, "XAUUSD"))
        run.hear(3, bar("EURUSD", 2))
        run.down(4)
        run.hear(5, bar("EURUSD", 4))
        assert [gap.symbols for gap in run.gaps] == [("EURUSD",), ("EURUSD",)]
        assert run.stage.finish(at(9)) == []

    def test_what_had_come_and_will_not_come_again_is_missed_until_now(self) -> None:
        run = Run()
        run.hear(1, bar("EURUSD", 0), bar("XAUUSD", 0))
        run.down(2)
        out = run.hear(7, notice("symbol_refused", 7, "XAUUSD"))
        assert [type(event).__name__ for event in out] == ["Gap", "Notice"]
        assert_gap(out[0], ("XAUUSD",), 1, 7, None, "disconnect")
        run.hear(8, bar("EURUSD", 7))
        assert_gap(run.gaps[1], ("EURUSD",), 1, 8, 6, "disconnect")


class TestWhatTheQueueDropped:
    def dropped(self, start: float, end: float, count: int) -> Gap:
        return Gap("tickatlas", ("EURUSD",), "dropped", at(start), at(end), 1, 1, count)

    def test_it_is_counted_and_passed_on_as_it_is(self) -> None:
        run = Run(stage_for("EURUSD"))
        run.hear(1, bar("EURUSD", 0))
        gap = self.dropped(1, 5, 3)
        assert run.hear(5, gap, bar("EURUSD", 4))[0] is gap
        assert (run.stage.count, run.stage.missed) == (1, 3)

    def test_it_is_not_missed_a_second_time_by_the_gap_after_it(self) -> None:
        run = Run(stage_for("EURUSD"))
        run.hear(1, bar("EURUSD", 0))
        run.hear(6, self.dropped(1, 6, 5), session("down", 6))
        run.hear(9, bar("EURUSD", 8))
        assert_gap(run.gaps[1], ("EURUSD",), 6, 9, None, "disconnect")
        assert (run.stage.count, run.stage.missed) == (2, None)


def test_a_batch_without_events_passes() -> None:
    assert Run().hear(1) == []


def test_quotes_flow_through_untouched() -> None:
    run = Run(stage_for("EURUSD", interval=None))
    out = run.hear(1, quote("EURUSD", 1), quote("EURUSD", 1.1))
    assert [type(event) for event in out] == [Quote, Quote]


def test_the_first_data_after_a_restart_ends_the_gap_that_the_run_before_left() -> None:
    run = Run()
    run.stage.resume("EURUSD", at(-5), at(-4))
    run.up(0)
    run.hear(1, bar("EURUSD", 0))
    assert_gap(run.gaps[0], ("EURUSD",), -4, 1, 4, "restart")
    assert run.stage.count == 1


def test_a_restart_after_a_run_without_usable_times_has_a_gap_of_unknown_size() -> None:
    run = Run()
    run.stage.resume("EURUSD", None, at(-4))
    run.stage.resume("AUDCAD", at(-5), at(-4))  # no longer asked for: nothing to say
    run.hear(1, bar("EURUSD", 0))
    assert_gap(run.gaps[0], ("EURUSD",), -4, 1, None, "restart")
    assert run.stage.finish(at(2)) == []


def test_of_several_candles_of_a_symbol_in_one_batch_the_latest_counts() -> None:
    run = Run()
    run.up(0)
    run.hear(3, bar("EURUSD", 0), bar("XAUUSD", 0), bar("XAUUSD", 1), bar("XAUUSD", 2))
    run.down(4)
    run.up(6, epoch=2)
    run.hear(7, bar("EURUSD", 3), bar("XAUUSD", 4))
    assert_gap(run.gaps[0], BOTH, 3, 7, 2 + 1, "disconnect")


def test_who_keeps_symbols_apart_is_told_what_each_of_them_missed() -> None:
    run = Run(GapStage("tickatlas", {1: BOTH}, START, open_minutes, 60, each=True))
    run.up(0)
    run.hear(2, bar("EURUSD", 0), bar("XAUUSD", 1))
    run.down(3)
    run.up(6, epoch=2)
    run.hear(7, bar("EURUSD", 5), bar("XAUUSD", 5))
    euro, gold = run.gaps
    assert_gap(euro, ("EURUSD",), 2, 7, 4, "disconnect")
    assert_gap(gold, ("XAUUSD",), 2, 7, 3, "disconnect")


class TestWildcards:
    def test_what_has_come_has_a_gap_of_its_own_and_what_has_not_has_that_of_the_wildcard(self) -> None:
        run = Run(stage_for("*", interval=None))
        run.up(0)
        run.hear(1, quote("EURUSD", 1), quote("XAUUSD", 1), quote("EURUSD", 1))
        run.down(2)
        run.up(3, epoch=2)
        run.hear(4, quote("EURUSD", 4))
        run.hear(5, quote("GBPUSD", 5))
        run.hear(6, quote("XAUUSD", 6))
        first, second = run.gaps
        assert set(first.symbols) == {"*", "EURUSD"}
        assert (first.start, first.end, first.reason) == (at(1), at(4), "disconnect")
        assert_gap(second, ("XAUUSD",), 1, 6, None, "disconnect")

    def test_what_never_comes_back_is_missing_to_the_end(self) -> None:
        run = Run(stage_for("*", interval=None))
        run.up(0)
        run.hear(1, quote("EURUSD", 1))
        run.down(2)
        (gap,) = run.stage.finish(at(9))
        assert_gap(gap, ("*", "EURUSD"), 1, 9, None, "disconnect")

    def test_of_bars_the_missing_ones_are_counted_for_symbols_that_are_known(self) -> None:
        run = Run(GapStage("tickatlas", {1: ("*",)}, START, open_minutes, 60, each=True))
        run.up(0)
        run.hear(1, bar("EURUSD", 0))
        run.down(2)
        run.up(3, epoch=2)
        run.hear(5, bar("EURUSD", 4))
        assert {gap.symbols: gap.missed for gap in run.gaps} == {("EURUSD",): 3, ("*",): None}

    def test_what_an_earlier_run_had_is_known(self) -> None:
        run = Run(stage_for("*", interval=None))
        run.stage.resume("EURUSD", at(-5), at(-4))
        run.up(0)
        run.hear(1, quote("EURUSD", 1))
        assert_gap(run.gaps[0], ("EURUSD",), -4, 1, None, "restart")
