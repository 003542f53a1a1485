"""Bars: what the market owes, what is still being made, and what the ends of a run say."""

from __future__ import annotations

import msgspec
import pytest

from tests.capture.planned import FRIDAY, MINUTE, SUNDAY, WALL, bar
from tickstream.capture.verifying_bars import BarSeries, interval_ns
from tickstream.capture.verifying_gaps import GapRecords
from tickstream.capture.verifying_report import Finding, SeriesReport
from tickstream.capture.verifying_series import Key, Reach, Rules
from tickstream.events import Bar, Gap, GapReason
from tickstream.markets import ALWAYS, FOREX, METALS_PAUSE, US_EQUITIES, Market
from tickstream.numbers import number
from tickstream.timestamps import NS_PER_SECOND, Timestamp

WEEK_END = FRIDAY + 60 * MINUTE


def minutes(first: int, *places: int) -> list[Bar]:
    """Bars of these minutes after `first`, received a second apart."""
    return [bar("EURUSD", first + at * MINUTE, WALL + number * NS_PER_SECOND) for number, at in enumerate(places)]


def report(
    *files: list[Bar],
    market: Market = FOREX,
    gaps: GapRecords | None = None,
    reach: Reach | None = None,
    interval: str = "1m",
    max_spans: int = 1000,
    pause: Market | None = None,
    **bounds: int,
) -> SeriesReport:
    limits = {name: Timestamp(at) for name, at in bounds.items()}
    rules = Rules(market_of=lambda *_: market, pause_of=lambda *_: pause, max_spans=max_spans, **limits)
    series = BarSeries(Key("tickatlas", "EURUSD", "bar", interval), rules, gaps or GapRecords())
    for place, events in enumerate(files):
        series.begin_file(f"{place}.jsonl")
        series.take(events)
    return series.report(reach)


def records(*gaps: tuple[float, float], reason: GapReason = "disconnect", missed: int | None = None) -> GapRecords:
    """Gaps by the seconds between which nothing was received."""
    found = GapRecords()
    for start, end in gaps:
        begin, until = (Timestamp(WALL + round(moment * NS_PER_SECOND)) for moment in (start, end))
        found.add(Gap("tickatlas", ("EURUSD",), reason, begin, until, missed=missed))
    return found


def test_every_minute_there_is_complete() -> None:
    found = report(minutes(SUNDAY, *range(100)))
    assert found.complete
    assert (found.events, found.expected, found.counted_by) == (100, 100, "ts_event")
    assert (found.first, found.last) == (SUNDAY, SUNDAY + 99 * MINUTE)


def test_a_weekend_is_no_hole_unless_hours_are_ignored() -> None:
    events = minutes(WEEK_END, -2, -1) + minutes(SUNDAY, 0, 1)
    assert report(events).complete
    ignored = report(events, market=ALWAYS)
    assert [(hole.start, hole.end, hole.missing) for hole in ignored.holes] == [(WEEK_END, SUNDAY, 48 * 60)]


def test_nobody_has_to_miss_what_a_metal_does_not_send_in_its_daily_pause() -> None:
    hour = 60
    around = minutes(SUNDAY, 24 * 60 - 2, 24 * 60 - 1, 24 * 60 + hour, 24 * 60 + hour + 1)
    assert report(around, pause=METALS_PAUSE).complete
    assert report(around).missing == hour
    late = minutes(SUNDAY, 24 * 60 - 1, 24 * 60 + hour + 5)
    assert report(late, pause=METALS_PAUSE).missing == 5
    cut_off = report(late, pause=METALS_PAUSE, gaps=records((0.25, 0.75)))
    assert (cut_off.missing, cut_off.unexplained) == (hour + 5, 0), "nobody knows whether it paused"


def test_a_hole_over_a_weekend_owes_the_open_minutes_of_both_sides() -> None:
    found = report(minutes(WEEK_END, -3) + minutes(SUNDAY, 2))
    assert [(hole.start, hole.end, hole.missing) for hole in found.holes] == [
        (WEEK_END - 2 * MINUTE, SUNDAY + 2 * MINUTE, 4)
    ]
    assert found.expected == 6


