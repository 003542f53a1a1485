"""What an output is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tickstream.events import Batch


class Sink(ABC):
    """Where batches go. All calls come from one thread.

    Raises OutputError from any of these when it cannot go on, ReaderGone when the reader closed the pipe.
    """

    def open(self) -> None:
        """Get ready; called once, before the first connection is made."""

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Take a batch. It has left the process, or is in the sink's own bounded buffer, when this returns."""

    def flush(self) -> None:
        """Push out what is buffered."""

    def close(self) -> None:
        """Flush and let go. Called on every way out."""


class ReaderGone(Exception):  # noqa: N818 - not an error: `| head` is finished and so are we
    """The reader of our output closed its end."""
