"""`tickstream capture`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tickstream.cli import completion
from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.flags import BookFlags, BoundFlags, ConnectionFlags, SymbolFlags, TalkFlags, expanded, seconds
from tickstream.cli.values import parse_duration
from tickstream.errors import ExitCode, UsageError
from tickstream.suggestions import did_you_mean, shown

if TYPE_CHECKING:
    from tickstream.cli.recording import CaptureOptions

FORMATS = ("jsonl", "csv", "raw", "parquet")
COMPRESSIONS = ("none", "gzip", "zstd")
ON_DISK_FULL = ("wait", "exit")


@dataclass(frozen=True)
class FileFlags:
    """Which files, and what happens to them."""

    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="DIR|TEMPLATE",
            help="A folder, or names as 'data/{symbol}/{date}.jsonl'. Placeholders: provider, channel, symbol, "
            "interval, date, year, month, day, hour.",
            show_default="data; demo-data with --demo",
        ),
    ] = None
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="|".join(FORMATS), help="Format of the files.",
                     autocompletion=completion.one_of(FORMATS)),
    ] = "jsonl"  # fmt: skip
    compress: Annotated[
        str,
        typer.Option("--compress", metavar="|".join(COMPRESSIONS), help="Compress the files.",
                     autocompletion=completion.one_of(COMPRESSIONS)),
    ] = "none"  # fmt: skip
    rotate: Annotated[
        list[str] | None,
        typer.Option(
            "--rotate",
            metavar="SIZE|TIME",
            help="Begin new files at 100MB, 1h, daily (UTC), beside where the names change; may be repeated.",
            show_default=False,
        ),
    ] = None
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", metavar="TIME", help="Delete finished files of this capture after 30d.", show_default="for ever"
        ),
    ] = None
    fsync_interval: Annotated[
        str, typer.Option("--fsync-interval", metavar="TIME", help="What a power cut can cost at the most.")
    ] = "500ms"
    min_free_space: Annotated[
        str, typer.Option("--min-free-space", metavar="SIZE", help="Leave so much of the disk free, as 500MB.")
    ] = "0"
    on_disk_full: Annotated[
        str,
        typer.Option("--on-disk-full", metavar="|".join(ON_DISK_FULL), help="Wait for room, or end with exit code 14.",
                     autocompletion=completion.one_of(ON_DISK_FULL)),
    ] = "wait"  # fmt: skip
    market_hours: Annotated[
        bool, typer.Option("--market-hours", help="Wait for the market to open, and end when it closes.")
    ] = False

    def options(self, *, demo: bool, count: int | None) -> CaptureOptions:
        """Raises UsageError for what makes no sense, ConfigError for what is not installed."""
        from tickstream.capture import parquet
        from tickstream.capture.compression import CODECS
        from tickstream.capture.rotation import parse_rotation, parse_size
        from tickstream.capture.template import PathTemplate
        from tickstream.cli.recording import CaptureOptions

        form = _one_of("--output", self.output, FORMATS)
        compression = _one_of("--compress", self.compress, COMPRESSIONS)
        if form == "parquet":
            if compression != "none":
                raise UsageError("--compress does not go with -o parquet, whose files are compressed inside.")
            parquet.require()
        CODECS[compression].require()
        keep_s = seconds(self.keep, "--keep")
        if keep_s is not None and keep_s <= 0:
            raise UsageError("--keep: nothing would be kept.", hint="Write 30d, or leave it out to keep everything.")
        return CaptureOptions(
            template=PathTemplate(self.to or ("demo-data" if demo else "data"), format=form, compression=compression),
            format=form,
            compression=compression,
            rotation=parse_rotation(self.rotate or ()),
            fsync_interval_s=parse_duration(self.fsync_interval, "--fsync-interval"),
            min_free_bytes=parse_size(self.min_free_space, "--min-free-space"),
            on_disk_full="exit" if _one_of("--on-disk-full", self.on_disk_full, ON_DISK_FULL) == "exit" else "wait",
            keep_s=keep_s,
            market_hours=self.market_hours,
            count=count,
        )


@expanded
def capture(  # noqa: PLR0913, PLR0917 - one parameter for each option, or group of them
    wanted: SymbolFlags,
    books: BookFlags,
    files: FileFlags,
    ends: BoundFlags,
    connection: ConnectionFlags,
    talking: TalkFlags,
    tz: opt.Tz = None,
    count: opt.Count = None,
    idle_timeout: opt.IdleTimeout = None,
    metrics_file: opt.MetricsFile = None,
    quarantine: opt.QuarantineFile = None,
) -> int:
    """Record live data to files, for months and unattended, so that nothing is lost silently.

    \b
    Examples:
      tickstream capture EURUSD XAUUSD --to data          data/tickatlas/bars/EURUSD/2026-06-24.jsonl ...
      tickstream capture @majors --to data --compress zstd --keep 90d
      tickstream capture EURUSD --to 'data/{symbol}/{year}-{month}.csv' -o csv
      tickstream capture -p kraken BTC/USD --channel bars --interval 1h --to coins
      tickstream capture EURUSD --to data --market-hours --strict     from cron, a run for each week
      tickstream capture EURUSD --to data -o raw          the provider's own messages
      tickstream capture --demo --to demo --duration 1m   try it, without a key

    A file is FILE.part while it is written, and never touched again once it has its name. After a crash the next run
    puts in order what is left, and goes on; data/manifest.jsonl tells what there is, and each interval that is missing.
    One run at a time writes to a folder; a second one ends with exit code 17.
    """
    from dataclasses import replace

    from tickstream.cli.live import live_feed
    from tickstream.cli.recording import Recording

    env = environment()
    talk = talking.talk(env, calm=not env.stderr_isatty)

    def run() -> ExitCode:
        settings = env.config()
        options = replace(
            files.options(demo=wanted.demo, count=count), metrics_file=metrics_file, quarantine=quarantine
        )
        bounds = ends.bounds(env, tz or settings.text("tz"), idle_timeout)
        feed_options = connection.feed_options(wanted, settings, bounds.longest_s(env.clock.now_ns()))
        feed_options = replace(feed_options, books=books.options(options.format), gaps_each=True)
        with live_feed(env, feed_options, settings, "capture") as feed:
            return Recording(env, feed, options, bounds, talk).execute()

    return int(talk.over(run))


def _one_of(option: str, value: str, values: tuple[str, ...]) -> str:
    if value not in values:
        raise UsageError(f"{option}: {shown(value)} is none of {', '.join(values)}.", hint=did_you_mean(value, values))
    return value
