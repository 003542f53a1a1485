"""cron: one line. Pure.

cron starts the line every five minutes; while a run is recording, another ends at once without a word. cron mails what
a line prints: that is only what somebody should know. Facts from crontab(5) of Debian's cron 3.0pl1 and of cronie 1.6.
"""

from __future__ import annotations

import re

from tickstream.errors import UsageError
from tickstream.schedulers import shell
from tickstream.schedulers.base import FINAL, Job, Part, Scheduler, Start, numbers

MAX_COMMAND = 998
"""Bytes. Debian's cron refuses a longer one."""
_ESCAPES = {"%": r"\%", "\\": r"""'"$(printf '\134')"'"""}
"""A backslash stands in a word that shlex has put between single quotes: these end, and begin again behind it."""


def parts(job: Job) -> list[Part]:
    """The line, with comments. Raises UsageError when it gets too long for cron."""
    once = job.start is not None
    rest = "" if once else shell.unless_final()
    script = f"{shell.prepare(job)}{rest}{shell.unless_running()}{shell.run(job)}; c=$?; {shell.verdict(once=once)}"
    line = escaped(script)
    if len(line.encode()) > MAX_COMMAND:
        raise UsageError(
            f"the line would have {len(line.encode())} bytes, and cron takes {MAX_COMMAND}",
            hint="Put the symbols into a watchlist of the config file, and schedule @NAME.",
        )
    return [Part("crontab", "crontab -e", f"{_comment(job)}{_when(job.start)} {line}\n")]


def escaped(script: str) -> str:
    r"""The script so that every cron hands it to the shell as it is.

    An unescaped % ends the command. `\%` is % everywhere, but two backslashes become one in Debian's cron and stay two
    in cronie: so each backslash of ours comes from printf, which takes it as `\134`.
    """
    return re.sub(r"[\\%]", lambda found: _ESCAPES[found[0]], script)


def _when(start: Start | None) -> str:
    if start is None:
        return "*/5 * * * *"
    days = "*" if len(start.days) == 7 else ",".join(str((day + 1) % 7) for day in start.days)  # Sunday is 0
    return f"{start.minute} {start.hour} * * {days}"


def _comment(job: Job) -> str:
    lines = [f"tickstream capture: {job.title}"]
    if job.start is None:
        lines.append("Started every five minutes: while a run records, another ends at once.")
        lines.append(
            f"After exit codes {numbers(FINAL, ', ')} it rests for a day, or until {shell.stop_file(job)} is deleted."
        )
    if job.env_file is not None:
        lines.append(f"Variables, such as the key, come from {job.env_file} if it is there.")
    return "".join(f"# {line}\n" for line in lines)


def install(job: Job) -> str:  # noqa: ARG001 - the same for every job
    """Where the line goes."""
    return "Add the lines to your crontab: `crontab -e`, or save them together with what `crontab -l` prints."


SCHEDULER = Scheduler("cron", parts, install)
