"""An order book of so many levels a side, with the checksum by which a provider proves that ours is the same. Pure."""

from __future__ import annotations

import zlib
from decimal import Decimal
from functools import lru_cache

from tickstream.events import Level
from tickstream.numbers import number
from tickstream.order_book import OrderBook

CHECKED_LEVELS = 10
"""Of each side."""
_NOTHING = number("0")
_CACHE_SIZE = 16_384

Side = tuple[Level, ...]


class CheckedBook:
    """Keeps the `depth` best levels. `places`: decimals of prices and of sizes, None where they are not known.

    Raises ValueError as OrderBook does.
    """

    def __init__(self, depth: int, places: tuple[int, int] | None) -> None:
        self._depth = depth
        self._places = places
        self._book = OrderBook()

    def replace(self, bids: Side, asks: Side) -> tuple[Side, Side]:
        """Take a snapshot. Returns it, as `apply` does."""
        self._book.replace(bids, asks)
        return bids, asks

    def apply(self, bids: Side, asks: Side) -> tuple[Side, Side]:
        """Take an update. Returns all that it changes: also which levels are pushed out at the far end."""
        self._book.apply(bids, asks)
        if max(self._book.counts) <= self._depth:
            return bids, asks
        far_bids, far_asks = (
            tuple((price, _NOTHING) for price, _ in side[self._depth :]) for side in self._book.depth()
        )
        self._book.apply(far_bids, far_asks)
        return bids + far_bids, asks + far_asks

    def is_right(self, checksum: int) -> bool:
        """Whether the provider's checksum is ours. Without decimals nobody can tell, and it is taken to be."""
        return self._places is None or self.checksum(self._places) == checksum

    def checksum(self, places: tuple[int, int]) -> int:
        """CRC32 of the digits of the best asks, then of the best bids, best first: of each the price, then the size.

        Kraken's (docs.kraken.com, guides/websockets/book-checksum-v2).
        """
        bids, asks = self._book.depth(CHECKED_LEVELS)
        prices, sizes = places
        texts = [_digits(bytes(price), prices) + _digits(bytes(size), sizes) for price, size in (*asks, *bids)]
        return zlib.crc32("".join(texts).encode())


@lru_cache(maxsize=_CACHE_SIZE)
def _digits(value: bytes, places: int) -> str:
    """With all decimals, without the point and the zeros before the first digit: 9.417e-05 with 8 is 9417."""
    return format(Decimal(value.decode()), f".{places}f").replace(".", "").lstrip("0")
