"""Captures that are read back: memory does not grow with their size. Of Linux, whose rusage counts in KiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture.planned import MINUTE, SUNDAY, WALL, bar
from tests.end_to_end.watching import COMMAND
from tickstream.events import Event
from tickstream.sinks.encoders import JsonEncoder

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is KiB on Linux only")

SMALL, LARGE = 5_000, 100_000
GROWTH_KIB = 6_000
"""What may differ between files of 1 MB and of 25 MB: chunks that are larger by chance, caches that are full."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Bars of two symbols in one file, a hole in a hundred minutes."""
    encode = JsonEncoder(None, "iso", False).encode
    made = {}
    for count in (SMALL, LARGE):
        events: list[Event] = [
            bar(symbol, SUNDAY + at * MINUTE, WALL + at * 10**6)
            for at in range(count // 2)
            if at % 100
            for symbol in ("BTCUSD", "ETHUSD")
        ]
        made[count] = tmp_path_factory.mktemp("large") / f"{count}.jsonl"
        made[count].write_bytes(encode(events))
    return made


def peak_kib(*args: str) -> int:
    """The most memory that a command had in use."""
    process = subprocess.Popen((*COMMAND, *args), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 15)
    return usage.ru_maxrss


@pytest.mark.parametrize("command", [("verify", "-q"), ("replay", "-q", "--speed", "max", "-o", "jsonl")])
def test_memory_does_not_grow_with_the_file(files: dict[int, Path], command: tuple[str, ...]) -> None:
    small, large = (peak_kib(*command, str(files[count])) for count in (SMALL, LARGE))
    assert files[LARGE].stat().st_size > 18 * files[SMALL].stat().st_size
    assert large - small < GROWTH_KIB, f"{small} KiB for the small file, {large} KiB for the large one"
