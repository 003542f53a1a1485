"""A capture that is killed and started again: nothing twice, no hole without its gap, no file that cannot be read.

`TICKSTREAM_TEST_KILLS=200` kills it more often than the usual few times.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.capturing import Folder, assert_holes_are_gaps, capture, minutes
from tests.end_to_end.watching import Process, Server, assert_exit, eventually, serve
from tickstream.errors import ExitCode

SYMBOLS = ("BTCUSD", "EURUSD")
KILLS = int(os.environ.get("TICKSTREAM_TEST_KILLS", "2"))


def bytes_in(base: Path) -> int:
    return sum(path.stat().st_size for path in base.rglob("*.jsonl*") if path.name != "manifest.jsonl")


def wait_for_growth(process: Process, base: Path, before: int) -> None:
    """Wait until the run has written data of its own."""

    def grown() -> bool:
        assert process.popen.poll() is None, process.wait().err
        return bytes_in(base) > before

    eventually(grown, "data of this run")


def assert_all_of_it_is_there(server: Server, folder: Folder) -> None:
    """Every push that was sent is in the files once, or in a hole that has its gap."""
    for symbol in SYMBOLS:
        events = folder.events(symbol)
        got = minutes(events)
        missing = assert_holes_are_gaps(events)
        sent = {minute for one, minute in server.sent if one == symbol}
        assert got <= sent
        assert len([event for event in events if event["type"] == "bar"]) == len(got), "each once"
        between = {minute for minute in sent if min(got) <= minute <= max(got)}
        assert len(between - got) <= missing, "what was sent while no run was there is more than that"


@pytest.mark.timeout(60 + 5 * KILLS)
@pytest.mark.parametrize("args", [(), ("--compress", "gzip"), ("--rotate", "20kB")], ids=["plain", "gzip", "rotated"])
def test_kill_9_at_any_moment_costs_nothing_that_is_not_told(tmp_path: Path, args: tuple[str, ...]) -> None:
    rng = random.Random(repr(args))
    with serve(market_hours="ignore") as server:
        for _ in range(KILLS):
            before = bytes_in(tmp_path)
            with capture(server, tmp_path, *SYMBOLS, "--fsync-interval", "50ms", *args) as process:
                if rng.random() < 0.8:
                    wait_for_growth(process, tmp_path, before)
                time.sleep(rng.random() * 0.2)
                process.signal(signal.SIGKILL)
                process.wait()
        before = bytes_in(tmp_path)
        with capture(server, tmp_path, *SYMBOLS, *args) as process:
            wait_for_growth(process, tmp_path, before)
            assert_exit(process.stop(), ExitCode.SIGTERM)
        folder = Folder(tmp_path)
        folder.check()
        assert_all_of_it_is_there(server, folder)
    assert len(folder.entries("run")) <= KILLS + 1
    gaps = [gap for gap in folder.entries("gap") if gap["reason"] == "restart"]
    assert {symbol for gap in gaps for symbol in gap["symbols"]} == set(SYMBOLS)


def test_a_terminated_run_at_any_moment_leaves_complete_files(tmp_path: Path) -> None:
    rng = random.Random(11)
    with serve(market_hours="ignore") as server:
        for number in range(KILLS):
            begun = 0
            with capture(server, tmp_path, *SYMBOLS, "--compress", "gzip") as process:
                if number % 2:
                    begun = bytes_in(tmp_path)
                    wait_for_growth(process, tmp_path, begun)
                time.sleep(rng.random() * 0.5)
                process.signal(signal.SIGTERM)
                result = process.wait()
            if (tmp_path / "manifest.jsonl").exists():
                folder = Folder(tmp_path)
                if result.code == ExitCode.SIGTERM:  # before that, Python itself was not ready for signals
                    folder.check()
        assert_all_of_it_is_there(server, Folder(tmp_path))
