"""Books of a run: what the command line says of them, and the way from a wrong one to the session that can mend it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tickstream.errors import UsageError
from tickstream.events import Batch, Event
from tickstream.pipeline.book import BookStage
from tickstream.providers.base import ProviderSpec
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp


@dataclass(frozen=True)
class BookOptions:
    """What the command line says about books."""

    depth: int | None = None
    """Levels of a side."""
    every_s: float | None = None
    """Snapshots at this interval instead of updates."""
    raw: bool = False
    """The output takes the provider's messages as they are."""

    def check(self, *channels: Channel) -> None:
        """Raises UsageError for options that make no sense where none of the channels has books."""
        if Channel.BOOK in channels:
            return
        given = {"--depth": self.depth, "--book-every": self.every_s}
        for option, value in given.items():
            if value is not None:
                raise UsageError(
                    f"{option} is about order books.", hint="Add --channel book, where the provider has it."
                )

    def settings(self, spec: ProviderSpec, given: Mapping[str, str]) -> dict[str, str]:
        """The provider's settings with the least depth that has so many levels, where it is asked for a depth.

        Raises UsageError when it has none.
        """
        depths = sorted(int(text) for text in spec.settings.get("depth", ()) if text.isdecimal())
        if self.depth is None or not depths:
            return dict(given)
        enough = [depth for depth in depths if depth >= self.depth]
        if not enough:
            raise UsageError(f"--depth {self.depth}: {spec.title} gives {depths[-1]} levels at the most.")
        return {**given, "depth": str(enough[0])}

    def stage(self, *, recorded: bool = False) -> BookStage:
        """The stage that does it. `recorded`: see BookStage."""
        every_ns = None if self.every_s is None else max(1, round(self.every_s * NS_PER_SECOND))
        return BookStage(every_ns=every_ns, depth=self.depth, recorded=recorded, raw=self.raw)


class BookKeeper:
    """A stage of books whose requests are passed on as they arise: `ask(session, epoch, symbol)` returns at once."""

    def __init__(self, stage: BookStage, ask: Callable[[int, int, str], None]) -> None:
        self._stage = stage
        self._ask = ask
        self.finish: Callable[[Timestamp], list[Event]] = stage.finish
        self.due: Callable[[Timestamp], list[Batch]] = stage.due

    def process(self, batch: Batch) -> Batch:
        """See BookStage."""
        batch = self._stage.process(batch)
        for request in self._stage.take_requests():
            self._ask(*request)
        return batch
