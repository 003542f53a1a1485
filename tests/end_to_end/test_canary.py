"""A key goes to the provider and nowhere else, whatever goes wrong: no output, log, file or process list has it."""

from __future__ import annotations

import base64
import json
import os
import shlex
import threading
from pathlib import Path

import pytest

from tests.end_to_end.canary import FORMS, KEY, assert_no_trace, traces
from tests.end_to_end.terminals import Terminal
from tests.end_to_end.watching import DEADLINE_S, Process, Thread, assert_exit, run, serve
from tests.faults.raw import Peer, RawServer, closed_port
from tickstream.clock import SystemClock
from tickstream.errors import ExitCode
from tickstream.simulator.tickatlas import message
from tickstream.timestamps import Timestamp

IN_ENV = {**os.environ, "TICKATLAS_API_KEY": KEY}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_every_form(form: str) -> None:
    assert traces(f"before {FORMS[form]} after")
    assert traces(f"before {FORMS[form]} after".encode())


# --- providers who repeat what they are told -------------------------------------------------------------------------


def parrot(peer: Peer) -> None:
    """Has the key, in every form, in every field that there is."""
    peer.accept(f"X-Your-Key: {FORMS['percent']}")
    peer.read_frames()
    data = {"symbol": "EURUSD", "time": "2026-06-24T14:54:00Z", "open": 1.5, "high": 1.5, "low": 1.5, "close": 1.5}
    for form in FORMS.values():
        peer.send_text(
            message("authenticated", plan=form, max_symbols=5, credits_per_push=4, daily_quota_remaining=100),
            message("error", code=form, message=f"the key is {form}"),
            message(form, key=form),
            message("subscribed", symbols=["EURUSD"], total_subscribed=1),
            message("quote", data=data),
            message("quote", data=data | {"symbol": form}),
            message("quote", data=data | {"close": form}),
            b'{"key": "%s' % form.encode(),
            b"\xff" + form.encode(),
        )
    peer.send_close(4001, FORMS["plain"])
    peer.until_gone()


@pytest.mark.parametrize("talk", [("-vv",), ("-vv", "--log-format", "json"), ("-vv", "--events")])
def test_a_provider_that_repeats_the_key_everywhere_is_not_repeated(talk: tuple[str, ...], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    args = ("--retries", "0", "--quarantine", str(bad), *talk)
    with RawServer(parrot) as server:
        result = assert_exit(run("watch", "EURUSD", "--url", server.url, *args, env=IN_ENV), ExitCode.NETWORK)
    assert_no_trace(result.out, result.err, bad.read_bytes())
    kept = [json.loads(line) for line in bad.read_text().splitlines()]
    assert len(kept) > len(FORMS)
    assert_no_trace(*(base64.b64decode(record["payload_base64"]) for record in kept))
    assert len([line for line in result.lines if '"type":"bar"' in line]) == len(FORMS)


def test_a_provider_that_repeats_the_key_on_a_terminal_is_not_repeated() -> None:
    with RawServer(parrot) as server:
        for output in ("table", "line"):
            args = ("watch", "EURUSD", "--url", server.url, "--retries", "0", "-o", output)
            with Terminal(*args, env={"TICKATLAS_API_KEY": KEY}) as terminal:
                assert_no_trace(terminal.wait().out)


ANSWERS = {
    "401": ExitCode.INVALID_KEY, "403": ExitCode.FORBIDDEN, "404": ExitCode.NETWORK, "418": ExitCode.NETWORK,
    "429": ExitCode.RATE_LIMITED, "500": ExitCode.NETWORK, "301": ExitCode.TLS,
}  # fmt: skip


@pytest.mark.parametrize("status", ANSWERS)
def test_an_http_answer_that_repeats_the_key_is_not_repeated(status: str) -> None:
    body = "\n".join(FORMS.values()).encode()

    def answer(peer: Peer) -> None:
        headers = (f"Location: wss://elsewhere.example/?key={FORMS['percent']}", f"X-Key: {FORMS['base64']}")
        peer.respond(f"{status} {FORMS['plain']}", *headers, body=body)

    with RawServer(answer) as server:
        args = ("watch", "EURUSD", "--url", server.url, "--retries", "0")
        result = assert_exit(Thread(*args, env={"TICKATLAS_API_KEY": KEY}).wait(), ANSWERS[status])
    assert status in result.err
    assert_no_trace(result.out, result.err)


# --- proxies and URLs ------------------------------------------------------------------------------------------------


def test_a_proxy_learns_no_key_and_its_password_is_not_said() -> None:
    def refuse(peer: Peer) -> None:
        echo = f"{FORMS['base64 of user and password']} {FORMS['plain']}".encode()
        peer.respond("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=x", body=echo)

    with RawServer(refuse) as proxy:
        env = {**os.environ, "TICKATLAS_API_KEY": "another-key-entirely"}
        for port in (proxy.port, closed_port()):
            proxied = {**env, "https_proxy": f"http://me:{FORMS['percent']}@127.0.0.1:{port}"}
            args = ("watch", "EURUSD", "--url", "wss://feed.example/", "--retries", "0", "-vv")
            result = assert_exit(run(*args, env=proxied), ExitCode.NETWORK)
            assert "proxy" in result.err
            assert_no_trace(result.out, result.err)
        assert b"another-key-entirely" not in proxy.received()


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:{port}/ws?key={key}",
        "ws://me:{key}@127.0.0.1:{port}/ws",
        "ws://127.0.0.1:{port}/ws#{key}",
        "http://127.0.0.1:{port}/?key={key}",
        "ws://192.0.2.1/?key={key}",
        "wss://127.0.0.1:{port}/?key={key}",
        "wss://[{key}/",
    ],
)
def test_what_is_secret_in_a_url_is_not_said(url: str) -> None:
    target = url.format(port=closed_port(), key=FORMS["percent"])
    result = Thread("watch", "EURUSD", "--url", target, "--retries", "0").wait()
    assert result.code not in (ExitCode.OK, ExitCode.BUG)
    assert_no_trace(result.out, result.err)


