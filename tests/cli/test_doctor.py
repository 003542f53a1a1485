from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.cli.command import run
from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, closed_port
from tickstream.cli.app import main
from tickstream.cli.doctor import steps
from tickstream.cli.environment import Environment
from tickstream.clock import Clock, SystemClock
from tickstream.errors import ExitCode
from tickstream.providers import load
from tickstream.session.frames import PING, PONG, encode_frame
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator
from tickstream.timestamps import Timestamp

CANARY = "tk_canary_0123456789"
SATURDAY_NS = 1_782_561_600_000_000_000  # 2026-06-27T12:00:00Z


class ShiftedClock(SystemClock):
    """The machine's clock, set to another time."""

    def __init__(self, shift_s: float) -> None:
        self._shift_ns = round(shift_s * 1e9)

    def now_ns(self) -> Timestamp:
        return Timestamp(super().now_ns() + self._shift_ns)


class Examined(NamedTuple):
    """A doctor's run with -o json."""

    code: int
    document: dict[str, Any]
    err: str

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in self.document["steps"] if step["name"] == name)

    def assert_failed(self, name: str, code: ExitCode, verdict: str) -> dict[str, Any]:
        """It failed at this step; what comes after was skipped, what came before was well; nothing was said aside."""
        step = self.step(name)
        assert (ExitCode(self.code), step["status"], step["verdict"]) == (code, "fail", verdict), step
        at = [one["name"] for one in self.document["steps"]].index(name)
        assert {one["status"] for one in self.document["steps"][:at]} <= {"ok", "warn", "skip"}
        assert {one["status"] for one in self.document["steps"][at + 1 :]} <= {"skip"}
        summary = {name: self.document[name] for name in ("status", "verdict", "exit_code")}
        assert summary == {"status": "fail", "verdict": verdict, "exit_code": code}
        assert step["detail"]
        assert step["advice"]
        assert self.err == ""
        return step


def examine(
    *argv: str, env: Mapping[str, str] | None = None, folder: Path | None = None, clock: Clock | None = None
) -> Examined:
    out, err = io.BytesIO(), io.StringIO()
    variables = {"TICKATLAS_API_KEY": CANARY, **(env or {})}
    here = Environment(io.BytesIO(), out, err, variables, clock or SystemClock(), user_folder=lambda: folder)
    code = main(["doctor", "-o", "json", *argv], here)
    text = out.getvalue().decode()
    assert CANARY not in text + err.getvalue()
    return Examined(code, json.loads(text), err.getvalue())


def simulator(*faults: str, **options: Any) -> Simulator:
    return Simulator(SimulatorOptions(speed=600, faults=faults, **options))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


# --- all is well -----------------------------------------------------------------------------------------------------


def test_a_healthy_way_is_ok_step_by_step_on_one_connection_with_one_authentication() -> None:
    with simulator() as server:
        found = examine("BTCUSD", "EURUSD", "--url", server.url)
        assert (server.connections, server.auth_frames) == (1, 1)
    assert found.code == 0
    assert [step["name"] for step in found.document["steps"]] == steps()
    assert {step["name"] for step in found.document["steps"] if step["status"] != "ok"} == {"tls"}
    assert found.step("tls")["status"] == "skip"
    assert (found.document["status"], found.document["verdict"], found.document["exit_code"]) == ("ok", "", 0)
    assert found.document["versions"]["tickstream"]
    assert found.step("auth")["facts"]["plan"] == "pro"
    assert found.step("subscribe")["facts"]["confirmed"] == ["BTCUSD", "EURUSD"]
    assert found.step("ping")["facts"]["pings"] == 5
    assert found.step("upgrade")["facts"]["date"].endswith("GMT")


@pytest.mark.parametrize(
    ("provider", "channel", "auth"),
    [
        ("fcs", "quotes", "the key was accepted"), ("alltick", "book", "the key was accepted"),
        ("alpaca", "book", "the key was accepted"), ("polygon", "quotes", "the key was accepted"),
        ("coinbase", "book", "no key needed for book"), ("kraken", "trades", "no key needed for trades"),
        ("binance", "trades", "no key needed for trades"),
    ],
)  # fmt: skip
def test_it_speaks_of_the_channel_that_is_asked_for(provider: str, channel: str, auth: str) -> None:
    symbol = "BTC/USD" if provider == "alpaca" else load(provider).common_symbols[0]
    found = examine(symbol, "--demo", "-p", provider, "--channel", channel, "--timeout", "10")
    assert found.code == 0
    assert found.step("symbols")["detail"] == f"{channel} of {symbol} (as named)"
    assert found.step("auth")["detail"].startswith(auth)
    assert found.step("subscribe")["detail"] == f"{symbol} confirmed"
    kinds = {"quotes": {"quote"}, "trades": {"trade"}, "book": {"book_snapshot", "book_update"}}
    assert found.step("data")["facts"]["type"] in kinds[channel]
    assert "its end" not in found.step("data")["detail"]


