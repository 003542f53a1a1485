"""What other threads have for a connection: rounds of pushes, and orders to end. Wakes a thread out of its select."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque

from tickstream.simulator.outgoing import Ending, Round


class Mailbox:
    """A queue that a selector can wait for: `ear` is readable while there is something to look at.

    `post`, `end`, `end_after_backlog` are for other threads, the rest is for the connection's own.
    """

    def __init__(self) -> None:
        self._queue: deque[Round | Ending] = deque()
        self._lock = threading.Lock()
        self._bell, self.ear = socket.socketpair()
        self._bell.setblocking(False)
        self.ear.setblocking(False)
        self._rung = False
        self.backlog = 0
        """Pushes that wait here."""
        self.order: Ending | None = None
        """End now; what waits is not sent."""

    def post(self, due: Round) -> int:
        """Hand over a round; returns how many pushes wait now."""
        with self._lock:
            self._queue.append(due)
            self.backlog += len(due.pushes)
            waiting = self.backlog
            self._ring()
        return waiting

    def end(self, ending: Ending) -> None:
        """Order to end at once. The first order counts."""
        with self._lock:
            self.order = self.order or ending
            self._ring()

    def end_after_backlog(self, ending: Ending) -> None:
        """Order to end when all that was posted has been sent."""
        with self._lock:
            self._queue.append(ending)
            self._ring()

    def take(self) -> Round | Ending | None:
        """The next thing; None when there is nothing."""
        with self._lock:
            if not self._queue:
                return None
            item = self._queue.popleft()
            if isinstance(item, Round):
                self.backlog -= len(item.pushes)
            return item

    @property
    def empty(self) -> bool:
        """True when there is nothing to take."""
        return not self._queue

    def hush(self) -> None:
        """The connection's thread is awake: make the ear silent until there is news."""
        with self._lock:
            self._rung = False
            with contextlib.suppress(BlockingIOError):
                self.ear.recv(64)

    def close(self) -> None:
        """Let go of the sockets."""
        with self._lock:
            self._rung = True
            self._bell.close()
            self.ear.close()

    def _ring(self) -> None:
        if not self._rung:
            self._rung = True
            self._bell.send(b"\0")
