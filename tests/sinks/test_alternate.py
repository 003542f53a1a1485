from __future__ import annotations

import os
import signal
import termios
import threading

import pytest

from tests.sinks.ptys import ENTER, LEAVE, terminal
from tickstream.sinks.alternate import AlternateScreen


def test_what_is_entered_is_left_once() -> None:
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.leave()
        assert screen.read() == b""
        alternate.enter()
        assert screen.read().startswith(ENTER)
        alternate.leave()
        alternate.leave()
        assert screen.read().endswith(LEAVE)
        assert screen.seen.count(LEAVE) == 1


def test_the_handler_of_ctrl_z_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
        assert signal.getsignal(signal.SIGTSTP) != before
        alternate.leave()
    assert signal.getsignal(signal.SIGTSTP) == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        thread = threading.Thread(target=alternate.enter)
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTSTP) == before
        alternate.leave()
        assert LEAVE in screen.read()


def test_ctrl_z_leaves_stops_and_enters_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: stopped.append((pid, number)))
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
        screen.read()
        signal.raise_signal(signal.SIGTSTP)
        data = screen.read()
        assert data.index(LEAVE) < data.index(ENTER)
        assert stopped == [(os.getpid(), signal.SIGTSTP)]
        signal.raise_signal(signal.SIGTSTP)
        assert len(stopped) == 2, "and the next time too"
        alternate.leave()


def test_a_terminal_that_takes_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickstream.sinks.alternate.SLICE_S", 0.01)
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
        screen.read()
        termios.tcflow(screen.inner, termios.TCOOFF)
        alternate.leave()
        termios.tcflow(screen.inner, termios.TCOON)
        assert screen.read() == b""
        termios.tcflow(screen.inner, termios.TCOOFF)
        with pytest.raises(BlockingIOError):
            alternate.enter()
        termios.tcflow(screen.inner, termios.TCOON)


def test_a_terminal_stopped_with_ctrl_s_is_started_to_be_given_back() -> None:
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
        screen.press(b"\x13")
        screen.read()
        modes = termios.tcgetattr(screen.inner)
        alternate.leave()
        assert screen.read().endswith(LEAVE)
        assert termios.tcgetattr(screen.inner) == modes


def test_from_the_background_the_terminal_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking would stop the process (SIGTTOU)."""
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp() + 1)
    asked: list[object] = []
    monkeypatch.setattr(termios, "tcsetattr", lambda *what: asked.append(what))
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
        alternate.leave()
    assert asked == []


def test_a_terminal_that_is_gone_can_be_left() -> None:
    with terminal() as screen:
        alternate = AlternateScreen(screen.inner)
        alternate.enter()
    alternate.leave()
    with pytest.raises(OSError, match="descriptor"):
        AlternateScreen(screen.inner).enter()
