"""A live feed from what the user asked for: provider, symbols, key, sessions and pipeline, ready to run.

`watch` and everything else that streams builds its feed here. Nothing connects before the run starts.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tickstream import config, keys, markets, providers
from tickstream.cli.books import BookKeeper, BookOptions
from tickstream.cli.environment import Environment
from tickstream.cli.source import Stream, Wires
from tickstream.credits import CreditMeter, preflight
from tickstream.errors import ConfigError, UsageError
from tickstream.keys import FoundKey, Secret
from tickstream.pipeline.base import Stage
from tickstream.pipeline.canonical import CanonicalStage
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.skew import SkewStage
from tickstream.providers.base import ConnectRequest, Feed, ProviderSpec
from tickstream.session.context import SessionContext, Wire
from tickstream.session.queue import BatchQueue, OnFull
from tickstream.session.retry import RetryOptions
from tickstream.session.supervisor import Supervisor, split
from tickstream.session.urls import is_loopback, parse_target
from tickstream.status import RunStatus
from tickstream.subscriptions import Channel, Subscription
from tickstream.suggestions import did_you_mean, shown
from tickstream.symbols import Resolved, named_symbols, resolve_symbols
from tickstream.timestamps import NS_PER_SECOND

if TYPE_CHECKING:
    from tickstream.session.transport import DialOptions
    from tickstream.simulator.server import Simulator

DEMO_KEY = "demo"
DEMO_SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "BTCUSD")
DEMO_PLAN = "pro"


@dataclass(frozen=True)
class FeedOptions:
    """What the command line says about the feed."""

    symbols: tuple[str, ...] = ()
    channel: str | None = None
    symbols_files: tuple[Path, ...] = ()
    provider: str | None = None
    url: str | None = None
    demo: bool = False
    ca_file: Path | None = None
    allow_plaintext: bool = False
    key_file: Path | None = None
    key_stdin: bool = False
    connections: int = 1
    retry: RetryOptions = field(default_factory=RetryOptions)
    max_credits: int | None = None
    exit_on_quota: bool = False
    on_full: str | None = None
    max_message: int = 8 * 2**20
    raw: bool = False
    """The output takes the provider's messages as they are."""
    books: BookOptions = field(default_factory=BookOptions)
    duration_s: float | None = None


@dataclass(frozen=True)
class LiveFeed:
    """A feed that waits for `wires.start()`."""

    spec: ProviderSpec
    symbols: tuple[str, ...]
    channel: Channel
    wires: Wires
    skew: SkewStage
    gaps: GapStage
    status: RunStatus
    preface: tuple[str, ...]
    """Lines for stderr before the run: what it will cost, and whom it talks to."""
    books: tuple[BookKeeper, ...] = ()
    """Empty for channels without books. Its place is before `gaps`, which counts the gaps that come of it."""
    canonical: tuple[CanonicalStage, ...] = ()
    """Empty where every symbol was named as the provider spells it. Its place is behind the books."""

    def stream(self) -> Stream:
        """As an output takes it."""
        stages: tuple[Stage, ...] = (self.skew, *self.books, *self.canonical, self.gaps)
        return Stream(
            self.wires, stages, self.status, self.channel, self.spec.data_silence_s, self.preface, self.spec.market_of
        )

    @property
    def bar_interval_s(self) -> int | None:
        """The length of its bars, if it is bars and of one length."""
        return _bar_interval_s(self.spec, self.channel)


@contextlib.contextmanager
def live_feed(env: Environment, options: FeedOptions, settings: config.Config) -> Iterator[LiveFeed]:
    """The feed; leaving the context ends what it started beside the sessions (the demo's simulator)."""
    spec = providers.load(options.provider or settings.text("provider"))
    the_channel(options, spec)
    resolved = the_symbols(env, options, settings, spec, demo_symbols(spec) if options.demo else ())
    check_demo(options)
    _check_connections(options, spec, resolved.symbols)
    if not options.demo:
        url = str(the_url(options, settings, spec).value)
        found = the_key(env, options, settings, spec, url)
        yield _build(env, options, settings, spec, resolved, url, found.key if found else None)
        return
    with demo_server(spec) as server:
        yield _build(env, options, settings, spec, resolved, server.url, Secret(DEMO_KEY) if spec.key_env else None)


