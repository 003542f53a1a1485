"""The progress line: what a glance has to tell."""

from __future__ import annotations

from typing import Any

import pytest

from tickstream.capture.progress import progress_line, size
from tickstream.credits import CreditMeter
from tickstream.status import FilesStatus, ProviderStatus, RunStatus, SessionStatus

NOON = 1_782_302_400 * 10**9


def line(*sessions: SessionStatus, files: FilesStatus | None = None, rate: float = 0.0, **changes: Any) -> str:
    provider = ProviderStatus("tickatlas", ("EURUSD",), changes.pop("credits", None))
    status = RunStatus("LIVE", (provider,), list(sessions))
    for name, value in changes.items():
        setattr(status, name, value)
    return progress_line(status, files or FilesStatus(), rate, NOON, 100.0)


def session(state: Any = "up", number: int = 1, **changes: Any) -> SessionStatus:
    return SessionStatus("tickatlas", number, ("EURUSD",), state, **changes)


def test_it_tells_how_much_how_fast_and_what_is_on_the_disk() -> None:
    meter = CreditMeter()
    meter.account(5, 9_125, NOON)
    meter.charge(1, NOON)
    shown = line(
        session(), files=FilesStatus(finished=2, open=1, written=4_000_000, waiting=210_000), rate=118.4, events=12_345,
        gaps=1, credits=meter,
    )  # fmt: skip
    assert shown == "live: up  12,345 events  118/s  3 files  4.2 MB  1 gap  9,120 credits left"


def test_drops_are_told_when_there_are_any() -> None:
    assert "dropped" not in line(session())
    assert "1,234 dropped" in line(session(), dropped=1234)


def test_slow_feeds_have_a_decimal() -> None:
    assert " 0.3/s " in line(session(), rate=0.333)
    assert " 0/s " in line(session())


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ([session("connecting")], "live: connecting  "),
        ([session("down", retry_at=103.6)], "live: reconnecting, next attempt in 4 s  "),
        ([session("held", retry_at=90.0)], "live: held, next attempt in 0 s  "),
        ([session("up", paused=True)], "live: paused by the provider  "),
        ([session(), session("down", 2)], "live: 1 of 2 sessions up  "),
        ([session(), session("up", 2, paused=True)], "live: up  "),
        ([], "live: up  "),
    ],
)
def test_it_begins_with_how_the_connection_is(sessions: list[SessionStatus], words: str) -> None:
    assert line(*sessions).startswith(words)


def test_a_full_disk_comes_before_everything() -> None:
    assert line(session(), files=FilesStatus(paused="no space left")).startswith("live: waiting for the disk (no space")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_951, "1.0 MB"), (4_210_000, "4.2 MB"),
     (10**12, "1.0 TB"), (10**19, "10000.0 PB")],
)  # fmt: skip
def test_sizes_are_written_as_people_read_them(count: int, text: str) -> None:
    assert size(count) == text
