"""Backoff and hold: the seven properties a reconnecting client owes its server, and the minimums a server may set."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.session.backoff import Backoff, hold_delays, restart_delay

seeds = st.integers(0, 2**32).map(random.Random)


class Highest(random.Random):
    """Draws the upper end, always."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Lowest(random.Random):
    """Draws the lower end, always."""

    def uniform(self, a: float, b: float) -> float:
        return a


def test_the_ceiling_doubles_from_one_second_to_the_cap() -> None:
    backoff = Backoff(Highest())
    assert [backoff.next() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


@given(seeds, st.integers(7, 3000))
def test_it_stays_at_the_cap_however_long_it_goes_on(rng: random.Random, attempts: int) -> None:
    backoff = Backoff(rng)
    delays = [backoff.next() for _ in range(attempts)]
    assert backoff.ceiling_s == 60
    assert max(delays) <= 60


@given(seeds)
def test_every_delay_is_between_the_floor_and_the_ceiling(rng: random.Random) -> None:
    backoff = Backoff(rng)
    for _ in range(50):
        ceiling = backoff.ceiling_s
        assert 0.25 <= backoff.next() <= ceiling


def test_the_jitter_is_full_both_ends_are_reached() -> None:
    backoff = Backoff(Lowest())
    assert {backoff.next() for _ in range(10)} == {0.25}
    backoff = Backoff(random.Random(7))
    for _ in range(6):
        backoff.next()
    late = [backoff.next() for _ in range(2000)]
    assert min(late) < 2
    assert max(late) > 58


@given(seeds, st.integers(1, 20))
def test_a_reset_restores_the_start(rng: random.Random, attempts: int) -> None:
    backoff = Backoff(rng)
    for _ in range(attempts):
        backoff.next()
    backoff.reset()
    assert backoff.ceiling_s == 1
    assert 0 <= backoff.next() <= 1
    assert backoff.ceiling_s == 2


def test_after_a_stable_connection_the_first_retry_may_come_at_once_and_only_the_first() -> None:
    backoff = Backoff(Lowest())
    assert backoff.next() == 0.25
    backoff.reset()
    assert [backoff.next() for _ in range(3)] == [0, 0.25, 0.25]


def test_the_same_randomness_gives_the_same_delays() -> None:
    first, second = Backoff(random.Random(1)), Backoff(random.Random(1))
    assert [first.next() for _ in range(20)] == [second.next() for _ in range(20)]


@given(seeds, st.floats(1.001, 10), st.floats(0.01, 10), st.floats(1, 1000))
def test_no_step_grows_by_more_than_the_factor(rng: random.Random, factor: float, base: float, times: float) -> None:
    backoff = Backoff(rng, base_s=base, cap_s=base * times, floor_s=0, factor=factor)
    for _ in range(30):
        before = backoff.ceiling_s
        backoff.next()
        assert before <= backoff.ceiling_s <= min(before * factor, base * times)


@pytest.mark.parametrize(
    "wrong",
    [
        {"factor": 1.0},
        {"factor": 0.5},
        {"factor": 10.1},
        {"factor": float("nan")},
        {"base_s": 0.0, "floor_s": 0.0},
        {"floor_s": 2.0},
        {"cap_s": 0.5},
        {"floor_s": -0.1},
        {"base_s": float("nan")},
    ],
)
def test_a_backoff_that_could_not_back_off_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"factor|floor"):
        Backoff(random.Random(1), **wrong)


@given(seeds, st.floats(0, 1e6))
def test_what_the_server_asks_for_is_a_minimum_up_to_an_hour(rng: random.Random, asked: float) -> None:
    delay = Backoff(rng).next(asked)
    assert min(asked, 3600) <= delay <= max(1.0, min(asked, 3600) * 1.1)


def test_the_minimum_of_the_server_is_jittered_by_a_tenth() -> None:
    assert Backoff(Highest()).next(100) == pytest.approx(110)
    assert Backoff(Highest()).next(1e9) == pytest.approx(3960)
    assert Backoff(Lowest()).next(100) == 100


@given(seeds)
def test_rate_limited_without_a_time_named_waits_thirty_seconds_at_least(rng: random.Random) -> None:
    assert 30 <= Backoff(rng).next(rate_limited=True) <= 33


@given(seeds, st.floats(0, 5000))
def test_rate_limited_with_a_time_named_waits_as_told(rng: random.Random, asked: float) -> None:
    delay = Backoff(rng).next(asked, rate_limited=True)
    assert min(asked, 3600) <= delay <= max(1.0, min(asked, 3600) * 1.1)


def test_after_a_short_connection_the_start_is_restored_without_the_immediate_retry() -> None:
    backoff = Backoff(Lowest())
    backoff.next()
    backoff.reset(stable=False)
    assert backoff.ceiling_s == 1
    assert backoff.next() == 0.25


@given(seeds)
def test_a_restarting_server_is_left_alone_for_five_to_thirty_seconds(rng: random.Random) -> None:
    assert 5 <= restart_delay(rng) <= 30


@given(seeds)
def test_the_hold_schedule_is_30_60_120_300_within_a_fifth_and_ends_after_ten(rng: random.Random) -> None:
    delays = list(hold_delays(rng))
    assert len(delays) == 10
    for delay, expected in zip(delays, [30, 60, 120, *[300] * 7], strict=True):
        assert expected * 0.8 <= delay <= expected * 1.2


def test_the_hold_schedule_is_exact_in_the_middle_of_its_jitter() -> None:
    class Middle(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return (a + b) / 2

    assert list(hold_delays(Middle()))[:5] == [30, 60, 120, 300, 300]
