"""A provider's messages that faults can spoil: what is where in them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Path = tuple[str | int, ...]
"""From a decoded message to one of its values: names of objects, places in arrays."""


class Sample(msgspec.Struct, frozen=True):
    """Messages of a provider, as their text and as what their text means."""

    harmless: bytes
    """A message that means nothing: a heartbeat."""
    strange: bytes
    """A message of a type that nobody has heard of."""
    error: Callable[[str, str], bytes]
    """An error message with this code and this text."""
    data: Callable[[str], Any]
    """Data of a symbol, as decoded JSON."""
    symbol: Path
    """Where in it the symbol stands, its time, and three of its prices."""
    time: Path
    prices: tuple[Path, Path, Path]
    some_symbol: str
    """A symbol to take when none is subscribed."""

    def spoiled(self, symbol: str, path: Path, value: object) -> bytes:
        """The data of this symbol with another value; a msgspec.Raw goes in as it is, be it JSON or not."""
        message = self.data(symbol)
        _parent(message, path)[path[-1]] = value
        return msgspec.json.encode(message)

    def lacking(self, symbol: str, path: Path) -> bytes:
        """The data of this symbol without one value."""
        message = self.data(symbol)
        del _parent(message, path)[path[-1]]
        return msgspec.json.encode(message)


def _parent(message: Any, path: Path) -> Any:
    for step in path[:-1]:
        message = message[step]
    return message
