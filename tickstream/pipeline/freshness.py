"""When data of each symbol was last received, for those who want to know (`--metrics-file`)."""

from __future__ import annotations

from operator import attrgetter

from tickstream.events import Batch, Event, MarketEvent
from tickstream.timestamps import Timestamp

_symbol = attrgetter("symbol")
_series = attrgetter("provider", "symbol")


class FreshnessStage:
    """`last_data`: (provider, symbol) -> `ts_recv` of its latest data. Changes nothing.

    `provider`: whose data all of it is, so that no event is asked; None: that of several.
    """

    def __init__(self, provider: str | None = None) -> None:
        self.last_data: dict[tuple[str, str], Timestamp] = {}
        self._provider = provider

    def process(self, batch: Batch) -> Batch:
        """Note the symbols of this batch."""
        market = (event for event in batch.events if isinstance(event, MarketEvent))
        if self._provider is None:
            self.last_data.update(dict.fromkeys(map(_series, market), batch.ts_recv))
        else:
            for symbol in set(map(_symbol, market)):
                self.last_data[self._provider, symbol] = batch.ts_recv
        return batch

    def finish(self, now: Timestamp) -> list[Event]:  # noqa: ARG002 - a stage is told the time
        """Nothing more to say."""
        return []