def the_symbols(
    env: Environment, options: FeedOptions, settings: config.Config, spec: ProviderSpec, otherwise: tuple[str, ...] = ()
) -> Resolved:
    """The symbols asked for: arguments and files, else the config's, else `otherwise`.

    Raises UsageError and ConfigError as `named_symbols` and `resolve_symbols` do.
    """
    named = options.symbols or (() if options.symbols_files else settings.symbols or otherwise)
    stdin = None if options.key_stdin else env.stdin
    words = named_symbols(named, files=options.symbols_files, stdin=stdin, watchlists=settings.watchlists)
    form = spec.symbol_form(the_settings(settings, spec))
    elsewhere = not options.demo and the_url(options, settings, spec).value != spec.url
    return resolve_symbols(words, form._replace(elsewhere=elsewhere))


def the_channel(options: FeedOptions, spec: ProviderSpec) -> Channel:
    """What kind of data is asked for: by default the provider's first. Raises UsageError for one that it has not."""
    if options.channel is None:
        return spec.channels[0]
    for channel in spec.channels:
        if channel == options.channel:
            return channel
    raise UsageError(
        f"--channel: {spec.title} has no channel {shown(options.channel)}.",
        hint=f"{did_you_mean(options.channel, spec.channels)} Channels: {', '.join(spec.channels)}.".strip(),
    )


def demo_symbols(spec: ProviderSpec) -> tuple[str, ...]:
    """What --demo shows unless told otherwise: of each kind that is known by these names."""
    return tuple(symbol for symbol in DEMO_SYMBOLS if symbol in spec.common_symbols) or spec.common_symbols[:5]


def check_demo(options: FeedOptions) -> None:
    """Raises UsageError for options that --demo makes senseless."""
    if options.demo and (options.url or options.key_file or options.key_stdin):
        raise UsageError("--demo has its own server and key: leave out --url and the key options.")


def _check_connections(options: FeedOptions, spec: ProviderSpec, symbols: tuple[str, ...]) -> None:
    if not 1 <= options.connections <= spec.max_connections:
        raise UsageError(
            f"--connections {options.connections}: {spec.title} allows 1 to {spec.max_connections} for a key.",
            hint="Symbols are shared out over the connections; more than the provider's limit are refused by it.",
        )
    if options.connections > len(symbols):
        raise UsageError(f"--connections {options.connections} is more than there are symbols ({len(symbols)}).")


def the_url(options: FeedOptions, settings: config.Config, spec: ProviderSpec) -> config.Value:
    """The endpoint, and where it was set. It may hold a secret in its query: never print it as it is."""
    if options.url:
        return config.Value(options.url, "flag --url")
    return settings.provider(spec.name, spec.settings).url or config.Value(spec.url, "default")


def the_key(
    env: Environment, options: FeedOptions, settings: config.Config, spec: ProviderSpec, url: str
) -> FoundKey | None:
    """The key to send and its origin, None for a provider that has none, and for a channel that streams without one.

    Where none is set, it is the provider's demo key, if it publishes one; a server on this machine (a simulator) gets a
    made-up one. Raises ConfigError when there is none.
    """
    if spec.key_env is None:
        return None
    found = keys.find_key(
        spec.name,
        spec.key_env,
        env=env.env,
        key_file=options.key_file,
        key_stdin=env.stdin if options.key_stdin else None,
        settings=settings.provider(spec.name, spec.settings).keys,
    )
    if found is not None:
        return found
    if spec.demo_key is not None:
        return FoundKey(Secret(spec.demo_key), f"the demo key that {spec.title} publishes: {spec.key_env} is not set")
    if is_loopback(parse_target(url).host):
        return FoundKey(Secret(DEMO_KEY), "made up: none is set, and the server is on this machine")
    if the_channel(options, spec) in spec.keyless:
        return None
    raise ConfigError(
        f"There is no key for {spec.title}.",
        hint=f"Set {spec.key_env}, or run `tickstream config set-key`; `tickstream watch --demo` needs none.",
    )


def the_settings(settings: config.Config, spec: ProviderSpec) -> dict[str, str]:
    """The provider's own settings in force, as `Feed` takes them. Raises ConfigError."""
    return {name: str(value.value) for name, value in settings.provider(spec.name, spec.settings).settings.items()}


def dial_options(env: Environment, options: FeedOptions, spec: ProviderSpec) -> DialOptions:
    """How to connect."""
    from tickstream.session.transport import DialOptions

    return DialOptions(
        ca_file=str(options.ca_file) if options.ca_file else None,
        env=env.env,
        allow_plaintext=options.allow_plaintext,
        max_message=options.max_message,
        binary=spec.binary_frames,
    )


