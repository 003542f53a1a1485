"""Clocks: the machine's, and one that moves only when told to."""

from __future__ import annotations

import threading
import time

import pytest

from tickstream.clock import Clock, FakeClock, SystemClock
from tickstream.timestamps import NS_PER_SECOND, Timestamp


class TestTheMachines:
    def test_it_is_the_wall_clock_in_nanoseconds(self) -> None:
        clock: Clock = SystemClock()
        now = clock.now_ns()
        assert type(now) is Timestamp
        assert abs(now - time.time_ns()) < 10 * NS_PER_SECOND

    def test_monotonic_and_boot_time_go_on(self) -> None:
        clock = SystemClock()
        before = clock.monotonic(), clock.boottime()
        assert clock.monotonic() >= before[0]
        assert clock.boottime() >= before[1]
        assert clock.boottime() >= clock.monotonic() - 1, "sleep is counted too"

    def test_where_there_is_no_boot_time_it_follows_the_wall_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
        assert abs(SystemClock().boottime() - time.time()) < 10

    def test_a_wait_ends_with_its_event_or_its_time(self) -> None:
        clock, event = SystemClock(), threading.Event()
        assert not clock.wait(event, 0.01)
        assert not clock.wait(event, -5)
        timer = threading.Timer(0.02, event.set)
        timer.start()
        assert clock.wait(event, 10)
        timer.join()


class TestTheFake:
    def test_it_stands_still_until_somebody_waits(self) -> None:
        clock: Clock = FakeClock(start_ns=1_000_000_000)
        assert (clock.now_ns(), clock.monotonic()) == (1_000_000_000, 1000.0)
        assert not clock.wait(threading.Event(), 2.5)
        assert (clock.now_ns(), clock.monotonic(), clock.boottime()) == (3_500_000_000, 1002.5, 1002.5)

    def test_a_set_event_takes_no_time(self) -> None:
        clock, event = FakeClock(), threading.Event()
        event.set()
        assert clock.wait(event, 100)
        assert clock.monotonic() == 1000
        assert clock.waits == []

    def test_it_remembers_what_was_waited_for(self) -> None:
        clock = FakeClock()
        clock.wait(threading.Event(), 1)
        clock.wait(threading.Event(), -1)
        assert clock.waits == [1, -1]
        assert clock.monotonic() == 1001

    def test_in_its_sleep_only_the_monotonic_clock_stands_still(self) -> None:
        clock = FakeClock(start_ns=0)
        clock.suspend(60)
        clock.advance(1)
        assert (clock.now_ns(), clock.monotonic(), clock.boottime()) == (61 * NS_PER_SECOND, 1001, 1061)
