"""Between the thread that receives and the thread that writes: bounded in bytes, and nearly free to put into."""

from __future__ import annotations

import threading
from typing import NamedTuple

from tickstream.capture.manifest import Tally
from tickstream.capture.part_file import Unit
from tickstream.capture.template import FileKey

LINGER_S = 0.05
"""How long a small batch waits for others to be written with it, where one has come so shortly before."""
GROUP_BYTES = 1 << 20
"""With so much to write, nothing waits."""


class Work(NamedTuple):
    """What has gathered: units for each file, in order, and lines for the manifest."""

    units: dict[FileKey, list[Unit]]
    notes: list[bytes]
    size: int


class Buffer:
    """`limit` bytes; more only while one unit is larger than that. Any thread may put, one takes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._units: dict[FileKey, list[Unit]] = {}
        self._notes: list[bytes] = []
        self._gathered = 0
        self._held = 0
        self._stopped = False
        self._nudged = False

    @property
    def held(self) -> int:
        """Bytes that have been put and are not written."""
        return self._held

    @property
    def stopped(self) -> bool:
        """Nothing more will be put."""
        return self._stopped

    def put(self, key: FileKey, data: bytes, tally: Tally, slice_s: float) -> bool:
        """Add whole lines for a file; False when there was no room for `slice_s` seconds, and nothing was added."""
        size = len(data)
        with self._changed:
            if self._held and self._held + size > self._limit:
                self._changed.wait_for(lambda: not self._held or self._held + size <= self._limit, slice_s)
                if self._held and self._held + size > self._limit:
                    return False
            units = self._units.get(key)
            if units is None:
                self._units[key] = [Unit(data, tally)]
            else:
                units.append(Unit(data, tally))
            before = self._gathered
            self._gathered += size
            self._held += size
            if not before or before < GROUP_BYTES <= self._gathered:
                self._changed.notify_all()
            return True

    def note(self, line: bytes) -> None:
        """Add a line for the manifest. These are few and small, and always find room."""
        with self._changed:
            self._notes.append(line)
            self._nudged = True
            self._changed.notify_all()

    def nudge(self) -> None:
        """Have `take` return now."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Have `take` return now, and from now on at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self, wait_s: float) -> Work:
        """All that has gathered; waits `wait_s` seconds for anything, and a moment more for more of it.

        What comes after a pause waits for nothing: it would be lost with a process that is killed meanwhile.
        """
        with self._changed:
            paused = False
            if not self._gathered and not self._hurried():
                paused = not self._wait(min(wait_s, LINGER_S))
                if paused and wait_s > LINGER_S:
                    self._wait(wait_s - LINGER_S)
            if self._gathered and wait_s and not paused:
                self._changed.wait_for(lambda: self._gathered >= GROUP_BYTES or self._hurried(), LINGER_S)
            work = Work(self._units, self._notes, self._gathered)
            self._units, self._notes, self._gathered, self._nudged = {}, [], 0, False
            return work

    def written(self, size: int) -> None:
        """So many bytes of what was taken need no room any more."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def _wait(self, seconds: float) -> bool:
        """Until there is something to do; True when there is."""
        return self._changed.wait_for(lambda: self._gathered > 0 or self._hurried(), seconds)

    def _hurried(self) -> bool:
        return self._stopped or self._nudged
