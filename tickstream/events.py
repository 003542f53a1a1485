"""The schema: what happened in the market, and what happened to the stream.

Every event is an immutable struct; its fields are in the order in which they are written. Unknown is None inside and
absent outside, never 0. Prices and sizes are `Number`s (the provider's digits), times are `Timestamp`s (UTC, ns).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, get_args, overload

import msgspec

from tickstream.numbers import Number
from tickstream.timestamps import Timestamp

Side = Literal["buy", "sell"]
"""The taker's side of a trade; an order's own."""

Level = tuple[Number, Number]
"""A price and the whole size that waits there, as the provider wrote them."""

OrderAction = Literal["received", "open", "match", "change", "done"]

SessionState = Literal["connecting", "up", "down", "held", "closed"]
GapReason = Literal["disconnect", "sequence", "quota", "dropped", "conflated", "suspend", "torn", "restart", "book"]
"""`book`: the order book contradicted itself (crossed, a wrong checksum), so updates were missed."""


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """Base of all events. `type` in the output is the tag of the class."""


class MarketEvent(Event, frozen=True, gc=False, omit_defaults=True, tag_field="type"):
    """Something that happened in a market. These four come first in every one of them, and `canonical` last.

    `symbol` is the provider's own, exactly; `ts_event` the provider's time (for a bar: its open), `ts_recv` ours, when
    the bytes were read. `canonical` is the symbol's canonical name (see canonical.py) where the user named it by
    another spelling, as EURUSD for FCS' FX:EURUSD; else it was not asked for.
    """

    provider: str
    symbol: str
    ts_event: Timestamp | None
    ts_recv: Timestamp


class Bar(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="bar"):
    """A candle over [ts_event, ts_event + interval). `spread` = ask - bid, exact."""

    interval: str
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number | None = None
    bid: Number | None = None
    ask: Number | None = None
    spread: Number | None = None
    closed: bool | None = None
    canonical: str | None = None


class Quote(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="quote"):
    """Top of the book."""

    bid: Number | None = None
    bid_size: Number | None = None
    ask: Number | None = None
    ask_size: Number | None = None
    spread: Number | None = None
    last: Number | None = None
    sequence: int | None = None
    canonical: str | None = None


class Trade(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="trade"):
    """One execution; `side` is the taker's."""

    price: Number
    size: Number | None = None
    side: Side | None = None
    trade_id: str | None = None
    sequence: int | None = None
    canonical: str | None = None


class BookSnapshot(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="book_snapshot"):
    """The book as it is: it replaces what was known before. Both sides best price first; an empty side is empty."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    sequence: int | None = None
    canonical: str | None = None


class BookUpdate(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="book_update"):
    """Levels that changed: their sizes are the new ones, not differences, and a size of 0 removes the level.

    The levels of a side are applied in their order. Where a provider keeps only so many levels, the update that pushes
    one out removes it, so that snapshot and updates alone make the book.
    """

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    sequence: int | None = None
    canonical: str | None = None


class OrderUpdate(MarketEvent, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="order"):
    """One order's life. `side` is the order's own; `size` what the action is about, `remaining` what is left open.

    `reason` is the provider's word for why it changed or ended, `trade_id` names the execution of a `match`.
    """

    action: OrderAction
    order_id: str
    side: Side | None = None
    price: Number | None = None
    size: Number | None = None
    remaining: Number | None = None
    reason: str | None = None
    trade_id: str | None = None
    sequence: int | None = None
    canonical: str | None = None


class SessionEvent(Event, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="session"):
    """A session changed its state. `epoch` counts its connections from 1; `retry_in_s` is the wait before the next."""

    provider: str
    session: int
    epoch: int
    ts_recv: Timestamp
    state: SessionState
    reason: str | None = None
    retry_in_s: float | None = None


class Account(Event, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="account"):
    """What the provider said about the plan after authentication. `quota_remaining` None means unlimited."""

    provider: str
    ts_recv: Timestamp
    plan: str | None = None
    max_symbols: int | None = None
    credits_per_push: int | None = None
    quota_remaining: int | None = None


class Gap(
    Event, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="gap", rename={"start": "from", "end": "to"}
):
    """Between `start` and `end` (our receive times) data may be missing. `missed` counts it where that is known.

    `start` is the last data received before, `end` the first after, or the end of the run. `epoch` is the connection
    before.
    """

    provider: str
    symbols: tuple[str, ...]
    reason: GapReason
    start: Timestamp
    end: Timestamp
    session: int | None = None
    epoch: int | None = None
    missed: int | None = None


class Notice(Event, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag="notice"):
    """Something the user should know: a provider's error code, a refused symbol, a bad message, a skewed clock."""

    provider: str
    ts_recv: Timestamp
    code: str
    message: str
    symbols: tuple[str, ...] = ()


