"""Moments: integer nanoseconds inside, RFC 3339 outside, and nothing rounded in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.timestamps import (
    MAX_NS,
    NS_PER_SECOND,
    TEXTS,
    TEXTS_KEPT,
    Timestamp,
    from_epoch,
    parse_rfc3339,
    remember,
    rfc3339,
)

MOMENT = Timestamp(1_782_312_840_123_456_789)
"""2026-06-24T14:54:00.123456789Z"""
MILLISECOND = 1_000_000
moments = st.integers(0, MAX_NS - 1)


def test_a_moment_is_written_in_utc_with_microseconds() -> None:
    assert rfc3339(Timestamp(1_782_312_840 * NS_PER_SECOND)) == "2026-06-24T14:54:00.000000Z"
    assert rfc3339(Timestamp(0)) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(Timestamp(MAX_NS - 1)) == "9999-12-31T23:59:59.999999Z"


def test_digits_below_a_microsecond_are_cut_not_rounded() -> None:
    assert rfc3339(MOMENT) == "2026-06-24T14:54:00.123456Z"
    assert rfc3339(Timestamp(999_999_999)) == "1970-01-01T00:00:00.999999Z"


def test_a_timestamp_is_a_number_that_shows_itself_as_a_time() -> None:
    assert MOMENT - Timestamp(1) == 1_782_312_840_123_456_788
    assert repr(MOMENT) == "Timestamp(2026-06-24T14:54:00.123456Z)"
    assert {MOMENT: 1}[Timestamp(int(MOMENT))] == 1


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-24T14:54:00.123456789Z", "2026-06-24t14:54:00.123456789z", "2026-06-24 14:54:00.123456789",
        "2026-06-24T14:54:00.123456789", "2026-06-24T14:54:00,123456789Z", " 2026-06-24T14:54:00.123456789 Z ",
        "2026-06-24T14:54:00.123456789+00:00", "2026-06-24T16:54:00.123456789+02:00",
        "2026-06-24T16:54:00.123456789+0200", "2026-06-24T09:24:00.123456789-05:30",
        "2026-06-24T14:54:00.123456789999999999Z", "2026-06-25T00:54:00.123456789+10:00",
    ],
)  # fmt: skip
def test_every_usual_way_of_writing_a_moment_means_the_same(text: str) -> None:
    assert parse_rfc3339(text) == MOMENT
    assert type(parse_rfc3339(text)) is Timestamp


def test_seconds_and_their_fraction_may_be_left_out() -> None:
    assert parse_rfc3339("2026-06-24T14:54Z") == parse_rfc3339("2026-06-24T14:54:00Z") == 1_782_312_840 * NS_PER_SECOND
    assert parse_rfc3339("2026-06-24T14:54:00.1Z") - parse_rfc3339("2026-06-24T14:54Z") == 100_000_000


def test_a_leap_second_is_folded_into_the_second_before_it() -> None:
    assert parse_rfc3339("2016-12-31T23:59:60Z") == parse_rfc3339("2016-12-31T23:59:59Z")
    assert parse_rfc3339("2016-12-31T23:59:60.5Z") == parse_rfc3339("2016-12-31T23:59:59.5Z")


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026", "2026-06-24", "14:54", "2026-06-24T14:54:00.Z", "2026-13-01T00:00Z", "2026-02-30T00:00Z",
        "2026-06-24T24:00Z", "2026-06-24T14:60Z", "2026-06-24T14:54:61Z", "1969-12-31T23:59:59Z", "0000-01-01T00:00Z",
        "2026-06-24T14:54:00+2", "2026-06-24T14:54:00+24:00", "2026-06-24T14:54:00+01:60", "20260624T145400Z",
        "2026-06-24T14:54:00.1234567890123456789Z", "٢٠٢٦-06-24T14:54:00Z", "1970-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "2026-06-24T14:54:00Z" + " " * 60, "1782312840",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_an_error_quotes_all_of_a_text_or_none_of_it() -> None:
    """Half a key would not be recognised as one, and so not be redacted."""
    key = "tk_" + "a1b2" * 15
    with pytest.raises(ValueError, match=key):
        parse_rfc3339(key)
    with pytest.raises(ValueError, match="67 characters") as caught:
        parse_rfc3339(key + "c3d4")
    assert "tk_" not in str(caught.value)


@given(moments)
def test_what_is_written_reads_back_to_the_microsecond(ns: int) -> None:
    text = rfc3339(Timestamp(ns))
    assert len(text) == 27
    assert parse_rfc3339(text) == ns // 1000 * 1000


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001 - zones follow
def test_any_offset_gives_the_moment_that_datetime_gives(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_rfc3339(moment.isoformat()) == expected * 1000


@pytest.mark.parametrize(
    ("count", "unit", "ns"),
    [
        (1_782_312_840, NS_PER_SECOND, 1_782_312_840_000_000_000),
        ("1782312840", NS_PER_SECOND, 1_782_312_840_000_000_000),
        ("1782312840.123456789", NS_PER_SECOND, 1_782_312_840_123_456_789),
        ("1782312840.1234567899", NS_PER_SECOND, 1_782_312_840_123_456_789),
        (1_782_312_840_123, MILLISECOND, 1_782_312_840_123_000_000),
        ("1782312840123.456789", MILLISECOND, 1_782_312_840_123_456_789),
        (" 0 ", NS_PER_SECOND, 0),
    ],
)
def test_an_epoch_count_is_exact_with_its_fraction(count: int | str, unit: int, ns: int) -> None:
    assert from_epoch(count, unit) == ns


@pytest.mark.parametrize(
    "count", [-1, 10**30, "", "-1", "+1", "1e9", "1.", ".5", "1.5.5", "abc", "9" * 20, "9" * 5000, "²", "1.²", "٣"]
)
def test_what_is_no_epoch_count_is_refused(count: int | str) -> None:
    with pytest.raises(ValueError):
        from_epoch(count, NS_PER_SECOND)


@given(moments)
def test_nanoseconds_survive_as_a_fraction_of_seconds(ns: int) -> None:
    seconds, below = divmod(ns, NS_PER_SECOND)
    assert from_epoch(f"{seconds}.{below:09d}", NS_PER_SECOND) == ns
    assert from_epoch(ns, 1) == ns


@given(moments)
def test_a_text_that_is_kept_is_the_one_that_is_written(ns: int) -> None:
    assert TEXTS[Timestamp(ns)] == TEXTS[Timestamp(ns)] == rfc3339(ns)


def test_texts_that_were_remembered_are_taken_and_too_many_forgotten() -> None:
    read = [Timestamp(MOMENT + count * MILLISECOND) for count in range(1000)]
    for start in range(0, 10 * len(read), len(read)):
        some = [Timestamp(ts + start * MILLISECOND) for ts in read]
        texts = [rfc3339(ts) for ts in some]
        remember(some, texts)
        assert all(TEXTS[ts] is text for ts, text in zip(some, texts, strict=True))
        assert len(TEXTS) <= TEXTS_KEPT
    too_many = [Timestamp(microsecond * 1000) for microsecond in range(TEXTS_KEPT + 1)]
    remember(too_many, [rfc3339(ts) for ts in too_many])
    assert len(TEXTS) <= TEXTS_KEPT
