"""Numbers keep the provider's digits, and arithmetic on them is exact."""

from __future__ import annotations

from decimal import Context, Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickstream import numbers
from tickstream.numbers import (
    MAX_DIGITS,
    all_plain,
    decimal,
    difference,
    differences,
    number,
    pairs,
    parse,
    places,
    text,
)

EXACT = Context(prec=2000)


def raw(json: str | bytes) -> msgspec.Raw:
    """A JSON value as a decoder hands it out."""
    encoded = json.encode() if isinstance(json, str) else json
    return msgspec.json.decode(b'{"value": ' + encoded + b" }", type=dict[str, msgspec.Raw])["value"]


plain = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True)
scientific = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("digits", ["1.08430", "0.00000001", "1e-08", "100", "-0.0", "1E+5", "0", "1234567890123456.5"])
def test_the_digits_of_the_provider_are_kept(digits: str) -> None:
    assert text(number(digits)) == digits
    assert msgspec.json.encode({"price": number(digits)}) == b'{"price":' + digits.encode() + b"}"


@given(plain | scientific)
def test_every_json_number_is_taken_digit_for_digit(digits: str) -> None:
    assert text(number(digits)) == digits
    assert bytes(parse(raw(digits)) or b"") == digits.encode()
    assert decimal(number(digits)) == Decimal(digits)


@pytest.mark.parametrize(
    "rubbish",
    [
        "", " ", "abc", "NaN", "nan", "Infinity", "-inf", "1e999", "1e-999", "1E301", "0x10", "01", "1.", ".5", "+1",
        "--1", "1_000", "1,5", "1.2.3", "1e", "1e+", "1 2", "true", "١", "½", "1\n", "9" * (MAX_DIGITS + 1), "9" * 5000,
        "1e0001",
    ],
)  # fmt: skip
def test_anything_else_is_no_number(rubbish: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|out of range"):
        number(rubbish)
    with pytest.raises(ValueError, match=r"not a number|out of range"):
        number(rubbish.encode())


def test_the_longest_number_has_64_characters() -> None:
    longest = "1." + "2" * (MAX_DIGITS - 2)
    assert text(number(longest)) == longest
    with pytest.raises(ValueError, match="65 characters"):
        number(longest + "3")


def test_an_error_quotes_all_of_a_text_or_none_of_it() -> None:
    """Half a key would not be recognised as one, and so not be redacted."""
    key = "tk_" + "a1b2" * 14
    with pytest.raises(ValueError, match=key):
        number(key)
    with pytest.raises(ValueError, match="67 characters") as caught:
        number(key + "c3d4" * 2)
    assert "tk_" not in str(caught.value)


def test_null_is_unknown() -> None:
    assert parse(raw("null")) is None


@pytest.mark.parametrize("json", ['"1.08430"', '" 1.08430 "', "1.08430"])
def test_a_number_may_come_in_a_string(json: str) -> None:
    assert parse(raw(json)) == number("1.08430")


@pytest.mark.parametrize("json", ['""', '"abc"', '"NaN"', '"1e999"', "true", "false", "[]", "[1]", "{}", '"\\u0031"'])
def test_other_json_values_are_no_numbers(json: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|out of range"):
        parse(raw(json))


@given(st.lists(json_values.map(msgspec.json.encode), max_size=8))
@example([b"1", b"2.5", b"-3"])
@example([b"9" * 64])
@example([b"-" + b"9" * 64])
def test_a_batch_is_plain_only_if_each_of_it_is_a_number_as_it_stands(encoded: list[bytes]) -> None:
    values = [raw(one) for one in encoded]
    if all_plain(values):
        assert [parse(value) for value in values] == [number(one) for one in encoded]


@given(st.lists(plain, max_size=20))
def test_plain_numbers_of_sane_length_are_plain(digits: list[str]) -> None:
    assert all_plain([raw(one) for one in digits]) == all(len(one) <= MAX_DIGITS for one in digits)


@pytest.mark.parametrize("json", ["null", "true", '"1"', "1e5", "[1,2]", "{}", "9" * 65, "-" + "9" * 64, "9" * 5000])
def test_what_may_need_a_second_look_is_not_plain(json: str) -> None:
    assert not all_plain([raw("1.5"), raw(json)])
    assert not all_plain([raw(json)])


def test_places_are_counted_as_written() -> None:
    assert [places(number(digits)) for digits in ("1", "1.0", "1.08430", "-0.1", "5e3", "1.25e1", "1e-8")] == [
        0, 1, 5, 1, 0, 1, 8,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "bid", "spread"),
    [
        ("1.1346", "1.13450", "0.00010"), ("1.13462", "1.1345", "0.00012"), ("0.3", "0.1", "0.2"), ("100", "99", "1"),
        ("1.1", "1.10", "0.00"), ("1", "2", "-1"), ("1e2", "1", "99"), ("1e-8", "0", "0.00000001"),
        ("0.30000000000000004", "0.3", "0.00000000000000004"),
        ("98765432109876543210987654321.12345678", "0.00000001", "98765432109876543210987654321.12345677"),
    ],
)  # fmt: skip
def test_a_difference_is_exact_and_as_fine_as_the_finer_of_the_two(ask: str, bid: str, spread: str) -> None:
    assert text(difference(number(ask), number(bid))) == spread


@given(plain | scientific, plain | scientific)
def test_a_difference_is_what_decimal_arithmetic_without_rounding_gives(ask: str, bid: str) -> None:
    result = difference(number(ask), number(bid))
    assert decimal(result) == EXACT.subtract(Decimal(ask), Decimal(bid))
    assert b"e" not in bytes(result).lower()
    assert places(result) == max(places(number(ask)), places(number(bid)))
    assert difference(number(ask), number(bid)) == result, "a remembered difference is the same one"


@given(st.lists(st.tuples(plain, plain), max_size=20))
def test_differences_of_a_batch_are_those_of_each(terms: list[tuple[str, str]]) -> None:
    both = [(number(a), number(b)) for a, b in terms if len(a) <= MAX_DIGITS and len(b) <= MAX_DIGITS]
    joined = pairs(both)
    assert all_plain(joined)
    assert differences(joined) == [difference(a, b) for a, b in both]


def test_prices_never_seen_before_do_not_make_memory_grow() -> None:
    for tick in range(2 * numbers._DIFFERENCES_KEPT):
        assert difference(number(f"{tick + 2}.00"), number(f"{tick}.5")) == number("1.50")
    assert len(numbers._DIFFERENCES) <= numbers._DIFFERENCES_KEPT
