"""`memory`: five million messages as JSON lines. The peak, and whether it stays where it is after ten seconds."""

from __future__ import annotations

import time
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.contenders import tickstream
from tests.bench.processes import Child, Failed
from tests.bench.report import Table, number
from tests.bench.scenarios.throughput import outlet

NAME = "memory"
MESSAGES = 5_000_000
SETTLED_S = 10.0


def run(bench: Bench) -> dict[str, Any]:
    """One run; memory is looked at every 20 ms."""
    count = bench.effort.messages(MESSAGES)
    bench.provider.forget()
    seen: list[tuple[float, int]] = []
    with outlet(bench, "pipe") as (out, _):
        command = tickstream("jsonl")(bench.provider.url(count), count)
        with Child(command, bench.env, stdout=out) as child:
            begin = bench.provider.expect("begin", child)["at"]
            used = child.wait(look=lambda: seen.append((round(time.monotonic() - begin, 2), child.rss_kib())))
            if used.code:
                raise Failed(f"exit code {used.code}\n{child.said()}")
    alive = [(at, kib) for at, kib in seen if kib]
    late = [kib for at, kib in alive if at >= SETTLED_S]
    return {
        "messages": count,
        "seconds": used.ended_at - begin,
        "peak_kib": used.peak_kib,
        "first_kib": alive[0][1],
        "at_settled_kib": late[0] if late else None,
        "grown_after_kib": max(late) - late[0] if late else None,
        "samples": alive[:: max(1, len(alive) // 40)],
    }


def table(results: Results) -> Table:
    """One row."""
    found = results[NAME]
    grown = found["grown_after_kib"]
    row = [
        f"tickstream -o jsonl, {found['messages']:,} messages in {found['seconds']:.0f} s",
        number(found["first_kib"] / 1024, 1),
        number(found["peak_kib"] / 1024, 1),
        "run too short" if grown is None else number(grown / 1024, 1),
    ]
    return Table("Memory, MiB", ["run", "before the first quote", "peak", "growth after 10 s"], [row])
