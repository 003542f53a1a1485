"""`capturing`: into files that a crash cannot spoil, beside `watch -o jsonl` into a file.

Twenty symbols, each once a minute, since a capture leaves out what it has; a file for each, whatever the day. Neither
program is told when to end: the work is done when the process, after the last byte was sent, has nothing to do any
more. They run as they would for a user, on whatever core is free, since a capture's writer (hashes, compression, files)
is a thread of its own; and, to compare, on one core.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.machine import CLIENT_CORE, TICK_S
from tests.bench.processes import Child, Failed
from tests.bench.quotes import TWENTY
from tests.bench.report import Table, number

NAME = "capturing"
MESSAGES = 1_000_000
IDLE_S = 0.3
BASE = "watch"


@dataclass(frozen=True)
class Way:
    """One way to keep data."""

    title: str
    more: tuple[str, ...] = ()
    template: str = "{symbol}"
    base: str = BASE
    """What its ratio is to."""
    core: int | None = None


WAYS = {
    BASE: Way("watch -o jsonl > file"),
    "jsonl": Way("capture"),
    "gzip": Way("capture --compress gzip", ("--compress", "gzip")),
    "zstd": Way("capture --compress zstd", ("--compress", "zstd")),
    "raw": Way("capture -o raw", ("-o", "raw"), "{provider}"),
    "csv": Way("capture -o csv", ("-o", "csv")),
    "watch-1": Way("watch -o jsonl > file, on one core", base="watch-1", core=CLIENT_CORE),
    "jsonl-1": Way("capture, on one core", base="watch-1", core=CLIENT_CORE),
}


def run(bench: Bench) -> dict[str, Any]:
    """Rounds in which each way is gone once."""
    rounds = []
    for count in range(bench.effort.rounds):
        rounds.append({name: measure(bench, name) for name in WAYS})
        bench.say(f"  round {count + 1}: " + ", ".join(f"{n} {r['rate']:,.0f}/s" for n, r in rounds[-1].items()))
    return {"rounds": rounds}


def measure(bench: Bench, name: str) -> dict[str, float]:
    """One run. Raises Failed unless every quote is in the files."""
    count = bench.effort.messages(MESSAGES)
    bench.provider.forget()
    folder = bench.work / "capture"
    url = bench.provider.url(count, distinct=count)
    begin = [sys.executable, "-m", "tickstream"]
    way = WAYS[name]
    if way.base == name:
        folder.mkdir()
        with (folder / "output").open("wb") as file:
            used = _until_idle(bench, [*begin, "watch", *TWENTY, "--url", url, "-o", "jsonl", "-q"], way, stdout=file)
        kept = (folder / "output").read_bytes().count(b"\n")
    else:
        used = _until_idle(
            bench, [*begin, "capture", *TWENTY, "--url", url, "--to", f"{folder}/{way.template}", *way.more], way
        )
        kept = _captured(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "manifest.jsonl")
    shutil.rmtree(folder)
    if kept != count:
        raise Failed(f"{way.title}: {kept} events for {count} messages")
    return {"rate": count / used[0], "cpu_us": used[1] / count * 1e6, "peak_kib": used[2], "bytes": size / count}


def _until_idle(bench: Bench, command: list[str], way: Way, **more: Any) -> tuple[float, float, int]:
    """Seconds and CPU seconds of the work, and the peak memory."""
    with Child(command, bench.env, core=way.core, **more) as child:
        bench.provider.expect("ready", child)
        before = child.cpu_s()
        begin = bench.provider.expect("begin", child)["at"]
        bench.provider.expect("sent", child)
        worked, busy_until = before, time.monotonic()
        while time.monotonic() - busy_until < IDLE_S:
            time.sleep(0.005)
            if (now := child.cpu_s()) > worked + TICK_S / 2:
                worked, busy_until = now, time.monotonic()
        child.rss_kib()  # the peak is remembered, and cannot be asked for afterwards
        child.interrupt()
        used = child.wait()
        if used.code != 130:
            raise Failed(f"exit code {used.code}\n{child.said()}")
    return busy_until - begin, worked - before, used.peak_kib


def _captured(folder: Path) -> int:
    *_, last = (folder / "manifest.jsonl").read_text("utf-8").splitlines()
    return int(json.loads(last)["written"])


def ratio(results: Results, who: str, name: str = "rate") -> float | None:
    """The median over the rounds of one figure as a multiple of the base's."""
    rounds = results.get(NAME, {}).get("rounds", ())
    return median(one[who][name] / one[WAYS[who].base][name] for one in rounds) if rounds else None


def table(results: Results) -> Table:
    """One row each."""
    figure: Callable[[str, str], float] = lambda who, name: median(one[who][name] for one in results[NAME]["rounds"])  # noqa: E731
    rows = [
        [
            way.title,
            number(figure(name, "rate"), 0),
            number(ratio(results, name), 2, "x"),
            number(figure(name, "cpu_us"), 2),
            number(figure(name, "bytes"), 0),
            number(figure(name, "peak_kib") / 1024, 0),
        ]
        for name, way in WAYS.items()
    ]
    return Table("Capturing", ["what", "messages/s", "to watch", "CPU s per million", "bytes each", "peak, MiB"], rows)
