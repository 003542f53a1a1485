"""`-o jsonl`: one JSON object on each line, for jq, mlr and every program."""

from __future__ import annotations

from tickstream.events import Batch
from tickstream.sinks.base import Sink, SinkRequest, SinkSpec
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.fields import check_fields


class JsonlSink(Sink):
    """Writes each batch with one call."""

    def __init__(self, request: SinkRequest) -> None:
        fields = None if request.fields is None else check_fields(request.fields)
        self._encode = JsonEncoder(fields, request.time, request.events).encode
        self._write = request.output.write

    def write(self, batch: Batch) -> None:
        self._write(self._encode(batch.events))


SINK = SinkSpec(name="jsonl", summary="one JSON object on each line", make=JsonlSink, carries_events=True)
