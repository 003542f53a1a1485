"""`slow-reader`: 20,000 messages a second into `jq -c .` that is slowed on purpose, with `--on-full drop-oldest`.

Memory stays flat, and what was seen and what gaps say was dropped is together what was sent.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.contenders import tickstream
from tests.bench.machine import OTHER_CORE
from tests.bench.processes import Child, Failed
from tests.bench.report import Table, number

NAME = "slow-reader"
RATE = 20_000
READ_RATE = 4_000
SECONDS = 60.0
SETTLED_S = 10.0
"""A queue of 2 MiB and the pipes are full by then."""
QUIET_S = 5.0
"""A reader that has seen nothing new for so long has seen everything."""


class Tail:
    """The end of the pipe: what it has seen up to now."""

    def __init__(self, child: Child) -> None:
        self.latest: dict[str, Any] = {"market": 0, "missed": 0, "gaps": 0, "summary": None}
        self.changed_at = time.monotonic()
        self._child = child
        self._thread = Thread(target=self._hear, daemon=True)
        self._thread.start()

    def all_is_seen(self, sent: int) -> bool:
        """Everything, or all that will come."""
        return self.accounted >= sent or time.monotonic() > self.changed_at + QUIET_S

    @property
    def accounted(self) -> int:
        """Seen, or told to be dropped."""
        return int(self.latest["market"] + self.latest["missed"])

    def join(self) -> None:
        """Until it has ended."""
        self._thread.join(60)

    def _hear(self) -> None:
        assert self._child.process.stdout is not None
        for line in self._child.process.stdout:
            told = json.loads(line)
            if told != self.latest:
                self.latest, self.changed_at = told, time.monotonic()


def run(bench: Bench) -> dict[str, Any]:
    """One run, ended by Ctrl-C when all that was sent is accounted for."""
    seconds = bench.effort.seconds(SECONDS)
    count = round(RATE * seconds)
    bench.provider.forget()
    memory: list[tuple[float, int]] = []
    with ExitStack() as stack:
        out, tail = stack.enter_context(_slow_pipe(bench))
        assert out.process.stdin is not None
        url = bench.provider.url(count, rate=RATE, tick_us=1000)
        # The count is beyond reach: what is dropped does not count.
        command = tickstream("jsonl", "--events", "--on-full", "drop-oldest")(url, count * 2)
        child = stack.enter_context(Child(command, bench.env, stdout=out.process.stdin))
        out.process.stdin.close()
        begin = bench.provider.expect("begin", child)["at"]
        asked = False

        def look() -> None:
            nonlocal asked
            memory.append((round(time.monotonic() - begin, 2), child.rss_kib()))
            if not asked and time.monotonic() > begin + seconds and tail.all_is_seen(count):
                asked = True
                child.interrupt()

        used = child.wait(seconds + 120, look)
        sent = bench.provider.expect("sent")["count"]
        tail.join()
        if used.code != 130 or tail.latest["summary"] is None:
            raise Failed(f"exit code {used.code}, {tail.latest}\n{child.said()}")
    late = [kib for at, kib in memory if at >= min(SETTLED_S, seconds / 2) and kib]
    return {
        "sent": sent,
        "seen": tail.latest["market"],
        "dropped": tail.latest["missed"],
        "gaps": tail.latest["gaps"],
        "counted_dropped": tail.latest["summary"]["dropped"],
        "seconds": seconds,
        "peak_kib": used.peak_kib,
        "grown_after_kib": max(late) - late[0],
        "through_jq": shutil.which("jq") is not None,
        "samples": memory[:: max(1, len(memory) // 40)],
    }


@contextmanager
def _slow_pipe(bench: Bench) -> Iterator[tuple[Child, Tail]]:
    """The process to write to (jq where it is installed), and the slow end of the pipe."""
    with ExitStack() as stack:
        end = stack.enter_context(
            Child(
                [sys.executable, "-m", "tests.bench.readers", "slow", str(READ_RATE)],
                bench.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                core=OTHER_CORE,
            )
        )
        first, jq = end, shutil.which("jq")
        assert end.process.stdin is not None
        if jq is not None:
            first = stack.enter_context(
                Child([jq, "-c", "."], bench.env, stdin=subprocess.PIPE, stdout=end.process.stdin, core=OTHER_CORE)
            )
            end.process.stdin.close()
        yield first, Tail(end)


def table(results: Results) -> Table:
    """One row."""
    found = results[NAME]
    through = "jq -c . and " if found["through_jq"] else ""
    row = [
        f"{RATE:,}/s for {found['seconds']:.0f} s into {through}{READ_RATE:,} lines/s",
        *(number(found[name], 0) for name in ("sent", "seen", "dropped", "gaps")),
        number(found["peak_kib"] / 1024, 0),
        number(found["grown_after_kib"] / 1024, 1),
    ]
    return Table(
        "A slow reader, --on-full drop-oldest",
        ["run", "sent", "seen", "dropped", "gaps", "peak, MiB", "growth, MiB"],
        [row],
    )
