"""Providers: one file each, found by looking. A package elsewhere adds one through the entry-point group
`tickstream.providers` (its value: a `ProviderSpec`)."""

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
    from importlib.metadata import entry_points

    return sorted({*names(), *(entry.name for entry in entry_points(group=ENTRY_POINTS))})


def load(name: str) -> ProviderSpec:
    """The declaration of a provider. Raises UsageError for a name that nobody provides."""
    if name in names():
        spec: ProviderSpec = importlib.import_module(f"{__name__}.{name}").SPEC
        return spec
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            found: ProviderSpec = entry.load()
            return found
    raise UsageError(f"There is no provider {name!r}.", hint=f"Known providers: {', '.join(all_names())}.")
