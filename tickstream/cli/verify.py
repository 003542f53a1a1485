"""`tickstream verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickstream.cli.app import environment
from tickstream.cli.flags import expanded
from tickstream.cli.reading import Paths, ReadFlags, SpanFlags
from tickstream.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tickstream.capture.verifying_series import Numbering, Rules
    from tickstream.markets import Market
    from tickstream.providers.base import ProviderSpec
    from tickstream.timestamps import Timestamp


@expanded
def verify(
    paths: Paths,
    span: SpanFlags,
    read: ReadFlags,
    market_hours: Annotated[
        Literal["follow", "ignore"],
        typer.Option("--market-hours", help="Whether bars are owed while their market is closed (ignore: they are)."),
    ] = "follow",
    numbering: Annotated[
        Literal["auto", "contiguous", "increasing"],
        typer.Option(
            "--numbering",
            help="Whether a number left out is something missing. auto: where most trade ids or sequences of a symbol "
            "follow one another.",
        ),
    ] = "auto",
    everything: Annotated[bool, typer.Option("--all", help="List every hole, gap and file in the table.")] = False,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="How to print the result.")] = (
        "table"
    ),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr.")] = False,
) -> int:
    """What a capture holds, and what it misses: every file is read, and set against its manifest.

    For each symbol: bars that its market owed and that are not there, holes in trade ids and sequences, and whether a
    gap record explains them; what is there twice, out of order, crossed (bid over ask), torn or unreadable. Exits 0
    when it is complete, 15 when it is not, 14 when a file cannot be read. Crossed prices, and the order of what
    nothing numbers, are the provider's own and leave a capture complete.

    \b
    Examples:
      tickstream verify data/                              everything in it
      tickstream verify data/ --from 2026-06-24 --to 2026-06-25
      tickstream verify data/ -o json | jq '.series[] | select(.missing > 0)'
      tickstream verify 'data/**/XAUUSD/*.jsonl.gz' --market-hours ignore
      tickstream verify old.csv --columns ts_event=time --type bar --interval 1m --symbol EURUSD

    Only whole captures, and --from and --to, can say that something is missing before the first event or behind the
    last. Memory does not grow with the size of the files.
    """
    from tickstream.capture.verifying_files import Verification
    from tickstream.cli.meter import Meter
    from tickstream.cli.verdict import TextVerdict, document, speed_line

    here = environment()
    begin, end = span.span()
    options = read.options(here, paths)
    meter = Meter(here, "verifying")
    try:
        rules = _rules(market_hours, numbering, begin, end)
        report = Verification(paths, rules, options, here.clock, None if quiet else meter).run()
    finally:
        meter.clear()
    if output == "json":
        here.print(document(report))
    else:
        TextVerdict(here, report, everything=everything).print()
    if not quiet:
        here.say(f"tickstream: {speed_line(report)}")
    return int(_CODES[str(report.verdict)])


_CODES = {"complete": ExitCode.OK, "incomplete": ExitCode.INCOMPLETE, "unreadable": ExitCode.OUTPUT}


def _rules(market_hours: str, numbering: Numbering, begin: Timestamp | None, end: Timestamp | None) -> Rules:
    from tickstream.capture.verifying_series import Rules
    from tickstream.markets import ALWAYS, FOREX, market_of, pause_of

    def hours(provider: str, symbol: str) -> Market:
        if market_hours == "ignore":
            return ALWAYS
        spec = _spec(provider)
        return market_of(symbol) if spec is None else spec.market_of(symbol)

    def pause(provider: str, symbol: str) -> Market | None:
        return pause_of(symbol) if hours(provider, symbol) is FOREX else None  # XAUT is a coin

    def once(provider: str) -> bool:
        spec = _spec(provider)
        return spec is None or spec.bars_once

    return Rules(market_of=hours, pause_of=pause, bars_once=once, start=begin, end=end, numbering=numbering)


def _spec(provider: str) -> ProviderSpec | None:
    """What is declared about a provider; None for one that is not known here."""
    from tickstream.providers import load

    try:
        return load(provider)
    except UsageError:
        return None
