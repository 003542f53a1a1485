"""A run: what it writes, what ends it, and what it says of itself. With sessions and processes: end_to_end/."""

from __future__ import annotations

import os
import signal

import pytest

from tests.cli.running import Kept, Owes, Rig
from tests.pipeline.events import at, bar, batch, notice
from tickstream.cli.bounds import Bounds, signal_code
from tickstream.errors import ExitCode, Incomplete, NetworkError, NoData, OutputError, SymbolRefused
from tickstream.events import Gap, Notice, Summary
from tickstream.sinks.output import Abandoned, ReaderGone

ONE, TWO, THREE = (batch(n, bar("EURUSD", n)) for n in (1, 2, 3))
LOST = Gap("tickatlas", ("EURUSD",), "dropped", at(1), at(2), 1, 1, 3)


def test_a_source_that_ends_by_itself_ends_the_run_well() -> None:
    rig = Rig(ONE, TWO)
    assert rig.play() is ExitCode.OK
    assert rig.sink.events == [*ONE.events, *TWO.events]
    assert (rig.sink.closed > 0, rig.source.discarded) == (True, True)
    assert rig.said[-1].startswith("tickstream: summary: 2 events")


def test_the_error_of_the_source_is_the_runs() -> None:
    error = NetworkError("gone")
    assert Rig(ONE, error=error).fails(NetworkError) is error


def test_a_bug_in_the_source_is_raised_as_it_is_and_the_output_is_closed() -> None:
    rig = Rig(ONE, error=ZeroDivisionError("a bug"))
    rig.fails(ZeroDivisionError)
    assert rig.sink.closed
    assert rig.source.stopped_at is not None


def test_the_duration_ends_it_and_what_is_under_way_is_still_written() -> None:
    rig = Rig(ONE, 3.0, TWO, bounds=Bounds(duration_s=2.0), endless=True)
    assert rig.play() is ExitCode.OK
    assert rig.sink.events == [*ONE.events, *TWO.events]
    assert rig.source.stopped_at == pytest.approx(1002.0, abs=0.11)


def test_the_drain_ends_when_its_time_is_over() -> None:
    rig = Rig(ONE, 60.0, TWO, bounds=Bounds(duration_s=2.0, drain_s=1.0), discards=1, events=True)
    assert rig.play() is ExitCode.OK
    assert rig.clock.monotonic() == pytest.approx(1003.0, abs=0.11)
    assert (rig.summary.events, rig.summary.written, rig.summary.dropped) == (2, 1, 1)


def test_the_limit_of_events_ends_it_without_a_drain_and_without_counting_the_rest_as_lost() -> None:
    rig = Rig(ONE, TWO, THREE, count=2, discards=1, events=True)
    assert rig.play() is ExitCode.OK
    assert (rig.summary.events, rig.summary.dropped) == (2, 0)
    assert THREE.events[0] not in rig.sink.events


def test_silence_ends_it_after_the_idle_timeout_with_what_had_come() -> None:
    rig = Rig(ONE, 10.0, bounds=Bounds(idle_timeout_s=5.0), endless=True)
    assert "5 s (--idle-timeout)" in str(rig.fails(NoData))
    assert rig.sink.events == ONE.events


def test_while_the_provider_withholds_data_silence_is_no_reason_to_end() -> None:
    rig = Rig(ONE, 10.0, TWO, bounds=Bounds(idle_timeout_s=5.0))
    rig.source.paused = True
    assert rig.play() is ExitCode.OK


def test_a_signal_ends_it_after_a_drain() -> None:
    rig = Rig(ONE, lambda: os.kill(os.getpid(), signal.SIGTERM), TWO, endless=True)
    assert rig.play() is ExitCode.SIGTERM
    assert rig.sink.events == [*ONE.events, *TWO.events]


def test_each_signal_has_its_exit_code() -> None:
    assert [signal_code(number) for number in (None, 1, 2, 15, 21)] == [
        None, ExitCode.SIGHUP, ExitCode.SIGINT, ExitCode.SIGTERM, ExitCode.SIGTERM,
    ]  # fmt: skip