@contextlib.contextmanager
def demo_server(spec: ProviderSpec) -> Iterator[Simulator]:
    """The simulator of this provider behind --demo, for as long as the context lasts: a step of its market a second."""
    from tickstream.simulator import load
    from tickstream.simulator.options import SimulatorOptions
    from tickstream.simulator.server import Simulator

    kind = load(spec.name)
    plan = DEMO_PLAN if DEMO_PLAN in kind.plans else None
    accepted = (DEMO_KEY,) if "keys" in kind.honours else ()
    options = SimulatorOptions(
        provider=spec.name, speed=kind.step_ns / NS_PER_SECOND, plan=plan, keys=accepted, market_hours="ignore"
    )
    with Simulator(options) as server:
        yield server


def _build(
    env: Environment,
    options: FeedOptions,
    settings: config.Config,
    spec: ProviderSpec,
    resolved: Resolved,
    url: str,
    key: Secret | None,
) -> LiveFeed:
    symbols = resolved.symbols
    own = settings.provider(spec.name, spec.settings)
    rates = spec.credit_rates.override(own.plans) if spec.credit_rates else None
    meter = CreditMeter(max_credits=options.max_credits) if rates else None
    channel = the_channel(options, spec)
    bar_interval_s = _bar_interval_s(spec, channel)
    wanted = Subscription(symbols, channel)
    options.books.check(channel)
    own_settings = options.books.settings(spec, the_settings(settings, spec))
    feeds = split(Feed(url, wanted, key, own_settings, raw=options.raw), options.connections, spec.group_of)
    queue = BatchQueue(OnFull(options.on_full or settings.text("on_full")))
    stop = threading.Event()
    context = SessionContext(
        spec, _dialler(env, options, spec, stop), env.clock, stop, meter, options.exit_on_quota, _expects_data(spec)
    )
    supervisor = Supervisor(context, feeds, queue, options.retry)
    by_session = {status.session: status.symbols for status in supervisor.statuses}
    skew = SkewStage(spec.name, bar_interval_s)
    gaps = GapStage(spec.name, by_session, env.clock.now_ns(), _open_minutes(spec), bar_interval_s)
    books = (BookKeeper(options.books.stage(), supervisor.resubscribe),) if channel is Channel.BOOK else ()
    canonical = (CanonicalStage(resolved.canonical),) if resolved.canonical and not options.raw else ()
    label = "DEMO" if options.demo else "LIVE"
    status = RunStatus(label, spec.name, supervisor.statuses, symbols, meter)
    preface = [line] if (line := resolved.preface(spec.title)) else []
    if options.demo:
        pace = "one candle a second" if channel is Channel.BARS else "new ones every second"
        preface.append(f"DEMO: made-up prices from a simulator on this machine ({url}), {pace}.")
    elif key is not None and spec.demo_key is not None and key == Secret(spec.demo_key):
        preface.append(
            f"The key is {spec.demo_key}, which {spec.title} publishes for a try; {spec.key_env} is for one of yours."
        )
    if rates:
        named = DEMO_PLAN if options.demo else own.plan and str(own.plan.value)
        plan = rates.plan(named) if named else None
        preface.append(preflight(len(symbols), plan, rates, options.duration_s))
    wires = Wires(supervisor, queue)
    return LiveFeed(spec, symbols, channel, wires, skew, gaps, status, tuple(preface), books, canonical)


def _dialler(
    env: Environment, options: FeedOptions, spec: ProviderSpec, stop: threading.Event
) -> Callable[[ConnectRequest, Callable[[str], None]], Wire]:
    from tickstream.session.transport import dial

    how = dial_options(env, options, spec)

    def connect(request: ConnectRequest, on_begin: Callable[[str], None]) -> Wire:
        return dial(request, how, env.clock, stop, on_begin=on_begin)

    return connect


def _bar_interval_s(spec: ProviderSpec, channel: Channel) -> int | None:
    return spec.bar_interval_s if channel is Channel.BARS else None


def _open_minutes(spec: ProviderSpec) -> Callable[[str, int, int], int]:
    def between(symbol: str, start_ns: int, end_ns: int) -> int:
        return spec.market_of(symbol).open_minutes(start_ns, end_ns)

    return between


def _expects_data(spec: ProviderSpec) -> Callable[[str, int, int], bool]:
    """Whether the market was open from start to end: then silence is suspicious."""
    open_minutes = _open_minutes(spec)

    def expects(symbol: str, start_ns: int, end_ns: int) -> bool:
        minutes = (end_ns - start_ns) // markets.NS_PER_MINUTE
        return minutes > 0 and open_minutes(symbol, start_ns, end_ns) >= minutes - 1

    return expects
