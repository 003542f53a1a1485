"""The way of a batch in the main thread: through the stages, into the talk, the books and the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tickstream.cli.ledger import Ledger
from tickstream.cli.talk import Talk
from tickstream.clock import Clock
from tickstream.events import Batch, Event, MarketEvent, Notice, Quarantined
from tickstream.pipeline.base import Stage, TimedStage
from tickstream.pipeline.gaps import REFUSALS
from tickstream.pipeline.limits import LimitStage
from tickstream.sinks.base import Sink
from tickstream.sinks.output import Abandoned


class Outlet(Protocol):
    """What is behind a sink: standard output, or files."""

    @property
    def blocked_s(self) -> float:
        """For how long it has kept the present write waiting, seconds."""
        ...

    def check(self) -> None:
        """Raises what a write would raise, now that there is nothing to write. Never waits."""
        ...


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow is put together from."""

    stages: Sequence[Stage]
    """In their order; `limit` among them."""
    limit: LimitStage
    sink: Sink
    outlet: Outlet
    talk: Talk
    events_in_data: bool = False
    """Stream events go to the sink too, the summary among them."""
    events_said: bool = True
    """Stream events go to stderr."""
    patience_s: Callable[[], float] | None = None
    """How soon the outlet wants to be looked at when nothing comes; None: it has time."""
    slow: str = "the reader of the output is slow; reading from the provider goes on while there is room"
    """What to say when a write waits for long."""
    lost: Callable[[], int] | None = None
    """How many market events the sink was given and could not write, if it counts them itself, as one that buffers.
    Such a sink is given the summary too after it has failed."""
    on_quarantined: Callable[[list[Quarantined]], None] | None = None


class Flow:
    """Takes batches one by one. `last_data` is when the last market event was written, monotonic seconds."""

    def __init__(self, clock: Clock, parts: Parts, ledger: Ledger) -> None:
        self._clock = clock
        self._stages = parts.stages
        self._timed = [(place, one) for place, one in enumerate(parts.stages) if isinstance(one, TimedStage)]
        self._limit = parts.limit
        self._sink = parts.sink
        self._talk = parts.talk
        self._events_said = parts.events_said
        self._counts_losses = parts.lost is not None
        self._on_quarantined = parts.on_quarantined
        self._ledger = ledger
        self.last_data = clock.monotonic()

    @property
    def full(self) -> bool:
        """True when the user's limit of events is reached."""
        return self._limit.done

    def take(self, batch: Batch) -> None:
        """One batch all the way. Raises what the sink raises."""
        if batch.quarantined and self._on_quarantined is not None:
            self._on_quarantined(batch.quarantined)
        if self._pass(batch, self._stages):
            # After the write: while a slow reader keeps us waiting, the silence is not the feed's.
            self.last_data = self._clock.monotonic()

    def look_at_the_time(self) -> None:
        """What a stage has to say by the clock goes the rest of the way. Asked after every batch, and without one."""
        for place, stage in self._timed:
            for batch in stage.due(self._clock.now_ns()):
                self._pass(batch, self._stages[place + 1 :])

    def finish(self) -> None:
        """What the stages have still to say. Raises what the sink raises."""
        if not self.full:
            now = self._clock.now_ns()
            last = [event for stage in self._stages for event in stage.finish(now)]
            self._pass(Batch(0, 0, now, last), [self._limit])

    def _pass(self, batch: Batch, stages: Sequence[Stage]) -> int:
        """Through these stages and into the output; how many market events came out."""
        for stage in stages:
            batch = stage.process(batch)
        market = self._hear(batch)
        if batch.events:
            self._write(batch, market)
        return market

    def _hear(self, batch: Batch) -> int:
        """Say the stream events, and count the market events."""
        talk = [] if batch.market_only else [event for event in batch.events if not isinstance(event, MarketEvent)]
        market = len(batch.events) - len(talk)
        self._ledger.receive(market)
        for event in talk:
            self._note(event)
        return market

    def _note(self, event: Event) -> None:
        self._ledger.hear(event)
        if isinstance(event, Notice) and event.code in REFUSALS:
            self._limit.refused(self._ledger.names_of(event))
        if self._events_said:
            self._talk.event(event)

    def _write(self, batch: Batch, market: int) -> None:
        if self._counts_losses:
            self._ledger.written += market
            self._sink.write(batch)
            return
        left = market
        try:
            self._sink.write(batch)
            left = 0
        except Abandoned as given_up:
            left = min(given_up.left, market)
            self._ledger.unwritten += left
            raise
        finally:
            self._ledger.written += market - left
