"""The Typer app, and the one place that turns errors into exit codes.

A command is one file here: `COMMANDS` names its module, which is imported only when the command runs (or when the
help of all is asked for), so that start-up stays fast. Each module has a function of the command's name with
underscores (`exit_codes`), or a Typer app `app` where it has subcommands.
"""

from __future__ import annotations

import contextvars
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from tickstream.errors import ExitCode, TickstreamError

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment

COMMANDS: dict[str, str] = {
    "watch": "Stream live data to the terminal, or as JSON lines or CSV into a pipe.",
    "credits": "What a subscription costs in credits, and which plan fits.",
    "simulate": "Run a local server that speaks a provider's protocol: no key, no network.",
    "doctor": "Check the way to the provider step by step, and say whose fault it is.",
    "config": "Show and change the configuration and the keys.",
    "explain": "What an error code or an exit code means, and what to do.",
    "exit-codes": "List the exit codes.",
}
"""Command -> its line in the help; the module is tickstream.cli.<name with underscores>."""

ClickException: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

_environment: contextvars.ContextVar[Environment] = contextvars.ContextVar("environment")


def environment() -> Environment:
    """The Environment of the running command."""
    return _environment.get()


class LazyGroup(TyperGroup):
    """Imports a command's module when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return load_command(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list in `--help`, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


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
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit."),
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
    from tickstream.cli.environment import Environment

    here = env or Environment.of_process()
    token = _environment.set(here)
    try:
        return _run(list(sys.argv[1:] if argv is None else argv), here)
    finally:
        _environment.reset(token)


def _run(argv: list[str], here: Environment) -> int:
    try:
        result = typer.main.get_command(app).main(args=argv, prog_name="tickstream", standalone_mode=False)
    except TickstreamError as error:
        here.say(f"tickstream: {error}")
        return int(error.exit_code)
    except ClickException as error:
        here.say(f"tickstream: {error.format_message()}")  # type: ignore[attr-defined]
        here.say(usage_hint(error))
        return int(ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return int(ExitCode.SIGINT)
    except BrokenPipeError:
        # The reader of a command's text went away (`| head`): the interpreter's own flush must not complain later.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(ExitCode.OK)
    return int(result) if isinstance(result, int) else int(ExitCode.OK)


def usage_hint(error: Exception) -> str:
    """Where to read on after a usage error."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "tickstream") if context else "tickstream"
    return f"See '{path} --help'."
