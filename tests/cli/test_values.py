"""Durations and times of day, as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.cli.values import parse_duration, seconds_until, zone
from tickstream.errors import UsageError

NOON = datetime(2026, 6, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("2h", 7200), ("1h30m", 5400), ("500ms", 0.5), ("1.5m", 90), ("3d", 259200),
     (" 5M ", 300), ("2min", 120), ("0", 0)],
)  # fmt: skip
def test_a_duration_is_a_number_with_a_unit_or_several(text: str, seconds: float) -> None:
    assert parse_duration(text, "--duration") == seconds


@pytest.mark.parametrize("text", ["", " ", "s", "1x", "1h30", "-5s", "1 h", "h1", "nan", "1e3", "9999999d", "5s!"])
def test_what_is_no_duration_is_refused_by_the_name_of_its_option(text: str) -> None:
    with pytest.raises(UsageError, match=r"--idle-timeout: .*is not a duration"):
        parse_duration(text, "--idle-timeout")


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s", "-") == hours * 3600 + minutes * 60 + seconds


def test_a_time_of_day_is_the_next_one() -> None:
    assert seconds_until("16:00", NOON) == 4 * 3600
    assert seconds_until("11:30", NOON) == 23.5 * 3600
    assert seconds_until("12:00", NOON) == 24 * 3600
    assert seconds_until("12:00:05", NOON) == 5


def test_a_time_of_day_is_read_in_the_zone_of_now() -> None:
    berlin = NOON.astimezone(ZoneInfo("Europe/Berlin"))
    assert seconds_until("16:00", berlin) == 2 * 3600


def test_a_date_and_time_may_have_its_own_offset_and_takes_the_zone_otherwise() -> None:
    assert seconds_until("2026-06-24T16:00:00Z", NOON) == 4 * 3600
    assert seconds_until("2026-06-24T16:00:00+02:00", NOON) == 2 * 3600
    assert seconds_until("2026-06-25 12:00", NOON) == timedelta(days=1).total_seconds()


@pytest.mark.parametrize("text", ["25:00", "12:60", "noon", "", "16"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        seconds_until(text, NOON)


def test_a_date_that_has_passed_is_refused() -> None:
    with pytest.raises(UsageError, match="has passed"):
        seconds_until("2026-06-24T11:59:59Z", NOON)


def test_a_zone_is_a_name_utc_or_the_machines_own() -> None:
    assert zone("Europe/London") == ZoneInfo("Europe/London")
    assert zone("utc") == ZoneInfo("UTC")
    assert zone("local") is None
    assert zone(None) is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "Europe"])
def test_a_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        zone(name)
