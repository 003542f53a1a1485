"""`tickstream schedule`."""

from __future__ import annotations

import plistlib
import re
import shlex
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.cli.command import Result, run
from tickstream.cli.schedule import _program
from tickstream.errors import ExitCode

CONFIG = '[watchlists]\nmajors = ["EURUSD", "GBPUSD"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's config folder, with a watchlist."""
    (tmp_path / "config.toml").write_text(CONFIG, "utf-8")
    return tmp_path


def printed(*args: str, folder: Path | None = None, **how) -> str:
    """What is printed; something is said beside it, unless one part was asked for."""
    result: Result = run("schedule", *args, folder=folder, **how)
    assert result.code == ExitCode.OK, result.err
    return result.out


def the_line(text: str) -> str:
    (line,) = (line for line in text.splitlines() if not line.startswith("#"))
    return line


def cron_command(text: str) -> list[str]:
    """The words of the run in a line of crontab."""
    words = shlex.split(the_line(text).replace("\\%", "%"), comments=False)
    begin = words.index("capture")
    return words[begin : words.index(">>")]


def log_of(text: str) -> str:
    """Where a line of crontab puts the words of the run."""
    assert '>> "$l" 2>&1' in text
    return shlex.split(the_line(text).replace("\\%", "%"))[5].removeprefix("l=").removesuffix(";")


def test_cron_gets_a_line_that_captures(folder):
    text = printed("EURUSD", "XAUUSD", "--cron", "--to", "/data/ticks", "--market-hours", folder=folder)
    assert the_line(text).startswith("*/5 * * * * ")
    assert cron_command(text) == ["capture", "EURUSD", "XAUUSD", "--to", "/data/ticks", "--market-hours"]
    assert log_of(text) == "/data/ticks/tickstream-capture.log"
    assert f". {folder}/capture.env" in text


def test_the_program_is_named_by_its_absolute_path(folder):
    program = shlex.join(_program())
    assert Path(_program()[0]).is_absolute()
    assert f"{program} capture EURUSD" in printed("EURUSD", "--cron", "--to", "/d", folder=folder)
    assert f"ExecStart={program} capture EURUSD" in printed("EURUSD", "--systemd", "--to", "/d", folder=folder)


def test_without_a_script_it_is_the_interpreter_with_the_module(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert _program() == (sys.executable, "-m", "tickstream")


def test_paths_become_absolute_and_a_template_stays_one(folder):
    text = printed("EURUSD", "--cron", "--to", "x/{symbol}/{date}.jsonl", folder=folder)
    here = Path.cwd() / "x"
    assert cron_command(text)[3] == f"{here}/{{symbol}}/{{date}}.jsonl"
    assert log_of(text) == f"{here}/tickstream-capture.log"
    prefixed = printed("EURUSD", "--cron", "--to", "/d/x-{symbol}", folder=folder)
    assert log_of(prefixed) == "/d/tickstream-capture.log"
    at_home = printed("EURUSD", "--cron", "--to", "~/ticks", folder=folder)
    assert cron_command(at_home)[3] == str(Path.home() / "ticks")


def test_a_time_of_day_is_that_of_the_machine_in_both_directions(folder):
    args = ("EURUSD", "--to", "/d", "--at", "08:00", "--until", "16:30", "--days", "mon-fri")
    text = printed(*args, "--cron", folder=folder)
    assert the_line(text).startswith("0 8 * * 1,2,3,4,5 ")
    assert cron_command(text)[4:] == ["--until", "16:30", "--tz", "local"]
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 08:00:00" in printed(*args, "--systemd", folder=folder)


def test_systemd_gets_a_service_and_a_timer_and_each_by_itself(folder):
    both = printed("@majors", "--systemd", "--to", "/d", "--name", "ticks", folder=folder)
    assert re.findall(r"^# (.*\.\w+)$", both, re.MULTILINE) == [
        "~/.config/systemd/user/ticks.service",
        "~/.config/systemd/user/ticks.timer",
    ]
    for part in ("service", "timer"):
        result = run("schedule", "@majors", "--systemd", "--to", "/d", "--name", "ticks", "--part", part, folder=folder)
        assert result.ok() in both
    assert "Restart=on-failure" in both
    assert "Restart=always" in printed("@majors", "--systemd", "--to", "/d", "--market-hours", folder=folder)


def test_a_service_of_the_machine_has_an_account(folder):
    text = printed("EURUSD", "--systemd", "--to", "/d", "--run-as", "ticks", folder=folder)
    assert "User=ticks\n" in text
    assert "# /etc/systemd/system/tickstream-capture.service\n" in text


def test_launchd_gets_a_property_list(folder):
    found = plistlib.loads(printed("BTCUSD", "--launchd", "--to", "/d", folder=folder).encode())
    assert "capture BTCUSD --to /d" in found["ProgramArguments"][2]


def test_windows_gets_a_task(folder):
    root = ET.fromstring(printed("BTCUSD", "--schtasks", "--to", "/d", folder=folder))
    assert root.tag.endswith("Task")


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        ("--cron", "crontab -e"),
        ("--systemd", "systemctl --user"),
        ("--launchd", "launchctl"),
        ("--schtasks", "schtasks"),
    ],
)
def test_how_to_install_it_is_said_and_not_done(folder, scheduler, said):
    before = sorted(folder.iterdir())
    assert said in run("schedule", "EURUSD", scheduler, "--to", "/d", folder=folder).err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("scheduler", ["--cron", "--systemd", "--launchd", "--schtasks"])
def test_the_key_is_never_printed(folder, scheduler):
    env = {"TICKATLAS_API_KEY": "tk_canary_123456"}
    result = run("schedule", "EURUSD", scheduler, "--to", "/d", folder=folder, env=env)
    assert "tk_canary" not in result.out + result.err


@pytest.mark.parametrize(
    ("scheduler", "where"), [("--cron", "capture.env (mode 0600)"), ("--schtasks", "for its account")]
)
def test_what_is_set_in_this_shell_only_is_said(folder, scheduler, where):
    env = {"TICKATLAS_API_KEY": "tk_canary_123456", "TICKSTREAM_PROVIDER": "tickatlas", "HOME": "/h"}
    said = run("schedule", "EURUSD", scheduler, "--to", "/d", folder=folder, env=env).err
    assert "Set in this shell only: TICKATLAS_API_KEY, TICKSTREAM_PROVIDER; " in said
    assert where in said
    assert "this shell" not in run("schedule", "EURUSD", scheduler, "--to", "/d", folder=folder, env={"HOME": "/h"}).err


def test_the_provider_that_is_named_is_that_of_the_run(folder):
    text = printed("EURUSD", "--cron", "--to", "/d", "--provider", "tickatlas", folder=folder)
    assert cron_command(text)[4:] == ["--provider", "tickatlas"]


def test_the_environment_file_can_be_named_and_needs_no_home(folder):
    named = printed("EURUSD", "--systemd", "--to", "/d", "--env-file", "/etc/ticks.env", folder=folder)
    assert "EnvironmentFile=-/etc/ticks.env\n" in named
    assert "EnvironmentFile" not in printed("EURUSD", "--systemd", "--to", "/d")


def test_another_config_file_is_carried_along(folder):
    env = {"TICKSTREAM_CONFIG": str(folder / "config.toml")}
    text = printed("@majors", "--systemd", "--to", "/d", env=env)
    assert f'Environment="TICKSTREAM_CONFIG={folder}/config.toml"\n' in text
    assert f"EnvironmentFile=-{folder}/capture.env" in text
    assert "this shell" not in run("schedule", "@majors", "--systemd", "--to", "/d", env=env).err
    assert "TICKSTREAM_CONFIG" in run("schedule", "@majors", "--schtasks", "--to", "/d", env=env).err


def test_the_log_can_be_elsewhere(folder):
    text = printed("EURUSD", "--cron", "--to", "/d", "--log", "/var/log/x.log", folder=folder)
    assert log_of(text) == "/var/log/x.log"


def test_more_options_of_capture_are_checked_by_capture(folder):
    args = ("EURUSD", "--cron", "--to", "/d", "--capture-options")
    assert cron_command(printed(*args, "--strict --keep '30d'", folder=folder))[4:] == ["--strict", "--keep", "30d"]
    assert "lz4" in run("schedule", *args, "--compress lz4", folder=folder).failed(ExitCode.USAGE)
    assert "--nosuch" in run("schedule", *args, "--nosuch", folder=folder).failed(ExitCode.USAGE)
    assert "quotation" in run("schedule", *args, "'open", folder=folder).failed(ExitCode.USAGE)


def test_the_symbols_of_the_configuration_are_taken_when_none_are_named(folder):
    (folder / "config.toml").write_text('symbols = ["XAUUSD"]\n' + CONFIG, "utf-8")
    assert cron_command(printed("--cron", "--to", "/d", folder=folder))[1] == "XAUUSD"


def test_a_long_list_is_named_in_part(folder):
    symbols = [f"SYMBOL{number}" for number in range(30)]
    (line,) = re.findall("^Description=.*capture: (.*)$", printed(*symbols, "--systemd", folder=folder), re.MULTILINE)
    assert len(line) == 60
    assert line.endswith("...")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("EURUSD",), "--cron, --systemd"),
        (("EURUSD", "--cron", "--systemd"), "one scheduler"),
        (("EURUSD", "--cron", "--days", "mon-fri"), "--days needs --at"),
        (("EURUSD", "--cron", "--at", "25:00"), "--at"),
        (("EURUSD", "--cron", "--run-as", "me"), "--run-as is for --systemd"),
        (("EURUSD", "--systemd", "--part", "socket"), "service, timer"),
        (("EURUSD", "--cron", "--part", "timer"), "crontab"),
        (("EURUS/D", "--cron"), "'EURUS/D' is not a symbol"),
        (("@minors", "--cron"), "there is no watchlist"),
        (("-", "--cron"), "stdin"),
        (("--cron",), "no symbols"),
        (("EURUSD", "--cron", "--provider", "nosuch"), "no provider"),
        (("EURUSD", "--cron", "--name", "a b"), "--name"),
        (("EURUSD", "--cron", "--to", "/a\nb"), "control character"),
        (("EURUSD", "--cron", "--to", "/a/{symbl}"), "symbl"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(folder, args, said):
    assert said in run("schedule", *args, folder=folder).failed(ExitCode.USAGE)
