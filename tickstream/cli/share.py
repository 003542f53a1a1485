"""A provider's share of a run: its endpoint and key, its connections, its credits, and what the stages know of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tickstream import config, markets
from tickstream.cli.endpoints import dial_options, the_settings
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.wanted import Wanted
from tickstream.credits import CreditMeter, preflight
from tickstream.errors import UsageError
from tickstream.keys import Secret
from tickstream.pipeline.canonical import CanonicalStage
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.skew import SkewStage
from tickstream.providers.base import ConnectRequest, Feed, ProviderSpec
from tickstream.session.context import SessionContext, Wire
from tickstream.session.supervisor import Party, split
from tickstream.status import ProviderStatus, SessionStatus
from tickstream.subscriptions import Channel, Subscription

DEMO_PLAN = "pro"


class Endpoint(NamedTuple):
    """Where to connect, and with which key."""

    url: str
    key: Secret | None


@dataclass(frozen=True)
class Share:
    """What there is of one provider before its sessions have their numbers. Making it touches nothing outside.

    Raises UsageError and ConfigError for options and settings that do not go with the provider.
    """

    env: Environment
    options: FeedOptions
    settings: config.Config
    wanted: Wanted
    endpoint: Endpoint

    @property
    def spec(self) -> ProviderSpec:
        """The provider."""
        return self.wanted.spec

    @property
    def bar_interval_s(self) -> int | None:
        """The length of its bars, if it is bars and of one length."""
        return self.spec.bar_interval_s if self.wanted.channel is Channel.BARS else None

    @cached_property
    def status(self) -> ProviderStatus:
        """What displays are told, with the meter of its credits."""
        spec = self.spec
        meter = CreditMeter(max_credits=self.options.max_credits) if spec.credit_rates else None
        return ProviderStatus(spec.name, self.wanted.symbols, meter, spec.data_silence_s, spec.market_of)

    def party(self, stop: threading.Event) -> Party:
        """Its connections."""
        options, spec = self.options, self.spec
        settings = options.settings_of(spec, the_settings(self.settings, spec))
        if self.wanted.channel is Channel.BOOK:
            settings = options.books.settings(spec, settings)
        subscription = Subscription(self.wanted.symbols, self.wanted.channel)
        feed = Feed(self.endpoint.url, subscription, self.endpoint.key, settings, raw=options.raw)
        context = SessionContext(
            spec,
            _dialler(self.env, options, stop),
            self.env.clock,
            stop,
            self.status.credits,
            options.exit_on_quota,
            _expects_data(spec),
        )
        return Party(context, split(feed, options.connections, spec.group_of))

    def sessions(self, statuses: Iterable[SessionStatus]) -> dict[int, tuple[str, ...]]:
        """Those of the run's sessions that are with this provider, and what they were asked for."""
        return {one.session: one.symbols for one in statuses if one.provider == self.spec.name}

    def skew(self) -> SkewStage:
        """The stage that watches its clock."""
        return SkewStage(self.spec.name, self.bar_interval_s)

    def gaps(self, sessions: dict[int, tuple[str, ...]]) -> GapStage:
        """The stage that counts its gaps."""
        now_ns = self.env.clock.now_ns()
        minutes, each = _open_minutes(self.spec), self.options.gaps_each
        return GapStage(self.spec.name, sessions, now_ns, minutes, self.bar_interval_s, each=each)

    def canonical(self) -> CanonicalStage | None:
        """The stage that keeps the canonical names; None where every symbol was named as the provider spells it."""
        names = self.wanted.resolved.canonical
        return CanonicalStage(names) if names and not self.options.raw else None

    def preface(self) -> list[str]:
        """Lines for stderr before the run: whom it talks to, what the symbols were taken for, what it will cost."""
        spec, (url, key) = self.spec, self.endpoint
        lines = [said] if (said := self.wanted.resolved.preface(spec.title)) else []
        if self.options.demo:
            pace = "one candle a second" if self.wanted.channel is Channel.BARS else "new ones every second"
            lines.append(f"DEMO: made-up prices from a simulator on this machine ({url}), {pace}.")
        elif key is not None and spec.demo_key is not None and key == Secret(spec.demo_key):
            lines.append(
                f"The key is {spec.demo_key}, which {spec.title} publishes for a try; "
                f"{spec.key_env} is for one of yours."
            )
        if spec.credit_rates:
            own = self.settings.provider(spec.name, spec.settings)
            rates = spec.credit_rates.override(own.plans)
            named = DEMO_PLAN if self.options.demo else own.plan and str(own.plan.value)
            plan = rates.plan(named) if named else None
            lines.append(preflight(len(self.wanted.symbols), plan, rates, self.options.duration_s))
        return lines


def check_connections(options: FeedOptions, each: Sequence[Wanted]) -> None:
    """Raises UsageError for more connections than a provider allows, or than any of them has symbols for."""
    for one in each:
        spec = one.spec
        if not 1 <= options.connections <= spec.max_connections:
            raise UsageError(
                f"--connections {options.connections}: {spec.title} allows 1 to {spec.max_connections} for a key.",
                hint="Symbols are shared out over the connections; more than the provider's limit are refused by it.",
            )
    most = max(len(one.symbols) for one in each)
    if options.connections > most:
        raise UsageError(f"--connections {options.connections} is more than there are symbols ({most}).")


def _dialler(
    env: Environment, options: FeedOptions, stop: threading.Event
) -> Callable[[ConnectRequest, Callable[[str], None]], Wire]:
    from tickstream.session.transport import dial

    how = dial_options(env, options)

    def connect(request: ConnectRequest, on_begin: Callable[[str], None]) -> Wire:
        return dial(request, how, env.clock, stop, on_begin=on_begin)

    return connect


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