def test_a_duplicate_is_found_however_late_and_in_another_file() -> None:
    found = report(minutes(SUNDAY, *range(50)), minutes(SUNDAY, *range(50, 5000)), minutes(SUNDAY, 3))
    assert (found.duplicates, found.out_of_order) == (1, 0)
    [example] = found.examples
    assert (example.finding, example.file, example.at) == (Finding.DUPLICATE, "2.jsonl", SUNDAY + 3 * MINUTE)


def test_disorder_is_what_comes_behind_a_later_minute_of_its_file() -> None:
    assert report(minutes(SUNDAY, 0, 1, 3, 2, 4)).out_of_order == 1
    assert report(minutes(SUNDAY, 4, 5, 6, 0, 1, 2, 3)).out_of_order == 4
    in_two_files = report(minutes(SUNDAY, 4, 5, 6), minutes(SUNDAY, 0, 1, 2, 3))
    assert in_two_files.complete


def test_a_whole_stretch_that_comes_too_late_is_counted_by_its_bars() -> None:
    rules = Rules(market_of=lambda *_: FOREX)
    series = BarSeries(Key("tickatlas", "EURUSD", "bar", "1m"), rules, GapRecords())
    series.begin_file("x")
    series.take(minutes(SUNDAY, 10, 11, 12))
    series.take(minutes(SUNDAY, 0, 1, 2))
    assert series.report(None).out_of_order == 3


def test_examples_are_limited_and_counts_are_not() -> None:
    found = report(minutes(SUNDAY, *range(100)), minutes(SUNDAY, *range(100)))
    assert found.duplicates == 100
    assert len(found.examples) == 20


def test_crossed_bars_are_reported_and_do_not_make_it_incomplete() -> None:
    good, bad = minutes(SUNDAY, 0, 1)
    found = report([good, msgspec.structs.replace(bad, bid=number("1.2"))])
    assert (found.crossed, found.complete) == (1, True)
    assert [(one.finding, one.at) for one in found.examples] == [(Finding.CROSSED, SUNDAY + MINUTE)]


def test_bars_that_are_still_being_made_may_come_again_and_do_not_count_as_duplicates() -> None:
    updates = [bar("EURUSD", SUNDAY + at * MINUTE, closed=False) for at in (0, 0, 0, 1, 1)]
    finished = [bar("EURUSD", SUNDAY + at * MINUTE) for at in (0, 1)]
    found = report([*updates[:3], finished[0], *updates[3:], finished[1]])
    assert found.complete
    assert (found.unfinished, found.expected) == (5, 2)


def test_where_no_bar_is_ever_finished_the_unfinished_ones_are_what_there_is() -> None:
    found = report([bar("EURUSD", SUNDAY + at * MINUTE, closed=False) for at in (0, 0, 1, 1, 4)])
    assert (found.missing, found.duplicates, found.unfinished) == (2, 0, 0)


def test_of_providers_that_repeat_bars_only_closed_ones_count_as_twice() -> None:
    series = BarSeries(
        Key("kraken", "BTC/USD", "bar", "1m"),
        Rules(market_of=lambda *_: ALWAYS, bars_once=lambda provider: provider != "kraken"),
        GapRecords(),
    )
    series.begin_file("x")
    series.take([bar("BTC/USD", SUNDAY, closed=None), bar("BTC/USD", SUNDAY, closed=None)])
    assert (series.report(None).duplicates, series.report(None).complete) == (0, True)
    series.take([bar("BTC/USD", SUNDAY), bar("BTC/USD", SUNDAY)])
    assert series.report(None).duplicates == 1


