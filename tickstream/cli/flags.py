"""Groups of options that commands share: dataclasses whose fields Typer sees as options of the command.

A command takes groups as parameters and is decorated with `expanded`; single options of its own stand beside them.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_type_hints

from tickstream.cli import options as opt
from tickstream.cli.values import parse_duration, seconds_until, zone
from tickstream.errors import UsageError

if TYPE_CHECKING:
    from tickstream.cli.books import BookOptions
    from tickstream.cli.bounds import Bounds
    from tickstream.cli.environment import Environment
    from tickstream.cli.feed_options import FeedOptions
    from tickstream.cli.outputs import OutputOptions
    from tickstream.cli.talk import Talk
    from tickstream.config import Config


@dataclass(frozen=True)
class SymbolFlags:
    """What is asked for, and of whom."""

    symbols: opt.Symbols = None
    symbols_file: opt.SymbolsFile = None
    provider: opt.Provider = None
    channel: opt.Channel = None
    interval: opt.Interval = None
    demo: opt.Demo = False


@dataclass(frozen=True)
class BookFlags:
    """How much of order books, and how often."""

    depth: opt.Depth = None
    book_every: opt.BookEvery = None

    def options(self, format: str) -> BookOptions:  # noqa: A002 - as OutputOptions names it
        """For an output of this format. Raises UsageError for what makes no sense."""
        from tickstream.cli.books import BookOptions

        every_s = seconds(self.book_every, "--book-every")
        if every_s is not None and every_s <= 0:
            raise UsageError("--book-every: write an interval above 0, as 1s.")
        if every_s is not None and format == "raw":
            raise UsageError(
                "--book-every does not go with -o raw, which passes the provider's own messages on.",
                hint="Use -o jsonl, or leave one of them out.",
            )
        return BookOptions(self.depth, every_s, raw=format == "raw")


@dataclass(frozen=True)
class ConnectionFlags:
    """How to get there, and what to do when that fails."""

    url: opt.Url = None
    ca_file: opt.CaFile = None
    insecure_allow_plaintext: opt.AllowPlaintext = False
    key_file: opt.KeyFile = None
    key_stdin: opt.KeyStdin = False
    connections: opt.Connections = 1
    retries: opt.Retries = None
    retry_for: opt.RetryFor = None
    hold_max: opt.HoldMax = "1h"
    max_credits: opt.MaxCredits = None
    exit_on_quota: opt.ExitOnQuota = False
    on_full: opt.OnFull = None
    max_message: opt.MaxMessage = 8 * 2**20

    def feed_options(self, wanted: SymbolFlags, settings: Config, duration_s: float | None) -> FeedOptions:
        """The live feed that is asked for; `duration_s` is how long the run may take. Raises UsageError."""
        from tickstream.cli.feed_options import FeedOptions
        from tickstream.session.retry import RetryOptions

        return FeedOptions(
            symbols=tuple(wanted.symbols or ()),
            channel=wanted.channel,
            interval=wanted.interval,
            symbols_files=tuple(wanted.symbols_file or ()),
            provider=wanted.provider,
            url=self.url,
            demo=wanted.demo,
            ca_file=self.ca_file,
            allow_plaintext=self.insecure_allow_plaintext,
            key_file=self.key_file,
            key_stdin=self.key_stdin,
            connections=self.connections,
            retry=RetryOptions(
                self.retries, seconds(self.retry_for, "--retry-for"), parse_duration(self.hold_max, "--hold-max")
            ),
            max_credits=self.max_credits,
            exit_on_quota=self.exit_on_quota,
            on_full=settings.text("on_full", self.on_full),
            max_message=self.max_message,
            duration_s=duration_s,
        )


@dataclass(frozen=True)
class OutputFlags:
    """Which output on stdout, and what it looks like."""

    output: opt.Output = None
    fields: opt.Fields = None
    time: opt.Time = None
    tz: opt.Tz = None
    events: opt.Events = False
    csv_raw: opt.CsvRaw = False

    def options(self, settings: Config) -> OutputOptions:
        """Raises UsageError for what does not exist."""
        from tickstream.cli.outputs import OutputOptions

        return OutputOptions(
            format=settings.text("output", self.output),
            fields=tuple(name.strip() for name in self.fields.split(",")) if self.fields else None,
            time=settings.text("time", self.time),
            tz=zone(settings.text("tz", self.tz)),
            events=self.events,
            csv_raw=self.csv_raw,
        )


@dataclass(frozen=True)
class BoundFlags:
    """What ends the run, and whether it was a success."""

    duration: opt.Duration = None
    until: opt.Until = None
    strict: opt.Strict = False
    drain: opt.Drain = "5s"

    def bounds(self, env: Environment, tz: str, idle_timeout: str | None = None) -> Bounds:
        """`tz`: the zone of a time of day. Raises UsageError."""
        from tickstream.cli.bounds import Bounds

        until_ns = None
        if self.until is not None:
            now_ns = env.clock.now_ns()
            now = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(zone(tz))
            until_ns = now_ns + round(seconds_until(self.until, now) * 1e9)
        return Bounds(
            duration_s=seconds(self.duration, "--duration"),
            until_ns=until_ns,
            idle_timeout_s=seconds(idle_timeout, "--idle-timeout"),
            strict=self.strict,
            drain_s=parse_duration(self.drain, "--drain"),
        )


@dataclass(frozen=True)
class TalkFlags:
    """How much is said on stderr, and in which form."""

    quiet: opt.Quiet = False
    verbose: opt.Verbose = 0
    log_format: opt.LogFormat = "text"

    def talk(self, env: Environment, *, calm: bool = False) -> Talk:
        """Raises UsageError for an unknown form."""
        from tickstream.cli.talk import Talk

        if self.log_format not in ("text", "json"):
            raise UsageError(f"--log-format: {self.log_format[:20]!r} is neither text nor json.")
        return Talk(env, -1 if self.quiet else self.verbose, self.log_format, calm=calm)


def seconds(text: str | None, option: str) -> float | None:
    """The duration an option names, None when it was not given. Raises UsageError naming the option."""
    return None if text is None else parse_duration(text, option)


def expanded(command: Callable[..., int]) -> Callable[..., int]:
    """The command with the fields of its groups as parameters of their own, in their places."""
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            groups[name] = kind
            parameters += _parameters(kind)
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def with_groups(**given: Any) -> int:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        return command(**made, **given)

    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks at first
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


def _parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(group)
    ]
