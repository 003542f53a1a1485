"""Runs on a fake clock: a source that plays a script, and a sink that keeps what it gets."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from tests.pipeline.events import at
from tickstream.cli.bounds import Bounds
from tickstream.cli.chores import Chore
from tickstream.cli.environment import Environment
from tickstream.cli.flow import Parts
from tickstream.cli.run import Run
from tickstream.cli.talk import Talk
from tickstream.clock import FakeClock
from tickstream.errors import ExitCode
from tickstream.events import Batch, Event, Gap, Summary
from tickstream.pipeline.base import Stage
from tickstream.pipeline.limits import LimitStage
from tickstream.sinks.base import Sink
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.timestamps import Timestamp

Item = Batch | float | Callable[[], None]
"""A batch, seconds in which nothing comes, or something that happens just then."""


class Script:
    """A source that plays what it was given, and then is done."""

    def __init__(
        self,
        clock: FakeClock,
        *items: Item,
        error: BaseException | None = None,
        discards: int = 0,
        endless: bool = False,
    ) -> None:
        self._clock = clock
        self._items = list(items)
        self._discards = discards
        self._endless = endless
        self.error = error
        self.dropped = 0
        self.paused = False
        self.stopped_at: float | None = None
        self.discarded = False

    def start(self) -> None:
        pass

    def get(self, seconds: float) -> Batch | None:
        while self._items:
            item = self._items.pop(0)
            if isinstance(item, Batch):
                return item
            if callable(item):
                item()
                continue
            self._clock.advance(min(item, seconds))
            if item > seconds:
                self._items.insert(0, item - seconds)
            return None
        self._clock.advance(seconds)
        return None

    def wake(self) -> None:
        pass

    def stop(self) -> None:
        if self.stopped_at is None:
            self.stopped_at = self._clock.monotonic()

    def discard(self) -> int:
        self.discarded = True
        return self._discards

    @property
    def done(self) -> bool:
        return not self._items and not (self._endless and self.stopped_at is None)


class Kept(Sink):
    """Keeps what it gets, or raises what it is told to after so many batches."""

    def __init__(self, fails_with: Exception | None = None, after: int = 0) -> None:
        self.events: list[Event] = []
        self.offered: list[Event] = []
        """Those too that it did not take."""
        self.batches = 0
        self.refreshed = 0
        self.closed = 0
        self.lost: int | None = None
        """What it says that it lost; None: it does not count."""
        self._fails_with = fails_with
        self._failed = False
        self._after = after

    def write(self, batch: Batch) -> None:
        self.offered += batch.events
        if self._fails_with is not None and self.batches >= self._after:
            self._failed = True
            raise self._fails_with
        self.batches += 1
        self.events += batch.events

    def flush(self) -> None:
        if self._failed and self._fails_with is not None:
            raise self._fails_with

    def close(self) -> None:
        self.closed += 1


class Outlet:
    """What is behind the sink: it blocks for as long as the test says."""

    blocked_s = 0.0

    def __init__(self) -> None:
        self.checks = 0

    def check(self) -> None:
        self.checks += 1


class Rig:
    """A run over a script; `play` executes it."""

    def __init__(self, *items: Item, bounds: Bounds | None = None, sink: Kept | None = None, **how: Any) -> None:
        self.clock = FakeClock(at(0))
        self.err = io.StringIO()
        self.sink = sink or Kept()
        self.outlet = Outlet()
        self.bounds = bounds or Bounds()
        self.status = RunStatus(
            "LIVE", (ProviderStatus("tickatlas", ("EURUSD",)),), [SessionStatus("tickatlas", 1, ("EURUSD",))]
        )
        self.limit = LimitStage(how.pop("count", None), how.pop("once", None))
        self.stages: Sequence[Stage] = (*how.pop("stages", ()), self.limit)
        self.chores: Sequence[Chore] = how.pop("chores", ())
        self.events_in_data: bool = how.pop("events", False)
        self.source = Script(self.clock, *items, **how)
        how_lost = (lambda: self.sink.lost) if self.sink.lost is not None else None
        talk = Talk(Environment(io.BytesIO(), io.BytesIO(), self.err, {}, self.clock))
        parts = Parts(
            stages=self.stages, limit=self.limit, sink=self.sink, outlet=self.outlet, talk=talk,
            events_in_data=self.events_in_data, events_said=not self.events_in_data, lost=how_lost,
        )  # fmt: skip
        self.run = Run(self.clock, self.source, parts, self.bounds, self.status, *self.chores)

    def play(self) -> ExitCode:
        """To its end. Raises what ended it."""
        return self.run.execute()

    def fails(self, kind: type[BaseException]) -> BaseException:
        """To its end, which is an error of this kind."""
        try:
            code = self.play()
        except kind as error:
            return error
        raise AssertionError(f"it ended with {code!r}")

    @property
    def said(self) -> list[str]:
        return self.err.getvalue().splitlines()

    @property
    def summary(self) -> Summary:
        """From the data (`events=True`)."""
        last = self.sink.events[-1]
        assert isinstance(last, Summary), last
        return last


class Owes:
    """A stage that has still a gap to tell at the end."""

    def __init__(self, missed: int | None) -> None:
        self._missed = missed

    def process(self, batch: Batch) -> Batch:
        return batch

    def finish(self, now: Timestamp) -> list[Event]:
        return [Gap("tickatlas", ("EURUSD",), "disconnect", at(1), now, 1, 1, self._missed)]
