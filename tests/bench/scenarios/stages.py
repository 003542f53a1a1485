"""`stages`: what each stage of the way costs by itself, in batches of several sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.processes import Child, Failed
from tests.bench.report import Table, number

NAME = "stages"


def run(bench: Bench) -> dict[str, Any]:
    """In a process of its own, on the core of the measured ones."""
    with Child([sys.executable, "-m", "tests.bench.stages"], bench.env, stdout=subprocess.PIPE) as child:
        assert child.process.stdout is not None
        told = child.process.stdout.read()
        if child.wait().code:
            raise Failed(child.said())
    found: dict[str, Any] = json.loads(told)
    return found


def table(results: Results) -> Table:
    """One row for each stage."""
    found = results[NAME]
    stages = list(next(iter(found.values())))
    rows = [[stage, *(number(batch[stage], 3) for batch in found.values())] for stage in stages]
    return Table("Stages, microseconds a message", ["stage", *(f"batches of {name}" for name in found)], rows)
