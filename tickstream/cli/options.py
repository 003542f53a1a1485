"""Options that more than one command has: their names, their help and their completion, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tickstream.cli import completion
from tickstream.config import ON_FULL, OUTPUTS, TIMES

Symbols = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SYMBOL|PROVIDER:SYMBOL|@LIST|-]...",
        help="Symbols as the provider or anybody writes them (EURUSD, EUR/USD, coinbase:BTC-USD), @name for a "
        "watchlist of the config, - to read them from stdin.",
        autocompletion=completion.symbols,
        show_default=False,
    ),
]
SymbolsFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--symbols-file", metavar="FILE", help="Read symbols from a file; # begins a comment.", show_default=False
    ),
]
Provider = Annotated[
    str | None,
    typer.Option("--provider", "-p", metavar="NAME", help="Whom to connect to for symbols without PROVIDER: in front.",
                 autocompletion=completion.providers, show_default=False),
]  # fmt: skip
Channel = Annotated[
    str | None,
    typer.Option("--channel", metavar="NAME", help="Kind of data: bars, quotes, trades, book, orders.",
                 autocompletion=completion.channels, show_default="each provider's first"),
]  # fmt: skip
Interval = Annotated[
    str | None,
    typer.Option("--interval", metavar="TIME", help="Of bars: 1m, 5m, 1h, 1d, 1M (a month), as the provider has them.",
                 autocompletion=completion.intervals, show_default="the provider's, or the config's"),
]  # fmt: skip
Depth = Annotated[
    int | None,
    typer.Option(
        "--depth",
        metavar="N",
        min=1,
        help="Of a book: levels of a side, in the table and in the snapshots of --book-every.",
        show_default="10 in the table, else all",
    ),
]
BookEvery = Annotated[
    str | None,
    typer.Option(
        "--book-every",
        metavar="TIME",
        help="Of a book: a snapshot each 1s (or 250ms...) in which it changed, instead of updates.",
        show_default=False,
    ),
]
Demo = Annotated[bool, typer.Option("--demo", help="No key, no network: a simulator on this machine, labelled DEMO.")]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="Another endpoint: a simulator, a relay.", show_default=False)
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", metavar="PEM", help="Also trust this certificate authority.", show_default=False),
]
AllowPlaintext = Annotated[
    bool,
    typer.Option("--insecure-allow-plaintext", help="Allow ws:// to another machine: the key travels in the clear."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", metavar="FILE", help="Read the key from a file only you can read.", show_default=False),
]
KeyStdin = Annotated[bool, typer.Option("--key-stdin", help="Read the key from the first line of stdin.")]
Connections = Annotated[
    int, typer.Option("--connections", metavar="N", help="Share the symbols of each provider out over N connections.")
]
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries", metavar="N", min=0, help="Give up after N attempts without data.", show_default="no bound"
    ),
]
RetryFor = Annotated[
    str | None,
    typer.Option("--retry-for", metavar="TIME", help="Give up after so long without data.", show_default="no bound"),
]
HoldMax = Annotated[
    str, typer.Option("--hold-max", metavar="TIME", help="How long to wait in all for a free connection slot.")
]
MaxCredits = Annotated[
    int | None,
    typer.Option(
        "--max-credits",
        metavar="N",
        min=0,
        help="Stop before the next pushes would pass N credits with a provider; exit 7.",
        show_default=False,
    ),
]
ExitOnQuota = Annotated[bool, typer.Option("--exit-on-quota", help="End when the day's credits are used up; exit 7.")]
OnFull = Annotated[
    str | None,
    typer.Option("--on-full", metavar="|".join(ON_FULL), help="When the reader of the output is slow.",
                 autocompletion=completion.one_of(ON_FULL), show_default="block"),
]  # fmt: skip
MaxMessage = Annotated[
    int, typer.Option("--max-message", metavar="BYTES", min=1024, help="Close on messages larger than this.")
]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="|".join(OUTPUTS), help="auto: a table on a terminal, JSON lines in a pipe.",
                 autocompletion=completion.one_of(OUTPUTS), show_default="auto"),
]  # fmt: skip
Fields = Annotated[
    str | None,
    typer.Option(
        "--fields",
        metavar="A,B,C",
        help="Pick and order the fields.",
        autocompletion=completion.fields,
        show_default=False,
    ),
]
Time = Annotated[
    str | None,
    typer.Option("--time", metavar="|".join(TIMES), help="How times are written as data.",
                 autocompletion=completion.one_of(TIMES), show_default="iso"),
]  # fmt: skip
Tz = Annotated[
    str | None,
    typer.Option("--tz", metavar="ZONE", help="Time zone of what is displayed; data stays UTC.", show_default="UTC"),
]
Events = Annotated[
    bool, typer.Option("--events", help="Session, gap and notice events go into the data, not to stderr.")
]
CsvRaw = Annotated[
    bool, typer.Option("--csv-raw", help="Do not defuse text that a spreadsheet would run as a formula.")
]
Count = Annotated[
    int | None, typer.Option("--count", "-n", metavar="N", min=1, help="End after N events.", show_default=False)
]
Duration = Annotated[
    str | None, typer.Option("--duration", metavar="TIME", help="End after 90s, 2h, 1h30m.", show_default=False)
]
Until = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="End at 16:00 (in --tz), or a date and time.", show_default=False),
]
Once = Annotated[bool, typer.Option("--once", help="End after one event of each symbol of each provider.")]
IdleTimeout = Annotated[
    str | None,
    typer.Option("--idle-timeout", metavar="TIME", help="End after so long without data; exit 13.", show_default=False),
]
Strict = Annotated[bool, typer.Option("--strict", help="Gaps and drops exit 15, refused symbols 9.")]
Drain = Annotated[
    str, typer.Option("--drain", metavar="TIME", help="How long to go on writing after the first signal.")
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file",
        metavar="FILE.prom",
        help="Keep a Prometheus textfile of the run up to date there.",
        show_default=False,
    ),
]
QuarantineFile = Annotated[
    Path | None,
    typer.Option("--quarantine", metavar="FILE", help="Append unusable messages to this file.", show_default=False),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says most.", show_default=False)
]
LogFormat = Annotated[
    str,
    typer.Option(
        "--log-format",
        metavar="text|json",
        help="How stderr is written.",
        autocompletion=completion.one_of(("text", "json")),
    ),
]