def test_it_leaves_with_a_close_of_1000() -> None:
    closes: list[int | None] = []

    def provider(peer: Peer) -> None:
        peer.accept()
        while not closes:
            frames = peer.read_frames()
            for payload in frames.payloads:
                peer.send_text(*answers(json.loads(payload)))
            for control in frames.controls:
                assert control.opcode == PING
                peer.send(encode_frame(PONG, control.payload))
            if frames.close is not None:
                closes.append(frames.close.code)
                peer.send_close(frames.close.code)

    def answers(request: dict[str, Any]) -> Iterator[bytes]:
        if request["action"] == "auth":
            assert request["key"] == CANARY
            yield b'{"type":"authenticated","plan":"pro","daily_quota_remaining":null}'
        else:
            yield json.dumps({"type": "subscribed", "symbols": request["symbols"]}).encode()

    with RawServer(provider) as server:
        found = examine("BTCUSD", "--url", server.url, "--timeout", "0")
    assert closes == [1000]
    assert found.code == 0
    assert found.step("clock")["status"] == "skip"  # this server sends no Date
    assert found.step("data")["status"] == "skip"


def test_the_demo_is_healthy_without_key_or_config() -> None:
    result = run("doctor", "--demo")
    assert "DEMO" in result.ok()
    assert result.out.endswith("\nAll is well.\n")


def test_tls_shows_version_issuer_and_days() -> None:
    with simulator(tls=True) as server:
        found = examine("BTCUSD", "--url", server.url, "--ca-file", str(server.ca_file))
    assert found.code == 0
    facts = found.step("tls")["facts"]
    assert facts["version"] in ("TLSv1.2", "TLSv1.3")
    assert facts["issuer"] == "localhost"
    assert facts["expires_in_days"] in (29, 30)


def test_a_key_file_is_named_as_the_origin(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(CANARY)
    key.chmod(0o600)
    with simulator(keys=(CANARY,)) as server:
        found = examine("BTCUSD", "--url", server.url, "--key-file", str(key), env={"TICKATLAS_API_KEY": "another one"})
    assert found.code == 0
    assert found.step("key")["facts"]["origin"] == f"--key-file {key}"


# --- warnings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift_s", [-10.0, 10.0])
def test_a_clock_that_is_off_is_a_warning(shift_s: float) -> None:
    with simulator() as server:
        found = examine("BTCUSD", "--url", server.url, clock=ShiftedClock(shift_s))
    step = found.step("clock")
    assert (found.code, step["status"], step["verdict"]) == (0, "warn", "you")
    assert step["facts"]["skew_s"] == pytest.approx(shift_s, abs=2)


def test_a_closed_market_is_neither_waited_for_nor_a_failure() -> None:
    clock = ShiftedClock((SATURDAY_NS - time.time_ns()) / 1e9)
    with simulator("no-data") as server:
        found = examine("EURUSD", "--url", server.url, clock=clock)
    step = found.step("data")
    assert (found.code, step["status"]) == (0, "skip")
    assert "closed until 2026-06-28T21:00Z" in step["detail"]
    assert step["duration_ms"] < 1000


def test_refused_symbols_are_a_warning_when_others_are_left() -> None:
    with simulator(known=("BTCUSD",)) as server:
        found = examine("BTCUSD", "NOPE", "--url", server.url)
    step = found.step("subscribe")
    assert (found.code, step["status"], step["verdict"]) == (0, "warn", "you")
    assert step["facts"]["refused"] == ["NOPE"]


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "step", "code", "verdict"),
    [
        ("invalid-key", "auth", ExitCode.INVALID_KEY, "you"),
        ("echo-key", "auth", ExitCode.INVALID_KEY, "you"),
        ("forbidden", "auth", ExitCode.FORBIDDEN, "you"),
        ("connection-limit", "auth", ExitCode.CONNECTION_LIMIT, "you"),
        ("auth-timeout", "auth", ExitCode.AUTH_TIMEOUT, "them"),
        ("close-1011@auth", "auth", ExitCode.NETWORK, "them"),
        ("reset@auth", "auth", ExitCode.NETWORK, "network"),
        ("symbol-limit", "subscribe", ExitCode.REFUSED, "you"),
        ("rsv@subscribe", "ping", ExitCode.PROTOCOL, "them"),
        ("quota-exceeded", "data", ExitCode.QUOTA, "you"),
        ("http-200", "upgrade", ExitCode.NETWORK, "you"),
        ("http-301", "upgrade", ExitCode.TLS, "you"),
        ("http-401", "upgrade", ExitCode.INVALID_KEY, "you"),
        ("http-403", "upgrade", ExitCode.FORBIDDEN, "you"),
        ("http-404", "upgrade", ExitCode.NETWORK, "you"),
        ("http-429", "upgrade", ExitCode.RATE_LIMITED, "you"),
        ("http-503", "upgrade", ExitCode.NETWORK, "them"),
        ("bad-accept", "upgrade", ExitCode.NETWORK, "you"),
    ],
)
def test_each_fault_fails_at_its_step_with_the_exit_code_of_watch(
    fault: str, step: str, code: ExitCode, verdict: str
) -> None:
    with simulator(fault) as server:
        examine("BTCUSD", "--url", server.url).assert_failed(step, code, verdict)
        assert server.connections == 1
        assert server.auth_frames == (0 if step == "upgrade" else 1)


