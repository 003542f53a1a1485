"""The run as a script for a POSIX shell: environment file, log, and what its exit code means. Pure.

In the script `$l` is the log, `$c` the exit code of the run.
"""

from __future__ import annotations

import shlex

from tickstream.errors import ExitCode
from tickstream.schedulers.base import FINAL, HARMLESS, Job, numbers

_FINE = numbers((ExitCode.OK, *HARMLESS), "|")


def prepare(job: Job) -> str:
    """What comes first: the folder of the log, and the variables of the environment file if it is there."""
    steps = f'l={shlex.quote(job.log)}; mkdir -p "${{l%/*}}/"; '
    if job.env_file is not None:
        file = shlex.quote(job.env_file)
        steps += f"if [ -r {file} ]; then set -a; . {file}; set +a; fi; "
    return steps


def unless_final() -> str:
    """The end, if a run failed in the last day in a way that starting again does not mend."""
    return '[ -n "$(find "$l.stopped" -mtime -1 2>/dev/null)" ] && exit; '


def unless_running() -> str:
    """The end, if a run of this script goes on. `capture` looks itself, but says so each time.

    The lock is inherited by the run, and ends with it. Where there is no flock(1), `capture` says it.
    """
    return 'if command -v flock >/dev/null; then exec 9>>"$l.lock"; flock -n 9 || exit; fi; '


def run(job: Job) -> str:
    """The run with its output in the log."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in job.variables)
    return f'{variables}{shlex.join(job.command)} >> "$l" 2>&1'


def verdict(*, once: bool) -> str:
    """Silence, or a line that says that it was no success; unless it runs `once`, a rest where no restart helps."""
    remember = "" if once else f'{numbers(FINAL, "|")}) touch "$l.stopped";; '
    return f'case $c in {_FINE}) exit;; {remember}esac; echo "tickstream capture ended with exit code $c, see $l"'


def restart_verdict(job: Job) -> str:
    """The exit code for a supervisor that starts again after every failure: 0 where it is not to, 1 where it is."""
    return f"case $c in {numbers(job.no_restart, '|')}) exit 0;; esac; exit 1"


def stop_file(job: Job) -> str:
    """The file that remembers a failure."""
    return f"{job.log}.stopped"
