"""What reading gives: events in chunks, with a word on everything that could not be used. Pure."""

from __future__ import annotations

import msgspec

from tickstream.events import Event
from tickstream.timestamps import Timestamp

CHUNK_BYTES = 2**18
"""About how much is decoded at once. Measured for JSON lines: 1 MiB is 10 % slower, 4 MiB 40 %: caches are small."""

LONGEST_LINE = 2**24
"""Bytes. A longer line is no record of ours: it is reported and left out, so that memory stays flat."""

QUOTED_BYTES = 200
"""How much of a bad line is kept to show it."""


Payload = tuple[Timestamp, bytes]
"""A message of the provider, and when it was received."""


class BadLine(msgspec.Struct, frozen=True, gc=False):
    """A line that could not be used. `line` counts from 1, in Parquet files rows are meant; `text` is its beginning."""

    path: str
    line: int
    reason: str
    text: bytes = b""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


class Chunk(msgspec.Struct, gc=False, eq=False):
    """A stretch of one file.

    `lines` counts records, the bad ones among them, `bytes` their text without compression. `torn` is the record that
    the end of the file cuts off; it is not among the `bad`. `payloads` are the provider's messages behind the market
    events, each with when it was received, where the file is a raw capture.
    """

    path: str
    events: list[Event]
    lines: int
    bytes: int
    torn: BadLine | None = None
    bad: list[BadLine] = []
    payloads: list[Payload] = []
