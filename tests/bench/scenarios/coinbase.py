"""`coinbase`: trades and changes of a book of Coinbase Exchange, as fast as they are read, as in `throughput`.

tickstream keeps the book as well as it prints its changes, and would withhold one that is wrong: so does the usual
script keep it, in two dicts. One that only prints is there to compare.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.coinbase import PRODUCT, CoinbaseProvider
from tests.bench.contenders import CLIENTS, Contender
from tests.bench.report import Table, number
from tests.bench.scenarios import throughput

NAME = "coinbase"


def _usual(channel: str, *more: str) -> Callable[[str, int], list[str]]:
    return lambda url, count: [sys.executable, str(CLIENTS / "usual_coinbase.py"), url, str(count), channel, *more]


def _ours(channel: str, output: str) -> Callable[[str, int], list[str]]:
    return lambda url, count: [
        sys.executable, "-m", "tickstream", "watch", PRODUCT, "--provider", "coinbase", "--channel", channel,
        "--url", url, "-o", output, "-q", "--count", str(count),
    ]  # fmt: skip


CONTENDERS = (
    Contender("trades-usual", "trades: the usual script", 30_000, _usual("matches")),
    Contender("trades-jsonl", "trades: tickstream -o jsonl", 500_000, _ours("trades", "jsonl")),
    Contender("trades-csv", "trades: tickstream -o csv", 500_000, _ours("trades", "csv")),
    Contender("trades-raw", "trades: tickstream -o raw", 500_000, _ours("trades", "raw")),
    Contender("book-print", "book: a script that only prints the changes", 60_000, _usual("level2_batch")),
    Contender("book-usual", "book: the usual script, which keeps it", 10_000, _usual("level2_batch", "--keep")),
    Contender("book-jsonl", "book: tickstream -o jsonl", 500_000, _ours("book", "jsonl")),
    Contender("book-raw", "book: tickstream -o raw", 500_000, _ours("book", "raw")),
)


def run(bench: Bench) -> dict[str, Any]:
    """Rounds in which everyone runs once."""
    mine = copy.copy(bench)
    mine.provider = CoinbaseProvider(bench.env)
    rounds: list[dict[str, dict[str, float]]] = []
    try:
        for count in range(bench.effort.rounds):
            rounds.append({one.name: throughput.measure(mine, one) for one in CONTENDERS})
            told = ", ".join(f"{name} {found['rate']:,.0f}/s" for name, found in rounds[-1].items())
            bench.say(f"  round {count + 1}: {told}")
    finally:
        mine.provider.close()
    return {"titles": {one.name: one.title for one in CONTENDERS}, "rounds": rounds}


def figure(results: Results, who: str, name: str) -> float | None:
    """The median of a figure; None where it was not measured."""
    found = [one[who][name] for one in results.get(NAME, {}).get("rounds", ()) if who in one]
    return median(found) if found else None


def ratio(results: Results, who: str, to: str, name: str) -> float | None:
    """The median over the rounds of one figure as a multiple of another's of the same round."""
    found = [one[who][name] / one[to][name] for one in results.get(NAME, {}).get("rounds", ()) if one[to][name]]
    return median(found) if found else None


def table(results: Results) -> Table:
    """One row each."""
    rows = []
    for name, title in results[NAME]["titles"].items():
        usual = f"{name.partition('-')[0]}-usual"
        rows.append([
            title,
            number(figure(results, name, "rate"), 0),
            number(ratio(results, name, usual, "rate"), 1, "x"),
            number(figure(results, name, "cpu_us"), 2),
            number(ratio(results, usual, name, "cpu_us"), 1, "x"),
        ])  # fmt: skip
    return Table(
        "Coinbase, one core",
        ["who", "messages/s", "faster", "CPU s per million", "less CPU"],
        rows,
        "Ratios are to the usual script of the same channel.",
    )
