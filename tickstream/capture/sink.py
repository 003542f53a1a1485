"""Batches into files: encoded once for each file they touch, and handed to the store; the rest goes to the manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tickstream.capture import manifest
from tickstream.capture.envelopes import envelopes
from tickstream.capture.manifest import Tally
from tickstream.capture.placing import Placing, alone
from tickstream.capture.template import PathTemplate
from tickstream.errors import UsageError
from tickstream.events import Batch, Event, Gap, MarketEvent, Notice, Summary
from tickstream.sinks.base import Sink
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.fields import default_columns
from tickstream.sinks.output import Abandoned
from tickstream.sinks.rows import CsvEncoder
from tickstream.subscriptions import Channel

if TYPE_CHECKING:
    from tickstream.capture.store import Store

FORMATS = ("jsonl", "csv", "raw", "parquet")
"""Of captured files. Parquet is made of JSON lines when a file is complete."""
NOTICES_KEPT = 10_000
"""In the manifest, of one run; a provider may report trouble for months."""

Encode = Callable[[Sequence[Event]], bytes]


def header(form: str, channel: Channel) -> bytes:
    """What every file of this format begins with."""
    return CsvEncoder(default_columns(channel), "iso").header() if form == "csv" else b""


class CaptureSink(Sink):
    """Raises what the store raises: OutputError, and Abandoned with the events that were not handed over.

    JSON lines hold the gaps of their symbols too; where files hold market data only, the manifest has them.
    """

    def __init__(
        self,
        store: Store,
        template: PathTemplate,
        run: manifest.RunStart,
        channel: Channel,
        interval: str = "none",
        split: Callable[[Gap], list[Gap]] = alone,
    ) -> None:
        self._store = store
        self._run = run.run
        self._encode = _encoder(run.format, channel)
        values = {"provider": run.provider, "channel": run.channel, "interval": interval}
        self._placing = Placing(template, values, split if run.format == "jsonl" else None)
        self._notices = 0
        self._summary: Summary | None = None
        self._closed = False

    def write(self, batch: Batch) -> None:
        if not batch.market_only:
            for event in batch.events:
                if not isinstance(event, MarketEvent):
                    self._note(event)
        if self._encode is None:
            self._write_messages(batch)
        else:
            self._write_events(batch, self._encode)

    def flush(self) -> None:
        self._store.settle()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.finish(self._summary)

    def _write_events(self, batch: Batch, encode: Encode) -> None:
        placed = list(self._placing.place(batch))
        for number, (key, events, tally) in enumerate(placed):
            try:
                self._store.write(key, encode(events), tally)
            except Abandoned:
                raise Abandoned(sum(later.tally.events for later in placed[number:]), torn=False) from None

    def _write_messages(self, batch: Batch) -> None:
        """A message may carry several events, so a raw file has one name for all of them, by when they came."""
        lines = envelopes(batch)
        if lines:
            tally = Tally.of(batch.market_events())
            try:
                self._store.write(self._placing.key_at(batch.ts_recv), lines, tally)
            except Abandoned:
                raise Abandoned(tally.events, torn=False) from None

    def _note(self, event: Event) -> None:
        """For the manifest."""
        if isinstance(event, Summary):
            self._summary = event
            return
        if isinstance(event, Notice):
            self._notices += 1
            if self._notices > NOTICES_KEPT:
                return
        self._store.note(manifest.stream_entry(event, self._run))


def _encoder(form: str, channel: Channel) -> Encode | None:
    """None for messages as they are. Raises UsageError for a format that is none of FORMATS."""
    if form not in FORMATS:
        raise UsageError(f"--output {form[:20]!r} is none of {', '.join(FORMATS)}.")
    if form == "raw":
        return None
    if form == "csv":
        return CsvEncoder(default_columns(channel), "iso").encode
    return JsonEncoder(None, "iso", events=True).encode
