"""A capture that somebody watches, and one that waits for the market."""

from __future__ import annotations

import time
from pathlib import Path

from tests.end_to_end.capturing import Folder
from tests.end_to_end.terminals import CTRL_C, Terminal, assert_harmless
from tests.end_to_end.watching import Thread, assert_exit, serve
from tickstream.clock import SystemClock
from tickstream.errors import ExitCode
from tickstream.timestamps import Timestamp, parse_rfc3339

SUNDAY_OPEN = parse_rfc3339("2026-06-28T21:00:00Z")
FRIDAY_CLOSE = parse_rfc3339("2026-06-26T21:00:00Z")


class Moved(SystemClock):
    """A wall clock that shows another time, and runs fast."""

    def __init__(self, start_ns: int, speed: float) -> None:
        self._start_ns, self._speed, self._begun = start_ns, speed, time.monotonic_ns()

    def now_ns(self) -> Timestamp:
        return Timestamp(self._start_ns + round((time.monotonic_ns() - self._begun) * self._speed))


def test_on_a_terminal_a_line_tells_how_it_goes_and_goes_away_for_what_is_said(tmp_path: Path) -> None:
    with serve("drop@40x1") as server:
        args = ("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path))
        with Terminal(*args, columns=100) as terminal:
            terminal.wait_shown(b"\rlive: up  ")
            terminal.wait_shown(b"gap (disconnect)")
            terminal.wait_shown(b"  1 gap")
            terminal.press(CTRL_C)
            result = terminal.wait()
    assert result.code == ExitCode.SIGINT
    assert_harmless(result.out)
    lines = result.out.replace(b"\r\n", b"\n").split(b"\n")
    spoken = [line.rpartition(b"\x1b[K")[2] for line in lines]
    assert any(line.startswith(b"tickstream: summary: ") for line in spoken), "on a line of its own"
    assert max(len(line) for line in result.out.split(b"\r") if line.startswith(b"live: ")) <= 100 + len(b"\x1b[K")


def test_closing_the_terminal_ends_it_with_complete_files(tmp_path: Path) -> None:
    with serve() as server:
        terminal = Terminal("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path))
        with terminal:
            terminal.wait_shown(b"\rlive: up  ")
            terminal.popen.send_signal(1)
            assert terminal.wait().code == ExitCode.SIGHUP
    Folder(tmp_path).check()


def test_within_market_hours_it_waits_for_the_open_without_a_connection(tmp_path: Path) -> None:
    with serve() as server:
        clock = Moved(SUNDAY_OPEN - 20 * 10**9, 20.0)  # it connects 10 s before the open, half a second from now
        args = ("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path), "--market-hours", "--count", "3", "-v")
        running = Thread(*args, clock=clock)
        running.wait_said("the market is closed: waiting for 2026-06-28T21:00:00")
        assert server.simulator.connections == 0
        result = running.wait()
        assert_exit(result, ExitCode.OK)
        assert clock.now_ns() >= SUNDAY_OPEN - 10 * 10**9
    assert len(Folder(tmp_path).events("EURUSD")) == 3


def test_within_market_hours_it_ends_after_the_close(tmp_path: Path) -> None:
    with serve() as server:
        clock = Moved(FRIDAY_CLOSE - 20 * 10**9, 100.0)
        args = ("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path), "--market-hours")
        assert_exit(Thread(*args, clock=clock).wait(), ExitCode.OK)
    assert clock.now_ns() >= FRIDAY_CLOSE + 75 * 10**9
    assert Folder(tmp_path).events("EURUSD")


def test_what_trades_around_the_clock_is_told_to_have_no_hours(tmp_path: Path) -> None:
    with serve() as server:
        args = ("capture", "BTCUSD", "--url", server.url, "--to", str(tmp_path), "--market-hours", "--count", "3")
        result = Thread(*args).wait()
    assert_exit(result, ExitCode.OK)
    assert "around the clock" in result.err
