"""`table`: 20 symbols at 20,000 messages a second in a terminal: how often it is drawn, and how old what it shows is.

The volume of each quote is the time of its sending, and the table shows volumes: what a reader of the terminal sees
tells how old it is when it is drawn, and how old it has become when it is drawn over.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

from tests.bench.bench import Bench, Results
from tests.bench.contenders import tickstream
from tests.bench.processes import Child, Failed
from tests.bench.quotes import STAMP, TWENTY
from tests.bench.readers import quantile
from tests.bench.report import Table, number

NAME = "table"
RATE = 20_000
SECONDS = 20.0
WINDOW = (40, 160)
"""Lines and columns."""
_HOME = b"\x1b[H"
_STAMPED = re.compile(rb"(?<!\d)1\d{14}(?!\d)")


def run(bench: Bench) -> dict[str, Any]:
    """One run."""
    seconds = bench.effort.seconds(SECONDS)
    count = round(RATE * seconds)
    bench.provider.forget()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *WINDOW, 0, 0))
    try:
        url = bench.provider.url(count, rate=RATE, tick_us=1000)
        command = tickstream("table", symbols=TWENTY)(url, count)
        with Child(command, bench.env, stdin=theirs, stdout=theirs, stderr=theirs, session=True) as child:
            os.close(theirs)
            bench.provider.expect("ready", child)
            cpu_before = child.cpu_s()
            begin = bench.provider.expect("begin", child)["at"]
            pieces = _read(ours, seconds + 30, child.rss_kib)
            used = child.wait()
            if used.code:
                raise Failed(f"exit code {used.code}\n{b''.join(piece for _, piece in pieces)[-2000:]!r}")
    finally:
        os.close(ours)
    return {
        "messages": count,
        "seconds": used.ended_at - begin,
        "core_share": (used.cpu_s - cpu_before) / (used.ended_at - begin),
        "peak_kib": used.peak_kib,
    } | _seen(pieces, begin + 1.0, begin + seconds)


def _read(fd: int, seconds: float, look: Callable[[], object]) -> list[tuple[float, bytes]]:
    """Everything that is drawn, and when it came."""
    pieces: list[tuple[float, bytes]] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(fd, 65536)
        except OSError:  # the other side has ended
            return pieces
        pieces.append((time.monotonic(), piece))
        look()
    raise Failed("the table did not end")


def _seen(pieces: list[tuple[float, bytes]], begin: float, end: float) -> dict[str, Any]:
    """What the pictures between two moments showed. A picture is there when its last byte is."""
    pictures: list[tuple[float, list[int]]] = []
    last, at, data = 0, [], b""
    for moment, piece in pieces:
        data += piece
        at.append((len(data), moment))
    starts = [match.start() for match in re.finditer(re.escape(_HOME), data)] + [len(data)]
    for start, stop in pairwise(starts):
        while at[last][0] < stop:
            last += 1
        stamps = [int(stamp) - STAMP for stamp in _STAMPED.findall(data[start:stop])]
        if begin <= at[last][1] <= end:
            pictures.append((at[last][1], stamps))
    if len(pictures) < 3 or min(len(stamps) for _, stamps in pictures) < len(TWENTY):
        counts = [len(stamps) for _, stamps in pictures[:5]]
        raise Failed(f"the table shows too little: {len(pictures)} pictures, {counts} stamps")
    intervals = [after - before for (before, _), (after, _) in pairwise(pictures)]
    fresh = sorted(moment * 1000 - stamp / 1000 for moment, stamps in pictures for stamp in stamps)
    stale = sorted(after * 1000 - stamp / 1000 for (_, stamps), (after, _) in pairwise(pictures) for stamp in stamps)
    return {
        "refreshes_a_second": len(intervals) / sum(intervals),
        "longest_pause_s": max(intervals),
        "age_when_drawn_ms": {"median": median(fresh), "p99": quantile(fresh, 0.99), "max": fresh[-1]},
        "age_when_replaced_ms": {"median": median(stale), "p99": quantile(stale, 0.99), "max": stale[-1]},
    }


def table(results: Results) -> Table:
    """One row."""
    found = results[NAME]
    drawn, old = found["age_when_drawn_ms"], found["age_when_replaced_ms"]
    row = [
        f"tickstream -o table, {len(TWENTY)} symbols at {RATE:,}/s for {found['seconds']:.0f} s",
        number(found["refreshes_a_second"], 1),
        f"{drawn['median']:.0f} / {drawn['max']:.0f}",
        f"{old['median']:.0f} / {old['max']:.0f}",
        number(found["core_share"] * 100, 0, "%"),
        number(found["peak_kib"] / 1024, 0),
    ]
    return Table(
        "Table",
        ["run", "refreshes/s", "ms old when drawn, median / most", "ms old when redrawn, median / most", "of a core",
         "peak, MiB"],
        [row],
    )  # fmt: skip
