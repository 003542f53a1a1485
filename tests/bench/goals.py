"""What tickstream wants to reach, as ratios within one run, and whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.bench import Results
from tests.bench.report import Table, number
from tests.bench.scenarios import capturing, coinbase, latency, memory, slow_reader, startup, throughput
from tests.bench.scenarios import table as live_table

MIB = 1024
"""KiB."""


@dataclass(frozen=True)
class Goal:
    """`value` is None where it was not measured. Met: at least `least`, or at most `most`."""

    what: str
    value: Callable[[Results], float | None]
    least: float | None = None
    most: float | None = None
    unit: str = "x"
    places: int = 1

    @property
    def target(self) -> str:
        """In words."""
        if self.least is not None:
            return f"at least {self.least:g}{self.unit}"
        return f"at most {self.most:g}{self.unit}"

    def met(self, results: Results) -> bool | None:
        """None where it was not measured."""
        value = self.value(results)
        if value is None:
            return None
        return value >= self.least if self.least is not None else value <= (self.most or 0.0)


def _faster(who: str, than: str) -> Callable[[Results], float | None]:
    return lambda results: throughput.ratio(results, who, than, "rate")


def _cheaper(who: str, than: str) -> Callable[[Results], float | None]:
    return lambda results: throughput.ratio(results, than, who, "cpu_us")


def _of(scenario: str, *path: str, scale: float = 1.0) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        found = results.get(scenario)
        for name in path:
            found = None if found is None else found[name]
        return None if found is None else float(found) * scale

    return value


def _unaccounted(results: Results) -> float | None:
    found = results.get(slow_reader.NAME)
    return None if found is None else abs(found["sent"] - found["seen"] - found["dropped"])


def _unmarked(results: Results) -> float | None:
    found = results.get(slow_reader.NAME)
    return None if found is None else abs(found["counted_dropped"] - found["dropped"]) + (found["gaps"] == 0)


def _unwanted_imports(results: Results) -> float | None:
    found = results.get(startup.NAME, {}).get("imports")
    return float(len(found["unwanted"])) if found else None


GOALS = (
    Goal("JSON lines, rate, to the usual script", _faster("jsonl", "usual"), least=25),
    Goal("JSON lines, CPU, to the usual script", _cheaper("jsonl", "usual"), least=25),
    Goal("JSON lines, rate, to node ws", _faster("jsonl", "node"), least=2.5),
    Goal("JSON lines, rate, to node ws that writes in batches", _faster("jsonl", "node-batch"), least=2.5),
    Goal("CSV, rate, to the usual script", _faster("csv", "usual"), least=20),
    Goal("raw, rate, to the usual script", _faster("raw", "usual"), least=80),
    Goal("capture to JSON lines, rate, to watch into a file", lambda results: capturing.ratio(results, "jsonl"),
         least=0.8, places=2),
    Goal("Coinbase trades, rate, to the usual script",
         lambda results: coinbase.ratio(results, "trades-jsonl", "trades-usual", "rate"), least=20),
    Goal("Coinbase book, rate, to the usual script that keeps it",
         lambda results: coinbase.ratio(results, "book-jsonl", "book-usual", "rate"), least=20),
    Goal("TLS, CPU a message, to plain",
         lambda results: throughput.ratio(results, "jsonl-tls", "jsonl", "cpu_us"), most=1.3, places=2),
    Goal("latency p99 at 10,000/s, to the floor in Python",
         lambda results: latency.ratio(results, "jsonl", "floor", 10_000, "p99_us"), most=3),
    Goal("peak memory over 5,000,000 messages",
         _of(memory.NAME, "peak_kib", scale=1 / MIB), most=40, unit=" MiB"),
    Goal("its growth after the first 10 s",
         _of(memory.NAME, "grown_after_kib", scale=1 / MIB), most=1, unit=" MiB"),
    Goal("table, refreshes a second", _of(live_table.NAME, "refreshes_a_second"), least=4, unit=""),
    Goal("table, age of what is shown, at its oldest",
         _of(live_table.NAME, "age_when_replaced_ms", "max"), most=500, unit=" ms", places=0),
    Goal("table, of a core", _of(live_table.NAME, "core_share", scale=100), most=90, unit="%", places=0),
    Goal("slow reader, sent but neither seen nor told to be dropped", _unaccounted, most=0, unit="", places=0),
    Goal("slow reader, dropped but not marked by gaps", _unmarked, most=0, unit="", places=0),
    Goal("slow reader, growth of memory", _of(slow_reader.NAME, "grown_after_kib", scale=1 / MIB), most=2, unit=" MiB"),
    Goal("imports that `watch -o jsonl` should not make", _unwanted_imports, most=0, unit="", places=0),
)  # fmt: skip


def table(results: Results) -> Table:
    """One row for each goal."""
    verdicts = {True: "met", False: "**not met**", None: "not measured"}
    rows = [
        [goal.what, goal.target, number(goal.value(results), goal.places, goal.unit), verdicts[goal.met(results)]]
        for goal in GOALS
    ]
    return Table("Goals", ["what", "goal", "measured", ""], rows)