def test_a_finished_bar_that_comes_again_with_other_values_is_a_correction_where_the_provider_makes_them() -> None:
    def of(provider: str, *events: Bar) -> SeriesReport:
        rules = Rules(market_of=lambda *_: ALWAYS, bars_once=lambda provider: provider != "alpaca")
        series = BarSeries(Key(provider, "AAPL", "bar", "1m"), rules, GapRecords())
        series.begin_file("x")
        series.take(list(events))
        return series.report(None)

    first, second = bar("AAPL", SUNDAY), bar("AAPL", SUNDAY + MINUTE)
    corrected = msgspec.structs.replace(first, volume=number("1000"))
    found = of("alpaca", first, second, corrected, msgspec.structs.replace(second, volume=number("7")))
    assert (found.revised, found.duplicates, found.out_of_order, found.complete) == (2, 0, 0, True)
    again = of("alpaca", first, corrected, corrected)
    assert (again.revised, again.duplicates) == (1, 1)
    assert of("tickatlas", first, corrected).duplicates == 1
    late = of("alpaca", *(bar("AAPL", SUNDAY + at * MINUTE) for at in range(100)), corrected)
    assert (late.revised, late.duplicates) == (0, 1)


def test_bars_without_a_time_cannot_be_placed() -> None:
    events = [*minutes(SUNDAY, 0, 1), msgspec.structs.replace(bar("EURUSD", SUNDAY), ts_event=None)]
    found = report(events)
    assert (found.events, found.untimed, found.duplicates, found.complete) == (3, 1, 0, False)
    assert report(events[2:]).untimed == 1


# --- the ends --------------------------------------------------------------------------------------------------------


def test_bounds_say_what_is_owed_before_the_first_and_after_the_last() -> None:
    events = minutes(SUNDAY, *range(60))
    found = report(events, start=SUNDAY + 10 * MINUTE, end=SUNDAY + 70 * MINUTE)
    assert [(hole.start, hole.end, hole.missing) for hole in found.holes] == [
        (SUNDAY + 60 * MINUTE, SUNDAY + 70 * MINUTE, 10)
    ]
    assert (found.events, found.expected) == (50, 60)
    before = report(events, start=SUNDAY - 5 * MINUTE, market=ALWAYS)
    assert before.missing == 5


def test_bounds_within_a_minute_leave_that_minute_out() -> None:
    events = minutes(SUNDAY, *range(10))
    found = report(events, start=SUNDAY + MINUTE + 1, end=SUNDAY + 5 * MINUTE + 1)
    assert (found.events, found.missing) == (4, 0)  # the minutes 2, 3, 4 and 5, which begin within the bounds


def test_a_hole_at_a_bound_is_explained_by_a_record_next_to_it_only() -> None:
    events = minutes(SUNDAY, 0, 1, 2, 8, 9)
    near, far = records((2, 3)), records((0, 1))
    bounds = {"start": SUNDAY + 5 * MINUTE, "end": SUNDAY + 9 * MINUTE}
    assert report(events, gaps=near, **bounds).explained == 3
    assert report(events, gaps=far, **bounds).explained == 0
    assert report(events, gaps=records((2, 3)), start=SUNDAY, end=SUNDAY + 6 * MINUTE).explained == 3


def test_nothing_within_the_bounds_is_all_missing() -> None:
    found = report(minutes(SUNDAY, 0, 1), start=SUNDAY + 10 * MINUTE, end=SUNDAY + 15 * MINUTE)
    assert (found.events, found.missing, found.expected) == (0, 5, 5)


def test_a_run_owes_what_lies_between_its_ends_but_for_the_rounds_at_them() -> None:
    reach = Reach(SUNDAY, SUNDAY + 20 * MINUTE)
    assert report(minutes(SUNDAY, *range(1, 20)), reach=reach).complete
    assert report(minutes(SUNDAY, *range(21)), reach=reach).complete
    late = report(minutes(SUNDAY, *range(3, 15)), reach=reach)
    assert [(hole.start, hole.missing) for hole in late.holes] == [(SUNDAY + MINUTE, 2), (SUNDAY + 15 * MINUTE, 5)]


