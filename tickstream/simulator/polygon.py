"""Polygon (Massive), the server's side: a greeting, a key, topics, and arrays of events. Pure.

Wire facts: massive.com/docs/websocket and github massive-com/client-python. What it says to rubbish, to topics that
there are not, and to requests before the key is a convention of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tickstream.events import Bar, MarketEvent, Quote, Trade
from tickstream.numbers import Number, decimal, number
from tickstream.providers.polygon import NOT_AUTHORIZED, SPEC, TOPICS, WILDCARDS, cluster_of
from tickstream.providers.polygon_events import NS_PER_MS
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import FaultKind
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import Tape
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp

AUTH_DEADLINE_S = 10.0
VENUE = "4"
"""The exchange of all made-up trades and quotes."""
Q_STEP = 7
"""Numbers of trades grow by more than one: they are shared with other symbols."""
NO_ROOM = (
    "Maximum number of websocket connections exceeded. You have reached the connection limit for your account. "
    "Please contact support at https://polygon.io/contact to increase your limit."
)

INSTRUMENTS: dict[str, Instrument] = {
    "AAPL": Instrument("189.40", 3, 9),
    "MSFT": Instrument("485.92", 3, 9),
    "NVDA": Instrument("176.30", 2, 12),
    "AMZN": Instrument("228.10", 2, 9),
    "GOOGL": Instrument("307.16", 2, 8),
    "TSLA": Instrument("481.20", 4, 22),
    "SPY": Instrument("671.55", 1, 8),
    "QQQ": Instrument("610.20", 1, 9),
    "BRK.B": Instrument("501.33", 9, 9),
    "USD/CNH": Instrument("7.11260", 20, 8),
    "BTC-USD": Instrument("89962.61", 1, 900),
    "ETH-USD": Instrument("3158.40", 1, 60),
    "SOL-USD": Instrument("125.31", 1, 9),
    "I:SPX": Instrument("6715.32", 1, 60),
}
"""Those of which nothing is known by the letters of their names."""

_SOME_MINUTE = {
    "v": 4110, "av": 9470157, "op": 0.4372, "vw": 0.4488, "o": 1.5, "c": 1.75, "h": 2, "l": 1, "a": 0.4352, "z": 685,
    "s": 1610144640000, "e": 1610144700000,
}  # fmt: skip


def status(kind: str, message: str) -> dict[str, str]:
    """A message about the conversation itself."""
    return {"ev": "status", "status": kind, "message": message}


def frame(*messages: Mapping[str, object]) -> bytes:
    """All that is sent is an array."""
    return msgspec.json.encode(messages)


def topic_of(event: MarketEvent) -> str | None:
    """What a client has to be subscribed to for this; None for what the symbol's endpoint does not have."""
    kind = event.interval if isinstance(event, Bar) else Channel.TRADES if isinstance(event, Trade) else Channel.QUOTES
    name = TOPICS[cluster_of(event.symbol)].get(kind)
    return None if name is None else f"{name}.{event.symbol}"


def payload_of(event: MarketEvent) -> bytes:
    """The frame of an event: unknown fields are left out, as Polygon does it."""
    topic = topic_of(event)
    assert topic is not None
    name, _, symbol = topic.partition(".")
    ms = (event.ts_event or event.ts_recv) // NS_PER_MS
    made = {Bar: _bar, Trade: _trade, Quote: _quote}[type(event)]
    fields = {"ev": name, **made(name, symbol, event, ms)}
    return frame({key: value for key, value in fields.items() if value is not None})


def _bar(name: str, symbol: str, bar: Any, ms: int) -> dict[str, object]:
    prices = {"v": bar.volume, "o": bar.open, "c": bar.close, "h": bar.high, "l": bar.low, "s": ms}
    length_ms = {"1m": 60_000, "1s": 1000}[bar.interval]
    return {"sym" if name in ("A", "AM") else "pair": symbol, **prices, "e": ms + length_ms}


def _trade(name: str, symbol: str, trade: Any, ms: int) -> dict[str, object]:
    venue, _, own = (trade.trade_id or "").rpartition(":")
    exchange, _, facility = venue.partition(".")
    facts: dict[str, object] = {
        "p": trade.price, "s": trade.size, "t": ms, "i": own or None, "x": _whole(exchange), "q": trade.sequence,
    }  # fmt: skip
    if name == "T":
        return {"sym": symbol, **facts, "z": 3, "trfi": _whole(facility)}
    return {"pair": symbol, **facts, "c": [{"sell": 1, "buy": 2}.get(trade.side, 0)], "r": ms + 100}


