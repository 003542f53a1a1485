from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schedulers.making import AWKWARD, WORDS, job
from tickstream.errors import UsageError
from tickstream.schedulers.base import Start
from tickstream.schedulers.cron import escaped, parts
from tickstream.schedulers.shell import stop_file

SH = shutil.which("sh")
needs_sh = pytest.mark.skipif(SH is None, reason="there is no sh")


def the_line(text: str) -> str:
    """The one line that is no comment."""
    (line,) = (line for line in text.splitlines() if not line.startswith("#"))
    return line


def as_debian(line: str) -> str:
    """What Debian's cron hands to the shell: do_command.c of 3.0pl1, where % and backslash can be escaped."""
    return _unescaped(line, "%\\")


def as_cronie(line: str) -> str:
    """What cronie hands to the shell: only % can be escaped."""
    return _unescaped(line, "%")


def _unescaped(line: str, escapable: str) -> str:
    out, after_backslash = "", False
    for character in line:
        if after_backslash:
            out = out[:-1] + character if character in escapable else out + character
            after_backslash = False
            continue
        if character == "%":
            return out
        after_backslash = character == "\\"
        out += character
    return out


def shell_reads(script: str) -> list[str]:
    """The words that a shell makes of a script that begins with `echo`-like command `args`."""
    assert SH is not None
    show = "args() { printf '%s\\0' \"$@\"; }; "
    done = subprocess.run([SH, "-c", show + script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def command_of(*words: str) -> str:
    import shlex

    return escaped(f"args {shlex.join(words)}")


@needs_sh
def test_awkward_words_reach_the_program_as_they_are() -> None:
    line = command_of(*AWKWARD)
    assert shell_reads(as_debian(line)) == list(AWKWARD)
    assert shell_reads(as_cronie(line)) == list(AWKWARD)


@needs_sh
@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8))
def test_any_words_reach_the_program_as_they_are(words: list[str]) -> None:
    line = command_of(*words)
    assert shell_reads(as_debian(line)) == words
    assert shell_reads(as_cronie(line)) == words


@pytest.mark.parametrize(
    ("start", "fields"),
    [
        (None, "*/5 * * * *"),
        (Start(8, 0), "0 8 * * *"),
        (Start(23, 5, (0, 1, 2, 3, 4)), "5 23 * * 1,2,3,4,5"),
        (Start(0, 30, (5, 6)), "30 0 * * 6,0"),
    ],
)
def test_the_time_stands_in_front(start: Start | None, fields: str) -> None:
    (part,) = parts(job(start=start))
    assert the_line(part.text).startswith(f"{fields} ")


def test_a_line_too_long_for_cron_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="998") as caught:
        parts(job(*(f"SYMBOL{number}" for number in range(200))))
    assert "watchlist" in caught.value.hint


def played(tmp_path: Path, exit_code: int, *, start: Start | None = None, env_file: str = "") -> tuple[str, Path]:
    """What a run that ends with this code makes the line print, and its log."""
    folder = tmp_path / "it's 100% here"
    file = tmp_path / "capture.env"
    file.write_text(env_file, "utf-8")
    words = f'echo "recorded with $THE_KEY" >&2; exit {exit_code}'
    made = job(
        start=start, program=("/bin/sh", "-c"), arguments=(words,), log=str(folder / "x.log"), env_file=str(file)
    )
    (part,) = parts(made)
    script = as_debian(the_line(part.text).split(" ", 5)[5])
    assert SH is not None
    done = subprocess.run(
        [SH, "-c", script], capture_output=True, text=True, check=False, env={"PATH": "/bin:/usr/bin"}
    )
    assert done.stderr == ""
    return done.stdout, folder / "x.log"


@needs_sh
@pytest.mark.parametrize("exit_code", [0, 17, 129, 130, 143])
def test_success_another_run_and_a_signal_are_no_alarm(tmp_path: Path, exit_code: int) -> None:
    printed, log = played(tmp_path, exit_code, env_file="THE_KEY='it is a key'\n")
    assert printed == ""
    assert log.read_text() == "recorded with it is a key\n"


