"""`-o raw`: the provider's own messages, one on each line, byte for byte."""

from __future__ import annotations

from tickstream.errors import UsageError
from tickstream.events import Batch
from tickstream.sinks.base import Sink, SinkRequest, SinkSpec


class RawSink(Sink):
    """Writes the messages behind the market events.

    Only line breaks become spaces, so that one line is one message. JSON allows them between tokens only, so its
    meaning stays.
    """

    def __init__(self, request: SinkRequest) -> None:
        if request.fields is not None:
            raise UsageError(
                "--fields cannot be used with -o raw: its lines are the provider's own messages",
                hint="Use -o jsonl or -o csv to choose fields.",
            )
        self._write = request.output.write

    def write(self, batch: Batch) -> None:
        self._write(lines(batch.payloads))


def lines(payloads: list[bytes]) -> bytes:
    """The messages, each ended by a line feed."""
    if not payloads:
        return b""
    together = b"".join(payloads)
    if b"\n" in together or b"\r" in together:
        payloads = [payload.replace(b"\r", b" ").replace(b"\n", b" ") for payload in payloads]
    return b"\n".join(payloads) + b"\n"


SINK = SinkSpec(name="raw", summary="the provider's own messages, one on each line", make=RawSink)
