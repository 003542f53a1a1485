from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schedulers.making import AWKWARD, WORDS, job
from tickstream.errors import ExitCode, UsageError
from tickstream.schedulers.base import Job, Start
from tickstream.schedulers.systemd import parts, word


def files(made: Job) -> tuple[str, str]:
    service, timer = parts(made)
    assert (service.name, timer.name) == ("service", "timer")
    return service.text, timer.text


def value(text: str, name: str) -> str:
    """The value of the one line of this name."""
    (found,) = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    return str(found)


def systemd_reads(line: str) -> list[str]:
    """The words systemd makes of a command line, by systemd.syntax(7) and systemd.service(5): quotes, backslashes,
    then specifiers (only %% can stand here) and variables (only $$)."""
    words, current, quote, position = [], None, "", 0
    while position < len(line):
        character = line[position]
        if character == "\\":
            position += 1
            assert line[position] in '\\"', f"an escape that means something else: {line[position]}"
            current = (current or "") + line[position]
        elif quote:
            if character == quote:
                quote = ""
            else:
                current = (current or "") + character
        elif character in "\"'":
            quote, current = character, current or ""
        elif character.isspace() and character in " \t":
            if current is not None:
                words.append(current)
            current = None
        else:
            current = (current or "") + character
        position += 1
    assert not quote
    if current is not None:
        words.append(current)
    assert ";" not in line.split(), "a ; of its own separates commands"
    return [_expanded(word, "%", _expanded(word, "$", word)) for word in words]


def _expanded(original: str, sign: str, text: str) -> str:
    assert not re.search(re.escape(sign), text.replace(sign * 2, "")), f"a {sign} that would be expanded in {original}"
    return text.replace(sign * 2, sign)


def test_awkward_words_reach_the_program_as_they_are() -> None:
    line = value(files(job(*AWKWARD))[0], "ExecStart")
    assert systemd_reads(line)[4:] == list(AWKWARD)


@given(st.lists(WORDS | st.just(""), min_size=1, max_size=8))
def test_any_words_reach_the_program_as_they_are(words: list[str]) -> None:
    assert systemd_reads(" ".join(map(word, words))) == words


def test_plain_words_stay_readable() -> None:
    assert word("/usr/bin/tickstream") == "/usr/bin/tickstream"
    assert word("--to") == "--to"
    assert word("EUR/USD") == "EUR/USD"


def test_exit_codes_say_what_is_success_and_what_no_restart_mends() -> None:
    service, _ = files(job())
    assert value(service, "SuccessExitStatus") == "17 129 130 143"
    prevented = {int(code) for code in value(service, "RestartPreventExitStatus").split()}
    assert {ExitCode.INVALID_KEY, ExitCode.CONFIG, ExitCode.LOCKED, ExitCode.SIGTERM} <= prevented
    assert not {ExitCode.NETWORK, ExitCode.BUG, ExitCode.OUTPUT} & prevented


def test_a_run_that_ends_with_the_market_is_started_again() -> None:
    assert value(files(job())[0], "Restart") == "on-failure"
    assert value(files(job(goes_on=True))[0], "Restart") == "always"


@pytest.mark.parametrize(
    ("start", "calendar"),
    [
        (None, "*-*-* 00:00:00"),
        (Start(8, 5), "*-*-* 08:05:00"),
        (Start(17, 0, (0, 4, 6)), "Mon,Fri,Sun *-*-* 17:00:00"),
    ],
)
def test_the_timer_starts_it(start: Start | None, calendar: str) -> None:
    timer = files(job(start=start))[1]
    assert value(timer, "OnCalendar") == calendar
    assert ("OnStartupSec=30" in timer) is (start is None)
    assert "WantedBy=timers.target" in timer


def test_the_environment_file_need_not_exist() -> None:
    assert value(files(job())[0], "EnvironmentFile") == "-/home/u/.config/tickstream/capture.env"
    assert value(files(job(env_file="/a b/100%.env"))[0], "EnvironmentFile") == "-/a b/100%%.env"
    assert "EnvironmentFile" not in files(job(env_file=None))[0]


@pytest.mark.parametrize("path", ["/a*", "/a?", "/[a]", "/a\\", "/a "])
def test_an_environment_file_that_a_unit_cannot_name_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--env-file"):
        parts(job(env_file=path))


def test_variables_are_quoted() -> None:
    service, _ = files(job(variables=(("TICKSTREAM_CONFIG", '/a "b"/100%/c\\d.toml'),)))
    assert value(service, "Environment") == '"TICKSTREAM_CONFIG=/a \\"b\\"/100%%/c\\\\d.toml"'


def test_a_service_of_the_machine_runs_under_an_account_and_waits_for_the_network() -> None:
    service, timer = parts(job(run_as="ticks"))
    assert service.file == "/etc/systemd/system/tickstream-capture.service"
    assert timer.file.startswith("/etc/systemd/system/")
    assert value(service.text, "User") == "ticks"
    assert "After=network-online.target" in service.text
    assert parts(job())[0].file.startswith("~/.config/systemd/user/")


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 40, "%i"])
def test_what_is_no_account_is_refused(name: str) -> None:
    if name:
        with pytest.raises(UsageError, match="--run-as"):
            parts(job(run_as=name))
    else:
        assert "User=" not in files(job(run_as=name))[0]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize(
    "made",
    [
        job(*AWKWARD, goes_on=True),
        job(start=Start(8, 0, (0, 1)), title="100% of %d $x", variables=(("TICKSTREAM_CONFIG", '/a "b"/c%\\d'),)),
        job(run_as="daemon", env_file="/a b/100%.env"),
    ],
    ids=["always", "timed", "machine"],
)
def test_systemd_finds_no_fault(tmp_path: Path, made: Job) -> None:
    for part in parts(made):
        (tmp_path / Path(part.file).name).write_text(part.text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    ours = [line for line in done.stderr.splitlines() if "tickstream" in line]  # not the faults of other units
    assert ours == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_would_find_a_fault(tmp_path: Path) -> None:
    service, _ = files(job())
    file = tmp_path / "tickstream-capture.service"
    file.write_text(service.replace("Restart=on-failure", "Restart=sometimes"), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False, timeout=50
    )
    assert "sometimes" in done.stderr
