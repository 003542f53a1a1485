"""`--fields` and the default columns: the names of the schema, in the schema's order."""

from __future__ import annotations

from collections.abc import Iterable

from tickstream.errors import UsageError
from tickstream.events import EVENT_TYPES, MARKET_TYPES, Bar, Event, OrderUpdate, Quote, Trade, wire_fields
from tickstream.sinks.levels import ROW_OF, SnapshotLevel
from tickstream.subscriptions import Channel
from tickstream.suggestions import did_you_mean, shown

_OF_CHANNEL: dict[Channel, tuple[type[Event], ...]] = {
    Channel.BARS: (Bar,),
    Channel.QUOTES: (Quote,),
    Channel.TRADES: (Trade,),
    Channel.BOOK: (SnapshotLevel,),
    Channel.ORDERS: (OrderUpdate,),
}


def default_columns(*channels: Channel) -> tuple[str, ...]:
    """The columns of a CSV file of these channels: the fields of their events as in JSON, in the same order.

    Those of the book are of one level: `side`, `level`, `price`, `size`.
    """
    return union(kind for channel in channels for kind in _OF_CHANNEL[channel])


def csv_fields() -> tuple[str, ...]:
    """Every name that `--fields` knows in CSV: as `valid_fields`, but of the book those of its rows."""
    return union(ROW_OF.get(kind, kind) for kind in market_types())


def valid_fields() -> tuple[str, ...]:
    """Every name that `--fields` knows: the fields of all market events, in the order of the schema."""
    return union(market_types())


def market_types() -> tuple[type[Event], ...]:
    """The market events, in the order of the schema."""
    return tuple(kind for kind in EVENT_TYPES.values() if kind in MARKET_TYPES)


def union(kinds: Iterable[type[Event]]) -> tuple[str, ...]:
    """The fields of these events, each once, where it comes first."""
    return tuple(dict.fromkeys(name for kind in kinds for name in wire_fields(kind)))


def check_fields(
    fields: Iterable[str], extra: tuple[str, ...] = (), known: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """The fields, when each is known (to the schema or `known`, or in `extra`) and named once. Raises UsageError."""
    names = tuple(fields)
    valid = (valid_fields() if known is None else known) + extra
    if not names:
        raise UsageError("--fields names no field", hint=f"Fields: {', '.join(valid)}.")
    for position, name in enumerate(names):
        if name not in valid:
            raise UsageError(
                f"--fields: there is no field {shown(name)} here",
                hint=f"{did_you_mean(name, valid)} Fields: {', '.join(valid)}.".strip(),
            )
        if name in names[:position]:
            raise UsageError(f"--fields names {name} twice", hint="Name each field once.")
    return names
