"""A local server that speaks a provider's protocol: to try the tool, to test pipelines, and for our own tests.

`server.Simulator` is the whole of it. What a provider's server says is in the module of the provider's name, found by
looking; a package elsewhere adds one through the entry-point group `tickstream.simulators` (its value: a `Counterpart`
class). All but `server`, `broadcast`, `connection`, `door`, `listening`, `mailbox`, `trap`, `accounts`, `journal` and
`certificate` is pure.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from tickstream import providers
from tickstream.errors import UsageError
from tickstream.suggestions import did_you_mean, shown

if TYPE_CHECKING:
    from tickstream.simulator.counterpart import Counterpart

ENTRY_POINTS = "tickstream.simulators"


def names() -> list[str]:
    """The providers that have a counterpart in this folder, in alphabetical order, without importing them."""
    here = {module.name for module in pkgutil.iter_modules(__path__)}
    return [name for name in providers.names() if name in here]


def all_names() -> list[str]:
    """Those, and the ones that packages elsewhere add."""
    from tickstream import plugins

    return sorted({*names(), *plugins.names(ENTRY_POINTS)})


def load(name: str) -> type[Counterpart]:
    """A provider's counterpart. Raises UsageError for a provider that has none, ConfigError for a broken one."""
    if name in names():
        found: type[Counterpart] = importlib.import_module(f"{__name__}.{name}").COUNTERPART
        return found
    from tickstream import plugins
    from tickstream.simulator.counterpart import Counterpart

    added = plugins.load(ENTRY_POINTS, name)
    if added is not None:
        other, package = added
        if isinstance(other, type) and issubclass(other, Counterpart):
            return other
        raise plugins.unusable(name, package, "its simulator is no Counterpart")
    raise UsageError(
        f"There is no simulator of {shown(name)}.",
        hint=f"{did_you_mean(name, all_names())} There are simulators of {', '.join(all_names())}.".strip(),
    )
