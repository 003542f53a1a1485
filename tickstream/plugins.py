"""What packages elsewhere add through entry points. A broken package is named, and costs nobody but who asks for it."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from tickstream.errors import ConfigError

LONGEST_REASON = 200
"""Characters."""


def names(group: str) -> list[str]:
    """The names that packages give to what they add to a group, without importing any of it."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=group)})


def load(group: str, name: str) -> tuple[Any, str] | None:
    """What has this name, and the package that brings it, in words; None where nobody brings one.

    Raises ConfigError for what cannot be imported.
    """
    for entry in importlib.metadata.entry_points(group=group):
        if entry.name == name:
            package = _package(entry)
            try:
                return entry.load(), package
            except (Exception, SystemExit) as error:  # somebody else's code
                raise unusable(name, package, f"{type(error).__name__}: {error}") from error
    return None


def unusable(name: str, package: str, why: str) -> ConfigError:
    """The error for something of a package that cannot be used."""
    reason = " ".join(why.split())[:LONGEST_REASON]
    return ConfigError(
        f"The provider {name!r} of the {package} cannot be used: {reason.rstrip('.')}.",
        hint="Update that package, or uninstall it; the other providers are not concerned.",
    )


def _package(entry: importlib.metadata.EntryPoint) -> str:
    found = entry.dist
    return "package that brings it" if found is None else f"package {found.name} {found.version}"
