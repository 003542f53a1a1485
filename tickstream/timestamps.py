"""Moments in time: integer nanoseconds since 1970 UTC inside, RFC 3339 text outside.

A `Timestamp` is an `int`, so it compares and subtracts as one; its own type tells the encoders to write it as the
user asked (`--time iso|us|ns`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

NS_PER_SECOND = 1_000_000_000
MAX_NS = 253_402_300_800 * NS_PER_SECOND
"""End of the year 9999: later moments have no RFC 3339 text and are a provider's mistake."""

TEXTS_KEPT = 4096
"""Enough for what is on its way from the decoders to the encoders: the queue between them holds a thousand trades."""

LONGEST_TEXT = 64
"""Characters. A longer text is no time, and is not worth remembering as one."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,18}))?)?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_EPOCH = re.compile(r"\d{1,19}(\.\d+)?", re.ASCII)


class Timestamp(int):
    """Nanoseconds since 1970-01-01T00:00:00Z."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Timestamp({rfc3339(self)})"


def rfc3339(ns: int) -> str:
    """UTC text with microseconds and `Z`, always 27 characters; digits below a microsecond are cut, not rounded."""
    seconds, below = divmod(ns, NS_PER_SECOND)
    return f"{_second(seconds)}.{below // 1000:06d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).rjust(19, "0")


class _Texts(dict[Timestamp, str]):
    """Moment -> what `rfc3339` says of it."""

    def __missing__(self, ts: Timestamp) -> str:
        if len(self) >= TEXTS_KEPT:
            self.clear()
        text = self[ts] = rfc3339(ts)
        return text


TEXTS = _Texts()
"""A bar's times recur for every symbol, a batch's `ts_recv` for every event, and decoders `remember` what they read."""


def remember(moments: Sequence[Timestamp], texts: Sequence[str]) -> None:
    """These texts are, to the letter, what `rfc3339` says of these moments: nobody needs to make them again."""
    if len(TEXTS) + len(texts) > TEXTS_KEPT:
        TEXTS.clear()
    if len(texts) <= TEXTS_KEPT:
        TEXTS.update(zip(moments, texts, strict=True))


def parse_rfc3339(text: str) -> Timestamp:
    """The moment an ISO 8601 / RFC 3339 text names; without an offset it is UTC.

    Accepts `T` or a space, `Z` or an offset, and up to 18 fractional digits (cut after nanoseconds).
    Raises ValueError for anything else, for more than 64 characters, and for moments before 1970.
    """
    if len(text) > LONGEST_TEXT:
        # Never quoted in part: half a key would not be recognised, and so not be redacted.
        raise ValueError(f"not an RFC 3339 time: {len(text)} characters")
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    year, month, day, hour, minute, second, fraction, _zulu, sign, off_h, off_m = match.groups()
    leap = second == "60"  # a leap second is folded into the second before it, as Unix time does
    moment = datetime(
        int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second or 0), tzinfo=UTC
    )
    seconds = int(moment.timestamp())
    if sign:
        if int(off_h) > 23 or int(off_m) > 59:
            raise ValueError(f"not an offset from UTC: {text!r}")
        offset = int(off_h) * 3600 + int(off_m) * 60
        seconds += offset if sign == "-" else -offset
    return _checked(seconds * NS_PER_SECOND + int((fraction or "0")[:9].ljust(9, "0")))


def from_epoch(value: int | str, unit_ns: int) -> Timestamp:
    """The moment of an epoch count, `unit_ns` nanoseconds a unit (1_000_000 for milliseconds).

    Text may have a fraction, which is kept exactly, and cut after nanoseconds.
    Raises ValueError when it is not a plain number, or out of range.
    """
    if isinstance(value, int):
        return _checked(value * unit_ns)
    if _EPOCH.fullmatch(value.strip()) is None:
        raise ValueError("not an epoch time: digits, with or without a fraction, are")
    whole, _, fraction = value.strip().partition(".")
    below = int(fraction[:18].ljust(18, "0")) * unit_ns // 10**18
    return _checked(int(whole) * unit_ns + below)


def _checked(ns: int) -> Timestamp:
    if not 0 <= ns < MAX_NS:
        raise ValueError("time out of range (1970 to 9999)")
    return Timestamp(ns)
