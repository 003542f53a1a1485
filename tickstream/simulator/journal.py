"""What was sent: a record of every push that the operating system took from us."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from tickstream.errors import OutputError
from tickstream.simulator.market import Candle, Item
from tickstream.simulator.outgoing import Push
from tickstream.timestamps import rfc3339


class Sent(NamedTuple):
    """One push that was sent, at `ts_ns` by the wall clock."""

    ts_ns: int
    connection: int
    item: Item

    @property
    def symbol(self) -> str:
        """Whom it is about."""
        return self.item.symbol

    @property
    def market_ns(self) -> int:
        """When that was in the market: the open of a candle, the time of an event."""
        return self.item.open_ns if isinstance(self.item, Candle) else self.item.ts_event or self.item.ts_recv


class Journal:
    """Keeps the records in memory (`sent`), or writes them to a file as JSON lines, or both. Thread-safe.

    A line is flushed before the call returns. Raises OutputError when the file cannot be opened or written.
    """

    def __init__(self, path: Path | None = None, *, keep: bool = False) -> None:
        self.sent: list[Sent] = []
        self._keep = keep
        self._path = path
        self._lock = threading.Lock()
        try:
            self._file: BinaryIO | None = path.open("ab") if path else None
        except OSError as error:
            raise OutputError(f"Cannot write the journal {path}: {error.strerror or error}") from error

    def record(self, connection: int, pushes: list[Push]) -> None:
        """These pushes have been sent on this connection, now."""
        now_ns = time.time_ns()
        records = [Sent(now_ns, connection, push.item) for push in pushes]
        with self._lock:
            if self._keep:
                self.sent += records
            if self._file is not None:
                self._write(records)

    def _write(self, records: list[Sent]) -> None:
        assert self._file is not None
        try:
            self._file.write(b"".join(map(_line, records)))
            self._file.flush()
        except OSError as error:
            self.close()
            raise OutputError(f"Cannot write the journal {self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of the file. What could not be written before is not tried again."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def _line(sent: Sent) -> bytes:
    fields: dict[str, object] = {"ts_ns": sent.ts_ns, "connection": sent.connection, "symbol": sent.symbol}
    if isinstance(sent.item, Candle):
        fields["market_time"] = rfc3339(sent.market_ns)[:19] + "Z"
        for name in ("open", "high", "low", "close", "bid", "ask", "volume"):
            fields[name] = msgspec.Raw(getattr(sent.item, name).encode())  # a JSON number with exactly these digits
    else:
        fields["event"] = sent.item
    return msgspec.json.encode(fields, enc_hook=rfc3339) + b"\n"
