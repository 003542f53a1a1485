"""Terminals: given back on every way out, never driven by a provider, and of any size and kind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.terminals import CTRL_C, Terminal, assert_harmless, assert_restored, without_sequences
from tests.end_to_end.watching import DEADLINE_S, Server, assert_exit, of_type, run, serve
from tickstream.errors import ExitCode

DRAWN = b"\x1b[?1049h"


def table(server: Server, *args: str, **how: object) -> Terminal:
    return Terminal("watch", "EURUSD", "BTCUSD", "--url", server.url, *args, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back_with_the_last_picture(number: signal.Signals) -> None:
    with serve() as server, table(server) as terminal:
        terminal.wait_shown(b"EURUSD", 3)
        terminal.popen.send_signal(number)
        result = terminal.wait()
    assert result.code == 128 + number
    assert_restored(result.out)
    after = result.out.rpartition(b"\x1b[?1049l")[2]
    assert b"EURUSD" in after
    assert b"summary: " in after


def test_ctrl_c_gives_the_terminal_back() -> None:
    with serve() as server, table(server) as terminal:
        terminal.wait_shown(b"EURUSD", 3)
        terminal.press(CTRL_C)
        result = terminal.wait()
    assert result.code == ExitCode.SIGINT
    assert_restored(result.out)


def test_a_second_ctrl_c_gives_the_terminal_back_too() -> None:
    with serve("mute@3") as server, table(server) as terminal:  # no answer to our goodbye: time for a second one
        terminal.wait_shown(b"EURUSD", 3)
        while terminal.popen.poll() is None:  # two at the same moment are one for the system
            terminal.press(CTRL_C)
            with contextlib.suppress(subprocess.TimeoutExpired):
                terminal.popen.wait(0.2)
        result = terminal.wait()
    assert result.code == ExitCode.SIGINT
    assert_restored(result.out)
    assert b"summary" not in result.out


def test_an_error_gives_the_terminal_back_and_is_said_after_that() -> None:
    with serve("invalid-key") as server, table(server) as terminal:
        result = terminal.wait()
    assert result.code == ExitCode.INVALID_KEY
    assert DRAWN in result.out
    assert_restored(result.out)
    assert b"invalid_key" in result.out.rpartition(b"\x1b[?1049l")[2]


BUG = """
import sys
from tickstream.sinks.table import LiveTable
calls = []
def broken(self):
    calls.append(1)
    if len(calls) > 3:
        raise RuntimeError("the table is broken")
LiveTable.refresh = broken
from tickstream.__main__ import main
main()
"""


def test_a_bug_gives_the_terminal_back_and_is_said_after_that(tmp_path: Path) -> None:
    buggy = tmp_path / "buggy.py"
    buggy.write_text(BUG)
    with serve() as server, table(server, command=(sys.executable, str(buggy))) as terminal:
        result = terminal.wait()
    assert result.code == ExitCode.BUG
    assert_restored(result.out)
    assert b"internal error: RuntimeError: the table is broken" in result.out.rpartition(b"\x1b[?1049l")[2]


def test_a_terminal_that_goes_away_ends_the_run() -> None:
    with serve() as server:
        terminal = table(server)
        terminal.wait_shown(b"EURUSD", 3)
        terminal.hang_up()
        assert terminal.popen.wait(DEADLINE_S) in (ExitCode.SIGHUP, ExitCode.OUTPUT)


# --- what a provider sends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "line", "jsonl"])
def test_nothing_that_a_provider_sends_drives_the_terminal(output: str) -> None:
    faults = ("control-chars@2", "unknown-type@2", "unrequested-symbol@2", "echo-key@20")
    data = os.open(os.devnull, os.O_WRONLY)
    try:
        with serve(*faults) as server:
            how = {"out_fd": data} if output == "jsonl" else {}
            with table(server, "-o", output, "-vv", **how) as terminal:
                result = terminal.wait()
    finally:
        os.close(data)
    assert result.code == ExitCode.INVALID_KEY
    assert_harmless(result.out)
    assert b"\x1b[31mred" not in result.out
    assert "\nforged line" not in without_sequences(result.out).replace("\r", "\n")


def test_a_hostile_url_does_not_drive_the_terminal() -> None:
    with Terminal("watch", "EURUSD", "--url", "ws://127.0.0.1:1/\x1b]0;owned\x07", "--retries", "0") as terminal:
        assert_harmless(terminal.wait().out)


# --- kinds and sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "line"])
@pytest.mark.parametrize("columns", [20, 80, 140])
def test_any_width_is_drawn_without_overflow(output: str, columns: int) -> None:
    with serve() as server, table(server, "-o", output, "--count", "40", "-q", columns=columns, lines=10) as terminal:
        result = terminal.wait()
    assert result.code == ExitCode.OK
    assert_harmless(result.out)
    for line in re.split(r"[\r\n]+", without_sequences(result.out)):
        assert len(line) <= columns, line


def test_colours_are_for_terminals_that_want_them() -> None:
    with serve() as server:
        shown = {}
        for name, env in {"colour": {}, "none": {"NO_COLOR": "1"}}.items():
            with table(server, "--count", "40", env=env) as terminal:
                shown[name] = terminal.wait().out
    coloured = re.compile(rb"\x1b\[(?:[0-9;]*;)?[34][0-7]m")
    assert coloured.search(shown["colour"])
    assert not coloured.search(shown["none"])


def test_a_dumb_terminal_gets_plain_lines() -> None:
    with serve() as server, table(server, "--count", "10", env={"TERM": "dumb"}) as terminal:
        result = terminal.wait()
    assert result.code == ExitCode.OK
    assert b"\x1b" not in result.out
    assert b"EURUSD" in result.out


def test_without_a_terminal_there_are_json_lines_and_no_escapes() -> None:
    with serve() as server:
        env = {**os.environ, "FORCE_COLOR": "1"}
        result = assert_exit(server.watched("EURUSD", "--count", "3", env=env), ExitCode.OK)
        assert len(of_type(result.events, "bar")) == 3
        plain = assert_exit(server.watched("EURUSD", "--count", "3", "-o", "table"), ExitCode.OK)
    assert b"\x1b" not in result.out + plain.out
    assert "\x1b" not in result.err + plain.err


def test_the_demo_is_a_live_table_that_says_that_it_is_a_demo() -> None:
    with Terminal("watch", "--demo") as terminal:
        terminal.wait_shown(b"DEMO")
        terminal.wait_shown(b"BTCUSD")
        terminal.press(CTRL_C)
        result = terminal.wait()
    assert result.code == ExitCode.SIGINT
    assert_restored(result.out)


def test_the_demo_takes_no_key_and_no_url() -> None:
    assert_exit(run("watch", "--demo", "--url", "ws://127.0.0.1:1/"), ExitCode.USAGE)
