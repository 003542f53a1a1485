"""The figures in the README, taken from a result: nobody copies them by hand."""

from __future__ import annotations

from pathlib import Path

from tests.bench import goals
from tests.bench.bench import Results
from tests.bench.report import Table, markdown, number
from tests.bench.scenarios import capturing, latency, memory, throughput

README = Path(__file__).resolve().parent.parent.parent / "README.md"
BEGIN, END = "<!-- speed: written by tests.bench -->\n", "<!-- /speed -->\n"
SHOWN = ("usual", "websockets", "picows", "node", "jsonl", "csv", "raw")
LATENCY_RATE = 10_000


def update(results: Results, about: dict[str, object]) -> None:
    """Put the figures between their marks."""
    text = README.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    README.write_text(f"{head}{BEGIN}\n{section(results, about)}\n{END}{tail}", "utf-8")


def section(results: Results, about: dict[str, object]) -> str:
    """The table, and a sentence on what it leaves out."""
    titles = results[throughput.NAME]["titles"]
    rows = [
        [
            titles[who],
            number(throughput.figure(results, who, "rate"), 0),
            number(throughput.ratio(results, who, throughput.BASE, "rate"), 1, "x"),
            number(throughput.ratio(results, throughput.BASE, who, "cpu_us"), 1, "x"),
            number((throughput.figure(results, who, "peak_kib") or 0) / 1024, 0),
            number(latency.figure(results, who, LATENCY_RATE, "p50_us"), 0),
            number(latency.figure(results, who, LATENCY_RATE, "p99_us"), 0),
        ]
        for who in SHOWN
        if who in titles
    ]
    columns = ["", "messages/s", "faster", "less CPU", "MiB", "p50 µs", "p99 µs"]
    table = markdown(Table("", columns, rows)).rstrip()
    machine = f"{about['cpu']}, Python {about['python']}"
    notes = [f"One core ({machine}); latency at {LATENCY_RATE:,} messages a second, into a pipe."]
    if memory.NAME in results:
        peak = results[memory.NAME]["peak_kib"] / 1024
        notes.append(f"Five million messages in one run take {peak:.0f} MiB at their peak.")
    if (captured := capturing.ratio(results, "jsonl")) is not None:
        on_one = capturing.ratio(results, "jsonl-1") or 0.0
        notes.append(
            f"`capture` writes its files at {captured:.2f} times the rate of `watch -o jsonl > file`"
            f" ({on_one:.2f} times where both have but one core)."
        )
    missed = [goal.what for goal in goals.GOALS if goal.met(results) is False]
    if missed:
        notes.append(f"Not where we want it yet: {'; '.join(missed)}.")
    return table + "\n\n" + " ".join(notes) + "\n"
