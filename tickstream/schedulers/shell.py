"""The run as a script for a POSIX shell: environment file, log, and what its exit code means. Pure."""

from __future__ import annotations

import posixpath
import shlex

from tickstream.errors import ExitCode
from tickstream.schedulers.base import FINAL, HARMLESS, Job, numbers

_FINE = numbers((ExitCode.OK, *HARMLESS), "|")


def prepare(job: Job) -> str:
    """What comes before the run: the folder of the log, and the variables of the environment file if it is there."""
    steps = f"mkdir -p {shlex.quote(posixpath.dirname(job.log))}; "
    if job.env_file is not None:
        file = shlex.quote(job.env_file)
        steps += f"if [ -r {file} ]; then set -a; . {file}; set +a; fi; "
    return steps


def run(job: Job) -> str:
    """The run with its output in the log."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in job.variables)
    return f"{variables}{shlex.join(job.command)} >> {shlex.quote(job.log)} 2>&1"


def complaint(job: Job) -> str:
    """A line that says that `$c` was no success."""
    return f"echo tickstream capture ended with exit code $c, see {shlex.quote(job.log)}"


def unless_final(job: Job) -> str:
    """Whether a run failed in the last day in a way that starting again does not mend: then the script ends."""
    return f'[ -n "$(find {shlex.quote(stop_file(job))} -mtime -1 2>/dev/null)" ] && exit; '


def stop_file(job: Job) -> str:
    """The file that remembers it."""
    return f"{posixpath.splitext(job.log)[0]}.stopped"


def verdict(job: Job, *, once: bool) -> str:
    """What `$c` means: silence, or a complaint; unless it runs `once`, no restart for a day where none helps."""
    remember = "" if once else f"{numbers(FINAL, '|')}) touch {shlex.quote(stop_file(job))};; "
    return f"case $c in {_FINE}) exit;; {remember}esac; {complaint(job)}"


def restart_verdict(job: Job) -> str:
    """The exit code for a supervisor that starts again after every failure: 0 where it is not to, 1 where it is."""
    done = HARMLESS if job.ends_well else (ExitCode.OK, *HARMLESS)
    return f"case $c in {numbers((*done, *FINAL), '|')}) exit 0;; esac; exit 1"
