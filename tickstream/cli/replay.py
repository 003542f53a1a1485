"""`tickstream replay`."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.flags import BookFlags, BoundFlags, OutputFlags, TalkFlags, expanded, seconds
from tickstream.cli.reading import Paths, ReadFlags, SpanFlags
from tickstream.errors import ExitCode, NoData, UsageError


@expanded
def replay(  # noqa: PLR0913, PLR0917 - one parameter for each option, or group of them
    paths: Paths,
    span: SpanFlags,
    books: BookFlags,
    shown: OutputFlags,
    ends: BoundFlags,
    read: ReadFlags,
    talking: TalkFlags,
    speed: Annotated[
        str, typer.Option("--speed", metavar="X|max", help="How many times as fast as it happened; max: at once.")
    ] = "1",
    by: Annotated[
        Literal["ts_recv", "ts_event"],
        typer.Option("--by", help="Whose clock it is played by: ours, or the provider's."),
    ] = "ts_recv",
    max_wait: Annotated[
        str | None,
        typer.Option(
            "--max-wait",
            metavar="TIME",
            help="Never wait longer than this, however long nothing came.",
            show_default=False,
        ),
    ] = None,
    count: opt.Count = None,
    once: opt.Once = False,
) -> int:
    """Play a capture back, through the same outputs as live data: at the pace at which it came, or any other.

    Files of several symbols are merged in the order in which their events were received. Raw captures go through the
    provider's protocol again, as it is now. What is read is not changed.

    \b
    Examples:
      tickstream replay data/                                   a table, as it was; labelled REPLAY
      tickstream replay data/ --speed 60 --max-wait 5s          a minute a second, weekends left out
      tickstream replay data/ --speed max -o jsonl | ./strategy
      tickstream replay data/ --from 2026-06-24T14:00Z --to 2026-06-24T15:00Z -o csv --speed max
      tickstream replay data/tickatlas/raw --speed max -o jsonl     decoded anew
      tickstream replay data/ --by ts_event --speed 600         of a simulation: in market time

    Gaps that were recorded are told like live ones. Ctrl-C ends it with 130, `| head` with 0.
    """
    from dataclasses import replace

    from tickstream.capture.playback import Wanted
    from tickstream.cli.bounds import Bounds
    from tickstream.cli.outputs import show
    from tickstream.cli.player import Pace
    from tickstream.cli.playing import Replay, ReplayOptions

    env = environment()
    talk = talking.talk(env)

    def run() -> ExitCode:
        settings = env.config()
        bounds = ends.bounds(env, shown.tz or settings.text("tz"))
        # The run's clock shows the time of the capture: --until is turned into how long that still is.
        real = Bounds(bounds.longest_s(env.clock.now_ns()), strict=bounds.strict, drain_s=bounds.drain_s)
        begin, end = span.span()
        options = replace(shown.options(settings), depth=books.depth)
        playing = Replay(
            env,
            ReplayOptions(
                paths=tuple(paths),
                read=read.options(env, paths),
                wanted=Wanted(by, begin, end, payloads=options.format == "raw"),
                pace=Pace(_speed(speed), seconds(max_wait, "--max-wait")),
                books=books.options(options.format),
                once=once,
            ),
        )
        try:
            return show(playing.env, playing.stream(), playing.columns(options), real, talk, count=count, once=once)
        except NoData:
            raise NoData(
                "There was nothing to replay: no event in these files"
                + (", or none in that time." if begin or end else "."),
                hint="`tickstream verify` says what they hold.",
            ) from None

    return int(talk.over(run))


def _speed(text: str) -> float:
    if text == "max":
        return math.inf
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < math.inf:
        raise UsageError(f"--speed: {text[:40]!r} is no factor.", hint="Write a number above 0, or max.")
    return factor
