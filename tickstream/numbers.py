"""Exact decimal numbers: the provider's own digits, from the wire to the output.

A `Number` is a `msgspec.Raw` that holds the text of a finite JSON number. It is never turned into a float: `1.08430`
stays `1.08430`. Arithmetic goes through integers or `Decimal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

import msgspec

Number = msgspec.Raw

MAX_DIGITS = 64
"""Longer numbers are no price, size or count: they are refused as malformed."""

_JSON_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_PLAIN = b"0123456789.-"
_LONG = re.compile(rb"[0-9.]{65}")


def number(text: str | bytes) -> Number:
    """The Number with exactly this text. Raises ValueError unless it is a finite JSON number of at most 64 characters."""
    raw = text.encode("ascii", "replace") if isinstance(text, str) else bytes(text)
    if len(raw) > MAX_DIGITS or _JSON_NUMBER.fullmatch(raw) is None:
        raise ValueError(f"not a number: {raw[:40]!r}")
    if (b"e" in raw or b"E" in raw) and abs(Decimal(raw.decode()).adjusted()) > 300:
        raise ValueError(f"number out of range: {raw[:40]!r}")
    return Number(raw)


def parse(raw: msgspec.Raw) -> Number | None:
    """The Number in a JSON value: a number, a number in a string, or None for null.

    Raises ValueError for every other value, NaN and infinities among them.
    """
    value = bytes(raw).strip()
    if value == b"null":
        return None
    if value[:1] == b'"':
        value = value[1:-1].strip()
    return number(value)


def all_plain(values: Iterable[msgspec.Raw]) -> bool:
    """True when every value, already known to be valid JSON, is a number without exponent and of sane length.

    One C-speed pass over a whole batch. False means only: look at each with `parse`.
    """
    joined = b",".join(values)
    return not joined.translate(None, b"0123456789.-,") and _LONG.search(joined) is None


def text(value: Number) -> str:
    """The digits as the provider wrote them."""
    return str(bytes(value), "ascii")


def decimal(value: Number) -> Decimal:
    """The exact value."""
    return Decimal(text(value))


def places(value: Number) -> int:
    """Digits after the decimal point as written; 0 for `1`, 5 for `1.08430`."""
    return len(bytes(value).partition(b".")[2])


def difference(minuend: Number, subtrahend: Number) -> Number:
    """minuend - subtrahend, exact, with as many decimals as the finer of the two: 1.1346 - 1.13450 = 0.00010."""
    return _difference(bytes(minuend), bytes(subtrahend))


@lru_cache(maxsize=8192)
def _difference(minuend: bytes, subtrahend: bytes) -> Number:
    return Number(format(Decimal(minuend.decode()) - Decimal(subtrahend.decode()), "f").encode())
