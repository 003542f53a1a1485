"""A run: the main thread's loop over a source, a flow and what ends it. `watch`, `capture` and `replay` are runs."""

from __future__ import annotations

from collections.abc import Callable

from tickstream.cli.bounds import TICK_S, Bounds, signal_code
from tickstream.cli.chores import Chore, Chores
from tickstream.cli.ending import Ending
from tickstream.cli.flow import Flow, Parts
from tickstream.cli.ledger import Ledger
from tickstream.cli.signals import Signals
from tickstream.cli.source import Source
from tickstream.clock import Clock
from tickstream.errors import ExitCode, NoData, TickstreamError
from tickstream.sinks.output import Abandoned, ReaderGone
from tickstream.status import RunStatus

REFRESH_S = 0.2


class Run:
    """Made for one use: `execute()` returns the exit code, or raises the error that ended the run."""

    def __init__(
        self,
        clock: Clock,
        source: Source,
        parts: Parts,
        bounds: Bounds,
        status: RunStatus,
        *chores: Chore,
        on_hangup: Callable[[], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._source = source
        self._sink = parts.sink
        self._check_output = parts.outlet.check
        self._patience_s = parts.patience_s
        self._bounds = bounds
        self._started = clock.monotonic()
        self.ledger = Ledger(clock, source, status, parts.lost)
        self._chores = Chores((REFRESH_S, self.ledger.refresh), *chores)
        self._flow = Flow(clock, parts, self.ledger)
        self._ending = Ending(clock, source, parts, self._flow, self.ledger, bounds)
        self._signals = Signals(source.wake, parts.sink.emergency, on_hangup)

    def execute(self) -> ExitCode:
        """Stream until a bound, a signal, the end of the reader or an error. What was received is written by then."""
        with self._signals:
            try:
                code, error = self._to_the_end()
            finally:  # also of what nobody foresaw: it is told where the user can read it
                self._source.stop()
                self._sink.close()
        if error is not None:
            raise error
        return self.ledger.verdict(code, strict=self._bounds.strict)

    def do_chores(self) -> None:
        """Those that are due; for outputs that keep a write waiting, and whose chores do not write."""
        self._chores.do(self._clock.monotonic())

    def give_up_writing(self) -> bool:
        """Asked while the reader of our output keeps us waiting: True when the run is over and so is our patience."""
        ending = self._signals.received is not None or self._time_is_up(self._clock.monotonic())
        return self._ending.gives_up(ending=ending)

    def _to_the_end(self) -> tuple[ExitCode, TickstreamError | None]:
        code, error = ExitCode.OK, None
        try:
            self._sink.open()
            self._source.start()
            code = self._stream()
        except TickstreamError as ended:
            error = ended
        except (ReaderGone, Abandoned) as ended:
            self._ending.output_gone(ended)
            code = signal_code(self._signals.received) or ExitCode.OK
        try:
            self._ending.finish(ExitCode(error.exit_code) if error else code)
        except TickstreamError as ended:
            error = error or ended
        return code, error

    def _stream(self) -> ExitCode:
        while True:
            batch = self._source.get(TICK_S if self._patience_s is None else min(TICK_S, self._patience_s()))
            if batch is not None:
                self._flow.take(batch)
                batch = None  # let go of it while it is in the cache: the next one is made of the same memory
            else:
                self._check_output()
            self._flow.look_at_the_time()
            now = self._clock.monotonic()
            self._chores.do(now)
            code = self._bound_reached(now)
            if code is not None:
                self._ending.drain()
                return code
            if self._source.done:
                if self._source.error is not None:
                    raise self._source.error
                return ExitCode.OK

    def _bound_reached(self, now: float) -> ExitCode | None:
        code = signal_code(self._signals.received)
        if code is None and (self._flow.full or self._time_is_up(now)):
            code = ExitCode.OK
        if code is None:
            self._check_idle(now)
        return code

    def _time_is_up(self, now: float) -> bool:
        return self._bounds.over(now - self._started, self._clock.now_ns())

    def _check_idle(self, now: float) -> None:
        idle = self._bounds.idle_timeout_s
        if idle is None or now - self._flow.last_data < idle:
            return
        if self._source.paused:
            self._flow.last_data = now  # silence counts from when it is unexpected
        else:
            self._ending.drain()
            raise NoData(
                f"No data for {idle:g} s (--idle-timeout).",
                hint="The market may be closed, or the feed is mute: `tickstream doctor` tells which.",
            )
