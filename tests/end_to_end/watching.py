"""`tickstream` run from end to end: as a process, or in a thread of this one, against a simulator on loopback.

Both kinds of run are read by threads, so that a test waits for what it wants to see, with a deadline, never for time
to pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from tickstream.cli.app import main
from tickstream.cli.environment import Environment
from tickstream.clock import Clock, SystemClock
from tickstream.errors import ExitCode
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator

DEADLINE_S = 20.0
"""Nothing that a test waits for takes nearly as long, even on a machine that is busy with something else."""
FAST = 6000.0
"""Market time: a minute in 10 ms, so 100 pushes a second and symbol."""
MONDAY_NS = 1_782_086_400 * 10**9
"""2026-06-22T00:00:00Z: markets are open for days."""
COMMAND = (sys.executable, "-m", "tickstream")

Event = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    code: int
    out: bytes
    err: str

    @cached_property
    def lines(self) -> list[str]:
        """Standard output, line by line; it must end with a line end."""
        assert not self.out or self.out.endswith(b"\n"), f"ends in the middle of a line: {self.out[-80:]!r}"
        return self.out.decode().splitlines()

    @cached_property
    def events(self) -> list[Event]:
        """Standard output as JSON lines."""
        return [event_of(line) for line in self.lines]

    @cached_property
    def bars(self) -> list[Event]:
        """The market data among them."""
        return of_type(self.events, "bar")

    @cached_property
    def gaps(self) -> list[Event]:
        """The gaps among them."""
        return of_type(self.events, "gap")

    @cached_property
    def summary(self) -> Event:
        """The account of the run, from standard output (`--events`), else from stderr (`--log-format json`)."""
        for text in (self.out.decode(), self.err):
            for line in text.splitlines():
                if line.startswith('{"type":"summary"'):
                    return event_of(line)
        raise AssertionError(f"there is no summary in {self.err!r}")


def event_of(line: str) -> Event:
    """One JSON line; numbers stay the text they are, digit for digit."""
    decoded = json.loads(line, parse_float=str, parse_int=str, parse_constant=_no_number)
    assert isinstance(decoded, dict), line
    return decoded


def _no_number(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


def of_type(events: list[Event], kind: str) -> list[Event]:
    """Those of one type, in order."""
    return [event for event in events if event["type"] == kind]


class Pump:
    """Reads a pipe to its end in a thread; with `hold` not before `flow`, as a reader who is busy elsewhere."""

    def __init__(self, fd: int, *, hold: bool = False) -> None:
        self.data = bytearray()
        self.ended = False
        self.fd = fd
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._begun = False
        if not hold:
            self.flow()

    def flow(self) -> None:
        """Begin to read."""
        self._begun = True
        self._thread.start()

    def wait_for(self, true: Callable[[bytearray], object], what: str) -> None:
        """Wait until this is true of what was read. Fails when the pipe ends, or the deadline comes, before it is."""
        with self._changed:
            self._changed.wait_for(lambda: true(self.data) or self.ended, DEADLINE_S)
            assert true(self.data), f"{what}: not seen, there is only {bytes(self.data[-2000:])!r}"

    def leave(self) -> None:
        """Close the pipe, as a reader who has seen enough; a read that waits sees that with the next data."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, self.fd)
        os.close(null)

    def join(self) -> None:
        """Wait for the end."""
        if not self._begun:
            self.flow()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), f"still being written after {DEADLINE_S} s"

    def _run(self) -> None:
        while True:
            try:
                chunk = os.read(self.fd, 65536)
            except OSError:  # a terminal whose other side has gone
                chunk = b""
            with self._changed:
                self.data += chunk
                self.ended = not chunk
                self._changed.notify_all()
            if not chunk:
                os.close(self.fd)
                return


class Running:
    """A run in progress. Base of the two kinds."""

    def __init__(self, out: Pump, err: Pump) -> None:
        self.out = out
        self.err = err

    def wait_for_lines(self, count: int) -> list[str]:
        """Wait until standard output has so many lines, and return all there are."""
        self.out.wait_for(lambda data: data.count(b"\n") >= count, f"{count} lines")
        return bytes(self.out.data).rpartition(b"\n")[0].decode().splitlines()

    def wait_for_event(self, **fields: str) -> None:
        """Wait for a JSON line with these fields."""
        parts = [json.dumps({name: value})[1:-1].replace(": ", ":").encode() for name, value in fields.items()]
        self.out.wait_for(
            lambda data: any(all(part in line for part in parts) for line in bytes(data).splitlines()), f"{fields}"
        )

    def wait_said(self, text: str, times: int = 1) -> None:
        """Wait until stderr holds this text, so many times."""
        self.err.wait_for(lambda data: data.count(text.encode()) >= times, text)

    def wait(self, seconds: float = DEADLINE_S) -> Result:
        """Wait for the end."""
        code = self._code(seconds)
        self.out.join()
        self.err.join()
        return Result(code, bytes(self.out.data), self.err.data.decode())

    def _code(self, seconds: float) -> int:
        raise AssertionError("a run is a process or a thread")


