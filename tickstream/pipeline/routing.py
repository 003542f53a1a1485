"""Several providers in one run: what a stage knows of a provider, it does to the batches of that provider's sessions.

Pure. A batch comes from one session, so it is routed as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from tickstream.events import Batch, Event
from tickstream.pipeline.base import Stage
from tickstream.timestamps import Timestamp


class RoutingStage:
    """`stages`: session -> its stage, which sessions may share. Batches of other sessions pass."""

    def __init__(self, stages: Mapping[int, Stage]) -> None:
        self._stages = dict(stages)

    def process(self, batch: Batch) -> Batch:
        """Through the stage of its session."""
        stage = self._stages.get(batch.session)
        return batch if stage is None else stage.process(batch)

    def finish(self, now: Timestamp) -> list[Event]:
        """What each stage has still to say."""
        stages = {id(stage): stage for stage in self._stages.values()}
        return [event for stage in stages.values() for event in stage.finish(now)]
