"""Values people type: durations and times of day."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from tickstream.errors import UsageError

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|min|s|m|h|d)?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def parse_duration(text: str, option: str) -> float:
    """Seconds of `90`, `90s`, `2h`, `1h30m`, `500ms`. Raises UsageError naming the option."""
    rest, total = text.strip().lower(), 0.0
    while rest:
        match = _PART.match(rest)
        if match is None or (match.group(2) is None and match.end() != len(text.strip())):
            break
        total += float(match.group(1)) * _UNITS_S[match.group(2) or "s"]
        rest = rest[match.end() :]
    if rest or not text.strip() or total > 3650 * 86400:
        raise UsageError(f"{option}: {text[:40]!r} is not a duration.", hint="Write 90s, 5m, 2h, 1h30m or 3d.")
    return total


def seconds_until(text: str, now: datetime, option: str = "--until") -> float:
    """Seconds from `now` to the next time of day (`16:00`, in the zone of `now`), or to a date and time in ISO 8601.

    Raises UsageError for anything else, and for a date that has passed.
    """
    match = _CLOCK.fullmatch(text.strip())
    try:
        if match:
            hour, minute, second = (int(part or 0) for part in match.groups())
            then = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
            if then <= now:
                then = (then + timedelta(days=1)).replace(hour=hour, minute=minute)
        else:
            then = datetime.fromisoformat(text.strip())
            then = then if then.tzinfo else then.replace(tzinfo=now.tzinfo)
    except ValueError:
        raise UsageError(
            f"{option}: {text[:40]!r} is not a time.", hint="Write 16:00, or 2026-06-24T16:00:00Z."
        ) from None
    seconds = (then - now).total_seconds()
    if seconds <= 0:
        raise UsageError(f"{option}: {text[:40]} has passed.", hint="Write a time in the future.")
    return seconds


def zone(name: str | None) -> tzinfo | None:
    """The time zone of this name; None for the machine's own. Raises UsageError when there is none of that name."""
    if name is None or name.lower() == "local":
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo("UTC" if name.upper() in ("UTC", "Z") else name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"--tz: there is no time zone {name[:40]!r}.", hint="Write Europe/London, America/New_York or UTC."
        ) from None
