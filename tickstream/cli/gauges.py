"""What shows how a run goes while it goes: the metrics file, and the progress line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tickstream.capture.progress import progress_line
from tickstream.cli.chores import Chore
from tickstream.cli.environment import Environment
from tickstream.cli.run import Run
from tickstream.cli.talk import Talk
from tickstream.errors import ExitCode, OutputError, TickstreamError
from tickstream.metrics import Metrics, Totals
from tickstream.pipeline.freshness import FreshnessStage
from tickstream.status import FilesStatus, Pace, RunStatus

METRICS_S = 5.0
"""How often the metrics file is written."""
PROGRESS_S = 1.0
METRICS_MODE = 0o644
"""Whoever collects it is mostly another user."""


class MetricsFile:
    """A Prometheus textfile, replaced as a whole every few seconds. `stage` has to be among those of the run.

    Raises OutputError when it cannot be written at the start; later that is a warning, for data is worth more.
    """

    def __init__(
        self,
        path: Path,
        env: Environment,
        talk: Talk,
        status: RunStatus,
        files: Callable[[], FilesStatus | None] = lambda: None,
    ) -> None:
        self.stage = FreshnessStage(None if status.several else status.provider)
        self._path = path
        self._clock = env.clock
        self._talk = talk
        self._metrics = Metrics(path.stem, status, self.stage.last_data, env.clock.now_ns())
        self._warned = False
        self._totals: Callable[[], Totals] = Totals
        self._files = files
        self._replace(None)

    @property
    def chore(self) -> Chore:
        """For the run."""
        return METRICS_S, self.write

    def write(self, exit_code: ExitCode | None = None) -> None:
        """Replace the file; `exit_code` once the run has ended."""
        try:
            self._replace(exit_code)
        except OutputError as error:
            if not self._warned:
                self._warned = True
                self._talk.line(f"{error.message}; trying on", severity="warning")

    def over(self, run: Run, duplicates: Callable[[], int | None] = lambda: None) -> ExitCode:
        """What the run returns; the file tells at last how it ended."""
        self._totals = lambda: Totals(run.ledger.missed, duplicates())
        code = ExitCode.BUG
        try:
            code = run.execute()
        except TickstreamError as error:
            code = error.exit_code
            raise
        finally:
            self.write(code)
        return code

    def _replace(self, exit_code: ExitCode | None) -> None:
        totals = self._totals()
        totals.exit_code = None if exit_code is None else int(exit_code)
        text = self._metrics.text(self._clock.now_ns(), self._clock.monotonic(), totals, self._files())
        replace(self._path, text.encode())


class Progress:
    """The line on the terminal behind stderr; nothing where there is none."""

    def __init__(self, env: Environment, talk: Talk, status: RunStatus, files: Callable[[], FilesStatus]) -> None:
        self._clock = env.clock
        self._talk = talk
        self._status = status
        self._files = files
        self._pace = Pace()

    @property
    def chore(self) -> Chore:
        """For the run."""
        return PROGRESS_S, self.draw

    def draw(self) -> None:
        """Draw it anew."""
        now = self._clock.monotonic()
        per_s = self._pace.look(self._status.events, now)
        line = progress_line(self._status, self._files(), per_s, self._clock.now_ns(), now)
        self._talk.progress(line)


def replace(path: Path, data: bytes) -> None:
    """Put this in the place of the file, so that whoever reads it sees either. Raises OutputError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a process of the same number, long ago
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, METRICS_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(
            f"Cannot write the metrics file {path}: {error.strerror}.",
            hint="Name a file in a folder that you can write to.",
        ) from None
