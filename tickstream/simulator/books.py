"""Books on the simulator's side: what changes in them for a client, and what recorded changes make of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tickstream.events import BookSnapshot, BookUpdate
from tickstream.order_book import OrderBook
from tickstream.simulator.outgoing import Push, push_of


class RecordedBooks:
    """The books that recorded events make, by symbol."""

    def __init__(self) -> None:
        self._books: dict[str, OrderBook] = {}

    def after(self, change: BookSnapshot | BookUpdate) -> BookSnapshot:
        """The whole book after a recorded event, without a number."""
        book = self._books.setdefault(change.symbol, OrderBook())
        (book.replace if isinstance(change, BookSnapshot) else book.apply)(change.bids, change.asks)
        return BookSnapshot(change.provider, change.symbol, change.ts_event, change.ts_recv, *book.depth())


def with_changes(pushes: Iterable[Push], payload_of: Callable[[str, BookSnapshot], bytes | None]) -> list[Push]:
    """The same pushes with, in place of each whole book, what brings a client's book up to date.

    `payload_of` takes its topic and the book; of a book that it has nothing for, nothing is sent.
    """
    found = []
    for one in pushes:
        if not isinstance(one.item, BookSnapshot):
            found.append(one)
        elif payload := payload_of(one.topic, one.item):
            found.append(push_of(one.item, one.topic, payload))
    return found
