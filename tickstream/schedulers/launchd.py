"""launchd of macOS: one agent. Pure, and tested on Linux: that it is a property list, and that a shell runs its script.

launchd knows success and failure, no exit codes: a shell around the run says failure where it is to start again, and
passes the signal on that ends it. Facts from launchd.plist(5).
"""

from __future__ import annotations

from tickstream.schedulers import shell
from tickstream.schedulers.base import Job, Part, Scheduler, Start


def parts(job: Job) -> list[Part]:
    """The property list."""
    import plistlib

    content: dict[str, object] = {
        "Label": job.name,
        "ProgramArguments": ["/bin/sh", "-c", script(job)],
        "ExitTimeOut": 30,
    }
    if job.start is None:
        content |= {"RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}, "ThrottleInterval": 30}
    else:
        content["StartCalendarInterval"] = _calendar(job.start)
    text = plistlib.dumps(content, sort_keys=False).decode()
    return [Part("plist", f"~/Library/LaunchAgents/{job.name}.plist", text)]


def script(job: Job) -> str:
    """The run in the background, so that the shell hears the signals and can pass them on."""
    wait = "trap 'kill $p' TERM INT HUP; while :; do wait $p; c=$?; kill -0 $p 2>/dev/null || break; done"
    return f"{shell.prepare(job)}{shell.run(job)} & p=$!; {wait}; {shell.restart_verdict(job)}"


def _calendar(start: Start) -> object:
    time = {"Hour": start.hour, "Minute": start.minute}
    if len(start.days) == 7:
        return time
    return [{"Weekday": (day + 1) % 7, **time} for day in start.days]  # Sunday is 0


def install(job: Job) -> str:
    """Where it goes."""
    file = f"~/Library/LaunchAgents/{job.name}.plist"
    return f"Save it as {file}, then run:\n  launchctl bootstrap gui/$(id -u) {file}"


SCHEDULER = Scheduler("launchd", parts, install)
