"""What a stage is."""

from __future__ import annotations

from typing import Protocol

from tickstream.events import Batch, Event
from tickstream.timestamps import Timestamp


class Stage(Protocol):
    """One step of the pipeline. All calls come from one thread."""

    def process(self, batch: Batch) -> Batch:
        """Take a batch and give one back, with events added, changed or left out; order is kept."""
        ...

    def finish(self, now: Timestamp) -> list[Event]:
        """The run ends: what is still to be said."""
        ...
