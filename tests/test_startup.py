"""Start-up: as a multiple of the time that Python itself takes, and what must not be imported for it.

The bounds hold on a quiet machine (8 times `python -c pass`, 16 times for a help text). Here they are half as much
again, since other processes disturb; the figures are printed at the end of the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

ROUNDS = 9
NOISE = 1.5
QUICK, HELP = 8, 16

TAB = {"_TICKSTREAM_COMPLETE": "complete_bash", "COMP_WORDS": "tickstream\ncredits\n--plan\n", "COMP_CWORD": "3"}

WAYS: dict[str, tuple[list[str], dict[str, str], int]] = {
    "--version": (["--version"], {}, QUICK),
    "credits -o json": (["credits", "--plan", "pro", "--symbols", "20", "-o", "json"], {}, QUICK),
    "completion of a plan": ([], TAB, QUICK),
    "--help": (["--help"], {}, HELP),
    "watch --help": (["watch", "--help"], {}, HELP),
}

OPTIONAL = ("rich", "websocket", "ssl", "pydantic", "tickstream.simulator", "tickstream.session")


def environment(more: dict[str, str]) -> dict[str, str]:
    """Without coverage, which would be measured too."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | more


def seconds(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=env, capture_output=True, check=True)
    return time.perf_counter() - began


@pytest.mark.parametrize("way", WAYS)
def test_start_up_takes_a_small_multiple_of_what_python_takes(way: str, figure: Callable[[str], None]) -> None:
    arguments, more, bound = WAYS[way]
    nothing, ours = [sys.executable, "-c", "pass"], [sys.executable, "-m", "tickstream", *arguments]
    env = environment(more)
    seconds(ours, env)  # compiles
    # Side by side, and the best of each: what disturbs one round does not disturb all.
    rounds = [(seconds(nothing, env), seconds(ours, env)) for _ in range(ROUNDS)]
    least, most = min(one for one, _ in rounds), min(one for _, one in rounds)
    figure(f"start-up of {way}: {most * 1000:.0f} ms, {most / least:.1f}x python -c pass (bound {bound}x)")
    assert most / least <= bound * NOISE


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_imported_that_is_not_needed(way: str) -> None:
    arguments, more, _ = WAYS[way]
    code = f"import sys; from tickstream.cli.app import main; main({arguments!r}); print(*sys.modules, file=sys.stderr)"
    python = [sys.executable, "-c", code]
    done = subprocess.run(python, env=environment(more), capture_output=True, text=True, check=True)
    assert not set(OPTIONAL) & set(done.stderr.split())
