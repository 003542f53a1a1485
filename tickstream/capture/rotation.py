"""When a file is complete and the next one begins: by size, by the clock (UTC), or by its name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from tickstream.errors import UsageError
from tickstream.timestamps import NS_PER_SECOND

SMALLEST = 1024
"""Bytes. A file for each record helps nobody."""
LINGER_NS = 60 * NS_PER_SECOND
"""How long a file whose name is over still waits for late data, after the end and after the last record."""

_SIZE = re.compile(r"(\d+)\s*(k|m|g|t)?(i?)b?", re.IGNORECASE)
_TIME = re.compile(r"(\d+)\s*(s|m|min|h|d)")
_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_DAY_NS = 86_400 * NS_PER_SECOND


class Rotation(msgspec.Struct, frozen=True):
    """`size`: bytes that a file never exceeds, unless one batch does. `interval_ns`: files end at multiples of it."""

    size: int | None = None
    interval_ns: int | None = None

    def full(self, size: int, more: int) -> bool:
        """True when a file of `size` bytes must be finished before `more` bytes are added."""
        return self.size is not None and size > 0 and size + more > self.size

    def over(self, begun_ns: int, now_ns: int, until_ns: int | None, idle_ns: int) -> bool:
        """True when a file that was begun at `begun_ns` is complete.

        `until_ns` is the end of the period in its name; then it waits for late records, as long as any come
        (`idle_ns`: since the last), since a capture of old data would otherwise get a file for each batch.
        """
        if self.interval_ns is not None and begun_ns // self.interval_ns != now_ns // self.interval_ns:
            return True
        return until_ns is not None and now_ns >= until_ns + LINGER_NS and idle_ns >= LINGER_NS


def parse_size(text: str, option: str) -> int:
    """Bytes of `100MB`, `1GiB`, `500k`, `1000`: powers of 1000, with `i` of 1024. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option}: {text[:40]!r} is not a size.", hint="Write 500MB, 1GiB or a number of bytes.")
    power: int = "kmgt".index(match[2].lower()) + 1 if match[2] else 0
    factor: int = (1024 if match[3] else 1000) ** power
    return int(match[1]) * factor


def parse_rotation(texts: Iterable[str]) -> Rotation:
    """What `--rotate` says, once or more often: `daily`, `hourly`, an interval as `15m`, a size as `100MB`.

    Raises UsageError. `15m` is a quarter of an hour, 15 megabytes are `15MB`.
    """
    size = interval = None
    for text in texts:
        match = _TIME.fullmatch(text.strip().lower())
        if text.strip().lower() in ("daily", "hourly"):
            interval = _DAY_NS if text.strip().lower() == "daily" else _DAY_NS // 24
        elif match:
            interval = int(match[1]) * _UNITS_S[match[2]] * NS_PER_SECOND
            if not interval:
                raise UsageError("--rotate: an interval of 0.", hint="Write daily, 1h or 15m.")
        else:
            size = _size(text)
    return Rotation(size, interval)


def _size(text: str) -> int:
    if not re.search("[bB]$|[kKgGtT]$", text.strip()):
        raise UsageError(
            f"--rotate: {text[:40]!r} is neither a size nor an interval.", hint="Write daily, 1h, 15m, 100MB or 1GiB."
        )
    size = parse_size(text, "--rotate")
    if size < SMALLEST:
        raise UsageError(f"--rotate: {text[:40]!r} is too small.", hint=f"{SMALLEST} bytes are the least.")
    return size
