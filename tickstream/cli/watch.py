"""`tickstream watch`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.values import parse_duration, seconds_until, zone
from tickstream.errors import ExitCode, OutputError, TickstreamError, UsageError

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment


def watch(  # noqa: PLR0913, PLR0917 - one parameter for each option
    symbols: opt.Symbols = None,
    symbols_file: opt.SymbolsFile = None,
    provider: opt.Provider = None,
    demo: opt.Demo = False,
    output: opt.Output = None,
    fields: opt.Fields = None,
    time: opt.Time = None,
    tz: opt.Tz = None,
    events: opt.Events = False,
    csv_raw: opt.CsvRaw = False,
    count: opt.Count = None,
    duration: opt.Duration = None,
    until: opt.Until = None,
    once: opt.Once = False,
    idle_timeout: opt.IdleTimeout = None,
    strict: opt.Strict = False,
    drain: opt.Drain = "5s",
    url: opt.Url = None,
    ca_file: opt.CaFile = None,
    insecure_allow_plaintext: opt.AllowPlaintext = False,
    key_file: opt.KeyFile = None,
    key_stdin: opt.KeyStdin = False,
    connections: opt.Connections = 1,
    retries: opt.Retries = None,
    retry_for: opt.RetryFor = None,
    hold_max: opt.HoldMax = "1h",
    max_credits: opt.MaxCredits = None,
    exit_on_quota: opt.ExitOnQuota = False,
    on_full: opt.OnFull = None,
    max_message: opt.MaxMessage = 8 * 2**20,
    quarantine: opt.QuarantineFile = None,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = 0,
    log_format: opt.LogFormat = "text",
) -> int:
    """Stream live data: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      tickstream watch --demo                            look at it, without a key
      tickstream watch EURUSD XAUUSD                     a live table
      tickstream watch EURUSD -o jsonl | jq .bid         one JSON object per line
      tickstream watch @majors -o csv > majors.csv       a watchlist of the config
      tickstream watch EURUSD --once -o jsonl            one event per symbol, then the end
      tickstream watch EURUSD --fields symbol,bid,ask -o csv --count 10
      tickstream watch EURUSD --until 16:00 --strict     exit 15 if anything is missing
      tickstream watch EURUSD --max-credits 5000         exit 7 before a push would cost more

    What happens to the stream (sessions, gaps, notices) is said on stderr, or in the data with --events.
    `tickstream exit-codes` lists how a run can end.
    """
    from tickstream.cli.bounds import Bounds
    from tickstream.cli.live import FeedOptions, live_feed
    from tickstream.cli.outputs import OutputOptions
    from tickstream.session.retry import RetryOptions

    env = environment()
    settings = env.config()
    duration_s = _shorter(env, duration, until, tz or settings.text("tz"))
    if log_format not in ("text", "json"):
        raise UsageError(f"--log-format: {log_format[:20]!r} is neither text nor json.")
    feed_options = FeedOptions(
        symbols=tuple(symbols or ()),
        symbols_files=tuple(symbols_file or ()),
        provider=provider,
        url=url,
        demo=demo,
        ca_file=ca_file,
        allow_plaintext=insecure_allow_plaintext,
        key_file=key_file,
        key_stdin=key_stdin,
        connections=connections,
        retry=RetryOptions(retries, _seconds(retry_for, "--retry-for"), parse_duration(hold_max, "--hold-max")),
        max_credits=max_credits,
        exit_on_quota=exit_on_quota,
        on_full=settings.text("on_full", on_full),
        max_message=max_message,
        duration_s=duration_s,
    )
    output_options = OutputOptions(
        format=settings.text("output", output),
        fields=tuple(name.strip() for name in fields.split(",")) if fields else None,
        time=settings.text("time", time),
        tz=zone(settings.text("tz", tz)),
        events=events,
        csv_raw=csv_raw,
        quarantine=quarantine,
        level=-1 if quiet else verbose,
        log_format=log_format,
    )
    bounds = Bounds(duration_s, _seconds(idle_timeout, "--idle-timeout"), strict, parse_duration(drain, "--drain"))
    try:
        with live_feed(env, feed_options, settings) as feed:
            from tickstream.cli.outputs import stream

            return int(stream(env, feed, output_options, bounds, count=count, once=once))
    except TickstreamError as error:
        if log_format != "json":
            raise
        return int(_said_as_json(env, error))


def _said_as_json(env: Environment, error: TickstreamError) -> ExitCode:
    """Why the run ended, in the form of everything else that it said."""
    from tickstream.cli.talk import Talk

    if isinstance(error, OutputError):
        env.abandon_stdout()
    Talk(env, log_format="json").error(error)
    return error.exit_code


def _seconds(text: str | None, option: str) -> float | None:
    return None if text is None else parse_duration(text, option)


def _shorter(env: Environment, duration: str | None, until: str | None, tz: str) -> float | None:
    """The seconds a run may take: the lesser of --duration and --until."""
    seconds = [] if duration is None else [parse_duration(duration, "--duration")]
    if until is not None:
        now = datetime.fromtimestamp(env.clock.now_ns() / 1e9, UTC).astimezone(zone(tz))
        seconds.append(seconds_until(until, now))
    return min(seconds, default=None)
