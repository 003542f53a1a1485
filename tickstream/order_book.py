"""The order book of one symbol: exact, from snapshots and updates. Pure.

Levels are told apart by the value of their price, not by its text: `22356.270000` and `22356.27` are one level. Prices
are compared as integers, scaled by the most decimals seen, so that nothing is rounded. Each side is a sorted list of
these integers with the best one last, near which nearly all changes happen.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from decimal import Decimal

from tickstream.events import Level
from tickstream.numbers import Number

_CACHE_SIZE = 8192
_MINUS, _ZERO = b"-0"


class OrderBook:
    """Empty at first. Sizes are whole sizes, and 0 removes the level; what is removed need not be there.

    `replace` and `apply` raise ValueError for a size below 0. The book is then undefined until it is replaced.
    """

    def __init__(self) -> None:
        self._bids, self._asks = _Side(1), _Side(-1)
        self._places = 0
        """Decimals of the scale: a price of 1 has the key 10 ** places."""

    def replace(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a snapshot, its levels in any order: what was known before is forgotten."""
        for side in (self._bids, self._asks):
            side.levels.clear()
            side.keys.clear()
        self.apply(bids, asks)

    def apply(self, bids: Sequence[Level], asks: Sequence[Level]) -> bool:
        """Take an update: each level in turn replaces the one of its price. True if the book is not crossed then."""
        if bids:
            self._set(self._bids, bids)
        if asks:
            self._set(self._asks, asks)
        bid_keys, ask_keys = self._bids.keys, self._asks.keys
        return not bid_keys or not ask_keys or bid_keys[-1] < -ask_keys[-1]

    @property
    def crossed(self) -> bool:
        """True when the best bid is not below the best ask: no market is like that, so something was missed."""
        return bool(self._bids.keys and self._asks.keys) and self._bids.keys[-1] >= -self._asks.keys[-1]

    @property
    def counts(self) -> tuple[int, int]:
        """How many bids and asks there are."""
        return len(self._bids.keys), len(self._asks.keys)

    def depth(self, count: int | None = None) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Bids and asks, the best first, `count` of each at the most; in the digits they came with."""
        return self._bids.best(count), self._asks.best(count)

    def _set(self, side: _Side, levels: Iterable[Level]) -> None:
        keys, known, cache = side.keys, side.levels, side.cache
        for price, size in levels:
            text, amount = bytes(price), bytes(size)  # and not what was decoded: it would keep a whole read in memory
            key = cache.get(text)
            if key is None:
                key = self._new_key(side, text)
            # Nearly all zeros are like 0.000: to strip that takes a sixth of the time of a closer look.
            if amount[0] <= _ZERO and (not amount.strip(b"0.") or is_zero(amount)):
                if key in known:
                    del known[key], keys[bisect_left(keys, key)]
                continue
            if key not in known:
                insort(keys, key)
            known[key] = text, amount

    def _new_key(self, side: _Side, text: bytes) -> int:
        mantissa, places = _exact(text)
        if places > self._places:
            factor = 10 ** (places - self._places)
            self._bids.rescale(factor)
            self._asks.rescale(factor)
            self._places = places
        if len(side.cache) >= _CACHE_SIZE:
            side.cache.clear()
        key = side.sign * mantissa * int(10 ** (self._places - places))
        side.cache[text] = key
        return key


class _Side:
    """`keys` are prices times `sign`, ascending: the best is the last."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.keys: list[int] = []
        self.levels: dict[int, tuple[bytes, bytes]] = {}
        """Key -> price and size."""
        self.cache: dict[bytes, int] = {}
        """Text of a price -> key. Prices recur."""

    def best(self, count: int | None) -> tuple[Level, ...]:
        keys = self.keys[::-1] if count is None else self.keys[: -count - 1 : -1]
        levels = self.levels
        return tuple([(Number(price), Number(size)) for price, size in map(levels.__getitem__, keys)])

    def rescale(self, factor: int) -> None:
        self.cache.clear()
        self.keys[:] = [key * factor for key in self.keys]
        scaled = {key * factor: level for key, level in self.levels.items()}
        self.levels.clear()
        self.levels.update(scaled)


def is_zero(amount: bytes) -> bool:
    """Whether a Number that begins with `0` or `-` is 0. Raises ValueError when it is below."""
    if not amount.partition(b"e")[0].partition(b"E")[0].translate(None, b"-0."):
        return True
    if amount[0] == _MINUS:
        raise ValueError(f"a size below 0: {amount.decode()}")
    return False


def _exact(text: bytes) -> tuple[int, int]:
    """An integer and the power of ten that it is divided by, 0 or more, to be this price."""
    if b"e" in text or b"E" in text:
        text = format(Decimal(text.decode()), "f").encode()
    whole, _, fraction = text.partition(b".")
    fraction = fraction.rstrip(b"0")
    return int(whole + fraction), len(fraction)
