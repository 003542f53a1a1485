from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from tickstream.cli.environment import Environment
from tickstream.cli.report import JsonReport, TextReport, shareable
from tickstream.clock import FakeClock
from tickstream.diagnosis import Examination, Finding, Status, Verdict
from tickstream.errors import ConfigError


def here(env: dict[str, str] | None = None, *, tty: bool = False) -> tuple[Environment, io.BytesIO]:
    out = io.BytesIO()
    return Environment(io.BytesIO(), out, io.StringIO(), env or {}, FakeClock(), stdout_isatty=tty), out


def text(finding: Finding, took_s: float = 0.0, **arguments: object) -> str:
    """A step as it is printed."""
    env, out = here(**arguments)  # type: ignore[arg-type]
    exam = Examination(["step"], env.clock, TextReport(env).step)
    assert isinstance(env.clock, FakeClock)
    exam.begin("step")
    env.clock.advance(took_s)
    exam.end(finding)
    return out.getvalue().decode()


# --- safe to paste ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shared"),
    [
        ("/srv/alice/key", "~/key"),
        ("/srv/alice", "~"),
        ("/srv/alice, line 3", "~, line 3"),
        ("/srv/alice2/key", "/srv/alice2/key"),
        ("/home/bob/key", "/home/***/key"),
        ("/Users/bob/key", "/Users/***/key"),
        (r"C:\Users\bob\key", r"C:\Users\***\key"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("two\nlines", "two\\x0alines"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_homes_and_control_characters_are_taken_out(given: str, shared: str) -> None:
    env, _ = here({"HOME": "/srv/alice"})
    assert shareable(env)(given) == shared


def test_the_home_of_the_process_is_taken_out_where_the_variables_name_none() -> None:
    env, _ = here({})
    assert shareable(env)(f"{Path.home()}/key") == "~/key"


def test_a_home_that_is_the_root_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    env, _ = here({"HOME": "/"})
    assert shareable(env)("/etc/key") == "/etc/key"


# --- text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0004, "<1 ms"), (0.0014, "1 ms"), (9.9994, "9999 ms"), (75.04, "75.0 s")]
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert text(Finding("fine"), seconds) == f"ok    step         {shown:>7}  fine\n"


def test_a_step_without_detail_is_a_line_without_trailing_spaces() -> None:
    assert text(Finding("", Status.SKIP)) == "skip  step           <1 ms\n"


def test_verdict_and_advice_stand_below_the_detail() -> None:
    warning = Finding("the clock is off by a great many seconds in one direction", Status.WARN, Verdict.YOU, "Set it.")
    assert text(warning).splitlines() == [
        "warn  step           <1 ms  the clock is off by a great many seconds in one",
        "                            direction",
        "                            you: Set it.",
    ]


def test_a_terminal_has_colours() -> None:
    shown = text(Finding("off", Status.WARN, Verdict.THEM, "Wait."), env={"COLUMNS": "80"}, tty=True)
    assert shown.startswith("\x1b[33mwarn\x1b[0m  step")
    assert "\x1b[1mthem\x1b[0m: Wait." in shown


@pytest.mark.parametrize(("columns", "longest"), [("20", 50), ("60", 60), ("400", 120), ("many", 80)])
def test_a_terminals_width_is_used_within_reason(columns: str, longest: int) -> None:
    shown = text(Finding("x " * 200), env={"COLUMNS": columns, "NO_COLOR": "1"}, tty=True)
    assert longest - 1 <= max(map(len, shown.splitlines())) <= longest


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_real_terminal_is_asked_for_its_width() -> None:
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 66, 0, 0))
    with os.fdopen(slave, "wb", buffering=0) as terminal, os.fdopen(master, "rb", buffering=0) as screen:
        env = Environment(io.BytesIO(), terminal, io.StringIO(), {"NO_COLOR": "1"}, FakeClock(), stdout_isatty=True)  # type: ignore[arg-type]  # raw, as a pipe is
        Examination(["step"], env.clock, TextReport(env).step).skip("x " * 200)
        first = screen.read(4096).decode().splitlines()[0]
    assert 65 <= len(first) <= 66


@pytest.mark.parametrize(
    ("findings", "last"),
    [
        ([Finding("fine"), Finding("fine")], "All is well."),
        ([Finding("fine"), Finding("closed", Status.SKIP)], "All is well so far; whether data flows was not seen."),
        ([Finding("off", Status.WARN), Finding("off", Status.WARN)], "It works, with a warning at: a, b."),
    ],
)
def test_the_last_line_says_how_it_went(findings: list[Finding], last: str) -> None:
    env, out = here()
    report = TextReport(env)
    exam = Examination(["a", "b"], env.clock, report.step)
    for name, finding in zip("ab", findings, strict=True):
        exam.check(name, lambda finding=finding: finding)  # type: ignore[misc]
    report.end(exam)
    assert out.getvalue().decode().splitlines()[-2:] == ["", last]


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_json_is_one_document_in_the_end() -> None:
    env, out = here({"HOME": "/srv/alice"})
    report = JsonReport(env, {"tickstream": "1.2.3"}, demo=False)
    exam = Examination(["a", "b"], env.clock, report.step)
    exam.check("a", lambda: Finding("late", Status.WARN, Verdict.THEM, "Wait.", {"files": ["/srv/alice/x"], "n": 1}))
    assert out.getvalue() == b""
    exam.fail(ConfigError("no key in /srv/alice/key", hint="Put one there."), own_url=False)
    report.end(exam)
    assert json.loads(out.getvalue()) == {
        "time": "2026-06-24T14:54:00.000000Z",
        "versions": {"tickstream": "1.2.3"},
        "demo": False,
        "status": "fail",
        "verdict": "you",
        "exit_code": 3,
        "steps": [
            {
                "name": "a", "status": "warn", "duration_ms": 0.0, "detail": "late", "verdict": "them",
                "advice": "Wait.", "facts": {"files": ["~/x"], "n": 1},
            },
            {
                "name": "b", "status": "fail", "duration_ms": 0.0, "detail": "no key in ~/key", "verdict": "you",
                "advice": "Put one there.", "facts": {"error": "ConfigError"},
            },
        ],
    }  # fmt: skip
