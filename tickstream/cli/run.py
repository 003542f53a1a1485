"""A run: the main thread's loop from the queue through the pipeline to the output, its bounds, end and account."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tickstream.cli.signals import Signals
from tickstream.cli.talk import Talk
from tickstream.clock import Clock
from tickstream.credits import CreditMeter
from tickstream.errors import ExitCode, Incomplete, NoData, SymbolRefused, TickstreamError
from tickstream.events import Batch, Event, Gap, MarketEvent, Notice, Quarantined, Summary
from tickstream.pipeline.base import Stage
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.limits import LimitStage
from tickstream.session.queue import BatchQueue
from tickstream.session.supervisor import Supervisor
from tickstream.sinks.base import Sink
from tickstream.sinks.output import Abandoned, Output, ReaderGone
from tickstream.status import RunStatus

_SIGNAL_CODES = {1: ExitCode.SIGHUP, 2: ExitCode.SIGINT, 15: ExitCode.SIGTERM}
TICK_S = 0.1
DRAIN_S = 5.0
GOODBYE_S = 4.0
"""For the sessions to say goodbye: the closing handshake takes 3 s at most."""
BLOCKED_WARNING_S = 5.0


class Bounds(msgspec.Struct, frozen=True):
    """What ends a run: seconds from its start, seconds without data; under `strict` what makes it incomplete."""

    duration_s: float | None = None
    idle_timeout_s: float | None = None
    strict: bool = False
    drain_s: float = DRAIN_S


class Parts(msgspec.Struct, frozen=True):
    """What a run is put together from."""

    supervisor: Supervisor
    queue: BatchQueue
    skew: Stage
    gaps: GapStage
    limit: LimitStage
    sink: Sink
    output: Output
    talk: Talk
    status: RunStatus
    refresh_s: float | None = None
    """How often the sink wants to be refreshed."""


class Run:
    """Made for one use: `execute()` returns the exit code, or raises the error that ended the run."""

    def __init__(
        self,
        clock: Clock,
        parts: Parts,
        bounds: Bounds,
        *,
        events_in_data: bool = False,
        on_quarantined: Callable[[list[Quarantined]], None] | None = None,
    ) -> None:
        self._clock = clock
        self._supervisor = parts.supervisor
        self._queue = parts.queue
        self._gaps = parts.gaps
        self._limit = parts.limit
        self._stages: list[Stage] = [parts.skew, parts.gaps, parts.limit]
        self._sink = parts.sink
        self._output = parts.output
        self._refresh_s = parts.refresh_s
        self._talk = parts.talk
        self._status = parts.status
        self._bounds = bounds
        self._events_in_data = events_in_data
        self._on_quarantined = on_quarantined
        self._started = self._last_data = self._clock.monotonic()
        self._next_refresh = self._started
        self._received = self._written = self._unwritten = self._discarded = 0
        self._reader_gone = self._output_ended = False
        self._give_up_at: float | None = None
        self._warned_blocked = False
        self._signals = Signals(parts.queue.wake, parts.sink.emergency)
        self._refused: dict[str, None] = {}

    # --- the whole ---------------------------------------------------------------------------------------------

    def execute(self) -> ExitCode:
        """Stream until a bound, a signal, the end of the reader or an error. What was received is written by then."""
        self._status.started = self._started
        with self._signals:
            try:
                code, error = self._to_the_end()
            finally:  # also of what nobody foresaw: it is told where the user can read it
                self._supervisor.stop()
                self._sink.close()
        if error is not None:
            raise error
        return self._verdict(code)

    def _to_the_end(self) -> tuple[ExitCode, TickstreamError | None]:
        code, error = ExitCode.OK, None
        try:
            self._sink.open()
            self._supervisor.start()
            code = self._stream()
        except TickstreamError as ended:
            error = ended
        except (ReaderGone, Abandoned) as ended:
            code = self._output_gone(ended)
        try:
            self._finish(ExitCode(error.exit_code) if error else code)
        except TickstreamError as ended:
            error = error or ended
        return code, error

    def give_up_writing(self) -> bool:
        """Asked while the reader of our output keeps us waiting: True when the run is over and so is our patience."""
        now = self._clock.monotonic()
        if self._output.blocked_s > BLOCKED_WARNING_S and not self._warned_blocked:
            self._warned_blocked = True
            self._talk.line("the reader of the output is slow; reading from the provider goes on while there is room")
        ending = self._signals.received is not None or self._time_is_up(now)
        if ending and self._give_up_at is None:
            self._supervisor.stop()
            self._give_up_at = now + self._bounds.drain_s
        return self._give_up_at is not None and now >= self._give_up_at

    def _stream(self) -> ExitCode:
        while True:
            batch = self._queue.get(TICK_S)
            if batch is not None:
                self._take(batch)
            else:
                self._output.check()
            now = self._clock.monotonic()
            if self._refresh_s is not None and now >= self._next_refresh:
                self._next_refresh = now + self._refresh_s
                self._sink.refresh()
            code = self._bound_reached(now)
            if code is not None:
                break
            if self._queue.done:
                return self._sessions_ended()
        self._supervisor.stop()
        if not self._limit.done:
            self._drain()
        return code

    def _output_gone(self, ended: ReaderGone | Abandoned) -> ExitCode:
        self._output_ended = True
        if isinstance(ended, ReaderGone):
            self._reader_gone = True
        return self._signalled() or ExitCode.OK

    def _signalled(self) -> ExitCode | None:
        number = self._signals.received
        return None if number is None else _SIGNAL_CODES.get(number, ExitCode.SIGTERM)

    def _time_is_up(self, now: float) -> bool:
        return self._bounds.duration_s is not None and now - self._started >= self._bounds.duration_s

    def _bound_reached(self, now: float) -> ExitCode | None:
        if (signalled := self._signalled()) is not None:
            return signalled
        if self._limit.done or self._time_is_up(now):
            return ExitCode.OK
        idle = self._bounds.idle_timeout_s
        if idle is not None and now - self._last_data >= idle and not self._paused():
            self._supervisor.stop()
            self._drain()
            raise NoData(
                f"No data for {idle:g} s (--idle-timeout).",
                hint="The market may be closed, or the feed is mute: `tickstream doctor` tells which.",
            )
        return None

    def _paused(self) -> bool:
        return all(session.paused for session in self._supervisor.statuses)

    def _sessions_ended(self) -> ExitCode:
        if self._supervisor.crash is not None:
            raise self._supervisor.crash
        if self._supervisor.error is not None:
            raise self._supervisor.error
        return ExitCode.OK

    # --- batches -----------------------------------------------------------------------------------------------

    def _take(self, batch: Batch) -> None:
        if batch.quarantined and self._on_quarantined is not None:
            self._on_quarantined(batch.quarantined)
        for stage in self._stages:
            batch = stage.process(batch)
        market = self._hear(batch)
        if batch.events:
            self._write(batch, market)
        if market:
            # After the write: while a slow reader keeps us waiting, the silence is not the feed's.
            self._last_data = self._clock.monotonic()

    def _hear(self, batch: Batch) -> int:
        """Say the stream events, and count the market events."""
        talk = [event for event in batch.events if not isinstance(event, MarketEvent)]
        market = len(batch.events) - len(talk)
        self._received += market
        self._status.events = self._received
        for event in talk:
            self._note(event)
        return market

    def _note(self, event: Event) -> None:
        if isinstance(event, Notice) and event.code in ("symbol_refused", "symbol_limit"):
            self._refused.update(dict.fromkeys(event.symbols))
            self._limit.refused(event.symbols)
        if isinstance(event, Gap):
            self._status.gaps = self._gaps.count
        self._status.dropped = self._dropped
        self._status.quarantined = sum(s.quarantined for s in self._supervisor.statuses)
        if not self._events_in_data:
            self._talk.event(event)

    def _write(self, batch: Batch, market: int) -> None:
        left = market
        try:
            self._sink.write(batch)
            left = 0
        except Abandoned as given_up:
            left = min(given_up.left, market)
            self._unwritten += left
            raise
        finally:
            self._written += market - left

    def _drain(self) -> None:
        """Write what is still on its way, for as long as the drain may take."""
        deadline = self._clock.monotonic() + self._bounds.drain_s
        while not self._queue.done and self._clock.monotonic() < deadline:
            batch = self._queue.get(TICK_S)
            if batch is not None:
                self._take(batch)

    # --- the end -----------------------------------------------------------------------------------------------

    def _finish(self, code: ExitCode) -> None:
        """Stop the sessions, say the last gaps and the summary, close the output."""
        self._supervisor.stop()
        discarded = self._queue.abandon()
        self._supervisor.join(GOODBYE_S)
        discarded += self._queue.abandon()  # what the sessions still held, and what came while they said goodbye
        if not self._limit.done and not self._reader_gone:
            self._discarded += discarded
        try:
            if not self._output_ended:
                self._last_words(code)
        except (ReaderGone, Abandoned):
            self._output_ended = True
        finally:
            self._sink.close()
            self._talk.muted = False
            self._talk.event(self.summary(self._verdict_code(code)))

    def _last_words(self, code: ExitCode) -> None:
        last: list[Event] = [] if self._limit.done else self._gaps.finish(self._clock.now_ns())
        for event in last:
            self._note(event)
        if self._events_in_data:
            last.append(self.summary(self._verdict_code(code)))
        if last:
            self._sink.write(Batch(0, 0, self._clock.now_ns(), last))
        self._sink.flush()

    def _verdict(self, code: ExitCode) -> ExitCode:
        """The exit code of a run that no error ended. Raises what makes it less than a success."""
        if code is not ExitCode.OK or self._reader_gone:
            return code
        if self._received == 0:
            raise NoData(
                "The run ended without a single event.", hint="A closed market? `tickstream doctor` checks the feed."
            )
        if self._bounds.strict and self._refused:
            raise SymbolRefused(f"Refused: {', '.join(self._refused)} (--strict).", symbols=tuple(self._refused))
        if self._bounds.strict and (self._gaps.count or self._dropped):
            raise Incomplete(
                f"Incomplete: {self._gaps.count} gaps, {self._dropped} events dropped (--strict).",
                hint="The gap lines above, or gap events with --events, say what and when.",
            )
        return code

    def _verdict_code(self, code: ExitCode) -> ExitCode:
        try:
            return self._verdict(code)
        except TickstreamError as error:
            return error.exit_code

    @property
    def _dropped(self) -> int:
        """By the queue, and what was still on its way when the end could wait no longer."""
        return self._queue.dropped + self._discarded + self._unwritten

    def summary(self, code: ExitCode) -> Summary:
        """The account of the run so far."""
        statuses, meter, now_ns = self._supervisor.statuses, self._status.credits, self._clock.now_ns()
        return Summary(
            provider=self._status.provider,
            ts_recv=now_ns,
            duration_s=round(self._clock.monotonic() - self._started, 3),
            exit_code=int(code),
            events=self._received + self._queue.dropped + self._discarded,
            written=self._written,
            dropped=self._dropped,
            quarantined=sum(s.quarantined for s in statuses),
            unknown=sum(s.unknown for s in statuses),
            unrequested=sum(s.unrequested for s in statuses),
            gaps=self._gaps.count,
            missed=self._gaps.missed,
            reconnects=sum(max(0, s.epoch - 1) for s in statuses),
            symbols=len(self._status.symbols),
            refused=tuple(self._refused),
            bytes=sum(s.bytes_before + s.bytes_received for s in statuses),
            credits_used=None if meter is None else meter.used,
            credits_remaining=_remaining(meter, now_ns),
        )


def _remaining(meter: CreditMeter | None, now_ns: int) -> int | None:
    return None if meter is None else meter.remaining(now_ns)
