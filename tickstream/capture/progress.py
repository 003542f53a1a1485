"""The line that a capture draws on a terminal while it runs: how it goes, how fast, what is on the disk. Pure."""

from __future__ import annotations

from tickstream.status import FilesStatus, RunStatus, SessionStatus
from tickstream.timestamps import rfc3339

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def progress_line(status: RunStatus, files: FilesStatus, events_per_s: float, now_ns: int, now: float) -> str:
    """`live  12,345 events  118/s  3 files  4.2 MB  1 gap  9,120 credits left`; `now` is monotonic seconds."""
    parts = [
        f"{status.label.lower()}: {_state(status, files, now)}",
        f"{status.events:,} events",
        f"{_rate(events_per_s)}/s",
        _counted(files.finished + files.open, "file"),
        size(files.written + files.waiting),
        _counted(status.gaps, "gap"),
    ]
    if status.dropped:
        parts.append(f"{status.dropped:,} dropped")
    left = status.credits_remaining(now_ns)
    if left is not None:
        parts.append(f"{left:,} credits left")
    return "  ".join(parts)


def size(count: int) -> str:
    """Bytes as people read them, in powers of 1000: `999 B`, `4.2 MB`."""
    scaled, unit = float(count), 0
    while scaled >= 999.95 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    return f"{scaled:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def _state(status: RunStatus, files: FilesStatus, now: float) -> str:
    if status.opens_ns is not None:
        return f"waiting for the open, {rfc3339(status.opens_ns)[:16]}Z"
    if files.paused:
        return f"waiting for the disk ({files.paused})"
    up = [session for session in status.sessions if session.state == "up"]
    if up and all(session.paused for session in up):
        return "paused by the provider"
    if len(up) == len(status.sessions):
        return "up"
    if up:
        return f"{len(up)} of {len(status.sessions)} sessions up"
    return _down(status.sessions[0], now)


def _down(session: SessionStatus, now: float) -> str:
    if session.retry_at is None:
        return session.state
    what = "held" if session.state == "held" else "reconnecting"
    return f"{what}, next attempt in {max(0.0, session.retry_at - now):.0f} s"


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 or not per_s else f"{per_s:.1f}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
