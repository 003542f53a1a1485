"""What is declared about a provider."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from tickstream.canonical import Canonical
from tickstream.credits import CreditRates
from tickstream.errors import ProviderError
from tickstream.markets import Market, market_of
from tickstream.subscriptions import Channel
from tickstream.symbols import SymbolForm

if TYPE_CHECKING:
    from tickstream.providers.base import FeedProtocol


CONTRACT = 1
"""Of `ProviderSpec` and `FeedProtocol`, for providers of other packages: it grows when these no longer fit."""


class ErrorCode(msgspec.Struct, frozen=True):
    """One of a provider's error codes: what it means, what to do, and which exception it becomes.

    `error` None: the connection goes on and the code is shown as a notice.
    """

    code: str
    meaning: str
    advice: str
    error: type[ProviderError] | None = None
    documented: bool = True


class ProviderSpec(msgspec.Struct, frozen=True):
    """All that is declared about a provider: help, completion, `explain`, docs and the contract tests read it."""

    name: str
    title: str
    url: str
    key_env: str | None
    channels: tuple[Channel, ...]
    symbol_pattern: re.Pattern[str]
    symbol_help: str
    common_symbols: tuple[str, ...]
    errors: tuple[ErrorCode, ...]
    protocol: Callable[..., FeedProtocol]
    """Called as protocol(Feed): a new one for each connection."""
    credit_rates: CreditRates | None = None
    max_connections: int = 1
    bar_interval_s: int | None = None
    bars_once: bool = False
    """Each bar is sent once, complete: another one of the same symbol and start only repeats it."""
    ping_interval_s: float = 20.0
    data_silence_s: float = 150.0
    """Without data for this long while a market is open, a symbol is stale."""
    settings: Mapping[str, tuple[str, ...]] = {}
    """Provider settings in the config file -> the values allowed; the first is the default. `("",)`: any text."""
    site: str = ""
    """Where people get a key and read the documentation."""
    key_channels: tuple[Channel, ...] | None = None
    """Channels that need the key, None: all. The others stream without one."""
    demo_key: str | None = None
    """A key that the provider publishes for everybody to try it with."""
    free_tier: str = ""
    """What costs nothing, in a few words."""
    limits: tuple[str, ...] = ()
    """What the provider allows, a line each."""
    heartbeat: str = ""
    """Who says what, how often, to show that the connection is alive."""
    market_of: Callable[[str], Market] = market_of
    """Symbol -> its trading hours."""
    group_of: Callable[[str], str] | None = None
    """Symbol -> its group: only symbols of one can share a connection. None: all can."""
    reconnect_s: float = 0.0
    """The least time from one attempt to connect to the next."""
    contract: int | None = None
    """What a provider of another package was written for: `CONTRACT` as it then was, in figures. Ours leave it out."""
    alias: Callable[[Canonical, Mapping[str, str]], str | None] | None = None
    """A pair or a stock, and the settings in force -> its symbol here. None: there is surely no such thing here."""

    @property
    def keyless(self) -> tuple[Channel, ...]:
        """The channels that stream without a key of one's own."""
        if self.key_env is None or self.demo_key is not None:
            return self.channels
        needed = self.channels if self.key_channels is None else self.key_channels
        return tuple(channel for channel in self.channels if channel not in needed)

    def symbol_form(self, settings: Mapping[str, str] = {}) -> SymbolForm:
        """What its symbols look like, with these settings in force."""
        alias = self.alias

        def here(meaning: Canonical) -> str | None:
            return alias(meaning, settings) if alias else None

        known = self.symbol_pattern, self.symbol_help, self.common_symbols
        return SymbolForm(*known, here if alias else None, self.name, self.title)

    def error(self, code: str) -> ErrorCode | None:
        """What is known of an error code."""
        return next((entry for entry in self.errors if entry.code == code), None)
