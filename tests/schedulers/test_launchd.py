from __future__ import annotations

import plistlib
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedulers.making import AWKWARD, WORDS, job
from tests.schedulers.test_cron import needs_sh, shell_reads
from tickstream.schedulers.base import Job, Start
from tickstream.schedulers.launchd import parts, script


def plist(made: Job) -> dict[str, Any]:
    (part,) = parts(made)
    found = plistlib.loads(part.text.encode())
    assert isinstance(found, dict)
    return found


@given(st.lists(WORDS, max_size=8))
def test_the_script_comes_back_out_of_the_property_list(words: list[str]) -> None:
    made = job(*words)
    assert plist(made)["ProgramArguments"] == ["/bin/sh", "-c", script(made)]


@needs_sh
def test_awkward_words_reach_the_program_as_they_are() -> None:
    import shlex

    assert shell_reads(f"args {shlex.join(AWKWARD)}") == list(AWKWARD)
    assert shlex.join(AWKWARD) in script(job(*AWKWARD))


def test_it_runs_always_and_starts_again_after_failures() -> None:
    found = plist(job())
    assert found["Label"] == "tickstream-capture"
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["RunAtLoad"] is True


def test_it_starts_at_a_time_of_day() -> None:
    assert plist(job(start=Start(8, 5)))["StartCalendarInterval"] == {"Hour": 8, "Minute": 5}
    found = plist(job(start=Start(8, 5, (0, 6))))
    assert found["StartCalendarInterval"] == [
        {"Weekday": 1, "Hour": 8, "Minute": 5},
        {"Weekday": 0, "Hour": 8, "Minute": 5},
    ]
    assert "KeepAlive" not in found


def started(tmp_path: Path, words: str, **changes: Any) -> subprocess.Popen[bytes]:
    sh = shutil.which("sh")
    assert sh is not None
    made = job(program=("/bin/sh", "-c"), arguments=(words,), log=str(tmp_path / "deep" / "log"), **changes)
    return subprocess.Popen([sh, "-c", script(made)])


@needs_sh
@pytest.mark.parametrize(
    ("exit_code", "goes_on", "seen"),
    [
        (0, False, 0),
        (0, True, 1),
        (10, False, 1),
        (1, True, 1),
        (4, False, 0),
        (4, True, 0),
        (17, True, 0),
        (143, True, 0),
    ],
)
def test_success_is_what_needs_no_restart(tmp_path: Path, exit_code: int, goes_on: bool, seen: int) -> None:
    with started(tmp_path, f"exit {exit_code}", goes_on=goes_on) as process:
        assert process.wait(20) == seen


@needs_sh
def test_the_signal_that_ends_it_reaches_the_run_which_is_waited_for(tmp_path: Path) -> None:
    words = "trap 'echo drained; exit 143' TERM; echo ready; while :; do sleep 0.05; done"
    log = tmp_path / "deep" / "log"
    with started(tmp_path, words) as process:
        while not (log.exists() and "ready" in log.read_text()):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert log.read_text() == "ready\ndrained\n"
