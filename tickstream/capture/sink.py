"""Batches into files: encoded once for each file they touch, and handed to the store; the rest goes to the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tickstream.capture import manifest
from tickstream.capture.envelopes import envelopes
from tickstream.capture.gathering import Encode, Gathering, Stretches
from tickstream.capture.manifest import Tally
from tickstream.capture.placing import Placing, alone
from tickstream.capture.template import PathTemplate
from tickstream.clock import Clock
from tickstream.errors import UsageError
from tickstream.events import Batch, Event, MarketEvent, Notice, Summary
from tickstream.sinks.base import Sink
from tickstream.sinks.encoders import time_hook
from tickstream.sinks.fields import default_columns
from tickstream.sinks.rows import CsvEncoder
from tickstream.subscriptions import Channel

if TYPE_CHECKING:
    from tickstream.capture.store import Store

FORMATS = ("jsonl", "csv", "raw", "parquet")
"""Of captured files. Parquet is made of JSON lines when a file is complete."""
NOTICES_KEPT = 10_000
"""In the manifest, of one run; a provider may report trouble for months."""


def header(form: str, channel: Channel) -> bytes:
    """What every file of this format begins with."""
    return CsvEncoder(default_columns(channel), "iso").header() if form == "csv" else b""


class CaptureSink(Sink):
    """Raises what the store raises, OutputError and Abandoned; `lost` counts the events that are not written then.

    JSON lines hold the gaps of their symbols too; where files hold market data only, the manifest has them. Lines are
    made at once and gathered for some milliseconds: `check` has to be called when nothing comes.
    """

    def __init__(
        self,
        store: Store,
        template: PathTemplate,
        run: manifest.RunStart,
        channel: Channel,
        clock: Clock,
        interval: str = "none",
        stretches: Stretches = lambda _events: None,
    ) -> None:
        self._store = store
        self._run = run.run
        values = {"provider": run.provider, "channel": run.channel, "interval": interval}
        self._placing = Placing(template, values, alone if run.format == "jsonl" else None)
        self._raw = run.format == "raw"
        self._gathering = Gathering(store, self._placing, _encoder(run.format, channel), clock, stretches)
        self._notices = 0
        self._summary: Summary | None = None
        self._closed = False

    @property
    def lost(self) -> int:
        """Market events that were taken and cannot be written any more."""
        return self._store.lost + self._gathering.lost

    @property
    def blocked_s(self) -> float:
        """For how long the present write has been waiting for room in memory, seconds."""
        return self._store.blocked_s

    def patience_s(self) -> float:
        """So soon `check` has to be called, if nothing comes meanwhile."""
        return self._gathering.patience_s

    def check(self) -> None:
        """Nothing comes for now: hand over what is gathered. Raises what a write would raise."""
        self._gathering.hand_over()
        self._store.check()

    def write(self, batch: Batch) -> None:
        if not batch.market_only:
            for event in batch.events:
                if not isinstance(event, MarketEvent):
                    self._note(event)
        if self._raw:
            self._gather_messages(batch)
        else:
            self._gathering.add(batch.events, batch.ts_recv)
        if self._gathering.due:
            self._gathering.hand_over()

    def flush(self) -> None:
        self._gathering.hand_over()
        self._store.settle()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._store.finish(self._summary)

    def _gather_messages(self, batch: Batch) -> None:
        """A message may carry several events, so a raw file has one name for all of them, by when they came."""
        lines = envelopes(batch)
        if lines:
            self._gathering.add_lines(self._placing.key(batch.ts_recv), lines, Tally.of(batch.market_events()))

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


def _encoder(form: str, channel: Channel) -> Encode:
    """Raises UsageError for a format that is none of FORMATS. Raw files are made of messages and need none."""
    if form not in FORMATS:
        raise UsageError(f"--output {form[:20]!r} is none of {', '.join(FORMATS)}.")
    if form == "csv":
        return CsvEncoder(default_columns(channel), "iso").encode
    return msgspec.json.Encoder(enc_hook=time_hook("iso")).encode_lines
