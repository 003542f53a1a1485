"""A capture put together: a live feed, the store it goes to, what an earlier run left, and the run over all of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from tickstream import __version__
from tickstream.capture import manifest
from tickstream.capture.recovery import Recovered
from tickstream.capture.rotation import Rotation
from tickstream.capture.sink import CaptureSink, header
from tickstream.capture.store import Store, StoreOptions
from tickstream.capture.template import PathTemplate
from tickstream.cli.bounds import Bounds
from tickstream.cli.chores import Chore
from tickstream.cli.config import shown_url
from tickstream.cli.environment import Environment
from tickstream.cli.flow import Parts
from tickstream.cli.gauges import MetricsFile, Progress
from tickstream.cli.hours import AtTheOpen, TradingSession
from tickstream.cli.live import LiveFeed
from tickstream.cli.quarantine import QuarantineFile
from tickstream.cli.run import Run
from tickstream.cli.source import Source
from tickstream.cli.talk import Talk
from tickstream.errors import ExitCode
from tickstream.events import Bar, MarketEvent, Trade
from tickstream.markets import Market
from tickstream.pipeline.base import Stage
from tickstream.pipeline.dedup import DedupStage
from tickstream.pipeline.limits import LimitStage
from tickstream.status import FilesStatus
from tickstream.timestamps import NS_PER_SECOND, Timestamp, rfc3339

TOGETHER_NS = 5 * NS_PER_SECOND
"""Symbols whose last data came within so long of each other get one gap, from the first of them on."""
LOOK_S = 0.5
"""How often the store is asked whether there is something to say."""


@dataclass(frozen=True)
class CaptureOptions:
    """What the command line says about the files."""

    template: PathTemplate
    format: str = "jsonl"
    compression: str = "none"
    rotation: Rotation = field(default_factory=Rotation)
    fsync_interval_s: float = 0.5
    min_free_bytes: int = 0
    on_disk_full: Literal["wait", "exit"] = "wait"
    keep_s: float | None = None
    market_hours: bool = False
    count: int | None = None
    metrics_file: Path | None = None
    quarantine: Path | None = None


class Recording:
    """A capture, for one use. Making it touches nothing outside; `run` does."""

    def __init__(self, env: Environment, feed: LiveFeed, options: CaptureOptions, bounds: Bounds, talk: Talk) -> None:
        self._env = env
        self._feed = feed
        self._options = options
        self._bounds = bounds
        self._talk = talk
        self._run: Run | None = None
        self._reopen = False
        """SIGHUP asks for new files."""
        self._entry = _entry(env, feed, options)
        self._store = Store(self._store_options(), env.clock)
        self._dedup = DedupStage(feed.spec.name, bars_once=feed.spec.bars_once)

    def execute(self) -> ExitCode:
        """To its end. Raises TargetLocked at once when another run has the folder, and whatever ends the run."""
        with contextlib.ExitStack() as opened:
            resume(self._store.open(), self._feed, self._dedup)
            opened.callback(self._store.finish, None)
            metrics = None
            if self._options.metrics_file is not None:
                metrics = MetricsFile(self._options.metrics_file, self._env, self._talk, self._feed.status, self._files)
            self._run = self._made(metrics)
            self._say_first()
            return self._run.execute() if metrics is None else metrics.over(self._run, lambda: self._dedup.duplicates)

    # --- what it is made of ------------------------------------------------------------------------------------

    def _made(self, metrics: MetricsFile | None) -> Run:
        env, feed, options = self._env, self._feed, self._options
        limit = LimitStage(options.count)
        progress = Progress(env, self._talk, feed.status, self._files)
        chores: list[Chore] = [(LOOK_S, self._look), progress.chore]
        stages: list[Stage] = [feed.skew, self._dedup, *feed.canonical, *feed.books, feed.gaps, limit]
        if metrics is not None:
            stages.insert(0, metrics.stage)
            chores.append(metrics.chore)
        interval = "none" if feed.bar_interval_s is None else interval_text(feed.bar_interval_s)
        sink = CaptureSink(
            self._store, options.template, self._entry, feed.channel, env.clock, interval, self._dedup.stretches
        )
        parts = Parts(
            stages=stages,
            limit=limit,
            sink=sink,
            outlet=sink,
            talk=self._talk,
            events_in_data=True,
            on_quarantined=QuarantineFile(options.quarantine, env.clock).write if options.quarantine else None,
            slow="the disk is slow; reading from the provider goes on while there is room",
            patience_s=sink.patience_s,
            lost=lambda: sink.lost,
        )
        source, bounds = self._in_hours()
        return Run(env.clock, source, parts, bounds, feed.status, *chores, on_hangup=self._on_hangup)

    def _store_options(self) -> StoreOptions:
        options = self._options
        return StoreOptions(
            base=options.template.base,
            run=self._entry,
            header=header(options.format, self._feed.channel),
            rotation=options.rotation,
            fsync_interval_s=options.fsync_interval_s,
            min_free_bytes=options.min_free_bytes,
            on_disk_full=options.on_disk_full,
            keep_s=options.keep_s,
            abandon=self._asked_while_waiting,
        )

    def _in_hours(self) -> tuple[Source, Bounds]:
        """The source and what ends it, within the hours of the market if that was asked for."""
        source, bounds, clock = self._feed.wires, self._bounds, self._env.clock
        if not self._options.market_hours:
            return source, bounds
        session = TradingSession(self._markets, clock.now_ns(), self._feed.bar_interval_s)
        ends = [session.ends_ns, bounds.until_ns]
        if bounds.duration_s is not None:  # it counts from when there is something to record
            ends.append(session.starts_ns + round(bounds.duration_s * NS_PER_SECOND))
        until_ns = min((one for one in ends if one is not None), default=None)
        self._feed.status.opens_ns = session.opens_ns
        bounds = msgspec.structs.replace(bounds, duration_s=None, until_ns=until_ns)
        return AtTheOpen(source, clock, session.starts_ns, self._opened), bounds

    @property
    def _markets(self) -> set[Market]:
        return {self._feed.spec.market_of(symbol) for symbol in self._feed.symbols}

    # --- while it runs -----------------------------------------------------------------------------------------

    def _say_first(self) -> None:
        made_up = self._feed.status.label != "LIVE"
        for line in self._feed.preface:
            self._talk.line(line, severity="warning" if made_up else "info")
        self._talk.log_to_stderr()
        status = self._feed.status
        if self._options.market_hours and status.opens_ns is not None:
            self._talk.line(f"the market is closed: waiting for {rfc3339(status.opens_ns)}")
        elif self._options.market_hours and all(market.sessions is None for market in self._markets):
            self._talk.line("--market-hours: as far as is known here, these trade around the clock", severity="warning")

    def _opened(self) -> None:
        self._feed.status.opens_ns = None

    def _look(self) -> None:
        """Say what the store has to say, and begin new files when asked to."""
        for notice in self._store.take_notices():
            self._talk.event(notice)
        if self._reopen:
            self._reopen = False
            self._store.rotate()
            self._talk.line("SIGHUP: the files are complete, new ones begin")

    def _on_hangup(self) -> bool:
        """In the signal's handler. A terminal that is gone ends the run; without one it is a daemon's signal."""
        if self._env.stdin_isatty or self._env.stderr_isatty:
            return False
        self._reopen = True
        return True

    def _asked_while_waiting(self) -> bool:
        if self._run is None:
            return False
        self._run.do_chores()
        return self._run.give_up_writing()

    def _files(self) -> FilesStatus:
        now = self._store.status
        return FilesStatus(
            finished=now.files,
            open=now.open_files,
            written=now.bytes,
            waiting=now.waiting_bytes,
            free=now.free_bytes,
            paused=now.paused,
        )


def resume(recovered: Recovered, feed: LiveFeed, dedup: DedupStage) -> None:
    """Go on where an earlier run ended: connections are counted on, what it has is known, what it lacks is a gap."""
    for session in feed.status.sessions:
        session.epoch = session.epoch_before = recovered.epoch
    for left in recovered.symbols.values():
        dedup.seed(_identities(left.recent))
    if not recovered.symbols:
        return
    latest = max(left.ts_recv for left in recovered.symbols.values())
    together = min(left.ts_recv for left in recovered.symbols.values() if latest - left.ts_recv <= TOGETHER_NS)
    for symbol in dict.fromkeys((*feed.symbols, *recovered.symbols)):  # more than were asked for, with a wildcard
        left_of = recovered.symbols.get(symbol)
        if left_of is not None:
            feed.gaps.resume(symbol, left_of.ts_event, min(left_of.ts_recv, together))
        elif symbol in recovered.asked:  # it never came: since then it may have
            feed.gaps.resume(symbol, None, together)


def _identities(events: Iterable[MarketEvent]) -> Iterator[tuple[str, Timestamp | str]]:
    for event in events:
        if isinstance(event, Bar) and event.ts_event is not None:
            yield event.symbol, event.ts_event
        elif isinstance(event, Trade) and event.trade_id is not None:
            yield event.symbol, event.trade_id


def interval_text(seconds: int) -> str:
    """`1m`, `4h`, `1d`: as bars say it."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def without_secrets(command: Iterable[str], redact: Callable[[str], str]) -> tuple[str, ...]:
    """A command line as it may be written down: URLs without user, query and fragment, and no key."""
    shown: list[str] = []
    for word in command:
        name, equals, value = word.partition("=")
        if shown and shown[-1] == "--url":
            word = shown_url(word)  # noqa: PLW2901 - the same word, made harmless
        elif name == "--url" and equals:
            word = f"{name}={shown_url(value)}"  # noqa: PLW2901 - as above
        shown.append(redact(word))
    return tuple(shown)


def _entry(env: Environment, feed: LiveFeed, options: CaptureOptions) -> manifest.RunStart:
    """What the manifest says of this run."""
    now_ns = env.clock.now_ns()
    return manifest.RunStart(
        run=manifest.run_id(now_ns),
        started=now_ns,
        pid=os.getpid(),
        version=__version__,
        provider=feed.spec.name,
        channel=feed.channel.value,
        symbols=feed.symbols,
        format=options.format,
        compression=options.compression,
        template=options.template.text,
        command=without_secrets(env.command, env.redact),
    )
