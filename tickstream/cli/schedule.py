"""`tickstream schedule`."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickstream.cli import completion
from tickstream.cli import options as opt
from tickstream.cli.app import environment, load_command
from tickstream.cli.flags import expanded
from tickstream.errors import UsageError
from tickstream.providers import load as load_provider
from tickstream.schedulers import NAMES, load
from tickstream.schedulers.base import Job, Scheduler, checked, parse_start
from tickstream.suggestions import shown
from tickstream.symbols import named_symbols, resolve_symbols

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment
    from tickstream.providers.base import ProviderSpec

ENV_FILE = "capture.env"
CARRIED = ("TICKSTREAM_CONFIG",)
"""Variables of this shell that the run needs as well, and that are no secrets."""
TITLE_LENGTH = 60


@dataclass(frozen=True)
class WhatFlags:
    """The capture that is to run."""

    symbols: opt.Symbols = None
    provider: opt.Provider = None
    to: Annotated[
        str, typer.Option("--to", metavar="DIR|TEMPLATE", help="Where the capture goes, as in `capture --to`.")
    ] = "data"
    market_hours: Annotated[
        bool, typer.Option("--market-hours", help="Record while the market is open, as in `capture`.")
    ] = False
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="HH:MM", help="End at this time of the machine.", show_default=False),
    ] = None
    capture_options: Annotated[
        str,
        typer.Option(
            "--capture-options",
            metavar="TEXT",
            help="More options of `capture`, in one text, with absolute paths.",
            show_default=False,
        ),
    ] = ""


@dataclass(frozen=True)
class WhenFlags:
    """When it is to start."""

    at: Annotated[
        str | None,
        typer.Option("--at", metavar="HH:MM", help="Start at this time of the machine.", show_default="run always"),
    ] = None
    days: Annotated[
        str | None,
        typer.Option("--days", metavar="DAYS", help="With --at: mon-fri, or mon,wed,fri.", show_default="every day"),
    ] = None


@dataclass(frozen=True)
class HowFlags:
    """How it is set up."""

    name: Annotated[str, typer.Option("--name", help="What the schedule is called.")] = "tickstream-capture"
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="KEY=value lines for the run, such as the key.",
            show_default=f"{ENV_FILE} beside the config file",
        ),
    ] = None
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", help="Where cron and launchd put its words.", show_default="in the folder of --to"
        ),
    ] = None
    run_as: Annotated[
        str | None,
        typer.Option(
            "--run-as",
            metavar="USER",
            help="systemd: a service of the machine, under this account.",
            show_default="a service of your own",
        ),
    ] = None
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="Print only this part: service or timer.",
            autocompletion=completion.one_of(("service", "timer")),
            show_default=False,
        ),
    ] = None


@expanded
def schedule(
    what: WhatFlags,
    cron: Annotated[bool, typer.Option("--cron", help="A line for crontab.")] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help="A service and a timer.")] = False,
    launchd: Annotated[bool, typer.Option("--launchd", help="An agent for macOS.")] = False,
    schtasks: Annotated[bool, typer.Option("--schtasks", help="A task for Windows.")] = False,
    when: WhenFlags = WhenFlags(),
    how: HowFlags = HowFlags(),
) -> int:
    """Print what makes cron, systemd, launchd or Windows run a capture. Nothing is installed.

    \b
    Examples:
      tickstream schedule EURUSD XAUUSD --cron --to ~/ticks --market-hours
      tickstream schedule @majors --systemd --to ~/ticks --capture-options '--compress zstd --keep 90d'
      tickstream schedule @majors --systemd --part timer > ~/.config/systemd/user/tickstream-capture.timer
      tickstream schedule EURUSD --cron --at 08:00 --until 16:30 --days mon-fri --to ~/london
      tickstream schedule BTCUSD --launchd --to ~/ticks

    Without --at it is to run always: it is started again when it ends, unless with an exit code that no restart
    mends. A second run on the same files ends at once with 17, which is no alarm. The key is never printed: it comes
    from the configuration, or from the environment file.
    """
    here = environment()
    chosen = [name for name, given in zip(NAMES, (cron, systemd, launchd, schtasks), strict=True) if given]
    if len(chosen) != 1:
        raise UsageError("one scheduler has to be named", hint=f"Use one of {', '.join(f'--{one}' for one in NAMES)}.")
    scheduler = load(chosen[0])
    if scheduler.name != "systemd" and how.run_as:
        raise UsageError("--run-as is for --systemd")
    spec = load_provider(what.provider or here.config().text("provider"))
    job = _job(here, what, when, how, spec)
    parts = scheduler.parts(job)
    if how.part is None:
        heading = "# {}\n" if len(parts) > 1 else ""
        here.print("\n".join(heading.format(part.file) + part.text for part in parts).rstrip("\n"))
        here.say(scheduler.install(job))
        if left := _left_behind(here, scheduler, job, spec):
            here.say(left)
        return 0
    for part in parts:
        if part.name == how.part:
            here.print(part.text.rstrip("\n"))
            return 0
    raise UsageError(f"--part: there is no {shown(how.part)}", hint=f"Parts: {', '.join(part.name for part in parts)}.")


def _left_behind(here: Environment, scheduler: Scheduler, job: Job, spec: ProviderSpec) -> str:
    """What is set in this shell, and would not be set for the run; empty if nothing is."""
    carried = dict(job.variables) if scheduler.sets_variables else {}
    names = [name for name in here.env if name.startswith("TICKSTREAM_") and name not in carried]
    if spec.key_env in here.env:
        names.append(str(spec.key_env))
    if not names:
        return ""
    if scheduler.sets_variables and job.env_file:
        where = f"write into {job.env_file} (mode 0600) what of it the run needs, as NAME=value"
    else:
        where = "set what of it the run needs for its account"
    return f"Set in this shell only: {', '.join(sorted(names))}; {where}."


def _job(here: Environment, what: WhatFlags, when: WhenFlags, how: HowFlags, spec: ProviderSpec) -> Job:
    """The job, when `capture` would take its command line. Raises UsageError and ConfigError."""
    if when.days is not None and when.at is None:
        raise UsageError("--days needs --at", hint="Without a time it is to run always.")
    symbols = tuple(what.symbols or here.config().symbols)
    _check_symbols(here, symbols, spec)
    base = _absolute(what.to)
    arguments = ["capture", *symbols, "--to", base]
    if what.provider is not None:
        arguments += ["--provider", what.provider]
    if what.market_hours:
        arguments.append("--market-hours")
    if what.until is not None:
        arguments += ["--until", what.until, "--tz", "local"]  # as the time of --at is
    arguments += _split(what.capture_options)
    _check(arguments)
    folder = base.partition("{")[0]
    folder = folder if folder == base else os.path.dirname(folder)  # noqa: PTH120 - "a/{x}" and "a/b{x}" begin in a
    return checked(
        Job(
            name=how.name,
            program=_program(),
            arguments=tuple(arguments),
            title=_title(symbols),
            start=None if when.at is None else parse_start(when.at, when.days),
            goes_on=what.market_hours and when.at is None,
            log=_absolute(how.log or os.path.join(folder, f"{how.name}.log")),  # noqa: PTH118 - text, as --to is
            env_file=_env_file(here, how.env_file),
            variables=tuple((name, _absolute(here.env[name])) for name in CARRIED if here.env.get(name)),
            run_as=how.run_as,
        )
    )


def _check_symbols(here: Environment, symbols: tuple[str, ...], spec: ProviderSpec) -> None:
    """Complain now about what `capture` would complain about at three in the morning."""
    if "-" in symbols:
        raise UsageError("- stands for stdin, and a scheduled run has none", hint="Name symbols, or a watchlist.")
    from tickstream.cli.endpoints import the_settings
    from tickstream.cli.prefixes import by_provider

    config = here.config()
    groups = by_provider(named_symbols(symbols, watchlists=config.watchlists), spec.name, config.watchlists)
    others = [name for name in groups if name != spec.name]
    if others:
        raise UsageError(
            f"a scheduled capture is of one provider, {spec.name}; these symbols are of {', '.join(others)} too",
            hint=f"Schedule each by itself: tickstream schedule -p {others[0]} ...",
        )
    resolve_symbols(groups.get(spec.name, ()), spec.symbol_form(the_settings(config, spec)))


def _check(arguments: list[str]) -> None:
    """Raises what `capture` raises for such a command line before it connects."""
    from tickstream.cli.capture import FileFlags

    given = load_command(arguments[0]).make_context(arguments[0], arguments[1:]).params
    FileFlags(**{field.name: given[field.name] for field in fields(FileFlags)}).options(demo=False, count=None)


def _split(options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise UsageError(f"--capture-options: {error}") from None


def _absolute(path: str | Path) -> str:
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 - a template stays as it is, and nothing is resolved


def _env_file(here: Environment, given: Path | None) -> str | None:
    if given is not None:
        return _absolute(given)
    beside = here.config().path
    return None if beside is None else _absolute(beside.with_name(ENV_FILE))


def _title(symbols: tuple[str, ...]) -> str:
    text = " ".join(symbols)
    return text if len(text) <= TITLE_LENGTH else f"{text[: TITLE_LENGTH - 3]}..."


def _program() -> tuple[str, ...]:
    """What starts this tickstream from anywhere: its script, or the interpreter with its module."""
    suffix = ".exe" if sys.platform == "win32" else ""
    script = Path(sysconfig.get_path("scripts")) / f"tickstream{suffix}"
    return (str(script),) if script.is_file() else (sys.executable, "-m", "tickstream")
