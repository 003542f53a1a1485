"""What a provider is: a declaration (`ProviderSpec`) and a sans-I/O protocol (`FeedProtocol`).

A protocol never touches a socket, a thread, a clock, the environment or a terminal. Payloads and the time go in;
frames to send and events come out. The session owns everything else. The same object decodes live and recorded data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar

import msgspec

from tickstream.errors import ProviderError, SymbolRefused, TickstreamError
from tickstream.events import Account, Event, Glimpses, MarketEvent, Notice, Quarantined
from tickstream.keys import Secret
from tickstream.providers.spec import ErrorCode, ProviderSpec
from tickstream.subscriptions import Subscription
from tickstream.symbols import near_symbols
from tickstream.timestamps import NS_PER_SECOND, Timestamp
from tickstream.tls_pins import TlsPin

__all__ = [
    "ConnectRequest",
    "ErrorCode",
    "Feed",
    "FeedCounters",
    "FeedProtocol",
    "NoticeLimit",
    "Phase",
    "ProviderSpec",
]

QUARANTINE_BYTES = 4096
QUARANTINE_AT_ONCE = 100
"""Kept until taken; beyond that bad messages are only counted."""
NOTICES_PER_MINUTE = 10
LONGEST_FORM = 12
"""No form of a key (see keys.Secret.forms) has more bytes than this for each of its characters."""


class Phase(Enum):
    """How far a protocol is. The session takes its state from here."""

    AUTH = "auth"
    SUBSCRIBE = "subscribe"
    LIVE = "live"


class NoticeLimit:
    """At most ten notices a minute about the same trouble: a flood of them helps nobody."""

    def __init__(self) -> None:
        self._minute = float("-inf")
        self._count = 0

    def allows(self, now: float) -> bool:
        """True if one more may be shown; counts it. `now` in seconds."""
        if not 0 <= now - self._minute < 60:
            self._minute, self._count = now, 0
        self._count += 1
        return self._count <= NOTICES_PER_MINUTE


class ConnectRequest(msgspec.Struct, frozen=True):
    """Where and how to connect. Header values may be `Secret`; they are revealed only while the request is written."""

    url: str
    headers: Mapping[str, str | Secret] = {}
    subprotocols: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    binary: bool = False
    """What we say, and what is data, comes in binary messages; text is data, too."""
    tls_pin: TlsPin | None = None
    """For a server on the user's own machine, whose certificate nobody vouches for."""


class FeedCounters(msgspec.Struct):
    """What a protocol has seen since it was made."""

    messages: int = 0
    pushes: int = 0
    """Messages the provider charges for."""
    quarantined: int = 0
    unknown: int = 0
    unrequested: int = 0


