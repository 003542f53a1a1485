"""A clock that is off shows in candles from the future."""

from __future__ import annotations

import pytest

from tickstream.events import Bar, Batch, Event, Notice, SessionEvent
from tickstream.numbers import number
from tickstream.pipeline.skew import ENOUGH, SkewStage
from tickstream.timestamps import Timestamp

SECOND = 10**9
OPEN = 1_782_312_840 * SECOND
ONE = number("1")


def bar(ts_event: int | None, ts_recv: int) -> Bar:
    opened = None if ts_event is None else Timestamp(ts_event)
    return Bar("tickatlas", "EURUSD", opened, Timestamp(ts_recv), "1m", ONE, ONE, ONE, ONE)


def notices(stage: SkewStage, ahead_s: list[float], apart_s: float = 60.0) -> list[Notice]:
    """Candles that arrive so long before they are complete, one after the other."""
    found: list[Event] = []
    for n, ahead in enumerate(ahead_s):
        opens = OPEN + round(n * apart_s * SECOND)
        received = Timestamp(opens + round((60 - ahead) * SECOND))
        found += stage.process(Batch(1, 1, received, [bar(opens, received)])).events
    return [event for event in found if isinstance(event, Notice)]


def test_candles_from_the_future_are_reported_once() -> None:
    (notice,) = notices(SkewStage("tickatlas", 60), [3600.0] * 50)
    assert notice.code == "clock_skew"
    assert "3600 s before" in notice.message


def test_the_notice_stands_behind_the_data_that_proves_it() -> None:
    stage = SkewStage("tickatlas", 60)
    notices(stage, [10.0] * (ENOUGH - 1))
    received = Timestamp(OPEN + 3600 * SECOND)
    first, second = stage.process(Batch(1, 1, received, [bar(received, received)])).events
    assert isinstance(first, Bar)
    assert isinstance(second, Notice)


@pytest.mark.parametrize("ahead", [5.0, 0.0, -0.3, -3600.0])
def test_candles_in_time_and_late_ones_prove_nothing(ahead: float) -> None:
    assert notices(SkewStage("tickatlas", 60), [ahead] * 200) == []


def test_one_wild_time_among_good_ones_proves_nothing() -> None:
    assert notices(SkewStage("tickatlas", 60), [0.0, 0.0, 9000.0, 0.0, 0.0, 9000.0, 0.0]) == []


def test_a_burst_is_one_sample() -> None:
    assert notices(SkewStage("tickatlas", 60), [3600.0] * 50, apart_s=0.01) == []


def test_batches_without_a_timed_candle_at_their_end_are_passed_on_as_they_are() -> None:
    stage = SkewStage("tickatlas", 60)
    up = SessionEvent("tickatlas", 1, 1, Timestamp(OPEN), "up")
    for events in ([], [up], [bar(None, OPEN)]):
        batch = Batch(1, 1, Timestamp(OPEN), list(events))
        assert stage.process(batch).events == events


def test_feeds_without_candles_are_not_looked_at() -> None:
    assert notices(SkewStage("tickatlas", None), [3600.0] * 50) == []


def test_the_end_of_a_run_has_nothing_to_add() -> None:
    assert SkewStage("tickatlas", 60).finish(Timestamp(OPEN)) == []
