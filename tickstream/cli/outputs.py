"""From a feed to an output: the sink that was asked for, what is said on stderr, and the run over both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import cast

from tickstream.cli.bounds import Bounds
from tickstream.cli.chores import Chore
from tickstream.cli.environment import Environment
from tickstream.cli.flow import Parts
from tickstream.cli.run import Run
from tickstream.cli.source import Stream
from tickstream.cli.talk import Talk
from tickstream.errors import ExitCode, UsageError
from tickstream.events import Quarantined
from tickstream.pipeline.base import Stage
from tickstream.pipeline.limits import LimitStage
from tickstream.sinks import load
from tickstream.sinks.base import DISPLAY_DEPTH, Display, Sink, SinkRequest, TimeFormat
from tickstream.sinks.output import Output
from tickstream.status import RunStatus


@dataclass(frozen=True)
class OutputOptions:
    """What the command line says about the output."""

    format: str = "auto"
    fields: tuple[str, ...] | None = None
    time: str = "iso"
    tz: tzinfo | None = None
    events: bool = False
    csv_raw: bool = False
    quarantine: Path | None = None
    """For messages that cannot be used."""
    metrics_file: Path | None = None
    depth: int | None = None
    """Levels of a side that are drawn of a book."""


def show(
    env: Environment,
    stream: Stream,
    options: OutputOptions,
    bounds: Bounds,
    talk: Talk,
    *,
    count: int | None = None,
    once: bool = False,
) -> ExitCode:
    """Run the stream into an output on stdout until it ends. Raises the TickstreamError that ended it."""
    spec = load(_format(env, options.format))
    if options.events and not spec.carries_events:
        raise UsageError(
            f"--events does not go with -o {spec.name}, whose lines are market data only.",
            hint="Use -o jsonl --events, or read them from stderr: --log-format json.",
        )
    talk.log_to_stderr()
    runs: list[Run] = []
    output = Output(env.stdout, env.clock, lambda: bool(runs) and runs[0].give_up_writing())
    sink = spec.make(_request(env, output, stream, options))
    limit = _limit(stream.status, count, once=once)
    for line in stream.preface:
        talk.line(line)
    talk.muted = _shares_terminal(env, sink)
    chores: list[Chore] = [(spec.refresh_s, sink.refresh)] if spec.refresh_s is not None else []
    stages: list[Stage] = [*stream.stages, limit]
    with contextlib.closing(output):
        metrics = None
        if options.metrics_file is not None:
            from tickstream.cli.gauges import MetricsFile

            metrics = MetricsFile(options.metrics_file, env, talk, stream.status)
            stages.insert(0, metrics.stage)
            chores.append(metrics.chore)
        parts = Parts(
            stages=stages,
            limit=limit,
            sink=sink,
            outlet=output,
            talk=talk,
            events_in_data=options.events,
            events_said=not options.events,
            on_quarantined=_quarantine(env, options.quarantine),
        )
        runs.append(Run(env.clock, stream.source, parts, bounds, stream.status, *chores))
        return runs[0].execute() if metrics is None else metrics.over(runs[0])


def _limit(status: RunStatus, count: int | None, *, once: bool) -> LimitStage:
    names = frozenset(status.names) if once else None
    if not status.several:
        return LimitStage(count, names)
    return LimitStage(count, names, lambda event: status.name_of(event.provider, event.symbol))


def _quarantine(env: Environment, path: Path | None) -> Callable[[list[Quarantined]], None] | None:
    if path is None:
        return None
    from tickstream.cli.quarantine import QuarantineFile

    return QuarantineFile(path, env.clock).write


def _request(env: Environment, output: Output, stream: Stream, options: OutputOptions) -> SinkRequest:
    return SinkRequest(
        output=output,
        clock=env.clock,
        status=stream.status,
        display=Display(isatty=env.stdout_isatty, env=env.env, tz=options.tz, depth=options.depth or DISPLAY_DEPTH),
        fields=options.fields,
        channels=stream.channels,
        time=cast(TimeFormat, options.time),
        events=options.events,
        csv_raw=options.csv_raw,
    )


def _format(env: Environment, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "table" if env.stdout_isatty else "jsonl"


def _shares_terminal(env: Environment, sink: Sink) -> bool:
    """True while a sink draws on the terminal that stderr goes to as well."""
    return sink.owns_terminal and env.stderr_isatty
