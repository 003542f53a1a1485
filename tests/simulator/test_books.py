from __future__ import annotations

from tickstream.events import BookSnapshot, BookUpdate, Quote
from tickstream.numbers import number
from tickstream.simulator.books import RecordedBooks, with_changes
from tickstream.simulator.outgoing import push_of
from tickstream.timestamps import Timestamp

AT = Timestamp(1_782_312_840_000_000_000)
WHOLE = BookSnapshot("kraken", "BTC/USD", AT, AT, ((number("10.0"), number("1")),), ((number("11.0"), number("2")),))


def test_a_recorded_change_gives_the_whole_book_after_it() -> None:
    books = RecordedBooks()
    assert books.after(WHOLE) == WHOLE
    change = BookUpdate("kraken", "BTC/USD", AT, AT, ((number("10.5"), number("3")),), (), sequence=7)
    after = books.after(change)
    assert [bytes(price) for price, _ in after.bids] == [b"10.5", b"10.0"]
    assert (after.asks, after.sequence) == (WHOLE.asks, None)


def test_books_become_their_changes_and_everything_else_stays_in_its_place() -> None:
    quote = push_of(Quote("kraken", "BTC/USD", AT, AT), "ticker", b"quote")
    book = push_of(WHOLE, "book", b"")
    assert with_changes([book, quote], lambda topic, _: topic.encode()) == [push_of(WHOLE, "book", b"book"), quote]
    assert with_changes([quote, book], lambda *_: None) == [quote]
