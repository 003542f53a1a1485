"""`-o raw`: the provider's own messages, one on each line, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from tickstream.errors import UsageError
from tickstream.events import Batch, Joined, joined
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


def lines(payloads: Sequence[bytes]) -> bytes:
    """The messages, each ended by a line feed."""
    if not payloads:
        return b""
    text = joined(payloads)
    if not (isinstance(payloads, Joined) and payloads.lines) and _has_breaks(text, len(payloads)):
        text = b"\n".join(payload.replace(b"\r", b" ").replace(b"\n", b" ") for payload in payloads)
    return text + b"\n"


def _has_breaks(text: bytes, messages: int) -> bool:
    return text.count(b"\n") >= messages or b"\r" in text


SINK = SinkSpec(name="raw", summary="the provider's own messages, one on each line", make=RawSink)
