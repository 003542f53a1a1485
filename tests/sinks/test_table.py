from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.making import START, SYMBOLS, Written, bar, batch, notice, request, run_status
from tests.sinks.ptys import ENTER, HIDE, LEAVE, NO_WRAP, SHOW, WRAP, Terminal, last_frame, terminal, without_sequences
from tickstream.clock import FakeClock
from tickstream.errors import OutputError, UsageError
from tickstream.sinks import load
from tickstream.sinks.base import Display, Sink
from tickstream.sinks.table import LiveTable, PlainTable, ansi, ansi_console, frame

XTERM = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
SPEC = load("table")
ROOT = Path(__file__).resolve().parents[2]


def live_table(screen: Terminal, **changes: Any) -> Sink:
    display = Display(isatty=True, env=XTERM, tz=UTC)
    sink = SPEC.make(request(screen.inner, status=run_status(), display=display, **changes))
    assert type(sink) is LiveTable
    return sink


def test_it_asks_to_be_refreshed_at_least_four_times_a_second() -> None:
    assert SPEC.refresh_s is not None
    assert SPEC.refresh_s <= 0.25


def test_a_picture_is_drawn_as_soon_as_it_is_opened() -> None:
    with terminal() as screen:
        sink = live_table(screen)
        assert sink.owns_terminal
        sink.open()
        data = screen.read()
        assert data.startswith(ENTER)
        assert HIDE in data
        assert NO_WRAP in data
        assert last_frame(data)[0] == f"{'tickstream  DEMO  tickatlas':68}14:54:00 UTC"
        sink.close()


def test_data_is_drawn_at_the_next_refresh_and_not_before() -> None:
    with terminal() as screen:
        sink = live_table(screen)
        sink.open()
        screen.read()
        sink.write(batch(bar(close="1.13450"), bar("XAUUSD", "4083.5")))
        assert screen.read() == b"", "a batch only changes the board"
        sink.flush()
        assert screen.read() == b""
        sink.refresh()
        shown = last_frame(screen.read())
        assert next(line for line in shown if line.startswith("EURUSD")).split()[1] == "1.13450"
        sink.close()


def test_a_resize_shows_at_the_next_refresh() -> None:
    with terminal(80, 24) as screen:
        sink = live_table(screen)
        sink.open()
        screen.resize(140, 40)
        sink.refresh()
        assert "volume" in last_frame(screen.read())[3]
        screen.resize(20, 5)
        sink.refresh()
        shown = last_frame(screen.read())
        assert len(shown) <= 5
        assert all(len(line) <= 20 for line in shown)
        sink.close()


def test_the_end_restores_the_terminal_and_leaves_the_last_state_readable() -> None:
    with terminal() as screen:
        sink = live_table(screen)
        sink.open()
        sink.write(batch(bar(close="1.13450")))
        screen.read()
        sink.close()
        data = screen.read()
        left, _, after = data.partition(LEAVE)
        assert SHOW in left
        assert WRAP in left
        text = without_sequences(after)
        assert "EURUSD    1.13450" in text
        assert text.endswith("\n")
        assert not {HIDE, ENTER} & {data[at : at + 8] for at in range(len(data))}
        sink.close()
        sink.emergency()
        assert screen.read() == b"", "once is enough"


def test_an_emergency_only_gives_the_terminal_back() -> None:
    with terminal() as screen:
        sink = live_table(screen)
        sink.emergency()
        assert screen.read() == b"", "nothing was taken yet"
        sink.open()
        screen.read()
        sink.emergency()
        assert without_sequences(screen.read()) == ""
        assert screen.seen.endswith(LEAVE)


def test_rows_higher_than_the_screen_are_counted_live_and_all_shown_at_the_end() -> None:
    with terminal(80, 10) as screen:
        display = Display(isatty=True, env=XTERM, tz=UTC)
        status = run_status()
        status.providers[0].symbols = tuple(f"SYM{number:02}" for number in range(40))
        sink = SPEC.make(request(screen.inner, status=status, display=display))
        sink.open()
        assert any(line.startswith("+") and line.endswith("more") for line in last_frame(screen.read()))
        sink.close()
        assert "SYM39" in without_sequences(screen.read().partition(LEAVE)[2])


