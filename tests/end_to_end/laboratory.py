"""Every fault that the simulator knows, each watched by a run of its own, many at once: most of it is waiting."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.end_to_end.canary import KEY
from tests.end_to_end.watching import Result, Thread, serve
from tickstream.errors import ExitCode
from tickstream.simulator.faults import FAULTS

SYMBOLS = ("EURUSD", "BTCUSD")
PACE = 1200.0
"""20 minutes a second: fast enough to see, slow enough for all of them at once."""
COUNT = 16
FOR_SECONDS = ("--count", "100")
AT_ONCE = 16
"""More in one process, and on a slow machine one or the other waits too long for its turn, which looks like a fault."""
LONGEST_S = 55.0
"""A server that restarts, or begins a message and does not end it, is given half a minute."""


class Trial(NamedTuple):
    """A fault, how it is watched and with which code that ends."""

    fault: str
    code: ExitCode = ExitCode.OK
    args: tuple[str, ...] = ("--count", str(COUNT))
    options: Mapping[str, Any] = MappingProxyType({})


class Outcome(NamedTuple):
    """How it went: what was left behind, what was sent, how often somebody connected or authenticated."""

    result: Result
    sent: list[tuple[str, str]]
    connections: int
    auth_frames: int


def _trials() -> dict[str, Trial]:
    """Those of the first connection only, unless nothing may be retried: then data must flow again."""
    trials = {}
    for kind in FAULTS.values():
        moment = kind.when if kind.when != "10" else "3"
        trials[kind.name] = Trial(f"{kind.name}@{moment}x1")
    fatal = {
        "http-301": ExitCode.TLS, "http-400": ExitCode.NETWORK, "http-401": ExitCode.INVALID_KEY,
        "http-403": ExitCode.FORBIDDEN, "http-404": ExitCode.NETWORK, "invalid-key": ExitCode.INVALID_KEY,
        "echo-key": ExitCode.INVALID_KEY, "forbidden": ExitCode.FORBIDDEN, "symbol-limit": ExitCode.REFUSED,
    }  # fmt: skip
    for name, code in fatal.items():
        trials[name] = trials[name]._replace(code=code)
    special = {
        # In half a minute, or never: the run is told how long it may wait.
        "connection-limit": {"code": ExitCode.CONNECTION_LIMIT, "args": ("--hold-max", "1s")},
        "no-data": {"code": ExitCode.NO_DATA, "args": ("--idle-timeout", "2s")},
        # Before the first ping, which comes after half a second; the run is far from its end then.
        "mute": {"fault": "mute@0.3sx1", "args": FOR_SECONDS},
        "blackhole": {"fault": "blackhole@0.3sx1", "args": FOR_SECONDS},
        "slow-frame": {"fault": "slow-frame@0.3sx1", "args": FOR_SECONDS},
        "quota-exceeded": {"options": {"quota_reset_after_s": 0.5}},
        "burst": {"args": ("--count", "2100")},
        "flap": {"args": ("--count", "200")},  # it comes after two seconds
    }
    for name, changes in special.items():
        trials[name] = trials[name]._replace(**changes)  # type: ignore[arg-type]  # each value fits its field
    return trials


TRIALS = _trials()


class Laboratory:
    """Has all trials done; `outcome` waits for one."""

    def __init__(self) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._failures: dict[str, BaseException] = {}
        self._places = threading.Semaphore(AT_ONCE)
        self._threads = {
            name: threading.Thread(target=self._run, args=(name, trial), name=f"trial-{name}", daemon=True)
            for name, trial in TRIALS.items()
        }
        for thread in self._threads.values():
            thread.start()

    def outcome(self, name: str) -> Outcome:
        """How the trial of this fault went."""
        self._threads[name].join(LONGEST_S + 5)
        if name in self._failures:
            raise self._failures[name]
        return self._outcomes[name]

    def close(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads.values():
            thread.join(LONGEST_S + 5)

    def _run(self, name: str, trial: Trial) -> None:
        try:
            with self._places, serve(trial.fault, speed=PACE, **trial.options) as server:
                args = ("watch", *SYMBOLS, "--url", server.url, "--events", *trial.args)
                result = Thread(*args, env={"TICKATLAS_API_KEY": KEY}).wait(LONGEST_S)
                simulator = server.simulator
                self._outcomes[name] = Outcome(result, server.sent, simulator.connections, simulator.auth_frames)
        except BaseException as failure:  # raised again in the test that asks
            self._failures[name] = failure
