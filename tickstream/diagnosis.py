"""What a check of the way to a provider finds, and whose fault it is. Pure: times and errors in, findings out.

Whose fault is decided by the class of an error and by where it happened, never by its text. `them` is the provider,
`network` all that lies in between (a proxy, a firewall, a captive portal), `you` whoever runs this: options, key, plan,
clock. With a URL of one's own a wrong URL, or a server that is not running, is likelier than a broken network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from tickstream.clock import Clock
from tickstream.errors import (
    ConfigError,
    ConnectionLimit,
    ConnectionLost,
    ExitCode,
    Forbidden,
    HandshakeError,
    InsecureUrl,
    InvalidKey,
    NetworkError,
    QuotaExceeded,
    RateLimited,
    RefusedByServer,
    ResolveError,
    SessionStale,
    SymbolRefused,
    TickstreamError,
    TlsError,
    UsageError,
)
from tickstream.timestamps import NS_PER_SECOND

SKEW_S = 2.0
"""A clock that is off by more than this is worth a warning."""
SLOW_PING_MS = 1000.0
LATE_S = 15.0
"""How long after its end a candle may arrive."""
EXPIRY_DAYS = 14
"""A certificate that ends sooner than this is worth a warning."""

Fact = str | int | float | bool | None | list[str]


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Verdict(StrEnum):
    """Whose fault it is."""

    NOBODY = ""
    YOU = "you"
    THEM = "them"
    NETWORK = "network"


class Finding(msgspec.Struct, frozen=True):
    """What one check found. `advice` says what to do next; `facts` are the same as `detail`, for programs."""

    detail: str
    status: Status = Status.OK
    verdict: Verdict = Verdict.NOBODY
    advice: str = ""
    facts: Mapping[str, Fact] = {}


class Step(msgspec.Struct, frozen=True):
    """A check that is over. `duration_ms` None: it was skipped."""

    name: str
    status: Status
    duration_ms: float | None
    detail: str
    verdict: Verdict
    advice: str
    facts: Mapping[str, Fact]


class Examination:
    """Checks in their order, timed; the first that fails is the last that is made.

    `names` are all of them; `on_step` is called with each as soon as it is over.
    """

    def __init__(self, names: Sequence[str], clock: Clock, on_step: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self.error: TickstreamError | None = None
        """Why it ended early."""
        self._names = tuple(names)
        self._clock = clock
        self._on_step = on_step
        self._began: float | None = None
        self._failed_after_s: float | None = None

    @property
    def current(self) -> str:
        """The check that is running, or comes next."""
        return self._names[len(self.steps)]

    @property
    def exit_code(self) -> ExitCode:
        """0 unless a check failed."""
        return ExitCode.OK if self.error is None else ExitCode(self.error.exit_code)

    def begin(self, name: str) -> None:
        """The next check begins."""
        assert name == self.current, (name, self.current)
        self._began = self._clock.monotonic()

    def end(self, finding: Finding) -> None:
        """It is over."""
        assert self._began is not None
        self._note(finding, self._clock.monotonic() - self._began)

    def check(self, name: str, check: Callable[[], Finding]) -> None:
        """One check from its beginning to its end; what it raises is for `fail`, perhaps after a polite goodbye."""
        self.begin(name)
        began = self._clock.monotonic()
        try:
            finding = check()
        except TickstreamError:
            self._failed_after_s = self._clock.monotonic() - began
            raise
        self.end(finding)

    def skip(self, detail: str) -> None:
        """The next check does not apply."""
        self._note(Finding(detail, Status.SKIP), None)

    def fail(self, error: TickstreamError, own_url: bool) -> None:
        """The check that was running has failed, or the next one did before it began; the rest is skipped."""
        self.error = error
        verdict = blame(error, own_url)
        seconds = self._failed_after_s
        if seconds is None:
            seconds = 0.0 if self._began is None else self._clock.monotonic() - self._began
        facts: dict[str, Fact] = {"error": type(error).__name__}
        facts |= {name: value for name in ("code", "status", "close_code") if (value := getattr(error, name, None))}
        finding = Finding(error.message, Status.FAIL, verdict, error.hint or _NEXT[verdict], facts)
        self._note(finding, seconds)
        while len(self.steps) < len(self._names):
            self.skip("")

    def _note(self, finding: Finding, seconds: float | None) -> None:
        duration_ms = None if seconds is None else round(seconds * 1000, 1)
        step = Step(
            self.current, finding.status, duration_ms, finding.detail, finding.verdict, finding.advice, finding.facts
        )
        self._began = None
        self.steps.append(step)
        self._on_step(step)


# --- whose fault -----------------------------------------------------------------------------------------------------

_NEXT = {
    Verdict.NOBODY: "",
    Verdict.YOU: "Is the server of this URL running, and are host, port and path right?",
    Verdict.THEM: "Try again later. If it stays, send this report to the provider.",
    Verdict.NETWORK: "Is this machine online? A firewall or proxy may be in the way; if other sites work, the provider "
    "may be down.",
}
"""What to do where the error does not say it."""

_NOT_YET_VALID, _EXPIRED = 9, 10
"""OpenSSL's verify codes (X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED)."""


