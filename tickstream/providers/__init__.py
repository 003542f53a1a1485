"""Providers: one file each, found by looking. A package elsewhere adds one through the entry-point group
`tickstream.providers` (its value: a `ProviderSpec`, which says `contract=CONTRACT`'s number)."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from tickstream.errors import UsageError

if TYPE_CHECKING:
    from tickstream.providers.base import ProviderSpec

SHARED = frozenset(
    {
        "alltick_wire",
        "alpaca_msgpack",
        "alpaca_wire",
        "base",
        "coinbase_advanced",
        "coinbase_exchange",
        "ibkr_gateway",
        "ibkr_session",
        "ibkr_wire",
        "json_feed",
        "loose",
        "polygon_events",
        "quoted",
        "rest",
        "spec",
        "subscribing",
    }
)
"""Modules in this folder that are no provider."""
ENTRY_POINTS = "tickstream.providers"


def names() -> list[str]:
    """The providers in this folder, in alphabetical order, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED)


def all_names() -> list[str]:
    """Those, and the ones that packages elsewhere add."""
    from tickstream import plugins

    return sorted({*names(), *plugins.names(ENTRY_POINTS)})


def load(name: str) -> ProviderSpec:
    """The declaration of a provider; one in this folder goes before one of the same name elsewhere.

    Raises UsageError for a name that nobody provides, ConfigError for a provider of another package that is broken.
    """
    if name in names():
        spec: ProviderSpec = importlib.import_module(f"{__name__}.{name}").SPEC
        return spec
    from tickstream import plugins

    added = plugins.load(ENTRY_POINTS, name)
    if added is None:
        raise UsageError(f"There is no provider {name!r}.", hint=f"Known providers: {', '.join(all_names())}.")
    found, package = added
    if wrong := _wrong(found, name):
        raise plugins.unusable(name, package, wrong)
    theirs: ProviderSpec = found
    return theirs


def _wrong(found: object, name: str) -> str:
    """What is wrong with a declaration from elsewhere; empty if nothing is. Ours are checked by tests."""
    import inspect

    from tickstream.providers.base import FeedProtocol
    from tickstream.providers.spec import CONTRACT, ProviderSpec

    if not isinstance(found, ProviderSpec):
        return f"its entry point is no ProviderSpec, but {type(found).__name__}"
    kind = found.protocol
    checks = {
        f"it says contract={found.contract}, and this tickstream has {CONTRACT}": found.contract != CONTRACT,
        f"it calls itself {found.name!r}": found.name != name,
        "its protocol is no FeedProtocol": not (isinstance(kind, type) and issubclass(kind, FeedProtocol)),
        "its protocol lacks methods of FeedProtocol": inspect.isabstract(kind),
        "its protocol has another `spec`": getattr(kind, "spec", None) is not found,
        "it has no channels": not found.channels,
        "its symbol_pattern refuses its own common_symbols": not all(
            found.symbol_pattern.fullmatch(symbol) for symbol in found.common_symbols
        ),
    }
    return next((words for words, so in checks.items() if so), "")
