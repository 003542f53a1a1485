"""`--quarantine FILE`: messages that could not be used, kept for whoever wants to know what was wrong with them."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec

from tickstream.clock import Clock
from tickstream.errors import OutputError
from tickstream.events import Quarantined
from tickstream.timestamps import rfc3339

MAX_BYTES = 10 * 2**20


class QuarantineFile:
    """Appends to a file only its owner can read, 10 MiB at the most. Opened each time, so it may be moved away.

    Raises OutputError when it cannot be written, also at once when it is made.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.write([])

    def write(self, items: list[Quarantined]) -> None:
        """Add these, as long as there is room."""
        lines = [self._line(item) for item in items]
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                size = os.fstat(descriptor).st_size
                for line in lines:
                    size += len(line)
                    if size <= MAX_BYTES:
                        file.write(line)
        except OSError as error:
            raise OutputError(f"Cannot write the quarantine file {self._path}: {error.strerror}.") from error

    def _line(self, item: Quarantined) -> bytes:
        record = {
            "ts": rfc3339(self._clock.now_ns()),
            "reason": item.reason,
            "payload_base64": base64.b64encode(item.payload).decode(),
        }
        return msgspec.json.encode(record) + b"\n"