def test_a_live_gap_with_nothing_after_it_tells_what_the_market_owed_meanwhile() -> None:
    live = minutes(WALL - 3 * MINUTE, 0, 1, 2)  # the last is complete at WALL, and received two seconds later
    found = report(live, gaps=records((2, 200)))
    [hole] = found.holes
    assert (hole.missing, hole.explained) == (3, "disconnect")
    assert (found.missing, found.explained, found.uncertain) == (3, 3, 0)
    assert report(live, gaps=records((2, 30))).complete, "no bar was due"
    assert report(live, gaps=records((1, 200))).complete, "data came after it began"
    assert report(live, gaps=records((2, 200)), market=Market("never", ())).complete


def test_in_a_simulation_at_speed_nobody_knows_what_the_last_gap_cost() -> None:
    found = report(minutes(SUNDAY, 0, 1, 2), gaps=records((2, 200)))
    assert (found.missing, found.uncertain, found.complete) == (0, 1, False)
    assert report(minutes(SUNDAY, 0, 1, 2), gaps=records((2, 200), missed=0)).complete


def test_a_symbol_that_never_came_owes_what_its_gap_lasted() -> None:
    assert report(gaps=records((2, 200))).missing == 3


def test_a_last_gap_is_not_counted_on_top_of_the_hole_that_a_run_tells() -> None:
    reach = Reach(SUNDAY, SUNDAY + 10 * MINUTE)
    found = report(minutes(SUNDAY, 0, 1, 2), gaps=records((2, 500)), market=ALWAYS, reach=reach)
    assert (found.missing, found.explained, len(found.holes)) == (7, 7, 1)


# --- other intervals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("1m", 60), ("15m", 900), ("4h", 14_400), ("1d", 86_400), ("1w", 604_800)]
)
def test_intervals_have_a_length(text: str, seconds: int) -> None:
    assert interval_ns(text) == seconds * NS_PER_SECOND


@pytest.mark.parametrize("text", ["", "1M", "m", "0m", "-1m", "1m1s", "99999m"])
def test_what_has_no_fixed_length_has_none(text: str) -> None:
    assert interval_ns(text) is None


def every(interval: str, step: int, *places: int) -> list[Bar]:
    return [bar("EURUSD", SUNDAY + at * step, interval=interval) for at in places]


def test_longer_bars_are_counted_where_sessions_are_made_of_them() -> None:
    assert report(every("15m", 15 * MINUTE, 0, 1, 4), interval="15m").missing == 2
    assert report(every("1h", 60 * MINUTE, 0, 3), interval="1h").missing == 2


@pytest.mark.parametrize(("interval", "step", "market"), [
    ("1h", 60 * MINUTE, US_EQUITIES), ("1s", NS_PER_SECOND, FOREX), ("7m", 7 * MINUTE, FOREX),
    ("1M", 43_200 * MINUTE, ALWAYS),
])  # fmt: skip
def test_where_nobody_knows_how_many_are_owed_only_duplicates_and_disorder_are_found(
    interval: str, step: int, market: Market
) -> None:
    found = report(every(interval, step, 0, 3, 2, 3), interval=interval, market=market)
    assert (found.missing, found.expected, found.duplicates, found.out_of_order) == (0, None, 1, 1)


def test_where_bars_cannot_be_counted_a_gap_record_leaves_doubt() -> None:
    events = every("1s", NS_PER_SECOND, 0, 1)
    assert report(events, interval="1s", gaps=records((0, 1))).uncertain == 1
    assert report(events, interval="1s", gaps=records((0, 1), missed=0)).complete


# --- memory ----------------------------------------------------------------------------------------------------------


def test_holes_beyond_the_limit_are_counted_and_not_listed() -> None:
    found = report(minutes(SUNDAY, *range(0, 6000, 2)), max_spans=10)
    assert (found.missing, len(found.holes), found.more_holes) == (2999, 1000, 1999)


def test_what_was_settled_is_owed_once_and_what_comes_for_it_later_is_disorder() -> None:
    found = report(minutes(SUNDAY, *range(0, 100, 2)), minutes(SUNDAY, 1), max_spans=10)
    assert (found.missing, found.out_of_order) == (49, 1)
