"""Task Scheduler of Windows: one task, as XML for `schtasks /Create`. Pure, and tested on Linux: its form only.

The task is started every 15 minutes, which is ignored while it runs. The scheduler cannot choose by exit code: a run
that fails for good is tried again as often. Facts from the Task Scheduler schema (MS-TSCH, 2.5). The text is ASCII
without an XML declaration: schtasks refuses one that names another encoding than the file's.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from tickstream.errors import UsageError
from tickstream.schedulers.base import Job, Part, Scheduler, Start
from tickstream.suggestions import shown

_EXPANDED = re.compile(r"%|\$\(")
"""Task Scheduler expands variables in the program and in its arguments, and knows no escape."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_BEGINNING = "2026-01-01T"
"""The day of a trigger's start: any one in the past."""


def parts(job: Job) -> list[Part]:
    """The task. Raises UsageError for words that Task Scheduler would change."""
    for text in job.command:
        if _EXPANDED.search(text):
            raise UsageError(
                f"{shown(text)} cannot be written into a task: Windows would expand its variables",
                hint="Use paths and symbols without % and $(.",
            )
    return [Part("task", f"{job.name}.xml", _task(job))]


def _task(job: Job) -> str:
    command, *arguments = job.command
    return f"""\
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{_text(f"tickstream capture: {job.title}")}</Description>
  </RegistrationInfo>
  <Triggers>
{_trigger(job.start)}
  </Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions>
    <Exec>
      <Command>{_text(command)}</Command>
      <Arguments>{_text(command_line(arguments))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _trigger(start: Start | None) -> str:
    if start is None:
        return f"""\
    <TimeTrigger>
      <Repetition><Interval>PT15M</Interval></Repetition>
      <StartBoundary>{_BEGINNING}00:00:00</StartBoundary>
    </TimeTrigger>"""
    days = "".join(f"<{_DAYS[day]} />" for day in start.days)
    return f"""\
    <CalendarTrigger>
      <StartBoundary>{_BEGINNING}{start.hour:02}:{start.minute:02}:00</StartBoundary>
      <ScheduleByWeek><DaysOfWeek>{days}</DaysOfWeek><WeeksInterval>1</WeeksInterval></ScheduleByWeek>
    </CalendarTrigger>"""


def command_line(arguments: list[str]) -> str:
    """One line that Windows' C runtime takes apart into these arguments."""
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    """Backslashes count only before a quote, where each is written twice."""
    if argument and not re.search(r'[\s"]', argument):
        return argument
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), argument) + '"'


def _text(value: str) -> str:
    return escape(value).encode("ascii", "xmlcharrefreplace").decode()


def install(job: Job) -> str:
    """How the task is made."""
    return (
        f"Save it as {job.name}.xml, then run:\n"
        f"  schtasks /Create /TN {job.name} /XML {job.name}.xml\n"
        "The key: `tickstream config set-key`. To run it while you are logged off, add /RU YOU /RP *."
    )


SCHEDULER = Scheduler("schtasks", parts, install, sets_variables=False)
