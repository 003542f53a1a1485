"""Books along the stream: never wrong, asked for anew when they are, shown at an interval."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import MINUTE, START, at, batch, notice, quote, session
from tests.sinks.making import levels
from tests.test_order_book import SIDE, Naive, shown
from tickstream.events import Batch, BookSnapshot, BookUpdate, Event, Gap, Glimpses, Level, Notice
from tickstream.numbers import text
from tickstream.pipeline.base import Stage
from tickstream.pipeline.book import BookRequest, BookStage
from tickstream.timestamps import NS_PER_SECOND, Timestamp

Pairs = tuple[tuple[str, str], ...]
BID: Pairs = (("1.10", "5"), ("1.09", "2"))
ASK: Pairs = (("1.20", "7"), ("1.21", "3"))
SECOND = 1 / 60


def snapshot(minutes: float, bids: Pairs = BID, asks: Pairs = ASK, symbol: str = "S") -> BookSnapshot:
    return BookSnapshot("kraken", symbol, at(minutes), at(minutes), levels(*bids), levels(*asks), 7)


def update(minutes: float, bids: Pairs = (), asks: Pairs = (), symbol: str = "S") -> BookUpdate:
    return BookUpdate("kraken", symbol, at(minutes), at(minutes), levels(*bids), levels(*asks), 8)


class Run:
    """A stage and what came out of it."""

    def __init__(self, **how: Any) -> None:
        self.stage = BookStage(**how)
        self.out: list[Event] = []

    def hear(self, minutes: float, *events: Event, **batch_fields: Any) -> list[Event]:
        out = self.stage.process(batch(minutes, *events, **batch_fields)).events
        self.out += out
        return out

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.out if type(event) is kind]

    def asked(self) -> list[str]:
        return [request.symbol for request in self.stage.take_requests()]


def prices(event: Event) -> tuple[list[str], list[str]]:
    assert isinstance(event, BookSnapshot)
    bids, asks = ([text(price) for price, _ in side] for side in (event.bids, event.asks))
    return bids, asks


def test_it_is_a_stage() -> None:
    stage: Stage = BookStage()
    assert stage.finish(START) == []


def test_good_events_pass_as_they_are_with_all_others_in_their_places() -> None:
    run = Run()
    events = [session("up", 0), snapshot(0), quote("S", 0), update(0, bids=(("1.11", "1"),)), notice("stale", 0)]
    assert run.hear(0, *events) == events
    assert shown(run.stage.books()["S"])[0][0] == ("1.11", "1")
    assert run.stage.withheld == 0
    assert run.asked() == []


def test_of_a_batch_of_updates_pass_those_before_the_one_that_crosses_and_those_of_other_books() -> None:
    run = Run()
    run.hear(0, snapshot(0), snapshot(0, symbol="T"))
    better, again = update(1, bids=(("1.12", "1"),)), update(1, bids=(("1.13", "1"),))
    other, wrong = update(1, asks=(("1.19", "1"),), symbol="T"), update(1, bids=(("1.20", "1"),))
    out = run.hear(1, better, other, again, wrong, better, other)
    assert [event for event in out if isinstance(event, BookUpdate)] == [better, other, again, other]
    assert run.stage.withheld == 2
    assert run.stage.books().keys() == {"T"}
    assert run.asked() == ["S"]
    assert shown(run.stage.books()["T"])[1][0] == ("1.19", "1")


def test_a_batch_of_nothing_but_good_updates_stays_the_one_it_was() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    events = [update(1, bids=(("1.12", "1"),)), update(1, bids=(("1.12", "0"),)), update(1, asks=(("1.20", "0.5"),))]
    assert run.hear(1, *events) == events
    assert run.hear(2, update(2, bids=(("1.10", "-1"),))) != []
    assert run.stage.withheld == 1


def test_a_batch_says_whether_all_of_it_is_market_data() -> None:
    stage = BookStage()
    good = Batch(1, 1, at(0), [snapshot(0)], market_only=True)
    assert stage.process(good).market_only
    crossed = Batch(1, 1, at(1), [update(1, bids=(("1.20", "1"),))], market_only=True)
    assert not stage.process(crossed).market_only
    assert not stage.process(batch(2, snapshot(2))).market_only


def test_updates_before_the_first_snapshot_belong_to_no_book() -> None:
    run = Run()
    assert run.hear(0, update(0, bids=(("1.11", "1"),))) == []
    assert run.stage.withheld == 1
    assert run.asked() == []
    assert run.stage.books() == {}


def test_updates_that_go_on_without_a_snapshot_are_told_and_one_is_asked_for() -> None:
    run = Run()
    for second in range(10):
        assert run.hear(second * SECOND, update(second * SECOND)) == []
    (told,) = run.hear(10 * SECOND, update(10 * SECOND))
    assert isinstance(told, Notice)
    assert (told.code, told.symbols) == ("book_without_snapshot", ("S",))
    assert run.stage.take_requests() == [BookRequest(1, 1, "S")]
    assert run.hear(11 * SECOND, update(11 * SECOND)) == []
    gap, _ = run.hear(1, snapshot(1))
    assert gap == Gap("kraken", ("S",), "book", at(0), at(1), 1, 1)


def test_a_new_connection_has_time_again_to_bring_a_snapshot() -> None:
    run = Run()
    run.hear(0, update(0))
    assert run.hear(1, update(1), epoch=2) == []
    assert run.asked() == []


class TestACrossedBook:
    def run(self, minutes: float = 1, **how: Any) -> Run:
        run = Run(**how)
        run.hear(0, snapshot(0), snapshot(0, symbol="T"))
        run.hear(minutes, update(minutes, bids=(("1.11", "1"),)))
        run.hear(minutes + 1, update(minutes + 1, bids=(("1.20", "1"),)))
        return run

    def test_is_withheld_and_asked_for_anew(self) -> None:
        run = self.run()
        assert run.asked() == ["S"]
        assert list(run.stage.books()) == ["T"]
        assert type(run.out[-1]) is Notice
        assert run.out[-1].code == "book_broken"
        assert run.out[-1].symbols == ("S",)
        assert "the best bid (1.20) is not below the best ask (1.20)" in run.out[-1].message
        assert run.hear(2.01, update(2.01, bids=(("1.20", "0"),))) == []
        assert run.stage.withheld == 2

    def test_is_a_gap_from_its_last_good_moment_to_the_new_snapshot(self) -> None:
        run = self.run()
        again = snapshot(3)
        assert run.hear(3, again) == [Gap("kraken", ("S",), "book", at(1), at(3), 1, 1), again]
        assert set(run.stage.books()) == {"S", "T"}
        passing = update(3, bids=(("1.12", "1"),))
        assert run.hear(3, passing) == [passing]

    def test_is_a_gap_to_the_end_of_the_run_when_no_snapshot_comes(self) -> None:
        assert self.run().stage.finish(at(5)) == [Gap("kraken", ("S",), "book", at(1), at(5), 1, 1)]

    def test_disturbs_no_other(self) -> None:
        run = self.run()
        passing = update(3, asks=(("1.19", "1"),), symbol="T")
        assert run.hear(3, passing) == [passing]

    def test_is_asked_for_again_ever_more_seldom_while_none_comes(self) -> None:
        run = self.run()
        assert run.asked() == ["S"]
        asked = []
        for second in range(1, 200):
            minutes = 2 + second * SECOND
            run.hear(minutes, update(minutes, bids=(("1.0", "1"),)))
            asked += [second] * len(run.asked())
        assert asked == [1, 3, 7, 15, 31, 63, 123, 183]

    def test_that_held_for_a_minute_is_asked_for_at_once(self) -> None:
        run = self.run()
        run.asked()
        for minutes in (2.001, 2.002):
            run.hear(minutes, snapshot(minutes))
            run.hear(minutes, update(minutes, bids=(("1.20", "1"),)))
            assert run.asked() == []
        run.hear(3, snapshot(3))
        run.hear(5, update(5, bids=(("1.20", "1"),)))
        assert run.asked() == ["S"]
        run.hear(5, snapshot(5))
        run.hear(5 + SECOND, update(5 + SECOND, bids=(("1.20", "1"),)))
        assert run.asked() == ["S"]

    def test_stays_so_when_the_snapshot_is_crossed_as_well(self) -> None:
        run = self.run()
        assert run.hear(2.5, snapshot(2.5, bids=(("1.30", "1"),))) == []
        assert run.stage.books().keys() == {"T"}
        assert run.hear(3, snapshot(3))[0] == Gap("kraken", ("S",), "book", at(1), at(3), 1, 1)


def test_a_first_snapshot_that_is_crossed_is_told_and_withheld() -> None:
    run = Run()
    (told,) = run.hear(1, snapshot(1, bids=(("1.30", "1"),)))
    assert isinstance(told, Notice)
    assert run.asked() == ["S"]
    assert run.hear(2, snapshot(2))[0] == Gap("kraken", ("S",), "book", at(1), at(2), 1, 1)


def test_a_size_below_nothing_breaks_the_book() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    (told,) = run.hear(1, update(1, bids=(("1.0", "-1"),)))
    assert isinstance(told, Notice)
    assert "a size below 0" in told.message


@pytest.mark.parametrize("reason", ["dropped", "conflated", "sequence"])
def test_after_missing_updates_the_book_begins_anew(reason: Any) -> None:
    run = Run()
    run.hear(0, snapshot(0), snapshot(0, symbol="T"))
    missing = Gap("kraken", ("S", "X"), reason, at(0), at(1), 1, 1)
    out = run.hear(1, missing, update(1, bids=(("1.11", "1"),)))
    assert out[0] == missing
    assert isinstance(out[1], Notice)
    assert f"updates are missing ({reason})" in out[1].message
    assert len(out) == 2
    assert run.asked() == ["S"]
    assert run.hear(2, snapshot(2))[0] == Gap("kraken", ("S",), "book", at(0), at(2), 1, 1)


def test_a_gap_of_another_session_concerns_only_its_own_books() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    run.hear(1, Gap("kraken", ("S",), "dropped", at(0), at(1), 2, 1), session=2)
    assert run.stage.books().keys() == {"S"}


def test_after_a_quota_or_a_suspend_all_books_of_the_session_begin_anew() -> None:
    run = Run()
    run.hear(0, snapshot(0), snapshot(0, symbol="T"))
    run.hear(0, snapshot(0, symbol="U"), session=2)
    run.hear(1, notice("quota_exceeded", 1))
    assert run.stage.books().keys() == {"U"}
    assert run.asked() == ["S", "T"]


def test_of_a_wrong_checksum_the_provider_asks_for_a_new_book_itself() -> None:
    run = Run()
    run.hear(0, snapshot(0), snapshot(0, symbol="T"))
    run.hear(1, notice("book_checksum", 1, "S"))
    assert run.stage.books().keys() == {"T"}
    assert run.asked() == []
    run.hear(1.5, update(1.5))
    assert run.asked() == ["S"], "none has come"
    assert run.hear(2, snapshot(2))[0] == Gap("kraken", ("S",), "book", at(0), at(2), 1, 1)


def test_other_notices_and_gaps_without_books_change_nothing() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    events: list[Event] = [notice("stale", 1, "S"), Gap("kraken", ("X",), "dropped", at(0), at(1))]
    assert run.hear(1, *events) == events
    assert run.stage.books().keys() == {"S"}


def test_a_new_connection_begins_with_a_new_snapshot_and_needs_no_request() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    assert run.hear(1, update(1, bids=(("1.11", "1"),)), epoch=2) == []
    assert run.asked() == []
    again = snapshot(2)
    assert run.hear(2, again, epoch=2) == [again]


def test_a_request_of_a_connection_that_has_gone_is_forgotten() -> None:
    run = Run()
    run.hear(0, snapshot(0))
    run.hear(1, update(1, bids=(("1.20", "1"),)))
    run.hear(2, session("up", 2, epoch=2), epoch=2)
    assert run.asked() == []


class TestAtAnInterval:
    def test_the_best_levels_come_at_once_and_then_once_an_interval_as_they_were_at_its_end(self) -> None:
        run = Run(every_ns=MINUTE, depth=1)
        (first,) = run.hear(0.5, snapshot(0.5))
        assert prices(first) == (["1.10"], ["1.20"])
        assert run.hear(0.6, update(0.6, bids=(("1.11", "1"),))) == []
        assert run.hear(0.9, update(0.9, bids=(("1.12", "1"),))) == []
        (second,) = run.hear(1.2, update(1.2, bids=(("1.13", "1"),)))
        assert isinstance(second, BookSnapshot)
        assert prices(second) == (["1.12"], ["1.20"])
        assert (second.ts_event, second.ts_recv, second.sequence) == (at(0.9), at(0.9), 8)

    def test_a_book_that_has_not_changed_is_not_repeated(self) -> None:
        run = Run(every_ns=MINUTE)
        run.hear(0, snapshot(0), snapshot(0, symbol="T"))
        run.hear(0.5, update(0.5, asks=(("1.19", "1"),), symbol="T"))
        assert [event.symbol for event in run.hear(2, quote("Q", 2)) if isinstance(event, BookSnapshot)] == ["T"]
        assert run.hear(4, quote("Q", 4)) == [quote("Q", 4)]

    def test_snapshots_of_the_provider_are_thinned_out_too(self) -> None:
        run = Run(every_ns=MINUTE)
        for second in range(0, 180, 10):
            run.hear(second * SECOND, snapshot(second * SECOND))
        assert [event.ts_recv for event in run.of(BookSnapshot)] == [at(0), at(50 * SECOND), at(110 * SECOND)]

    def test_the_end_shows_the_last_state(self) -> None:
        run = Run(every_ns=MINUTE)
        run.hear(0.1, snapshot(0.1))
        run.hear(0.2, update(0.2, bids=(("1.11", "1"),)))
        (last,) = run.stage.finish(at(0.3))
        assert prices(last)[0] == ["1.11", "1.10", "1.09"]
        assert run.stage.finish(at(0.4)) == []

    def test_the_last_state_before_a_new_connection_is_shown_and_the_new_one_at_once(self) -> None:
        run = Run(every_ns=MINUTE)
        run.hear(0.1, snapshot(0.1))
        run.hear(0.2, update(0.2, bids=(("1.11", "1"),)))
        last, up = run.hear(0.3, session("up", 0.3, epoch=2), epoch=2)
        assert prices(last)[0][0] == "1.11"
        assert up == session("up", 0.3, epoch=2)
        assert len(run.hear(0.4, snapshot(0.4), epoch=2)) == 1

    def test_a_wrong_book_is_not_shown(self) -> None:
        run = Run(every_ns=MINUTE)
        run.hear(0.1, snapshot(0.1))
        run.hear(0.2, update(0.2, bids=(("1.20", "1"),)))
        assert run.hear(1.5, quote("Q", 1.5)) == [quote("Q", 1.5)]
        gap, new = run.hear(1.6, snapshot(1.6))
        assert isinstance(gap, Gap)
        assert prices(new) == (["1.10", "1.09"], ["1.20", "1.21"])


class TestByTheClock:
    def test_what_has_changed_is_shown_though_nothing_comes(self) -> None:
        run = Run(every_ns=MINUTE, depth=1)
        run.hear(0.5, snapshot(0.5))
        run.hear(0.6, update(0.6, bids=(("1.11", "1"),)), epoch=1)
        assert run.stage.due(at(0.9)) == []
        (shown_at_one,) = run.stage.due(at(1))
        assert (shown_at_one.session, shown_at_one.epoch, shown_at_one.ts_recv) == (1, 1, at(0.6))
        assert shown_at_one.market_only
        assert [prices(event) for event in shown_at_one.events] == [(["1.11"], ["1.20"])]
        assert run.stage.due(at(2)) == []

    def test_each_session_in_its_own_batch(self) -> None:
        run = Run(every_ns=MINUTE)
        for session_number, symbol in ((1, "S"), (2, "T")):
            run.hear(0, snapshot(0, symbol=symbol), session=session_number)
            run.hear(0.1, update(0.1, bids=(("1.11", "1"),), symbol=symbol), session=session_number)
        batches = run.stage.due(at(1))
        assert [(one.session, [event.symbol for event in one.market_events()]) for one in batches] == [
            (1, ["S"]),
            (2, ["T"]),
        ]

    def test_a_batch_shows_only_the_books_of_its_own_session(self) -> None:
        run = Run(every_ns=MINUTE)
        run.hear(0, snapshot(0))
        run.hear(0.1, update(0.1, bids=(("1.11", "1"),)))
        assert run.hear(1, quote("Q", 1), session=2) == [quote("Q", 1)]
        assert len(run.stage.finish(at(2))) == 1

    def test_without_an_interval_nothing_is_due(self) -> None:
        run = Run()
        run.hear(0, snapshot(0))
        assert run.stage.due(at(5)) == []


class TestARecordedStream:
    def test_a_gap_in_it_is_told_once_and_nobody_is_asked(self) -> None:
        run = Run(recorded=True)
        run.hear(0, snapshot(0))
        told = Gap("kraken", ("S",), "book", at(0), at(2), 1, 1)
        assert run.hear(2, told, update(2)) == [told]
        again = snapshot(2)
        assert run.hear(2, again) == [again]
        assert run.asked() == []

    def test_a_crossed_book_in_it_is_withheld_all_the_same(self) -> None:
        run = Run(recorded=True)
        run.hear(0, snapshot(0))
        (told,) = run.hear(1, update(1, bids=(("1.20", "1"),)))
        assert isinstance(told, Notice)
        assert run.asked() == []
        assert run.hear(2, snapshot(2))[0] == Gap("kraken", ("S",), "book", at(0), at(2), 1, 1)

    def test_updates_from_the_middle_of_it_belong_to_no_book(self) -> None:
        run = Run(recorded=True)
        assert run.hear(0, update(0)) == []
        assert run.hear(1, update(1)) == []
        assert run.asked() == []


class TestTheProvidersOwnMessages:
    def test_are_all_passed_on_and_a_wrong_book_is_told_and_asked_for(self) -> None:
        run = Run(raw=True)
        early, crossed, later = update(0), update(1, bids=(("1.20", "1"),)), update(1.1, bids=(("1.0", "1"),))
        assert run.hear(0, early, snapshot(0)) == [early, snapshot(0)]
        told, passed = run.hear(1, crossed)
        assert isinstance(told, Notice)
        assert passed == crossed
        assert run.asked() == ["S"]
        assert run.hear(1.1, later) == [later]
        wrong = snapshot(1.2, bids=(("1.30", "1"),))
        assert run.hear(1.2, wrong) == [wrong]
        assert [type(event) for event in run.hear(2, snapshot(2))] == [Gap, BookSnapshot]
        assert run.stage.withheld == 0

    def test_are_not_looked_at_where_nobody_has_read_their_levels(self) -> None:
        class Seen(NamedTuple):  # a message, glanced at
            symbol: str
            time: str

        glimpses = Glimpses("kraken", [Seen("S", "t")], {"t": at(0)}, at(0))
        run = Run(raw=True)
        assert run.stage.process(Batch(1, 1, at(0), glimpses, market_only=True)).events is glimpses


@given(st.lists(st.tuples(st.booleans(), SIDE, SIDE, st.integers(0, 3)), max_size=12))
def test_what_is_shown_is_what_a_naive_reconstruction_has_and_never_crossed(
    changes: list[tuple[bool, tuple[Level, ...], tuple[Level, ...], int]],
) -> None:
    """Snapshots and updates in any order, a second apart at the most: what passes makes the very book that is kept."""
    stage, sent, passed, now = BookStage(), Naive(), Naive(), int(START)
    good = False
    for replace, bids, asks, seconds in changes:
        now += seconds * NS_PER_SECOND
        kind = BookSnapshot if replace else BookUpdate
        event = kind("kraken", "S", None, Timestamp(now), bids, asks)
        sent.change(replace, bids, asks)
        good = (good or replace) and not sent.crossed
        out = stage.process(Batch(1, 1, Timestamp(now), [event])).events
        assert (event in out) is good
        assert ("S" in stage.books()) is good
        if good:
            passed.change(replace, bids, asks)
            assert shown(stage.books()["S"]) == passed.depth(1000) == sent.depth(1000)
    gaps = [event for event in stage.finish(Timestamp(now)) if isinstance(event, Gap)]
    assert len(gaps) <= 1
