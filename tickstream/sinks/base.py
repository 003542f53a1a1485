"""What an output is, and how one declares itself.

An output is one file in this folder: it defines a `Sink` and a module-level `SINK = SinkSpec(...)`, and is found by
`tickstream.sinks.names()`. Its module is imported to list it: what is heavy (rich, a database driver) is imported
inside functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import tzinfo

import msgspec

from tickstream.clock import Clock
from tickstream.events import Batch
from tickstream.sinks.encoders import TimeFormat
from tickstream.sinks.output import Output, ReaderGone
from tickstream.status import RunStatus
from tickstream.subscriptions import Channel

__all__ = ["Display", "ReaderGone", "Sink", "SinkRequest", "SinkSpec", "TimeFormat"]


DISPLAY_DEPTH = 10
"""Levels of a side, unless the user says otherwise."""


class Sink(ABC):
    """Where batches go. All calls come from one thread.

    Raises OutputError from any of these when it cannot go on, ReaderGone when the reader closed the pipe, Abandoned
    when a write was given up.
    """

    owns_terminal: bool = False
    """It draws on the terminal: nothing else must write there from `open` to `close`."""

    def open(self) -> None:  # noqa: B027 - a hook that not every output needs
        """Get ready; called once, before the first connection is made."""

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Take a batch. It has left the process, or is in the sink's own bounded buffer, when this returns."""

    def refresh(self) -> None:  # noqa: B027 - as above
        """Draw what has changed. The main loop calls it every `SinkSpec.refresh_s` seconds, with or without data."""

    def emergency(self) -> None:  # noqa: B027 - most have nothing to give back
        """The process ends at once: give the terminal back. Called in a signal handler; may only write to it."""

    def flush(self) -> None:  # noqa: B027 - as above
        """Push out what is buffered."""

    def close(self) -> None:  # noqa: B027 - as above
        """Flush and let go. Called on every way out; more than once does no harm."""


class Display(msgspec.Struct, frozen=True):
    """The terminal, for the outputs that draw. `env` is the environment (TERM, NO_COLOR, COLORTERM, LC_ALL...)."""

    isatty: bool = False
    env: Mapping[str, str] = {}
    size: Callable[[], tuple[int, int]] | None = None
    """Columns and lines now; None: ask the terminal behind the output."""
    tz: tzinfo | None = None
    """The zone of displayed times; None is the machine's."""
    depth: int = DISPLAY_DEPTH
    """Levels of a side that are shown of a book, where there is room for them."""


class SinkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that an output may need to know. Each takes what concerns it."""

    output: Output
    clock: Clock
    status: RunStatus | None = None
    """The run, for the outputs that draw it."""
    display: Display = Display()
    fields: tuple[str, ...] | None = None
    """`--fields`: which, in this order; None: all."""
    channels: tuple[Channel, ...] = (Channel.BARS,)
    """Each kind of data that comes, once."""
    time: TimeFormat = "iso"
    events: bool = False
    """`--events`: session, gap and notice events go into the data stream."""
    csv_raw: bool = False
    """`--csv-raw`: text cells exactly as they are, even where a spreadsheet would run them as a formula."""


class SinkSpec(msgspec.Struct, frozen=True):
    """What is declared about an output: help, completion and the tests read it."""

    name: str
    """As in `-o NAME`; also the name of the module."""
    summary: str
    """One line for the help."""
    make: Callable[[SinkRequest], Sink]
    """Raises UsageError for a request that it cannot serve."""
    refresh_s: float | None = None
    """How often it wants `refresh`, seconds; None: never."""
    carries_events: bool = False
    """Session, gap and notice events can go into it (`--events`)."""
    extra_fields: tuple[str, ...] = ()
    """Names that `--fields` knows here beside the schema's."""
