"""What SIGTERM and SIGHUP do to a command that has something to tidy up. A run's own signals: test_run.py."""

from __future__ import annotations

import signal
import threading

import pytest

from tickstream.cli.signals import tidying_up

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has neither of these signals")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
def test_a_signal_leaves_by_an_exception_with_its_exit_code(number: signal.Signals) -> None:
    before, tidied = signal.getsignal(number), []
    with pytest.raises(SystemExit) as left, tidying_up():  # noqa: PT012 - what is tidied up is part of it
        try:
            signal.raise_signal(number)
        finally:
            tidied.append(signal.getsignal(number))
    assert left.value.code == 128 + number
    assert tidied == [before], "a second one has its usual effect, while what is half done is removed"


def test_afterwards_everything_is_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with tidying_up():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_to_be_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with tidying_up():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_to_it() -> None:
    seen = []

    def run() -> None:
        with tidying_up():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