def _quote(name: str, symbol: str, quote: Any, ms: int) -> dict[str, object]:
    if name == "C":
        return {"p": symbol, "x": 44, "a": quote.ask, "b": quote.bid, "t": ms}
    sides = {"bp": quote.bid, "bs": quote.bid_size, "ap": quote.ask, "as": quote.ask_size, "t": ms}
    if name == "Q":
        return {"sym": symbol, "bx": 4, "ax": 7, **sides, "c": 0, "i": [604], "q": quote.sequence, "z": 3}
    return {"pair": symbol, **sides, "x": 1, "r": ms + 100}


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


class PolygonConversation(Conversation):
    """One connection to one endpoint."""

    sample: ClassVar[Sample] = Sample(
        harmless=msgspec.json.encode(status("connected", "Connected Successfully")),
        strange=frame({"ev": "auction", "sym": "AAPL"}),
        error=lambda code, text: frame(status(code, text)),
        data=lambda symbol: [{"ev": "AM", "sym": symbol, **_SOME_MINUTE}],
        symbol=(0, "sym"),
        time=(0, "s"),
        prices=((0, "o"), (0, "c"), (0, "h")),
        some_symbol="AAPL",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "auth-timeout": lambda talk, _: talk.refuse("auth_timeout", "No authentication request received."),
        "invalid-key": lambda talk, _: talk.refuse("auth_failed", "authentication failed"),
        "echo-key": lambda talk, _: talk.refuse("auth_failed", f"authentication failed: {talk.key}"),
        "forbidden": lambda talk, _: talk.refuse("error", NOT_AUTHORIZED),
        "connection-limit": lambda talk, _: setattr(talk, "crowded", True),
        "evicted": lambda talk, _: talk.refuse("max_connections", NO_ROOM),
    }
    modes = frozenset({"no-auth-reply", "no-ack", "invalid-symbol", "partial-ack"})
    own_kinds = (FaultKind("evicted", "10", "max_connections in the midst of the data, close"),)

    def __init__(self, shared: Polygon, now: float) -> None:
        super().__init__(shared, now)
        self.crowded = False
        """There are too many connections: it is said after the key and the topics were accepted."""
        self._cluster = "stocks"
        self._admitted = False

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - whenever it is
        """Polygon speaks first."""
        self._cluster = request.path.strip("/") or "stocks"
        self.send(frame(status("connected", "Connected Successfully")))

    def refuse(self, kind: str, message: str) -> None:
        """Say why, and end the connection."""
        self.note(f"refused: {kind}")
        self.send(frame(status(kind, message)), "error")
        self.ending = self.ending or Ending(self.shared.options.close_code)

    # What the client says.

    def hear(self, payload: bytes, now: float) -> None:  # noqa: ARG002 - requests do not take time
        """One request."""
        try:
            request = msgspec.json.decode(payload, type=_Request)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return self.unreadable()
        if request.action == "auth":
            return self._auth(request.params)
        if not self._admitted or request.action not in ("subscribe", "unsubscribe"):
            return self.unreadable()
        topics = [word.strip() for word in request.params.split(",")]
        return (self._subscribe if request.action == "subscribe" else self._unsubscribe)(topics)

    def unreadable(self) -> None:
        """A message that is no request, or none now."""
        self.send(frame(status("error", "invalid request")), "error")

    def _auth(self, key: str) -> None:
        self.auth_frames += 1
        if not self.admit(key):
            return
        if not key or (self.shared.options.keys and key not in self.shared.options.keys):
            self.refuse("auth_failed", "authentication failed")
            return
        self._admitted = True
        self.note("authenticated")
        self.send(frame(status("auth_success", "authenticated")), "auth")

    def _subscribe(self, topics: list[str]) -> None:
        meant = {topic: self._market_symbol(topic) for topic in topics}
        good, unknown, _ = self.sift([one for one in meant.values() if one], self._knows)
        found: list[dict[str, str]] = []
        for topic, symbol in meant.items():
            if symbol in good:
                self._add(topic.partition(".")[0], symbol)
                found.append(status("success", f"subscribed to: {topic}"))
        if found:
            self.send(frame(*found), "ack")
        if missing := [topic for topic, symbol in meant.items() if not symbol or symbol in unknown]:
            self.send(frame(*(status("not_found", f"not found: {topic}") for topic in missing)), "error")
        self.note(f"subscribed: now {len(self.topics)} topics")
        if self.crowded:
            self.refuse("max_connections", NO_ROOM)
        else:
            self.subscribed()

    def _market_symbol(self, topic: str) -> str:
        """The symbol that a topic is about, a wildcard for all; empty for a topic that the endpoint does not have."""
        name, _, ticker = topic.partition(".")
        if name not in TOPICS.get(self._cluster, {}).values():
            return ""
        if ticker == "*":
            return WILDCARDS.get(self._cluster, "")
        symbol = ticker.replace("-", "/") if self._cluster == "forex" else ticker
        return symbol if cluster_of(symbol) == self._cluster else ""

    def _knows(self, symbol: str) -> bool:
        return symbol in WILDCARDS.values() or self.shared.source.knows(symbol)

    def _add(self, name: str, symbol: str) -> None:
        every = self.shared.symbols_of(self._cluster) if symbol == WILDCARDS.get(self._cluster) else (symbol,)
        self.topics.update({f"{name}.{one}": one for one in every})

    def _unsubscribe(self, topics: list[str]) -> None:
        for topic in topics:
            name, _, ticker = topic.partition(".")
            for held in [held for held in self.topics if held.startswith(f"{name}.")] if ticker == "*" else [topic]:
                self.topics.pop(held, None)
        self.send(frame(*(status("success", f"unsubscribed to: {topic}") for topic in topics)), "ack")

    # What it hears.

    def push(self, item: Item) -> Push:
        """The push of an event that a fault has changed."""
        assert isinstance(item, MarketEvent)
        return push_of(item, topic_of(item) or "", payload_of(item))

    def tick(self, now: float) -> None:
        """The end of the wait for a key."""
        if not self._admitted and self.ending is None and now >= self._opened + self._patience_s:
            self.refuse("auth_timeout", "No authentication request received.")

    def next_deadline(self) -> float | None:
        """The end of that wait."""
        return None if self._admitted else self._opened + self._patience_s

    @property
    def _patience_s(self) -> float:
        return self.shared.options.auth_deadline_s or AUTH_DEADLINE_S


