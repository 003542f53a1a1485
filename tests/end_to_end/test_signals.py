"""Signals: a clean end whenever they come, and an end at once when they come twice."""

from __future__ import annotations

import contextlib
import fcntl
import random
import signal
import struct
import subprocess
import termios
import time

import pytest

from tests.end_to_end.watching import DEADLINE_S, Process, Server, assert_exit, event_of, eventually, serve
from tests.faults.raw import closed_port
from tickstream.errors import ExitCode

AT_ONCE_S = 1.0
PAGE = 4096
BEHIND = 3000
"""Minutes that fill a pipe several times over."""


def fill_the_pipe(server: Server, process: Process) -> None:
    """Let the market jump until nothing more goes into the pipe that nobody reads."""
    server.wait_for(lambda: any(client.symbols for client in server.simulator.clients), "a subscription")
    server.simulator.skip(BEHIND)
    eventually(lambda: is_full(process), "a full pipe")


def is_full(process: Process) -> bool:
    """Nobody reads its standard output, and nothing more goes in, but perhaps into the last pages."""
    return waiting_in(process) > fcntl.fcntl(process.out.fd, fcntl.F_GETPIPE_SZ) - 2 * PAGE


def waiting_in(process: Process) -> int:
    """Bytes in its standard output that nobody has read."""
    buffer = fcntl.ioctl(process.out.fd, termios.FIONREAD, b"\0" * 4)
    return int(struct.unpack("i", buffer)[0])


def ends_within(process: Process, seconds: float) -> int:
    """Its exit code; fails when it is not there in time."""
    begun = time.monotonic()
    try:
        code = process.popen.wait(seconds + DEADLINE_S)
    finally:
        taken = time.monotonic() - begun
    assert taken < seconds, f"it took {taken:.2f} s"
    return code


@pytest.mark.parametrize("seed", range(5))
def test_at_any_moment_a_signal_ends_the_run_cleanly(seed: int) -> None:
    rng = random.Random(seed)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serve()) for _ in range(4)]
        watching = [stack.enter_context(server.watch("EURUSD", "BTCUSD")) for server in servers]
        for server, process in zip(servers, watching, strict=True):
            number = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
            server.wait_for(lambda: server.simulator.connections > 0, "a connection")  # noqa: B023 - waits here
            time.sleep(rng.expovariate(10))  # not for anything: it is the moment that is random
            process.signal(number)
            result = assert_exit(process.wait(), ExitCode(128 + number))
            assert all(event_of(line)["type"] == "bar" for line in result.lines)
            assert "summary: " in result.err
            assert f"{len(result.lines)} events" in result.err
            server.wait_for(lambda: not server.simulator.clients, "its end")  # noqa: B023
            if any("authenticated" in line for line in server.log):
                server.wait_logged("#1 closed by the client, 1000")


def test_a_second_signal_ends_the_run_at_once_though_nobody_reads_its_output() -> None:
    with serve() as server, server.watch("EURUSD", "--drain", "1h", hold=True) as process:
        fill_the_pipe(server, process)
        process.signal(signal.SIGTERM)
        server.wait_logged("closed by the client, 1000")
        with pytest.raises(subprocess.TimeoutExpired):  # the first one waits for the reader
            process.popen.wait(0.3)
        process.signal(signal.SIGTERM)
        assert ends_within(process, AT_ONCE_S) == ExitCode.SIGTERM


def test_a_signal_ends_the_run_within_the_drain_though_nobody_reads_its_output() -> None:
    with serve() as server, server.watch("EURUSD", "--drain", "500ms", "--log-format", "json", hold=True) as process:
        fill_the_pipe(server, process)
        process.signal(signal.SIGTERM)
        assert ends_within(process, 0.5 + 0.3 + AT_ONCE_S) == ExitCode.SIGTERM
        result = process.wait()
    whole = result.out.count(b"\n")
    summary = result.summary
    assert int(summary["written"]) == whole
    assert whole + int(summary["dropped"]) == int(summary["events"]) > 0


def test_what_was_received_is_written_when_the_reader_comes_back_during_the_drain() -> None:
    with serve() as server, server.watch("EURUSD", "--log-format", "json", hold=True) as process:
        fill_the_pipe(server, process)
        process.signal(signal.SIGTERM)
        server.wait_logged("closed by the client, 1000")
        process.read_on()
        result = assert_exit(process.wait(), ExitCode.SIGTERM)
    assert len(result.lines) == int(result.summary["events"]) == int(result.summary["written"]) > 0
    assert int(result.summary["dropped"]) == 0


WAITS = {
    "in the upgrade": (("silent-handshake",), "fault: silent-handshake", ""),
    "for the answer to the authentication": (("no-auth-reply",), "fault: no-auth-reply", ""),
    "to reconnect": (("reset@auth",), "", "next attempt in"),
    "for a free connection": (("connection-limit",), "", "holding: "),
    "for data": (("no-data",), "", "live"),
    "for the quota": (("quota-exceeded",), "", "quota_exceeded"),
}


def test_a_signal_ends_every_kind_of_waiting_at_once() -> None:
    with contextlib.ExitStack() as stack:
        runs = {}
        for what, (faults, _, _) in WAITS.items():
            server = stack.enter_context(serve(*faults))
            runs[what] = server, stack.enter_context(server.watch("EURUSD"))
        for what, (server, process) in runs.items():
            _, logged, said = WAITS[what]
            if logged:
                server.wait_logged(logged)
            else:
                process.wait_said(said)
            process.signal(signal.SIGTERM)
            assert ends_within(process, AT_ONCE_S) == ExitCode.SIGTERM, what
            assert_exit(process.wait(), ExitCode.SIGTERM)


def test_a_signal_ends_the_waiting_for_a_host_that_is_not_there() -> None:
    with Process("watch", "EURUSD", "--url", f"ws://127.0.0.1:{closed_port()}/ws") as process:
        process.wait_said("next attempt in")
        process.signal(signal.SIGINT)
        assert ends_within(process, AT_ONCE_S) == ExitCode.SIGINT


def test_what_nohup_ignores_stays_ignored() -> None:
    script = 'trap "" HUP; exec $tickstream "$@"'
    with serve() as server, Process("-", "watch", "EURUSD", "--url", server.url, shell=script) as process:
        process.wait_for_lines(1)
        process.signal(signal.SIGHUP)
        process.wait_for_lines(10)
        assert_exit(process.stop(), ExitCode.SIGTERM)
