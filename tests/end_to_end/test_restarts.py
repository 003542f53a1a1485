"""Interruptions: what was sent while we were connected is in the output once, and every interval between is a gap.

`TICKSTREAM_TEST_RESTARTS=10` restarts the simulator more often than the usual five times.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.end_to_end.watching import (
    MONDAY_NS,
    Event,
    Process,
    Result,
    Server,
    assert_exit,
    assert_gap,
    event_of,
    eventually,
    minutes_of,
    of_type,
    serve,
)
from tickstream.errors import ExitCode
from tickstream.timestamps import Timestamp, parse_rfc3339, rfc3339

SYMBOLS = ("BTCUSD", "EURUSD")
RESTARTS = int(os.environ.get("TICKSTREAM_TEST_RESTARTS", "5"))
MINUTE_NS = 60 * 10**9
PERIOD_NS = 11 * 60 * MINUTE_NS


def minutes_between(before: str, after: str) -> int:
    """Whole minutes that lie between two minutes."""
    return (parse_rfc3339(after) - parse_rfc3339(before)) // MINUTE_NS - 1


def assert_every_interruption_is_a_gap(events: list[Event], reason: str) -> int:
    """Before the first data after each interruption a gap tells what is missing. Returns the count of connections."""
    last: dict[str, Event] = {}
    newest: Event | None = None
    due: dict[str, Event] = {}
    connections = 0
    for position, event in enumerate(events):
        kind = event["type"], event.get("state")
        if kind == ("session", "up"):
            connections += 1
        elif kind == ("session", "down"):
            assert newest is not None
            due = due or dict.fromkeys(SYMBOLS, newest)
        elif event["type"] == "gap":
            missed = 0
            for symbol in event["symbols"]:
                first = next(e for e in events[position:] if e["type"] == "bar" and e["symbol"] == symbol)
                assert_gap(event, reason, event["symbols"], due.pop(symbol), first)
                missed += minutes_between(last[symbol]["ts_event"], first["ts_event"])
            assert int(event["missed"]) == missed, event
        elif event["type"] == "bar":
            assert event["symbol"] not in due, f"data before its gap: {event}"
            last[event["symbol"]] = newest = event
    assert not due
    return connections


class KilledSimulator:
    """`tickstream simulate`, killed without warning; each one begins 11 hours of market time after the one before."""

    def __init__(self, number: int, port: int, folder: Path) -> None:
        self.begin = rfc3339(Timestamp(MONDAY_NS + number * PERIOD_NS))
        self.end = rfc3339(Timestamp(MONDAY_NS + (number + 1) * PERIOD_NS))
        self._journal = folder / f"journal-{number}"
        self._process = Process(
            "simulate", "--port", str(port), "--speed", "3000", "--start", self.begin, "-q",
            "--journal", str(self._journal), "--market-hours", "ignore",
        )  # fmt: skip
        self.url = self._process.wait_for_lines(1)[0]

    def kill(self) -> None:
        """kill -9."""
        self._process.popen.kill()
        self._process.wait()

    def sent(self) -> list[tuple[str, str]]:
        """The pushes in its journal; the last line of that may be cut."""
        whole = self._journal.read_bytes().rpartition(b"\n")[0].splitlines()
        records = [json.loads(line) for line in whole]
        return [(one["symbol"], one["market_time"].replace("Z", ".000000Z")) for one in records]

    def received_by(self, process: Process) -> set[tuple[str, str]]:
        """What a client has of it so far."""
        bars = of_type([event_of(line) for line in process.wait_for_lines(0)], "bar")
        return {one for one in minutes_of(bars) if self.begin <= one[1] < self.end}


@pytest.mark.timeout(60 + 12 * RESTARTS)
def test_a_provider_that_is_killed_again_and_again_costs_nothing_that_was_sent(tmp_path: Path) -> None:
    rng = random.Random(7)
    first = KilledSimulator(0, 0, tmp_path)
    port = int(first.url.split(":")[2].split("/")[0])
    instances = [first]
    with Process("watch", *SYMBOLS, "--url", first.url, "--events") as process:
        try:
            for number in range(1, RESTARTS + 1):
                wait_for_data(process, instances[-1], rng.randrange(2, 40))
                instances[-1].kill()
                instances.append(KilledSimulator(number, port, tmp_path))
            wait_for_data(process, instances[-1], 20)
            result = process.stop()
        finally:
            instances[-1].kill()
    assert_exit(result, ExitCode.SIGTERM)
    assert_all_sent_is_there_once(result, instances)
    assert assert_every_interruption_is_a_gap(result.events, "disconnect") == RESTARTS + 1
    assert int(result.summary["reconnects"]) == RESTARTS
    assert int(result.summary["missed"]) == sum(int(gap["missed"]) for gap in result.gaps)


def wait_for_data(process: Process, instance: KilledSimulator, count: int) -> None:
    eventually(lambda: len(instance.received_by(process)) >= count, f"{count} pushes from {instance.begin} on")


def assert_all_sent_is_there_once(result: Result, instances: list[KilledSimulator]) -> None:
    got = Counter(minutes_of(result.bars))
    assert set(got.values()) == {1}
    for instance in instances:
        sent = instance.sent()
        missing = set(sent) - got.keys()
        if instance is instances[-1]:  # it went on sending while we said goodbye
            missing = {one for one in missing if one[1] < max(minute for _, minute in got)}
        assert not missing
        unknown = {one for one in got if instance.begin <= one[1] < instance.end} - set(sent)
        # Sent in the moment of the kill, and not in the journal any more.
        assert all(minute >= sent[-1][1] for _, minute in unknown), unknown


def wait_for_pushes(server: Server, connection: int) -> None:
    """Wait for data on the connection of this number."""
    server.wait_for(
        lambda: any(one.number == connection and one.pushes > 9 for one in server.simulator.clients), "data"
    )


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_missed_is_what_the_market_did_while_the_connection_was_down(reset: bool) -> None:
    with serve() as server, server.watch(*SYMBOLS, "--events") as process:
        for connection in (1, 2, 3):
            wait_for_pushes(server, connection)
            if connection < 3:
                server.simulator.drop_connections(reset=reset)
        result = process.stop()
        sent = server.sent
    assert_exit(result, ExitCode.SIGTERM)
    got = minutes_of(result.bars)
    assert len(set(got)) == len(got)
    assert set(got) <= set(sent)
    if not reset:  # a reset may destroy what is on its way
        assert set(got) == set(sent)
    missing = sum(
        minutes_between(min(minutes), max(minutes)) + 2 - len(minutes)
        for minutes in ([minute for symbol, minute in got if symbol == wanted] for wanted in SYMBOLS)
    )
    assert missing > 0
    assert int(result.summary["missed"]) == missing
    assert assert_every_interruption_is_a_gap(result.events, "disconnect") == 3


def test_a_gap_without_data_after_it_reaches_to_the_end_of_the_run() -> None:
    with serve() as server, server.watch("EURUSD", "--events") as process:
        process.wait_for_lines(5)
        server.simulator.stop()
        process.wait_for_event(type="session", state="down")
        result = process.stop()
    assert_exit(result, ExitCode.SIGTERM)
    [gap] = result.gaps
    assert_gap(gap, "disconnect", ["EURUSD"], result.bars[-1], None)
    assert "missed" not in gap
    assert gap["to"] <= result.summary["ts_recv"]
    assert gap["to"] > gap["from"]


def test_a_run_that_never_connects_is_one_gap_from_its_start() -> None:
    with serve("reset@connect") as server:
        begun = time.time_ns()
        with server.watch("EURUSD", "--events") as process:
            process.wait_for_event(type="session", state="down")
            result = process.stop()
    [gap] = result.gaps
    assert begun < parse_rfc3339(gap["from"]) < parse_rfc3339(gap["to"])
    assert of_type(result.events, "gap") == [gap]
