"""`-o csv`: a header, one row for each market event (for each level of a book), rectangular, safe for spreadsheets."""

from __future__ import annotations

from tickstream.events import Batch
from tickstream.sinks.base import Sink, SinkRequest, SinkSpec
from tickstream.sinks.fields import check_fields, csv_fields, default_columns
from tickstream.sinks.rows import CsvEncoder


class CsvSink(Sink):
    """Writes the header when it is opened, then each batch with one call."""

    def __init__(self, request: SinkRequest) -> None:
        fields = request.fields
        columns = default_columns(*request.channels) if fields is None else check_fields(fields, known=csv_fields())
        self._encoder = CsvEncoder(columns, request.time, raw_text=request.csv_raw)
        self._write = request.output.write

    def open(self) -> None:
        self._write(self._encoder.header())

    def write(self, batch: Batch) -> None:
        self._write(self._encoder.encode(batch.events))


SINK = SinkSpec(name="csv", summary="a header and one row for each market event", make=CsvSink)
