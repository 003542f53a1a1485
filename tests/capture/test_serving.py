"""A capture as a market for the simulator: each event once, in market time, never going back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.planned import MINUTE, SUNDAY, WALL, bar, trade
from tickstream.capture.archive import Archive
from tickstream.capture.playback import Wanted
from tickstream.capture.reading import ReadOptions
from tickstream.capture.serving import DAY_NS, CapturedMarket
from tickstream.errors import InputError
from tickstream.events import Event, Gap, MarketEvent
from tickstream.sinks.encoders import JsonEncoder
from tickstream.timestamps import Timestamp

FAR = 1 << 62
BOTH = ("EURUSD", "XAUUSD")


def market(folder: Path, *files: Sequence[Event], loop: bool = False) -> CapturedMarket:
    for number, events in enumerate(files):
        (folder / f"{number}.jsonl").write_bytes(JsonEncoder(None, "iso", True).encode(list(events)))
    return CapturedMarket(Archive([str(folder)], ReadOptions(), Wanted("ts_event")), loop=loop)


def bars(symbol: str, *minutes: int) -> list[Event]:
    return [bar(symbol, SUNDAY + at * MINUTE, WALL) for at in minutes]


def at(minute: int) -> int:
    return SUNDAY + minute * MINUTE


def minutes(events: Sequence[MarketEvent]) -> list[tuple[str, int]]:
    return [(one.symbol, ((one.ts_event or 0) - SUNDAY) // MINUTE) for one in events]


def test_it_knows_its_symbols_its_beginning_and_its_step(tmp_path: Path) -> None:
    found = market(tmp_path, bars("EURUSD", 3, 4), bars("XAUUSD", 1))
    assert found.symbols == {"EURUSD", "XAUUSD"}
    assert (found.knows("XAUUSD"), found.knows("GBPUSD")) == (True, False)
    assert (found.first_ns, found.step_ns, found.provider) == (at(1), MINUTE, "tickatlas")


def test_events_that_are_no_bars_happen_at_a_moment(tmp_path: Path) -> None:
    assert market(tmp_path, [trade("BTC-USD", "1")]).step_ns == 0


def test_bars_of_several_lengths_have_no_common_step(tmp_path: Path) -> None:
    mixed = [bar("EURUSD", SUNDAY), bar("EURUSD", SUNDAY, interval="5m")]
    assert market(tmp_path, mixed).step_ns == 0


def test_items_are_those_of_the_symbols_in_the_order_of_market_time(tmp_path: Path) -> None:
    found = market(tmp_path, bars("EURUSD", 0, 1, 2), bars("XAUUSD", 0, 2))
    items, position = found.items(at(0), at(2), BOTH, 100)
    assert (minutes(items), position) == ([("EURUSD", 0), ("XAUUSD", 0), ("EURUSD", 1)], at(2))
    items, position = found.items(position, FAR, ("XAUUSD",), 100)
    assert (minutes(items), position) == ([("XAUUSD", 2)], FAR)
    assert found.next_open(position) is None


def test_a_limit_never_splits_a_moment(tmp_path: Path) -> None:
    found = market(tmp_path, bars("EURUSD", 0, 1), bars("XAUUSD", 0, 1))
    items, position = found.items(at(0), FAR, BOTH, 1)
    assert (minutes(items), position) == ([("EURUSD", 0), ("XAUUSD", 0)], at(1))


def test_the_next_opening_can_be_asked_for_again_and_skips_what_lies_before(tmp_path: Path) -> None:
    found = market(tmp_path, bars("EURUSD", 0, 5, 9))
    assert [found.next_open(at(1)), found.next_open(at(1)), found.next_open(at(6))] == [at(5), at(5), at(9)]
    assert minutes(found.items(at(6), FAR, BOTH, 10)[0]) == [("EURUSD", 9)]


def test_in_a_loop_it_begins_anew_some_whole_days_later(tmp_path: Path) -> None:
    found = market(tmp_path, bars("EURUSD", 0, 1), loop=True)
    items, _ = found.items(at(0), at(0) + 2 * DAY_NS + 1, BOTH, 100)
    assert [one.ts_event for one in items] == [at(0), at(1), at(0) + DAY_NS, at(1) + DAY_NS, at(0) + 2 * DAY_NS]
    assert [one.ts_recv - WALL for one in items] == [0, 0, DAY_NS, DAY_NS, 2 * DAY_NS]


def test_in_a_loop_what_has_no_time_of_its_own_moves_too(tmp_path: Path) -> None:
    found = market(tmp_path, [trade("BTC-USD", "1", at=None)], loop=True)
    items, _ = found.items(WALL, WALL + DAY_NS + 1, ("BTC-USD",), 100)
    assert [(one.ts_event, one.ts_recv - WALL) for one in items] == [(None, 0), (None, DAY_NS)]


def test_gaps_are_no_items(tmp_path: Path) -> None:
    gap = Gap("tickatlas", ("EURUSD",), "disconnect", Timestamp(WALL), Timestamp(WALL))
    found = market(tmp_path, [gap, *bars("EURUSD", 0), gap, *bars("EURUSD", 4), gap])
    assert minutes(found.items(at(0), FAR, BOTH, 100)[0]) == [("EURUSD", 0), ("EURUSD", 4)]


@pytest.mark.parametrize("loop", [False, True])
def test_files_without_an_event_are_no_market(tmp_path: Path, *, loop: bool) -> None:
    with pytest.raises(InputError, match="nothing to serve"):
        market(tmp_path, [], loop=loop)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, unique=True).map(sorted),
    st.lists(st.integers(0, 30), unique=True).map(sorted),
    st.lists(st.integers(1, 9)),
    st.integers(1, 6),
)
def test_asked_for_in_any_steps_each_event_comes_once(
    tmp_path_factory: pytest.TempPathFactory, eur: list[int], gold: list[int], steps: list[int], limit: int
) -> None:
    found = market(tmp_path_factory.mktemp("market"), bars("EURUSD", *eur), bars("XAUUSD", *gold))
    out: list[MarketEvent] = []
    position: int | None = found.next_open(0)
    turn = 0
    while position is not None:
        end = position + (steps[turn % len(steps)] if steps else 99) * MINUTE
        items, position = found.items(position, end, BOTH, limit)
        out += items
        position = found.next_open(position)
        turn += 1
    expected = sorted([(minute, "EURUSD") for minute in eur] + [(minute, "XAUUSD") for minute in gold])
    assert sorted((minute, symbol) for symbol, minute in minutes(out)) == expected
    assert [minute for _, minute in minutes(out)] == [minute for minute, _ in expected]
