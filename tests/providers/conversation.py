"""What the tests of protocols share: a conversation that needs no socket, and messages made of parts."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tickstream.events import Event, MarketEvent, Notice
from tickstream.keys import Secret
from tickstream.providers import load
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import NS_PER_SECOND, Timestamp

KEY = "tk_canary_7f3d9e1b5a"
EVENING = Timestamp(1_782_338_400 * NS_PER_SECOND)
"""2026-06-24T22:00:00Z: two hours before quotas reset."""
Kind = TypeVar("Kind", bound=Event)


class Conversation:
    """A protocol, the time, and all it has said so far. `hear` gives it messages; time passes with `wait`."""

    def __init__(
        self,
        *symbols: str,
        provider: str = "tickatlas",
        start: Timestamp = EVENING,
        channel: Channel = Channel.BARS,
        **feed: Any,
    ) -> None:
        spec = load(provider)
        feed.setdefault("key", Secret(KEY))
        self.protocol: FeedProtocol = spec.protocol(Feed(spec.url, Subscription(symbols, channel), **feed))
        self.start = start
        self.now = 0.0
        self.events: list[Event] = []
        self.payloads: list[bytes] = []
        self.sent: list[dict[str, Any]] = []
        self.protocol.open(self.now)
        self._collect()

    @property
    def ts(self) -> Timestamp:
        return Timestamp(self.start + round(self.now * NS_PER_SECOND))

    def hear(self, *messages: bytes | dict[str, Any]) -> list[Event]:
        """One batch of messages. Returns the events it made, also when it raises (then in `events`)."""
        payloads = [m if isinstance(m, bytes) else msgspec.json.encode(m) for m in messages]
        before = len(self.events)
        try:
            self.protocol.receive(payloads, self.ts, self.now)
        finally:
            self._collect()
        return self.events[before:]

    def wait(self, seconds: float) -> list[Event]:
        """Let time pass at once, and let the protocol look at it. Returns the events that makes."""
        self.now += seconds
        before = len(self.events)
        try:
            self.protocol.tick(self.now, self.ts)
        finally:
            self._collect()
        return self.events[before:]

    def _collect(self) -> None:
        self.events += self.protocol.take_events()
        self.payloads += self.protocol.take_payloads()
        self.sent += [msgspec.json.decode(payload) for payload in self.protocol.frames_to_send(self.now)]

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def market(self) -> list[MarketEvent]:
        return self.all(MarketEvent)  # type: ignore[type-abstract]

    @property
    def codes(self) -> list[str]:
        """Of all notices so far."""
        return [notice.code for notice in self.all(Notice)]


def authenticated(**changes: Any) -> dict[str, Any]:
    """The answer to `auth`, with fields changed."""
    fields = {"plan": "starter", "max_symbols": 5, "credits_per_push": 5, "daily_quota_remaining": 10_000}
    return {"type": "authenticated", **fields, **changes}


def subscribed(*symbols: str) -> dict[str, Any]:
    return {"type": "subscribed", "symbols": list(symbols), "total_subscribed": len(symbols)}


def error(code: str, message: str = "said so") -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}


def quote(symbol: str = "EURUSD", **changes: str) -> bytes:
    """A quote; changes are JSON texts, so that every digit is as it will be sent. An empty one leaves the field out."""
    fields = {
        "symbol": f'"{symbol}"', "time": '"2026-03-27T14:00:00Z"', "open": "1.08310", "high": "1.08342",
        "low": "1.08301", "close": "1.08329", "bid": "1.08329", "ask": "1.08341", "spread": "12", "volume": "184",
    } | changes  # fmt: skip
    inner = ",".join(f'"{name}":{value}' for name, value in fields.items() if value)
    return f'{{"type":"quote","data":{{{inner}}}}}'.encode()


def live(*symbols: str, **options: Any) -> Conversation:
    """A conversation after authentication and subscription, with nothing heard yet but that."""
    talk = Conversation(*symbols, **options)
    talk.hear(authenticated())
    talk.hear(subscribed(*symbols))
    talk.events.clear()
    return talk
