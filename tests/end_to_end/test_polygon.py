"""Polygon from end to end: every command that streams, each endpoint, wildcards, and a connection too many."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.canary import KEY, assert_no_trace
from tests.end_to_end.capturing import Folder
from tests.end_to_end.watching import Server, Thread, assert_exit, of_type, run, serve
from tickstream.errors import ExitCode
from tickstream.providers.polygon import HELD_S

PACE = 60.0
"""Steps of a second each, so many in a second."""
STOCKS = ("AAPL", "BRK.B")
IN_ENV = {**os.environ, "POLYGON_API_KEY": KEY}


def watched(server: Server, *args: str, key: str = "k", **env: str) -> Thread:
    return Thread("watch", "-p", "polygon", "--url", server.url, *args, env={"POLYGON_API_KEY": key, **env})


@pytest.mark.parametrize(
    ("symbol", "channel", "kind"),
    [("AAPL", "trades", "trade"), ("AAPL", "quotes", "quote"), ("AAPL", "bars", "bar"), ("BTC-USD", "trades", "trade"),
     ("BTC-USD", "quotes", "quote"), ("EUR/USD", "quotes", "quote"), ("EUR/USD", "bars", "bar"),
     ("I:SPX", "bars", "bar")],
)  # fmt: skip
def test_each_endpoint_streams_each_of_its_channels(symbol: str, channel: str, kind: str) -> None:
    with serve(provider="polygon", speed=PACE) as server:
        args = (symbol, "--channel", channel, "--count", "8")
        result = assert_exit(watched(server, *args, TICKSTREAM_POLYGON_INTERVAL="1s").wait(), ExitCode.OK)
    assert [(event["type"], event["symbol"]) for event in result.events] == [(kind, symbol)] * 8
    assert all(Decimal(event["ask"]) > Decimal(event["bid"]) for event in result.events if "ask" in event)


@pytest.mark.parametrize(("wildcard", "some"), [("*", set(STOCKS)), ("*/*", {"EUR/USD"}), ("*-*", {"BTC-USD"})])
def test_a_wildcard_brings_all_of_an_endpoint(wildcard: str, some: set[str]) -> None:
    with serve(provider="polygon", speed=PACE) as server:
        args = (wildcard, "--channel", "quotes", "--count", "40")
        result = assert_exit(watched(server, *args).wait(), ExitCode.OK)
    assert {event["symbol"] for event in result.events} > some


def test_after_a_drop_topics_are_asked_for_again_and_there_is_a_gap() -> None:
    with serve("drop@30x1", provider="polygon", speed=PACE) as server:
        result = assert_exit(watched(server, *STOCKS, "--events", "--count", "60").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    assert [(gap["reason"], set(gap["symbols"])) for gap in result.gaps] == [("disconnect", set(STOCKS))]


def test_after_a_drop_all_that_a_wildcard_had_brought_has_a_gap() -> None:
    with serve("drop@30x1", provider="polygon", speed=PACE) as server:
        result = assert_exit(watched(server, "*-*", "--events", "--count", "60").wait(), ExitCode.OK)
    missed = {symbol for gap in result.gaps for symbol in gap["symbols"]}
    assert missed == {"*-*", *(event["symbol"] for event in of_type(result.events, "trade"))}


def test_a_connection_too_many_is_held_although_key_and_topics_were_accepted() -> None:
    with serve("connection-limit", provider="polygon", speed=PACE) as server:
        done = watched(server, "AAPL", "--hold-max", "1s").wait()
        assert_exit(done, ExitCode.CONNECTION_LIMIT)
        assert server.simulator.connections == 1
        result = watched(server, "AAPL", "--events", "--duration", "3s").wait()
        assert server.simulator.connections == 2
    held = [event for event in of_type(result.events, "session") if event["state"] == "held"]
    assert float(held[0]["retry_in_s"]) >= HELD_S


def test_symbols_of_another_endpoint_are_named_and_the_others_go_on() -> None:
    with serve(provider="polygon", speed=PACE) as server:
        done = watched(server, "AAPL", "EUR/USD", "--events", "--count", "5").wait()
        assert of_type(assert_exit(done, ExitCode.OK).events, "notice")[0]["symbols"] == ["EUR/USD"]
        assert_exit(watched(server, "EUR/USD", "--channel", "trades").wait(), ExitCode.REFUSED)


@pytest.mark.parametrize(
    ("fault", "code"),
    [("invalid-key", ExitCode.INVALID_KEY), ("echo-key", ExitCode.INVALID_KEY), ("forbidden", ExitCode.FORBIDDEN)],
)
def test_what_is_refused_ends_it_and_no_key_is_shown(fault: str, code: ExitCode) -> None:
    with serve(fault, provider="polygon") as server:
        for command in ("watch", "doctor"):
            result = assert_exit(run(command, "-p", "polygon", "AAPL", "--url", server.url, env=IN_ENV), code)
            assert_no_trace(result.out, result.err, *server.log)


def test_a_capture_is_verified_and_played_back(tmp_path: Path) -> None:
    base = tmp_path / "captured"
    with serve(provider="polygon", speed=PACE) as server:
        args = ("capture", "-p", "polygon", *STOCKS, "--url", server.url, "--to", str(base), "--count", "40")
        assert_exit(run(*args, env=IN_ENV), ExitCode.OK)
    assert sum(one["events"] for one in Folder(base).entries("file")) == 40
    assert_exit(run("verify", str(base)), ExitCode.OK)
    assert len(assert_exit(run("replay", str(base), "--speed", "max"), ExitCode.OK).events) == 40


def test_the_providers_own_frames_are_passed_on_as_they_came() -> None:
    with serve(provider="polygon", speed=PACE) as server:
        result = assert_exit(watched(server, "AAPL", "-o", "raw", "--count", "6").wait(), ExitCode.OK)
    assert len(result.lines) == 6
    assert all('[{"ev":"T","sym":"AAPL",' in line for line in result.lines)


def test_the_demo_needs_neither_key_nor_network() -> None:
    result = assert_exit(Thread("watch", "-p", "polygon", "--demo", "--count", "6").wait(), ExitCode.OK)
    assert {event["type"] for event in result.events} == {"trade"}
    assert "DEMO" in result.err


def test_a_capture_of_all_goes_on_with_a_gap_for_each_that_it_has(tmp_path: Path) -> None:
    base = tmp_path / "captured"
    with serve(provider="polygon", speed=PACE) as server:
        args = ("capture", "-p", "polygon", "*-*", "--url", server.url, "--to", str(base), "--count", "30")
        for _ in range(2):
            assert_exit(run(*args, env=IN_ENV), ExitCode.OK)
    gaps = [gap for gap in Folder(base).entries("gap") if gap["reason"] == "restart"]
    assert {symbol for gap in gaps for symbol in gap["symbols"]} == {"*-*", "BTC-USD", "ETH-USD", "SOL-USD"}
