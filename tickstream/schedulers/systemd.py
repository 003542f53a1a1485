"""systemd: a service and a timer, in the user's own manager, or in the machine's with an account. Pure.

The timer starts it once a day and with the manager, which does nothing while it runs; the service itself starts again
after failures that pass. Facts from systemd.service(5), systemd.exec(5), systemd.timer(5), systemd.syntax(7).
"""

from __future__ import annotations

import re

from tickstream.errors import UsageError
from tickstream.schedulers.base import DAY_NAMES, HARMLESS, Job, Part, Scheduler, Start, numbers
from tickstream.suggestions import shown

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_NO_PATH = re.compile(r"^\s|\s$|[*?\[\\]")
"""The path of an environment file is not quoted, and is a pattern."""
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?")


def word(text: str) -> str:
    """One word of a command line: `ExecStart=` gives it to the program as it is."""
    if _PLAIN.fullmatch(text):
        return text
    return f'"{_escaped(text).replace("$", "$$")}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def parts(job: Job) -> list[Part]:
    """Service and timer. Raises UsageError for an environment file or an account that cannot be named in a unit."""
    folder = "/etc/systemd/system" if job.run_as else "~/.config/systemd/user"
    return [
        Part("service", f"{folder}/{job.name}.service", _service(job)),
        Part("timer", f"{folder}/{job.name}.timer", _timer(job)),
    ]


def _service(job: Job) -> str:
    unit = [f"Description=tickstream capture: {job.title.replace('%', '%%')}"]
    if job.run_as:
        unit += ["Wants=network-online.target", "After=network-online.target"]
    service = ["Type=exec", f"ExecStart={' '.join(map(word, job.command))}"]
    service += [f'Environment="{name}={_escaped(value)}"' for name, value in job.variables]
    if job.env_file is not None:
        service += ["# KEY=value lines, such as the key; the - says that it need not exist", _env_file(job.env_file)]
    if job.run_as:
        service += [f"User={_account(job.run_as)}", "NoNewPrivileges=yes", "PrivateTmp=yes", "ProtectSystem=full"]
    service += [
        "# Another run records already, or somebody ended this one: no failures",
        f"SuccessExitStatus={numbers(HARMLESS, ' ')}",
        "# Nothing that a restart mends",
        f"RestartPreventExitStatus={numbers(job.no_restart, ' ')}",
        f"Restart={'always' if job.goes_on else 'on-failure'}",
        "RestartSec=30",
        "# To write what has arrived, and to say goodbye",
        "TimeoutStopSec=30",
    ]
    # Without the limit of starts: months are long, and it is 30 s from one to the next.
    return _sections(("Unit", [*unit, "StartLimitIntervalSec=0"]), ("Service", service))


def _timer(job: Job) -> str:
    timer = [f"OnCalendar={_calendar(job.start)}", "AccuracySec=1s", "Persistent=true"]
    if job.start is None:
        timer.append("OnStartupSec=30")
    unit = [f"Description=When to start {job.name}.service"]
    return _sections(("Unit", unit), ("Timer", timer), ("Install", ["WantedBy=timers.target"]))


def _calendar(start: Start | None) -> str:
    if start is None:
        return "*-*-* 00:00:00"
    days = "" if len(start.days) == 7 else ",".join(DAY_NAMES[day].title() for day in start.days) + " "
    return f"{days}*-*-* {start.hour:02}:{start.minute:02}:00"


def _env_file(path: str) -> str:
    if _NO_PATH.search(path):
        raise UsageError(
            f"--env-file: systemd cannot name {shown(path)}",
            hint=r"Take a path without *, ?, [, \ and without blanks at its ends.",
        )
    return f"EnvironmentFile=-{path.replace('%', '%%')}"


def _account(name: str) -> str:
    if _ACCOUNT.fullmatch(name) is None:
        raise UsageError(f"--run-as: {shown(name)} is no name of an account")
    return name


def _sections(*sections: tuple[str, list[str]]) -> str:
    return "\n".join("\n".join([f"[{name}]", *lines, ""]) for name, lines in sections)


def install(job: Job) -> str:
    """Where the parts go, and how they come to life."""
    user = "" if job.run_as else " --user"
    lines = [
        "Save each part (--part service, --part timer) as the file its heading names, then run:",
        f"  systemctl{user} daemon-reload && systemctl{user} enable --now {job.name}.timer",
    ]
    if not job.run_as:
        lines.append("  loginctl enable-linger    # so that it runs while you are not logged in")
    lines.append(f"Its words: journalctl{user} -u {job.name}")
    return "\n".join(lines)


SCHEDULER = Scheduler("systemd", parts, install)
