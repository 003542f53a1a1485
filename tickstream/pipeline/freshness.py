"""When data of each symbol was last received, for those who want to know (`--metrics-file`)."""

from __future__ import annotations

from operator import attrgetter

from tickstream.events import Batch, Event, MarketEvent
from tickstream.timestamps import Timestamp

_symbol = attrgetter("symbol")


class FreshnessStage:
    """`last_data`: symbol -> `ts_recv` of its latest data. Changes nothing."""

    def __init__(self) -> None:
        self.last_data: dict[str, Timestamp] = {}

    def process(self, batch: Batch) -> Batch:
        """Note the symbols of this batch."""
        market = (event for event in batch.events if isinstance(event, MarketEvent))
        self.last_data.update(dict.fromkeys(map(_symbol, market), batch.ts_recv))
        return batch

    def finish(self, now: Timestamp) -> list[Event]:  # noqa: ARG002 - a stage is told the time
        """Nothing more to say."""
        return []
