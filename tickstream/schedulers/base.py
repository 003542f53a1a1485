"""What is to be started, when, and what its exit codes mean to a scheduler. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from tickstream.errors import ExitCode, UsageError
from tickstream.suggestions import shown

HARMLESS = (ExitCode.LOCKED, ExitCode.SIGHUP, ExitCode.SIGINT, ExitCode.SIGTERM)
"""No failures: another run is at it already, or somebody ended this one, which wrote everything before it went."""

FINAL = (
    ExitCode.USAGE, ExitCode.CONFIG, ExitCode.INVALID_KEY, ExitCode.FORBIDDEN, ExitCode.QUOTA, ExitCode.REFUSED,
    ExitCode.TLS,
)  # fmt: skip
"""Failures that starting again at once does not mend: somebody has to change something, or a day has to pass."""

ENDED = (ExitCode.OK, ExitCode.INCOMPLETE)
"""It ran to its end; under `--strict` something was missing, which another run does not bring back."""

AGAIN = tuple(code for code in ExitCode if code not in (*HARMLESS, *FINAL, *ENDED))
"""Failures of the moment: start again."""

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""What no line of a crontab, no unit and no XML can hold."""


class Start(msgspec.Struct, frozen=True):
    """A time of day of the machine, on these days of the week (0 is Monday)."""

    hour: int
    minute: int
    days: tuple[int, ...] = tuple(range(7))


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A capture to be started. Paths are absolute. Made with `checked`."""

    name: str
    program: tuple[str, ...]
    """The executable, and what makes it tickstream."""
    arguments: tuple[str, ...]
    """`capture`, and what follows."""
    title: str
    """What it records, in a few words."""
    start: Start | None = None
    """None: it is to run at all times."""
    goes_on: bool = False
    """When a run has come to its end there is more to record: start again (`--market-hours`)."""
    log: str
    env_file: str | None = None
    """Holds KEY=value lines; it need not exist."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables that are no secrets."""
    run_as: str | None = None
    """The account of a service of the whole machine; None: the user's own."""

    @property
    def no_restart(self) -> tuple[ExitCode, ...]:
        """The exit codes after which it is not to be started again at once."""
        return tuple(sorted((*HARMLESS, *FINAL) if self.goes_on else (*HARMLESS, *FINAL, *ENDED)))

    @property
    def command(self) -> tuple[str, ...]:
        """Program and arguments."""
        return (*self.program, *self.arguments)


class Part(msgspec.Struct, frozen=True):
    """One file of a schedule."""

    name: str
    """As in `--part NAME`."""
    file: str
    """Where it is usually put."""
    text: str


class Scheduler(msgspec.Struct, frozen=True):
    """What is declared about a scheduler."""

    name: str
    parts: Callable[[Job], list[Part]]
    """Raises UsageError for what it cannot express."""
    install: Callable[[Job], str]
    """What to do with the parts: lines for a person."""
    sets_variables: bool = True
    """It hands the variables of the job and of its environment file to the run."""


def checked(job: Job) -> Job:
    """The job, when each of its texts can stand in a file of lines. Raises UsageError otherwise."""
    if _NAME.fullmatch(job.name) is None:
        raise UsageError(
            f"--name: {shown(job.name)} is no name for a schedule",
            hint="Use letters, digits, '-', '_' and '.', at most 100, and a letter or digit first.",
        )
    texts = (*job.command, job.title, job.log, job.env_file or "", job.run_as or "", *(v for _, v in job.variables))
    for text in texts:
        if _UNPRINTABLE.search(text):
            raise UsageError(
                f"{shown(text)} cannot be written into a schedule: it holds a control character",
                hint="Use a path and symbols without line breaks.",
            )
    return job


def parse_start(at: str, days: str | None) -> Start:
    """`08:00` and `mon-fri` or `mon,wed,fri`. Raises UsageError for anything else."""
    match = _CLOCK.fullmatch(at.strip())
    if match is None:
        raise UsageError(f"--at: {shown(at)} is not a time of day", hint="Write 08:00, in the time of this machine.")
    return Start(int(match[1]), int(match[2]), tuple(range(7)) if days is None else _days(days))


def _days(text: str) -> tuple[int, ...]:
    chosen: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.strip().partition("-")
        if first not in DAY_NAMES or (dash and last not in DAY_NAMES):
            raise UsageError(f"--days: {shown(text)} names no days", hint="Write mon-fri, or mon,wed,fri.")
        begin, end = DAY_NAMES.index(first), DAY_NAMES.index(last or first)
        chosen |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return tuple(sorted(chosen))


def numbers(codes: tuple[ExitCode, ...], between: str) -> str:
    """Exit codes as text."""
    return between.join(str(int(code)) for code in codes)
