"""A book of so many levels, proved by the provider's checksum."""

from __future__ import annotations

import zlib

import pytest

from tickstream.checked_book import CheckedBook
from tickstream.events import Level
from tickstream.numbers import number, text


def side(*levels: tuple[str, str]) -> tuple[Level, ...]:
    return tuple((number(price), number(size)) for price, size in levels)


def test_the_digits_are_those_of_the_fixed_decimals_whatever_was_written() -> None:
    book = CheckedBook(10, (1, 8))
    book.replace(side(("100", "9.417e-05")), side(("100.10", "0.5")))
    assert book.checksum((1, 8)) == zlib.crc32(b"10015000000010009417")


def test_only_ten_levels_of_each_side_count() -> None:
    deep = side(*((str(price), "1") for price in range(100, 80, -1)))
    book, shallow = CheckedBook(25, (0, 0)), CheckedBook(25, (0, 0))
    book.replace(deep, ())
    shallow.replace(deep[:10], ())
    assert (
        book.checksum((0, 0))
        == shallow.checksum((0, 0))
        == zlib.crc32("".join(f"{price}1" for price in range(100, 90, -1)).encode())
    )


def test_levels_beyond_the_depth_are_said_to_be_gone() -> None:
    book = CheckedBook(2, None)
    book.replace(side(("5", "1"), ("4", "1")), side(("6", "1"), ("7", "1")))
    bids, asks = book.apply(side(("4.5", "2")), side(("6.5", "2"), ("6.6", "3")))
    assert [(text(price), text(size)) for price, size in bids] == [("4.5", "2"), ("4", "0")]
    assert [(text(price), text(size)) for price, size in asks] == [("6.5", "2"), ("6.6", "3"), ("6.6", "0"), ("7", "0")]
    assert book.apply(side(("4.5", "0")), ()) == (side(("4.5", "0")), ())


@pytest.mark.parametrize(("places", "right"), [((1, 8), False), (None, True)])
def test_without_decimals_nobody_can_tell(places: tuple[int, int] | None, right: bool) -> None:
    book = CheckedBook(10, places)
    book.replace(side(("1", "1")), side(("2", "1")))
    assert book.is_right(7) is right