def test_lines_that_fill_the_width_are_not_erased_at_their_end() -> None:
    console = ansi_console(XTERM)
    data = frame([[("x" * 10, "")], [("y", "")]], 10, 5, console)
    assert data == b"\x1b[H" + b"x" * 10 + b"\r\ny\x1b[K\r\n\x1b[J"
    assert not frame([[("y", "")]], 10, 1, console).endswith(b"\x1b[J"), "a full screen has nothing below"


def test_colours_follow_the_terminal_and_no_color() -> None:
    line = [("up", "green"), (" bold", "bold")]
    assert ansi([line], ansi_console(XTERM)) == ["\x1b[32mup\x1b[0m\x1b[1m bold\x1b[0m"]
    assert ansi([line], ansi_console(XTERM | {"NO_COLOR": "1"})) == ["up\x1b[1m bold\x1b[0m"]


def test_hostile_text_reaches_the_terminal_written_out() -> None:
    with terminal() as screen:
        sink = live_table(screen)
        sink.open()
        sink.write(batch(notice("x", "\x1b]0;owned\x07[red]\u202e\x9b2J"), bar("\x1b[8mX")))
        sink.refresh()
        data = screen.read()
        assert b"\x1b]" not in data
        assert b"\x07" not in data
        assert b"\x1b[8m" not in data
        assert "\u202e" not in data.decode()
        assert "x: \\x1b]0;owned\\x07[red]\\u202e\\x9b2J" in without_sequences(data)
        sink.close()


def test_a_terminal_that_is_gone_is_an_output_error_and_closes_quietly() -> None:
    screen = Terminal()
    sink = live_table(screen)
    sink.open()
    screen.close()
    with pytest.raises(OutputError):
        sink.refresh()
    sink.close()
    late = live_table(screen)
    with pytest.raises(OutputError, match="terminal"):
        late.open()


def test_a_terminal_that_does_not_know_its_size_is_taken_for_80_by_24() -> None:
    with terminal(0, 0) as screen:
        sink = live_table(screen)
        sink.open()
        assert len(last_frame(screen.read())[2]) == 80
        sink.close()


def test_a_given_size_is_used() -> None:
    with terminal() as screen:
        display = Display(isatty=True, env=XTERM, tz=UTC, size=lambda: (50, 24))
        sink = SPEC.make(request(screen.inner, status=run_status(), display=display))
        sink.open()
        assert len(last_frame(screen.read())[2]) == 50
        sink.close()


def test_chosen_fields_are_the_columns() -> None:
    with terminal() as screen:
        sink = live_table(screen, fields=("close", "symbol", "trend"))
        sink.open()
        assert last_frame(screen.read())[3].split() == ["close", "symbol", "trend"]
        sink.close()


def test_unknown_fields_are_refused_before_the_terminal_is_touched() -> None:
    with terminal() as screen:
        with pytest.raises(UsageError, match="no field"):
            live_table(screen, fields=("prize",))
        assert screen.read() == b""


def test_windows_consoles_without_escape_sequences_get_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for legacy, kind in ((True, PlainTable), (False, LiveTable)):
        monkeypatch.setattr("rich.console.detect_legacy_windows", lambda legacy=legacy: legacy)
        with terminal() as screen:
            display = Display(isatty=True, env=XTERM)
            assert type(SPEC.make(request(screen.inner, display=display))) is kind


# --- without a cursor ------------------------------------------------------------------------------------------------