def test_nothing_at_all_is_no_success() -> None:
    assert "without a single event" in str(Rig(1.0).fails(NoData))


def test_a_reader_who_has_seen_enough_is_a_success_and_loses_nothing() -> None:
    rig = Rig(ONE, TWO, sink=Kept(ReaderGone(), after=1), discards=4, bounds=Bounds(strict=True))
    assert rig.play() is ExitCode.OK
    assert " 0 dropped" in rig.said[-1]


def test_a_reader_who_goes_in_the_last_moment_is_one_too() -> None:
    rig = Rig(ONE, sink=Kept(ReaderGone(), after=1), events=True)
    assert rig.play() is ExitCode.OK


def test_what_a_write_gave_up_is_counted_as_dropped() -> None:
    three = batch(1, *(bar("EURUSD", minute) for minute in range(3)))
    rig = Rig(three, sink=Kept(Abandoned(2, torn=False)))
    assert rig.play() is ExitCode.OK
    assert "3 events" in rig.said[-1]
    assert "2 dropped" in rig.said[-1]


def test_an_output_that_fails_is_the_error_and_the_rest_is_counted() -> None:
    rig = Rig(ONE, TWO, sink=Kept(OutputError("the disk is full"), after=1), discards=1)
    assert rig.fails(OutputError).exit_code is ExitCode.OUTPUT  # type: ignore[attr-defined]
    assert "1 dropped" in rig.said[-1]


def test_an_output_that_buffers_counts_itself_what_it_could_not_write() -> None:
    sink = Kept(OutputError("the disk is full"), after=1)
    sink.lost = 2
    rig = Rig(ONE, TWO, THREE, sink=sink)
    rig.fails(OutputError)
    assert "2 events in" in rig.said[-1]
    assert "2 dropped" in rig.said[-1]
    assert rig.run.ledger.summary(ExitCode.OK, strict=False).written == 0


@pytest.mark.parametrize("failure", [OutputError("the disk is full"), Abandoned(1, torn=False)])
def test_an_output_that_keeps_accounts_is_given_the_summary_after_it_has_failed(failure: Exception) -> None:
    sink = Kept(failure, after=1)
    sink.lost = 1
    rig = Rig(ONE, TWO, sink=sink, events=True)
    if isinstance(failure, OutputError):
        rig.fails(OutputError)
    else:
        rig.play()
    assert isinstance(sink.offered[-1], Summary)
    assert sink.offered[-1].dropped == 1


def test_other_outputs_are_given_nothing_more_after_they_have_failed() -> None:
    sink = Kept(OutputError("the disk is full"), after=1)
    Rig(ONE, TWO, sink=sink, events=True).fails(OutputError)
    assert len(sink.offered) == 2


def test_the_first_error_is_the_one_that_is_told() -> None:
    rig = Rig(ONE, error=NetworkError("gone"), sink=Kept(OutputError("full"), after=1), events=True)
    rig.fails(NetworkError)


def test_an_output_that_fails_with_the_last_words_is_an_error() -> None:
    Rig(ONE, sink=Kept(OutputError("full"), after=1), events=True).fails(OutputError)


def test_what_the_stages_still_have_to_say_comes_last() -> None:
    rig = Rig(ONE, stages=[Owes(4)], events=True)
    assert rig.play() is ExitCode.OK
    assert isinstance(rig.sink.events[-2], Gap)
    assert (rig.summary.gaps, rig.summary.missed) == (1, 4)


def test_at_the_limit_the_stages_say_no_more() -> None:
    rig = Rig(ONE, stages=[Owes(4)], count=1, events=True)
    assert rig.play() is ExitCode.OK
    assert (rig.summary.gaps, rig.summary.missed) == (0, 0)


