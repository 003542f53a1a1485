"""When files end: never over their size, at multiples of an interval, and not while late records still come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture.rotation import Rotation, parse_rotation, parse_size
from tickstream.errors import UsageError
from tickstream.timestamps import NS_PER_SECOND, parse_rfc3339

HOUR_NS = 3600 * NS_PER_SECOND
DAY_NS = 24 * HOUR_NS
NOW = parse_rfc3339("2026-06-24T23:59:59Z")


@pytest.mark.parametrize(
    ("texts", "rotation"),
    [
        ([], Rotation()),
        (["daily"], Rotation(interval_ns=DAY_NS)),
        (["Hourly"], Rotation(interval_ns=HOUR_NS)),
        (["15m"], Rotation(interval_ns=HOUR_NS // 4)),
        (["90s"], Rotation(interval_ns=90 * NS_PER_SECOND)),
        (["2d"], Rotation(interval_ns=2 * DAY_NS)),
        (["100MB"], Rotation(size=100_000_000)),
        (["1GiB"], Rotation(size=2**30)),
        (["64k"], Rotation(size=64_000)),
        (["2048b"], Rotation(size=2048)),
        (["daily", "100MB"], Rotation(size=100_000_000, interval_ns=DAY_NS)),
        (["1h", "daily"], Rotation(interval_ns=DAY_NS)),
    ],
)
def test_rotation_is_said_as_interval_and_size(texts: list[str], rotation: Rotation) -> None:
    assert parse_rotation(texts) == rotation


@pytest.mark.parametrize("text", ["", "often", "100", "0s", "0h", "1B", "12x", "-1h", "1.5MB", "m"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--rotate"):
        parse_rotation([text])


@pytest.mark.parametrize(("text", "size"), [("1000", 1000), (" 5 GB ", 5 * 10**9), ("1TiB", 2**40), ("0", 0)])
def test_a_size_is_said_with_or_without_a_unit(text: str, size: int) -> None:
    assert parse_size(text, "--min-free-space") == size


def test_a_size_that_is_none_names_its_option() -> None:
    with pytest.raises(UsageError, match="--min-free-space"):
        parse_size("5 %", "--min-free-space")


@given(st.lists(st.integers(1, 5000), max_size=50), st.integers(1024, 20_000))
def test_no_file_is_larger_than_asked_unless_one_batch_is(batches: list[int], most: int) -> None:
    rotation = Rotation(size=most)
    files: list[list[int]] = [[]]
    for batch in batches:
        if rotation.full(sum(files[-1]), batch):
            files.append([])
        files[-1].append(batch)
    assert all(sum(file) <= most or len(file) == 1 for file in files)
    assert [batch for file in files for batch in file] == batches


def test_without_a_size_no_file_is_full() -> None:
    assert not Rotation().full(10**15, 1)


def test_a_file_ends_with_its_interval() -> None:
    daily = Rotation(interval_ns=DAY_NS)
    assert not daily.over(NOW - HOUR_NS, NOW, None, 0)
    assert daily.over(NOW - HOUR_NS, NOW + NS_PER_SECOND, None, 0)


def test_a_file_whose_name_is_over_waits_a_minute_for_late_records() -> None:
    midnight = NOW + NS_PER_SECOND
    none = Rotation()
    assert not none.over(NOW, midnight + 59 * NS_PER_SECOND, midnight, 10**18)
    assert none.over(NOW, midnight + 60 * NS_PER_SECOND, midnight, 60 * NS_PER_SECOND)
    assert not none.over(NOW, midnight + 60 * NS_PER_SECOND, midnight, 59 * NS_PER_SECOND), "one has just come"
    assert not none.over(NOW, NOW + 10 * DAY_NS, None, 10 * DAY_NS)
