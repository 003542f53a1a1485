"""The end of a run: write what is still on its way, or give it up; say the last gaps and the summary; close."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tickstream.cli.bounds import TICK_S, Bounds
from tickstream.cli.flow import Flow, Parts
from tickstream.cli.ledger import Ledger
from tickstream.cli.source import Source
from tickstream.clock import Clock
from tickstream.errors import ExitCode, TickstreamError
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
            self._parts.talk.line(self._parts.slow, severity="warning")
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
        """Stop the source, say the last gaps and the summary, close the output. Raises what went wrong with that."""
        discarded = self._source.discard()
        if not self._flow.full and not self._ledger.reader_gone:
            self._ledger.discarded += discarded
        error = self._attempt(self._last_words)
        summary = self._ledger.summary(error.exit_code if error else code, strict=self._bounds.strict)
        keeps_accounts = self._parts.lost is not None  # it has a place for the summary where data finds none any more
        if self._parts.events_in_data and (keeps_accounts or error is None):
            self._output_ended = self._output_ended and not keeps_accounts
            failed = self._attempt(partial(self._parts.sink.write, self._batch([summary])))
            error = error or failed
        try:
            self._parts.sink.close()
        finally:
            self._parts.talk.muted = False
            self._parts.talk.event(summary)
        if error is not None:
            raise error

    def _attempt(self, write: Callable[[], None]) -> TickstreamError | None:
        """Write, as long as there is an output; the error, if that was one."""
        try:
            if not self._output_ended:
                write()
        except (ReaderGone, Abandoned) as ended:
            self.output_gone(ended)
        except TickstreamError as error:
            return error
        return None

    def _last_words(self) -> None:
        self._flow.finish()
        self._parts.sink.flush()

    def _batch(self, events: list[Event]) -> Batch:
        return Batch(0, 0, self._clock.now_ns(), events)
