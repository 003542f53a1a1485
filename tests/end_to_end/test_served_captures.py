"""A capture served in its provider's protocol: whoever watches it gets what was captured, digit by digit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.watching import Process, assert_exit, run, serve
from tickstream.errors import ExitCode

SYMBOLS = ("EURUSD", "XAUUSD")


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of real minutes."""
    folder = tmp_path_factory.mktemp("captured")
    m1 = Path(__file__).resolve().parents[1] / "data" / "m1"
    with serve(m1=m1, speed=60_000.0, start_ns=None, at_end="close") as server:
        done = run("capture", *SYMBOLS, "--url", server.url, "--to", str(folder), "--duration", "3s", "-q")
        assert_exit(done, ExitCode.OK)
    return folder


def bars_of(*args: str) -> list[dict[str, object]]:
    """What a command writes, in the order of market time, without when it was received."""
    result = assert_exit(run(*args, "-o", "jsonl", "-q"), ExitCode.OK)
    bars = [{**bar, "ts_recv": ""} for bar in result.bars]
    return sorted(bars, key=lambda bar: (str(bar["ts_event"]), str(bar["symbol"])))


def test_a_client_gets_the_captured_bars_back_digit_by_digit(captured: Path) -> None:
    original = bars_of("replay", str(captured), "--speed", "max")
    assert len(original) == 240
    with Process("simulate", "--capture", str(captured), "--speed", "max", "-q") as server:
        url = server.wait_for_lines(1)[0]
        assert bars_of("watch", *SYMBOLS, "--url", url, "--count", "240") == original


def test_it_is_served_at_the_speed_asked_for_from_the_time_asked_for(captured: Path) -> None:
    flags = ("--speed", "6000", "--start", "2026-06-24T15:00Z", "--at-end", "close", "-q")
    with Process("simulate", "tickatlas", "--capture", str(captured), *flags) as server:
        url = server.wait_for_lines(1)[0]
        first = bars_of("watch", "EURUSD", "--url", url, "--count", "5")
    assert [bar["ts_event"] for bar in first] == [f"2026-06-24T15:0{at}:00.000000Z" for at in range(5)]


def test_what_is_not_in_the_capture_is_refused(captured: Path) -> None:
    with Process("simulate", "--capture", str(captured), "--speed", "max", "-q") as server:
        url = server.wait_for_lines(1)[0]
        result = run("watch", "EURUSD", "GBPUSD", "--url", url, "--count", "5", "-o", "jsonl")
    assert "GBPUSD" in result.err
    assert len(result.bars) == 5


def test_two_sources_of_prices_or_none_at_all_are_refused(captured: Path, tmp_path: Path) -> None:
    both = run("simulate", "--capture", str(captured), "--m1", str(tmp_path))
    assert assert_exit(both, ExitCode.USAGE).err.startswith("tickstream: --capture and --m1 are two sources")
    (tmp_path / "empty.jsonl").write_text("")
    assert "nothing to serve" in assert_exit(run("simulate", "--capture", str(tmp_path)), ExitCode.OUTPUT).err
    missing = run("simulate", "--capture", str(tmp_path / "none"))
    assert "no such file" in assert_exit(missing, ExitCode.USAGE).err
