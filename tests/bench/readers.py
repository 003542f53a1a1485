"""Readers of a pipe, each a process of its own: what they saw is one JSON object on stdout at the end.

    ... | python -m tests.bench.readers latency
    ... | python -m tests.bench.readers slow LINES_A_SECOND

`latency` compares the time at which a quote was read with the stamp in it (quotes.STAMP), in microseconds.
`slow` takes its time, counts the market events and adds up what gaps say was dropped; it tells how far it is every half
second.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence

from tests.bench.quotes import STAMP

WARM_UP_S = 0.5
"""What was sent in this time from the first quote on is left out."""
PROGRESS_S = 0.5
_STAMPED = re.compile(rb"1\d{14}(?!\d)")


def quantile(ordered: Sequence[float], part: float) -> float:
    """Of values in ascending order; 0.5 is the median."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def latency() -> dict[str, float]:
    """Reads to the end."""
    times, ends, pieces, total = [], [], [], 0
    while piece := os.read(0, 65536):
        times.append(time.monotonic_ns() // 1000)
        total += len(piece)
        ends.append(total)
        pieces.append(piece)
    found = [
        (int(match.group()) - STAMP, times[bisect_left(ends, match.end())])
        for match in _STAMPED.finditer(b"".join(pieces))
    ]
    begin = found[0][0] + WARM_UP_S * 1e6
    waits = sorted(seen - sent for sent, seen in found if sent >= begin)
    return {
        "messages": len(found),
        "p50_us": quantile(waits, 0.5),
        "p90_us": quantile(waits, 0.9),
        "p99_us": quantile(waits, 0.99),
        "max_us": waits[-1],
        "messages_a_read": round(len(found) / len(times), 1),
    }


class Tally:
    """What a slow reader has seen."""

    def __init__(self) -> None:
        self.market = self.missed = self.gaps = 0
        self.summary: dict[str, object] | None = None

    def line(self, line: bytes) -> None:
        """One line of output."""
        if line.startswith(b'{"type":"bar"'):
            self.market += 1
            return
        event = json.loads(line)
        if event["type"] == "gap" and event["reason"] == "dropped":
            self.gaps += 1
            self.missed += event["missed"]
        elif event["type"] == "summary":
            self.summary = event

    def tell(self) -> None:
        """One line to whoever started us."""
        print(json.dumps(vars(self)), flush=True)


def slow(lines_a_second: int) -> None:
    """Reads to the end, so many lines a second."""
    tally, begun, taken, told = Tally(), time.monotonic(), 0, 0.0
    rest = b""
    while piece := os.read(0, 16384):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            tally.line(line)
        taken += len(lines)
        if (now := time.monotonic()) >= told + PROGRESS_S:
            told = now
            tally.tell()
        time.sleep(max(0.0, begun + taken / lines_a_second - time.monotonic()))
    tally.tell()


if __name__ == "__main__":
    if sys.argv[1] == "latency":
        print(json.dumps(latency()))
    else:
        slow(int(sys.argv[2]))
