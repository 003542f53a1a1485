"""An order book is exact: the same as a naive reconstruction from decimals, whatever comes in whatever digits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import levels
from tickstream.events import Level
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook, is_zero

PRICES = st.sampled_from([
    "1", "1.0", "1.00", "2", "2.5", "2.50", "0.5", "0.00000001", "1e-8", "1E+0", "100e-2", "-1", "-1.5", "-0.5", "10",
    "12345678901234567890.5", "3e2", "300", "0", "-0",
])  # fmt: skip
SIZES = st.sampled_from(["1", "0", "0.00000000", "2.50", "0.5", "1e-8", "0e5", "0E-3", "-0", "-0.0", "5E+3"])
SIDE = st.lists(st.tuples(PRICES, SIZES), max_size=8).map(lambda pairs: levels(*pairs))
CHANGES = st.lists(st.tuples(st.booleans(), SIDE, SIDE), max_size=6)


class Naive:
    """The obvious book: decimals in a dictionary, sorted when asked."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, Level], ...] = ({}, {})

    def change(self, replace: bool, *changes: tuple[Level, ...]) -> None:
        for side, some in zip(self.sides, changes, strict=True):
            if replace:
                side.clear()
            for price, size in some:
                side.pop(decimal(price), None)
                if decimal(size):
                    side[decimal(price)] = (price, size)

    def depth(self, count: int) -> list[list[tuple[str, str]]]:
        bids, asks = self.sides
        best = [sorted(bids, reverse=True), sorted(asks)]
        return [
            [(text(side[key][0]), text(side[key][1])) for key in keys[:count]]
            for side, keys in zip(self.sides, best, strict=True)
        ]

    @property
    def crossed(self) -> bool:
        bids, asks = self.sides
        return bool(bids and asks) and max(bids) >= min(asks)


def shown(book: OrderBook, count: int | None = None) -> list[list[tuple[str, str]]]:
    return [[(text(price), text(size)) for price, size in side] for side in book.depth(count)]


@given(CHANGES, st.integers(0, 5))
def test_a_book_is_what_a_naive_reconstruction_is(
    changes: list[tuple[bool, tuple[Level, ...], tuple[Level, ...]]], count: int
) -> None:
    book, naive = OrderBook(), Naive()
    for replace, bids, asks in changes:
        (book.replace if replace else book.apply)(bids, asks)
        naive.change(replace, bids, asks)
        assert shown(book, count) == naive.depth(count)
        assert shown(book) == naive.depth(1000)
        assert book.crossed == naive.crossed
        assert book.counts == tuple(len(side) for side in naive.sides)


def test_levels_are_told_apart_by_value_and_keep_their_digits() -> None:
    book = OrderBook()
    book.replace(levels(("22356.270000", "0.10")), levels(("22357", "1")))
    book.apply(levels(("22356.27", "0.20")), levels(("22357.0", "0.000")))
    assert shown(book) == [[("22356.27", "0.20")], []]


def test_a_price_finer_than_all_before_moves_no_other() -> None:
    book = OrderBook()
    book.replace(levels(("1", "1"), ("0.5", "2")), levels(("2", "1")))
    book.apply(levels(("0.999999999999", "3")), ())
    assert [price for price, _ in shown(book)[0]] == ["1", "0.999999999999", "0.5"]
    book.apply(levels(("1.0", "0")), levels(("2.000", "0")))
    assert shown(book) == [[("0.999999999999", "3"), ("0.5", "2")], []]


def test_a_locked_market_counts_as_crossed() -> None:
    book = OrderBook()
    book.replace(levels(("1.10", "1")), levels(("1.1", "1")))
    assert book.crossed
    book.apply((), levels(("1.1", "0")))
    assert not book.crossed


def test_more_prices_than_the_cache_holds_are_all_kept_apart() -> None:
    book = OrderBook()
    prices = [f"{price / 100:.2f}" for price in range(100, 20_100)]
    book.replace(levels(*((price, "1") for price in prices)), ())
    assert [price for price, _ in shown(book)[0]] == prices[::-1]
    book.apply(levels(*((price, "0") for price in prices[1:])), ())
    assert shown(book) == [[("1.00", "1")], []]


def test_what_it_keeps_does_not_keep_the_message_it_came_from() -> None:
    import msgspec

    message = b"[[1.10,5],[1.09,6]]" + b" " * 1000
    decoded = msgspec.json.decode(message, type=tuple[Level, ...])
    book = OrderBook()
    book.replace(decoded, ())
    assert all(isinstance(part, bytes) for level in book._bids.levels.values() for part in level)


@pytest.mark.parametrize("size", ["-1", "-0.5", "-1e-8"])
def test_a_size_below_nothing_is_refused(size: str) -> None:
    with pytest.raises(ValueError, match="below 0"):
        OrderBook().apply(levels(("1", size)), ())


@pytest.mark.parametrize(
    ("size", "zero"), [("0", True), ("0.000", True), ("-0", True), ("0e9", True), ("0E-9", True), ("0.0001", False)]
)
def test_zero_is_told_by_value(size: str, zero: bool) -> None:
    assert is_zero(bytes(number(size))) is zero
