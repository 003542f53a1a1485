"""The order books that displays show: each as the market has it, or withheld, and then why. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tickstream.events import BookSnapshot, BookUpdate, Level, MarketEvent, Quote
from tickstream.numbers import difference
from tickstream.order_book import OrderBook

BOOK_TYPES: frozenset[type[MarketEvent]] = frozenset({BookSnapshot, BookUpdate})
WITHHELD = frozenset({"book_broken", "book_checksum", "book_without_snapshot"})
"""Codes of the notices after which the books of these symbols are wrong, until a snapshot comes."""
WAITING = "waiting for the book"

Side = tuple[Level, ...]


class Books:
    """By symbol. A book is shown from its snapshot on, until something says that it is not the market's any more."""

    def __init__(self) -> None:
        self._good: dict[str, OrderBook] = {}
        self._why: dict[str, str] = {}

    def take(self, event: BookSnapshot | BookUpdate) -> None:
        """Put it into its book. An update without one is nothing that could be shown."""
        book = self._good.get(event.symbol)
        if isinstance(event, BookSnapshot):
            book = book or OrderBook()
        if book is None:
            return
        try:
            (book.replace if isinstance(event, BookSnapshot) else book.apply)(event.bids, event.asks)
        except ValueError as error:
            self.withhold((event.symbol,), str(error))
            return
        if book.crossed:
            self.withhold((event.symbol,), "the best bid is not below the best ask")
        else:
            self._good[event.symbol] = book
            self._why.pop(event.symbol, None)

    def withhold(self, symbols: Iterable[str], why: str) -> None:
        """These are wrong from now on. What was said first, stays said."""
        for symbol in symbols:
            if self._good.pop(symbol, None) is not None:
                self._why[symbol] = why

    def why_not(self, symbol: str) -> str:
        """Why there is nothing to show; empty where there is."""
        if symbol in self._good:
            return ""
        return f"withheld: {self._why[symbol]}" if symbol in self._why else WAITING

    def withholds(self, symbol: str) -> bool:
        """There was a book, and it is wrong."""
        return symbol in self._why

    def depth(self, symbol: str, count: int) -> tuple[Side, Side]:
        """Bids and asks, the best first, `count` of each at the most; none of a book that is withheld."""
        book = self._good.get(symbol)
        return ((), ()) if book is None else book.depth(count)

    def top(self, event: MarketEvent) -> Quote:
        """The best levels after this event, as if the provider had sent them alone."""
        bids, asks = self.depth(event.symbol, 1)
        bid, bid_size = bids[0] if bids else (None, None)
        ask, ask_size = asks[0] if asks else (None, None)
        spread = None if bid is None or ask is None else difference(ask, bid)
        return Quote(event.provider, event.symbol, event.ts_event, event.ts_recv, bid, bid_size, ask, ask_size, spread)
