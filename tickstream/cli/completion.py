"""What the shell offers for an option's value. Called at every press of Tab: fast, and silent when all is not well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from tickstream.errors import TickstreamError

if TYPE_CHECKING:
    from tickstream.providers.base import ProviderSpec

Offer = list[tuple[str, str]]
"""Values with a word on each, which bash does not show."""


def without_rich() -> None:
    """Keep Typer from importing Rich to take markup out of help texts: ours have none, and it costs 60 ms a Tab."""
    from typer import _completion_classes

    _completion_classes._sanitize_help_text = str  # type: ignore[assignment]  # noqa: SLF001 - a test pins the name


def one_of(values: Iterable[str]) -> Callable[[str], list[str]]:
    """A completer that offers fixed values."""
    known = tuple(values)

    def complete(incomplete: str) -> list[str]:
        return [value for value in known if value.startswith(incomplete)]

    return complete


def plans(incomplete: str) -> Offer:
    """The plans of the provider in use."""
    spec = _spec()
    known = spec.credit_rates.plans if spec and spec.credit_rates else ()
    offers = ((plan.name, f"{plan.credits_per_push} credits a push") for plan in known if plan.streaming)
    return _starting(incomplete, offers)


def symbols(incomplete: str) -> Offer:
    """Common symbols of the provider in use, the user's watchlists, and behind a provider's name its common symbols.

    bash takes a colon for the end of a word, so there it is the names of providers that are completed.
    """
    from tickstream.cli.app import environment

    if incomplete[:1].islower():
        return _starting(incomplete, _of_providers(incomplete.partition(":")[0]))
    spec = _spec()
    offers = [(symbol, "") for symbol in spec.common_symbols] if spec else []
    try:
        lists = environment().config().watchlists
    except TickstreamError:
        lists = {}
    offers += [(f"@{name}", " ".join(of)) for name, of in lists.items()]
    return _starting(incomplete, offers)


def _of_providers(beginning: str) -> Iterator[tuple[str, str]]:
    from tickstream.providers import load, names

    for name in names():
        if name.startswith(beginning):
            spec = load(name)
            yield from ((f"{name}:{symbol}", spec.title) for symbol in spec.common_symbols)


def intervals(incomplete: str) -> list[str]:
    """The intervals of the bars of the provider in use."""
    spec = _spec()
    known = spec.settings.get("interval", ()) if spec else ()
    return [name for name in known if name.startswith(incomplete)]


def codes(incomplete: str) -> Offer:
    """What `explain` explains: the provider's error codes, and exit codes by number."""
    from tickstream.errors import ExitCode

    spec = _spec()
    offers = [(code.code, code.meaning) for code in spec.errors] if spec else []
    return _starting(incomplete, [*offers, *((str(code.value), code.meaning) for code in ExitCode)])


def settings(incomplete: str) -> Offer:
    """The names of the settings."""
    from tickstream.config import SETTINGS

    return _starting(incomplete, ((setting.name, setting.meaning) for setting in SETTINGS.values()))


def providers(incomplete: str) -> list[str]:
    """The names of the providers."""
    from tickstream.providers import all_names

    return [name for name in all_names() if name.startswith(incomplete)]


def channels(incomplete: str) -> list[str]:
    """The channels of the provider in use."""
    spec = _spec()
    return [channel.value for channel in spec.channels if channel.startswith(incomplete)] if spec else []


def fields(incomplete: str) -> list[str]:
    """Names of fields, after the last comma of a list."""
    from tickstream.sinks.fields import valid_fields

    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in valid_fields() if name.startswith(last)]


def _starting(incomplete: str, offers: Iterable[tuple[str, str]]) -> Offer:
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def _spec() -> ProviderSpec | None:
    from tickstream.cli.app import environment
    from tickstream.providers import load

    try:
        return load(environment().config().text("provider"))
    except TickstreamError:
        return None
