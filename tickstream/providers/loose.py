"""JSON values in looser forms than documents show: numbers in strings, times as epochs, null where a value may lack.

For the messages that are looked at field by field, because they do not come in the usual form.
"""

from __future__ import annotations

import msgspec

from tickstream import numbers
from tickstream.timestamps import NS_PER_SECOND, Timestamp, from_epoch, parse_rfc3339

LARGEST_COUNT = 2**53
"""What every reader of JSON can hold."""
NS_PER_MS = 1_000_000
LONGEST_EPOCH_IN_SECONDS = 12
"""Digits. Longer epochs are in milliseconds (convention)."""


def price(raw: msgspec.Raw) -> numbers.Number:
    """A number, perhaps in a string. Raises ValueError for everything else, null included."""
    value = numbers.parse(raw)
    if value is None:
        raise ValueError("a price is null")
    return value


def time(raw: msgspec.Raw) -> Timestamp:
    """ISO 8601 text, or an epoch in seconds or milliseconds, perhaps in a string. Raises ValueError."""
    text = bytes(raw).decode()
    if text[0] == '"':
        text = str(msgspec.json.decode(raw)).strip()
        if not text.replace(".", "", 1).isdigit():
            return parse_rfc3339(text)
    in_seconds = len(text.partition(".")[0]) <= LONGEST_EPOCH_IN_SECONDS
    return from_epoch(text, NS_PER_SECOND if in_seconds else NS_PER_MS)


def count(raw: msgspec.Raw, if_negative: int | None = None) -> int | None:
    """A whole number, or None for null and for what is none: a count that we cannot read must not end the session."""
    try:
        value = numbers.parse(raw)
    except ValueError:
        return None
    exact = None if value is None else numbers.decimal(value)
    if exact is None or exact > LARGEST_COUNT or exact != exact.to_integral_value():
        return None
    return if_negative if exact < 0 else int(exact)