def test_one_gap_of_unknown_extent_makes_the_total_unknown() -> None:
    rig = Rig(batch(1, LOST, bar("EURUSD", 1)), stages=[Owes(None)], events=True)
    rig.play()
    assert (rig.summary.gaps, rig.summary.missed) == (2, None)
    assert (rig.status.gaps, rig.status.events) == (2, 1)


def test_strict_makes_of_gaps_and_losses_an_incomplete_run() -> None:
    strict = Bounds(strict=True)
    assert "1 gaps" in str(Rig(batch(1, LOST, bar("EURUSD", 1)), bounds=strict).fails(Incomplete))
    assert "2 events dropped" in str(
        Rig(batch(1, bar("EURUSD", 1)), 9.0, bounds=Bounds(1.0, None, True, 1.0), discards=2).fails(Incomplete)
    )
    assert Rig(ONE, bounds=strict).play() is ExitCode.OK


def test_what_was_missed_before_the_run_began_does_not_make_it_incomplete() -> None:
    before = Gap("tickatlas", ("EURUSD",), "restart", at(-9), at(1), 1, None, 8)
    rig = Rig(batch(1, before, bar("EURUSD", 1)), bounds=Bounds(strict=True), events=True)
    assert rig.play() is ExitCode.OK
    assert (rig.summary.gaps, rig.summary.missed) == (1, 8)


def test_refused_symbols_are_named_once_and_under_strict_refuse_the_run() -> None:
    refusal = batch(0, notice("symbol_refused", 0, "EURUSD"))
    rig = Rig(refusal, refusal, batch(1, bar("XAUUSD", 1)), bounds=Bounds(strict=True), events=True)
    assert "Refused: EURUSD (--strict)." in str(rig.fails(SymbolRefused))
    assert (rig.summary.refused, rig.summary.exit_code) == (("EURUSD",), ExitCode.REFUSED)


def test_a_refused_symbol_is_not_waited_for() -> None:
    rig = Rig(
        batch(1, bar("XAUUSD", 1)), batch(1, notice("symbol_limit", 1, "EURUSD")), 1.0, endless=True,
        once=frozenset({"EURUSD", "XAUUSD"}),
    )  # fmt: skip
    assert rig.play() is ExitCode.OK


def test_stream_events_are_said_or_in_the_data_never_both() -> None:
    saying = batch(1, Notice("tickatlas", at(1), "code", "words"), bar("EURUSD", 1))
    said, written = Rig(saying), Rig(saying, events=True)
    said.play()
    written.play()
    assert "tickstream: code: words" in said.said
    assert "tickstream: code: words" not in written.said
    assert saying.events[0] in written.sink.events


def test_chores_are_done_when_they_are_due_however_many_batches_come() -> None:
    done: list[float] = []
    rig = Rig(ONE, 0.05, TWO, 2.0, THREE, chores=[(1.0, lambda: done.append(rig.clock.monotonic()))])
    rig.play()
    assert done == pytest.approx([1000.0, 1001.0, 1002.0], abs=0.2)


def test_while_nothing_comes_the_output_is_looked_at() -> None:
    rig = Rig(0.3, ONE)
    rig.play()
    assert rig.outlet.checks >= 3


def test_a_slow_output_is_told_once_and_waited_for_while_the_run_goes_on() -> None:
    rig = Rig(ONE)
    rig.outlet.blocked_s = 6.0
    assert [rig.run.give_up_writing() for _ in range(3)] == [False] * 3
    rig.clock.advance(1000)
    assert not rig.run.give_up_writing()
    assert sum("is slow" in line for line in rig.said) == 1


def test_once_the_run_is_over_a_slow_output_is_waited_for_as_long_as_the_drain_may_take() -> None:
    rig = Rig(ONE, bounds=Bounds(duration_s=10.0, drain_s=5.0))
    rig.clock.advance(11)
    assert not rig.run.give_up_writing()
    assert rig.source.stopped_at == rig.clock.monotonic()
    rig.clock.advance(4)
    assert not rig.run.give_up_writing()
    rig.clock.advance(1)
    assert rig.run.give_up_writing()
