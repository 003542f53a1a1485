"""What a run asks for: symbols of a channel."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Channel(StrEnum):
    """Kinds of data."""

    BARS = "bars"
    QUOTES = "quotes"
    TRADES = "trades"
    BOOK = "book"
    ORDERS = "orders"


def is_wildcard(symbol: str) -> bool:
    """True for what stands for all symbols of a kind, in the spelling of a provider that has this: `*`, `*-*`."""
    return "*" in symbol


class Subscription(msgspec.Struct, frozen=True):
    """Symbols in the order given, each once, in the provider's own form."""

    symbols: tuple[str, ...]
    channel: Channel = Channel.BARS

    def shards(self, count: int) -> list[Subscription]:
        """Split over `count` sessions, round robin, so that each gets its share; empty shares are left out."""
        parts = [self.symbols[start::count] for start in range(count)]
        return [Subscription(part, self.channel) for part in parts if part]
