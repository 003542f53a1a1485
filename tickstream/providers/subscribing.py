"""JSON feeds that are asked for symbols in so many requests: paced, each answered or not, never mute for long."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from tickstream.continuity import Continuity
from tickstream.errors import SessionStale
from tickstream.events import Event, Level, MarketEvent
from tickstream.providers import loose
from tickstream.providers.base import ConnectRequest, Feed, Phase
from tickstream.providers.json_feed import UNDECODABLE, JsonFeed, MessageDecoder
from tickstream.timestamps import Timestamp

Message = TypeVar("Message")

Request = dict[str, Any] | msgspec.Raw

REPLY_TIMEOUT_S = 10.0
"""For the answers to all requests; then data is waited for without them."""
LONGEST_LIST = 8 * 2**20
"""Bytes."""


class NewsOrReply(MessageDecoder[Any]):
    """News are told apart by a tag, replies to our requests have none, but one of the fields that `marks` names."""

    def __init__(
        self, news: Any, tag_field: str, reply: type[msgspec.Struct], marks: Sequence[str], long: bytes | None = None
    ) -> None:
        """Messages that begin with `long` may be longer than others: some providers list all they have in one."""
        super().__init__(news, tag_field)
        self._reply = msgspec.json.Decoder(reply)
        self._marks = marks
        self._long = long

    def one(self, payload: bytes) -> Any:
        """Raises as MessageDecoder.one does."""
        try:
            return super().one(payload)
        except msgspec.ValidationError as misfit:
            try:
                self.kind(payload)
            except UNDECODABLE:
                reply = self._reply.decode(payload)
                if any(getattr(reply, mark) is not None for mark in self._marks):
                    return reply
            raise misfit from None

    def parts(self, payload: bytes) -> list[bytes]:
        """As MessageDecoder.parts does it."""
        if self._long is not None and payload.startswith(self._long) and len(payload) <= LONGEST_LIST:
            return [payload]
        return super().parts(payload)


class SubscribingFeed(JsonFeed[Message]):
    """Asks for its symbols as soon as the connection stands. A subclass writes the requests and reads the answers."""

    mute_after_s: ClassVar[float | None] = None
    """Without any message for so long the feed is dead; None: silence is no sign."""
    send_interval_s: ClassVar[float] = 0.0
    """Least time between two requests."""
    symbols_at_once: ClassVar[int] = 50
    """Symbols of one request."""
    max_symbols: ClassVar[int | None] = None
    """Of one connection."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.continuity = Continuity(self.spec.name)
        self._requests: list[tuple[float, Request]] = []
        """With the time before which it is not to be sent."""
        self._next_send = 0.0
        self._begin_at: float | None = None
        self._reply_due: float | None = None
        self._last_message: float | None = None
        self._unanswered: set[str] = set()

    # --- what a subclass says --------------------------------------------------------------------------------------

    @abstractmethod
    def request(self, symbols: list[str]) -> Request:
        """The request for these symbols; a Raw is sent as it is, be it JSON or not."""

    def begin(self, symbols: tuple[str, ...], now: float) -> None:
        """Ask for these symbols, or for what has to be known before."""
        self.ask(symbols, now)

    def connect_request(self) -> ConnectRequest:
        """No credentials in the URL or the headers."""
        return ConnectRequest(self.feed.url, secrets=(self.feed.key,) if self.feed.key else ())

    def setting(self, name: str) -> str:
        """A setting of the provider, or its default."""
        return self.feed.settings.get(name, self.spec.settings[name][0])

    def send(self, request: Request, not_before: float = 0.0) -> None:
        """Send this when its turn comes."""
        self._requests.append((not_before, request))

    def ask(self, symbols: Sequence[str], now: float) -> None:
        """Ask for these symbols, a portion at a time."""
        self._unanswered.update(symbols)
        starts = range(0, len(symbols), self.symbols_at_once)
        for start in starts:
            self.send(self.request(list(symbols[start : start + self.symbols_at_once])))
        self.await_reply(now, len(starts))

    def answered(self, symbols: Iterable[str]) -> None:
        """The provider has confirmed these."""
        self._unanswered.difference_update(symbols)
        if not self._unanswered:
            self._reply_due = None
            self.go_live()

    def turned_down(self, ts: Timestamp, code: str, why: str, symbols: tuple[str, ...]) -> None:
        """The provider does not serve these. Raises SymbolRefused when none is left."""
        self.refuse(ts, code, why, symbols)
        self.asked = self.asked.difference(symbols)
        if not self.asked:
            raise self.all_refused()
        if self._unanswered:
            self.answered(symbols)

    def await_reply(self, now: float, requests: int = 1) -> None:
        """So many requests are on their way: their answers are due."""
        self._reply_due = now + REPLY_TIMEOUT_S + requests * self.send_interval_s

    def is_ours(self, symbol: str, ts: Timestamp) -> bool:
        """Whether data of this symbol was asked for; counts it if not."""
        if symbol in self.asked:
            return True
        self.unrequested(ts, symbol)
        return False

    def give(self, events: Iterable[MarketEvent], payload: bytes, ts: Timestamp) -> None:
        """Events of one message; those of symbols that were not asked for are left out. Data confirms, too."""
        good = [event for event in events if self.is_ours(event.symbol, ts)]
        self._take_data(good, {event.symbol for event in good} if self._unanswered else (), payload)

    def give_numbered(self, events: Sequence[tuple[MarketEvent, int, int]], payload: bytes, ts: Timestamp) -> None:
        """The same for what the provider numbers without holes, first to last: a hole is a gap before the event."""
        good: list[Event] = []
        for event, first, last in events:
            if self.is_ours(event.symbol, ts):
                gap = self.continuity.follow(event.symbol, first, last, ts)
                good += [event] if gap is None else [gap, event]
        self._take_data(good, {event.symbol for event, _, _ in events} if self._unanswered else (), payload)

    def _take_data(self, events: Sequence[Event], symbols: Collection[str], payload: bytes) -> None:
        if events:
            self._events += events
            self._payloads.append(payload)
            if self.phase is not Phase.LIVE:
                self.go_live()
            if symbols:
                self.answered(symbols)

    # --- time ------------------------------------------------------------------------------------------------------

    def open(self, now: float) -> None:
        """Keyless: symbols may be asked for at once."""
        self.phase = Phase.SUBSCRIBE
        self._begin_at = self._last_message = now

    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """Any message is a sign of life."""
        self._last_message = now
        self._begin(ts_recv, now)
        super().receive(payloads, ts_recv, now)

    def tick(self, now: float, ts: Timestamp) -> None:
        """Raises SessionStale for a mute feed, SymbolRefused when there is nothing to ask for."""
        self._begin(ts, now)
        if self._reply_due is not None and now >= self._reply_due:
            self._reply_due = None
            self._miss_replies(ts)
        if (mute := self._mute_at()) is not None and now >= mute:
            raise SessionStale(f"{self.spec.title} sent neither data nor a heartbeat for {self.mute_after_s:.0f} s.")

    def next_deadline(self) -> float | None:
        """The earliest of: the beginning, a request whose turn comes, replies due, a mute feed."""
        turn = max(self._next_send, min(at for at, _ in self._requests)) if self._requests else None
        planned = (self._begin_at, turn, self._reply_due, self._mute_at())
        return min((at for at in planned if at is not None), default=None)

    def frames_to_send(self, now: float) -> list[bytes]:
        """The requests whose turn has come."""
        due = [place for place, (at, _) in enumerate(self._requests) if at <= now]
        while due and now >= self._next_send:
            self._outgoing.append(msgspec.json.encode(self._requests.pop(due.pop(0))[1]))
            due = [place - 1 for place in due]
            self._next_send = now + self.send_interval_s
        return super().frames_to_send(now)

    def _mute_at(self) -> float | None:
        return (
            None if self.mute_after_s is None or self._last_message is None else self._last_message + self.mute_after_s
        )

    def _miss_replies(self, ts: Timestamp) -> None:
        if not self._unanswered:
            raise SessionStale(f"{self.spec.title} did not answer within {REPLY_TIMEOUT_S:.0f} s.")
        missing, self._unanswered = tuple(sorted(self._unanswered)), set()
        self.go_live()
        words = f"no confirmation of {', '.join(missing)} within {REPLY_TIMEOUT_S:.0f} s; waiting for data"
        self.notice(ts, "no_ack", words, missing)

    def _begin(self, ts: Timestamp, now: float) -> None:
        if self._begin_at is not None:
            self._begin_at = None
            self.begin(self.choose(ts, self.max_symbols), now)


def levels(pairs: Iterable[tuple[msgspec.Raw, msgspec.Raw]]) -> tuple[Level, ...]:
    """Levels of a book from prices and sizes. Raises ValueError for what is no number."""
    return tuple((loose.price(price), loose.price(size)) for price, size in pairs)
