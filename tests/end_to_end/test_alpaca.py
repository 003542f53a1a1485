"""Alpaca from end to end: each channel, endpoints by symbol, an occupied connection, captures, a key in two parts."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.canary import KEY, assert_no_trace
from tests.end_to_end.capturing import Folder
from tests.end_to_end.watching import Server, Thread, assert_exit, of_type, run, serve
from tickstream.errors import ExitCode

PACE = 30.0
"""Steps of a second each, so many in a second."""
SYMBOLS = ("AAPL", "BTC/USD")
IN_ENV = {**os.environ, "ALPACA_API_KEY": f"{KEY}:another-{KEY}"}


def watched(server: Server, *args: str, key: str = "k:s", **env: str) -> Thread:
    return Thread("watch", "-p", "alpaca", "--url", server.url, "--events", *args, env={"ALPACA_API_KEY": key, **env})


@pytest.mark.parametrize(
    ("channel", "symbols", "kind"),
    [
        ("trades", SYMBOLS, "trade"), ("quotes", SYMBOLS, "quote"), ("quotes", ("FAKEPACA",), "quote"),
        ("book", ("BTC/USD", "ETH/USD"), "book_snapshot"),
    ],
)  # fmt: skip
def test_each_channel_streams_and_each_symbol_from_its_endpoint(
    channel: str, symbols: tuple[str, ...], kind: str
) -> None:
    with serve(provider="alpaca", speed=PACE) as server:
        result = assert_exit(watched(server, *symbols, "--channel", channel, "--count", "30").wait(), ExitCode.OK)
        assert server.simulator.connections == len({"/" in symbol for symbol in symbols})
    market = [event for event in result.events if "symbol" in event]
    assert market[0]["type"] == kind
    assert {event["symbol"] for event in market} == set(symbols)
    assert result.gaps == []


@pytest.mark.parametrize(("interval", "kind"), [("1m", "1m"), ("1d", "1d")])
def test_bars_are_of_minutes_or_days(interval: str, kind: str) -> None:
    with serve(provider="alpaca", speed=120.0) as server:
        args = ("AAPL", "--channel", "bars", "--count", "3")
        result = assert_exit(watched(server, *args, TICKSTREAM_ALPACA_INTERVAL=interval).wait(), ExitCode.OK)
    bars = of_type(result.events, "bar")
    assert {bar["interval"] for bar in bars} == {kind}
    assert all(Decimal(bar["low"]) <= Decimal(bar["close"]) <= Decimal(bar["high"]) for bar in bars)


def test_news_are_an_endpoint_of_their_own() -> None:
    with serve(provider="alpaca", speed=PACE) as server:
        thread = watched(server, "AAPL", "--duration", "3s", TICKSTREAM_ALPACA_FEED="news")
        result = thread.wait()
    (news,) = of_type(result.events, "notice")
    assert (news["code"], news["symbols"]) == ("news", ["AAPL"])


@pytest.mark.parametrize("fault", ["drop", "reset", "close-1001", "slow-client", "internal-error"])
def test_after_a_drop_there_is_a_gap_and_the_stream_goes_on(fault: str) -> None:
    with serve(f"{fault}@30x1", provider="alpaca", speed=PACE) as server:
        result = assert_exit(watched(server, "AAPL", "SPY", "--count", "60").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    assert [(gap["reason"], set(gap["symbols"])) for gap in result.gaps] == [("disconnect", {"AAPL", "SPY"})]


def test_an_occupied_connection_is_waited_for_on_the_same_one() -> None:
    with serve("connection-limit", provider="alpaca", speed=PACE) as server:
        result = assert_exit(watched(server, "AAPL", "--count", "3").wait(), ExitCode.OK)
        assert server.simulator.connections == 1
    assert [notice["code"] for notice in of_type(result.events, "notice")] == ["406"]


def test_symbols_over_the_plans_limit_are_refused_and_the_others_go_on() -> None:
    with serve(provider="alpaca", speed=PACE, max_symbols=2) as server:
        done = watched(server, "AAPL", "MSFT", "SPY", "QQQ", "--count", "5").wait()
    assert set(assert_exit(done, ExitCode.OK).summary["refused"]) == {"QQQ", "SPY"}


@pytest.mark.parametrize(("fault", "code"), [("invalid-key", ExitCode.INVALID_KEY), ("forbidden", ExitCode.FORBIDDEN)])
def test_refusals_end_it_with_their_exit_code(fault: str, code: ExitCode) -> None:
    with serve(fault, provider="alpaca", speed=PACE) as server:
        assert_exit(watched(server, "AAPL").wait(), code)


def test_books_of_stocks_are_refused_and_no_key_is_a_matter_of_configuration() -> None:
    with serve(provider="alpaca", speed=PACE) as server:
        assert_exit(watched(server, "AAPL", "--channel", "book").wait(), ExitCode.REFUSED)
    without = {name: value for name, value in os.environ.items() if name != "ALPACA_API_KEY"}
    assert_exit(run("watch", "AAPL", "-p", "alpaca", env=without), ExitCode.CONFIG)
    assert_exit(run("watch", "aapl!", "-p", "alpaca", "--demo"), ExitCode.USAGE)


def test_a_capture_is_verified_and_played_back_and_has_no_part_of_the_key(tmp_path: Path) -> None:
    for form in ("jsonl", "raw"):
        base = tmp_path / form
        with serve(provider="alpaca", speed=PACE) as server:
            args = ("capture", "-p", "alpaca", *SYMBOLS, "--url", server.url, "--to", str(base), "--count", "40")
            assert_exit(run(*args, "-o", form, env=IN_ENV), ExitCode.OK)
        assert sum(one["events"] for one in Folder(base).entries("file")) == 40
        assert_exit(run("verify", str(base)), ExitCode.OK)
        assert len(assert_exit(run("replay", str(base), "--speed", "max"), ExitCode.OK).events) == 40
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert_no_trace(path.read_bytes())


@pytest.mark.parametrize("command", ["watch", "doctor"])
def test_a_key_that_is_echoed_is_not_shown(command: str) -> None:
    with serve("echo-key", provider="alpaca") as server:
        args = (command, "-p", "alpaca", "AAPL", "--url", server.url)
        result = assert_exit(run(*args, *(["-vv"] if command == "watch" else []), env=IN_ENV), ExitCode.INVALID_KEY)
        assert_no_trace(result.out, result.err, *server.log)


@pytest.mark.parametrize(("channel", "symbols"), [("trades", SYMBOLS), ("book", ("BTC/USD",))])
def test_message_pack_both_ways_gives_the_same_kind_of_data(channel: str, symbols: tuple[str, ...]) -> None:
    with serve("binary@3", provider="alpaca", speed=PACE) as server:
        args = (*symbols, "--channel", channel, "--count", "12")
        result = assert_exit(watched(server, *args, TICKSTREAM_ALPACA_ENCODING="msgpack").wait(), ExitCode.OK)
        packed = {"ALPACA_API_KEY": "k:s", "TICKSTREAM_ALPACA_ENCODING": "msgpack"}
        thread = Thread("watch", "-p", "alpaca", "--url", server.url, *args, "-o", "raw", env=packed)
        raw = assert_exit(thread.wait(), ExitCode.OK)
    market = [event for event in result.events if "symbol" in event]
    assert {event["symbol"] for event in market} == set(symbols)
    assert all(event["ts_event"].endswith("Z") for event in market)
    assert len(raw.lines) >= 12
    assert [line for line in raw.lines if not line.startswith('[{"T":')] == []
