"""The Typer app, and the one place that turns errors into exit codes.

A command is one file here: `COMMANDS` names its module, which is imported only when the command runs (or when the
help of all is asked for), so that start-up stays fast. Each module has a function of the command's name with
underscores (`exit_codes`), or a Typer app `app` where it has subcommands.
"""

from __future__ import annotations

import contextvars
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from tickstream.errors import ExitCode, OutputError, TickstreamError, UsageError

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment

COMMANDS: dict[str, str] = {
    "watch": "Stream live data to the terminal, or as JSON lines or CSV into a pipe.",
    "capture": "Record live data to files that survive crashes, full disks and months.",
    "replay": "Play a capture back through the same outputs as live data, at any speed.",
    "verify": "What a capture holds, and what it misses.",
    "convert": "Convert captures between JSON lines, CSV and Parquet.",
    "schedule": "Print what makes cron, systemd, launchd or Windows run a capture.",
    "credits": "What a subscription costs in credits, and which plan fits.",
    "simulate": "Run a local server that speaks a provider's protocol: no key, no network.",
    "doctor": "Check the way to the provider step by step, and say whose fault it is.",
    "providers": "List the providers: what they stream, keys, limits, hours.",
    "schema": "Print the JSON Schema of the events.",
    "config": "Show and change the configuration and the keys.",
    "explain": "What an error code or an exit code means, and what to do.",
    "exit-codes": "List the exit codes.",
}
"""Command -> its line in the help; the module is tickstream.cli.<name with underscores>."""

UNWRITABLE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What Typer's own printing of a help text may meet; ours raises OutputError."""

ClickException: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_environment: contextvars.ContextVar[Environment] = contextvars.ContextVar("environment")


def environment() -> Environment:
    """The Environment of the running command."""
    return _environment.get()


class UnforeseenEnd(Exception):
    """Carries an EOFError past Typer, which takes one for Ctrl-D at a prompt of its own. We have none."""

    def __init__(self, error: EOFError) -> None:
        super().__init__()
        self.error = error


class LazyGroup(TyperGroup):
    """Imports a command's module when it is needed."""

    def invoke(self, ctx: Any) -> Any:
        """Raises UnforeseenEnd for an EOFError: a bug, or a file of the program that was cut."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise UnforeseenEnd(error) from error

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """An unknown command is answered with the nearest ones."""
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing and not args[0].startswith("-"):
            from tickstream.suggestions import did_you_mean, shown

            raise UsageError(
                f"there is no command {shown(args[0])}",
                hint=did_you_mean(args[0], COMMANDS) or f"Commands: {', '.join(COMMANDS)}.",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as above
        """The list in `--help`, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The commands, without importing a single one; or options."""
        from typer.core import CompletionItem  # type: ignore[attr-defined]  # of click, which Typer carries inside

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=line) for name, line in COMMANDS.items() if name.startswith(incomplete)]


def load_command(name: str) -> Any:
    """The click command of this name, its module imported now."""
    attribute = name.replace("-", "_")
    module = importlib.import_module(f"tickstream.cli.{attribute}")
    sub = getattr(module, "app", None)
    if sub is None:
        sub = typer.Typer(rich_markup_mode=None, add_completion=False)
        sub.command(name, help=getattr(module, attribute).__doc__)(getattr(module, attribute))
    command = typer.main.get_command(sub)
    command.name = name
    return command


app = typer.Typer(
    name="tickstream",
    cls=LazyGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from tickstream import __version__

        environment().print(f"tickstream {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Stream live market data from any provider's WebSocket to a terminal, a pipe or a file.

    \b
    Examples:
      tickstream watch --demo                       a live table, no key, no network
      tickstream watch EURUSD XAUUSD                the real thing
      tickstream watch EURUSD -o jsonl | jq .bid    one JSON object per line
      tickstream credits --plan pro --symbols 20    what it will cost
    """


def main(argv: Sequence[str] | None = None, env: Environment | None = None) -> int:
    """Run one command line and return its exit code: every error ends here, and nothing else exits."""
    from tickstream.cli import crash
    from tickstream.cli.environment import Environment

    here = env or Environment.of_process()
    if env is None:
        crash.install(here)
    token = _environment.set(here)
    here.command = ("tickstream", *(sys.argv[1:] if argv is None else argv))
    try:
        return int(_run(list(here.command[1:]), here))
    except Exception as error:  # noqa: BLE001 - the one place: what nobody foresaw is a bug, and is reported as one
        crash.report(error, here)
        return int(ExitCode.BUG)
    finally:
        _environment.reset(token)


def _run(argv: list[str], here: Environment) -> int:
    code: int = ExitCode.OK
    try:
        result = _command_line(argv)
        code = result if isinstance(result, int) else ExitCode.OK
    except TickstreamError as error:
        if isinstance(error, OutputError):
            here.abandon_stdout()
        here.say(f"tickstream: {error}")
        code = error.exit_code
    except ClickException as error:
        _say_usage(error, here)
        code = ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.SIGINT
    except BrokenPipeError:
        here.abandon_stdout()
    except SystemExit as leaving:  # Typer's way out after shell completion, and on a pipe without a reader
        if isinstance(leaving.__context__, BrokenPipeError):
            here.abandon_stdout()
        elif isinstance(leaving.code, int):
            code = leaving.code
    return code


def _command_line(argv: list[str]) -> Any:
    if "_TICKSTREAM_COMPLETE" in os.environ:
        from tickstream.cli.completion import without_rich

        without_rich()
    try:
        return typer.main.get_command(app).main(args=argv, prog_name="tickstream", standalone_mode=False)
    except UnforeseenEnd as carried:
        raise carried.error from None
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        raise OutputError(f"cannot write to stdout: {error.strerror}") from error


def _say_usage(error: Exception, here: Environment) -> None:
    text: str = error.format_message()  # type: ignore[attr-defined]  # of click, which Typer carries inside
    if type(error).__name__ == "NoArgsIsHelpError":
        here.say(text)
        return
    here.say(f"tickstream: {text}")
    here.say(usage_hint(error))


def usage_hint(error: Exception) -> str:
    """Where to read on after a usage error."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "tickstream") if context else "tickstream"
    return f"See '{path} --help'."
