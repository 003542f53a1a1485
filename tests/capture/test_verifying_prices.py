"""Crossed prices: exact, whatever form the numbers have."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture.verifying_prices import crossed
from tickstream.numbers import Number, number

PLAIN = st.from_regex(r"(0|[1-9][0-9]{0,3})(\.[0-9]{1,6})?", fullmatch=True)
ANY = st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


def prices(*texts: str | None) -> list[Number | None]:
    return [None if text is None else number(text) for text in texts]


@given(st.lists(st.tuples(PLAIN, PLAIN)) | st.lists(st.tuples(ANY, ANY)))
def test_it_finds_what_decimals_say(pairs: list[tuple[str, str]]) -> None:
    found = crossed(prices(*(bid for bid, _ in pairs)), prices(*(ask for _, ask in pairs)))
    assert found == [at for at, (bid, ask) in enumerate(pairs) if Decimal(bid) > Decimal(ask)]


@pytest.mark.parametrize(
    ("bid", "ask", "is_crossed"),
    [
        ("1.1345", "1.13450", False),
        ("1.13450", "1.1345", False),
        ("1.13451", "1.1345", True),
        ("123.4", "13.45", True),
        ("9.9", "10", False),
        ("10", "9.9", True),
        ("0.10000000000000000000001", "0.1", True),  # equal as floats
        ("1e2", "99.9", True),
        ("-1", "-2", True),
    ],
)
def test_form_does_not_matter(bid: str, ask: str, is_crossed: bool) -> None:
    assert crossed(prices(bid), prices(ask)) == ([0] if is_crossed else [])


def test_an_unknown_side_is_never_crossed() -> None:
    assert crossed(prices(None, "2", "3", "2"), prices("1", None, "2", "3")) == [2]
    assert crossed(prices(None), prices(None)) == []
    assert crossed([], []) == []
