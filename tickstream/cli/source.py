"""Where a run's batches come from: sessions on the wire here, files elsewhere. A run knows no more than `Source`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tickstream.events import Batch
from tickstream.pipeline.base import Stage
from tickstream.session.queue import BatchQueue
from tickstream.session.supervisor import Supervisor
from tickstream.status import RunStatus
from tickstream.subscriptions import Channel

GOODBYE_S = 4.0
"""For the sessions to say goodbye: the closing handshake takes 3 s at most."""


class Source(Protocol):
    """Started once, asked for batches by one thread, stopped, and told in the end that nobody wants the rest."""

    def start(self) -> None:
        """Begin. Returns at once."""
        ...

    def get(self, seconds: float) -> Batch | None:
        """The next batch; None after `seconds` without one, when woken, or when `done`."""
        ...

    def wake(self) -> None:
        """Make a waiting `get` return. Safe in a signal handler of the thread that gets."""
        ...

    def stop(self) -> None:
        """Begin to end; what is under way can still be got. Returns at once; more than once does no harm."""
        ...

    def discard(self) -> int:
        """Nobody gets any more: end within seconds. Returns how many market events were under way and are lost."""
        ...

    @property
    def done(self) -> bool:
        """True when ended, and everything was got."""
        ...

    @property
    def error(self) -> BaseException | None:
        """Why it ended by itself; None when it was stopped, or came to its natural end."""
        ...

    @property
    def dropped(self) -> int:
        """Market events that it had and could not hand over, by the policy the user chose."""
        ...

    @property
    def paused(self) -> bool:
        """Data is withheld on purpose (a quota): silence is no fault."""
        ...


class Wires:
    """The sessions of a supervisor, through their queue."""

    def __init__(self, supervisor: Supervisor, queue: BatchQueue) -> None:
        self._supervisor = supervisor
        self._queue = queue
        self.start = supervisor.start
        self.get = queue.get
        self.wake = queue.wake
        self.stop = supervisor.stop

    def discard(self) -> int:
        self._supervisor.stop()
        discarded = self._queue.abandon()
        self._supervisor.join(GOODBYE_S)
        return discarded + self._queue.abandon()  # what the sessions still held, or came while they said goodbye

    @property
    def done(self) -> bool:
        return self._queue.done

    @property
    def error(self) -> BaseException | None:
        return self._supervisor.crash or self._supervisor.error

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    @property
    def paused(self) -> bool:
        return all(session.paused for session in self._supervisor.statuses)


@dataclass(frozen=True)
class Stream:
    """A source with what belongs to it, ready for an output."""

    source: Source
    stages: tuple[Stage, ...]
    status: RunStatus
    channels: tuple[Channel, ...]
    """Each kind of data that comes, once."""
    preface: tuple[str, ...] = ()
    """Lines for stderr before the run."""
