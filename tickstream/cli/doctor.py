"""`tickstream doctor`."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.values import parse_duration

if TYPE_CHECKING:
    from tickstream.cli.checks import Case

Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="TIME", help="How long to wait for the first data; 0: not at all.",
                 show_default="30 s; of bars a minute and 15 s"),
]  # fmt: skip
Output = Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="How to print the result.")]


def doctor(  # noqa: PLR0913, PLR0917 - one parameter for each option
    symbols: opt.Symbols = None,
    symbols_file: opt.SymbolsFile = None,
    provider: opt.Provider = None,
    channel: opt.Channel = None,
    interval: opt.Interval = None,
    demo: opt.Demo = False,
    output: Output = "table",
    timeout: Timeout = None,
    url: opt.Url = None,
    ca_file: opt.CaFile = None,
    insecure_allow_plaintext: opt.AllowPlaintext = False,
    key_file: opt.KeyFile = None,
    key_stdin: opt.KeyStdin = False,
) -> int:
    """Check the way to the provider step by step, and say whose fault it is.

    \b
    Examples:
      tickstream doctor                          all the way to the first data
      tickstream doctor EURUSD BTCUSD            are these symbols served?
      tickstream doctor BTC/USD -p kraken --channel book
      tickstream doctor --timeout 0              do not wait for data
      tickstream doctor --demo                   a healthy one, without a key
      tickstream doctor -o json | jq '.steps[] | select(.status != "ok")'

    Each step is ok, warn, fail or skip; after the first that fails the others are skipped, and its exit code is that
    of `watch`. Where something is wrong, the verdict is "you" (options, key, plan, clock), "them" (the provider) or
    "network" (what lies in between).

    It connects once, with one authentication, and costs one push of each symbol at the most. What it prints holds no
    key and no user name, and can be pasted into a report.
    """
    from tickstream.cli.checks import Case, versions
    from tickstream.cli.feed_options import FeedOptions
    from tickstream.cli.live import check_demo, demo_server
    from tickstream.cli.report import JsonReport, TextReport
    from tickstream.diagnosis import Examination
    from tickstream.providers import load

    env = environment()
    timeout_s = None if timeout is None else parse_duration(timeout, "--timeout")
    options = FeedOptions(
        symbols=tuple(symbols or ()),
        symbols_files=tuple(symbols_file or ()),
        provider=provider,
        channel=channel,
        interval=interval,
        url=url,
        demo=demo,
        ca_file=ca_file,
        allow_plaintext=insecure_allow_plaintext,
        key_file=key_file,
        key_stdin=key_stdin,
    )
    check_demo(options)
    report = JsonReport(env, versions(), demo) if output == "json" else TextReport(env)
    with contextlib.ExitStack() as stack:
        demo_url = stack.enter_context(demo_server(load(provider or "tickatlas"))).url if demo else None
        exam = Examination(steps(), env.clock, report.step)
        _examine(Case(env, options, exam, timeout_s, demo_url))
    report.end(exam)
    return int(exam.exit_code)


def steps() -> list[str]:
    """The names of all steps, in order."""
    from tickstream.cli.checks import LOCAL_CHECKS
    from tickstream.cli.remote_checks import DIAL_STEPS, REMOTE_CHECKS

    return [*LOCAL_CHECKS, *DIAL_STEPS.values(), *REMOTE_CHECKS]


def _examine(case: Case) -> None:
    from tickstream.cli.checks import LOCAL_CHECKS
    from tickstream.cli.remote_checks import REMOTE_CHECKS, visiting
    from tickstream.errors import TickstreamError

    try:
        for name, look in LOCAL_CHECKS.items():
            case.exam.check(name, partial(look, case))
        with visiting(case) as visit:
            for name, ask in REMOTE_CHECKS.items():
                case.exam.check(name, partial(ask, visit))
    except TickstreamError as error:
        case.exam.fail(error, case.on_our_side)
