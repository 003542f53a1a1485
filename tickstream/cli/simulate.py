"""`tickstream simulate`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from tickstream.cli.app import environment
from tickstream.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment
    from tickstream.simulator.options import Quota, SimulatorOptions


def simulate(  # noqa: PLR0913 - each is an option of the command
    provider: Literal["tickatlas"] = typer.Argument("tickatlas", help="Whose protocol to speak."),
    port: int = typer.Option(0, "--port", min=0, max=65535, help="The port to listen on; 0 takes any free one."),
    host: str = typer.Option("127.0.0.1", "--host", help="The address to listen on."),
    public: bool = typer.Option(False, "--public", help="Allow a --host that other machines can reach."),
    tls: bool = typer.Option(False, "--tls", help="Speak TLS (wss://) with a certificate made for this run by openssl."),
    tls_cert: Path | None = typer.Option(None, "--tls-cert", metavar="FILE", help="Speak TLS with this certificate (PEM)."),
    tls_key: Path | None = typer.Option(None, "--tls-key", metavar="FILE", help="The certificate's private key (PEM)."),
    plan: Literal["free", "payg", "starter", "pro", "enterprise"] = typer.Option(
        "pro", "--plan", help="The plan of all keys."
    ),
    key: list[str] = typer.Option([], "--key", help="Accept this key only; repeat for more. Default: any key."),
    quota: str = typer.Option("plan", "--quota", metavar="N|unlimited|plan", help="Credits a day."),
    quota_reset_after: str | None = typer.Option(
        None, "--quota-reset-after", metavar="DURATION", help="Refill used-up credits after this real time."
    ),
    max_symbols: int | None = typer.Option(None, "--max-symbols", min=1, help="Symbols a connection may have. Default: the plan's."),
    push_interval: str | None = typer.Option(
        None, "--push-interval", metavar="DURATION",
        help="One push a symbol in this time; each push is one market minute. Default: 60s, in step with the clock.",
    ),
    speed: str | None = typer.Option(
        None, "--speed", metavar="X|max", help="The same as a factor of real time: 60 is a minute a second."
    ),
    seed: int = typer.Option(0, "--seed", help="Another number, other prices."),
    m1: Path | None = typer.Option(
        None, "--m1", metavar="DIR", help="Replay CSV files, one a symbol: EURUSD.csv with time,open,high,low,close,volume."
    ),
    known: list[str] = typer.Option([], "--known", metavar="SYMBOL", help="Know these symbols only; repeat for more."),
    start: str | None = typer.Option(None, "--start", metavar="TIME", help="Market time at the start, like 2026-06-24T14:00Z."),
    at_end: Literal["idle", "close", "loop"] = typer.Option(
        "idle", "--at-end", help="What to do when the files end."
    ),
    heartbeat: str = typer.Option("30s", "--heartbeat", metavar="DURATION", help="Time between heartbeats."),
    market_hours: Literal["follow", "ignore"] | None = typer.Option(
        None, "--market-hours", help="Keep closed markets silent. Default: follow in real time, ignore otherwise."
    ),
    spread_points: int | None = typer.Option(None, "--spread-points", min=0, help="Ask minus bid, in units of the last decimal."),
    spread_unit: Literal["points", "price"] = typer.Option(
        "points", "--spread-unit", help="Unit of the spread field."
    ),
    close_code: int = typer.Option(1008, "--close-code", help="Close code after an error; 1006 drops the connection."),
    fault: list[str] = typer.Option(
        [], "--fault", metavar="NAME[@WHEN]", help="Go wrong on purpose; repeat for more. See --list-faults."
    ),
    list_faults: bool = typer.Option(False, "--list-faults", help="List the faults there are, and exit."),
    journal: Path | None = typer.Option(None, "--journal", metavar="FILE", help="Append every push that was sent, as JSON lines."),
    duration: str | None = typer.Option(None, "--duration", metavar="DURATION", help="End after this time. Default: on Ctrl-C."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="No log of connections on stderr."),
) -> int:
    """Run a local server that speaks a provider's protocol: no key, no network.

    The first line of output is the URL to connect to, printed when the server is ready. Prices are made up, or
    replayed from your files. Everything else is as the provider does it: authentication, plans, credits and quota,
    two connections per key, heartbeats, errors, and any fault you ask for.

    Ends with 0 after --duration, with 130 or 143 on Ctrl-C or SIGTERM, and with 10 when it cannot have the port.

    \b
    Examples:
      tickstream simulate --port 8765 --push-interval 1s
      tickstream watch EURUSD --url ws://127.0.0.1:8765/ws/v1/quotes
      tickstream simulate --m1 candles/ --speed 6000      100 minutes a second
      tickstream simulate --fault drop@30s                cut each connection after 30 s
      tickstream simulate --quota 1000 --plan starter     run out of credits
    """
    env = environment()
    if list_faults:
        _print_faults(env)
        return int(ExitCode.OK)
    from tickstream.cli.values import parse_duration
    from tickstream.simulator.options import SimulatorOptions

    options = SimulatorOptions(
        host=host, port=port, public=public, tls=tls, tls_cert=tls_cert, tls_key=tls_key, plan=plan, keys=tuple(key),
        quota=_quota(quota), max_symbols=max_symbols, speed=_speed(push_interval, speed), seed=seed, m1=m1,
        quota_reset_after_s=parse_duration(quota_reset_after, "--quota-reset-after") if quota_reset_after else None,
        known=tuple(known), start_ns=_start(start), at_end=at_end,
        heartbeat_s=parse_duration(heartbeat, "--heartbeat"),
        market_hours=market_hours,
        spread_points=spread_points, spread_in_price=spread_unit == "price",
        close_code=None if close_code == 1006 else close_code, faults=tuple(fault), journal=journal,
        log=None if quiet else lambda text: env.say(f"simulator: {text}"),
    )
    return _run(env, options, parse_duration(duration, "--duration") if duration else None)


def _run(env: Environment, options: SimulatorOptions, duration_s: float | None) -> int:
    """Serve until a signal, the end of the time, or a failure."""
    from tickstream.cli.signals import Signals
    from tickstream.simulator.server import Simulator

    simulator = Simulator(options)
    done = threading.Event()
    with Signals(done.set, lambda: None) as signals:
        with simulator:
            env.print(simulator.url)
            if simulator.ca_file is not None and not options.tls_cert:
                env.say(f"simulator: for clients: --ca-file {simulator.ca_file}")
            simulator.on_failure(done.set)
            done.wait(duration_s)
        if simulator.failure is not None:
            raise simulator.failure
        return int(ExitCode.OK) if signals.received is None else 128 + signals.received


def _speed(push_interval: str | None, speed: str | None) -> float:
    """Both say the same thing: 60 / interval = speed."""
    from tickstream.cli.values import parse_duration
    from tickstream.simulator.options import RACE

    if push_interval is not None and speed is not None:
        raise UsageError("--push-interval and --speed say the same thing.", hint="Give one of them.")
    if push_interval is not None:
        interval_s = parse_duration(push_interval, "--push-interval")
        if interval_s <= 0:
            raise UsageError("--push-interval is to be more than 0.", hint="--speed max sends as fast as clients read.")
        return 60 / interval_s
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
    if text == "plan" or text == "unlimited":  # noqa: PLR1714 - so that mypy sees the literals
        return text
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


def _print_faults(env: Environment) -> None:
    from tickstream.simulator.faults import FAULTS

    for fault in FAULTS.values():
        env.print(f"{fault.name:<20} {fault.when:<10} {fault.description}")
