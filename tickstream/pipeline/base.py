"""What a stage is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

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


@runtime_checkable
class TimedStage(Stage, Protocol):
    """A stage that has something to say by the clock as well, though nothing comes."""

    def due(self, now: Timestamp) -> list[Batch]:
        """What is due now, for the stages behind it. Asked often: the usual answer is nothing."""
        ...