@needs_sh
def test_a_failure_of_the_moment_is_told_and_tried_again(tmp_path: Path) -> None:
    printed, log = played(tmp_path, 10)
    assert printed == f"tickstream capture ended with exit code 10, see {log}\n"
    played(tmp_path, 10)
    assert log.read_text().count("recorded") == 2


@needs_sh
@pytest.mark.parametrize("exit_code", [2, 3, 4, 5, 7, 9, 11])
def test_a_failure_that_no_restart_mends_is_told_once_and_rests(tmp_path: Path, exit_code: int) -> None:
    printed, log = played(tmp_path, exit_code)
    assert f"exit code {exit_code}," in printed
    assert played(tmp_path, exit_code)[0] == ""
    assert log.read_text().count("recorded") == 1
    Path(f"{log}.stopped").unlink()
    assert played(tmp_path, exit_code)[0] == printed


@needs_sh
def test_a_run_at_a_time_of_day_never_rests(tmp_path: Path) -> None:
    for _ in range(2):
        printed, log = played(tmp_path, 4, start=Start(8, 0))
        assert "exit code 4," in printed
    assert not Path(f"{log}.stopped").exists()


@needs_sh
@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
def test_while_a_run_goes_on_another_one_ends_without_a_word_and_after_it_none_does(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    made = job(program=("/bin/sh", "-c"), arguments=("echo begun; read line",), log=str(log), env_file=None)
    script = as_debian(the_line(parts(made)[0].text).split(" ", 5)[5])
    assert SH is not None
    with subprocess.Popen([SH, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        while not (log.exists() and log.read_text()):
            assert first.poll() is None
        second = subprocess.run([SH, "-c", script], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        assert second.stdout + second.stderr == b""
        assert log.read_text() == "begun\n"
        first.communicate(b"\n", timeout=20)
    subprocess.run([SH, "-c", script], check=False, input=b"\n", capture_output=True)
    assert log.read_text() == "begun\nbegun\n"


@needs_sh
def test_without_its_environment_file_it_runs_all_the_same(tmp_path: Path) -> None:
    (part,) = parts(job(program=("/bin/echo",), log=str(tmp_path / "log"), env_file=str(tmp_path / "none.env")))
    script = as_debian(the_line(part.text).split(" ", 5)[5])
    assert SH is not None
    assert subprocess.run([SH, "-c", script], capture_output=True, check=False).stderr == b""
    assert (tmp_path / "log").read_text() == "capture EURUSD XAUUSD --to /data/ticks\n"


def test_variables_stand_before_the_program() -> None:
    (part,) = parts(job(variables=(("TICKSTREAM_CONFIG", "/x y/config.toml"),)))
    assert "TICKSTREAM_CONFIG='/x y/config.toml' /" in part.text


def test_the_comment_says_how_to_start_again() -> None:
    (part,) = parts(job())
    assert f"until {stop_file(job())} is deleted" in part.text
    assert "/home/u/.config/tickstream/capture.env" in part.text.splitlines()[3]
    (timed,) = parts(job(start=Start(8, 0), env_file=None))
    assert timed.text.splitlines()[0] == "# tickstream capture: EURUSD XAUUSD"
    assert len(timed.text.splitlines()) == 2


@pytest.mark.skipif(shutil.which("crontab") is None, reason="there is no crontab")
@pytest.mark.parametrize("start", [None, Start(8, 0), Start(23, 59, (0, 6))])
def test_crontab_accepts_it(tmp_path: Path, start: Start | None) -> None:
    file = tmp_path / "crontab"
    file.write_text(parts(job(*AWKWARD[:12], start=start))[0].text, "utf-8")
    assert any(
        subprocess.run(["crontab", option, file], capture_output=True, check=False).returncode == 0
        for option in ("-T", "-n")  # cronie's dry run, and Debian's
    )
    file.write_text("*/5 * * * echo wrong\n")
    for option in ("-T", "-n"):
        assert subprocess.run(["crontab", option, file], capture_output=True, check=False).returncode != 0
