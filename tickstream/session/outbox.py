"""Between a session and the bounded queue: holds what the queue has no room for, so that reading can go on a while.

Reading on is what lets a session answer pings while the reader of the output is slow: pings come in line with the
data. The reserve is bounded; beyond it the session stops reading, and TCP pushes back on the provider.
"""

from __future__ import annotations

from collections import deque

from tickstream.events import Batch
from tickstream.session.queue import BatchQueue

RESERVE_BYTES = 256 * 1024


class Outbox:
    """Batches in order, into the queue as it takes them."""

    def __init__(self, queue: BatchQueue, reserve: int = RESERVE_BYTES) -> None:
        self._queue = queue
        self._reserve = reserve
        self._held: deque[Batch] = deque()
        self._held_bytes = 0

    def put(self, batch: Batch) -> None:
        """Hand over a batch now, or hold it behind those that wait."""
        if self._held or not self._queue.offer(batch):
            self._held.append(batch)
            self._held_bytes += batch.size

    def flush(self) -> None:
        """Hand over as many of the held batches as fit."""
        while self._held and self._queue.offer(self._held[0]):
            self._held_bytes -= self._held.popleft().size

    def wait(self, seconds: float) -> None:
        """Wait for room, `seconds` at the most, and use it."""
        self._queue.wait_for_space(seconds)
        self.flush()

    @property
    def holding(self) -> bool:
        """True while the queue has no room."""
        return bool(self._held)

    @property
    def full(self) -> bool:
        """True when the reserve is used up too: do not read on."""
        return self._held_bytes > self._reserve
