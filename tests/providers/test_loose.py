"""Values in looser forms: read where there is no doubt, refused where there is."""

from __future__ import annotations

import msgspec
import pytest

from tickstream.numbers import text
from tickstream.providers import loose
from tickstream.timestamps import NS_PER_SECOND


def raw(json: str) -> msgspec.Raw:
    return msgspec.Raw(json.encode())


@pytest.mark.parametrize("json", ["1.10", '"1.10"', '" 1.10 "'])
def test_a_price_may_come_in_a_string(json: str) -> None:
    assert text(loose.price(raw(json))) == "1.10"


@pytest.mark.parametrize("json", ["null", '""', "true", '"x"', "[1]"])
def test_a_price_is_a_number(json: str) -> None:
    with pytest.raises(ValueError, match=r"null|not a number"):
        loose.price(raw(json))


@pytest.mark.parametrize(
    "json", ['"2026-03-27T14:00:00Z"', "1774620000", "1774620000.0", "1774620000000", '"1774620000"', '"1774620000000"']
)
def test_a_time_is_iso_text_or_an_epoch_in_seconds_or_milliseconds(json: str) -> None:
    assert loose.time(raw(json)) == 1_774_620_000 * NS_PER_SECOND


@pytest.mark.parametrize("json", ["null", "true", "[]", '"soon"', '""', "-1", "1e9"])
def test_other_values_are_no_times(json: str) -> None:
    with pytest.raises(ValueError):  # worded by whoever finds it: our own parser, int, or msgspec
        loose.time(raw(json))


@pytest.mark.parametrize(
    ("json", "count"),
    [("5", 5), ('"5"', 5), ("5.0", 5), ("null", None), ("5.5", None), ('"x"', None), ("-3", None), ("1e300", None)],
)
def test_a_count_is_whole_or_unknown(json: str, count: int | None) -> None:
    assert loose.count(raw(json)) == count


def test_a_count_below_zero_is_what_the_caller_takes_it_for() -> None:
    assert loose.count(raw("-3"), if_negative=0) == 0
