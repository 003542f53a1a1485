"""Outputs: one file each, which declares itself with `SINK = SinkSpec(...)` (see base.py) and is found here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from tickstream.errors import UsageError
from tickstream.sinks.base import SinkSpec
from tickstream.suggestions import did_you_mean, shown


@cache
def _specs() -> dict[str, SinkSpec]:
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    specs = (getattr(module, "SINK", None) for module in modules)
    return {spec.name: spec for spec in sorted((one for one in specs if one is not None), key=lambda one: one.name)}


def names() -> list[str]:
    """The outputs there are, in alphabetical order."""
    return list(_specs())


def load(name: str) -> SinkSpec:
    """The output of this name. Raises UsageError when there is none."""
    spec = _specs().get(name)
    if spec is None:
        raise UsageError(
            f"there is no output {shown(name)}",
            hint=f"{did_you_mean(name, names())} Outputs: {', '.join(names())}.".strip(),
        )
    return spec
