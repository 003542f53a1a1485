"""Which pairs of bid and ask are crossed: bid > ask, compared exactly and without floats. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from tickstream import numbers
from tickstream.events import Bar, BookSnapshot, Level, MarketEvent, Quote
from tickstream.numbers import Number

_bid = attrgetter("bid")
_ask = attrgetter("ask")


def crossed_events(events: Sequence[MarketEvent]) -> list[int]:
    """The positions of crossed events among these of one type: bars and quotes by bid and ask, books by their best."""
    if isinstance(events[0], Bar | Quote):
        return crossed(list(map(_bid, events)), list(map(_ask, events)))
    if isinstance(events[0], BookSnapshot):
        books = [event for event in events if isinstance(event, BookSnapshot)]
        return crossed([_best(book.bids) for book in books], [_best(book.asks) for book in books])
    return []


def _best(levels: tuple[Level, ...]) -> Number | None:
    return levels[0][0] if levels else None


def crossed(bids: Sequence[Number | None], asks: Sequence[Number | None]) -> list[int]:
    """The positions at which bid and ask are both known and the bid is greater.

    Text decides nearly always: of two numbers without sign and exponent, and with equally long integer parts, the
    lesser text is the lesser number, or the same one. What is left is compared as decimals. 0.35 us a pair.
    """
    if None in bids or None in asks:
        both = [at for at, (bid, ask) in enumerate(zip(bids, asks, strict=True)) if bid is not None and ask is not None]
        found = crossed([bids[at] for at in both], [asks[at] for at in both])
        return [both[at] for at in found]
    if not bids:
        return []
    low, high = b",".join(bids), b",".join(asks)  # type: ignore[arg-type]  # a Raw is a buffer, and none is None
    suspects: Sequence[int]
    if low.translate(None, b"0123456789.,") or high.translate(None, b"0123456789.,"):
        suspects = range(len(bids))
    else:
        pairs = enumerate(zip(low.split(b","), high.split(b","), strict=True))
        suspects = [at for at, (bid, ask) in pairs if bid > ask or _whole(bid) != _whole(ask)]
    return [at for at in suspects if numbers.decimal(bids[at]) > numbers.decimal(asks[at])]  # type: ignore[arg-type]  # as above


def _whole(text: bytes) -> int:
    """Digits before the decimal point."""
    point = text.find(b".")
    return len(text) if point < 0 else point
