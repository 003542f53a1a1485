"""`startup`: from the command to the first line of output, and what is imported for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from statistics import median
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.contenders import Contender
from tests.bench.machine import CLIENT_CORE, on_core
from tests.bench.processes import ROOT, Child, Failed
from tests.bench.report import Table, number

NAME = "startup"
WHO = ("usual", "websockets", "picows", "node", "jsonl")
TIMES_A_ROUND = 3
BARE = {"python": [sys.executable, "-c", "pass"], "version": [sys.executable, "-m", "tickstream", "--version"]}
TITLES = {"python": "floor: python -c pass, to its end", "version": "tickstream --version, to its end"}
UNWANTED = ("rich", "pydantic")
"""A `watch` that draws no table does not import these."""
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")


def run(bench: Bench) -> dict[str, Any]:
    """All in turn, several times; the first time does not count: bytecode may have to be made."""
    who = [one for one in bench.contenders if one.name in WHO]
    rounds: list[dict[str, float]] = []
    for _ in range(1 + TIMES_A_ROUND * bench.effort.rounds):
        rounds.append({name: to_the_end(bench, command) for name, command in BARE.items()})
        rounds[-1] |= {one.name: first_line(bench, one) for one in who}
    return {
        "titles": TITLES | {one.name: f"{one.title}: the first line" for one in who},
        "rounds": rounds[1:],
        "imports": imports(bench),
    }


def to_the_end(bench: Bench, command: list[str]) -> float:
    """Milliseconds that a command takes."""
    with Child(command, bench.env) as child:
        return (child.wait().ended_at - child.started_at) * 1000


def first_line(bench: Bench, who: Contender) -> float:
    """Milliseconds up to the first line, of which the server's pause before the first quote is taken off."""
    bench.provider.forget()
    with Child((who.latency or who.command)(bench.provider.url(1), 1), bench.env, stdout=subprocess.PIPE) as child:
        ready = bench.provider.expect("ready", child)
        assert child.process.stdout is not None
        line = os.read(child.process.stdout.fileno(), 65536)
        seconds = time.monotonic() - child.started_at
        begin = bench.provider.expect("begin", child)
        if child.wait().code or not line:
            raise Failed(f"{who.title}: no first line\n{child.said()}")
    paused: float = begin["at"] - ready["at"]
    return (seconds - paused) * 1000


def imports(bench: Bench) -> dict[str, Any]:
    """What `tickstream watch -o jsonl` imports: how long it takes, the most expensive, and what should not be there."""
    who = bench.contender("jsonl")
    if who is None:
        return {}
    bench.provider.forget()
    python, *rest = who.command(bench.provider.url(1), 1)
    with on_core(CLIENT_CORE):
        done = subprocess.run(
            [python, "-X", "importtime", *rest], env=bench.env, cwd=ROOT, capture_output=True, text=True, check=False
        )
    found = [(int(own), int(all_), name) for own, all_, _, name in _IMPORT.findall(done.stderr)]
    packages: dict[str, int] = {}
    for own, _, name in found:
        package = name.partition(".")[0]
        packages[package] = packages.get(package, 0) + own
    return {
        "modules": len(found),
        "ms": round(sum(own for own, _, _ in found) / 1000, 1),
        "dearest_ms": {name: us / 1000 for name, us in sorted(packages.items(), key=lambda one: -one[1])[:12]},
        "unwanted": [name for name in UNWANTED if name in packages],
    }


def figure(results: Results, who: str) -> float | None:
    """The median, milliseconds; None where it was not measured."""
    found = [one[who] for one in results.get(NAME, {}).get("rounds", ()) if who in one]
    return median(found) if found else None


def table(results: Results) -> Table:
    """One row each."""
    bare = figure(results, "python") or 1.0
    rows = [
        [title, number(figure(results, name), 0), number((figure(results, name) or 0) / bare, 1, "x")]
        for name, title in results[NAME]["titles"].items()
    ]
    found = results[NAME]["imports"]
    note = ""
    if found:
        unwanted = ", ".join(found["unwanted"]) or f"neither {' nor '.join(UNWANTED)}"
        modules, ms = found["modules"], found["ms"]
        note = f"`watch -o jsonl` imports {modules} modules ({ms:.0f} ms with -X importtime): {unwanted}."
    return Table("Start-up, milliseconds", ["what", "median", "to `python -c pass`"], rows, note)
