"""`throughput`: as fast as it goes. Rate, CPU time a message, peak memory, time to be subscribed.

Each contender is given quotes as fast as it reads them. The clock runs from the server's first byte to the end of
the process, so that ending counts and starting does not; so does CPU time, from 50 ms before the first byte.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO, Any

from tests.bench.bench import Bench, Noise, Results
from tests.bench.contenders import Contender
from tests.bench.machine import CLIENT_CORE, OTHER_CORE, on_core, spin_ms
from tests.bench.processes import Child, Failed
from tests.bench.report import Table, number

NAME = "throughput"
BASE = "usual"
"""Ratios are to this one."""


def run(bench: Bench) -> dict[str, Any]:
    """Rounds in which everyone runs once, so that a noisy minute hits all alike."""
    rounds, spins = [], []
    for count in range(bench.effort.rounds):
        spins.append(spin_ms())
        rounds.append({one.name: measure(bench, one) for one in bench.contenders})
        bench.say(f"  round {count + 1}: " + ", ".join(f"{n} {r['rate']:,.0f}/s" for n, r in rounds[-1].items()))
    return {
        "titles": {one.name: one.title for one in bench.contenders},
        "rounds": rounds,
        "foreign_share_of_core": median(run["foreign"] for one in rounds for run in one.values()),
        "spins_ms": spins,
    }


def measure(bench: Bench, who: Contender) -> dict[str, float]:
    """One run. Raises Failed when it does not end as it should."""
    count = bench.effort.messages(who.messages)
    bench.provider.forget()
    with outlet(bench, who.target) as (out, written):
        url = bench.provider.url(count, tls=who.tls, **dict(who.plan))
        with Child(who.command(url, count), bench.env, stdout=out) as child:
            ready = bench.provider.expect("ready", child)
            before, noise = child.cpu_s(), Noise(CLIENT_CORE)
            begin = bench.provider.expect("begin", child)
            used = child.wait()
            foreign = noise.share(used.cpu_s - before)
            if used.code:
                raise Failed(f"{who.title}: exit code {used.code}\n{child.said()}")
        if written is not None and (lines := _lines(written)) != count:
            raise Failed(f"{who.title}: {lines} lines for {count} messages")
    return {
        "messages": count,
        "rate": count / (used.ended_at - begin["at"]),
        "cpu_us": (used.cpu_s - before) / count * 1e6,
        "peak_kib": used.peak_kib,
        "subscribed_s": ready["at"] - child.started_at,
        "foreign": foreign,
    }


@contextmanager
def outlet(bench: Bench, target: str) -> Iterator[tuple[int | IO[bytes], Path | None]]:
    """Something to write to, and the file when it is one."""
    if target == "null":
        yield subprocess.DEVNULL, None
    elif target == "file":
        path = bench.work / "output"
        with path.open("wb") as file:
            yield file, path
        path.unlink()
    else:
        with on_core(OTHER_CORE):
            cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert cat.stdin is not None
        with cat:
            yield cat.stdin, None


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


# --- what came of it -----------------------------------------------------------------------------------------------


def figure(results: Results, who: str, name: str) -> float | None:
    """The median of a figure; None where it was not measured."""
    found = [one[who][name] for one in results.get(NAME, {}).get("rounds", ()) if who in one]
    return median(found) if found else None


def ratio(results: Results, who: str, to: str, name: str) -> float | None:
    """The median over the rounds of one figure as a multiple of another contender's of the same round."""
    rounds = results.get(NAME, {}).get("rounds", ())
    found = [one[who][name] / one[to][name] for one in rounds if who in one and to in one and one[to][name]]
    return median(found) if found else None


def table(results: Results) -> Table:
    """One row each."""
    rows = []
    for name, title in results[NAME]["titles"].items():
        faster, cheaper = ratio(results, name, BASE, "rate"), ratio(results, BASE, name, "cpu_us")
        rows.append([
            title,
            number(figure(results, name, "rate"), 0),
            number(faster, 1, "x"),
            number(figure(results, name, "cpu_us"), 2),
            number(cheaper, 1, "x"),
            number((figure(results, name, "peak_kib") or 0) / 1024, 0),
        ])  # fmt: skip
    return Table(
        "Throughput, one core",
        ["who", "messages/s", "faster", "CPU s per million", "less CPU", "peak memory, MiB"],
        rows,
    )