class Summary(Event, frozen=True, gc=False, omit_defaults=False, tag_field="type", tag="summary"):
    """The account of a run, written at its end. Counters are totals over all sessions.

    `events` came from the provider; of these `written` reached the output, `dropped` did not. Of several providers
    `provider` is their names joined by commas, and `refused` has each symbol as `provider:SYMBOL`.
    """

    provider: str
    ts_recv: Timestamp
    duration_s: float
    exit_code: int
    events: int
    written: int
    dropped: int
    quarantined: int
    unknown: int
    unrequested: int
    gaps: int
    missed: int | None
    reconnects: int
    symbols: int
    refused: tuple[str, ...]
    bytes: int
    credits_used: int | None
    credits_remaining: int | None


MarketData = Bar | Quote | Trade | BookSnapshot | BookUpdate | OrderUpdate
StreamNews = SessionEvent | Account | Gap | Notice | Summary
AnyEvent = MarketData | StreamNews

EVENT_TYPES: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEvent)}
"""Name in the output -> class: the one table of what exists."""
MARKET_TYPES: frozenset[type[Event]] = frozenset(get_args(MarketData))
"""What a row of CSV, and `--fields`, is about. The others are stream events and keep their own form."""


def wire_fields(kind: type[Event]) -> tuple[str, ...]:
    """The names of an event's fields as written, in order, `type` first."""
    return ("type", *kind.__struct_encode_fields__)


class Quarantined(msgspec.Struct, frozen=True):
    """A message that could not be used: its first 4 KiB, without our key in it, and why."""

    payload: bytes
    reason: str


class Seen(Protocol):
    """As much as is read of a message: a symbol, and the text of a time."""

    symbol: str
    time: str


class Joined(tuple[bytes, ...]):
    """A provider's messages of which the text, joined by newlines, is there already: nobody makes it twice."""

    text: bytes
    lines: bool
    """They are known to have no line breaks of their own."""

    @classmethod
    def of(cls, messages: Sequence[bytes], text: bytes, *, lines: bool) -> Joined:
        """`text` must be these messages joined by newlines."""
        made = cls(messages)
        made.text, made.lines = text, lines
        return made


def joined(messages: Sequence[bytes]) -> bytes:
    """The messages, a newline between each two."""
    return messages.text if isinstance(messages, Joined) else b"\n".join(messages)


class Glimpses(Sequence[MarketEvent]):
    """Market events of which nobody wants more than symbol and time: plain MarketEvents, made when they are looked at.

    `-o raw` passes messages on as they are. Making an event of each would cost more than all the rest of their way.
    `times` has the moment of each time's text.
    """

    def __init__(self, provider: str, seen: Sequence[Seen], times: Mapping[str, Timestamp], ts_recv: Timestamp) -> None:
        self._provider, self._ts_recv = provider, ts_recv
        self._seen, self._times = seen, times
        self._made: list[MarketEvent] | None = None

    def __len__(self) -> int:
        return len(self._seen)

    @overload
    def __getitem__(self, index: int) -> MarketEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[MarketEvent]: ...
    def __getitem__(self, index: int | slice) -> MarketEvent | list[MarketEvent]:
        if self._made is None and isinstance(index, int):
            return self._event(self._seen[index])
        return self._all()[index]

    def __iter__(self) -> Iterator[MarketEvent]:
        return iter(self._all())

    def _all(self) -> list[MarketEvent]:
        """Made once: who looks at an event twice finds the same one."""
        if self._made is None:
            self._made = [self._event(one) for one in self._seen]
        return self._made

    def _event(self, seen: Seen) -> MarketEvent:
        return MarketEvent(self._provider, seen.symbol, self._times[seen.time], self._ts_recv)


def only_market(events: Sequence[Event]) -> bool:
    """True when these are market events all."""
    return isinstance(events, Glimpses) or MARKET_TYPES.issuperset(map(type, events))


class Batch(msgspec.Struct, gc=False, eq=False):
    """What one socket read brought: the unit that travels from a session to the outputs.

    `events` are in the order received; `market_only` says that they are nothing but market events, so that nobody
    needs to look at each: whoever adds others takes that back. `payloads` are the provider's own messages that carried
    the market events (for `-o raw`). `size` is the bytes received, for the bounds of the queue.
    """

    session: int
    epoch: int
    ts_recv: Timestamp
    events: Sequence[Event]
    payloads: Sequence[bytes] = ()
    size: int = 0
    quarantined: list[Quarantined] = msgspec.field(default_factory=list)
    market_only: bool = False

    def market_events(self) -> Sequence[MarketEvent]:
        """The market events among the events."""
        if self.market_only:
            return self.events  # type: ignore[return-value]  # that is what it says
        return [event for event in self.events if isinstance(event, MarketEvent)]
