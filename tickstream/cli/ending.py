"""The end of a run: write what is still on its way, or give it up; say the last gaps and the summary; close."""

from __future__ import annotations

from tickstream.cli.bounds import TICK_S, Bounds
from tickstream.cli.flow import Flow, Parts
from tickstream.cli.ledger import Ledger
from tickstream.cli.source import Source
from tickstream.clock import Clock
from tickstream.errors import ExitCode
from tickstream.events import Batch, Event
from tickstream.sinks.output import Abandoned, ReaderGone

BLOCKED_WARNING_S = 5.0


class Ending:
    """Made with the run, used once nothing more is wanted of the source."""

    def __init__(self, clock: Clock, source: Source, parts: Parts, flow: Flow, ledger: Ledger, bounds: Bounds) -> None:
        self._clock = clock
        self._source = source
        self._parts = parts
        self._flow = flow
        self._ledger = ledger
        self._bounds = bounds
        self._output_ended = False
        self._give_up_at: float | None = None
        self._warned_blocked = False

    def drain(self) -> None:
        """Write what is still on its way, for as long as the drain may take."""
        self._source.stop()
        deadline = self._clock.monotonic() + self._bounds.drain_s
        while not (self._flow.full or self._source.done) and self._clock.monotonic() < deadline:
            batch = self._source.get(TICK_S)
            if batch is not None:
                self._flow.take(batch)

    def gives_up(self, *, ending: bool) -> bool:
        """Asked while the output keeps a write waiting: True when the run is `ending`, and so is our patience."""
        if self._parts.outlet.blocked_s > BLOCKED_WARNING_S and not self._warned_blocked:
            self._warned_blocked = True
            self._parts.talk.line(
                "the reader of the output is slow; reading from the provider goes on while there is room"
            )
        now = self._clock.monotonic()
        if ending and self._give_up_at is None:
            self._source.stop()
            self._give_up_at = now + self._bounds.drain_s
        return self._give_up_at is not None and now >= self._give_up_at

    def output_gone(self, ended: ReaderGone | Abandoned) -> None:
        """Nothing can be written any more."""
        self._output_ended = True
        self._ledger.reader_gone = self._ledger.reader_gone or isinstance(ended, ReaderGone)

    def finish(self, code: ExitCode) -> None:
        """Stop the source, say the last gaps and the summary, close the output."""
        discarded = self._source.discard()
        if not self._flow.full and not self._ledger.reader_gone:
            self._ledger.discarded += discarded
        try:
            if not self._output_ended:
                self._last_words(code)
        except (ReaderGone, Abandoned):
            self._output_ended = True
        finally:
            self._parts.sink.close()
            self._parts.talk.muted = False
            self._parts.talk.event(self._ledger.summary(code, strict=self._bounds.strict))

    def _last_words(self, code: ExitCode) -> None:
        last: list[Event] = self._flow.finish()
        if self._parts.events_in_data:
            last.append(self._ledger.summary(code, strict=self._bounds.strict))
        if last:
            self._parts.sink.write(Batch(0, 0, self._clock.now_ns(), last))
        self._parts.sink.flush()
