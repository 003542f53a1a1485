"""What is asked of whom: the symbols of each provider that the user named, in its form, and the kind of data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tickstream import config, providers
from tickstream.cli.endpoints import the_settings, the_url
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.prefixes import by_provider
from tickstream.errors import UsageError
from tickstream.providers.base import ProviderSpec
from tickstream.subscriptions import Channel
from tickstream.suggestions import shown
from tickstream.symbols import Resolved, SymbolForm, named_symbols, resolve_symbols

DEMO_SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD", "BTCUSD")


class Wanted(NamedTuple):
    """What is asked of one provider."""

    spec: ProviderSpec
    resolved: Resolved
    channel: Channel

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the provider's form, each once."""
        return self.resolved.symbols


def wanted(
    env: Environment,
    options: FeedOptions,
    settings: config.Config,
    otherwise: Callable[[ProviderSpec], tuple[str, ...]] | None = None,
) -> list[Wanted]:
    """What is asked of each provider, in the order in which they are named first.

    It is what the arguments and files name, else the config's symbols, else `otherwise` of the default provider.
    Raises UsageError and ConfigError for what cannot be: an unknown provider, symbol, watchlist, channel; no symbol.
    """
    default = options.provider or settings.text("provider")
    words = options.symbols or (() if options.symbols_files else settings.symbols)
    if not words and not options.symbols_files and otherwise is not None:
        words = otherwise(providers.load(default))
    stdin = None if options.key_stdin else env.stdin
    named = named_symbols(words, files=options.symbols_files, stdin=stdin, watchlists=settings.watchlists)
    groups = by_provider(named, default, settings.watchlists) or {default: []}
    specs = [providers.load(name) for name in groups]
    channels = the_channels(options, specs)
    return [
        Wanted(spec, resolve_symbols(group, _form(options, settings, spec)), channel)
        for spec, group, channel in zip(specs, groups.values(), channels, strict=True)
    ]


def _form(options: FeedOptions, settings: config.Config, spec: ProviderSpec) -> SymbolForm:
    """What the symbols look like where we connect to."""
    elsewhere = not options.demo and the_url(options, settings, spec).value != spec.url
    return spec.symbol_form(the_settings(settings, spec))._replace(elsewhere=elsewhere)


def sole(each: Sequence[Wanted], command: str) -> Wanted:
    """What is asked, of a command that takes one provider a run. Raises UsageError for several."""
    if len(each) > 1:
        names = ", ".join(one.spec.name for one in each)
        raise UsageError(
            f"`tickstream {command}` takes one provider a run, and these are {len(each)}: {names}.",
            hint=f"Run it once for each: tickstream {command} -p {each[0].spec.name} ...",
        )
    return each[0]


def the_channels(options: FeedOptions, specs: Sequence[ProviderSpec]) -> list[Channel]:
    """What kind of data is asked of each: by default its first. Raises UsageError for one that not all of them have."""
    without = [spec for spec in specs if options.channel is not None and options.channel not in spec.channels]
    if len(specs) > 1 and without:
        common = [channel for channel in Channel if all(channel in spec.channels for spec in specs)]
        raise UsageError(
            f"--channel: {' and '.join(spec.title for spec in without)} "
            f"{'has' if len(without) == 1 else 'have'} no channel {shown(str(options.channel))}.",
            hint=f"All of them have: {', '.join(common) or 'none'}. Without --channel each streams its first.",
        )
    return [options.channel_of(spec) for spec in specs]


def demo_symbols(spec: ProviderSpec) -> tuple[str, ...]:
    """What --demo shows unless told otherwise: of each kind that is known by these names."""
    return tuple(symbol for symbol in DEMO_SYMBOLS if symbol in spec.common_symbols) or spec.common_symbols[:5]
