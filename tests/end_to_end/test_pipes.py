"""Pipes: readers who leave, readers who are slow, outputs that cannot be written. Nothing is lost uncounted."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from tests.end_to_end.test_signals import fill_the_pipe, is_full
from tests.end_to_end.watching import DEADLINE_S, Event, Process, Server, assert_exit, minutes_of, of_type, run, serve
from tests.faults.raw import Peer, RawServer
from tickstream.errors import ExitCode
from tickstream.session.frames import PING, PONG, encode_frame
from tickstream.simulator.tickatlas import message
from tickstream.timestamps import parse_rfc3339

SLOW = 60.0
"""A minute a second: next to nothing beside what the market jumps."""
JUMP = 60_000
"""Minutes: more than the buffers of the system, the queue and its reserve hold together."""
ENOUGH = 100 * 2**20
"""Bytes of memory in which the interpreter, the queue and its reserve have room."""


# --- readers who leave -----------------------------------------------------------------------------------------------


def test_head_gets_its_lines_and_all_ends_in_silence() -> None:
    script = '$tickstream watch EURUSD -q "$@" | head -5; echo "${PIPESTATUS[@]}"'
    with serve() as server:
        result = run("-", "--url", server.url, shell=script)
    assert len(result.lines) == 6
    assert result.lines[-1] == "0 0"
    assert result.err == ""


def test_a_reader_who_leaves_is_noticed_though_the_market_is_quiet() -> None:
    script = '$tickstream watch EURUSD "$@" | head -5; echo "${PIPESTATUS[@]}"'
    with serve(quota=20) as server:  # 5 pushes
        result = run("-", "--url", server.url, shell=script)
    assert result.lines[-1] == "0 0"
    assert "summary: 5 events" in result.err


@pytest.mark.parametrize("output", ["jsonl", "csv", "raw", "line", "table"])
def test_a_reader_who_never_reads_ends_the_run_with_0(output: str) -> None:
    script = '$tickstream watch EURUSD "$@" | true; echo "${PIPESTATUS[@]}"'
    with serve() as server:
        result = run("-", "--url", server.url, "-o", output, shell=script)
    assert result.lines == ["0 0"]
    assert "error" not in result.err


def test_after_a_signal_a_reader_who_leaves_does_not_change_the_code() -> None:
    with serve() as server, server.watch("EURUSD", "--drain", "1h", hold=True) as process:
        fill_the_pipe(server, process)
        process.popen.terminate()
        server.wait_logged("closed by the client, 1000")
        process.out.leave()
        assert process.popen.wait(20) == ExitCode.SIGTERM


# --- readers who are slow --------------------------------------------------------------------------------------------


def jump(server: Server) -> None:
    """Let the market jump as soon as somebody watches."""
    server.wait_for(lambda: any(client.symbols for client in server.simulator.clients), "a subscription")
    server.simulator.skip(JUMP)


def test_a_slow_reader_blocks_loses_nothing_and_does_not_make_the_feed_idle() -> None:
    args = ("EURUSD", "--count", str(JUMP), "--idle-timeout", "2s")
    with serve(speed=SLOW) as server:
        with server.watch(*args, hold=True) as process:
            jump(server)
            process.wait_said("the reader of the output is slow")
            assert server.simulator.pushes < JUMP  # the provider is held back
            assert process.peak_memory() < ENOUGH
            process.read_on()
            result = assert_exit(process.wait(), ExitCode.OK)
        assert minutes_of(result.bars) == server.sent[:JUMP]
    assert f"summary: {JUMP:,} events" in result.err
    assert " 0 dropped" in result.err


@pytest.mark.parametrize("policy", ["drop-oldest", "conflate"])
def test_what_a_full_queue_drops_is_counted_and_marked(policy: str) -> None:
    args = ("EURUSD", "--on-full", policy, "--events", "--strict", "--count", str(2 * JUMP))
    with serve(speed=SLOW) as server, server.watch(*args, hold=True) as process:
        jump(server)
        server.wait_for(lambda: server.simulator.pushes > JUMP, "all sent, and one more")
        peak = process.peak_memory()
        process.read_on()
        last = server.sent[JUMP][1].encode()
        process.out.wait_for(lambda data: last in data[-100_000:], "the last minute")
        server.simulator.close_connections(1001)
        process.wait_for_event(type="session", state="down")
        result = assert_exit(process.stop(), ExitCode.SIGTERM)
        sent = server.sent
    summary = result.summary
    assert peak < ENOUGH
    assert len(result.bars) == int(summary["written"])
    assert len(result.bars) + int(summary["dropped"]) == int(summary["events"]) == len(sent)
    assert int(summary["dropped"]) > JUMP / 2
    reason = "dropped" if policy == "drop-oldest" else "conflated"
    drops = [gap for gap in result.gaps if gap["reason"] == reason]
    assert sum(int(gap["missed"]) for gap in drops) == int(summary["dropped"])
    assert_drops_are_marked(result.events)


def assert_drops_are_marked(events: list[Event]) -> None:
    """Where minutes of a symbol are missing, a gap stands before the next one."""
    last: dict[str, int] = {}
    marked: set[str] = set()
    for event in events:
        if event["type"] == "gap":
            marked |= set(event["symbols"])
        elif event["type"] == "bar":
            symbol, minute = event["symbol"], parse_rfc3339(event["ts_event"]) // (60 * 10**9)
            assert symbol in marked or minute == last.get(symbol, minute - 1) + 1, event
            marked.discard(symbol)
            last[symbol] = minute


def test_drops_are_incomplete_under_strict() -> None:
    args = ("EURUSD", "--on-full", "drop-oldest", "--strict", "--count", "2000")  # more than a pipe holds
    with serve(speed=SLOW) as server, server.watch(*args, hold=True) as process:
        jump(server)
        server.wait_for(lambda: server.simulator.pushes > JUMP, "all sent, and one more")
        process.read_on()
        result = assert_exit(process.wait(), ExitCode.INCOMPLETE)
    assert "events dropped (--strict)" in result.err


def quotes(count: int) -> list[bytes]:
    prices = dict.fromkeys(("open", "high", "low", "close", "bid", "ask"), 1.5)
    data = {"symbol": "EURUSD", **prices, "volume": 7}
    return [
        message("quote", data=data | {"time": f"2026-06-{1 + n // 1440:02}T{n // 60 % 24:02}:{n % 60:02}:00Z"})
        for n in range(count)
    ]


def feed(then: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A TickAtlas that accepts the first client, and then does this."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_frames()
        peer.send_text(message("authenticated", plan="pro", max_symbols=50, credits_per_push=4))
        peer.read_frames()
        peer.send_text(message("subscribed", symbols=["EURUSD"], total_subscribed=1))
        then(peer)

    return script


def test_pings_are_answered_while_nobody_reads_the_output() -> None:
    answered = threading.Event()

    def more_than_the_queue_holds_then_pings(peer: Peer) -> None:
        for _ in range(2):
            peer.send_text(*quotes(1_500))  # 210 KiB: pipe and queue are full, the reserve is not
        for number in range(10):
            payload = b"%d" % number
            peer.send(encode_frame(PING, payload))
            while not any(c.opcode == PONG and c.payload == payload for c in peer.read_frames().controls):
                pass
        answered.set()
        while peer.read_frames().close is None:
            pass
        peer.send_close()

    with (
        RawServer(feed(more_than_the_queue_holds_then_pings)) as server,
        Process("watch", "EURUSD", "--url", server.url, "--count", "3000", hold=True) as process,
    ):
        assert answered.wait(DEADLINE_S)
        assert is_full(process)
        process.read_on()
        result = assert_exit(process.wait(), ExitCode.OK)
    assert len(result.lines) == 3_000


# --- outputs that cannot be written ----------------------------------------------------------------------------------


def test_a_closed_stdout_is_an_output_that_cannot_be_written() -> None:
    with serve() as server:
        result = run("-", "--url", server.url, shell='$tickstream watch EURUSD "$@" >&-')
    assert_exit(result, ExitCode.OUTPUT)
    assert "it is closed" in result.err


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "2>&- <&-"])
def test_a_stderr_that_takes_nothing_is_ignored(where: str) -> None:
    with serve() as server:
        result = run("-", "--url", server.url, shell=f'$tickstream watch EURUSD --count 3 "$@" {where}')
    assert_exit(result, ExitCode.OK)
    assert len(of_type(result.events, "bar")) == 3


def test_a_stderr_that_nobody_reads_does_not_hold_up_the_data() -> None:
    read, write = os.pipe()
    try:
        os.set_blocking(write, False)
        while True:
            try:
                os.write(write, b"x" * 65536)
            except BlockingIOError:
                break
        os.set_blocking(write, True)
        with serve() as server:
            assert_exit(server.watched("EURUSD", "--count", "100", err_fd=write), ExitCode.OK)
    finally:
        os.close(read)
        os.close(write)
