"""What stands in a file for a moment or a number. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tickstream.numbers import Number
from tickstream.timestamps import NS_PER_SECOND, Timestamp, from_epoch, parse_rfc3339

NANOSECONDS_FROM = 10**17
"""A count of microseconds is smaller until the year 5138, a count of nanoseconds larger since 1973."""

UNDECODABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""What decoding may raise on the bytes of a file: never anything else."""

_CACHE_SIZE = 4096
OUR_LENGTH = len("2026-06-24T14:54:00.123456Z")
"""Moments as tickstream writes them are read in a third of the time: in files of bars that is half of all."""
_CLOCK = {f"{at // 60:02d}:{at % 60:02d}:": at * 60 * NS_PER_SECOND for at in range(24 * 60)}
_NUMBERS_BEGIN = frozenset(b"%c" % one for one in b"-0123456789")


class _Days(dict[str, int]):
    """`2026-06-24T` -> the moment at which that day begins. Raises ValueError."""

    def __missing__(self, beginning: str) -> int:
        if len(self) >= _CACHE_SIZE:
            self.clear()
        ns = self[beginning] = parse_rfc3339(f"{beginning}00:00Z")
        return ns


class Times(dict[Any, Timestamp]):
    """What stands in a file for a moment -> the moment: RFC 3339 text, or a count of microseconds or nanoseconds.

    Raises ValueError for everything else.
    """

    def __init__(self) -> None:
        super().__init__()
        self._days = _Days()

    def __missing__(self, written: Any) -> Timestamp:
        if type(written) is str and len(written) == OUR_LENGTH and written[19] == "." and written[26] == "Z":
            ts = self._ours(written)
        else:
            ts = self.parse(written)
        if len(self) >= _CACHE_SIZE:
            self.clear()
        self[written] = ts
        return ts

    def parse(self, written: Any) -> Timestamp:
        """The moment. Raises ValueError."""
        if isinstance(written, str):
            return parse_rfc3339(written)
        if type(written) is not int:
            raise ValueError("a time is neither text nor a whole number")
        return from_epoch(written, 1 if written >= NANOSECONDS_FROM else 1000)

    def _ours(self, text: str) -> Timestamp:
        """A text as tickstream writes it: its day is known, and its clock is in a table, whether bars or ticks."""
        below, minute = text[17:19] + text[20:26], _CLOCK.get(text[11:17])
        if minute is None or not (below.isdigit() and below.isascii() and below < "60"):
            return parse_rfc3339(text)
        return Timestamp(self._days[text[:11]] + minute + int(below) * 1000)


class NanoTimes(Times):
    """Counts of nanoseconds, of any year."""

    def parse(self, written: Any) -> Timestamp:
        return from_epoch(written, 1) if type(written) is int else super().parse(written)


def check_numbers(values: Iterable[Number]) -> None:
    """Any JSON value fits into a Raw. Raises ValueError unless each of these is a number, of any length."""
    for value in values:
        if bytes(value)[:1] not in _NUMBERS_BEGIN:
            raise ValueError(f"not a number: {bytes(value)[:40].decode(errors='replace')}")


def may_be_number(hint: Any) -> bool:
    """True for the type of a field that holds a number, or nothing."""
    return hint is Number or hint == Number | None
