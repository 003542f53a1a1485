"""AllTick from end to end: both protocols, both endpoints in one run, several connections, and a token in the URL."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.canary import FORMS, KEY, assert_no_trace
from tests.end_to_end.watching import Server, Thread, assert_exit, of_type, run, serve
from tests.faults.raw import Peer, RawServer
from tickstream.errors import ExitCode
from tickstream.simulator.alltick import answer, message

PACE = 30.0
"""Steps of a second each, so many in a second."""
IN_ENV = {**os.environ, "ALLTICK_TOKEN": KEY}


def watched(server: Server, *args: str, **env: str) -> Thread:
    return Thread("watch", "-p", "alltick", "--url", server.url, *args, env={"ALLTICK_TOKEN": "t", **env})


def test_both_endpoints_stream_in_one_run_over_connections_that_ask_three_seconds_apart() -> None:
    with serve(provider="alltick", speed=PACE) as server:
        symbols = ("BTCUSDT", "AAPL.US", "GOLD", "700.HK")
        result = assert_exit(watched(server, *symbols, "--events", "--duration", "4.5s").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
        assert [line for line in server.log if "refused" in line] == []
    assert {event["symbol"] for event in of_type(result.events, "trade")} == set(symbols)
    assert (result.gaps, result.summary["refused"]) == ([], [])


@pytest.mark.parametrize(("channel", "kind"), [("book", "book_snapshot"), ("quotes", "quote")])
def test_books_and_quotes_stream(channel: str, kind: str) -> None:
    with serve(provider="alltick", speed=PACE) as server:
        args = ("BTCUSDT", "EURUSD", "--channel", channel, "--count", "20")
        result = assert_exit(watched(server, *args).wait(), ExitCode.OK)
    assert {(event["type"], event["symbol"]) for event in result.events} == {(kind, "BTCUSDT"), (kind, "EURUSD")}


def test_trades_are_what_was_sent_each_once_in_order() -> None:
    with serve("duplicate", provider="alltick", speed=PACE) as server:
        result = assert_exit(watched(server, "BTCUSDT", "--count", "60").wait(), ExitCode.OK)
    numbers = [int(event["sequence"]) for event in result.events]
    assert numbers == list(range(numbers[0], numbers[0] + 60))
    assert {event["side"] for event in result.events} == {"buy", "sell"}
    assert all(Decimal(event["price"]) > 0 for event in result.events)


def test_after_a_drop_there_is_a_gap_and_the_list_is_asked_for_again() -> None:
    with serve("drop@30x1", provider="alltick", speed=PACE) as server:
        result = assert_exit(watched(server, "BTCUSDT", "EURUSD", "--events", "--count", "60").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
        assert [line for line in server.log if "refused" in line] == []
    assert [(gap["reason"], set(gap["symbols"])) for gap in result.gaps] == [("disconnect", {"BTCUSDT", "EURUSD"})]


def test_the_simple_protocol_is_a_setting() -> None:
    with serve(provider="alltick", speed=PACE) as server:
        thread = watched(server, "AAPL", "TSLA", "--count", "20", TICKSTREAM_ALLTICK_MODE="simple")
        result = assert_exit(thread.wait(), ExitCode.OK)
    assert {event["symbol"] for event in result.events} == {"AAPL", "TSLA"}
    assert all(
        event.keys() == {"type", "provider", "symbol", "ts_event", "ts_recv", "price"} for event in result.events
    )


def test_codes_that_there_are_not_are_named_and_the_others_go_on() -> None:
    with serve(provider="alltick", speed=PACE) as server:
        thread = watched(server, "BTCUSDT", "NOSUCH", "--events", "--count", "300")
        result = assert_exit(thread.wait(), ExitCode.OK)
        assert result.summary["refused"] == ["NOSUCH"]
        assert {event["symbol"] for event in of_type(result.events, "trade")} == {"BTCUSDT"}
        assert_exit(watched(server, "goldd", ALLTICK_TOKEN="another").wait(), ExitCode.REFUSED)


def test_a_capture_is_verified_and_played_back(tmp_path: Path) -> None:
    base = tmp_path / "captured"
    with serve(provider="alltick", speed=PACE) as server:
        args = ("BTCUSDT", "GOLD", "--url", server.url, "--to", str(base), "--count", "40")
        assert_exit(run("capture", "-p", "alltick", *args, env=IN_ENV), ExitCode.OK)
    assert_exit(run("verify", str(base)), ExitCode.OK)
    assert len(assert_exit(run("replay", str(base), "--speed", "max"), ExitCode.OK).events) == 40
    assert_no_trace(*(path.read_bytes() for path in base.rglob("*") if path.is_file()))


def test_the_demo_needs_neither_token_nor_network_and_a_run_without_one_says_so() -> None:
    result = assert_exit(Thread("watch", "-p", "alltick", "--demo", "--count", "6").wait(), ExitCode.OK)
    assert {event["type"] for event in result.events} == {"trade"}
    assert "ALLTICK_TOKEN" in assert_exit(Thread("watch", "-p", "alltick", "GOLD").wait(), ExitCode.CONFIG).err


def test_an_error_code_is_explained() -> None:
    assert b"AllTick" in assert_exit(run("explain", "606"), ExitCode.OK).out


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["watch", "doctor"])
@pytest.mark.parametrize("fault", ["invalid-key", "echo-key"])
def test_a_token_that_is_refused_ends_it_and_is_not_shown(command: str, fault: str) -> None:
    with serve(fault, provider="alltick") as server:
        args = (command, "-p", "alltick", "BTCUSDT", "--url", server.url)
        result = assert_exit(run(*args, *(["-vv"] if command == "watch" else []), env=IN_ENV), ExitCode.INVALID_KEY)
        assert_no_trace(result.out, result.err, *server.log)


def test_a_token_is_in_the_first_line_of_the_request_and_in_nothing_else(tmp_path: Path) -> None:
    said = [answer(777, words=form) for form in FORMS.values()]
    said += [message(cmd_id=22998, data={"code": form, "price": "1"}) for form in FORMS.values()]
    said += [b'{"' + form.encode() for form in FORMS.values()]

    def parrot(peer: Peer) -> None:
        peer.accept(f"X-Your-Key: {FORMS['percent']}")
        peer.send_text(*said)
        peer.read_frames()
        peer.send_close(4001, FORMS["plain"])
        peer.until_gone()

    bad = tmp_path / "bad.jsonl"
    with RawServer(parrot) as server:
        args = ("BTCUSDT", "--url", server.url, "--retries", "0", "--quarantine", str(bad), "-vv", "--events")
        result = run("watch", "-p", "alltick", *args, env=IN_ENV)
        head, _, rest = server.peers[0].read_request().partition(b"\r\n")
    assert result.code in (ExitCode.NETWORK, ExitCode.PROTOCOL)
    assert FORMS["percent"] in head.decode()
    assert_no_trace(rest, result.out, result.err, bad.read_bytes())
