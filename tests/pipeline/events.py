"""What the tests of the pipeline share: batches made of short words, on a clock of minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tickstream.events import MARKET_TYPES, Bar, Batch, Event, Gap, Notice, Quote, SessionEvent, SessionState
from tickstream.numbers import number
from tickstream.timestamps import NS_PER_SECOND, Timestamp, parse_rfc3339

MINUTE = 60 * NS_PER_SECOND
START = parse_rfc3339("2026-06-24T14:00:00Z")
"""A Wednesday."""
_ONE = number("1.08430")


def at(minutes: float) -> Timestamp:
    """So many minutes after START."""
    return Timestamp(START + round(minutes * MINUTE))


def bar(symbol: str, minutes: float | None) -> Bar:
    """The candle that opened so many minutes after START."""
    opened: Any = None if minutes is None else at(minutes)
    return Bar("tickatlas", symbol, opened, START, "1m", _ONE, _ONE, _ONE, _ONE)


def quote(symbol: str, minutes: float) -> Quote:
    return Quote("tickatlas", symbol, at(minutes), START)


def batch(minutes: float, *events: Event, session: int = 1, epoch: int = 1, payloads: Sequence[bytes] = ()) -> Batch:
    """What was received so many minutes after START."""
    pure = MARKET_TYPES.issuperset(map(type, events))  # as a connection says it
    return Batch(session, epoch, at(minutes), list(events), list(payloads), market_only=pure)


def session(state: SessionState, minutes: float, *, number: int = 1, epoch: int = 1) -> SessionEvent:
    return SessionEvent("tickatlas", number, epoch, at(minutes), state)


def notice(code: str, minutes: float, *symbols: str) -> Notice:
    return Notice("tickatlas", at(minutes), code, code, symbols)


def gaps_in(events: list[Event]) -> list[Gap]:
    return [event for event in events if isinstance(event, Gap)]
