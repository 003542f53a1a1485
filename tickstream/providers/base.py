"""What a provider is: a declaration (`ProviderSpec`) and a sans-I/O protocol (`FeedProtocol`).

A protocol never touches a socket, a thread, a clock, the environment or a terminal. Payloads and the time go in;
frames to send and events come out. The session owns everything else. The same object decodes live and recorded data.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import Enum
from typing import ClassVar

import msgspec

from tickstream.credits import CreditRates
from tickstream.errors import ProviderError
from tickstream.events import Account, Event
from tickstream.keys import Secret
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp


class Phase(Enum):
    """How far a protocol is. The session takes its state from here."""

    AUTH = "auth"
    SUBSCRIBE = "subscribe"
    LIVE = "live"


class ConnectRequest(msgspec.Struct, frozen=True):
    """Where and how to connect. Header values may be `Secret`; they are revealed only while the request is written."""

    url: str
    headers: Mapping[str, str | Secret] = {}
    subprotocols: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()


class Quarantined(msgspec.Struct, frozen=True):
    """A message that could not be used: its first 4 KiB, redacted, and why."""

    payload: bytes
    reason: str


class FeedCounters(msgspec.Struct):
    """What a protocol has seen since it was made."""

    messages: int = 0
    pushes: int = 0
    """Messages the provider charges for."""
    quarantined: int = 0
    unknown: int = 0
    unrequested: int = 0


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
    binary_frames: bool = False
    ping_interval_s: float = 20.0
    data_silence_s: float = 150.0
    """Without data for this long while a market is open, a symbol is stale."""
    settings: Mapping[str, tuple[str, ...]] = {}
    """Provider settings in the config file -> the values allowed; the first is the default."""


class Feed(msgspec.Struct, frozen=True):
    """What one connection is to deliver: the argument of `ProviderSpec.protocol`."""

    url: str
    subscription: Subscription
    key: Secret | None = None
    settings: Mapping[str, str] = {}
    refused: frozenset[str] = frozenset()
    """Symbols the provider refused before: never asked for again."""


class FeedProtocol(ABC):
    """One connection's conversation. `now` is monotonic seconds, `ts_recv` wall-clock nanoseconds."""

    spec: ClassVar[ProviderSpec]

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.phase = Phase.AUTH
        self.counters = FeedCounters()
        self.account: Account | None = None
        self.active: tuple[str, ...] = ()
        """Symbols the provider has confirmed."""
        self.refused: dict[str, str] = {}
        """Symbols refused on this connection -> why."""
        self.paused = False
        """True while the provider withholds data on purpose (quota): silence is then no fault."""
        self._outgoing: list[bytes] = []
        self._events: list[Event] = []
        self._payloads: list[bytes] = []
        self._quarantined: list[Quarantined] = []

    @abstractmethod
    def connect_request(self) -> ConnectRequest:
        """Where to connect, with which headers."""

    @abstractmethod
    def open(self, now: float) -> None:
        """The connection stands: queue what is to be sent first."""

    @abstractmethod
    def receive(self, payloads: list[bytes], ts_recv: Timestamp, now: float) -> None:
        """Take one batch of messages. A bad one is quarantined and costs the others nothing.

        Raises ProviderError when the provider ends the conversation; events before it remain to be taken.
        """

    def tick(self, now: float) -> None:
        """Time has passed. Raises AuthTimeout, or SessionStale when a deadline of the protocol is over."""

    def next_deadline(self) -> float | None:
        """Monotonic time at which `tick` or `frames_to_send` has something to do; None: nothing planned."""
        return None

    def closed(self, code: int | None, reason: str) -> Exception | None:
        """The provider's meaning of a close code, or None: the session then treats it as RFC 6455 says."""
        return None

    def frames_to_send(self, now: float) -> list[bytes]:
        """Text messages that are due; pacing lives here."""
        out, self._outgoing = self._outgoing, []
        return out

    def take_events(self) -> list[Event]:
        """Events since the last call, in the order received."""
        out, self._events = self._events, []
        return out

    def take_payloads(self) -> list[bytes]:
        """The messages behind the market events since the last call."""
        out, self._payloads = self._payloads, []
        return out

    def take_quarantined(self) -> list[Quarantined]:
        """Messages that could not be used since the last call."""
        out, self._quarantined = self._quarantined, []
        return out

    def redact(self, text: str) -> str:
        """Provider text without our key in it, in case it is echoed."""
        return self.feed.key.redact(text) if self.feed.key else text

    def quarantine(self, payload: bytes, reason: str) -> None:
        """Set a message aside: counted always, its first 4 KiB kept until taken."""
        self.counters.quarantined += 1
        if len(self._quarantined) < 100:
            kept = payload[:4096]
            if self.feed.key:
                kept = self.feed.key.redact_bytes(payload)[:4096]
            self._quarantined.append(Quarantined(kept, reason))
