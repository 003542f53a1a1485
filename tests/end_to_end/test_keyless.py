"""Kraken and Binance from end to end: `watch` against their counterparts, without a key, in each channel."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.end_to_end.watching import Event, Server, Thread, assert_exit, of_type, run, serve
from tickstream.errors import ExitCode

PACE = 30.0
"""Steps of a second each, so many in a second."""
SYMBOLS = {"kraken": ("BTC/USD", "ETH/BTC"), "binance": ("BTCUSDT", "ETHBTC")}
FIRST = {"quotes": "quote", "trades": "trade", "book": "book_snapshot", "bars": "bar"}


def watched(server: Server, provider: str, *args: str) -> Thread:
    return Thread("watch", "--provider", provider, "--url", server.url, "--events", *args)


def ids(events: Sequence[Event], symbol: str) -> list[int]:
    return [int(event["trade_id"]) for event in of_type(list(events), "trade") if event["symbol"] == symbol]


@pytest.mark.parametrize("provider", SYMBOLS)
@pytest.mark.parametrize("channel", FIRST)
def test_each_channel_streams_without_a_key(provider: str, channel: str) -> None:
    with serve(provider=provider, speed=PACE) as server:
        args = (*SYMBOLS[provider], "--channel", channel, "--count", "30")
        result = assert_exit(watched(server, provider, *args).wait(), ExitCode.OK)
    market = [event for event in result.events if "symbol" in event]
    assert market[0]["type"] == FIRST[channel]
    assert {event["symbol"] for event in market} == set(SYMBOLS[provider])
    assert {event["provider"] for event in market} == {provider}
    assert result.gaps == []


def test_quotes_come_first_and_the_command_is_as_short_as_it_can_be() -> None:
    with serve(provider="kraken", speed=PACE) as server:
        result = assert_exit(run("watch", "BTC/USD", "-p", "kraken", "--url", server.url, "--count", "3"), ExitCode.OK)
    assert [event["type"] for event in result.events] == ["quote"] * 3
    assert all(Decimal(event["bid"]) < Decimal(event["ask"]) for event in result.events)


@pytest.mark.parametrize("provider", SYMBOLS)
@pytest.mark.parametrize("fault", ["drop", "reset", "close-1001", "rsv", "bad-json", "no-ack"])
def test_after_a_fault_the_stream_goes_on(provider: str, fault: str) -> None:
    args = (*SYMBOLS[provider], "--channel", "trades", "--count", "60")
    with serve(f"{fault}x1", provider=provider, speed=PACE) as server:
        result = assert_exit(watched(server, provider, *args).wait(60), ExitCode.OK)
        survives = fault in ("bad-json", "no-ack")
        assert server.simulator.connections == (1 if survives else 2)
    reasons = {gap["reason"] for gap in result.gaps}
    assert reasons == (set() if survives else {"disconnect"})
    for symbol in SYMBOLS[provider]:
        got = ids(result.events, symbol)
        assert got == sorted(set(got))


@pytest.mark.parametrize("provider", SYMBOLS)
def test_a_trade_that_is_lost_on_the_way_is_a_gap_of_one(provider: str) -> None:
    symbol = SYMBOLS[provider][0]
    with serve("lost@7", provider=provider, speed=PACE) as server:
        thread = watched(server, provider, symbol, "--channel", "trades", "--count", "20", "--strict")
        result = assert_exit(thread.wait(), ExitCode.INCOMPLETE)
    assert [(gap["reason"], gap["symbols"], gap["missed"]) for gap in result.gaps] == [("sequence", [symbol], "1")]


def test_after_a_wrong_checksum_nothing_of_the_book_comes_until_it_is_there_anew() -> None:
    with serve("bad-checksum@8x1", provider="kraken", speed=PACE) as server:
        thread = watched(server, "kraken", "BTC/USD", "--channel", "book", "--count", "40")
        result = assert_exit(thread.wait(), ExitCode.OK)
        assert server.simulator.connections == 1
    assert "book_checksum" in {notice["code"] for notice in of_type(result.events, "notice")}
    kinds = [event["type"] for event in result.events]
    first, second = (number for number, kind in enumerate(kinds) if kind == "book_snapshot")
    assert kinds.index("notice") > first
    assert "book_update" not in kinds[kinds.index("notice") : second]


@pytest.mark.parametrize("channel", FIRST)
def test_a_server_that_shuts_down_is_left_without_a_gap_and_without_a_duplicate(channel: str) -> None:
    args = (*SYMBOLS["binance"], "--channel", channel, "--duration", "4s", "--strict")
    with serve("server-shutdown@8x1", provider="binance", speed=PACE) as server:
        result = assert_exit(watched(server, "binance", *args).wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    sessions = [(event["state"], event["epoch"]) for event in of_type(result.events, "session")]
    assert sessions == [("up", "1"), ("up", "2"), ("closed", "2")]
    assert "server_shutdown" in {notice["code"] for notice in of_type(result.events, "notice")}
    assert result.gaps == []
    kinds = [event["type"] for event in result.events]
    assert kinds.count(FIRST[channel]) > 60
    assert FIRST[channel] in kinds[kinds.index("session", kinds.index("session") + 1) :], "the new one delivers"
    for symbol in SYMBOLS["binance"]:
        mine = [event for event in result.events if event.get("symbol") == symbol]
        if channel == "trades":
            numbers = ids(result.events, symbol)
            assert numbers == list(range(numbers[0], numbers[-1] + 1)), "each trade exactly once"
        elif channel == "bars":
            places = [(event["ts_event"], Decimal(event["volume"]), event["closed"]) for event in mine]
            assert places == sorted(set(places))
        else:
            numbers = [int(event["sequence"]) for event in mine]
            assert numbers == sorted(set(numbers))


def test_symbols_that_there_are_not_are_refused_by_name_and_the_others_go_on() -> None:
    with serve(provider="kraken", speed=PACE) as server:
        some = watched(server, "kraken", "BTC/USD", "FOO/BAR", "--count", "3").wait()
        none = watched(server, "kraken", "FOO/BAR", "--channel", "book", "--count", "3").wait()
    assert_exit(some, ExitCode.OK)
    assert some.summary["refused"] == ["FOO/BAR"]
    assert_exit(none, ExitCode.REFUSED)


def test_a_symbol_of_another_form_is_a_wrong_usage() -> None:
    assert_exit(run("watch", "BTC//USD", "-p", "kraken"), ExitCode.USAGE)
    assert_exit(run("watch", "BTC//USDT", "-p", "binance"), ExitCode.USAGE)
