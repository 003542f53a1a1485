"""Trades, quotes and books: by ids and sequences, and where there are none, by what is in them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.planned import WALL, quote, trade
from tickstream.capture.verifying_checks import WINDOW
from tickstream.capture.verifying_gaps import GapRecords
from tickstream.capture.verifying_numbered import NumberedSeries
from tickstream.capture.verifying_report import SeriesReport
from tickstream.capture.verifying_series import Key, Numbering, Rules
from tickstream.events import BookSnapshot, Gap, MarketEvent
from tickstream.markets import ALWAYS, FOREX, Market
from tickstream.numbers import number
from tickstream.timestamps import NS_PER_SECOND, Timestamp


def report(
    *files: Sequence[MarketEvent],
    gaps: GapRecords | None = None,
    numbering: Numbering = "auto",
    market: Market = ALWAYS,
    **bounds: int,
) -> SeriesReport:
    limits = {name: Timestamp(at) for name, at in bounds.items()}
    rules = Rules(market_of=lambda *_: market, numbering=numbering, **limits)
    series = NumberedSeries(Key("coinbase", "BTC-USD", "trade"), rules, gaps or GapRecords())
    for at, events in enumerate(files):
        series.begin_file(f"{at}.jsonl")
        series.take(events)
    return series.report(None)


def trades(*ids: int | str | None) -> list[MarketEvent]:
    return [
        trade("BTC-USD", None if one is None else str(one), moment(at), at=moment(at)) for at, one in enumerate(ids)
    ]


def quotes(*sequences: int | None) -> list[MarketEvent]:
    return [quote("BTC-USD", one, moment(at), at=moment(at)) for at, one in enumerate(sequences)]


def moment(second: float) -> int:
    return WALL + round(second * NS_PER_SECOND)


def records(
    start: float, end: float, *, missed: int | None = None, symbols: tuple[str, ...] = ("BTC-USD",)
) -> GapRecords:
    found = GapRecords()
    begin, until = Timestamp(moment(start)), Timestamp(moment(end))
    found.add(Gap("coinbase", symbols, "disconnect", begin, until, missed=missed))
    return found


def test_trade_ids_that_follow_one_another_are_complete() -> None:
    found = report(trades(*range(1000, 1100)))
    assert found.complete
    assert (found.counted_by, found.expected) == ("trade_id", 100)


def test_a_trade_id_left_out_is_missing() -> None:
    found = report(trades(1, 2, 3, 4, 7, 8, 9, 10), gaps=records(3, 4))
    assert [(hole.start, hole.end, hole.missing, hole.explained) for hole in found.holes] == [(5, 7, 2, "disconnect")]
    assert (found.missing, found.explained, found.expected) == (2, 2, 10)


def test_duplicates_and_disorder_are_found_by_id_in_any_file() -> None:
    found = report(trades(1, 2, 4, 3, 5), trades(6, 7, 2))
    assert (found.missing, found.duplicates, found.out_of_order) == (0, 1, 1)
    assert not found.complete


@given(st.sets(st.integers(0, 80), min_size=1), st.lists(st.integers(0, 80), max_size=6))
def test_planned_holes_and_duplicates_of_ids_are_found_exactly(ids: set[int], again: list[int]) -> None:
    row = sorted(ids)
    twice = [one for one in again if one in ids]
    found = report(trades(*row, *twice), numbering="contiguous")
    missing = set(range(row[0], row[-1] + 1)) - ids
    assert (found.missing, found.duplicates, found.out_of_order) == (len(missing), len(twice), 0)
    assert {one for hole in found.holes for one in range(hole.start, hole.end)} == missing


def test_numbers_that_do_not_follow_one_another_tell_duplicates_and_order_only() -> None:
    found = report(quotes(*range(0, 300, 3), 297, 10))
    assert (found.missing, found.expected, found.duplicates, found.out_of_order) == (0, None, 1, 1)
    assert found.counted_by == "sequence"
    insisted = report(quotes(*range(0, 30, 3)), numbering="contiguous")
    assert insisted.missing == 18
    assert report(quotes(1, 2, 3, 5), numbering="increasing").complete


def test_two_numbers_far_apart_are_no_row_with_a_hole() -> None:
    assert report(quotes(10, 117)).complete
    assert report(quotes(10, 11, 117, 300)).complete
    assert report(quotes(10, 11, 12, 117)).missing == 104
    assert report(quotes(10)).expected == 1


def test_a_sequence_that_begins_anew_with_a_connection_is_no_disorder() -> None:
    events = quotes(100, 101, 102, 1, 2, 3)
    assert report(events, gaps=records(2, 3, missed=0)).complete
    broken = report(events)
    assert broken.out_of_order == 3


def test_a_sequence_that_begins_anew_in_the_next_file_is_none_either() -> None:
    events = quotes(1, 2, 3, 1, 2)
    assert report(events[:3], events[3:], gaps=records(2, 3, missed=0)).complete
    again = report(events[:3], events[3:])
    assert again.duplicates == 2


def test_trade_ids_do_not_begin_anew() -> None:
    events = trades(5, 6, 7, 6, 8)
    assert report(events, gaps=records(2, 3)).duplicates == 1


def test_holes_before_a_new_beginning_still_count() -> None:
    found = report(quotes(1, 2, 5, 6, 1, 2, 4, 5), gaps=records(3, 4, missed=0))
    assert (found.missing, found.expected) == (3, 11)


@pytest.mark.parametrize("word", ["7f3a", "１２３", "1" * 19, ""])
def test_ids_that_are_words_are_compared_within_a_window(word: str) -> None:
    found = report(trades(word, "other", word))
    assert (found.duplicates, found.counted_by, found.missing) == (1, None, 0)


def test_trades_with_ids_words_and_nothing_are_each_judged_by_what_they_have() -> None:
    found = report(trades(1, 2, "a", None, 2, "a", 3))
    assert (found.duplicates, found.counted_by, found.missing) == (2, "trade_id", 0)


def test_trades_without_any_id_are_judged_by_their_sequence() -> None:
    from tickstream.events import Trade

    events = [
        Trade("coinbase", "BTC-USD", Timestamp(moment(at)), Timestamp(moment(at)), number("1"), sequence=one)
        for at, one in enumerate((1, 2, 3, None, 5))
    ]
    found = report(events)
    assert (found.counted_by, found.missing) == ("sequence", 1)


def test_what_nothing_numbers_is_a_duplicate_when_all_but_its_reception_is_equal() -> None:
    first = quote("BTC-USD", None, moment(0), at=moment(0))
    again = quote("BTC-USD", None, moment(9), at=moment(0))
    other = quote("BTC-USD", None, moment(9), at=moment(0), bid="2")
    assert report([first, other]).complete
    assert report([first, other, again]).duplicates == 1


def test_beyond_the_window_nothing_is_remembered() -> None:
    row = quotes(*[None] * (WINDOW + 1))
    assert report([*row, row[1]]).duplicates == 1
    assert report([*row, row[0]]).duplicates == 0


def test_untimed_events_without_a_number_are_not_compared() -> None:
    found = report([trade("BTC-USD", None, at=None), trade("BTC-USD", None, at=None)])
    assert (found.events, found.duplicates, found.first) == (2, 0, None)


def test_the_order_of_what_nothing_numbers_is_reported_and_is_the_providers_own_affair() -> None:
    late = [quote("BTC-USD", None, at=moment(second)) for second in (0, 2, 1, 3)]
    found = report(late)
    assert (found.out_of_order, found.complete) == (1, True)


def test_gap_records_are_all_there_is_to_say_of_what_nothing_numbers() -> None:
    events = quotes(None, None)
    assert report(events, gaps=records(0, 1, missed=0)).complete
    counted = report(events, gaps=records(0, 1, missed=4))
    assert (counted.missing, counted.explained, counted.uncertain) == (4, 4, 0)
    unknown = report(events, gaps=records(0, 1))
    assert (unknown.missing, unknown.uncertain, unknown.complete) == (0, 1, False)
    shared = report(events, gaps=records(0, 1, missed=4, symbols=("BTC-USD", "ETH-USD")))
    assert (shared.missing, shared.uncertain) == (0, 1)


def test_a_gap_while_the_market_is_closed_costs_nothing() -> None:
    saturday = WALL + 3 * 86_400 * NS_PER_SECOND
    found = GapRecords()
    found.add(
        Gap("coinbase", ("BTC-USD",), "disconnect", Timestamp(saturday), Timestamp(saturday + 60 * NS_PER_SECOND))
    )
    events = [quote("BTC-USD", None, moment(0)), quote("BTC-USD", None, saturday + 90 * NS_PER_SECOND, at=saturday)]
    assert report(events, gaps=found, market=FOREX).complete
    assert not report(events, gaps=found, market=ALWAYS).complete


def test_numbered_events_are_in_doubt_only_by_gaps_that_nothing_follows() -> None:
    events = trades(1, 2, 3, 4)
    assert report(events, gaps=records(1, 2)).complete
    assert report(events, gaps=records(3, 9)).uncertain == 1
    assert report(events, gaps=records(3, 9, missed=2)).missing == 2


def test_bounds_leave_out_events_and_the_gaps_outside_them() -> None:
    events = quotes(None, None, None, None)
    found = report(events, gaps=records(0, 1), start=moment(2), end=moment(3))
    assert (found.events, found.gaps, found.complete) == (1, 0, True)
    inside = report(events, gaps=records(2, 3), start=moment(2), end=moment(10))
    assert (inside.events, inside.gaps) == (2, 1)


def test_a_crossed_book_is_found_by_its_best_prices() -> None:
    def book(bid: str, ask: str) -> BookSnapshot:
        one = number("1")
        return BookSnapshot("coinbase", "BTC-USD", Timestamp(WALL), Timestamp(WALL), ((number(bid), one),),
                            ((number(ask), one),))  # fmt: skip

    empty = BookSnapshot("coinbase", "BTC-USD", Timestamp(WALL), Timestamp(WALL), (), ())
    assert report([book("99.9", "100"), book("100.1", "100"), empty]).crossed == 1
