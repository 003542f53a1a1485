"""Captures played back in processes and on terminals: interrupted, piped into head, drawn, given back whole."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.end_to_end.watching import Process, Result, assert_exit, minutes_of, run, serve
from tickstream.errors import ExitCode
from tickstream.timestamps import parse_rfc3339, rfc3339

pytest.importorskip("pty")
from tests.end_to_end.terminals import CTRL_C, Terminal, assert_restored

SYMBOLS = ("EURUSD", "XAUUSD")
START = parse_rfc3339("2026-06-24T12:00:00Z")


def line(symbol: str, minute: int, received_s: float) -> str:
    opened, received = rfc3339(START + minute * 60 * 10**9), rfc3339(START + round(received_s * 1e9))
    return (
        f'{{"type":"bar","provider":"tickatlas","symbol":"{symbol}","ts_event":"{opened}","ts_recv":"{received}",'
        '"interval":"1m","open":1.1,"high":1.2,"low":1.0,"close":1.1,"bid":1.1,"ask":1.2,"spread":0.1,"closed":true}\n'
    )


@pytest.fixture
def hours(tmp_path: Path) -> Path:
    """Three bars at once, and the next an hour later."""
    path = tmp_path / "EURUSD.jsonl"
    path.write_text("".join(line("EURUSD", at, received) for at, received in enumerate((0, 0, 0, 3600))))
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_though_the_next_event_is_an_hour_away(hours: Path, number: signal.Signals) -> None:
    with Process("replay", str(hours), "-o", "jsonl") as playing:
        playing.wait_for_lines(3)
        before = time.monotonic()
        playing.signal(number)
        result = playing.wait()
        assert time.monotonic() - before < 2
    assert result.code == 128 + number
    assert len(result.lines) == 3


def test_head_ends_it_with_0_and_without_noise(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD.jsonl"
    path.write_text("".join(line("EURUSD", at, at) for at in range(5000)))
    script = '$tickstream replay "$1" --speed max -q | head -n 3; echo "${PIPESTATUS[0]}"'
    result = run("bash", str(path), shell=script)
    assert (len(result.lines), result.lines[-1], result.err) == (4, "0", "")


def test_on_a_terminal_it_draws_the_table_labelled_replay_at_the_time_of_the_capture(hours: Path) -> None:
    with Terminal("replay", str(hours)) as terminal:
        terminal.wait_shown(b" REPLAY ")
        terminal.wait_shown(b"EURUSD")
        terminal.wait_shown(b"12:00:0")
        terminal.press(CTRL_C)
        result = terminal.wait()
    assert result.code == ExitCode.SIGINT
    assert_restored(result.out)
    assert b"STALE" not in result.out.upper()


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Result]:
    """The same market captured twice, as JSON lines and raw; and what `watch` said of it."""
    base = tmp_path_factory.mktemp("captures")
    with serve(speed=60_000.0) as server:
        watched = server.watched(*SYMBOLS, "-o", "jsonl", "--count", "1000", "-q")
    for form in ("jsonl", "raw"):
        with serve(speed=60_000.0) as server:
            to = str(base / form)
            done = run("capture", *SYMBOLS, "--url", server.url, "--to", to, "-o", form, "--duration", "3s", "-q")
            assert_exit(done, ExitCode.OK)
    return base / "jsonl", base / "raw", watched


def played(path: Path, *flags: str) -> Result:
    return assert_exit(run("replay", str(path), "--speed", "max", "-o", "jsonl", "-q", *flags), ExitCode.OK)


def test_a_capture_comes_back_as_it_was_written(captured: tuple[Path, Path, Result]) -> None:
    folder, _, _ = captured
    replayed = played(folder)
    for symbol in SYMBOLS:
        written = "".join(path.read_text() for path in sorted((folder / "tickatlas" / "bars" / symbol).glob("*.jsonl")))
        mine = "".join(f"{row}\n" for row in replayed.lines if f'"symbol":"{symbol}"' in row)
        assert mine == written
    received = [bar["ts_recv"] for bar in replayed.bars]
    assert received == sorted(received)
    assert len(received) > 100


def test_a_raw_capture_decoded_again_gives_what_the_decoder_gives_live(captured: tuple[Path, Path, Result]) -> None:
    _, folder, watched = captured
    bars = played(folder).bars
    again = dict(zip(minutes_of(bars), bars, strict=True))
    common = [bar for key, bar in zip(minutes_of(watched.bars), watched.bars, strict=True) if key in again]
    for live in common:
        decoded = again[live["symbol"], live["ts_event"]]
        assert {**decoded, "ts_recv": ""} == {**live, "ts_recv": ""}
    assert len(common) > 100


def test_both_captures_verify(captured: tuple[Path, Path, Result]) -> None:
    for folder in captured[:2]:
        result = run("verify", str(folder))
        assert result.code == ExitCode.OK, result.out
