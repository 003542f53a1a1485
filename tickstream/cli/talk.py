"""What is said on stderr: one line per thing, in text or JSON (`Environment.say` takes out keys and control codes)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from tickstream.cli.environment import Environment
from tickstream.errors import ExitCode, OutputError, TickstreamError
from tickstream.events import Account, Event, Gap, MarketEvent, Notice, SessionEvent, Summary
from tickstream.pipeline.gaps import REFUSALS
from tickstream.timestamps import Timestamp, rfc3339

QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2
CALLS_FOR_ACTION = REFUSALS | {
    "clock_skew", "disk_full", "disk_writable", "file_vanished", "low_space", "manifest_vanished", "network_folder",
    "not_deleted", "not_finished", "sync_failed",
}  # fmt: skip
"""Notices of what does not mend itself: names that are wrong, a clock, a disk; and that the disk is well again."""


class Talk:
    """`level` is QUIET (-q), NORMAL, VERBOSE (-v) or DEBUG (-vv). `muted` while a table owns the terminal.

    `calm`: a run that nobody watches, and that keeps a record of all this, mails its stderr: of events it says the
    summary and what calls for action; of what mends itself, as lost connections and their gaps, only from VERBOSE on.
    """

    def __init__(self, env: Environment, level: int = NORMAL, log_format: str = "text", *, calm: bool = False) -> None:
        self._env = env
        self._level = level
        self._json = log_format == "json"
        self._calm = calm and level < VERBOSE
        self._encoder = msgspec.json.Encoder(enc_hook=_encode)
        self._drawn = False
        self.muted = False

    def line(self, message: str, level: int = NORMAL, severity: str = "info") -> None:
        """Say something that is no event."""
        if level > self._level or (self._calm and severity == "info"):
            return
        if self._json:
            self._record(severity, message)
        else:
            self._say(f"tickstream: {message}")

    def over(self, run: Callable[[], ExitCode]) -> ExitCode:
        """What the run returns. Where all is said as JSON, the error that ends it is too, however quiet it was to be;
        as text the command line's `main` says it."""
        try:
            return run()
        except TickstreamError as error:
            if not self._json:
                raise
            if isinstance(error, OutputError):
                self._env.abandon_stdout()
            self._record("error", error.message, hint=error.hint, exit_code=int(error.exit_code))
            return error.exit_code

    def event(self, event: Event) -> None:
        """Say what happened to the stream."""
        if isinstance(event, MarketEvent) or self._level < NORMAL or (self._calm and not _has_to_be_said(event)):
            return
        if self._json:
            self._say(self._encoder.encode(event).decode())
            return
        text = describe(event)
        if text and not (isinstance(event, SessionEvent) and event.state == "closed" and event.reason is None):
            self._say(f"tickstream: {text}")

    def progress(self, text: str) -> None:
        """Draw a line on the terminal that the next thing said replaces. Nothing, where there is none to draw on."""
        if self._env.stderr_isatty and self._level >= NORMAL and not self._json:
            self._drawn = self._env.draw(text)

    def log_to_stderr(self) -> None:
        """Send the library's own log here, from -v (info) and -vv (debug) on."""
        if self._level < VERBOSE:
            return
        handler = _Handler(self)
        logger = logging.getLogger("tickstream")
        logger.handlers[:] = [handler]
        logger.setLevel(logging.DEBUG if self._level >= DEBUG else logging.INFO)
        logger.propagate = False

    def _record(self, severity: str, message: str, **more: object) -> None:
        record = {"type": "log", "ts": self._env.clock.now_ns(), "level": severity, "message": message, **more}
        self._say(self._encoder.encode(record).decode())

    def _say(self, text: str) -> None:
        """One line, whatever a provider put into its messages."""
        if self._drawn:
            self._drawn = False
            self._env.draw("")
        if not self.muted:
            self._env.say(text.replace("\n", "\\n"))


class _Handler(logging.Handler):
    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self._talk = talk

    def emit(self, record: logging.LogRecord) -> None:
        self._talk.line(record.getMessage(), level=VERBOSE, severity=record.levelname.lower())


def _has_to_be_said(event: Event) -> bool:
    return isinstance(event, Summary) or (isinstance(event, Notice) and event.code in CALLS_FOR_ACTION)


def describe(event: Event) -> str:
    """One line of English; empty for market events."""
    match event:
        case SessionEvent():
            return _session(event)
        case Gap():
            return _gap(event)
        case Notice():
            return f"{event.code}: {event.message}"
        case Account():
            return _account(event)
        case Summary():
            return _summary(event)
    return ""


def _session(event: SessionEvent) -> str:
    who = event.provider if event.session == 1 else f"{event.provider} (session {event.session})"
    if event.state == "up":
        return f"{who}: live" if event.epoch <= 1 else f"{who}: live again (connection {event.epoch})"
    text = f"{who}: {'holding' if event.state == 'held' else event.state}"
    if event.reason:
        text += f": {event.reason.rstrip('.')}"
    return text + (f"; next attempt in {event.retry_in_s:.1f} s" if event.retry_in_s is not None else "")


def _gap(event: Gap) -> str:
    missed = "" if event.missed is None else f", {event.missed} missed"
    return (
        f"gap ({event.reason}): {', '.join(event.symbols)} from {rfc3339(event.start)} to {rfc3339(event.end)}{missed}"
    )


def _account(event: Account) -> str:
    left = "unlimited credits" if event.quota_remaining is None else f"{event.quota_remaining:,} credits left today"
    limits = f"up to {event.max_symbols} symbols, {event.credits_per_push} credits a push"
    return f"{event.provider}: plan {event.plan}, {limits}, {left}"


def _summary(event: Summary) -> str:
    parts = [
        f"{_counted(event.events, 'event')} in {event.duration_s:.1f} s",
        _counted(event.gaps, "gap") + (f" ({event.missed:,} missed)" if event.missed else ""),
        f"{event.dropped:,} dropped",
        _counted(event.quarantined, "bad message"),
        _counted(event.reconnects, "reconnect"),
    ]
    if event.refused:
        parts.append(f"refused: {', '.join(event.refused)}")
    if event.credits_used is not None:
        parts.append(f"{event.credits_used:,} credits used" + _left(event.credits_remaining))
    return "summary: " + ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _left(remaining: int | None) -> str:
    return "" if remaining is None else f", {remaining:,} left today"


def _encode(value: object) -> str:
    if isinstance(value, Timestamp):
        return rfc3339(value)
    raise TypeError(f"cannot encode {type(value).__name__}")
