"""What ends a run, to the event and to the credit; quotas, shards of symbols, and where symbols come from."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.watching import Thread, assert_exit, assert_gap, minutes_of, of_type, run, serve
from tickstream.errors import ExitCode

TWO = ("EURUSD", "BTCUSD")


# --- counts and times ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("output", "heads"), [("jsonl", 0), ("csv", 1), ("raw", 0)])
def test_count_ends_it_after_exactly_so_many_events(output: str, heads: int) -> None:
    with serve() as server:
        result = assert_exit(server.watched_here(*TWO, "-o", output, "--count", "7"), ExitCode.OK)
    assert len(result.lines) == heads + 7


def test_once_is_one_event_of_each_symbol() -> None:
    with serve("invalid-symbol") as server:  # the first
        result = assert_exit(server.watched_here("USDJPY", *TWO, "--once"), ExitCode.OK)
    assert sorted(symbol for symbol, _ in minutes_of(result.bars)) == sorted(TWO)


@pytest.mark.parametrize("bound", [("--duration", "3s"), ("--duration", "1h", "--until")])
def test_duration_and_until_end_it_in_time(bound: tuple[str, ...]) -> None:
    if bound[-1] == "--until":
        bound = (*bound, (datetime.now(UTC) + timedelta(seconds=3)).isoformat())
    begun = time.monotonic()
    with serve() as server:
        result = assert_exit(server.watched_here("EURUSD", *bound), ExitCode.OK)
    assert 2.5 < time.monotonic() - begun < 15
    assert len(result.bars) > 3


# --- credits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbols", "limit", "pushes"),
    [(TWO[:1], 12, 3), (TWO[:1], 15, 3), (TWO[:1], 3, 0), (TWO, 16, 4), (TWO, 15, 2), (TWO, 7, 0)],
)
def test_max_credits_is_never_passed_and_all_that_was_paid_is_delivered(
    symbols: tuple[str, ...], limit: int, pushes: int
) -> None:
    # 4 credits a push, and a quarter of a second between pushes: a goodbye takes its time, and pushes go on until then.
    with serve(plan="pro", speed=240.0) as server:
        result = server.watched_here(*symbols, "--max-credits", str(limit), "--log-format", "json")
        assert_exit(result, ExitCode.QUOTA)
        assert server.simulator.pushes == len(result.bars) == pushes
    assert int(result.summary["credits_used"]) == 4 * pushes <= limit


def test_the_account_of_credits_begins_with_the_word_of_the_provider() -> None:
    with serve(plan="starter", quota=1000) as server:
        result = server.watched_here("EURUSD", "--count", "10", "--log-format", "json")
        pushes = server.simulator.pushes
    assert int(result.summary["credits_used"]) == 5 * pushes
    assert int(result.summary["credits_remaining"]) == 1000 - 5 * pushes


def test_it_ends_with_the_quota_when_it_is_asked_to() -> None:
    with serve(quota=20) as server:
        result = assert_exit(server.watched_here("EURUSD", "--exit-on-quota"), ExitCode.QUOTA)
    assert len(result.bars) == 5


def test_a_used_up_quota_is_waited_for_on_the_same_connection_and_is_a_gap() -> None:
    with serve(quota=20, quota_reset_after_s=1.0) as server:
        args = ("EURUSD", "--events", "--count", "8", "--idle-timeout", "300ms")
        result = assert_exit(server.watched_here(*args), ExitCode.OK)
        assert server.simulator.connections == 1
        sent = server.sent
    assert minutes_of(result.bars)[:8] == sent[:8]
    [gap] = result.gaps
    assert_gap(gap, "quota", ["EURUSD"], result.bars[4], result.bars[5])
    assert int(gap["missed"]) > 0
    assert [notice["code"] for notice in of_type(result.events, "notice")] == ["quota_exceeded"]
    assert int(result.summary["reconnects"]) == 0


# --- connections -----------------------------------------------------------------------------------------------------


def test_two_connections_share_the_symbols_out() -> None:
    symbols = ("EURUSD", "BTCUSD", "XAUUSD")
    with serve() as server, server.watch(*symbols, "--connections", "2", "--events") as process:
        server.wait_for(lambda: sum(len(client.symbols) for client in server.simulator.clients) == 3, "subscriptions")
        shares = sorted(sorted(client.symbols) for client in server.simulator.clients)
        process.wait_for_lines(50)
        result = assert_exit(process.stop(), ExitCode.SIGTERM)
        sent = server.sent
    assert shares == [["BTCUSD"], ["EURUSD", "XAUUSD"]]
    assert sorted(minutes_of(result.bars)) == sorted(sent)
    assert {event["session"] for event in of_type(result.events, "session")} == {"1", "2"}
    assert int(result.summary["reconnects"]) == 0
    assert result.gaps == []


def test_when_one_of_two_connections_drops_only_its_symbols_have_a_gap() -> None:
    with serve("drop@3x1") as server:
        result = server.watched_here(*TWO, "--connections", "2", "--events", "--duration", "4s")
    [gap] = result.gaps
    assert len(gap["symbols"]) == 1
    [other] = set(TWO) - set(gap["symbols"])
    minutes = [minute for symbol, minute in minutes_of(result.bars) if symbol == other]
    assert len(minutes) > 50


def test_symbols_over_the_limit_of_the_plan_are_never_asked_for() -> None:
    symbols = ("EURUSD", "GBPUSD", "USDJPY", "USDCAD", "USDCHF", "BTCUSD", "XAUUSD")
    with serve(plan="starter") as server:  # 5 symbols
        result = assert_exit(server.watched_here(*symbols, "--events", "--once"), ExitCode.OK)
        assert not any("symbol_limit" in line for line in server.log)
    assert {symbol for symbol, _ in minutes_of(result.bars)} == set(symbols[:5])
    assert result.summary["refused"] == list(symbols[5:])


# --- where symbols come from -----------------------------------------------------------------------------------------


def test_symbols_come_from_arguments_watchlists_files_and_stdin_each_once_in_order(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[watchlists]\nmajors = ["EURUSD", "GBPUSD"]\n')
    file = tmp_path / "symbols.txt"
    file.write_text("# metals\nXAUUSD, EURUSD\n\nXAGUSD # too\n")
    with serve() as server:
        result = run(
            "watch", "BTCUSD", "@majors", "-", "--symbols-file", str(file), "--url", server.url, "--once", "--events",
            stdin=b"ETHUSD BTCUSD\n", env={"TICKSTREAM_CONFIG": str(config), "PATH": ""},
        )  # fmt: skip
        subscribed = next(line for line in server.log if "subscribed" in line)
    assert_exit(result, ExitCode.OK)
    assert subscribed.endswith("now BTCUSD EURUSD GBPUSD ETHUSD XAUUSD XAGUSD")
    assert len(result.bars) == 6


def test_without_symbols_nothing_is_connected() -> None:
    result = assert_exit(Thread("watch", "--url", "ws://127.0.0.1:9/ws").wait(), ExitCode.USAGE)
    assert "no symbols given" in result.err
