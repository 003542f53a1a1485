"""Start-up is fast, measured against the interpreter's own, and imports nothing that it does not need."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

HEAVY = ("rich", "websocket", "ssl", "logging", "http", "asyncio", "pydantic", "sqlite3", "email", "tomllib")
COMPLETE = {"_TICKSTREAM_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "tickstream credits --plan "}
ROUNDS = 11


def python(*argv: str, **env: str) -> float:
    """Seconds that it takes."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *argv], env=_environ() | env, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def _environ() -> dict[str, str]:
    """Without coverage, which would be what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


@pytest.mark.parametrize(
    ("argv", "env", "most"),
    [
        (["--version"], {}, 12),
        (["credits", "-p", "pro", "-n", "20", "-o", "json"], {}, 12),
        ([], COMPLETE, 12),
        (["--help"], {}, 20),
    ],
    ids=["version", "credits", "completion", "help"],
)
def test_it_starts_within_a_small_multiple_of_the_interpreter(argv, env, most, figure: Callable[[str], None]):
    """The aim is 8, and 16 for --help; the bounds are wider for machines on which much else runs."""
    python("-m", "tickstream", *argv, **env)  # so that all is compiled
    ratios, bare = [], []
    for _ in range(ROUNDS):  # in turn, so that a busy machine is busy for both
        bare.append(python("-c", "pass"))
        ratios.append(python("-m", "tickstream", *argv, **env))
    ratio = statistics.median(ratios) / statistics.median(bare)
    what, bare_ms = " ".join(argv) or "completion of a plan", statistics.median(bare) * 1000
    figure(f"start-up of {what}: {ratio:.1f} x the {bare_ms:.1f} ms of `python -c pass`")
    assert ratio <= most


@pytest.mark.parametrize(
    ("argv", "env"),
    [(["--version"], {}), (["--help"], {}), (["credits", "-n", "5", "-o", "json"], {}), (["credits", "-n", "5"], {}),
     (["exit-codes"], {}), (["config", "show"], {}), ([], COMPLETE)],
)  # fmt: skip
def test_nothing_optional_is_imported(argv, env):
    """`explain` is not among them: Python reads what packages elsewhere declare with `email`."""
    code = f"import sys; from tickstream.cli.app import main; main({argv!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environ() | env, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded & set(HEAVY) == set()
    assert "tickstream" in loaded
