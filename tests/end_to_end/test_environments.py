"""Where it runs: cron jobs without a home, odd umasks, odd locales, and settings from everywhere at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.end_to_end.watching import Result, Server, Thread, assert_exit, of_type, run, serve
from tickstream.errors import ExitCode


def bars(server: Server, *args: str, **how: object) -> Result:
    return assert_exit(server.watched("EURUSD", "--count", "3", *args, **how), ExitCode.OK)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"HOME": "/nonexistent"},
        {"HOME": "", "XDG_CONFIG_HOME": "relative"},
        {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "no_SUCH.locale", "TZ": "No/Where", "TERM": "nonsense", "COLUMNS": "-3"},
        {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    ],
)
def test_it_works_in_any_environment(env: dict[str, str]) -> None:
    with serve() as server:
        result = bars(server, env=env)
    assert len(of_type(result.events, "bar")) == 3
    assert "Warning" not in result.err


def test_without_a_home_what_needs_one_says_so() -> None:
    result = run("config", "set-key", "--key-stdin", stdin=b"some-key\n", env={"HOME": "/dev/null"})
    assert_exit(result, ExitCode.CONFIG)
    assert "/dev/null" in result.err


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_with_secrets_are_private_under_any_umask(umask: int, tmp_path: Path) -> None:
    config, bad = tmp_path / "config.toml", tmp_path / "bad.jsonl"
    env = {**os.environ, "TICKSTREAM_CONFIG": str(config)}
    assert_exit(run("config", "set-key", "--key-stdin", stdin=b"private-key-1\n", env=env, umask=umask), ExitCode.OK)
    with serve("bad-json@1", keys=("private-key-1",)) as server:
        bars(server, "--quarantine", str(bad), env=env, umask=umask)
    for file in (config, bad):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_flags_win_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    file = {"TICKSTREAM_CONFIG": str(config)}
    both = {**file, "TICKSTREAM_OUTPUT": "raw"}
    with serve() as server:

        def first_line(env: Mapping[str, str], *args: str) -> str:
            url = () if env else ("--url", server.url)
            result = Thread("watch", "EURUSD", "--count", "2", *url, *args, env=env).wait()
            return assert_exit(result, ExitCode.OK).lines[0]

        config.write_text(f'output = "csv"\n[providers.tickatlas]\nurl = "{server.url}"\n')
        assert first_line({}).startswith('{"type":"bar"')
        assert first_line(file).startswith("type,provider,symbol")
        assert first_line(both).startswith('{"type":"quote"')
        assert first_line(both, "-o", "jsonl").startswith('{"type":"bar"')


def test_the_url_of_a_flag_wins_over_that_of_the_environment(tmp_path: Path) -> None:
    with serve() as server, serve() as other:
        env = {**os.environ, "TICKSTREAM_TICKATLAS_URL": other.url}
        bars(server, env=env)
        assert (server.simulator.connections, other.simulator.connections) == (1, 0)
        assert_exit(run("watch", "EURUSD", "--count", "1", env=env), ExitCode.OK)
        assert other.simulator.connections == 1


@pytest.mark.parametrize(
    ("args", "env", "config", "wins"),
    [
        (("--key-file", "{folder}/key"), {"TICKATLAS_API_KEY": "of-environment"}, "of-config", "of-key-file"),
        ((), {"TICKATLAS_API_KEY": "of-environment"}, "of-config", "of-environment"),
        ((), {}, "of-config", "of-config"),
    ],
)
def test_the_key_of_the_nearest_source_is_sent(
    args: tuple[str, ...], env: dict[str, str], config: str, wins: str, tmp_path: Path
) -> None:
    for name, text in {"key": "of-key-file", "config.toml": f'[providers.tickatlas]\nkey = "{config}"\n'}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    env = {**env, "TICKSTREAM_CONFIG": str(tmp_path / "config.toml")}
    with serve(keys=(wins,)) as server:
        placed = [arg.format(folder=tmp_path) for arg in args]
        assert_exit(server.watched_here("EURUSD", "--count", "1", *placed, env=env), ExitCode.OK)


def test_a_key_file_that_others_can_read_is_refused_before_anybody_is_called(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("readable-by-all")
    key.chmod(0o644)
    with serve() as server:
        result = assert_exit(server.watched_here("EURUSD", "--key-file", str(key)), ExitCode.CONFIG)
        assert server.simulator.connections == 0
    assert "chmod 600" in result.err


def test_a_proxy_is_never_asked_for_this_machine() -> None:
    dead = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:1/")
    with serve() as server:
        bars(server, env={**os.environ, **dead})


def test_a_deleted_working_directory_does_not_matter(tmp_path: Path) -> None:
    script = f'mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir ../gone; exec $tickstream watch EURUSD --count 2 "$@"'
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with serve() as server:
        assert_exit(run("-", "--url", server.url, shell=script, env=env), ExitCode.OK)


def test_closed_standard_streams_do_not_become_sockets() -> None:
    """Descriptors 0 to 2 that are free would be given to the connection, and data would be written into it."""
    script = 'exec $tickstream watch EURUSD --count 2 "$@" <&- >&- 2>&-'
    with serve() as server:
        result = run("-", "--url", server.url, shell=script)
        assert result.code == ExitCode.OUTPUT
        assert not any("invalid" in line for line in server.log)


def test_it_needs_few_descriptors() -> None:
    script = 'ulimit -n 32; exec $tickstream watch EURUSD BTCUSD --connections 2 --count 4 "$@"'
    with serve() as server:
        assert_exit(run("-", "--url", server.url, shell=script), ExitCode.OK)
