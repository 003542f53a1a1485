"""The books that displays show: those of a naive reconstruction, and none that is wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import START, book, book_update, levels
from tests.test_order_book import SIDE, Naive
from tickstream.events import BookSnapshot, BookUpdate, Level
from tickstream.numbers import text
from tickstream.sinks.books import WAITING, Books

S = "EUR/USD"
WHOLE = book(("1.10", "5.0"), ("1.09", "2"), asks=(("1.20", "7"), ("1.21", "1")))


def books(*events: BookSnapshot | BookUpdate) -> Books:
    made = Books()
    for event in events:
        made.take(event)
    return made


def shown(made: Books, count: int = 1000) -> list[list[tuple[str, str]]]:
    return [[(text(price), text(size)) for price, size in side] for side in made.depth(S, count)]


def test_a_book_is_awaited_until_its_snapshot_comes() -> None:
    made = books(book_update(("1.10", "1")))
    assert made.why_not(S) == WAITING
    assert not made.withholds(S)
    assert made.depth(S, 5) == ((), ())
    made.take(WHOLE)
    assert made.why_not(S) == ""
    assert made.depth(S, 1) == (levels(("1.10", "5.0")), levels(("1.20", "7")))


def test_updates_go_into_it() -> None:
    made = books(WHOLE, book_update(("1.11", "1"), ("1.10", "0"), asks=(("1.20", "6"),)))
    assert shown(made) == [[("1.11", "1"), ("1.09", "2")], [("1.20", "6"), ("1.21", "1")]]


def test_a_book_that_is_withheld_shows_nothing_but_the_first_reason_until_a_snapshot_comes() -> None:
    made = books(WHOLE)
    made.withhold((S, "X"), "its checksum is wrong")
    made.withhold((S,), "not connected")
    made.take(book_update(("1.11", "1")))
    assert made.why_not(S) == "withheld: its checksum is wrong"
    assert made.withholds(S)
    assert made.depth(S, 5) == ((), ())
    assert made.why_not("X") == WAITING
    made.take(WHOLE)
    assert (made.why_not(S), made.withholds(S)) == ("", False)


def test_the_top_is_a_quote_with_an_exact_spread() -> None:
    made = books(WHOLE)
    quote = made.top(WHOLE)
    assert (quote.symbol, quote.ts_event, quote.ts_recv) == (S, START, START)
    assert [text(value) for value in (quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.spread) if value] == [
        "1.10", "5.0", "1.20", "7", "0.10",
    ]  # fmt: skip


def test_the_top_of_nothing_is_unknown() -> None:
    made = books(book(asks=(("1.20", "7"),)))
    quote = made.top(WHOLE)
    assert (quote.bid, quote.bid_size, quote.spread) == (None, None, None)
    assert quote.ask is not None
    made.withhold((S,), "wrong")
    assert made.top(WHOLE).ask is None


def test_a_size_below_nothing_is_a_wrong_book() -> None:
    made = books(WHOLE, book_update(("1.10", "-1")))
    assert made.why_not(S) == "withheld: a size below 0: -1"


@given(st.lists(st.tuples(st.booleans(), SIDE, SIDE), max_size=12))
def test_what_is_shown_is_what_a_naive_reconstruction_has_and_never_crossed(
    changes: list[tuple[bool, tuple[Level, ...], tuple[Level, ...]]],
) -> None:
    made, naive, good = Books(), Naive(), False
    for replace, bids, asks in changes:
        kind = BookSnapshot if replace else BookUpdate
        made.take(kind("kraken", S, None, START, bids, asks))
        naive.change(replace, bids, asks)
        good = (good or replace) and not naive.crossed
        assert shown(made) == (naive.depth(1000) if good else [[], []])
        assert (made.why_not(S) == "") is good