# --- bugs ------------------------------------------------------------------------------------------------------------


class Betrayer(SystemClock):
    """A clock with a bug whose text holds the key."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def now_ns(self) -> Timestamp:
        self._calls -= 1
        if self._calls < 0:
            raise RuntimeError(f"cannot tell the time of {KEY!r}: {FORMS}")
        return super().now_ns()


@pytest.mark.parametrize("calls", [1, 2, 4, 10, 20])
@pytest.mark.parametrize("debug", [{}, {"TICKSTREAM_DEBUG": "1"}], ids=["quiet", "debug"])
def test_a_bug_does_not_bring_the_key_to_light(calls: int, debug: dict[str, str]) -> None:
    with serve() as server:
        args = ("watch", "EURUSD", "--url", server.url)
        result = Thread(*args, env={"TICKATLAS_API_KEY": KEY, **debug}, clock=Betrayer(calls)).wait()
    assert result.code == ExitCode.BUG
    assert ("Traceback" in result.err) == bool(debug)
    assert "***" in result.err
    assert_no_trace(result.out, result.err)


# --- other commands --------------------------------------------------------------------------------------------------


def test_no_command_shows_a_key_wherever_it_comes_from(tmp_path: Path, key_file: Path) -> None:
    config = tmp_path / "config.toml"
    url = f"wss://me:{FORMS['percent']}@feed.example/"
    config.write_text(f'[providers.tickatlas]\nkey = {json.dumps(KEY)}\nurl = "{url}"\n')
    config.chmod(0o600)
    in_file = {**os.environ, "TICKSTREAM_CONFIG": str(config)}
    with serve("echo-key") as server:
        doctor = ("doctor", "EURUSD", "--url", server.url)
        commands: list[tuple[tuple[str, ...], dict[str, str]]] = [
            *(((*doctor, "-o", how), env) for how in ("table", "json") for env in (IN_ENV, in_file)),
            ((*doctor, "--key-file", str(key_file)), dict(os.environ)),
            *((("config", "show", "-o", how), env) for how in ("table", "json", "csv") for env in (IN_ENV, in_file)),
            (("explain", "invalid_key"), IN_ENV),
            (("exit-codes",), IN_ENV),
            (("credits", "--plan", "pro", "--symbols", "5"), in_file),
            (("config", "show", "nothing-of-that-name"), in_file),
        ]
        for command, env in commands:
            result = run(*command, env=env)
            assert result.out or result.err
            assert "internal error" not in result.err, result.err
            assert_no_trace(result.out, result.err)


@pytest.mark.parametrize(
    "toml",
    [
        "key = [{key}]", "key = {key}\nkey = {key}", "key = {key", "kye = {key}", "plans = {key}",
        "plan = {key}\nkey_command = {key}",
    ],
)  # fmt: skip
def test_a_broken_config_file_is_explained_without_the_key_in_it(toml: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    text = json.dumps(KEY)
    config.write_text("[providers.tickatlas]\n" + toml.replace("{key}", text).replace("{key", text[:-1]))
    config.chmod(0o600)
    result = Thread("watch", "EURUSD", env={"TICKSTREAM_CONFIG": str(config)}).wait()
    assert_exit(result, ExitCode.CONFIG)
    assert_no_trace(result.out, result.err)


def test_the_simulator_shows_no_key_of_its_clients() -> None:
    with Process("simulate", "--fault", "echo-key") as simulator:
        url = simulator.wait_for_lines(1)[0]
        assert_exit(run("watch", "EURUSD", "--url", url, env=IN_ENV), ExitCode.INVALID_KEY)
        simulator.wait_said("refused: invalid_key")
        result = simulator.stop()
    assert_no_trace(result.out, result.err)


# --- other processes -------------------------------------------------------------------------------------------------


def seen_by_others(pid: int) -> bytes:
    """What the process list tells of a process, its environment included. Of Linux."""
    return b"\0".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


def test_the_process_list_has_no_key(key_file: Path) -> None:
    ways: list[tuple[tuple[str, ...], bytes | None]] = [
        (("--key-file", str(key_file)), None), (("--key-stdin",), KEY.encode() + b"\n"),
    ]  # fmt: skip
    for args, stdin in ways:
        with serve(keys=(KEY,)) as server, server.watch("EURUSD", *args, stdin=stdin) as process:
            process.wait_for_lines(1)
            assert_no_trace(seen_by_others(process.pid))
            result = assert_exit(process.stop(), ExitCode.SIGTERM)
        assert_no_trace(result.out, result.err)


def test_a_key_command_gives_the_key_and_is_given_none(tmp_path: Path, key_file: Path) -> None:
    dump = tmp_path / "seen"
    script = tmp_path / "give"
    script.write_text(
        f"#!/bin/sh\ncat /proc/self/environ /proc/self/cmdline > {shlex.quote(str(dump))}\n"
        f"cat {shlex.quote(str(key_file))}\ncat {shlex.quote(str(key_file))} >&2\n"
    )
    script.chmod(0o700)
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.tickatlas]\nkey_command = ["{script}"]\n')
    env = {**os.environ, "TICKSTREAM_CONFIG": str(config), "TICKATLAS_API_KEY": ""}
    with serve(keys=(KEY,)) as server:
        result = assert_exit(run("watch", "EURUSD", "--url", server.url, "--count", "2", "-vv", env=env), ExitCode.OK)
    assert_no_trace(result.out, result.err, dump.read_bytes())


def test_no_file_is_left_behind(tmp_path: Path, key_file: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"], "TICKATLAS_API_KEY": KEY}
    with serve("echo-key") as server:
        for command in ("watch", "doctor"):
            assert_exit(run(command, "EURUSD", "--url", server.url, env=env, cwd=home), ExitCode.INVALID_KEY)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_key_goes_to_the_provider_in_one_message_and_in_nothing_else() -> None:
    heard = threading.Event()
    messages: list[bytes] = []

    def listen(peer: Peer) -> None:
        peer.accept()
        while not messages:
            messages.extend(peer.read_frames().payloads)
        heard.set()
        while peer.read_frames().close is None:
            pass
        peer.send_close()

    with RawServer(listen) as server, Process("watch", "EURUSD", "--url", server.url, env=IN_ENV) as process:
        assert heard.wait(DEADLINE_S)
        process.stop()
    assert [json.loads(one) for one in messages] == [{"action": "auth", "key": KEY}]
    assert_no_trace(server.peers[0].read_request())
