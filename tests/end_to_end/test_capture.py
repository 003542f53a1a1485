"""A capture from its start to its end: files, manifest, exit codes, signals, locks, environments."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import pytest

from tests.end_to_end.canary import KEY, assert_no_trace
from tests.end_to_end.capturing import Folder, assert_holes_are_gaps, capture, captured, plain_lines
from tests.end_to_end.test_canary import parrot
from tests.end_to_end.watching import Process, Server, Thread, assert_exit, eventually, of_type, serve
from tests.faults.raw import RawServer
from tests.test_metrics import parsed
from tickstream.errors import ExitCode

SYMBOLS = ("BTCUSD", "EURUSD")


def bars_sent(server: Server, symbol: str) -> set[str]:
    return {minute for one, minute in server.sent if one == symbol}


def wait_for_data(base: Path, process: Process) -> None:
    """Until something has been written, or the run has ended."""
    eventually(
        lambda: process.popen.poll() is not None or any(path.stat().st_size for path in base.rglob("*.part")), "data"
    )


def test_every_push_is_in_the_file_of_its_symbol_once_and_the_manifest_agrees(tmp_path: Path) -> None:
    with serve() as server:
        result = captured(server, tmp_path, *SYMBOLS, "--count", "100")
        assert_exit(result, ExitCode.OK)
        folder = Folder(tmp_path)
        folder.check()
        for symbol in SYMBOLS:
            assert assert_holes_are_gaps(folder.events(symbol)) == 0
            assert {event["ts_event"] for event in folder.events(symbol)} <= bars_sent(server, symbol)
    assert result.out == b""
    assert result.err.startswith("tickstream: summary: 100 events"), "nothing but the summary"
    assert folder.files == [f"tickatlas/bars/{symbol}/2026-06-22.jsonl" for symbol in SYMBOLS]
    assert sum(len(folder.events(symbol)) for symbol in SYMBOLS) == 100
    [begun], [end] = folder.entries("run"), folder.entries("end")
    assert (begun["symbols"], end["exit_code"], end["written"]) == (list(SYMBOLS), 0, 100)
    assert [event["state"] for event in folder.entries("session")] == ["up"]


def test_the_next_run_goes_on_with_new_files_and_a_gap_for_the_time_between(tmp_path: Path) -> None:
    with serve(market_hours="ignore") as server:
        for _ in range(2):
            assert_exit(captured(server, tmp_path, *SYMBOLS, "--count", "40"), ExitCode.OK)
    folder = Folder(tmp_path)
    folder.check()
    assert "tickatlas/bars/BTCUSD/2026-06-22-001.jsonl" in folder.files, "what is finished is never touched again"
    for symbol in SYMBOLS:
        events = folder.events(symbol)
        [gap] = of_type(events, "gap")
        assert gap["reason"] == "restart"
        assert assert_holes_are_gaps(events) == int(gap["missed"]) > 0, "each symbol knows what it missed itself"
    assert {event["epoch"] for event in folder.entries("session")} == {1, 2}, "connections are counted on"
    assert [end["reconnects"] for end in folder.entries("end")] == [0, 0]


def test_what_the_provider_sends_again_is_not_written_again(tmp_path: Path) -> None:
    with serve("duplicate@5", market_hours="ignore") as server:
        result = captured(server, tmp_path, "EURUSD", "--count", "20")
    assert_exit(result, ExitCode.OK)
    events = Folder(tmp_path).events("EURUSD")
    assert len({event["ts_event"] for event in events}) == len(events) == 20


@pytest.mark.parametrize("output", ["csv", "raw", "parquet"])
def test_other_formats_hold_the_same_bars_and_leave_the_gaps_to_the_manifest(tmp_path: Path, output: str) -> None:
    with serve("drop@10x1", market_hours="ignore") as server:
        assert_exit(captured(server, tmp_path, "EURUSD", "-o", output, "--count", "30"), ExitCode.OK)
    folder = Folder(tmp_path)
    folder.check()
    [entry], [gap] = folder.entries("file"), folder.entries("gap")
    assert (entry["events"], entry["gaps"], gap["reason"]) == (30, 0, "disconnect")
    file = tmp_path / entry["file"]
    if output == "csv":
        head, *rows = plain_lines(file)
        assert head.startswith("type,provider,symbol,ts_event")
        assert len(rows) == 30
    elif output == "raw":
        lines = [json.loads(line) for line in plain_lines(file)]
        assert {line["epoch"] for line in lines} == {1, 2}
        assert [line["payload"]["data"]["symbol"] for line in lines] == ["EURUSD"] * 30
    else:
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(file).num_rows == 30


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_signal_ends_it_with_complete_files(tmp_path: Path, number: signal.Signals) -> None:
    with serve() as server, capture(server, tmp_path, *SYMBOLS, "--compress", "gzip") as process:
        wait_for_data(tmp_path, process)
        process.signal(number)
        result = process.wait()
    assert_exit(result, ExitCode(128 + number))
    folder = Folder(tmp_path)
    folder.check()
    [end] = folder.entries("end")
    assert end["exit_code"] == 128 + number
    assert end["written"] == sum(len(folder.events(symbol)) for symbol in SYMBOLS)


def test_a_hangup_without_a_terminal_begins_new_files_and_goes_on(tmp_path: Path) -> None:
    with serve() as server, capture(server, tmp_path, "EURUSD", "-v") as process:
        wait_for_data(tmp_path, process)
        process.signal(signal.SIGHUP)
        process.wait_said("SIGHUP: the files are complete")
        eventually(lambda: Folder(tmp_path).files and Folder(tmp_path).parts, "a finished file, and a new one")
        assert_exit(process.stop(), ExitCode.SIGTERM)
    folder = Folder(tmp_path)
    folder.check()
    assert len(folder.files) == 2
    assert assert_holes_are_gaps(folder.events("EURUSD")) == 0


def test_a_second_run_on_the_same_folder_is_turned_away_at_once_and_told_who_is_there(tmp_path: Path) -> None:
    with serve() as server, capture(server, tmp_path, "EURUSD") as process:
        wait_for_data(tmp_path, process)
        connections = server.simulator.connections
        result = captured(server, tmp_path / "{symbol}.jsonl", "XAUUSD")
        assert_exit(result, ExitCode.LOCKED)
        assert f"pid {process.pid}, since 20" in result.err
        assert server.simulator.connections == connections
        process.signal(signal.SIGKILL)
        process.wait()
        assert_exit(captured(server, tmp_path, "EURUSD", "--count", "3"), ExitCode.OK)


def test_no_secret_is_in_the_manifest_or_the_lock(tmp_path: Path) -> None:
    env = {"TICKATLAS_API_KEY": "canary-of-the-environment"}
    with serve() as server:
        url = f"{server.url}?token=canary-of-the-url"
        with Process("capture", "EURUSD", "--url", url, "--to", str(tmp_path), env=env) as process:
            wait_for_data(tmp_path, process)
            held = (tmp_path / ".tickstream.lock").read_text()
            process.stop()
    assert '"--url"' in held
    assert "canary" not in held + "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))


def test_a_provider_that_repeats_the_key_leaves_no_trace_of_it_in_any_file(tmp_path: Path) -> None:
    with RawServer(parrot) as server:
        args = ("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path), "--retries", "0", "-vv")
        more = ("--quarantine", str(tmp_path / "bad.jsonl"), "--metrics-file", str(tmp_path / "x.prom"))
        result = Thread(*args, *more, env={"TICKATLAS_API_KEY": KEY}).wait()
    assert_exit(result, ExitCode.NETWORK)
    assert Folder(tmp_path).entries("notice")
    assert_no_trace(result.out, result.err, *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()))


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_from_cron_without_home_or_terminal_it_works_and_nobody_else_may_write(tmp_path: Path, umask: int) -> None:
    base = tmp_path / "data"
    with serve() as server:
        result = captured(server, base, "EURUSD", "--count", "3", env={}, umask=umask)
    assert_exit(result, ExitCode.OK)
    Folder(base).check()
    for path in (base, *base.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o022, path


def test_the_metrics_file_tells_at_last_how_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "tick.prom"
    with serve() as server, capture(server, tmp_path / "data", "EURUSD", "--metrics-file", str(file)) as process:
        eventually(file.exists, "metrics from the beginning")
        assert parsed(file.read_text())["tickstream_running"] == {"": 1.0}
        wait_for_data(tmp_path / "data", process)
        process.stop()
    shown = parsed(file.read_text())
    assert shown["tickstream_exit_code"] == {"": 143.0}
    assert shown["tickstream_files_finished_total"] == {"": 1.0}
    assert shown["tickstream_last_data_age_seconds"]["EURUSD"] < 60
    assert shown["tickstream_events_total"][""] > 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["tick.prom"]


def test_watch_has_metrics_too(tmp_path: Path) -> None:
    file = tmp_path / "watch.prom"
    with serve() as server:
        assert_exit(server.watched_here("EURUSD", "--count", "5", "--metrics-file", str(file)), ExitCode.OK)
    shown = parsed(file.read_text())
    assert (shown["tickstream_events_total"], shown["tickstream_exit_code"]) == ({"": 5.0}, {"": 0.0})
    assert "tickstream_files_open" not in shown


def test_under_strict_a_gap_makes_it_incomplete_and_the_manifest_says_so(tmp_path: Path) -> None:
    with serve("drop@3x1") as server:
        args = ("capture", "EURUSD", "--url", server.url, "--to", str(tmp_path), "--strict", "--count", "9")
        result = Thread(*args).wait()
    assert_exit(result, ExitCode.INCOMPLETE)
    assert result.err.startswith("tickstream: summary: 9 events"), "nothing but the summary"
    assert "1 gap" in result.err
    assert Folder(tmp_path).entries("end")[0]["exit_code"] == ExitCode.INCOMPLETE


def test_as_json_its_words_are_json_too(tmp_path: Path) -> None:
    with serve("drop@3x1") as server:
        result = captured(server, tmp_path, "EURUSD", "--count", "9", "--log-format", "json", "-v")
    said = [json.loads(line) for line in result.err.splitlines()]
    assert {one["type"] for one in said} >= {"session", "gap", "summary"}
    assert said[-1]["type"] == "summary"
