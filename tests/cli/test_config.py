"""`tickstream config`: a file only its owner can read, and values with their origins."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import run
from tickstream.cli.config import shown_url
from tickstream.config_text import TEMPLATE
from tickstream.errors import ExitCode

CANARY = "tk_canary_0123456789"


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def values(*argv: str, **named: object) -> dict[str, tuple[str, str]]:
    rows = json.loads(run("config", "show", *argv, "-o", "json", **named).ok())  # type: ignore[arg-type]
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


class TestInit:
    @pytest.mark.usefixtures("open_umask")
    def test_it_makes_a_private_file_in_a_private_folder(self, tmp_path):
        folder = tmp_path / "x" / "tickstream"
        path = folder / "config.toml"
        assert run("config", "init", folder=folder).ok() == f"{path}\n"
        assert path.read_text() == TEMPLATE
        assert (mode(path), mode(folder), mode(folder.parent)) == (0o600, 0o700, 0o700)

    def test_what_it_makes_changes_nothing(self, tmp_path):
        before = values()
        run("config", "init", folder=tmp_path).ok()
        assert values(folder=tmp_path) == before

    def test_an_existing_file_is_left_alone(self, tmp_path):
        (tmp_path / "config.toml").write_text("# mine\n")
        assert "there is a config file already" in run("config", "init", folder=tmp_path).failed(ExitCode.CONFIG)
        assert (tmp_path / "config.toml").read_text() == "# mine\n"

    def test_it_makes_the_file_that_the_environment_names(self, tmp_path):
        path = tmp_path / "feed.toml"
        assert run("config", "init", env={"TICKSTREAM_CONFIG": str(path)}).ok() == f"{path}\n"
        assert path.exists()

    def test_without_a_home_it_says_what_is_missing(self):
        assert "no home folder\nSet HOME, or TICKSTREAM_CONFIG" in run("config", "init").failed(ExitCode.CONFIG)

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        said = run("config", "init", folder=tmp_path / "file").failed(ExitCode.CONFIG)
        assert "cannot write the config file" in said


class TestPath:
    def test_it_prints_where_the_file_would_be(self, tmp_path):
        assert run("config", "path", folder=tmp_path).ok() == f"{tmp_path / 'config.toml'}\n"

    def test_it_works_though_the_file_is_broken(self, tmp_path):
        (tmp_path / "config.toml").write_text("= broken")
        run("config", "path", folder=tmp_path).ok()


class TestShow:
    def test_every_value_is_shown_with_its_origin(self, tmp_path):
        path = tmp_path / "config.toml"
        path.write_text(
            'output = "csv"\n[watchlists]\nmajors = ["EURUSD", "GBPUSD"]\n[providers.tickatlas]\nplan = "pro"\n'
            '[providers.tickatlas.plans.pro]\nmax_symbols = 50\ndaily_quota = "unlimited"\nstreaming = true\n'
        )
        shown = values(folder=tmp_path, env={"TICKSTREAM_TIME": "us"})
        assert shown == {
            "output": ("csv", f"{path}, line 1"),
            "provider": ("tickatlas", "default"),
            "symbols": ("", "default"),
            "time": ("us", "environment TICKSTREAM_TIME"),
            "tz": ("UTC", "default"),
            "on_full": ("block", "default"),
            "watchlists.majors": ("EURUSD GBPUSD", f"{path}, line 3"),
            "providers.tickatlas.url": ("wss://tickatlas.com/ws/v1/quotes", "default"),
            "providers.tickatlas.plan": ("pro", f"{path}, line 5"),
            "providers.tickatlas.auth_field": ("key", "default"),
            "providers.tickatlas.key": ("", "not set"),
            "providers.tickatlas.plans.pro.max_symbols": ("50", f"{path}, line 7"),
            "providers.tickatlas.plans.pro.daily_quota": ("unlimited", f"{path}, line 8"),
            "providers.tickatlas.plans.pro.streaming": ("true", f"{path}, line 9"),
        }

    def test_a_flag_is_an_origin_too(self):
        assert values("--provider", "tickatlas")["provider"] == ("tickatlas", "flag --provider")

    def test_the_table_has_three_columns(self):
        lines = run("config", "show").ok().splitlines()
        assert lines[0].split() == ["name", "value", "origin"]
        assert lines[1].split() == ["output", "auto", "default"]
        assert len(lines) == 11

    def test_csv_has_a_header(self):
        assert run("config", "show", "time", "-o", "csv").ok() == "name,value,origin\ntime,iso,default\n"

    def test_one_value_can_be_asked_for_or_a_group(self):
        assert list(values("tz")) == ["tz"]
        assert "providers.tickatlas.url" in values("providers")
        assert "Did you mean tz?" in run("config", "show", "tzz").failed(ExitCode.USAGE)

    @pytest.mark.parametrize(
        ("text", "env", "shown"),
        [
            ("", {"TICKATLAS_API_KEY": CANARY}, ("***", "environment TICKATLAS_API_KEY")),
            (f'key = "{CANARY}"', {}, ("***", "{path}, line 2")),
            (f'key_command = ["echo", "{CANARY}"]', {}, ("what echo prints", "{path}, line 2")),
            (f'key = "{CANARY}"', {"TICKATLAS_API_KEY": CANARY}, ("***", "environment TICKATLAS_API_KEY")),
        ],
    )
    def test_keys_are_masked(self, tmp_path, text, env, shown):
        path = tmp_path / "config.toml"
        path.write_text(f"[providers.tickatlas]\n{text}\n")
        path.chmod(0o600)
        for form in ("json", "table", "csv"):
            assert CANARY not in run("config", "show", "-o", form, env=env, folder=tmp_path).ok()
        found = values(env=env, folder=tmp_path)["providers.tickatlas.key"]
        assert found == (shown[0], shown[1].format(path=path))

    def test_a_key_in_the_wrong_place_is_masked_as_far_as_it_is_known(self):
        env = {"TICKATLAS_API_KEY": CANARY, "TICKSTREAM_TICKATLAS_PLAN": CANARY}
        assert values(env=env)["providers.tickatlas.plan"][0] == "***"

    def test_an_unknown_provider_in_the_file_is_exit_3(self, tmp_path):
        (tmp_path / "config.toml").write_text('[providers.tickatals]\nplan = "pro"')
        assert "no provider 'tickatals'" in run("config", "show", folder=tmp_path).failed(ExitCode.CONFIG)

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("wss://h.test/feed", "wss://h.test/feed"),
            ("wss://me:secret@h.test:9/feed?key=secret#secret", "wss://h.test:9/feed?***"),
            ("wss://[::1", "***"),
        ],
    )
    def test_a_url_is_shown_without_what_may_be_secret_in_it(self, url, shown):
        assert shown_url(url) == shown
        assert values(env={"TICKSTREAM_TICKATLAS_URL": url})["providers.tickatlas.url"][0] == shown


class TestSetKey:
    def test_a_key_from_stdin_is_stored_and_only_its_owner_can_read_it(self, tmp_path):
        path = tmp_path / "tickstream" / "config.toml"
        result = run("config", "set-key", "--key-stdin", folder=path.parent, stdin=f" {CANARY}\r\nrest".encode())
        assert (result.code, result.out) == (0, "")
        assert result.err == f"tickstream: the key for tickatlas is in {path}\n"
        assert tomllib.loads(path.read_text())["providers"]["tickatlas"]["key"] == CANARY
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)

    def test_the_rest_of_the_file_stays_and_the_file_becomes_private(self, tmp_path):
        path = tmp_path / "config.toml"
        path.write_text('# mine\noutput = "csv"\n')
        path.chmod(0o644)
        assert run("config", "set-key", "tickatlas", "--key-stdin", folder=tmp_path, stdin=b"k1").code == 0
        assert run("config", "set-key", "tickatlas", "--key-stdin", folder=tmp_path, stdin=b"k2").code == 0
        assert path.read_text() == '# mine\noutput = "csv"\n\n[providers.tickatlas]\nkey = "k2"\n'
        assert mode(path) == 0o600

    def test_it_mends_a_file_that_was_refused(self, tmp_path):
        path = tmp_path / "config.toml"
        path.write_text('[providers.tickatlas]\nkey = "old"\n')
        path.chmod(0o644)
        run("config", "show", folder=tmp_path).failed(ExitCode.CONFIG)
        assert run("config", "set-key", "--key-stdin", folder=tmp_path, stdin=b"new").code == 0
        run("config", "show", folder=tmp_path).ok()

    def test_it_makes_the_file_that_the_environment_names(self, tmp_path):
        path = tmp_path / "feed.toml"
        result = run("config", "set-key", "--key-stdin", env={"TICKSTREAM_CONFIG": str(path)}, stdin=b"k")
        assert (result.code, path.exists()) == (0, True)

    def test_it_follows_the_configured_provider(self, tmp_path):
        (tmp_path / "config.toml").write_text('provider = "nobody"')
        said = run("config", "set-key", "--key-stdin", folder=tmp_path, stdin=b"k").failed(ExitCode.USAGE)
        assert "no such provider" in said

    @pytest.mark.parametrize("stdin", [b"", b" \n", b"a\x00b", b"\xff", b"x" * 5000])
    def test_what_is_no_key_is_refused(self, tmp_path, stdin):
        run("config", "set-key", "--key-stdin", folder=tmp_path, stdin=stdin).failed(ExitCode.CONFIG)
        assert list(tmp_path.iterdir()) == []

    def test_a_key_given_as_an_argument_is_refused_and_not_repeated(self, tmp_path):
        said = run("config", "set-key", CANARY, "--key-stdin", folder=tmp_path).failed(ExitCode.USAGE)
        assert CANARY not in said
        assert "A key is never an argument" in said

    @pytest.mark.parametrize(
        ("text", "problem"),
        [(b"= broken", "not valid TOML"), (b"\xff", "not UTF-8"), (b"providers = 1", "edited safely")],
    )
    def test_a_file_that_cannot_be_edited_is_left_alone(self, tmp_path, text, problem):
        path = tmp_path / "config.toml"
        path.write_bytes(text)
        said = run("config", "set-key", "tickatlas", "--key-stdin", folder=tmp_path, stdin=b"k").failed(ExitCode.CONFIG)
        assert problem in said
        assert path.read_bytes() == text

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").write_text("")
        run("config", "set-key", "--key-stdin", folder=tmp_path / "file", stdin=b"k").failed(ExitCode.CONFIG)

    def test_without_a_terminal_there_is_no_prompt(self, tmp_path):
        said = run("config", "set-key", folder=tmp_path).failed(ExitCode.USAGE)
        assert "--key-stdin" in said


ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "tickstream", "config", "set-key"])
"""
"""Makes stdin the terminal that Ctrl-C is typed at."""


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
class TestPrompt:
    """`set-key` typed at a real terminal."""

    def typed(self, tmp_path: Path, text: bytes) -> tuple[int, bytes, Path]:
        import pty

        path = tmp_path / "config.toml"
        terminal, slave = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TICKSTREAM_CONFIG": str(path)},
        )
        os.close(slave)
        screen = b""
        try:
            while b"Key for tickatlas: " not in screen:
                screen += os.read(terminal, 1024)
            os.write(terminal, text)
            while chunk := self.read(terminal):
                screen += chunk
            code = child.wait(20)
        finally:
            os.close(terminal)
            child.kill()
            child.wait()
        return code, screen, path

    @staticmethod
    def read(terminal: int) -> bytes:
        try:
            return os.read(terminal, 1024)
        except OSError:  # EIO: the other side is gone
            return b""

    def test_the_key_is_not_echoed(self, tmp_path):
        code, screen, path = self.typed(tmp_path, CANARY.encode() + b"\n")
        assert code == 0
        assert CANARY.encode() not in screen
        assert tomllib.loads(path.read_text())["providers"]["tickatlas"]["key"] == CANARY

    @pytest.mark.parametrize(("keys", "code"), [(b"\x04", 130), (b"\x03", 130), (b"\n", 3)])
    def test_end_of_file_and_interrupt_store_nothing(self, tmp_path, keys, code):
        found, _, path = self.typed(tmp_path, keys)
        assert found == code
        assert not path.exists()


def test_a_terminal_that_cannot_hide_a_key_is_refused(tmp_path, monkeypatch):
    import getpass
    import warnings

    def echoing(prompt: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=1)
        return CANARY

    monkeypatch.setattr(getpass, "getpass", echoing)
    assert "cannot hide a key" in run("config", "set-key", folder=tmp_path, tty=True).failed(ExitCode.CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_the_other_commands_work(tmp_path):
    env = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
    command = [sys.executable, "-m", "tickstream", "config", "show", "output"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_config_alone_shows_its_help_as_a_usage_error():
    result = run("config")
    assert result.code == ExitCode.USAGE
    assert "set-key" in result.err
