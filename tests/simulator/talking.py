"""A provider's protocol and its counterpart, talking without a socket between them, on a clock that moves as told."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from tests.simulator.candles import payloads
from tickstream import providers, simulator
from tickstream.events import Event, MarketEvent
from tickstream.keys import Secret
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.providers.rest import AsksRest, RestAnswer, RestRequest
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.faults import parse_fault
from tickstream.simulator.handshake import Plain, Refusal, Request
from tickstream.simulator.market import MarketSource
from tickstream.simulator.misbehaviour import misbehaving
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Outgoing
from tickstream.simulator.random_market import RandomMarket
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp

START_NS = 1_782_086_400 * 10**9
"""2026-06-22T00:00:00Z."""


class Pair:
    """Both sides. `steps` lets the market go on, `wait` lets time pass; `events` is what the protocol made of it."""

    def __init__(
        self, name: str, channel: Channel, *symbols: str, faults: tuple[str, ...] = (),
        source: MarketSource | None = None, settings: dict[str, str] | None = None, key: str = "a-key", **options: Any,
    ) -> None:  # fmt: skip
        kind = simulator.load(name)
        self.source = source or RandomMarket(form=kind.form, listed=kind.listed, step_ns=kind.step_ns, known=kind.known)
        self.counterpart = kind(SimulatorOptions(provider=name, **options), self.source, START_NS)
        shared = self.counterpart.shared
        asked = [parse_fault(text, kind.faults()) for text in faults]
        talk = misbehaving(kind.conversation)(shared, 0.0, asked, lambda _: None) if faults else None
        self.server: Conversation = talk or kind.conversation(shared, 0.0)
        spec = providers.load(name)
        secret = Secret(key) if spec.key_env else None
        feed = Feed(f"wss://localhost{kind.path}", Subscription(symbols, channel), secret, settings=settings or {})
        self.protocol: FeedProtocol = spec.protocol(feed)
        self.now, self.at_ns = 0.0, START_NS
        self.events: list[Event] = []
        self.heard: list[bytes] = []
        self.raw: list[Outgoing] = []
        target = urlsplit(self.protocol.connect_request().url)
        self.server.greet(Request("nonce", target.path, target.query), 0.0)
        self.protocol.open(0.0)
        self.wait(0.0)

    @property
    def market(self) -> list[MarketEvent]:
        return [event for event in self.events if isinstance(event, MarketEvent)]

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def decoded(self) -> list[dict[str, Any]]:
        """All that the server has said."""
        return [msgspec.json.decode(payload) for payload in self.heard]

    def wait(self, seconds: float) -> None:
        """Time passes; whatever either side has to say is said."""
        self.now += seconds
        self.server.tick(self.now)
        self._hear()
        self.protocol.tick(self.now, self._ts())
        self._talk()

    def steps(self, count: int) -> None:
        """The market goes on, in as much time."""
        for _ in range(count):
            items, self.at_ns = self.source.items(
                self.at_ns, self.at_ns + self.source.step_ns, self.server.symbols, 10_000
            )
            if items:
                self.server.deliver(self.counterpart.round(items), self.now)
            self.wait(self.source.step_ns / 1e9)

    def say(self, **request: Any) -> list[dict[str, Any]]:
        """A message to the server that is not the protocol's, and the answers to it."""
        return self.say_bytes(msgspec.json.encode(request))

    def say_bytes(self, message: bytes) -> list[dict[str, Any]]:
        self.server.receive([message], self.now)
        return [msgspec.json.decode(payload) for payload in payloads(self.server.take_outgoing())]

    def _talk(self) -> None:
        self._ask()
        while requests := self.protocol.frames_to_send(self.now):
            self.server.receive(requests, self.now)
            self._hear()
            self._ask()
        self.events += self.protocol.take_events()
        self.events += self.protocol.take_events()

    def _ask(self) -> None:
        """What the protocol asks over HTTP, if it does."""
        while isinstance(self.protocol, AsksRest) and (requests := self.protocol.requests_to_make(self.now)):
            for request in requests:
                self.protocol.take_answer(self._answer(request), self._ts(), self.now)
                self.protocol.tick(self.now, self._ts())

    def _answer(self, request: RestRequest) -> RestAnswer:
        path, _, query = request.path.partition("?")
        try:
            said = self.counterpart.plain(Plain(request.method, path, query, body=request.body))
        except Refusal as refusal:
            return RestAnswer(request, refusal.status, refusal.text.encode())
        return RestAnswer(request, 404) if said is None else RestAnswer(request, 200, said.encode())

    def _hear(self) -> None:
        messages = payloads(self.server.take_outgoing())
        self.heard += messages
        if messages:
            self.protocol.receive(messages, self._ts(), self.now)
        self.events += self.protocol.take_events()

    def _ts(self) -> Timestamp:
        return Timestamp(START_NS + round(self.now * 1e9))