def test_credits_that_were_used_up_before_fail_at_the_data() -> None:
    with simulator(quota=3) as server:
        found = examine("BTCUSD", "--url", server.url)
    found.assert_failed("data", ExitCode.QUOTA, "you")
    assert (found.step("auth")["status"], found.step("auth")["facts"]["quota_remaining"]) == ("warn", 3)


def test_a_port_on_which_nothing_listens_fails_at_tcp() -> None:
    found = examine("BTCUSD", "--url", f"ws://127.0.0.1:{closed_port()}/")
    step = found.assert_failed("tcp", ExitCode.NETWORK, "you")
    assert "refused" in step["detail"]


@pytest.mark.parametrize(
    ("number", "argv", "verdict"),
    [
        (socket.EAI_NONAME, ["--url", "wss://feed.invalid/"], "you"),
        (socket.EAI_NONAME, [], "network"),
        (socket.EAI_AGAIN, ["--url", "wss://feed.invalid/"], "network"),
    ],
)
def test_a_host_without_an_address_fails_at_dns(
    number: int, argv: list[str], verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(number, "no address")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    step = examine("BTCUSD", *argv).assert_failed("dns", ExitCode.NETWORK, verdict)
    assert ("feed.invalid" if argv else "tickatlas.com") in step["detail"]


def test_a_proxy_that_refuses_fails_at_tcp_and_is_the_networks_fault() -> None:
    with RawServer(lambda peer: peer.respond("403 Forbidden")) as proxy:
        env = {"https_proxy": f"http://alice:secret@127.0.0.1:{proxy.port}"}
        found = examine("BTCUSD", "--url", "wss://feed.example/", env=env)
    step = found.assert_failed("tcp", ExitCode.NETWORK, "network")
    assert "refuses to connect to feed.example:443" in step["detail"]
    assert found.step("proxy")["detail"] == (f"through 127.0.0.1:{proxy.port} with a user name (set: https_proxy)")
    assert found.step("dns")["detail"] == "127.0.0.1"
    assert "secret" not in str(found.document)


def test_a_host_is_shown_with_its_address() -> None:
    with simulator() as server:
        found = examine("BTCUSD", "--url", server.url.replace("127.0.0.1", "localhost"), "--timeout", "0")
    assert found.code == 0
    assert found.step("dns")["detail"].startswith("localhost is ")
    assert "127.0.0.1" in found.step("dns")["detail"]


def test_an_unknown_authority_fails_at_tls_and_sees_no_key(authority: Authority) -> None:
    with RawServer(Peer.until_gone, tls=authority.server_context()) as server:
        examine("BTCUSD", "--url", server.url).assert_failed("tls", ExitCode.TLS, "you")
        assert CANARY.encode() not in server.received()


def test_an_expired_certificate_fails_at_tls(authority: Authority) -> None:
    with RawServer(Peer.until_gone, tls=authority.server_context(expired=True)) as server:
        found = examine("BTCUSD", "--url", server.url, "--ca-file", authority.ca_file)
    step = found.assert_failed("tls", ExitCode.TLS, "you")
    assert "expired" in step["detail"]


def test_wss_to_a_server_without_tls_fails_at_tls() -> None:
    with RawServer(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        url = server.url.replace("ws://", "wss://")
        step = examine("BTCUSD", "--url", url).assert_failed("tls", ExitCode.NETWORK, "you")
    assert "does not answer in TLS" in step["detail"]


def test_a_web_server_fails_at_the_upgrade() -> None:
    with RawServer(lambda peer: peer.respond("404 Not Found", body=b"<title>nothing here</title>")) as server:
        step = examine("BTCUSD", "--url", server.url).assert_failed("upgrade", ExitCode.NETWORK, "you")
    assert step["facts"] == {"error": "RefusedByServer", "status": 404}


def test_localhost_that_leads_elsewhere_is_not_sent_a_key_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator() as server:
        monkeypatch.setattr("tickstream.session.reaching.peer_of", lambda sock: ("192.0.2.1", "192.0.2.1:80"))
        examine("BTCUSD", "--url", server.url).assert_failed("tls", ExitCode.TLS, "you")
        assert server.auth_frames == 0


def test_ws_to_another_machine_fails_before_anything_is_sent() -> None:
    examine("BTCUSD", "--url", "ws://192.0.2.1/").assert_failed("url", ExitCode.TLS, "you")


@pytest.mark.parametrize(
    ("argv", "step", "code"),
    [
        (["--url", "http://x/"], "url", ExitCode.CONFIG),
        (["--ca-file", "/nowhere/ca.pem"], "url", ExitCode.CONFIG),
        (["--key-file", "/nowhere/key"], "key", ExitCode.CONFIG),
        (["--provider", "nobody"], "config", ExitCode.USAGE),
        (["EUR#USD"], "symbols", ExitCode.USAGE),
    ],
)
def test_what_is_wrong_on_this_machine_is_found_before_connecting(argv: list[str], step: str, code: ExitCode) -> None:
    examine(*argv).assert_failed(step, code, "you")


@pytest.mark.parametrize("argv", [["--demo", "--url", "ws://localhost/"], ["--timeout", "soon"], ["-o", "csv"]])
def test_options_that_make_no_sense_are_wrong_usage(argv: list[str]) -> None:
    run("doctor", *argv).failed(ExitCode.USAGE)


# --- safe to paste ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json"])
@pytest.mark.parametrize("fault", ["no-heartbeat", "echo-key", "http-401", "control-chars@subscribe"])
def test_neither_key_nor_home_folder_nor_control_characters_are_ever_shown(
    fault: str, output: str, tmp_path: Path
) -> None:
    home = tmp_path / "alice"
    home.mkdir()
    (home / "key").write_text(CANARY)
    (home / "key").chmod(0o600)
    env = {"HOME": str(home), "https_proxy": f"http://alice:{CANARY}@proxy.example:3128", "SOME_TOKEN": CANARY}
    with simulator(fault) as server:
        result = run(
            "doctor", "BTCUSD", "--url", f"{server.url}?token={CANARY}", "--key-file", str(home / "key"), "-o", output,
            env=env, folder=home, tty=True,
        )  # fmt: skip
    shown = result.out + result.err
    assert "canary" not in shown
    assert "token=" not in shown
    assert "alice" not in shown
    assert "~/key" in shown
    plain = shown if output == "json" else _without_colours(shown)
    assert all(character == "\n" or character.isprintable() for character in plain)


def _without_colours(text: str) -> str:
    for code in ("0", "1", "2", "32", "33", "1;31"):
        text = text.replace(f"\x1b[{code}m", "")
    return text


# --- as text ---------------------------------------------------------------------------------------------------------


def test_the_text_says_verdict_and_advice_below_the_step_and_fits_80_columns() -> None:
    with simulator("invalid-key") as server:
        result = run("doctor", "BTCUSD", "--url", server.url)
    assert (result.code, result.err) == (ExitCode.INVALID_KEY, "")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    at = next(number for number, line in enumerate(lines) if line.startswith("fail  auth "))
    below = [line for line in lines[at:] if line.strip().startswith("you: Check the key's origin")]
    assert len(below) == 1
    assert "skip  data" in lines
    assert "Failed at auth. It is on your side. Exit code 4: " in result.out


@pytest.mark.parametrize(
    ("env", "tty", "coloured"), [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({}, False, False)]
)
def test_colour_is_for_terminals_that_want_it(env: Mapping[str, str], tty: bool, coloured: bool) -> None:
    result = run("doctor", "--demo", "--timeout", "0", env=env, tty=tty)
    assert result.code == 0
    assert ("\x1b[" in result.out) is coloured
