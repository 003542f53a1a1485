from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedulers.making import WORDS, job
from tickstream.errors import UsageError
from tickstream.schedulers.base import Job, Start
from tickstream.schedulers.schtasks import command_line, parts

SPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def task(made: Job) -> ET.Element:
    (part,) = parts(made)
    assert part.text.isascii()
    return ET.fromstring(part.text)


def text(root: ET.Element, path: str) -> str:
    found = root.find("/".join(SPACE + name for name in path.split("/")))
    assert found is not None, path
    return found.text or ""


def windows_reads(line: str) -> list[str]:
    """The words Windows' C runtime makes of a line, as Microsoft documents it ("Parsing C++ command-line arguments").

    2n backslashes before a quote are n, and the quote begins or ends; 2n+1 are n and a quote; others are backslashes.
    """
    words: list[str] = []
    current: str | None = None
    quoted = False
    for slashes, sign in re.findall(r'(\\*)(["\s]|[^\\"\s]|$)', line):
        if sign == '"':
            current = (current or "") + "\\" * (len(slashes) // 2)
            if len(slashes) % 2:
                current += '"'
            else:
                quoted = not quoted
            continue
        if slashes:
            current = (current or "") + slashes
        if sign and (quoted or not sign.isspace()):
            current = (current or "") + sign
        elif current is not None:
            words.append(current)
            current = None
    return words if current is None else [*words, current]


AWKWARD = ("a b", 'say "x"', "C:\\data\\", "C:\\my data\\", '\\"', "\\\\", "a\\\\b c", "", "<&>", "é€", "'", "x" * 300)


def test_awkward_words_reach_the_program_as_they_are() -> None:
    arguments = text(task(job(*AWKWARD)), "Actions/Exec/Arguments")
    assert windows_reads(arguments) == ["-m", "tickstream", "capture", *AWKWARD]


@given(st.lists(WORDS | st.text('\\" ab', max_size=6), max_size=6))
def test_any_words_reach_the_program_as_they_are(words: list[str]) -> None:
    assert windows_reads(command_line(words)) == words


@pytest.mark.parametrize("word", ["100%", "%PATH%", "$(Arg0)"])
def test_words_that_windows_would_expand_are_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expand"):
        parts(job(word))


def test_it_is_tried_every_quarter_of_an_hour_and_never_twice_at_once() -> None:
    root = task(job())
    assert text(root, "Triggers/TimeTrigger/Repetition/Interval") == "PT15M"
    assert text(root, "Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert text(root, "Settings/ExecutionTimeLimit") == "PT0S"


def test_it_starts_at_a_time_of_day() -> None:
    root = task(job(start=Start(8, 5, (0, 4))))
    assert text(root, "Triggers/CalendarTrigger/StartBoundary") == "2026-01-01T08:05:00"
    days = root.find(f".//{SPACE}DaysOfWeek")
    assert days is not None
    assert [day.tag.removeprefix(SPACE) for day in days] == ["Monday", "Friday"]


def test_the_title_is_text_whatever_it_holds() -> None:
    assert text(task(job(title="<EUR> & Zürich")), "RegistrationInfo/Description").endswith(": <EUR> & Zürich")
