from __future__ import annotations

import pytest

from tests.schedulers.making import AWKWARD, job
from tickstream import schedulers
from tickstream.errors import ExitCode, UsageError
from tickstream.schedulers.base import AGAIN, ENDED, FINAL, HARMLESS, Start, checked, parse_start


def test_every_exit_code_is_an_end_or_final_or_harmless_or_tried_again() -> None:
    assert sorted((*ENDED, *AGAIN, *FINAL, *HARMLESS)) == sorted(ExitCode)


def test_a_run_that_came_to_its_end_is_started_again_only_when_there_is_more_to_come() -> None:
    assert set(ENDED) <= set(job().no_restart)
    assert not set(ENDED) & set(job(goes_on=True).no_restart)


def test_a_wrong_key_is_not_tried_again_and_a_lost_network_is() -> None:
    assert ExitCode.INVALID_KEY in FINAL
    assert ExitCode.NETWORK in AGAIN
    assert ExitCode.LOCKED in HARMLESS


@pytest.mark.parametrize("name", schedulers.NAMES)
def test_every_scheduler_is_found_by_its_name(name: str) -> None:
    found = schedulers.load(name)
    assert found.name == name
    assert all(part.text.endswith("\n") for part in found.parts(job()))
    assert found.install(job())


@pytest.mark.parametrize("name", schedulers.NAMES)
def test_every_scheduler_starts_the_program_with_its_arguments(name: str) -> None:
    text = "".join(part.text for part in schedulers.load(name).parts(job()))
    assert "-m tickstream capture EURUSD XAUUSD --to /data/ticks" in text


@pytest.mark.parametrize(
    ("at", "days", "expected"),
    [
        ("08:00", None, Start(8, 0)),
        ("8:05", "mon-fri", Start(8, 5, (0, 1, 2, 3, 4))),
        ("23:59", "Sun, wed", Start(23, 59, (2, 6))),
        ("00:00", "fri-mon", Start(0, 0, (0, 4, 5, 6))),
        ("12:00", "mon-sun", Start(12, 0)),
        ("12:00", "tue-tue", Start(12, 0, (1,))),
    ],
)
def test_times_and_days_are_read(at: str, days: str | None, expected: Start) -> None:
    assert parse_start(at, days) == expected


@pytest.mark.parametrize(
    ("at", "days", "option"),
    [("24:00", None, "--at"), ("8", None, "--at"), ("08:60", None, "--at"), ("08:00", "weekday", "--days"),
     ("08:00", "mon-", "--days"), ("08:00", "", "--days"), ("08:00", "-fri", "--days")],
)  # fmt: skip
def test_what_is_no_time_or_day_is_refused(at: str, days: str | None, option: str) -> None:
    with pytest.raises(UsageError, match=option):
        parse_start(at, days)


@pytest.mark.parametrize("name", ["", "-x", "a b", "../x", "x" * 101, "a/b", "é"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        checked(job(name=name))


@pytest.mark.parametrize("text", ["a\nb", "\x00", "\x1b[31m", "\x7f", "\u2028", "\udcff"])
@pytest.mark.parametrize("field", ["arguments", "log", "env_file", "title", "run_as", "variables"])
def test_what_no_line_can_hold_is_refused_wherever_it_stands(field: str, text: str) -> None:
    value = {"arguments": ("capture", text), "variables": (("TICKSTREAM_CONFIG", text),)}.get(field, text)
    with pytest.raises(UsageError, match="control character"):
        checked(job(**{field: value}))


def test_everything_else_is_taken() -> None:
    made = job(*AWKWARD)
    assert checked(made) is made