def test_in_a_pipe_a_line_is_written_for_each_symbol_that_changed() -> None:
    stdout, clock = Written(), FakeClock(START)
    sink = SPEC.make(request(stdout, clock, status=run_status(), fields=("symbol", "close", "state")))
    assert type(sink) is PlainTable
    sink.open()
    sink.refresh()
    assert stdout.text == ""
    sink.write(batch(bar(close="1.10"), bar("XAUUSD", "4083.5")))
    sink.refresh()
    sink.refresh()
    clock.advance(61)
    sink.write(batch(bar(close="1.20", minute=1)))
    sink.flush()
    sink.close()
    assert stdout.text == (
        "time      symbol      close  state\n"
        "14:54:00  EURUSD       1.10  LIVE\n"
        "14:54:00  XAUUSD    4083.5   LIVE\n"
        "14:55:01  EURUSD       1.20  LIVE\n"
    )


def test_in_a_pipe_every_column_has_room() -> None:
    stdout = Written()
    sink = SPEC.make(request(stdout, status=run_status()))
    sink.write(batch(bar()))
    sink.refresh()
    heading = stdout.text.splitlines()[0].split()
    assert heading == ["time", "symbol", "bid", "ask", "spread", "open", "high", "low", "close", "volume", "change",
                       "chg%", "state"]  # fmt: skip
    assert "\x1b" not in stdout.text


def test_a_dumb_terminal_gets_lines_that_fit() -> None:
    with terminal(40) as screen:
        display = Display(isatty=True, env={"TERM": "dumb", "LANG": "C"}, tz=UTC)
        sink = SPEC.make(request(screen.inner, status=run_status(), display=display))
        assert not sink.owns_terminal
        sink.open()
        sink.write(batch(bar()))
        sink.refresh()
        sink.close()
        lines = screen.read().decode().split("\r\n")
        assert lines[0].split() == ["time", "symbol", "bid", "ask"]
        assert all(len(line) <= 40 for line in lines)
        assert "\x1b" not in "".join(lines)


# --- in a process of its own ------------------------------------------------------------------------------------------

PROGRAM = """
import os, sys, time
from tests.sinks.making import bar, batch, run_status
from tickstream.clock import SystemClock
from tickstream.sinks import load
from tickstream.sinks.base import Display, SinkRequest
from tickstream.sinks.output import Output

clock = SystemClock()
display = Display(isatty=True, env=os.environ)
sink = load("table").make(SinkRequest(output=Output(1, clock), clock=clock, status=run_status(), display=display))
sink.open()
sink.write(batch(bar()))
sink.refresh()
"""


def start(screen: Terminal, rest: str) -> subprocess.Popen[bytes]:
    env = os.environ | XTERM | {"PYTHONPATH": str(ROOT)}
    # A process group of its own, as a shell gives it: the kernel never stops those of an orphaned one, which the tests
    # are in when they run in the background.
    command = [sys.executable, "-c", PROGRAM + rest]
    process = subprocess.Popen(command, stdout=screen.inner, stderr=subprocess.PIPE, env=env, cwd=ROOT, process_group=0)
    screen.wait_for(SYMBOLS[0].encode())
    return process


def test_a_crash_restores_the_terminal() -> None:
    with terminal() as screen, start(screen, "raise RuntimeError('bug')") as process:
        process.wait(20)
        assert screen.wait_for(LEAVE).rstrip().endswith(LEAVE)


def test_sys_exit_restores_the_terminal() -> None:
    with terminal() as screen, start(screen, "sys.exit(3)") as process:
        assert process.wait(20) == 3
        screen.wait_for(LEAVE)


def test_ctrl_z_gives_the_terminal_to_the_shell_and_takes_it_again() -> None:
    loop = "while True:\n    sink.refresh()\n    time.sleep(0.02)\n"
    with terminal() as screen, start(screen, loop) as process:
        try:
            process.send_signal(signal.SIGTSTP)
            screen.wait_for(LEAVE)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            screen.read()
            screen.seen = b""
            process.send_signal(signal.SIGCONT)
            screen.wait_for(ENTER)
            screen.wait_for(b"DEMO")
        finally:
            process.kill()
