"""A wire that plays a script on a fake clock: what comes after how many seconds, or the error it ends in."""

from __future__ import annotations

import json

from tickstream.clock import FakeClock
from tickstream.errors import ConnectionLost
from tickstream.session.frames import PONG, Close, Control, FrameBatch

Item = FrameBatch | BaseException


def batch(*messages: object, close: Close | None = None, controls: tuple[Control, ...] = ()) -> FrameBatch:
    """A batch of messages: text as it is, anything else as JSON."""
    payloads = [one.encode() if isinstance(one, str) else json.dumps(one).encode() for one in messages]
    return FrameBatch(payloads, [], list(controls), close)


class ScriptedWire:
    """`script`: pairs of seconds after the item before, and the item. `pong_s`: how long a ping is answered after."""

    def __init__(self, clock: FakeClock, *script: tuple[float, Item], pong_s: float | None = 0.1) -> None:
        self._clock = clock
        self._script = list(script)
        self._free_at = clock.monotonic()
        self._pong_s = pong_s
        self.sent: list[object] = []
        self.pongs: list[bytes] = []
        self.closed: list[tuple[int, str] | None] = []
        """Code and reason of each close; None for an abort."""

    @property
    def bytes_received(self) -> int:
        return 0

    def receive(self, timeout: float) -> FrameBatch | None:
        now = self._clock.monotonic()
        due = self._free_at + self._script[0][0] if self._script else float("inf")
        if due > now + timeout:
            self._clock.advance(timeout)
            return None
        self._clock.advance(max(0.0, due - now))
        self._free_at = max(due, now)
        item = self._script.pop(0)[1]
        if isinstance(item, BaseException):
            self._script.insert(0, (0.0, item))
            raise item
        if item.close is not None:
            self._script.insert(0, (0.0, ConnectionLost("over", close_code=item.close.code)))
        return item

    def send(self, payload: bytes) -> None:
        self.sent.append(json.loads(payload))

    def ping(self, payload: bytes) -> None:
        if self._pong_s is not None:
            self._free_at = self._clock.monotonic()
            pong = FrameBatch([], [], [Control(PONG, payload)])
            self._script.insert(0, (self._pong_s, pong))

    def pong(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def close(self, code: int = 1000, reason: str = "", timeout: float = 3.0) -> list[bytes]:
        self.closed.append((code, reason))
        return []

    def abort(self) -> None:
        self.closed.append(None)

    def wake(self) -> None:
        raise AssertionError("one thread only")
