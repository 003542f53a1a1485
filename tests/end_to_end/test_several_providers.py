"""Several providers in one run: each with its own sessions, key, credits and gaps, all in one stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.watching import Event, Result, Server, Thread, assert_exit, of_type, serve
from tickstream.errors import ExitCode

THREE = ("tickatlas:EURUSD", "alltick:EURUSD", "coinbase:BTC-USD")
"""Two of them write a pair in the same way."""


@contextlib.contextmanager
def servers(*names: str, faults: tuple[str, ...] = (), **of_one: Any) -> Iterator[dict[str, Server]]:
    """A simulator of each of these providers; `faults` and `of_one` are of the first."""
    with contextlib.ExitStack() as opened:
        made = {}
        for place, name in enumerate(names):
            first = place == 0
            server = serve(*(faults if first else ()), provider=name, speed=600.0, **(of_one if first else {}))
            made[name] = opened.enter_context(server)
        yield made


def urls(each: dict[str, Server], **more: str) -> dict[str, str]:
    """The environment that leads to them."""
    return {f"TICKSTREAM_{name.upper()}_URL": server.url for name, server in each.items()} | more


def series(events: list[Event]) -> list[tuple[str, str]]:
    return [(event["provider"], event["symbol"]) for event in events if "symbol" in event]


def watched(each: dict[str, Server], *args: str, **env: str) -> Result:
    return Thread("watch", *args, env=urls(each, **env)).wait()


def test_each_symbol_of_each_provider_comes_once_with_once() -> None:
    with servers("tickatlas", "alltick", "coinbase") as each:
        result = assert_exit(watched(each, *THREE, "--once", "--events"), ExitCode.OK)
    assert sorted(series(result.events)) == [("alltick", "EURUSD"), ("coinbase", "BTC-USD"), ("tickatlas", "EURUSD")]
    assert {event["session"]: event["provider"] for event in of_type(result.events, "session")} == {
        "1": "tickatlas", "2": "alltick", "3": "coinbase",
    }  # fmt: skip
    summary = result.summary
    assert (summary["provider"], summary["symbols"], summary["events"]) == ("tickatlas,alltick,coinbase", "3", "3")
    assert int(summary["credits_used"]) >= 4, "of the one that charges"


def test_a_table_has_a_row_for_each_with_the_name_of_the_provider() -> None:
    with servers("tickatlas", "alltick", "coinbase") as each:
        result = assert_exit(watched(each, *THREE, "--once", "-o", "table"), ExitCode.OK)
    assert result.lines[0].split()[:3] == ["time", "provider", "symbol"]
    rows = {tuple(line.split()[1:3]) for line in result.lines[1:]}
    assert rows == {("tickatlas", "EURUSD"), ("alltick", "EURUSD"), ("coinbase", "BTC-USD")}


def test_a_table_of_comma_separated_values_has_the_columns_of_all_kinds_of_data() -> None:
    with servers("tickatlas", "coinbase") as each:
        result = assert_exit(watched(each, "EURUSD", "coinbase:BTC-USD", "--once", "-o", "csv"), ExitCode.OK)
    columns = result.lines[0].split(",")
    assert {"close", "interval", "bid_size", "last"} <= set(columns)
    assert len(columns) == len(set(columns))
    assert {line.split(",")[0] for line in result.lines[1:]} == {"bar", "quote"}
    assert {line.count(",") for line in result.lines} == {len(columns) - 1}


def test_a_server_that_ends_is_reconnected_to_while_the_others_go_on() -> None:
    with servers("coinbase", "tickatlas", faults=("drop@3",)) as each:
        args = ("coinbase:BTC-USD", "tickatlas:EURUSD", "--events")
        watching = Thread("watch", *args, env=urls(each))
        watching.wait_for_event(type="gap", provider="coinbase")
        seen = len(watching.wait_for_lines(1))
        watching.wait_for_lines(seen + 20)
        watching.out.leave()
        result = watching.wait()
    gaps = of_type(result.events, "gap")
    assert {gap["provider"] for gap in gaps} == {"coinbase"}
    assert {tuple(gap["symbols"]) for gap in gaps} == {("BTC-USD",)}
    states = {(event["provider"], event["state"]) for event in of_type(result.events, "session")}
    assert ("coinbase", "down") in states
    assert ("tickatlas", "down") not in states


def test_a_key_that_is_refused_ends_the_run_and_names_its_provider() -> None:
    with servers("tickatlas", "coinbase", keys=("the-right-one",)) as each:
        result = watched(each, "EURUSD", "coinbase:BTC-USD", TICKATLAS_API_KEY="a-wrong-one-12345")
    assert_exit(result, ExitCode.INVALID_KEY)
    assert "TickAtlas" in result.err.splitlines()[-2]
    assert "a-wrong-one-12345" not in result.err


def test_a_network_that_is_given_up_names_the_provider() -> None:
    with servers("coinbase") as each:
        env = urls(each, TICKSTREAM_TICKATLAS_URL="ws://127.0.0.1:9/")
        result = Thread("watch", "EURUSD", "coinbase:BTC-USD", "--retries", "0", env=env).wait()
    assert_exit(result, ExitCode.NETWORK)
    assert "TickAtlas: Cannot connect to 127.0.0.1:9" in result.err


def test_without_a_key_of_one_provider_nothing_connects() -> None:
    with servers("coinbase") as each:
        result = watched(each, "coinbase:BTC-USD", "polygon:AAPL")
        assert each["coinbase"].log == []
    assert_exit(result, ExitCode.CONFIG)
    assert "There is no key for Polygon" in result.err
    assert "tickstream config set-key polygon" in result.err


def test_a_symbol_that_one_provider_refuses_is_named_with_it_and_does_not_end_the_run() -> None:
    with servers("coinbase", "tickatlas") as each:
        result = watched(each, "coinbase:NOPE-USD", "coinbase:BTC-USD", "EURUSD", "--once", "--events")
    assert_exit(result, ExitCode.OK)
    assert result.summary["refused"] == ["coinbase:NOPE-USD"]
    assert sorted(series(result.events)) == [("coinbase", "BTC-USD"), ("tickatlas", "EURUSD")]


def test_all_of_one_provider_may_be_refused_without_ending_the_run() -> None:
    with servers("coinbase", "tickatlas") as each:
        result = watched(each, "coinbase:NOPE-USD", "EURUSD", "--once", "--events")
    assert_exit(result, ExitCode.OK)
    assert series(result.events) == [("tickatlas", "EURUSD")]


def test_a_demo_of_several_has_a_simulator_of_each() -> None:
    result = assert_exit(Thread("watch", "EURUSD", "kraken:BTC/USD", "--demo", "--once").wait(), ExitCode.OK)
    assert sorted(series(result.events)) == [("kraken", "BTC/USD"), ("tickatlas", "EURUSD")]
    assert "TickAtlas: DEMO" in result.err
    assert "Kraken: DEMO" in result.err


@pytest.mark.parametrize("command", [("capture", "--to", "data"), ("doctor",)])
def test_what_takes_one_provider_a_run_says_so(command: tuple[str, ...]) -> None:
    result = Thread(*command, "EURUSD", "coinbase:BTC-USD").wait()
    assert_exit(result, ExitCode.USAGE)
    assert "one provider" in result.err + result.out.decode()


def test_what_was_recorded_of_several_is_replayed_as_several(tmp_path: Path) -> None:
    file = tmp_path / "both.jsonl"
    with servers("tickatlas", "alltick") as each:
        file.write_bytes(assert_exit(watched(each, "EURUSD", "alltick:EURUSD", "--once"), ExitCode.OK).out)
    args = ("replay", str(file), "--speed", "max", "--once")
    result = assert_exit(Thread(*args, "-o", "table").wait(), ExitCode.OK)
    assert {tuple(line.split()[1:3]) for line in result.lines[1:]} == {("tickatlas", "EURUSD"), ("alltick", "EURUSD")}
    events = assert_exit(Thread(*args, "-o", "jsonl", "--events").wait(), ExitCode.OK)
    assert sorted(series(events.events)) == [("alltick", "EURUSD"), ("tickatlas", "EURUSD")]
    assert set(events.summary["provider"].split(",")) == {"tickatlas", "alltick"}
