"""The state of a run as it is now: written by the sessions, read by the table, the status line and the summary.

Plain attributes, each written by one thread only and read by others as they are: a reader may see one field newer
than its neighbour, never a torn value.
"""

from __future__ import annotations

import msgspec

from tickstream.credits import CreditMeter
from tickstream.events import SessionState


class SessionStatus(msgspec.Struct):
    """One session. Times are monotonic seconds."""

    provider: str
    session: int
    symbols: tuple[str, ...]
    state: SessionState = "connecting"
    step: str = ""
    """What a connecting session is at: resolve, tcp, tls, upgrade, auth, subscribe."""
    reason: str = ""
    epoch: int = 0
    attempts: int = 0
    """Failed attempts since data last flowed."""
    retry_at: float | None = None
    ping_ms: float | None = None
    last_data: float | None = None
    paused: bool = False
    """The provider withholds data until its quota resets."""
    refused: tuple[str, ...] = ()
    bytes_received: int = 0
    """On this connection."""
    bytes_before: int = 0
    """On the connections before it."""
    quarantined: int = 0
    unknown: int = 0
    unrequested: int = 0
    blocked: bool = False
    """The reader of our output is slow, and the queue is full."""


class RunStatus(msgspec.Struct):
    """A whole run."""

    label: str
    """`LIVE`, `DEMO` or `REPLAY`."""
    provider: str
    sessions: list[SessionStatus]
    symbols: tuple[str, ...]
    credits: CreditMeter | None = None
    plan: str | None = None
    events: int = 0
    gaps: int = 0
    dropped: int = 0
    quarantined: int = 0
    started: float = 0.0
