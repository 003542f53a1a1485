"""Each exit code that `watch` can end with, brought about by what it stands for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.watching import FAST, Thread, assert_exit, serve
from tests.faults.raw import RawServer, closed_port
from tickstream.capture.lock import TargetLock
from tickstream.clock import SystemClock
from tickstream.errors import ExitCode
from tickstream.timestamps import Timestamp


class Case(NamedTuple):
    """What to ask of a simulator, how to watch it, and how that ends; `said` is on stderr, `auths` were sent."""

    code: ExitCode
    faults: tuple[str, ...] = ()
    args: tuple[str, ...] = ("EURUSD",)
    said: str = ""
    auths: int | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    speed: float = FAST


CASES = {
    "the count is reached": Case(ExitCode.OK, args=("EURUSD", "--count", "3")),
    "the duration is over": Case(ExitCode.OK, args=("EURUSD", "--duration", "3s")),
    "there was one of each": Case(ExitCode.OK, args=("EURUSD", "XAUUSD", "--once")),
    "an option does not exist": Case(ExitCode.USAGE, args=("EURUSD", "--counts", "3"), auths=0),
    "a symbol is malformed": Case(ExitCode.USAGE, args=("EURUS/D",), said="Did you mean EURUSD?", auths=0),
    "there are more connections than allowed": Case(
        ExitCode.USAGE, args=("EURUSD", "XAUUSD", "USDJPY", "--connections", "3"), said="allows 1 to 2", auths=0
    ),
    "the key file is missing": Case(ExitCode.CONFIG, args=("EURUSD", "--key-file", "/nonexistent/key"), auths=0),
    "invalid_key": Case(ExitCode.INVALID_KEY, ("invalid-key",), said="invalid_key", auths=1),
    "http 401": Case(ExitCode.INVALID_KEY, ("http-401",), said="401", auths=0),
    "forbidden": Case(ExitCode.FORBIDDEN, ("forbidden",), said="forbidden", auths=1),
    "http 403": Case(ExitCode.FORBIDDEN, ("http-403",), said="403", auths=0),
    "a plan without streaming": Case(ExitCode.FORBIDDEN, said="forbidden", auths=1, options={"plan": "free"}),
    "close 1008 before any data": Case(ExitCode.FORBIDDEN, ("close-1008@auth",), said="1008"),
    "connection_limit": Case(
        ExitCode.CONNECTION_LIMIT, ("connection-limit",), ("EURUSD", "--hold-max", "1s"), said="--hold-max", auths=1
    ),
    "quota_exceeded with --exit-on-quota": Case(
        ExitCode.QUOTA, ("quota-exceeded@3",), ("EURUSD", "--exit-on-quota"), said="quota_exceeded", auths=1
    ),
    "--max-credits": Case(ExitCode.QUOTA, args=("EURUSD", "--max-credits", "12"), said="--max-credits 12", auths=1),
    "auth_timeout three times": Case(ExitCode.AUTH_TIMEOUT, ("auth-timeout",), said="3 times", auths=3),
    "the only symbol is refused": Case(ExitCode.REFUSED, ("invalid-symbol",), said="refused every symbol"),
    "all symbols are over the limit": Case(ExitCode.REFUSED, ("symbol-limit",), ("EURUSD", "XAUUSD"), said="limit"),
    "one symbol is refused under --strict": Case(
        ExitCode.REFUSED, ("invalid-symbol",), ("EURUSD", "XAUUSD", "--strict", "--count", "3"), said="Refused: EURUSD"
    ),
    "retries used up": Case(ExitCode.NETWORK, ("reset@connect",), ("EURUSD", "--retries", "1"), said="--retries 1"),
    "out of time for retries": Case(
        ExitCode.NETWORK, ("drop@auth",), ("EURUSD", "--retry-for", "100ms"), said="(--retry-for)"
    ),
    "http 404": Case(ExitCode.NETWORK, ("http-404",), said="404", auths=0),
    "http 500 and no retries": Case(ExitCode.NETWORK, ("http-500",), ("EURUSD", "--retries", "0"), said="500", auths=0),
    "a redirect": Case(ExitCode.TLS, ("http-301",), said="redirect", auths=0),
    "frames that RFC 6455 does not allow": Case(
        ExitCode.PROTOCOL, ("rsv@1",), ("EURUSD", "--retries", "0"), said="reserved"
    ),
    "no data within --idle-timeout": Case(
        ExitCode.NO_DATA, ("no-data",), ("EURUSD", "--idle-timeout", "300ms"), said="--idle-timeout", auths=1
    ),
    "no data at all": Case(
        ExitCode.NO_DATA, ("no-data",), ("EURUSD", "--duration", "300ms"), said="without a single event", auths=1
    ),
    "a gap under --strict": Case(
        ExitCode.INCOMPLETE, ("drop@3x1",), ("EURUSD", "--strict", "--count", "6"), said="Incomplete: 1 gap"
    ),
    "http 429 and no retries": Case(
        ExitCode.RATE_LIMITED, ("http-429",), ("EURUSD", "--retries", "0"), said="429", auths=0
    ),
    "close 1013 and no retries": Case(ExitCode.RATE_LIMITED, ("close-1013@3",), ("EURUSD", "--retries", "0")),
}


@pytest.mark.parametrize("why", CASES)
def test_watch_ends_with_the_code_of_what_happened(why: str) -> None:
    case = CASES[why]
    with serve(*case.faults, speed=case.speed, **case.options) as server:
        result = server.watched_here(*case.args)
        assert_exit(result, case.code)
        assert case.said in result.err
        if case.auths is not None:
            assert server.simulator.auth_frames == case.auths
        assert server.simulator.redirected == 0


SPECIAL: dict[ExitCode, Callable[..., None]] = {}
"""The codes for which a simulator is not enough -> their tests."""


def special(*codes: ExitCode) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def note(test: Callable[..., None]) -> Callable[..., None]:
        SPECIAL.update(dict.fromkeys(codes, test))
        return test

    return note


class Faulty(SystemClock):
    """A clock with a bug that shows once data has come."""

    def __init__(self) -> None:
        self.calls = 0

    def now_ns(self) -> Timestamp:
        self.calls += 1
        if self.calls > 10:
            raise RuntimeError("the clock is broken")
        return super().now_ns()


@special(ExitCode.BUG)
def test_a_bug_is_reported_in_two_lines_and_is_1() -> None:
    with serve() as server:
        result = server.watched_here("EURUSD", clock=Faulty())
    assert_exit(result, ExitCode.BUG)
    assert "tickstream: internal error: RuntimeError: the clock is broken\nThis is a bug" in result.err


@special(ExitCode.CONFIG)
def test_without_a_key_nobody_is_called_and_it_is_3() -> None:
    result = Thread("watch", "EURUSD").wait()
    assert_exit(result, ExitCode.CONFIG)
    assert "TICKATLAS_API_KEY" in result.err


@special(ExitCode.NETWORK)
def test_a_port_where_nobody_listens_is_10() -> None:
    result = Thread("watch", "EURUSD", "--url", f"ws://127.0.0.1:{closed_port()}/ws", "--retries", "1").wait()
    assert_exit(result, ExitCode.NETWORK)
    assert "refused" in result.err


@special(ExitCode.TLS)
def test_a_certificate_that_nobody_vouches_for_is_11_after_one_attempt() -> None:
    with serve(tls=True) as server:
        result = server.watched_here("EURUSD")
        assert_exit(result, ExitCode.TLS)
        assert server.simulator.connections == 1
        assert server.simulator.auth_frames == 0
        trusting = server.watched_here("EURUSD", "--count", "2", "--ca-file", str(server.simulator.ca_file))
        assert_exit(trusting, ExitCode.OK)


def test_a_key_for_another_machine_in_clear_text_is_11() -> None:
    result = Thread("watch", "EURUSD", "--url", "ws://192.0.2.1/ws", env={"TICKATLAS_API_KEY": "k" * 20}).wait()
    assert_exit(result, ExitCode.TLS)
    assert "Plain ws:// is accepted for this machine only" in result.err


@special(ExitCode.PROTOCOL)
def test_a_server_that_sends_garbage_is_12() -> None:
    def garbage(peer: Any) -> None:
        peer.accept(then=os.urandom(16).replace(b"\x81", b"\xff"))
        peer.until_gone()

    with RawServer(garbage) as server:
        result = Thread("watch", "EURUSD", "--url", server.url, "--retries", "0").wait()
    assert_exit(result, ExitCode.PROTOCOL)


@special(ExitCode.OUTPUT)
@pytest.mark.parametrize("output", ["jsonl", "csv", "raw", "line"])
def test_a_full_disk_is_14(output: str) -> None:
    with Path("/dev/full").open("wb") as full, serve() as server:
        result = server.watched("EURUSD", "-o", output, out_fd=full.fileno())
    assert_exit(result, ExitCode.OUTPUT)
    assert "the disk is full" in result.err


@special(ExitCode.SIGINT, ExitCode.SIGTERM, ExitCode.SIGHUP)
def test_signals_end_it_with_128_and_their_number() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with serve() as server, server.watch("EURUSD") as process:
            process.wait_for_lines(2)
            process.signal(number)
            assert_exit(process.wait(), ExitCode(128 + number))


@special(ExitCode.LOCKED)
def test_a_folder_that_another_run_captures_to_is_17(tmp_path: Path) -> None:
    with TargetLock(tmp_path, SystemClock(), ["somebody", "else"]), serve() as server:
        result = Thread("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path)).wait()
        assert_exit(result, ExitCode.LOCKED)
        assert server.simulator.connections == 0
    assert f"another run writes to {tmp_path}: pid {os.getpid()}, since 20" in result.err


def test_every_exit_code_has_its_test() -> None:
    tested = {case.code for case in CASES.values()} | SPECIAL.keys()
    assert tested == set(ExitCode)
