"""What came before is left out where the provider says what is the same, and nothing else ever is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import at, bar, batch, notice, quote
from tickstream.events import Batch, Event, Notice, Trade
from tickstream.numbers import number
from tickstream.pipeline.dedup import DedupStage
from tickstream.timestamps import Timestamp


def trade(symbol: str, trade_id: str | None) -> Trade:
    return Trade("binance", symbol, at(0), at(0), number("1"), trade_id=trade_id)


def passed(stage: DedupStage, *events: Event, payloads: Sequence[bytes] = ()) -> Batch:
    return stage.process(batch(0, *events, payloads=payloads))


def once() -> DedupStage:
    return DedupStage("tickatlas", bars_once=True)


def test_a_bar_of_the_same_symbol_and_minute_is_left_out_and_counted() -> None:
    stage = once()
    first = [bar("EURUSD", 0), bar("XAUUSD", 0), bar("EURUSD", 1)]
    assert passed(stage, *first).events == first
    assert passed(stage, bar("EURUSD", 1), bar("EURUSD", 0), bar("EURUSD", 2)).events == [bar("EURUSD", 2)]
    assert stage.duplicates == 2
    assert stage.finish(at(5)) == [Notice("tickatlas", at(5), "duplicates", "2 events had come before; left out")]


def test_without_duplicates_nothing_is_said_of_them() -> None:
    stage = once()
    passed(stage, bar("EURUSD", 0))
    assert stage.finish(at(5)) == []
    passed(stage, bar("EURUSD", 0))
    assert "1 event had" in str(stage.finish(at(5)))


def test_the_same_bar_twice_in_one_batch_stays_once() -> None:
    assert passed(once(), bar("EURUSD", 0), bar("EURUSD", 0)).events == [bar("EURUSD", 0)]


def test_a_late_bar_that_never_came_is_kept() -> None:
    stage = once()
    passed(stage, bar("EURUSD", 0), bar("EURUSD", 5))
    assert passed(stage, bar("EURUSD", 3)).events == [bar("EURUSD", 3)]
    assert passed(stage, bar("EURUSD", 3)).events == []


def test_bars_of_a_provider_that_sends_them_again_as_they_grow_all_pass() -> None:
    stage = DedupStage("tickatlas", bars_once=False)
    twice = [bar("EURUSD", 0), bar("EURUSD", 0)]
    assert passed(stage, *twice).events == twice
    assert passed(stage, *twice, notice("code", 0)).events == [*twice, notice("code", 0)]


@pytest.mark.parametrize("ids", [["7", "8", "7"], ["a-1", "a-2", "a-1"], ["9" * 40, "8", "9" * 40], ["", "1", ""]])
def test_trades_are_the_same_by_symbol_and_id(ids: list[str]) -> None:
    stage = once()
    events = [trade("BTC-USD", one) for one in ids]
    assert passed(stage, *events).events == events[:2]
    assert passed(stage, trade("ETH-USD", ids[0])).events == [trade("ETH-USD", ids[0])], "of another symbol"


def test_ids_that_only_look_like_the_same_number_are_different() -> None:
    events = [trade("BTC-USD", one) for one in ("7", "07", "007", "٧", "0", "00")]
    assert passed(once(), *events).events == events


def test_what_has_no_identity_is_never_a_duplicate() -> None:
    events: list[Event] = [bar("EURUSD", None), bar("EURUSD", None), trade("EURUSD", None), trade("EURUSD", None),
                           quote("EURUSD", 0), quote("EURUSD", 0), notice("code", 0), notice("code", 0)]  # fmt: skip
    assert passed(once(), *events).events == events
    only_bars = [bar("EURUSD", None), bar("EURUSD", None)]
    assert passed(once(), *only_bars).events == only_bars


def test_messages_go_with_their_events() -> None:
    stage = once()
    passed(stage, bar("EURUSD", 0))
    mixed = passed(stage, notice("code", 0), bar("EURUSD", 0), bar("EURUSD", 1), payloads=[b"old", b"new"])
    assert (mixed.events, mixed.payloads) == ([notice("code", 0), bar("EURUSD", 1)], [b"new"])


def test_a_message_of_several_events_goes_when_all_of_them_do() -> None:
    stage = once()
    first = passed(stage, bar("EURUSD", 0), bar("EURUSD", 1), payloads=[b"both"])
    assert first.payloads == [b"both"]
    assert passed(stage, bar("EURUSD", 1), bar("EURUSD", 2), payloads=[b"one of them"]).payloads == [b"one of them"]
    assert passed(stage, bar("EURUSD", 1), bar("EURUSD", 2), payloads=[b"none"]).payloads == []


def test_what_an_earlier_run_has_is_left_out() -> None:
    stage = once()
    stage.seed([("EURUSD", at(3)), ("EURUSD", at(2)), ("EURUSD", at(3)), ("BTC-USD", "12"), ("BTC-USD", "x")])
    events = [bar("EURUSD", 2), bar("EURUSD", 3), bar("EURUSD", 4), trade("BTC-USD", "12"), trade("BTC-USD", "x")]
    assert passed(stage, *events).events == [bar("EURUSD", 4)]


def test_of_each_symbol_at_least_the_latest_are_remembered_and_the_memory_is_bounded() -> None:
    stage = DedupStage("tickatlas", bars_once=True, kept=10)
    for minute in range(1000):
        passed(stage, bar("EURUSD", minute), trade("BTC-USD", str(minute)), trade("BTC-USD", f"x{minute}"))
    assert sum(len(known) for known in (*stage._bars.values(), *stage._trades.values())) <= 44
    assert len(stage._named["BTC-USD"]._young) + len(stage._named["BTC-USD"]._old) <= 20
    latest = [event for n in range(991, 1000) for event in (bar("EURUSD", n), trade("BTC-USD", f"x{n}"))]
    assert passed(stage, *latest).events == []
    assert passed(stage, bar("EURUSD", 5)).events == [bar("EURUSD", 5)], "forgotten, so it may be new: it is kept"


def test_bars_that_come_in_order_are_known_by_symbol_once() -> None:
    stage = once()
    events = passed(stage, bar("EURUSD", 0), bar("XAUUSD", 0), bar("EURUSD", 2)).events
    assert stage.stretches(events) == {
        "EURUSD": ([bar("EURUSD", 0), bar("EURUSD", 2)], at(0), at(2)),
        "XAUUSD": ([bar("XAUUSD", 0)], at(0), at(0)),
    }
    assert stage.stretches(events) is None, "they are given once"


@pytest.mark.parametrize(
    "events",
    [
        [bar("EURUSD", 1), bar("EURUSD", 0)],
        [bar("EURUSD", 1), bar("EURUSD", None)],
        [bar("EURUSD", 1), quote("EURUSD", 1)],
        [],
    ],
)
def test_anything_else_is_not(events: list[Event]) -> None:
    stage = once()
    assert stage.stretches(passed(stage, *events).events) is None


def test_events_that_another_stage_has_changed_are_not_either() -> None:
    stage = once()
    events = passed(stage, bar("EURUSD", 0)).events
    assert stage.stretches([*events]) is None


_IDENTITIES = st.tuples(st.sampled_from(["EURUSD", "XAUUSD"]), st.integers(0, 12))


@given(st.lists(st.lists(_IDENTITIES, max_size=8), max_size=12), st.lists(_IDENTITIES, max_size=5))
def test_what_is_left_is_each_identity_once_in_the_order_received(
    batches: list[list[tuple[str, int]]], seeds: list[tuple[str, int]]
) -> None:
    stage, seen, duplicates = once(), set(seeds), 0
    stage.seed([(symbol, Timestamp(at(minute))) for symbol, minute in seeds])
    for identities in batches:
        expected = []
        for identity in identities:
            if identity not in seen:
                expected.append(bar(*identity))
            duplicates += identity in seen
            seen.add(identity)
        assert passed(stage, *(bar(*identity) for identity in identities)).events == expected
    assert stage.duplicates == duplicates