_FAULT: dict[type[TickstreamError], tuple[Verdict, Verdict]] = {
    TickstreamError: (Verdict.THEM, Verdict.THEM),
    **dict.fromkeys((UsageError, ConfigError, InvalidKey, Forbidden), (Verdict.YOU, Verdict.YOU)),
    **dict.fromkeys((ConnectionLimit, QuotaExceeded, SymbolRefused, RateLimited), (Verdict.YOU, Verdict.YOU)),
    NetworkError: (Verdict.NETWORK, Verdict.YOU),
    SessionStale: (Verdict.THEM, Verdict.THEM),
    RefusedByServer: (Verdict.THEM, Verdict.YOU),
    InsecureUrl: (Verdict.THEM, Verdict.YOU),
}
"""Class of an error (or its base) -> whose fault it is with the provider's own URL, and with another one."""


def blame(error: TickstreamError, own_url: bool) -> Verdict:
    """Whose fault an error is. `own_url`: the endpoint is the user's choice, not the provider's own."""
    if isinstance(error, ResolveError) and not error.unknown_host:
        return Verdict.NETWORK
    if isinstance(error, HandshakeError) and (error.status or 0) >= 500:
        return Verdict.THEM
    if isinstance(error, ConnectionLost):
        return Verdict.NETWORK if error.close_code is None else Verdict.THEM
    if isinstance(error, TlsError):
        return _blame_certificate(error, own_url)
    return next(_FAULT[kind] for kind in type(error).__mro__ if kind in _FAULT)[own_url]


def _blame_certificate(error: TlsError, own_url: bool) -> Verdict:
    if own_url or error.verify_code == _NOT_YET_VALID:  # then our clock is behind, most likely
        return Verdict.YOU
    if error.verify_code in (None, _EXPIRED):
        return Verdict.THEM
    return Verdict.NETWORK  # a name or an authority that is not theirs: somebody answers in their place


# --- clocks ----------------------------------------------------------------------------------------------------------


class Skew(msgspec.Struct, frozen=True):
    """How far our clock is ahead of another (negative: behind), and how far the truth may be from that. Seconds."""

    seconds: float
    within: float

    @property
    def matters(self) -> bool:
        """Off by more than SKEW_S, and by more than the measurement may be wrong."""
        return abs(self.seconds) > max(SKEW_S, self.within)

    def __str__(self) -> str:
        where = "ahead of" if self.seconds > 0 else "behind"
        return f"{abs(self.seconds):.1f} s {where}"


def clock_skew(date: str, received_ns: int, round_trip_s: float) -> Skew | None:
    """Our clock against the Date header (RFC 9110 section 6.6.1) of an answer; None when that is no date.

    The header was written at some time of the round trip, and names a moment that lasts one second.
    """
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date)
        theirs_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    ours_s = received_ns / NS_PER_SECOND - round_trip_s / 2
    return Skew(ours_s - (theirs_s + 0.5), round_trip_s / 2 + 0.5)


def punctuality(late_s: float, skew: Skew | None, moment: str = "its end") -> Finding:
    """What it means that something arrived so many seconds after its moment (negative: before it)."""
    ours = skew is not None and skew.matters
    verdict, advice = Verdict.THEM, _NEXT[Verdict.THEM]
    if ours:
        verdict, advice = Verdict.YOU, "Set the clock of this machine; see the clock check."
    facts: dict[str, Fact] = {"late_s": round(late_s, 3)}
    if late_s < -SKEW_S:
        return Finding(f"{-late_s:,.1f} s before {moment}", Status.WARN, verdict, advice, facts)
    if late_s > LATE_S:
        return Finding(f"{late_s:,.1f} s after {moment}: late", Status.WARN, verdict, advice, facts)
    return Finding(f"{max(0.0, late_s):.1f} s after {moment}", facts=facts)


# --- other measurements ----------------------------------------------------------------------------------------------


def latency(samples_ms: Sequence[float]) -> Finding:
    """What the times of some pings say; at least one."""
    from statistics import median

    least, middle = min(samples_ms), median(samples_ms)
    facts: dict[str, Fact] = {"pings": len(samples_ms), "min_ms": round(least, 1), "median_ms": round(middle, 1)}
    detail = f"{len(samples_ms)} pings: min {least:.1f} ms, median {middle:.1f} ms"
    if middle <= SLOW_PING_MS:
        return Finding(detail, facts=facts)
    advice = "A slow or crowded line: data arrives, but late. Try another network."
    return Finding(detail, Status.WARN, Verdict.NETWORK, advice, facts)


def expiry(expires_s: float, now_ns: int) -> Finding:
    """What it means that the provider's certificate ends at this moment, in seconds since 1970."""
    days = int((expires_s - now_ns / NS_PER_SECOND) // 86_400)
    facts: dict[str, Fact] = {"expires_in_days": days}
    if days >= EXPIRY_DAYS:
        return Finding(f"certificate good for {days} days", facts=facts)
    advice = "Ask the provider to renew it: when it has ended, nobody can connect."
    return Finding(f"certificate ends in {max(0, days)} days", Status.WARN, Verdict.THEM, advice, facts)
