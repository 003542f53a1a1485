"""`latency`: from the server's send to a reader of the output, at 1,000 and at 10,000 messages a second.

Each quote is sent by itself when it is due, with the time of its sending in it; a process behind the output pipe notes
when it comes out. Both on the other core, by the same clock. Python scripts run with -u, since otherwise one would
measure how long 8 KiB take to fill. The floor copies bytes from the socket to the pipe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from statistics import median
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.contenders import Contender
from tests.bench.machine import OTHER_CORE
from tests.bench.processes import Child, Failed
from tests.bench.report import Table, number

NAME = "latency"
RATES = (1_000, 10_000)
SECONDS = 3.0
WHO = ("usual", "picows", "websockets", "node", "jsonl", "raw", "floor", "floor-c")


def run(bench: Bench) -> dict[str, Any]:
    """Rounds in which everyone runs once at each rate."""
    who = [one for one in bench.contenders if one.name in WHO]
    rounds = []
    for count in range(bench.effort.rounds):
        rounds.append({str(rate): {one.name: measure(bench, one, rate) for one in who} for rate in RATES})
        p99 = {rate: {name: got["p99_us"] for name, got in found.items()} for rate, found in rounds[-1].items()}
        bench.say(f"  round {count + 1}, p99 in us: {p99}")
    return {"titles": {one.name: one.title for one in who}, "rounds": rounds}


def measure(bench: Bench, who: Contender, rate: int) -> dict[str, float]:
    """One run at one rate."""
    count = round(rate * bench.effort.seconds(SECONDS))
    bench.provider.forget()
    url = bench.provider.url(count, tls=False, **(dict(who.plan) | {"rate": rate}))
    reader = Child(
        [sys.executable, "-m", "tests.bench.readers", "latency"],
        bench.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, core=OTHER_CORE,
    )  # fmt: skip
    assert reader.process.stdin is not None
    assert reader.process.stdout is not None
    with reader, Child((who.latency or who.command)(url, count), bench.env, stdout=reader.process.stdin) as child:
        reader.process.stdin.close()
        used = child.wait(every_s=1.0)  # looking takes time of the core of the server and the reader
        found: dict[str, float] = json.loads(reader.process.stdout.read() or b"{}")
        if used.code or found.get("messages") != count:
            raise Failed(f"{who.title}: exit code {used.code}, {found}\n{child.said()}{reader.said()}")
        reader.process.wait()
    return found


def figure(results: Results, who: str, rate: int, name: str) -> float | None:
    """The median of a figure; None where it was not measured."""
    rounds = results.get(NAME, {}).get("rounds", ())
    found = [one[str(rate)][who][name] for one in rounds if who in one[str(rate)]]
    return median(found) if found else None


def ratio(results: Results, who: str, to: str, rate: int, name: str) -> float | None:
    """The median over the rounds of one figure as a multiple of another contender's of the same round."""
    rounds = [one[str(rate)] for one in results.get(NAME, {}).get("rounds", ())]
    found = [one[who][name] / one[to][name] for one in rounds if who in one and to in one]
    return median(found) if found else None


def table(results: Results) -> Table:
    """One row each."""
    rows = []
    for name, title in results[NAME]["titles"].items():
        cells = [title]
        for rate in RATES:
            for which in ("p50_us", "p99_us"):
                cells.append(number(figure(results, name, rate, which), 0))
                cells.append(number(ratio(results, name, "floor", rate, which), 1, "x"))
        rows.append(cells)
    columns = [f"{what} at {rate:,}/s" for rate in RATES for what in ("p50", "to the floor", "p99", "to the floor")]
    return Table("Latency, microseconds", ["who", *columns], rows)
