"""A live feed from what the user asked for: providers, symbols, keys, sessions and pipeline, ready to run.

`watch` and everything else that streams builds its feed here. Nothing connects before the run starts.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickstream import config
from tickstream.cli.books import BookKeeper
from tickstream.cli.endpoints import DEMO_KEY, the_key, the_url
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.share import DEMO_PLAN, Endpoint, Share, check_connections
from tickstream.cli.source import Stream, Wires
from tickstream.cli.wanted import Wanted, demo_symbols, sole, wanted
from tickstream.errors import UsageError
from tickstream.keys import Secret
from tickstream.pipeline.base import Stage
from tickstream.pipeline.canonical import CanonicalStage
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.routing import RoutingStage
from tickstream.pipeline.skew import SkewStage
from tickstream.providers.base import ProviderSpec
from tickstream.session.queue import BatchQueue, OnFull
from tickstream.session.supervisor import Supervisor
from tickstream.status import RunStatus
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND

if TYPE_CHECKING:
    from tickstream.simulator.server import Simulator


@dataclass(frozen=True)
class LiveFeed:
    """The feed of one provider, which waits for `wires.start()`."""

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
    """Empty where every symbol was named as the provider spells it. Its place is before the books."""
    bar_interval_s: int | None = None
    """The length of its bars, if it is bars and of one length."""


class _Assembled:
    """Sessions with all providers over one queue, and the stages of each provider."""

    def __init__(self, options: FeedOptions, settings: config.Config, shares: Sequence[Share]) -> None:
        self.shares = shares
        queue = BatchQueue(OnFull(options.on_full or settings.text("on_full")))
        stop = threading.Event()
        supervisor = Supervisor([share.party(stop) for share in shares], queue, options.retry)
        self.wires = Wires(supervisor, queue)
        self.sessions = [share.sessions(supervisor.statuses) for share in shares]
        self.skews = [share.skew() for share in shares]
        self.canonicals = [share.canonical() for share in shares]
        self.gaps = [share.gaps(sessions) for share, sessions in zip(shares, self.sessions, strict=True)]
        self.channels = tuple(dict.fromkeys(share.wanted.channel for share in shares))
        books = Channel.BOOK in self.channels
        self.books = (BookKeeper(options.books.stage(), supervisor.resubscribe),) if books else ()
        providers = tuple(share.status for share in shares)
        self.status = RunStatus("DEMO" if options.demo else "LIVE", providers, supervisor.statuses)
        self.preface = tuple(line for share in shares for line in _said(share, whose=len(shares) > 1))

    def stream(self) -> Stream:
        """As an output takes it."""
        stages = (*self._routed(self.skews), *self._routed(self.canonicals), *self.books, *self._routed(self.gaps))
        return Stream(self.wires, stages, self.status, self.channels, self.preface)

    def _routed(self, stages: Sequence[Stage | None]) -> tuple[Stage, ...]:
        """The stage of the one provider, or one that gives the sessions of each to its own; none, where there is none.

        `stages`: one for each share, None for those that need none.
        """
        if len(stages) == 1:
            return tuple(stage for stage in stages if stage is not None)
        by_session = {
            number: stage
            for stage, sessions in zip(stages, self.sessions, strict=True)
            for number in sessions
            if stage is not None
        }
        return (RoutingStage(by_session),) if by_session else ()


@contextlib.contextmanager
def live_stream(env: Environment, options: FeedOptions, settings: config.Config) -> Iterator[Stream]:
    """What comes from all providers asked for, as an output takes it.

    Leaving the context ends what it started beside the sessions (the demo's simulators).
    """
    with _assembled(env, options, settings, _wanted(env, options, settings)) as made:
        yield made.stream()


@contextlib.contextmanager
def live_feed(env: Environment, options: FeedOptions, settings: config.Config, command: str) -> Iterator[LiveFeed]:
    """The feed of the provider asked for; leaving the context ends what it started beside the sessions.

    Raises UsageError where `command` was asked for several.
    """
    one = sole(_wanted(env, options, settings), command)
    with _assembled(env, options, settings, [one]) as made:
        yield LiveFeed(
            one.spec,
            one.symbols,
            one.channel,
            made.wires,
            made.skews[0],
            made.gaps[0],
            made.status,
            made.preface,
            made.books,
            tuple(stage for stage in made.canonicals if stage is not None),
            made.shares[0].bar_interval_s,
        )


def check_demo(options: FeedOptions) -> None:
    """Raises UsageError for options that --demo makes senseless."""
    if options.demo and (options.url or options.key_file or options.key_stdin):
        raise UsageError("--demo has its own server and key: leave out --url and the key options.")


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


def _wanted(env: Environment, options: FeedOptions, settings: config.Config) -> list[Wanted]:
    each = wanted(env, options, settings, demo_symbols if options.demo else None)
    check_demo(options)
    check_connections(options, each)
    options.books.check(*(one.channel for one in each))
    options.check_interval([one.channel for one in each])
    if len(each) > 1:
        _check_several(options, each)
    return each


def _check_several(options: FeedOptions, each: Sequence[Wanted]) -> None:
    """Raises UsageError for options that are about one provider."""
    if options.url or options.key_file or options.key_stdin:
        variables = ", ".join(f"TICKSTREAM_{one.spec.name.upper()}_URL" for one in each)
        raise UsageError(
            "--url, --key-file and --key-stdin do not say which of several providers they are for.",
            hint=f"Put URLs and keys into the config, or the environment: {variables}, and each provider's key.",
        )
    if options.raw:
        raise UsageError(
            "-o raw does not go with several providers, whose messages do not say whose they are.",
            hint="Use -o jsonl, or watch each provider by itself.",
        )


@contextlib.contextmanager
def _assembled(
    env: Environment, options: FeedOptions, settings: config.Config, each: Sequence[Wanted]
) -> Iterator[_Assembled]:
    with contextlib.ExitStack() as servers:
        shares = []
        for one in each:
            if options.demo:
                url = servers.enter_context(demo_server(one.spec)).url
                endpoint = Endpoint(url, Secret(DEMO_KEY) if one.spec.key_env else None)
            else:
                url = str(the_url(options, settings, one.spec).value)
                found = the_key(env, options, settings, one.spec, url)
                endpoint = Endpoint(url, found.key if found else None)
            shares.append(Share(env, options, settings, one, endpoint))
        yield _Assembled(options, settings, shares)


def _said(share: Share, *, whose: bool) -> list[str]:
    """Its lines of the preface, which say whose they are where there are several."""
    title = share.spec.title
    return [f"{title}: {line}" if whose and title not in line else line for line in share.preface()]
