"""Coinbase from end to end: each channel, a key of three parts, lost trades, wrong books, a book of over a megabyte."""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.end_to_end.capturing import Folder
from tests.end_to_end.watching import MONDAY_NS, Result, Server, Thread, assert_exit, of_type, run, serve
from tickstream.cli.endpoints import the_key
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.errors import ConfigError, ExitCode
from tickstream.events import BookSnapshot, Level
from tickstream.numbers import Number, number
from tickstream.providers import load
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator
from tickstream.timestamps import Timestamp

PACE = 30.0
"""Steps of a second each, so many in a second."""
PRODUCTS = ("BTC-USD", "ETH-BTC")
PARTS = ("kanarienvogel7", "d2llZGVyZ2VzYW5n", "zwitschert laut")
KEY = ":".join(PARTS)
FIRST = {"quotes": "quote", "trades": "trade", "book": "book_snapshot", "orders": "order", "bars": "bar"}


def watched(server: Server, *args: str, **env: str) -> Thread:
    return Thread("watch", "-p", "coinbase", "--url", server.url, "--events", *args, env=env)


def market(result: Result) -> list[dict[str, str]]:
    return [event for event in result.events if "symbol" in event]


@pytest.mark.parametrize("channel", FIRST)
def test_each_channel_streams(channel: str) -> None:
    with serve(provider="coinbase", speed=PACE, keys=(KEY,)) as server:
        args = (*PRODUCTS, "--channel", channel, "--count", "40")
        result = assert_exit(watched(server, *args, COINBASE_API_KEY=KEY).wait(), ExitCode.OK)
    assert market(result)[0]["type"] == FIRST[channel]
    assert {event["symbol"] for event in market(result)} == set(PRODUCTS)
    assert result.gaps == []


def test_a_wrong_key_is_told_apart_and_not_shown() -> None:
    with serve("echo-key", provider="coinbase", speed=PACE, keys=(KEY,)) as server:
        args = ("BTC-USD", "--channel", "orders")
        result = assert_exit(watched(server, *args, COINBASE_API_KEY=KEY).wait(), ExitCode.INVALID_KEY)
    with serve(provider="coinbase", speed=PACE, keys=("another:a2V5:one",)) as server:
        refused = assert_exit(watched(server, *args, COINBASE_API_KEY=KEY).wait(), ExitCode.INVALID_KEY)
        odd = assert_exit(watched(server, *args, COINBASE_API_KEY="a:!:b").wait(), ExitCode.INVALID_KEY)
    for part in PARTS:
        assert part not in result.err + refused.err + result.out.decode()
    assert "KEY:SECRET:PASSPHRASE" in refused.err
    assert "base64" in odd.err


def test_what_needs_no_key_has_none_elsewhere_and_the_rest_says_so() -> None:
    here = Environment(stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), env={})
    spec = load("coinbase")
    for channel in ("quotes", "trades", "book"):
        assert the_key(here, FeedOptions(channel=channel), here.config(), spec, spec.url) is None
    with pytest.raises(ConfigError, match="COINBASE_API_KEY"):
        the_key(here, FeedOptions(channel="orders"), here.config(), spec, spec.url)


def test_a_lost_trade_is_counted() -> None:
    with serve("lost@20", provider="coinbase", speed=PACE) as server:
        result = assert_exit(watched(server, "BTC-USD", "--channel", "trades", "--count", "60").wait(), ExitCode.OK)
    assert [(gap["reason"], gap["missed"]) for gap in result.gaps] == [("sequence", "1")]
    ids = [int(trade["trade_id"]) for trade in of_type(result.events, "trade")]
    assert ids[-1] - ids[0] == len(ids)


