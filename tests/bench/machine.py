"""The machine: which core does what, how busy others keep it, and what it is. Linux only."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE = _CORES[0]
"""What is measured runs here."""
OTHER_CORE = _CORES[-1]
"""Server, readers of the output, and this program: the same core where there is but one."""


SPINS = 500_000


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What this thread starts meanwhile runs on this core only; None: on any."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _CORES if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def busy_s(core: int) -> float:
    """Seconds for which the core has been at work since it was started, stolen time included."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, ticks[:8])
            return (user + nice + system + irq + softirq + steal) * TICK_S
    raise RuntimeError(f"/proc/stat has no core {core}")


def spin_ms() -> float:
    """How long the same little work takes on the measured core now. It tells how steady the machine is."""
    with on_core(CLIENT_CORE):
        begun = time.perf_counter()
        sum(number * number for number in range(SPINS))
        return (time.perf_counter() - begun) * 1000


def clean_environment(cache: Path) -> dict[str, str]:
    """What a measured program gets: no settings of ours, bytecode kept, no coverage, the usual buffering of stdout."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    home = cache / "home"
    home.mkdir(parents=True, exist_ok=True)
    return kept | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "PYTHONPYCACHEPREFIX": str(cache / "bytecode"),
        "NODE_PATH": str(cache / "node" / "node_modules"),
    }


def description() -> dict[str, object]:
    """What the figures were taken on."""
    info = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    return {
        "cpu": model,
        "cores": len(_CORES),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
