"""Bytes on their way to one client, and which pushes are among them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tickstream.session.frames import TEXT, encode_frame
from tickstream.simulator.outgoing import Delivery, Flood, Message, Outgoing, Push, Raw

FULL = 256 * 1024
"""Bytes after which no more is taken in until some have left: what one send may carry."""


class Outbox:
    """A queue of bytes. `sent`, where given, is told of each push once the system has taken all its bytes."""

    def __init__(self, sent: Callable[[list[Push]], None] | None = None) -> None:
        self._items: deque[Raw | Delivery | Flood] = deque()
        self._data = memoryview(b"")
        self._ends: deque[tuple[int, Push]] = deque()
        """Where in `_data` each push ends, as far as somebody wants to know."""
        self._taken = 0
        self._sent = sent
        self.size = 0
        """Bytes that wait, an endless item counted as one full box."""

    @property
    def full(self) -> bool:
        """True when nothing more should be put in for now."""
        return self.size >= FULL

    @property
    def choked(self) -> bool:
        """True when so much waits that the client should not be listened to: its pings would fill our memory."""
        return self.size >= 4 * FULL

    def put(self, item: Outgoing) -> None:
        """Append an item."""
        ready = Raw(encode_frame(TEXT, item.payload)) if isinstance(item, Message) else item
        self._items.append(ready)
        self.size += FULL if isinstance(ready, Flood) else len(ready.data)

    def head(self) -> memoryview:
        """The bytes to send next, many items together; empty when there is nothing."""
        if self._taken == len(self._data) and self._items:
            self._data, self._taken = memoryview(self._gather()), 0
        return self._data[self._taken :]

    def advance(self, count: int) -> None:
        """The system has taken so many bytes of the head."""
        self._taken += count
        self.size -= count
        if self._ends and self._ends[0][0] <= self._taken and self._sent is not None:
            done = []
            while self._ends and self._ends[0][0] <= self._taken:
                done.append(self._ends.popleft()[1])
            self._sent(done)

    def discard(self) -> None:
        """Forget what waits, but for what may be half sent."""
        self._items.clear()
        self.size = len(self._data) - self._taken

    def _gather(self) -> bytes:
        """Whole items, a boxful at the most; of an endless one, its next chunk."""
        parts: list[bytes] = []
        length = 0
        while self._items and length < FULL:
            item = self._items[0]
            if isinstance(item, Flood):
                data = next(item.chunks)
                self.size += len(data)
            else:
                self._items.popleft()
                data = item.data
            if isinstance(item, Delivery) and self._sent is not None:
                self._ends.extend(zip((length + end for end in item.ends()), item.pushes, strict=True))
            parts.append(data)
            length += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)
