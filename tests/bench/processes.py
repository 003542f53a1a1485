"""Processes that are measured: CPU time, peak memory, the moment of their end. Linux only."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from tests.bench.machine import CLIENT_CORE, TICK_S, on_core

ROOT = Path(__file__).resolve().parent.parent.parent
LOOK_S = 0.02
PATIENCE_S = 300.0
_MEMORY = ("VmHWM", "VmRSS")


class Failed(Exception):
    """A measured program did not do its work."""


class Usage(NamedTuple):
    """What a process has taken by its end."""

    ended_at: float
    """Monotonic seconds."""
    cpu_s: float
    peak_kib: int
    code: int


class Child:
    """A running process. `close` ends it in any case."""

    def __init__(
        self,
        command: Sequence[str],
        env: dict[str, str],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = None,
        core: int | None = CLIENT_CORE,
        session: bool = False,
    ) -> None:
        self._said = TemporaryFile()  # noqa: SIM115 - `close` closes it
        self.command = command
        with on_core(core):
            self.started_at = time.monotonic()
            self.process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=stdin, stdout=stdout, stderr=stderr or self._said,
                start_new_session=session,
            )  # fmt: skip
        self.pid = self.process.pid
        self._peak_kib = 0

    def cpu_s(self) -> float:
        """User and system time up to now, of all threads, in ticks of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def rss_kib(self) -> int:
        """Memory now, and the peak remembered; 0 when the process has ended."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text("utf-8", "replace").splitlines()
        except OSError:
            return 0
        found = {
            name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if name in _MEMORY
        }
        self._peak_kib = max(self._peak_kib, found.get("VmHWM", 0))
        return found.get("VmRSS", 0)

    def wait(
        self, seconds: float = PATIENCE_S, look: Callable[[], object] | None = None, every_s: float = LOOK_S
    ) -> Usage:
        """Until it ends, within so many seconds. Raises Failed. `look` is called meanwhile, every `every_s` seconds."""
        deadline = time.monotonic() + seconds
        handle = os.pidfd_open(self.pid)
        try:
            while not select.select([handle], [], [], every_s)[0]:
                self.rss_kib()
                if look is not None:
                    look()
                if time.monotonic() > deadline:
                    raise Failed(f"{self.command[0]} did not end within {seconds:.0f} s.\n{self.said()}")
            ended_at = time.monotonic()
        finally:
            os.close(handle)
        _, status, used = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Usage(ended_at, used.ru_utime + used.ru_stime, self._peak(used.ru_maxrss), self.process.returncode)

    def _peak(self, reported: int) -> int:
        """ru_maxrss, which begins with the memory of who started the process: of use only where it is above that."""
        ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return reported if reported > ours else self._peak_kib

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def said(self) -> str:
        """What it wrote to stderr."""
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace")

    def close(self) -> None:
        """End it if it still runs, and close our ends of its pipes."""
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what is buffered has no reader any more
                    pipe.close()
        self._said.close()

    def kill(self) -> None:
        """End it if it still runs."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
