"""FCS API from end to end: every command that streams, its demo key, and a key in the URL that nobody gets to see."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.end_to_end.canary import FORMS, KEY, assert_no_trace
from tests.end_to_end.capturing import Folder
from tests.end_to_end.watching import MONDAY_NS, Process, Server, Thread, assert_exit, of_type, run, serve
from tests.faults.raw import Peer, RawServer, closed_port
from tickstream.errors import ExitCode
from tickstream.providers.fcs import DEMO_KEY
from tickstream.simulator.fcs import message
from tickstream.timestamps import rfc3339

PACE = 30.0
"""Steps of a second each, so many in a second."""
SYMBOLS = ("FX:EURUSD", "NASDAQ:AAPL")
IN_ENV = {**os.environ, "FCS_API_KEY": KEY}
DEMO_WORDS = f"The key is {DEMO_KEY}, which FCS API publishes for a try"


def watched(server: Server, *args: str, key: str = "k", **env: str) -> Thread:
    return Thread("watch", "-p", "fcs", "--url", server.url, *args, env={"FCS_API_KEY": key, **env})


# --- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channel", "kind"), [("bars", "bar"), ("quotes", "quote")])
def test_each_channel_streams(channel: str, kind: str) -> None:
    with serve(provider="fcs", speed=PACE) as server:
        result = assert_exit(watched(server, *SYMBOLS, "--channel", channel, "--count", "40").wait(), ExitCode.OK)
    assert {event["type"] for event in result.events} == {kind}
    assert {event["symbol"] for event in result.events} == set(SYMBOLS)
    assert all(Decimal(event["ask"]) >= Decimal(event["bid"]) for event in result.events if "ask" in event)


def test_bars_are_what_was_sent_push_by_push() -> None:
    with serve(provider="fcs", speed=PACE) as server:
        result = assert_exit(watched(server, *SYMBOLS, "--count", "60").wait(), ExitCode.OK)
        sent = [symbol for symbol, _ in server.sent]
    assert [event["symbol"] for event in result.events] == sent[:60]
    assert {event["ts_event"] for event in result.events} == {rfc3339(MONDAY_NS)}
    assert {event["interval"] for event in result.events} == {"1m"}


def test_the_interval_is_a_setting() -> None:
    with serve(provider="fcs", speed=PACE) as server:
        done = watched(server, "FX:EURUSD", "--count", "3", TICKSTREAM_FCS_INTERVAL="4h").wait()
        assert {event["interval"] for event in assert_exit(done, ExitCode.OK).events} == {"4h"}
        refused = watched(server, "FX:EURUSD", TICKSTREAM_FCS_INTERVAL="7m").wait()
    assert_exit(refused, ExitCode.CONFIG)


def test_a_symbol_that_there_is_not_is_named_and_the_others_go_on() -> None:
    with serve(provider="fcs", speed=PACE) as server:
        done = watched(server, "FX:EURUSD", "FX:NOSUCH", "--events", "--count", "5").wait()
        assert of_type(assert_exit(done, ExitCode.OK).events, "notice")[0]["symbols"] == ["FX:NOSUCH"]
        assert_exit(watched(server, "FX:NOSUCH").wait(), ExitCode.REFUSED)


@pytest.mark.parametrize("fault", ["drop@30x1", "reset@30x1", "close-1001@30x1"])
def test_after_a_drop_rooms_are_joined_again_and_there_is_a_gap(fault: str) -> None:
    with serve(fault, provider="fcs", speed=PACE) as server:
        result = assert_exit(watched(server, *SYMBOLS, "--events", "--count", "60").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    assert [(gap["reason"], set(gap["symbols"])) for gap in result.gaps] == [("disconnect", set(SYMBOLS))]


# --- commands --------------------------------------------------------------------------------------------------------


def test_a_capture_is_verified_and_played_back(tmp_path: Path) -> None:
    base = tmp_path / "captured"
    with serve(provider="fcs", speed=PACE) as server:
        args = ("capture", "-p", "fcs", *SYMBOLS, "--url", server.url, "--to", str(base), "--count", "40")
        assert_exit(run(*args, env=IN_ENV), ExitCode.OK)
    assert sum(one["events"] for one in Folder(base).entries("file")) == 40
    assert_exit(run("verify", str(base)), ExitCode.OK)
    assert len(assert_exit(run("replay", str(base), "--speed", "max"), ExitCode.OK).events) == 40
    for path in base.rglob("*"):
        if path.is_file():
            assert_no_trace(path.read_bytes())


def test_the_demo_needs_neither_key_nor_network() -> None:
    result = assert_exit(Thread("watch", "-p", "fcs", "--demo", "--count", "6").wait(), ExitCode.OK)
    assert len(result.events) == 6
    assert "DEMO" in result.err


def test_an_error_code_is_explained() -> None:
    result = assert_exit(run("explain", "not_welcome"), ExitCode.OK)
    assert b"FCS API" in result.out


# --- the key ---------------------------------------------------------------------------------------------------------


def test_without_a_key_the_demo_key_is_used_and_named() -> None:
    with serve(provider="fcs", speed=PACE, keys=(DEMO_KEY,)) as server:
        result = Thread("watch", "-p", "fcs", "FX:EURUSD", "--url", server.url, "--count", "3").wait()
        assert DEMO_WORDS in assert_exit(result, ExitCode.OK).err
        assert "FCS_API_KEY is for one of yours" in result.err
        own = watched(server, "FX:EURUSD", key="another")
        assert DEMO_KEY not in assert_exit(own.wait(), ExitCode.INVALID_KEY).err


@pytest.mark.parametrize("command", ["watch", "doctor"])
@pytest.mark.parametrize("fault", ["invalid-key", "echo-key"])
def test_a_key_that_is_refused_ends_it_and_is_not_shown(command: str, fault: str) -> None:
    with serve(fault, provider="fcs") as server:
        args = (command, "-p", "fcs", "FX:EURUSD", "--url", server.url)
        result = assert_exit(run(*args, *(["-vv"] if command == "watch" else []), env=IN_ENV), ExitCode.INVALID_KEY)
        assert_no_trace(result.out, result.err, *server.log)


def test_a_key_is_in_the_first_line_of_the_request_and_in_nothing_else(tmp_path: Path) -> None:
    said = [message("welcome")]
    said += [message("error", message=form, short=form) for form in FORMS.values()]
    said += [b'{"' + form.encode() for form in FORMS.values()]

    def parrot(peer: Peer) -> None:
        peer.accept(f"X-Your-Key: {FORMS['percent']}")
        peer.send_text(*said)
        peer.read_frames()
        peer.send_close(4001, FORMS["plain"])
        peer.until_gone()

    bad = tmp_path / "bad.jsonl"
    with RawServer(parrot) as server:
        args = ("FX:EURUSD", "--url", server.url, "--retries", "0", "--quarantine", str(bad), "-vv", "--events")
        result = assert_exit(run("watch", "-p", "fcs", *args, env=IN_ENV), ExitCode.PROTOCOL)
        head, _, rest = server.peers[0].read_request().partition(b"\r\n")
    assert parse_qs(head.decode().split(" ")[1].partition("?")[2]) == {"access_key": [KEY]}
    assert_no_trace(rest, result.out, result.err, bad.read_bytes())


@pytest.mark.parametrize("status", ["301", "401", "418"])
def test_an_http_answer_that_repeats_the_key_is_not_repeated(status: str) -> None:
    def answer(peer: Peer) -> None:
        location = f"Location: wss://elsewhere.example/?access_key={FORMS['percent']}"
        peer.respond(f"{status} {FORMS['plain']}", location, body="\n".join(FORMS.values()).encode())

    with RawServer(answer) as server:
        for args in (("watch", "-vv", "--retries", "0"), ("doctor",)):
            result = run(args[0], "-p", "fcs", "FX:EURUSD", "--url", server.url, *args[1:], env=IN_ENV)
            assert result.code not in (ExitCode.OK, ExitCode.BUG)
            assert_no_trace(result.out, result.err)


def test_a_key_is_in_no_error_of_the_network_and_in_no_process_list() -> None:
    for url in (f"ws://127.0.0.1:{closed_port()}/ws", f"wss://127.0.0.1:{closed_port()}/ws", "ws://192.0.2.1/ws"):
        result = run("watch", "-p", "fcs", "FX:EURUSD", "--url", url, "--retries", "0", "-vv", env=IN_ENV)
        assert result.code in (ExitCode.NETWORK, ExitCode.TLS)
        assert_no_trace(result.out, result.err)
    with serve(provider="fcs", speed=PACE, keys=(KEY,)) as server:
        args = ("watch", "-p", "fcs", "FX:EURUSD", "--url", server.url, "--key-stdin")
        with Process(*args, stdin=KEY.encode() + b"\n") as process:
            process.wait_for_lines(1)
            seen = [Path(f"/proc/{process.pid}/{name}") for name in ("cmdline", "environ")]
            assert_no_trace(*(path.read_bytes() for path in seen if path.exists()))
            result = assert_exit(process.stop(), ExitCode.SIGTERM)
    assert_no_trace(result.out, result.err)
