"""A verification says exactly what is wrong with a capture: no more, and no less."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.planned import (
    FRIDAY,
    MINUTE,
    SUNDAY,
    WALL,
    Planned,
    bar,
    in_files,
    interleaved,
    planned,
    quote,
    trade,
)
from tests.sinks.making import book, book_update
from tickstream.capture.verifying import Reach, Rules, Verifier
from tickstream.capture.verifying_report import SeriesReport
from tickstream.events import Event, Gap, Notice
from tickstream.markets import ALWAYS, Market, market_of
from tickstream.timestamps import Timestamp

SYMBOLS = ("EURUSD", "XAUUSD", "BTCUSD")


def hours(_provider: str, symbol: str) -> Market:
    return market_of(symbol)


def verified(files: list[list[list[Event]]], reaches: dict[str, Reach] | None = None) -> dict[str, SeriesReport]:
    """Symbol -> its report."""
    verifier = Verifier(Rules(market_of=hours))
    for at, chunks in enumerate(files):
        verifier.begin_file(f"file-{at}.jsonl")
        for events in chunks:
            verifier.take(events)
    expected = {("tickatlas", symbol): reach for symbol, reach in (reaches or {}).items()}
    return {one.symbol: one for one in verifier.series(expected)}


def reach_of(plan: Planned) -> Reach:
    """It was asked for from the minute before the first to the minute after the last."""
    return Reach(plan.first - MINUTE, plan.last + MINUTE)


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*(planned(symbol) for symbol in SYMBOLS)),
    st.lists(st.integers(0, 2), max_size=40),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_planned_holes_duplicates_and_swaps_are_found_exactly(
    plans: tuple[Planned, ...], turns: list[int], cuts: list[int]
) -> None:
    chunks = [piece for file in in_files(list(interleaved(plans, turns)), cuts) for piece in file]
    found = verified([chunks], {plan.symbol: reach_of(plan) for plan in plans})
    for plan in plans:
        report = found[plan.symbol]
        assert [(hole.start, hole.end, hole.explained is not None) for hole in report.holes] == plan.holes
        assert (report.missing, report.explained) == (plan.missing, plan.explained)
        assert (report.duplicates, report.out_of_order, report.crossed) == (plan.duplicates, plan.swaps, 0)
        assert report.expected == 120
        assert report.complete == (not (plan.holes or plan.duplicates or plan.swaps))


@settings(max_examples=50, deadline=None)
@given(planned("EURUSD"), st.lists(st.integers(0, 150), max_size=12), st.permutations(range(7)))
def test_holes_and_duplicates_do_not_depend_on_the_order_of_the_files(
    plan: Planned, cuts: list[int], order: list[int]
) -> None:
    files = in_files(plan.events, cuts)
    shuffled = [files[at] for at in order if at < len(files)]
    report = verified(shuffled, {"EURUSD": reach_of(plan)})["EURUSD"]
    assert [(hole.start, hole.end) for hole in report.holes] == [(start, end) for start, end, _ in plan.holes]
    assert (report.missing, report.duplicates) == (plan.missing, plan.duplicates)
    assert report.out_of_order <= plan.swaps + plan.duplicates  # which of two equal ones is the copy, files do not say


def test_series_are_told_apart_by_provider_symbol_type_and_interval() -> None:
    events: list[Event] = [
        bar("EURUSD", SUNDAY), bar("EURUSD", SUNDAY, interval="5m"), quote("EURUSD", 1), trade("EURUSD", "1"),
        bar("XAUUSD", SUNDAY),
    ]  # fmt: skip
    verifier = Verifier(Rules(market_of=hours))
    verifier.begin_file("x")
    verifier.take(events)
    assert [(one.provider, one.symbol, one.type, one.interval, one.events) for one in verifier.series()] == [
        ("coinbase", "EURUSD", "quote", None, 1),
        ("coinbase", "EURUSD", "trade", None, 1),
        ("tickatlas", "EURUSD", "bar", "1m", 1),
        ("tickatlas", "EURUSD", "bar", "5m", 1),
        ("tickatlas", "XAUUSD", "bar", "1m", 1),
    ]


def test_each_file_is_tallied_for_its_manifest() -> None:
    verifier = Verifier(Rules(market_of=hours))
    first = verifier.begin_file("one")
    verifier.take([bar("EURUSD", SUNDAY), bar("XAUUSD", SUNDAY + MINUTE), quote("EURUSD", 1, at=FRIDAY)])
    second = verifier.begin_file("two")
    gap = Gap("tickatlas", ("EURUSD",), "quota", Timestamp(WALL), Timestamp(WALL + 1))
    verifier.take([gap, bar("EURUSD", SUNDAY + MINUTE), Notice("tickatlas", Timestamp(WALL), "x", "y")])
    assert first.symbols == {"EURUSD": {"bar": 1, "quote": 1}, "XAUUSD": {"bar": 1}}
    assert (first.events, first.gaps, first.first, first.last) == (3, 0, FRIDAY, SUNDAY + MINUTE)
    assert (second.events, second.gaps, second.first) == (1, 1, SUNDAY + MINUTE)


def test_a_symbol_that_was_asked_for_and_never_came_owes_what_its_neighbours_have() -> None:
    events: list[Event] = [bar("EURUSD", SUNDAY + at * MINUTE) for at in range(10)]
    reach = Reach(SUNDAY, SUNDAY + 9 * MINUTE)
    found = verified([[events]], {"EURUSD": reach, "GBPUSD": reach})
    assert found["EURUSD"].complete
    assert (found["GBPUSD"].events, found["GBPUSD"].missing, found["GBPUSD"].type) == (0, 8, "bar")


def test_a_silent_symbol_of_another_type_is_listed_without_a_debt() -> None:
    verifier = Verifier(Rules(market_of=hours))
    verifier.begin_file("x")
    verifier.take([trade("BTC-USD", "1")])
    silent = verifier.series({("coinbase", "ETH-USD"): Reach()})[1]
    assert (silent.symbol, silent.type, silent.events, silent.complete) == ("ETH-USD", "trade", 0, True)
    alone = Verifier(Rules(market_of=hours)).series({("coinbase", "ETH-USD"): Reach()})
    assert [(one.symbol, one.type) for one in alone] == [("ETH-USD", "")]


def test_a_wildcard_is_no_symbol_once_anything_came_for_it() -> None:
    verifier = Verifier(Rules(market_of=hours))
    expected = {("coinbase", "*"): Reach(None, None)}
    assert [one.symbol for one in verifier.series(expected)] == ["*"], "nothing came at all"
    verifier.begin_file("x")
    verifier.take([quote("BTCUSD", 1), quote("ETHUSD", 1)])
    assert [one.symbol for one in verifier.series(expected)] == ["BTCUSD", "ETHUSD"]


def test_the_same_is_twice_also_where_its_symbol_was_named_in_another_way() -> None:
    verifier = Verifier(Rules(market_of=lambda _provider, _symbol: ALWAYS))
    verifier.begin_file("x")
    once = quote("BTCUSD", 1)
    verifier.take([once, msgspec.structs.replace(once, canonical="BTCUSD")])
    [report] = verifier.series()
    assert (report.events, report.duplicates) == (2, 1)


def test_a_gap_costs_a_book_once() -> None:
    verifier = Verifier(Rules(market_of=lambda _provider, _symbol: ALWAYS))
    times = [Timestamp(SUNDAY + minute * MINUTE) for minute in range(4)]
    verifier.begin_file("x")
    snapshots = [book(("99.5", "1"), symbol="BTCUSD", ts_event=ts, ts_recv=ts) for ts in (times[0], times[3])]
    gap = Gap(snapshots[0].provider, ("BTCUSD",), "book", times[1], times[3])
    verifier.take([snapshots[0], gap, snapshots[1]])
    [alone] = verifier.series()
    assert (alone.type, alone.uncertain, alone.gaps) == ("book_snapshot", 1, 1)
    verifier.take([book_update(("99.4", "1"), symbol="BTCUSD", ts_event=times[3], ts_recv=times[3])])
    found = {one.type: one for one in verifier.series()}
    assert (found["book_snapshot"].uncertain, found["book_update"].uncertain) == (0, 1)
    assert not found["book_update"].complete


def test_a_gap_that_only_the_manifest_knows_explains_the_hole() -> None:
    verifier = Verifier(Rules(market_of=hours))
    verifier.known_gap(Gap("tickatlas", ("EURUSD", "XAUUSD"), "restart", Timestamp(WALL), Timestamp(WALL + 5)))
    verifier.begin_file("x.csv")
    verifier.take([bar("EURUSD", SUNDAY, WALL), bar("EURUSD", SUNDAY + 4 * MINUTE, WALL + 5)])
    [report] = verifier.series()
    assert (report.missing, report.explained, report.unexplained, report.gaps) == (3, 3, 0, 1)
    assert [hole.explained for hole in report.holes] == ["restart"]
    assert not report.complete
