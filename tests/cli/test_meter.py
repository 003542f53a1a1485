"""The line that tells how far a long reading is."""

from __future__ import annotations

import io
from dataclasses import replace

from tickstream.cli.environment import Environment
from tickstream.cli.meter import Meter
from tickstream.clock import FakeClock


def environment(clock: FakeClock, *, isatty: bool = True) -> tuple[Environment, io.StringIO]:
    err = io.StringIO()
    env = Environment(stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=err, env={}, clock=clock, stderr_isatty=isatty)
    return env, err


def test_it_says_how_much_and_how_fast_and_leaves_nothing_behind() -> None:
    clock = FakeClock()
    env, err = environment(clock)
    meter = Meter(env, "verifying")
    clock.advance(2)
    meter(40_000_000, 100_000_000)
    assert err.getvalue() == "\rverifying: 40 %, 40.0 MB, 20.0 MB/s\x1b[K"
    meter.clear()
    meter.clear()
    assert err.getvalue().endswith("\r\x1b[K")
    assert err.getvalue().count("\x1b[K") == 2


def test_what_is_short_is_not_told_and_what_is_long_not_too_often() -> None:
    clock = FakeClock()
    env, err = environment(clock)
    meter = Meter(env, "verifying")
    meter(1, 2)
    meter.clear()
    assert err.getvalue() == ""
    clock.advance(2)
    for _ in range(10):
        meter(1, 2)
        clock.advance(0.05)
    assert err.getvalue().count("\r") == 3


def test_of_a_pipe_nobody_knows_the_whole() -> None:
    clock = FakeClock()
    env, err = environment(clock)
    meter = Meter(env, "verifying")
    clock.advance(1)
    meter(1000, 0)
    assert err.getvalue().startswith("\rverifying: 1.0 kB, ")


def test_where_stderr_is_no_terminal_nothing_is_said() -> None:
    clock = FakeClock()
    env, err = environment(clock, isatty=False)
    meter = Meter(env, "verifying")
    clock.advance(5)
    meter(1, 2)
    assert err.getvalue() == ""


def test_a_stderr_that_is_gone_does_not_matter() -> None:
    clock = FakeClock()
    env, err = environment(clock)
    meter = Meter(replace(env), "verifying")
    clock.advance(5)
    err.close()
    meter(1, 2)
