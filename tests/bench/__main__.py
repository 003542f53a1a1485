"""`python -m tests.bench`: all scenarios, side by side on this machine; a JSON file and Markdown tables come out."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import goals, machine, readme
from tests.bench.bench import Bench, Effort, Results
from tests.bench.processes import Failed
from tests.bench.report import markdown
from tests.bench.scenarios import capturing, coinbase, latency, memory, slow_reader, stages, startup, table, throughput

SCENARIOS = {
    one.NAME: one for one in (throughput, coinbase, capturing, latency, startup, memory, table, slow_reader, stages)
}
QUICK = Effort(rounds=2, scale=0.2)


def cache_folder() -> Path:
    """Where the npm package, the compiled floor and bytecode are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickstream-bench"


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        epilog="Scenarios: " + ", ".join(SCENARIOS) + ". A full run takes about a quarter of an hour.",
    )
    more = parser.add_argument
    more("--only", metavar="NAME", action="append", choices=SCENARIOS, help="this scenario; may be repeated")
    more("--who", metavar="NAME", action="append", default=[], help="only this contender (jsonl...); may be repeated")
    more("--quick", action="store_true", help="two rounds, a fifth of the messages")
    more("--rounds", type=int, metavar="N", help="medians of so many (5)")
    more("--cache", type=Path, default=cache_folder(), metavar="DIR", help="default: %(default)s")
    more("--json", type=Path, metavar="FILE", help="default: result.json in the cache folder")
    more("--readme", action="store_true", help="write the figures into the README")
    more("--markdown", type=Path, metavar="FILE", help="default: result.md in the cache folder")
    return parser.parse_args()


def measure(bench: Bench, names: list[str]) -> Iterator[Results]:
    """Run scenarios one after the other; all results up to now after each."""
    results: Results = {}
    for name in names:
        bench.say(f"{name}:")
        begun = time.monotonic()
        try:
            results[name] = SCENARIOS[name].run(bench)
        except Failed as reason:
            bench.say(f"  failed: {reason}")
        bench.say(f"  {time.monotonic() - begun:.0f} s")
        yield results


def report(results: Results, about: dict[str, object], skipped: list[str]) -> str:
    """Everything, as Markdown."""
    where = ", ".join(str(about[name]) for name in ("cpu", "system"))
    lines = [f"{where}, Python {about['python']}; load average at the start {about['load_average']}."]
    if throughput.NAME in results:
        found = results[throughput.NAME]
        slowest = max(found["spins_ms"]) / min(found["spins_ms"]) - 1
        lines.append(
            f"Others took {found['foreign_share_of_core']:.0%} of the measured core (median over the runs of"
            f" `throughput`); the same little work took up to {slowest:.0%} longer in one round than in another."
        )
    lines += [f"Left out: {reason}." for reason in skipped]
    parts = ["\n".join(lines) + "\n", markdown(goals.table(results))]
    parts += [markdown(SCENARIOS[name].table(results)) for name in results]
    return "\n".join(parts)


def main() -> None:
    """Measure, print, and write the files."""
    if sys.platform != "linux":
        sys.exit("The benchmarks need Linux: cores to pin to, /proc, pidfd.")
    options = arguments()
    effort = QUICK if options.quick else Effort()
    if options.rounds:
        effort = Effort(options.rounds, effort.scale)
    about = machine.description()
    as_json = options.json or options.cache / "result.json"
    as_markdown = options.markdown or options.cache / "result.md"
    names = options.only or list(SCENARIOS)
    with machine.on_core(machine.OTHER_CORE), Bench(options.cache, effort, frozenset(options.who)) as bench:
        for results in measure(bench, names):
            text = report(results, about, bench.skipped)
            as_json.write_text(json.dumps({"machine": about, "results": results}, indent=1) + "\n", "utf-8")
            as_markdown.write_text(text + "\n", "utf-8")
    print(text)
    if options.readme:
        readme.update(results, about)
    bench.say(f"written: {as_json}, {as_markdown}")
    sys.exit(0 if len(results) == len(names) else 1)


if __name__ == "__main__":
    main()
