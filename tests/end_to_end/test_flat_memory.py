"""Captures that are read back: memory does not grow with their size. Of Linux, whose kernel tells the most it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture.planned import MINUTE, SUNDAY, WALL, bar
from tickstream.events import Event
from tickstream.sinks.encoders import JsonEncoder

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")

MEASURED = """
import sys
from tickstream.cli.app import main
code = main(sys.argv[1:])
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0], file=sys.stderr)
sys.exit(code)
"""
"""The command, and the most memory that it had in use, KiB. (Rusage would count what the parent had when it forked.)"""

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
    done = subprocess.run(
        (sys.executable, "-c", MEASURED, *args), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode in (0, 15), done.stderr
    return int(done.stderr.split()[-1])


@pytest.mark.parametrize("command", [("verify", "-q"), ("replay", "-q", "--speed", "max", "-o", "jsonl")])
def test_memory_does_not_grow_with_the_file(files: dict[int, Path], command: tuple[str, ...]) -> None:
    small, large = (peak_kib(*command, str(files[count])) for count in (SMALL, LARGE))
    assert files[LARGE].stat().st_size > 18 * files[SMALL].stat().st_size
    assert large - small < GROWTH_KIB, f"{small} KiB for the small file, {large} KiB for the large one"