class Process(Running):
    """`tickstream` as a process of its own. Leaving the context kills it, if it still runs.

    `shell`: a script to run instead, in which `$tickstream` is the command. `hold`: standard output is not read before
    `read_on`. `out_fd`, `err_fd`: descriptors to write to instead of pipes.
    """

    def __init__(
        self,
        *args: str,
        shell: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        hold: bool = False,
        out_fd: int | None = None,
        err_fd: int | None = None,
        cwd: Path | None = None,
        umask: int = -1,
    ) -> None:
        command: Sequence[str] = (*COMMAND, *args)
        if shell is not None:
            command = ("bash", "-c", f"tickstream='{' '.join(COMMAND)}'\n{shell}", *args)
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE if out_fd is None else out_fd,
            stderr=subprocess.PIPE if err_fd is None else err_fd,
            env=None if env is None else dict(env),
            cwd=cwd,
            umask=umask,
        )
        if self.popen.stdin is not None and stdin is not None:
            self.popen.stdin.write(stdin)
            self.popen.stdin.close()
        super().__init__(_pump_of(self.popen.stdout, hold), _pump_of(self.popen.stderr, False))

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(DEADLINE_S)
        self.out.join()
        self.err.join()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.popen.send_signal(number)

    def stop(self) -> Result:
        """End it as a service manager does, and return what it left behind."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def read_on(self) -> None:
        """The reader of its output begins to read."""
        self.out.flow()

    def peak_memory(self) -> int:
        """The most memory it has had in use so far, bytes. Of Linux."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def _code(self, seconds: float) -> int:
        return self.popen.wait(seconds)


def _pump_of(pipe: Any, hold: bool) -> Pump:
    if pipe is None:
        read, write = os.pipe()  # the output goes elsewhere: an empty pipe in its place
        os.close(write)
        return Pump(read)
    fd = os.dup(pipe.fileno())
    pipe.close()
    return Pump(fd, hold=hold)


class Thread(Running):
    """`tickstream` in a thread of this process: cheap, and with an environment and a clock of one's own.

    Nobody can send it a signal. `leave` makes it end as a pipe whose reader goes away.
    """

    def __init__(self, *args: str, env: Mapping[str, str] | None = None, clock: Clock | None = None) -> None:
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        self._args = args
        self._result: int | None = None
        self._left = threading.Event()
        self._read_out = read_out
        self._here = Environment(
            stdin=open(os.devnull, "rb"),  # noqa: SIM115, PTH123 - closed in `_run`
            stdout=os.fdopen(write_out, "wb"),
            stderr=os.fdopen(write_err, "w", encoding="utf-8"),
            env=dict(env or {}),
            clock=clock or SystemClock(),
        )
        super().__init__(Pump(read_out), Pump(read_err))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = main(self._args, self._here)
        finally:
            for stream in (self._here.stdin, self._here.stdout, self._here.stderr):
                with contextlib.suppress(OSError):
                    stream.close()

    def _code(self, seconds: float) -> int:
        self._thread.join(seconds)
        assert self._result is not None, f"still running after {seconds} s: {bytes(self.err.data)!r}"
        return self._result


def run(*args: str, **how: Any) -> Result:
    """A process from its start to its end; `how` as for Process."""
    with Process(*args, **how) as process:
        return process.wait()


class Server:
    """A simulator, and the lines of its log."""

    def __init__(self, simulator: Simulator, log: list[str]) -> None:
        self.simulator = simulator
        self.log = log

    @property
    def url(self) -> str:
        return self.simulator.url

    def watch(self, *args: str, **how: Any) -> Process:
        """A process that watches it."""
        return Process("watch", "--url", self.url, *args, **how)

    def watched(self, *args: str, **how: Any) -> Result:
        """A process that watches it, from its start to its end."""
        return run("watch", "--url", self.url, *args, **how)

    def watched_here(self, *args: str, **how: Any) -> Result:
        """The same in a thread of this process."""
        return Thread("watch", "--url", self.url, *args, **how).wait()

    def wait_for(self, true: Callable[[], bool], what: str) -> None:
        """Wait until this is true of it."""
        assert self.simulator.wait_for(true, DEADLINE_S), f"not so in time: {what}; {self.log}"

    def wait_logged(self, text: str, times: int = 1) -> None:
        """Wait for a line in its log."""
        self.wait_for(lambda: sum(text in line for line in self.log) >= times, text)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Every push it sent: symbol, and the time of its minute as in the output."""
        from tickstream.timestamps import rfc3339

        return [(push.symbol, rfc3339(push.market_ns)) for push in self.simulator.sent]


@contextlib.contextmanager
def serve(*faults: str, speed: float = FAST, start_ns: int | None = MONDAY_NS, **options: Any) -> Iterator[Server]:
    """A simulator with these faults that keeps a record of what it sends."""
    log: list[str] = []
    settings = SimulatorOptions(faults=faults, speed=speed, start_ns=start_ns, record=True, log=log.append, **options)
    with Simulator(settings) as simulator:
        yield Server(simulator, log)


def minutes_of(bars: list[Event]) -> list[tuple[str, str]]:
    """What identifies bars: symbol and minute."""
    return [(bar["symbol"], bar["ts_event"]) for bar in bars]


def assert_exit(result: Result, code: ExitCode) -> Result:
    """The run ended with this code, said nothing of a bug, and left whole lines."""
    assert ExitCode(result.code) is code, f"{ExitCode(result.code)!r} instead of {code!r}: {result.err[-2000:]}"
    assert "Traceback" not in result.err, result.err
    if code is not ExitCode.BUG:
        assert "internal error" not in result.err, result.err
    assert result.lines is not None
    return result


def assert_gap(gap: Event, reason: str, symbols: Sequence[str], before: Event, after: Event | None) -> None:
    """The gap says why, whom it concerns, and reaches from the last data before to the first data after."""
    assert gap["reason"] == reason, gap
    assert set(gap["symbols"]) == set(symbols), gap
    assert gap["from"] == before["ts_recv"], (gap, before)
    if after is not None:
        assert gap["to"] == after["ts_recv"], (gap, after)


def eventually(true: Callable[[], object], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait for something that nobody tells us about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not in {seconds} s: {what}"
        time.sleep(0.005)