@pytest.mark.parametrize("fault", ["drop@30x1", "close-1001@30x1", "slow-consumer@30x1"])
def test_after_a_drop_it_goes_on_and_there_is_a_gap(fault: str) -> None:
    with serve(fault, provider="coinbase", speed=PACE) as server:
        args = (*PRODUCTS, "--channel", "trades", "--count", "90")
        result = assert_exit(watched(server, *args).wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    assert [gap["reason"] for gap in result.gaps][:1] == ["disconnect"]


def test_a_crossed_book_is_withheld_and_asked_for_anew_on_the_same_connection() -> None:
    with serve("crossed-book@20", provider="coinbase", speed=PACE) as server:
        result = assert_exit(watched(server, "BTC-USD", "--channel", "book", "--count", "60").wait(), ExitCode.OK)
        assert server.simulator.connections == 1
    assert len(of_type(result.events, "book_snapshot")) == 2
    assert [gap["reason"] for gap in result.gaps] == ["book"]


def test_a_product_that_there_is_not_is_named_and_the_others_go_on() -> None:
    with serve(provider="coinbase", speed=PACE) as server:
        done = watched(server, "FOO-BAR", "BTC-USD", "--channel", "trades", "--count", "5").wait()
        assert of_type(assert_exit(done, ExitCode.OK).events, "notice")[0]["symbols"] == ["FOO-BAR"]
        assert_exit(watched(server, "FOO-BAR").wait(), ExitCode.REFUSED)


def test_a_capture_is_verified_and_played_back(tmp_path: Path) -> None:
    base = tmp_path / "captured"
    with serve(provider="coinbase", speed=PACE) as server:
        how = ("-p", "coinbase", *PRODUCTS, "--channel", "trades", "--url", server.url)
        done = run("capture", *how, "--to", str(base), "--count", "40", env={**os.environ, "COINBASE_API_KEY": KEY})
        assert_exit(done, ExitCode.OK)
    assert sum(one["events"] for one in Folder(base).entries("file")) == 40
    assert_exit(run("verify", str(base)), ExitCode.OK)
    assert len(assert_exit(run("replay", str(base), "--speed", "max"), ExitCode.OK).events) == 40


class OneBook:
    """A market that is one book, as large as that of BTC-USD."""

    step_ns = 0
    first_ns = MONDAY_NS
    symbols = frozenset({"BTC-USD"})

    def __init__(self, levels: int) -> None:
        bids: tuple[Level, ...] = tuple((_price(6_000_000 - n), number(f"0.{n:08d}")) for n in range(1, levels))
        asks: tuple[Level, ...] = tuple((_price(6_000_000 + n), number(f"0.{n:08d}")) for n in range(1, levels))
        ts = Timestamp(MONDAY_NS + 10**9)
        self.book = BookSnapshot("coinbase", "BTC-USD", ts, ts, bids, asks)

    def knows(self, symbol: str) -> bool:
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        return after_ns // 10**9 * 10**9 + 10**9

    def items(self, start_ns: int, end_ns: int, symbols: Collection[str], limit: int) -> tuple[list[Item], int]:
        return [self.book], end_ns


def _price(cents: int) -> Number:
    return number(f"{cents // 100}.{cents % 100:02d}")


def test_a_whole_book_of_more_than_a_megabyte_arrives_digit_for_digit() -> None:
    one = OneBook(25_000)
    options = SimulatorOptions(provider="coinbase", start_ns=MONDAY_NS)
    with Simulator(options, one) as simulator:
        args = ("watch", "BTC-USD", "-p", "coinbase", "--channel", "book", "--url", simulator.url, "--count", "1")
        (book,) = assert_exit(run(*args), ExitCode.OK).events
    for side, levels in (("bids", one.book.bids), ("asks", one.book.asks)):
        assert book[side] == [[bytes(price).decode(), bytes(size).decode()] for price, size in levels]
    assert sum(len(price) + len(size) + 7 for side in ("bids", "asks") for price, size in book[side]) > 1_000_000


@pytest.mark.parametrize("channel", ["quotes", "trades", "book"])
def test_the_other_feed_is_a_setting(channel: str) -> None:
    with serve("drop@30x1", provider="coinbase", speed=PACE) as server:
        args = (*PRODUCTS, "--channel", channel, "--count", "50")
        result = assert_exit(watched(server, *args, TICKSTREAM_COINBASE_FEED="advanced").wait(), ExitCode.OK)
        assert server.simulator.connections == 2
    assert market(result)[0]["type"] == FIRST[channel]
    assert {event["symbol"] for event in market(result)} == set(PRODUCTS)
    assert {gap["reason"] for gap in result.gaps} == {"disconnect"}