class _Request(msgspec.Struct):
    action: str
    params: str = ""


class Polygon(Counterpart):
    """Polygon: the symbols of `known`, a step a second, an endpoint for each asset class."""

    title = "Polygon"
    path = "/stocks"
    paths = tuple(f"/{cluster}" for cluster in TOPICS if cluster != "stocks")
    conversation = PolygonConversation
    honours = frozenset({"keys", "auth_deadline_s", "close_code"})
    form = SPEC.symbol_pattern
    known = tuple(symbol for symbol in SPEC.common_symbols if symbol not in WILDCARDS.values())
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self._step_ns = source.step_ns or NS_PER_SECOND
        self._tape = Tape(SPEC.name, self._step_ns)

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol.replace("/", ""))

    def symbols_of(self, cluster: str) -> tuple[str, ...]:
        """All that the market has at this endpoint."""
        return tuple(one for one in sorted(self.source.symbols or self.known) if cluster_of(one) == cluster)

    def round(self, items: Sequence[Item]) -> Round:
        """Trades, a quote and a bar of each step, a bar of each minute at its end; recorded events as they are."""
        events = [(topic_of(event), event) for item in items for event in self._events(item)]
        return Round([push_of(event, topic, payload_of(event)) for topic, event in events if topic])

    def _events(self, item: Item) -> list[MarketEvent]:
        if not isinstance(item, Candle):
            return [item] if isinstance(item, Quote | Trade) or _is_served(item) else []
        tape = self._tape
        found = [_as_reported(one) for one in (*tape.trades(item), tape.quote(item))]
        if self._step_ns == NS_PER_SECOND:
            found.append(_second(item))
        return found + [_ended(bar) for bar in tape.bars(item, {"1m": 1}) if isinstance(bar, Bar) and bar.closed]


def _is_served(item: MarketEvent) -> bool:
    return isinstance(item, Bar) and item.interval in ("1m", "1s")


def _ended(bar: Bar) -> Bar:
    """A minute's bar with a whole number for its volume."""
    return msgspec.structs.replace(bar, volume=number(str(int(decimal(bar.volume or number("0"))))))


def _second(candle: Candle) -> Bar:
    opened, high, low, close, volume = map(number, (candle.open, candle.high, candle.low, candle.close, candle.volume))
    opens = Timestamp(candle.open_ns)
    return Bar(SPEC.name, candle.symbol, opens, opens, "1s", opened, high, low, close, volume)


def _as_reported(event: MarketEvent) -> MarketEvent:
    """A made-up trade or quote as exchanges report it: with a venue, stocks in whole shares."""
    stock = cluster_of(event.symbol) in ("stocks", "options")
    if isinstance(event, Trade):
        own = int(event.trade_id or 0)
        return msgspec.structs.replace(
            event, trade_id=f"{VENUE}:{own}", size=_shares(event.size) if stock else event.size,
            side=None if stock else event.side, sequence=own * Q_STEP if stock else None,
        )  # fmt: skip
    if isinstance(event, Quote) and stock:
        return msgspec.structs.replace(event, bid_size=_shares(event.bid_size), ask_size=_shares(event.ask_size))
    return event


def _shares(size: Number | None) -> Number | None:
    return None if size is None else number(str(1 + int(decimal(size) * 100)))


COUNTERPART = Polygon
