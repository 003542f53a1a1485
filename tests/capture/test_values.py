"""Moments in files: the short way for those that tickstream wrote gives what the long way gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture.values import NanoTimes, Times
from tickstream.timestamps import MAX_NS, Timestamp, parse_rfc3339, rfc3339

MOMENTS = st.integers(0, MAX_NS // 1000 - 1).map(lambda us: us * 1000)


@given(st.lists(MOMENTS, max_size=5))
def test_what_was_written_is_read(moments: list[int]) -> None:
    times = Times()
    assert [times[rfc3339(ns)] for ns in moments] == moments
    assert all(type(times[rfc3339(ns)]) is Timestamp for ns in moments)


def long_way(text: str) -> int | None:
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None


def short_way(text: str) -> int | None:
    try:
        return Times()[text]
    except ValueError:
        return None


@given(MOMENTS, st.integers(0, 26), st.sampled_from("0159:.-TZ +٣x"))
def test_a_changed_character_is_judged_as_ever(ns: int, place: int, character: str) -> None:
    text = rfc3339(ns)
    changed = text[:place] + character + text[place + 1 :]
    assert short_way(changed) == long_way(changed)


@pytest.mark.parametrize(
    "text",
    ["2026-06-24T24:00:00.000000Z", "2026-06-24T14:60:00.000000Z", "2026-06-24T14:54:60.000000Z",
     "2026-02-30T14:54:00.000000Z", "1969-12-31T23:59:59.999999Z", "2026-06-24 14:54:00.000000Z",
     "2026-06-24T14:54:00+02:00", "2026-06-24"],
)  # fmt: skip
def test_odd_times_are_judged_as_ever(text: str) -> None:
    assert short_way(text) == long_way(text)


def test_counts_are_of_microseconds_or_nanoseconds() -> None:
    assert Times()[1_782_312_840_000_000] == Times()[1_782_312_840_000_000_000] == 1_782_312_840_000_000_000
    assert NanoTimes()[5] == 5
    assert NanoTimes()["1970-01-01T00:00:00.000001Z"] == 1000
    with pytest.raises(ValueError, match="neither"):
        Times()[1.5]


def test_what_is_remembered_is_bounded() -> None:
    times = Times()
    for day in range(10_000):
        assert times[rfc3339(day * 86_400 * 10**9)] == day * 86_400 * 10**9
    assert len(times) <= 4096
