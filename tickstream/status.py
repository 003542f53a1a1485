"""The state of a run as it is now: written by the sessions, read by the table, the status line and the summary.

Plain attributes, each written by one thread only and read by others as they are: a reader may see one field newer
than its neighbour, never a torn value.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tickstream.credits import CreditMeter
from tickstream.events import SessionState
from tickstream.markets import Market, market_of


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
    """Number of its connection; a capture goes on counting where the run before it ended."""
    epoch_before: int = 0
    """What it began to count from."""
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

    @property
    def reconnects(self) -> int:
        """Connections after the first of this run."""
        return max(0, self.epoch - self.epoch_before - 1)

    def succeed(self, other: SessionStatus) -> None:
        """Another connection, of which `other` was kept, has taken over from this one."""
        self.epoch, self.state, self.step = other.epoch, other.state, other.step
        self.ping_ms, self.last_data = other.ping_ms, other.last_data or self.last_data
        self.bytes_before += self.bytes_received
        self.bytes_received = other.bytes_received
        self.quarantined += other.quarantined
        self.unknown += other.unknown
        self.unrequested += other.unrequested
        self.refused = tuple(dict.fromkeys((*self.refused, *other.refused)))


class ProviderStatus(msgspec.Struct):
    """What a run has of one provider, beside the sessions."""

    name: str
    symbols: tuple[str, ...] = ()
    credits: CreditMeter | None = None
    silence_s: float = 150.0
    """Without data for so long, in an open market, a symbol is stale."""
    market_of: Callable[[str], Market] = market_of
    """Symbol -> its trading hours."""


class RunStatus(msgspec.Struct):
    """A whole run."""

    label: str
    """`LIVE`, `DEMO` or `REPLAY`."""
    providers: tuple[ProviderStatus, ...]
    """In the order in which they were named."""
    sessions: list[SessionStatus]
    """Of all of them."""
    events: int = 0
    gaps: int = 0
    dropped: int = 0
    quarantined: int = 0
    started: float = 0.0
    opens_ns: int | None = None
    """The market is closed until then, and nothing is connected yet."""

    @property
    def several(self) -> bool:
        """There is more than one provider: symbols alone do not say whose they are."""
        return len(self.providers) > 1

    @property
    def provider(self) -> str:
        """Whose data it is: the name, or the names joined by commas."""
        return ",".join(one.name for one in self.providers)

    @property
    def names(self) -> tuple[str, ...]:
        """All symbols by the names that they have in this run, see `name_of`."""
        return tuple(self.name_of(one.name, symbol) for one in self.providers for symbol in one.symbols)

    def name_of(self, provider: str, symbol: str) -> str:
        """What a symbol is called where the provider does not stand beside it: with its provider in front, as on the
        command line, when there are several."""
        return f"{provider}:{symbol}" if self.several else symbol

    def credits_used(self) -> int | None:
        """Of all providers that charge; None when none does."""
        meters = [one.credits for one in self.providers if one.credits is not None]
        return sum(meter.used for meter in meters) if meters else None

    def credits_remaining(self, now_ns: int) -> int | None:
        """Left today with all providers that charge; None when that of one is unlimited or not known."""
        left = [one.credits.remaining(now_ns) for one in self.providers if one.credits is not None]
        known = [some for some in left if some is not None]
        return sum(known) if known and len(known) == len(left) else None


class FilesStatus(msgspec.Struct):
    """The files of a capture. Counts are of this run."""

    finished: int = 0
    open: int = 0
    written: int = 0
    """Bytes, in files."""
    waiting: int = 0
    """Bytes, in memory."""
    free: int | None = None
    """Bytes that the disk has left; None: not known."""
    paused: str = ""
    """Why nothing is written at present; empty while all is well."""


class Pace(msgspec.Struct):
    """How fast a counter grows, measured between looks at it."""

    per_s: float = 0.0
    _count: int = 0
    _at: float | None = None

    def look(self, count: int, now: float) -> float:
        """The count is this now (monotonic seconds): its growth per second since the look before."""
        if self._at is not None and now > self._at:
            self.per_s = max(0.0, (count - self._count) / (now - self._at))
        self._count, self._at = count, now
        return self.per_s
