"""`tickstream simulate`: as a process with signals, and its command line."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.cli.command import run
from tickstream.errors import ExitCode
from tickstream.simulator.faults import FAULTS

M1 = Path(__file__).resolve().parent.parent / "data" / "m1"


@contextmanager
def simulate(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the URL it printed; killed if it does not end by itself."""
    command = [sys.executable, "-m", "tickstream", "simulate", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def subscribed(url: str, *symbols: str, tls: ssl.SSLContext | None = None) -> Iterator[ClientConnection]:
    with connect(url, ssl=tls, proxy=None, close_timeout=0.5) as ws:
        ws.send('{"action":"auth","key":"k"}')
        ws.send(json.dumps({"action": "subscribe", "symbols": symbols}))
        assert [json.loads(ws.recv(10))["type"] for _ in range(2)] == ["authenticated", "subscribed"]
        yield ws


def quote(ws: ClientConnection) -> dict[str, Any]:
    data = json.loads(ws.recv(10), parse_float=str)["data"]
    assert isinstance(data, dict)
    return data


def quotes_for_ever(ws: ClientConnection) -> None:
    while True:
        quote(ws)


# --- as a process --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_line_is_the_url_and_a_signal_ends_it_with_a_goodbye_to_clients(number: int, code: int) -> None:
    with simulate("--m1", str(M1), "--speed", "6000") as (process, url), subscribed(url, "EURUSD", "XAUUSD") as ws:
        assert url.startswith("ws://127.0.0.1:")
        assert url.endswith("/ws/v1/quotes")
        assert quote(ws)["close"] == "4046.06"
        process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            quotes_for_ever(ws)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert process.wait(10) == code
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() == "", "stdout has the URL and nothing else"
        assert process.stderr.read().splitlines() == [
            "tickatlas: #1 connected",
            "tickatlas: #1 authenticated, plan pro",
            "tickatlas: #1 subscribed: now EURUSD XAUUSD",
            "tickatlas: #1 closed by us, 1001 the server is going away",
        ]


def test_a_second_signal_ends_it_at_once() -> None:
    with simulate("--fault", "slow-frame@connect") as (process, url), connect(url, proxy=None):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (130, 143)


def test_it_can_end_by_itself_and_be_quiet(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with simulate("--push-interval", "10ms", "--duration", "1s", "-q", "--journal", str(journal)) as (process, url):
        with subscribed(url, "EURUSD") as ws:
            closes = [quote(ws)["close"] for _ in range(3)]
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    lines = [json.loads(line, parse_float=str) for line in journal.read_text().splitlines()]
    assert [line["close"] for line in lines[:3]] == closes


def test_tls_tells_what_to_trust() -> None:
    with simulate("--tls", "--speed", "max", "--quota", "unlimited", "--plan", "starter") as (process, url):
        assert url.startswith("wss://127.0.0.1:")
        assert process.stderr is not None
        line = process.stderr.readline().strip()
        if "--tls needs" in line:
            pytest.skip("there is no openssl program")
        cafile = line.partition("--ca-file ")[2]
        with subscribed(url, "EURUSD", tls=ssl.create_default_context(cafile=cafile)) as ws:
            assert quote(ws)["symbol"] == "EURUSD"
        process.terminate()
        assert process.wait(10) == 143
    assert not Path(cafile).exists()


def test_a_journal_that_cannot_be_written_ends_it() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with simulate("--speed", "max", "--journal", "/dev/full", "-q") as (process, url):
        with subscribed(url, "EURUSD"):
            assert process.wait(10) == ExitCode.OUTPUT
        assert process.stderr is not None
        assert "Cannot write the journal /dev/full" in process.stderr.read()


# --- the command line ----------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_a_network_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run("simulate", "--port", str(port)).failed(ExitCode.NETWORK)
    assert said.startswith(f"tickstream: Cannot listen on 127.0.0.1 port {port}: ")
    assert "choose another --port" in said


def test_a_bad_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text("time,open,high,low,close,volume\n2026-06-24 14:54:00,1,2,1,x,7\n")
    said = run("simulate", "--m1", str(tmp_path)).failed(ExitCode.CONFIG)
    assert said == f"tickstream: {path}, line 2: close is no price: 'x'\n"


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    assert "no CSV file" in run("simulate", "--m1", str(tmp_path)).failed(ExitCode.CONFIG)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--push-interval", "1s", "--speed", "60"], "say the same thing"),
        (["--push-interval", "0"], "more than 0"),
        (["--push-interval", "soon"], "is not a duration"),
        (["--speed", "0"], "is no factor"),
        (["--speed", "inf"], "is no factor"),
        (["--speed", "fast"], "is no factor"),
        (["--quota", "many"], "is no number of credits"),
        (["--quota", "-1"], "is no number of credits"),
        (["--start", "noon"], "not an RFC 3339 time"),
        (["--fault", "dorp"], "Did you mean drop?"),
        (["--host", "0.0.0.0"], "can be reached by other machines"),
        (["--known", "eurusd"], "is no symbol"),
        (["--heartbeat", "0"], "heartbeat is to be more than 0"),
        (["--tls-cert", "cert.pem"], "needs its key"),
        (["--close-code", "5"], "no close code"),
        (["--plan", "gold"], "gold"),
        (["--at-end", "cry"], "cry"),
        (["tickatals"], "There is no simulator of 'tickatals'.\nDid you mean tickatlas?"),
    ],
)
def test_wrong_usage_is_said_in_a_line_or_two(options: list[str], says: str) -> None:
    assert says in run("simulate", *options).failed(ExitCode.USAGE)


def test_all_faults_are_listed_with_their_moment() -> None:
    lines = run("simulate", "--list-faults").ok().splitlines()
    assert [line.split()[0] for line in lines] == list(FAULTS)
    assert "drop                 10         end the connection without a close frame (FIN)" in lines


@pytest.mark.parametrize(
    ("options", "seconds"), [(["--speed", "120"], 0.3), (["--push-interval", "0.5s"], 0.3), ([], 0.1)]
)
def test_a_run_in_this_process_ends_in_time_with_the_url_as_its_output(options: list[str], seconds: float) -> None:
    result = run("simulate", *options, "--quota", "5", "--quota-reset-after", "1s", "--spread-unit", "price",
                 "--duration", f"{seconds}s", "--start", "2026-06-24T14:00Z")  # fmt: skip
    assert result.ok().startswith("ws://127.0.0.1:")


def test_providers_and_what_each_has_are_completed() -> None:
    from tickstream.cli.simulate import simulate

    app = typer.Typer()
    app.command()(simulate)
    command = typer.main.get_command(app)

    def offers(option: str, incomplete: str, *words: str) -> list[str]:
        ctx = command.make_context("simulate", list(words), resilient_parsing=True)
        (param,) = (one for one in command.params if option in (one.name, *one.opts))
        return [item.value for item in param.shell_complete(ctx, incomplete)]

    assert offers("--fault", "http-4") == ["http-400", "http-401", "http-403", "http-404", "http-429"]
    assert offers("--fault", "http-4", "nonsense") == offers("--fault", "http-4", "tickatlas")
    assert offers("--plan", "p") == ["payg", "pro"]
    assert offers("provider", "tick") == ["tickatlas"]
