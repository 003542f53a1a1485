"""`tickstream simulate`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tickstream.cli.app import environment
from tickstream.errors import ExitCode, UsageError
from tickstream.timestamps import NS_PER_SECOND

if TYPE_CHECKING:
    from tickstream.capture.serving import CapturedMarket
    from tickstream.cli.environment import Environment
    from tickstream.simulator.counterpart import Counterpart
    from tickstream.simulator.options import Quota, SimulatorOptions

USUAL = "tickatlas"
LOOK_S = 0.1
"""How late a signal may be noticed at the worst."""
NO_CLOSE_FRAME = 1006
"""What RFC 6455 calls an end without a close frame."""


def _complete_providers(incomplete: str) -> list[str]:
    from tickstream.simulator import all_names

    return [name for name in all_names() if name.startswith(incomplete)]


def _complete_faults(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in _counterpart(ctx).faults() if name.startswith(incomplete)]


def _complete_plans(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in _counterpart(ctx).plans if name.startswith(incomplete)]


def _counterpart(ctx: typer.Context) -> type[Counterpart]:
    """That of the provider which the command line names so far."""
    from tickstream.simulator import all_names, load

    named = ctx.params.get("provider")
    return load(named if named in all_names() else USUAL)


def simulate(  # noqa: PLR0913, PLR0917 - a command's function has the command's options
    provider: Annotated[
        str | None,
        typer.Argument(
            help="Whose protocol to speak.",
            autocompletion=_complete_providers,
            show_default=f"that of the capture, else {USUAL}",
        ),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 takes any free port.")] = 0,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    public: Annotated[bool, typer.Option("--public", help="Allow a --host that other machines can reach.")] = False,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS (wss://), with a certificate made for this run by openssl.")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Speak TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's private key (PEM).")
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            "--plan",
            metavar="NAME",
            autocompletion=_complete_plans,
            help="The plan of all keys. TickAtlas: free, payg, starter, pro (default), enterprise.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="Accept this key only; repeat for more. Default: any key.")
    ] = None,
    quota: Annotated[str, typer.Option("--quota", metavar="N|unlimited|plan", help="Credits a day.")] = "plan",
    quota_reset_after: Annotated[
        str | None,
        typer.Option("--quota-reset-after", metavar="DURATION", help="Refill used-up credits after this real time."),
    ] = None,
    max_symbols: Annotated[
        int | None, typer.Option("--max-symbols", min=1, help="Symbols of one connection. Default: the plan's.")
    ] = None,
    push_interval: Annotated[
        str | None,
        typer.Option(
            "--push-interval",
            metavar="DURATION",
            help="One push a symbol in this time; each is one step of the market: a minute, or a second where it never "
            "sleeps. Default: in step with the clock.",
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option("--speed", metavar="X|max", help="The same as a factor of real time: 60 is a minute a second."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another number, other prices.")] = 0,
    m1: Annotated[
        Path | None,
        typer.Option(
            "--m1",
            metavar="DIR",
            help="Replay CSV files, one a symbol (EURUSD.csv: time,open,high,low,close,volume; BTC%2FUSD.csv for "
            "BTC/USD), from the first subscription on.",
        ),
    ] = None,
    capture: Annotated[
        list[str] | None,
        typer.Option(
            "--capture",
            metavar="PATH",
            help="Serve what was captured: a folder, a file; repeat for more. From the first subscription on.",
        ),
    ] = None,
    known: Annotated[
        list[str] | None, typer.Option("--known", metavar="SYMBOL", help="Know this symbol only; repeat for more.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Market time at the start: 2026-06-24T14:00Z.")
    ] = None,
    at_end: Annotated[
        Literal["idle", "close", "loop"], typer.Option("--at-end", help="What to do when the files end.")
    ] = "idle",
    heartbeat: Annotated[
        str | None,
        typer.Option("--heartbeat", metavar="DURATION", help="Time between heartbeats. Default: the provider's."),
    ] = None,
    market_hours: Annotated[
        Literal["follow", "ignore"] | None,
        typer.Option(
            "--market-hours", help="Keep closed markets silent. Default: follow in real time, ignore otherwise."
        ),
    ] = None,
    spread_points: Annotated[
        int | None, typer.Option("--spread-points", min=0, help="Ask minus bid, in units of the last decimal.")
    ] = None,
    spread_unit: Annotated[
        Literal["points", "price"], typer.Option("--spread-unit", help="Unit of the field spread.")
    ] = "points",
    close_code: Annotated[
        int, typer.Option("--close-code", help="Close code after an error; 1006 ends without a close frame.")
    ] = 1008,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="NAME[@WHEN][xN]",
            autocompletion=_complete_faults,
            help="Go wrong on purpose; repeat for more. See --list-faults.",
        ),
    ] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults, and exit.")] = False,
    journal: Annotated[
        Path | None, typer.Option("--journal", metavar="FILE", help="Append every push that was sent, as JSON lines.")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="DURATION", help="End after this time. Default: on Ctrl-C.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No log of connections on stderr.")] = False,
) -> int:
    """Run a local server that speaks a provider's protocol: no key, no network.

    The first line of output is the URL to connect to, printed when the server is ready. Prices are made up, or
    replayed from your files. Everything else is as the provider does it: authentication, plans, credits and quota
    where it has them, heartbeats, errors, and any fault you ask for.

    Ends with 0 after --duration, with 130 or 143 on Ctrl-C or SIGTERM, and with 10 when it cannot have the port.

    \b
    Examples:
      tickstream simulate --port 8765 --push-interval 1s
      tickstream watch EURUSD --url ws://127.0.0.1:8765/ws/v1/quotes
      tickstream simulate --m1 candles/ --speed 6000      100 minutes a second
      tickstream simulate --capture data/ --speed 60      what was captured, a minute a second
      tickstream simulate --fault drop@30s                cut each connection after 30 s
      tickstream simulate --quota 1000 --plan starter     run out of credits
    """
    from tickstream.simulator import load

    here = environment()
    market = None if list_faults else _captured(capture, m1, loop=at_end == "loop")
    provider = provider or (market.provider if market else USUAL)
    counterpart = load(provider)
    if list_faults:
        _print_faults(here, counterpart)
        return int(ExitCode.OK)
    from tickstream.cli.values import parse_duration
    from tickstream.simulator.options import SimulatorOptions

    options = SimulatorOptions(
        provider=provider,
        host=host,
        port=port,
        public=public,
        tls=tls,
        tls_cert=tls_cert,
        tls_key=tls_key,
        plan=plan,
        keys=tuple(key or ()),
        quota=_quota(quota),
        max_symbols=max_symbols,
        quota_reset_after_s=parse_duration(quota_reset_after, "--quota-reset-after") if quota_reset_after else None,
        speed=_speed(push_interval, speed, _step_s(counterpart, m1, market)),
        seed=seed,
        m1=m1,
        known=tuple(known or ()),
        start_ns=_start(start),
        at_end=at_end,
        heartbeat_s=parse_duration(heartbeat, "--heartbeat") if heartbeat else None,
        market_hours=market_hours,
        spread_points=spread_points,
        spread_in_price=spread_unit == "price",
        close_code=None if close_code == NO_CLOSE_FRAME else close_code,
        faults=tuple(fault or ()),
        journal=journal,
        log=None if quiet else lambda text: here.say(f"{provider}: {text}"),
    )
    return _run(here, options, market, parse_duration(duration, "--duration") if duration else None)


def _captured(paths: list[str] | None, m1: Path | None, *, loop: bool) -> CapturedMarket | None:
    """What was captured, as a market; None when nothing is named."""
    if not paths:
        return None
    if m1 is not None:
        raise UsageError("--capture and --m1 are two sources of prices.", hint="Give one of them.")
    from tickstream.capture.archive import Archive
    from tickstream.capture.playback import Wanted
    from tickstream.capture.reading import ReadOptions
    from tickstream.capture.serving import CapturedMarket

    return CapturedMarket(Archive(paths, ReadOptions(), Wanted("ts_event")), loop=loop)


def _step_s(counterpart: type[Counterpart], m1: Path | None, market: CapturedMarket | None) -> float:
    """The seconds of a step of the market; of events that happen at any moment, of one of their minutes."""
    if m1 is not None or (market is not None and not market.step_ns):
        return 60.0
    return (counterpart.step_ns if market is None else market.step_ns) / NS_PER_SECOND


def _run(here: Environment, options: SimulatorOptions, market: CapturedMarket | None, duration_s: float | None) -> int:
    """Serve until a signal, the end of the time, or a failure."""
    from tickstream.cli.signals import Signals
    from tickstream.simulator.server import Simulator

    simulator = Simulator(options, market)
    failed = threading.Event()
    # The handler only takes note: an Event that is set in a handler can deadlock with the thread that waits for it.
    with Signals(lambda: None, lambda: None) as signals:
        with simulator:
            here.print(simulator.url)
            if simulator.ca_file is not None and not options.tls_cert:
                here.say(f"For clients: --ca-file {simulator.ca_file}")
            simulator.on_failure(failed.set)
            end = None if duration_s is None else time.monotonic() + duration_s
            while signals.received is None and not failed.is_set():
                left_s = LOOK_S if end is None else min(LOOK_S, end - time.monotonic())
                if left_s <= 0:
                    break
                failed.wait(left_s)
        if simulator.failure is not None:
            raise simulator.failure
        return int(ExitCode.OK) if signals.received is None else 128 + signals.received


def _speed(push_interval: str | None, speed: str | None, step_s: float) -> float:
    """Both say the same thing: step / interval = speed."""
    from tickstream.cli.values import parse_duration
    from tickstream.simulator.options import RACE

    if push_interval is not None and speed is not None:
        raise UsageError("--push-interval and --speed say the same thing.", hint="Give one of them.")
    if push_interval is not None:
        interval_s = parse_duration(push_interval, "--push-interval")
        if interval_s <= 0:
            raise UsageError("--push-interval is to be more than 0.", hint="--speed max sends as fast as clients read.")
        return step_s / interval_s
    if speed is None:
        return 1.0
    if speed == "max":
        return RACE
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0 < factor < RACE:
        raise UsageError(f"--speed: {speed[:40]!r} is no factor.", hint="Write a number above 0, or max.")
    return factor


def _quota(text: str) -> Quota:
    if text == "plan":
        return "plan"
    if text == "unlimited":
        return "unlimited"
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--quota: {text[:40]!r} is no number of credits.", hint="Write 10000, unlimited or plan.")
    return int(text)


def _start(text: str | None) -> int | None:
    from tickstream.timestamps import parse_rfc3339

    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise UsageError(f"--start: {error}.", hint="Write 2026-06-24T14:00:00Z.") from None


def _print_faults(here: Environment, counterpart: type[Counterpart]) -> None:
    for fault in counterpart.faults().values():
        here.print(f"{fault.name:<20} {fault.when:<10} {fault.description}")
