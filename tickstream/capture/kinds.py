"""Which types of market events a table has columns for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tickstream.events import EVENT_TYPES, Event, MarketEvent
from tickstream.sinks.levels import ROW_OF


class OtherKind(Exception):
    """Events of a type that a table has no columns for. `kinds`: all that it needs columns for by now."""

    def __init__(self, kind: type[Event], kinds: tuple[type[Event], ...]) -> None:
        super().__init__(kind.__name__)
        self.kind = kind
        self.kinds = kinds


def row_kind(kind: type[Event]) -> type[Event]:
    """What is a row of events of this type."""
    return ROW_OF.get(kind, kind)


def market_kinds(kinds: Iterable[type[Event]]) -> tuple[type[Event], ...]:
    """Those among them that have columns, in the order of the schema."""
    there = set(kinds)
    return tuple(kind for kind in EVENT_TYPES.values() if kind in there and issubclass(kind, MarketEvent))


def check_kinds(events: Iterable[Event], kinds: tuple[type[Event], ...]) -> None:
    """Raises OtherKind when a market event is of none of these types."""
    there = set(map(type, events))
    if others := market_kinds(there.difference(kinds)):
        raise OtherKind(others[0], market_kinds({*kinds, *others}))
