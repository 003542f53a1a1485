"""A disk that is full while a capture runs: it waits and goes on, or ends, and says so; nothing is half written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.capturing import Folder, assert_holes_are_gaps, capture, captured
from tests.end_to_end.watching import assert_exit, serve
from tests.test_metrics import parsed
from tickstream.errors import ExitCode

SIZE = 256 * 1024
ROOM = 28 * 1024
"""What the run finds free: manifest, lock and a second of data."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_asked_to_end_it_ends_with_14_and_whole_records(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(b"x" * (SIZE - ROOM))
    with serve() as server:
        result = captured(server, small_disk / "data", "EURUSD", "--on-disk-full", "exit")
    assert_exit(result, ExitCode.OUTPUT)
    assert "the disk is full" in result.err
    assert "dropped" in result.err
    (small_disk / "ballast").unlink()
    with serve() as server:
        assert_exit(captured(server, small_disk / "data", "EURUSD", "--count", "3"), ExitCode.OK)
    folder = Folder(small_disk / "data")
    folder.check()
    assert len(folder.events("EURUSD")) > 10


def test_otherwise_it_waits_and_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    ballast, metrics = small_disk / "ballast", tmp_path / "full.prom"
    ballast.write_bytes(b"x" * (SIZE - ROOM))
    with serve() as server, capture(server, small_disk / "data", "EURUSD", "--metrics-file", str(metrics)) as process:
        process.wait_said("the disk is full; trying again")
        ballast.unlink()
        process.wait_said("disk_writable")
        shown = parsed(metrics.read_text())
        assert "tickstream_paused" in shown
        result = process.stop()
        sent = {minute for _, minute in server.sent}
    assert_exit(result, ExitCode.SIGTERM)
    folder = Folder(small_disk / "data")
    folder.check()
    events = folder.events("EURUSD")
    assert assert_holes_are_gaps(events) == 0, "what came meanwhile waited in memory"
    got = {event["ts_event"] for event in events}
    assert {minute for minute in sent if minute <= max(got)} == got
    codes = [notice["code"] for notice in folder.entries("notice")]
    assert [code for code in codes if code.startswith("disk")] == ["disk_full", "disk_writable"]
