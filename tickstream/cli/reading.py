"""Options of the commands that read files: which files, what is in those of others, and from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from tickstream.cli import completion
from tickstream.errors import UsageError
from tickstream.timestamps import Timestamp, parse_rfc3339

if TYPE_CHECKING:
    from tickstream.capture.reading import ReadOptions
    from tickstream.cli.environment import Environment

TYPES = ("bar", "quote", "trade")

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Files, folders of a capture, patterns like 'data/**/*.gz', or - for stdin."
    ),
]


@dataclass(frozen=True)
class ReadFlags:
    """What files hold that tickstream did not write, where their own names do not say it."""

    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="FIELD=COLUMN,...",
            help="For files of others: ts_event=time,close=last.",
            show_default=False,
        ),
    ] = None
    type: Annotated[
        str | None,
        typer.Option("--type", metavar="|".join(TYPES), help="For files of others: what each row is.",
                     autocompletion=completion.one_of(TYPES), show_default=False),
    ] = None  # fmt: skip
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", metavar="NAME", help="For files of others: the symbol of every row.",
                     show_default=False),
    ] = None  # fmt: skip
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="1m", help="For files of others: how long each bar is.", show_default=False),
    ] = None
    provider: Annotated[
        str | None,
        typer.Option("--provider", "-p", metavar="NAME", help="Whose messages raw lines are, or whose data it is.",
                     autocompletion=completion.providers, show_default=False),
    ] = None  # fmt: skip

    def options(self, env: Environment, paths: Iterable[str]) -> ReadOptions:
        """How to read these paths. Raises UsageError."""
        from tickstream.capture.foreign import ForeignColumns, parse_columns
        from tickstream.capture.reading import ReadOptions

        if list(paths).count("-") > 1:
            raise UsageError("- stands for stdin, which can be read once.")
        foreign = ForeignColumns(
            columns=parse_columns(self.columns) if self.columns else {},
            type=self.type,
            symbol=self.symbol,
            interval=self.interval,
            provider=self.provider,
        )
        return ReadOptions(stdin=env.stdin, provider=self.provider, foreign=foreign)


@dataclass(frozen=True)
class SpanFlags:
    """From when to when, by `ts_event`."""

    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only from then on: 2026-06-24, 2026-06-24T14:00Z.",
                     show_default=False),
    ] = None  # fmt: skip
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Only what was before; that moment is left out.", show_default=False),
    ] = None

    def span(self) -> tuple[Timestamp | None, Timestamp | None]:
        """[from, to) in ns; None where there is no bound. Raises UsageError."""
        begin, end = _moment(self.begin, "--from"), _moment(self.end, "--to")
        if begin is not None and end is not None and begin >= end:
            raise UsageError("--from is not before --to: nothing lies between them.")
        return begin, end


def _moment(text: str | None, option: str) -> Timestamp | None:
    if text is None:
        return None
    date_only = len(text.strip()) == len("2026-06-24")
    try:
        return parse_rfc3339(f"{text.strip()}T00:00Z" if date_only else text)
    except ValueError:
        raise UsageError(
            f"{option}: {text[:40]!r} is not a time.", hint="Write 2026-06-24, or 2026-06-24T14:00:00Z."
        ) from None