class Feed(msgspec.Struct, frozen=True):
    """What one connection is to deliver: the argument of `ProviderSpec.protocol`."""

    url: str
    subscription: Subscription
    key: Secret | None = None
    settings: Mapping[str, str] = {}
    refused: frozenset[str] = frozenset()
    """Symbols the provider refused before: never asked for again."""
    raw: bool = False
    """Nobody wants more than the provider's own messages, and the symbol and time of each (`-o raw`)."""
    shard: int = 0
    shards: int = 1

    def share_of(self, limit: int) -> int:
        """How many of the first `limit` symbols of the whole run belong to this connection (symbols go round robin)."""
        return max(0, -(-(limit - self.shard) // self.shards))


class FeedProtocol(ABC):
    """One connection's conversation. `now` is monotonic seconds, `ts_recv` wall-clock nanoseconds."""

    spec: ClassVar[ProviderSpec]
    hands_over: ClassVar[bool] = False
    """Whether it may be known before that a connection is going to end (`ends_soon`)."""

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
        self.asked: frozenset[str] = frozenset()
        """Symbols asked for and not refused: data for any other is no data of ours."""
        self._last_error: tuple[str, str] | None = None
        self._reports = NoticeLimit()
        self._outgoing: list[bytes] = []
        self._events: list[Event] = []
        self._glimpses: Glimpses | None = None
        """What came before `_events`, if it was not looked at closely."""
        self._payloads: list[bytes] = []
        self._whole_batch: Sequence[bytes] = ()
        """What came before `_payloads`, if it was a batch as it arrived."""
        self._quarantined: list[Quarantined] = []

    @abstractmethod
    def connect_request(self) -> ConnectRequest:
        """Where to connect, with which headers."""

    @abstractmethod
    def open(self, now: float) -> None:
        """The connection stands: queue what is to be sent first."""

    @abstractmethod
    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """Take one batch of messages. A bad one is quarantined and costs the others nothing.

        Raises ProviderError when the provider ends the conversation; events before it remain to be taken.
        """

    def tick(self, now: float, ts: Timestamp) -> None:  # noqa: B027 - a protocol may have no deadlines
        """Time has passed; `ts` is the wall clock, for events.

        Raises AuthTimeout or SessionStale when a deadline of the protocol is over.
        """

    def next_deadline(self) -> float | None:
        """Monotonic time at which `tick` or `frames_to_send` has something to do; None: nothing planned."""
        return None

    @property
    def has_events(self) -> bool:
        """True when `take_events` would give some."""
        return bool(self._events or self._glimpses)

    @property
    def counts_places(self) -> bool:
        """Whether the next event of a symbol has the next number as its `place`."""
        return False

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:  # noqa: ARG002 - for those that pace
        """The books of these symbols are wrong: have the provider begin each of them anew, with a snapshot.

        Raises ProviderError: a new connection begins everything anew. Override it where the provider can do it for a
        symbol alone, or where each of its messages is a whole book.
        """
        text = f"{self.spec.title}: the book of {', '.join(symbols)} is wrong, and begins anew with a new connection."
        raise ProviderError(text, code="book_broken", symbols=symbols)

    def ends_soon(self, now: float) -> bool:  # noqa: ARG002 - for those that know
        """True once the provider is about to end this connection: another one takes over while it still delivers.

        Only asked where `hands_over` is true; `place` then tells what both have delivered.
        """
        return False

    def place(self, event: MarketEvent) -> tuple[Any, ...] | None:  # noqa: ARG002 - for those that number
        """Where an event stands among those of its symbol, by the provider's own numbers: what is not beyond the latest
        place has been delivered before. None: nobody can tell."""
        return None

    def closed(self, code: int | None, reason: str) -> TickstreamError | None:  # noqa: ARG002 - for those whose codes mean something
        """The provider's meaning of the end of a connection, or None: the session then does as RFC 6455 says.

        By default an error message before the feed was live says why, whatever the close code.
        """
        if self._last_error is None or self.phase is Phase.LIVE:
            return None
        error, message = self._last_error
        text = f"{self.spec.title}: {self.words_for(error, message)}, and closed the connection."
        return self.error_for(error, message) or ProviderError(text, code=self.redact(error)[:60])

    def frames_to_send(self, now: float) -> list[bytes]:  # noqa: ARG002 - for those that pace
        """Text messages that are due; pacing lives here."""
        out, self._outgoing = self._outgoing, []
        return out

    def take_events(self) -> Sequence[Event]:
        """Events since the last call, in the order received."""
        events, glimpses = self._events, self._glimpses
        self._events, self._glimpses = [], None
        if glimpses is None:
            return events
        return [*glimpses, *events] if events else glimpses

    def take_payloads(self) -> Sequence[bytes]:
        """The messages behind the market events since the last call."""
        first, rest = self._whole_batch, self._payloads
        self._whole_batch, self._payloads = (), []
        return [*first, *rest] if first and rest else first or rest

    def take_quarantined(self) -> list[Quarantined]:
        """Messages that could not be used since the last call."""
        out, self._quarantined = self._quarantined, []
        return out

    def _pass_on(self, payloads: Sequence[bytes]) -> None:
        """A whole batch of messages carried market events."""
        if self._whole_batch or self._payloads:
            self._payloads += payloads
        else:
            self._whole_batch = payloads

    def _glimpse(self, glimpses: Glimpses) -> None:
        """Data that `feed.raw` spares us to look at closely."""
        if self.has_events:
            self._events = [*self.take_events(), *glimpses]
        else:
            self._glimpses = glimpses

    # --- what every protocol says in the same way -----------------------------------------------------------------

    def redact(self, text: str) -> str:
        """Provider text without our key in it, in case it is echoed."""
        return self.feed.key.redact(text) if self.feed.key else text

    def notice(self, ts: Timestamp, code: str, message: str, symbols: tuple[str, ...] = ()) -> None:
        """Tell the user something; redacted and of bounded length, for both may be the provider's words."""
        text = self.redact(message)[:400]
        self._events.append(Notice(self.spec.name, ts, self.redact(code)[:60], text, symbols))

    def choose(self, ts: Timestamp, limit: int | None) -> tuple[str, ...]:
        """The symbols to ask for: all but those refused before, and no more than the plan's limit.

        Raises SymbolRefused when none is left.
        """
        wanted = tuple(s for s in self.feed.subscription.symbols if s not in self.feed.refused)
        allowed = wanted if limit is None else wanted[: self.feed.share_of(limit)]
        if len(allowed) < len(wanted):
            self.refuse(ts, "symbol_limit", f"over the limit of {limit} symbols of this plan", wanted[len(allowed) :])
        if not allowed:
            raise self.all_refused()
        self.asked = frozenset(allowed)
        return allowed

    def confirm(self, ts: Timestamp, confirmed: frozenset[str]) -> None:
        """The provider says what it will send: what was asked for and is not among it, is refused.

        Raises SymbolRefused when none is left.
        """
        missing = tuple(s for s in self.feed.subscription.symbols if s in self.asked and s not in confirmed)
        self.asked &= confirmed
        if missing:
            why = "not in the provider's confirmation: unknown to it, or not in the plan"
            self.refuse(ts, "symbol_refused", why, missing)
        if not self.asked:
            raise self.all_refused()
        self.go_live()

    def go_live(self) -> None:
        """Data flows, or is sure to."""
        self.phase = Phase.LIVE
        self.active = tuple(s for s in self.feed.subscription.symbols if s in self.asked)

    def unrequested(self, ts: Timestamp, symbol: str) -> None:
        """Data that was not asked for is counted and left out; the first is reported."""
        self.counters.unrequested += 1
        if self.counters.unrequested == 1:
            name = self.redact(symbol)[:40]
            self.notice(ts, "unrequested_symbol", f"data for {name!r}, not asked for; counted and left out")

    def report(self, ts: Timestamp, code: str, message: str) -> None:
        """The provider reports an error. Raises what it stands for; where the conversation goes on, it is a notice."""
        self._last_error = (code, message)
        error = self.error_for(code, message)
        if error is not None:
            raise error
        if self._reports.allows(ts / NS_PER_SECOND):
            self.notice(ts, code, self.meaning_of(code, message))

    def refuse(self, ts: Timestamp, code: str, why: str, symbols: tuple[str, ...]) -> None:
        """These symbols will not come: said once, and never asked for again. What is near to them is said, too."""
        self.refused.update(dict.fromkeys(symbols, why))
        near = self.near(symbols) if code == "symbol_refused" else ""
        self.notice(ts, code, f"{', '.join(symbols)}: {why}" + (f". {near}" if near else ""), symbols)

    def near(self, symbols: Sequence[str]) -> str:
        """What else these may have been: empty where nobody knows."""
        return near_symbols(symbols, self.spec.symbol_form(self.feed.settings))

    def all_refused(self) -> SymbolRefused:
        """The error when nothing is left to stream."""
        refused = tuple(self.refused) or self.feed.subscription.symbols
        near = self.near(refused)
        return SymbolRefused(
            f"{self.spec.title} refused every symbol asked for: {', '.join(refused)}.",
            code="symbol_refused",
            symbols=refused,
            hint=(f"{near} " if near else "")
            + f"Symbols are {self.spec.symbol_help}. Check the spelling, and the symbol limit of your plan.",
        )

    def meaning_of(self, code: str, message: str) -> str:
        """A provider's error in our words and its own, without the code."""
        known = self.spec.error(code)
        meaning = known.meaning if known else "an error code that tickstream does not know"
        said = self.redact(message)[:200]
        return meaning + (f" ({said})" if said else "")

    def words_for(self, code: str, message: str) -> str:
        """The same, behind its code."""
        return f"{self.redact(code)[:60]}: {self.meaning_of(code, message)}"

    def error_for(self, code: str, message: str) -> ProviderError | None:
        """The exception that an error code stands for; None if the conversation goes on."""
        known = self.spec.error(code)
        if known is None or known.error is None:
            return None
        return known.error(f"{self.spec.title}: {self.words_for(code, message)}", code=code, hint=known.advice)

    def quarantine(self, payload: bytes, reason: str) -> None:
        """Set a message aside: counted always, its first 4 KiB kept until taken."""
        self.counters.quarantined += 1
        if len(self._quarantined) < QUARANTINE_AT_ONCE:
            self._quarantined.append(Quarantined(self._beginning(payload), self.redact(reason)[:200]))

    def _beginning(self, payload: bytes) -> bytes:
        """The first 4 KiB without our key, and without the beginning of a key that the cut would leave behind."""
        key = self.feed.key
        if key is None:
            return payload[:QUARANTINE_BYTES]
        longest = LONGEST_FORM * len(key.reveal())
        seen = payload[: QUARANTINE_BYTES + longest]
        redacted = key.redact_bytes(seen)
        if len(seen) < len(payload):
            redacted = redacted[:-longest]
        return redacted[:QUARANTINE_BYTES]
