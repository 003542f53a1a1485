"""The books of a run: what came, what was written, what was lost; and from them its summary and its verdict."""

from __future__ import annotations

from collections.abc import Callable

from tickstream.cli.source import Source
from tickstream.clock import Clock
from tickstream.errors import ExitCode, Incomplete, NoData, SymbolRefused, TickstreamError
from tickstream.events import Event, Gap, Notice, Summary
from tickstream.pipeline.gaps import REFUSALS
from tickstream.status import RunStatus


class Ledger:
    """Kept by the main thread. `status` is told what others read of it.

    `lost`: how many market events the sink was given and could not write, if it counts them itself.
    """

    def __init__(self, clock: Clock, source: Source, status: RunStatus, lost: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._source = source
        self._status = status
        self._lost = lost or int
        self._started = status.started = clock.monotonic()
        self.received = 0
        """Market events that passed the stages."""
        self.written = 0
        """Taken by the sink."""
        self.unwritten = 0
        """Given up while the reader of the output was not reading."""
        self.discarded = 0
        """Still under way when the end could wait no longer."""
        self.gaps = 0
        self._before = 0
        """Gaps among them of the time before this run."""
        self.missed: int | None = 0
        """Over all gaps; None once there was one of which it is not known."""
        self.refused: dict[str, None] = {}
        """Symbols, by their names in this run."""
        self.reader_gone = False
        """The reader of the output has seen enough: nothing that is missing now was lost."""

    @property
    def dropped(self) -> int:
        """Market events that came, and are not in the output."""
        return self._source.dropped + self.discarded + self.unwritten + self._lost()

    def receive(self, count: int) -> None:
        """So many market events came."""
        self.received += count
        self._status.events = self.received

    def hear(self, event: Event) -> None:
        """Something happened to the stream."""
        if isinstance(event, Gap):
            self.gaps += 1
            self._before += event.reason == "restart"
            self.missed = None if self.missed is None or event.missed is None else self.missed + event.missed
        elif isinstance(event, Notice) and event.code in REFUSALS:
            self.refused.update(dict.fromkeys(self.names_of(event)))
        self._status.gaps = self.gaps
        self.refresh()

    def names_of(self, notice: Notice) -> tuple[str, ...]:
        """What the symbols of a notice are called in this run."""
        return tuple(self._status.name_of(notice.provider, symbol) for symbol in notice.symbols)

    def refresh(self) -> None:
        """Tell the status what changes by itself."""
        self._status.dropped = self.dropped
        self._status.quarantined = sum(s.quarantined for s in self._status.sessions)

    def verdict(self, code: ExitCode, *, strict: bool) -> ExitCode:
        """The exit code of a run that no error ended.

        Raises what makes it less than a success: NoData, and if `strict` SymbolRefused and Incomplete.
        """
        if code is not ExitCode.OK or self.reader_gone:
            return code
        if self.received == 0:
            raise NoData(
                "The run ended without a single event.", hint="A closed market? `tickstream doctor` checks the feed."
            )
        if strict and self.refused:
            raise SymbolRefused(f"Refused: {', '.join(self.refused)} (--strict).", symbols=tuple(self.refused))
        gaps = self.gaps - self._before
        if strict and (gaps or self.dropped):
            raise Incomplete(
                f"Incomplete: {gaps} gaps, {self.dropped} events dropped (--strict).",
                hint="The gap lines above, or gap events with --events, say what and when.",
            )
        return code

    def summary(self, code: ExitCode, *, strict: bool) -> Summary:
        """The account of the run so far, with the exit code that it is about to end with."""
        try:
            code = self.verdict(code, strict=strict)
        except TickstreamError as error:
            code = error.exit_code
        sessions, now_ns = self._status.sessions, self._clock.now_ns()
        return Summary(
            provider=self._status.provider,
            ts_recv=now_ns,
            duration_s=round(self._clock.monotonic() - self._started, 3),
            exit_code=int(code),
            events=self.received + self._source.dropped + self.discarded,
            written=self.written - self._lost(),
            dropped=self.dropped,
            quarantined=sum(s.quarantined for s in sessions),
            unknown=sum(s.unknown for s in sessions),
            unrequested=sum(s.unrequested for s in sessions),
            gaps=self.gaps,
            missed=self.missed,
            reconnects=sum(s.reconnects for s in sessions),
            symbols=len(self._status.names),
            refused=tuple(self.refused),
            bytes=sum(s.bytes_before + s.bytes_received for s in sessions),
            credits_used=self._status.credits_used(),
            credits_remaining=self._status.credits_remaining(now_ns),
        )
