"""End a run after so many events (`--count`), or after one per symbol (`--once`): to the event, not to the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from tickstream.events import Batch, Event, MarketEvent
from tickstream.timestamps import Timestamp

_symbol: Callable[[MarketEvent], str] = attrgetter("symbol")


class LimitStage:
    """Cuts the batch in which the limit is reached. `done` says that it was.

    `once` are the names of what has to come, `name_of` says the one of an event: its symbol, unless that is not enough.
    """

    def __init__(
        self,
        count: int | None = None,
        once: frozenset[str] | None = None,
        name_of: Callable[[MarketEvent], str] = _symbol,
    ) -> None:
        self._name_of = name_of
        self._left = count
        self._missing = None if once is None else set(once)
        self.done = count == 0

    def process(self, batch: Batch) -> Batch:
        """Leave out what is beyond the limit; stream events pass."""
        if self._left is None and self._missing is None:
            return batch
        market = batch.market_events()
        if self._missing is None and self._left is not None and len(market) < self._left:
            self._left -= len(market)
            return batch
        one_payload_each = len(batch.payloads) == len(market)
        kept = [self._takes(event) for event in market]
        verdict = iter(kept)
        batch.events = [e for e in batch.events if not isinstance(e, MarketEvent) or next(verdict)]
        if one_payload_each:
            batch.payloads = [payload for payload, keep in zip(batch.payloads, kept, strict=True) if keep]
        elif not any(kept):
            batch.payloads = []
        return batch

    def refused(self, names: Iterable[str]) -> None:
        """These will never come: do not wait for them."""
        if self._missing is not None:
            self._missing.difference_update(names)
            self.done = self.done or not self._missing

    def finish(self, now: Timestamp) -> list[Event]:  # noqa: ARG002 - a stage is told the time
        """Nothing more to say."""
        return []

    def _takes(self, event: MarketEvent) -> bool:
        if self.done:
            return False
        if self._missing is not None:
            name = self._name_of(event)
            if name not in self._missing:
                return False
            self._missing.discard(name)
            self.done = not self._missing
        if self._left is not None:
            self._left -= 1
            self.done = self.done or self._left <= 0
        return True
