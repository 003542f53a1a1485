"""Market time against real time."""

from __future__ import annotations

import pytest

from tickstream.simulator.market import MINUTE_NS
from tickstream.simulator.pace import PacedClock, RealTime, WallClock


def test_the_wall_clock_is_real_time() -> None:
    clock = WallClock()
    now = RealTime(5.0, 1_000 * MINUTE_NS)
    assert clock.market_ns(now) == 1_000 * MINUTE_NS
    assert clock.seconds_until(1_001 * MINUTE_NS, now) == 60.0


def test_a_wall_clock_that_jumped_stays_ahead() -> None:
    clock = WallClock()
    clock.skip(10 * MINUTE_NS)
    assert clock.market_ns(RealTime(5.0, 1_000 * MINUTE_NS)) == 1_010 * MINUTE_NS
    assert clock.seconds_until(1_011 * MINUTE_NS, RealTime(5.0, 1_000 * MINUTE_NS)) == 60.0


@pytest.mark.parametrize("speed", [0.5, 1.0, 60.0, 6_000.0])
def test_a_paced_clock_begins_at_its_start_and_runs_as_fast_as_it_should(speed: float) -> None:
    clock = PacedClock(100 * MINUTE_NS, 50.0, speed)
    assert clock.market_ns(RealTime(50.0, 0)) == 100 * MINUTE_NS
    later = RealTime(50.0 + 60 / speed, 0)
    assert clock.market_ns(later) == pytest.approx(101 * MINUTE_NS, abs=1_000)
    assert clock.seconds_until(102 * MINUTE_NS, later) == pytest.approx(60 / speed, rel=1e-6)


def test_a_paced_clock_can_jump() -> None:
    clock = PacedClock(0, 0.0, 60.0)
    clock.skip(7 * MINUTE_NS)
    assert clock.market_ns(RealTime(1.0, 0)) == 8 * MINUTE_NS
