"""Numbers and times in strings: a whole batch gives what each gives by itself, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.numbers import number, text
from tickstream.providers import quoted
from tickstream.providers.quoted import FEW_SECONDS, SECONDS_KEPT
from tickstream.timestamps import TEXTS, parse_rfc3339, rfc3339

PLAIN = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12).map(str)
USUAL = st.integers(0, 253_402_300_799 * 10**6).map(lambda us: rfc3339(us * 1000))


@given(st.lists(PLAIN.filter(lambda one: "E" not in one)))
def test_numbers_have_the_digits_of_their_texts(texts: list[str]) -> None:
    found = quoted.numbers(texts)
    assert found is not None
    assert [text(one) for one in found] == texts


@given(st.lists(st.text(alphabet='0123456789.-,eE+ _"\\n\u0661', max_size=6), min_size=1, max_size=4))
def test_nothing_passes_that_is_no_number(texts: list[str]) -> None:
    found = quoted.numbers(texts)
    if found is not None:
        assert [text(one) for one in found] == [text(number(one)) for one in texts] == texts


@pytest.mark.parametrize(
    "odd", ["", "1,2", "1.2.3", "007", "--1", "1e5", "NaN", "0x1", "9" * 65, "\u0661", " 1", None, "[1]", '"1"']
)
def test_one_that_is_odd_makes_the_batch_none(odd: str) -> None:
    assert quoted.numbers(["1.5", odd, "2"]) is None


@given(st.lists(USUAL, max_size=20))
def test_times_are_what_each_is_by_itself(texts: list[str]) -> None:
    found = quoted.moments(texts)
    assert found == [parse_rfc3339(one) for one in texts]
    assert [TEXTS[ts] for ts in found] == texts, "what is remembered is what was written"


@pytest.mark.parametrize(
    "odd",
    [
        "2026-09-29T13:45:58.116787z", "2026-09-29T13:45:58.1167875Z", "2026-09-29T13:45:58Z", "", None,
        "2026-09-29 13:45:58.116787Z", "2026-9-29T13:45:58.1167875Z", "2026-13-29T13:45:58.116787Z",
        "2026-09-29T13:45:58.1_6787Z", "2026-09-29T13:45:58.+16787Z", "1969-12-31T23:59:59.999999Z",
        "20260-9-29T13:45:58.11678Z", "2026-09-29T13:45:5.8116787Z", "2026-09-29T13:45:58.11678\u0667Z",
        "2026-09-29T13:45:60.116787Z", "2026-09-29T13:45:58.1167Z87", "116787Z2026-09-29T13:45:58.",
        "2026-09-29T13:45:58.Z116787", "1162026-09-29T13:45:58.787Z", "-2026-9-29T13:45:58.116787Z",
        "2026-09-29T13:45:58116787.Z", "2026-09-29T13:45:58.11 787Z", "2026-09-29T24:45:58.116787Z",
    ],
)  # fmt: skip
def test_a_time_in_another_form_makes_the_batch_none(odd: str) -> None:
    usual = "2026-09-29T13:45:58.116787Z"
    assert quoted.moments([usual, odd]) is None
    assert quoted.moments([odd, usual]) is None
    assert quoted.moments([odd]) is None
    if odd is not None:
        seconds = [f"2026-09-29T13:45:{second:02d}.116787Z" for second in range(2 * FEW_SECONDS)]
        assert quoted.moments([*seconds, odd]) is None


def test_seconds_are_forgotten_when_there_are_too_many() -> None:
    texts = [
        f"2026-09-29T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.000000Z"
        for second in range(SECONDS_KEPT + 5)
    ]
    assert quoted.moments(texts) == [parse_rfc3339(one) for one in texts]
    assert len(quoted._SECONDS) <= SECONDS_KEPT
