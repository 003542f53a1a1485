"""`tickstream watch`."""

from __future__ import annotations

from dataclasses import replace

from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.flags import BookFlags, BoundFlags, ConnectionFlags, OutputFlags, SymbolFlags, TalkFlags, expanded
from tickstream.errors import ExitCode


@expanded
def watch(  # noqa: PLR0913, PLR0917 - one parameter for each option, or group of them
    wanted: SymbolFlags,
    books: BookFlags,
    shown: OutputFlags,
    ends: BoundFlags,
    connection: ConnectionFlags,
    talking: TalkFlags,
    count: opt.Count = None,
    once: opt.Once = False,
    idle_timeout: opt.IdleTimeout = None,
    metrics_file: opt.MetricsFile = None,
    quarantine: opt.QuarantineFile = None,
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
      tickstream watch -p kraken BTC/USD --channel book --depth 10     a live ladder
      tickstream watch -p fcs EUR/USD aapl               FX:EURUSD and NASDAQ:AAPL, as FCS calls them
      tickstream watch EURUSD fcs:EURUSD coinbase:BTC-USD              several providers, one table
      tickstream watch -p kraken BTC/USD --channel bars --interval 5m
      tickstream watch EURUSD --until 16:00 --strict     exit 15 if anything is missing
      tickstream watch EURUSD --max-credits 5000         exit 7 before a push would cost more

    What happens to the stream (sessions, gaps, notices) is said on stderr, or in the data with --events.
    `tickstream exit-codes` lists how a run can end.
    """
    from tickstream.cli.live import live_stream
    from tickstream.cli.outputs import show

    env = environment()
    talk = talking.talk(env)

    def run() -> ExitCode:
        settings = env.config()
        bounds = ends.bounds(env, shown.tz or settings.text("tz"), idle_timeout)
        options = replace(shown.options(settings), quarantine=quarantine, metrics_file=metrics_file, depth=books.depth)
        feed_options = connection.feed_options(wanted, settings, bounds.longest_s(env.clock.now_ns()))
        feed_options = replace(feed_options, raw=options.format == "raw", books=books.options(options.format))
        with live_stream(env, feed_options, settings) as stream:
            return show(env, stream, options, bounds, talk, count=count, once=once)

    return int(talk.over(run))
