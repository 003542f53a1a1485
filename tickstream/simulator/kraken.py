"""Kraken (spot, WebSocket v2), the server's side: tickers, trades, checked books, bars, heartbeats. Pure.

Wire facts: docs.kraken.com, exchange/api-reference/spot-websocket-v2. Numbers are written as Kraken does it: without
the last zeros, and small ones in scientific notation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tickstream import numbers
from tickstream.checked_book import CheckedBook, Side
from tickstream.events import Bar, BookSnapshot, BookUpdate, MarketEvent, Quote, Trade
from tickstream.providers.kraken import INTERVALS, NO_PAIR, SPEC
from tickstream.simulator.books import RecordedBooks, with_changes
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import LOST, FaultKind
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import SIZE_DECIMALS, Tape
from tickstream.timestamps import NS_PER_SECOND, rfc3339

HEARTBEAT_S = 1.0
DEPTHS = (10, 25, 100, 500, 1000)
ANY_PLACES = (10, 10)
"""Decimals of pairs whose prices somebody else makes: enough for what they write."""

INSTRUMENTS: dict[str, Instrument] = {
    "BTC/USD": Instrument("64210.5", 1, 6),
    "ETH/USD": Instrument("3158.40", 1, 14),
    "SOL/USD": Instrument("146.25", 1, 5),
    "XRP/USD": Instrument("0.52310", 1, 8),
    "ADA/USD": Instrument("0.384120", 5, 60),
    "DOGE/USD": Instrument("0.1243100", 10, 300),
    "LTC/USD": Instrument("74.21", 1, 3),
    "BTC/EUR": Instrument("59870.2", 1, 6),
    "ETH/EUR": Instrument("2945.10", 1, 14),
    "ETH/BTC": Instrument("0.04918", 1, 1),
}
_STATUS = {"version": "2.0.0", "system": "online", "api_version": "v2", "connection_id": 13834774380200032777}
_SOME_TICKER = {
    "bid": 1.5, "bid_qty": 2, "ask": 1.75, "ask_qty": 3, "last": 1.5, "timestamp": "2026-06-24T14:54:00.000000Z"
}  # fmt: skip


def written(text: str) -> str:
    """A decimal as Kraken writes it: 105944.20 is 105944.2, and 0.00009417 is 9.417e-05."""
    return repr(round(float(text), ANY_PLACES[0]))


def message(**fields: object) -> bytes:
    """A message with these fields, in this order."""
    return msgspec.json.encode(fields)


def data(channel: str, kind: str, *entries: dict[str, object], **more: object) -> bytes:
    """News of a channel."""
    return message(channel=channel, type=kind, data=entries, **more)


def topic_of(event: MarketEvent) -> str:
    """What a client has to be subscribed to for this."""
    if isinstance(event, Bar):
        return f"ohlc:{INTERVALS[event.interval]} {event.symbol}"
    name = {Quote: "ticker", Trade: "trade", BookSnapshot: "book"}[type(event)]
    return f"{name} {event.symbol}"


def payload_of(event: MarketEvent) -> bytes:
    """The message of an event; a book has none of its own, for it is sent as what changes."""
    ts = rfc3339(event.ts_event or event.ts_recv)
    fields: dict[str, object]
    match event:
        case Quote():
            fields = {
                "symbol": event.symbol, "bid": event.bid, "bid_qty": event.bid_size, "ask": event.ask,
                "ask_qty": event.ask_size, "last": event.last, "timestamp": ts,
            }  # fmt: skip
            return data("ticker", "update", fields)
        case Trade():
            fields = {
                "symbol": event.symbol, "side": event.side, "price": event.price, "qty": event.size,
                "ord_type": "limit", "trade_id": int(event.trade_id or 0), "timestamp": ts,
            }  # fmt: skip
            return data("trade", "update", fields)
        case Bar():
            fields = {
                "symbol": event.symbol, "open": event.open, "high": event.high, "low": event.low, "close": event.close,
                "volume": event.volume, "interval_begin": ts, "interval": INTERVALS[event.interval],
            }  # fmt: skip
            return data("ohlc", "update", fields, timestamp=rfc3339(event.ts_recv))
        case _:
            return b""


class _SentBook:
    """One symbol's book as a client has it."""

    def __init__(self, depth: int, places: tuple[int, int]) -> None:
        self._depth, self._places = depth, places
        self._sides: tuple[dict[bytes, bytes], dict[bytes, bytes]] | None = None

    def message(self, book: BookSnapshot, wrong: int) -> bytes | None:
        """What brings the client's book up to date; None when it is. `wrong` is added to the checksum."""
        kept = CheckedBook(self._depth, self._places)
        bids, asks = book.bids[: self._depth], book.asks[: self._depth]
        kept.replace(bids, asks)
        before = self._sides
        self._sides = (_sizes(bids), _sizes(asks))
        if before is not None:
            bids = _changes(before[0], bids, book.bids)
            asks = _changes(before[1], asks, book.asks)
            if not bids and not asks:
                return None
        entry: dict[str, object] = {
            "symbol": book.symbol, "bids": _levels(bids), "asks": _levels(asks),
            "checksum": (kept.checksum(self._places) + wrong) % 2**32,
            "timestamp": rfc3339(book.ts_event or book.ts_recv),
        }  # fmt: skip
        return data("book", "snapshot" if before is None else "update", entry)


def _sizes(side: Side) -> dict[bytes, bytes]:
    return {bytes(price): bytes(size) for price, size in side}


def _changes(before: dict[bytes, bytes], side: Side, whole: Side) -> Side:
    """Levels that are new or have another size, and those that are gone; not those that are only too deep now."""
    there = _sizes(whole)
    gone = tuple((numbers.number(price), numbers.number("0.0")) for price in before if price not in there)
    return gone + tuple(level for level in side if before.get(bytes(level[0])) != bytes(level[1]))


def _levels(side: Side) -> list[dict[str, object]]:
    return [{"price": price, "qty": size} for price, size in side]


class KrakenConversation(Conversation):
    """One connection."""

    sample: ClassVar[Sample] = Sample(
        harmless=message(channel="heartbeat"),
        strange=data("auction", "update"),
        error=lambda code, text: message(error=f"{code}: {text}", method="subscribe", success=False),
        data=lambda symbol: {"channel": "ticker", "type": "update", "data": [{"symbol": symbol, **_SOME_TICKER}]},
        symbol=("data", 0, "symbol"),
        time=("data", 0, "timestamp"),
        prices=(("data", 0, "ask"), ("data", 0, "bid"), ("data", 0, "last")),
        some_symbol="BTC/USD",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "bad-checksum": lambda talk, _: talk.mistake(),
        "maintenance": lambda talk, _: talk.send(data("status", "update", {**_STATUS, "system": "maintenance"})),
    }
    modes = frozenset({"no-ack", "no-heartbeat", "invalid-symbol", "partial-ack"})
    own_kinds = (
        LOST,
        FaultKind("bad-checksum", "10", "a wrong checksum in the next message of a book"),
        FaultKind("maintenance", "10", "the system says that it is in maintenance"),
    )

    def __init__(self, shared: Kraken, now: float) -> None:
        super().__init__(shared, now)
        self._books: dict[str, _SentBook] = {}
        self._wrong = 0
        self._spoke = now

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - whatever was asked for
        """Kraken speaks first."""
        self.send(data("status", "update", _STATUS))

    def mistake(self) -> None:
        """The next checksum is wrong."""
        self._wrong = 1

    # What the client says.

    def hear(self, payload: bytes, now: float) -> None:  # noqa: ARG002 - requests do not take time
        """One request."""
        try:
            request = msgspec.json.decode(payload)
            method, params = request.get("method"), request.get("params", {})
            symbols = params.get("symbol", [])
            understood = isinstance(symbols, list) and all(isinstance(one, str) for one in symbols)
        except (msgspec.DecodeError, ValueError, RecursionError, AttributeError):
            understood = False
        if not understood:
            self.unreadable()
            return
        echo = {"req_id": request["req_id"]} if isinstance(request.get("req_id"), int) else {}
        if method == "ping":
            self.send(message(method="pong", **echo, **self._times()), "pong")
        elif method in ("subscribe", "unsubscribe") and (name := self._topic(params)) is not None:
            self._change(method, name, params, symbols, echo)
        else:
            self._error(method, "EGeneral:Invalid arguments", **echo)

    def unreadable(self) -> None:
        """A message that is no request."""
        self._error(None, "Malformed request")

    def _topic(self, params: dict[str, Any]) -> str | None:
        """The first word of a topic; None for what there is not."""
        channel = params.get("channel")
        if channel == "ohlc" and params.get("interval", 1) in INTERVALS.values():
            return f"ohlc:{params.get('interval', 1)}"
        if channel == "book" and params.get("depth", 10) not in DEPTHS:
            return None
        return channel if channel in ("ticker", "trade", "book", "instrument") else None

    def _change(
        self, method: str, name: str, params: dict[str, Any], symbols: list[str], echo: dict[str, object]
    ) -> None:
        result: dict[str, object] = {
            "channel": params["channel"],
            **{key: params[key] for key in ("depth", "interval") if key in params},
        }
        if name == "instrument":
            self._acknowledge(method, {**result, "snapshot": True}, echo)
            if method == "subscribe":
                self.send(self.shared.instruments())
            return
        if method == "unsubscribe":
            for symbol in symbols:
                if self.topics.pop(f"{name} {symbol}", None) is None:
                    self._error(method, "Subscription Not Found", symbol=symbol, **echo)
                else:
                    self._acknowledge(method, {**result, "symbol": symbol}, echo)
            return
        good, unknown, _ = self.sift(symbols, self.shared.source.knows)
        for symbol in unknown:
            self._error(method, f"{NO_PAIR} {symbol}", symbol=symbol, **echo)
        for symbol in good:
            self._subscribe(name, symbol, params.get("depth", 10))
            self._acknowledge(method, {**result, "snapshot": True, "symbol": symbol}, echo)
        self.note(f"subscribed: now {', '.join(self.topics) or 'nothing'}")
        self.subscribed()

    def _subscribe(self, name: str, symbol: str, depth: int) -> None:
        self.topics[f"{name} {symbol}"] = symbol
        if name == "book":
            self._books[symbol] = _SentBook(depth, self.shared.places(symbol))
        elif name.startswith("ohlc"):
            self.shared.want_bars(int(name.partition(":")[2]))

    def _acknowledge(self, method: str, result: dict[str, object], echo: dict[str, object]) -> None:
        self.send(message(method=method, result=result, success=True, **self._times(), **echo), "ack")

    def _error(self, method: str | None, error: str, **more: object) -> None:
        named: dict[str, object] = {} if method is None else {"method": method}
        self.send(message(error=error, **named, success=False, **more, **self._times()), "error")

    def _times(self) -> dict[str, object]:
        return {"time_in": rfc3339(self.shared.now_ns), "time_out": rfc3339(self.shared.now_ns)}

    # What it hears.

    def wanted(self, due: Round) -> list[Push]:
        """The pushes that are subscribed; of a book, what changes in it."""
        return with_changes(super().wanted(due), self._book_change)

    def _book_change(self, _topic: str, book: BookSnapshot) -> bytes | None:
        payload = self._books[book.symbol].message(book, self._wrong)
        if payload is not None:
            self._wrong = 0
        return payload

    def push(self, item: Item) -> Push:
        """The push of an event."""
        assert isinstance(item, MarketEvent)
        return push_of(item, topic_of(item), payload_of(item))

    def tick(self, now: float) -> None:
        """A heartbeat for each second in which nothing else was sent."""
        if self._outgoing:
            self._spoke = now
        elif self.topics and now >= self._spoke + self._heartbeat_s:
            self.send(message(channel="heartbeat"), "heartbeat")
            self._spoke = now

    def next_deadline(self) -> float | None:
        """The next heartbeat."""
        return self._spoke + self._heartbeat_s if self.topics else None

    @property
    def _heartbeat_s(self) -> float:
        return self.shared.options.heartbeat_s or HEARTBEAT_S


class Kraken(Counterpart):
    """Kraken: no keys, all pairs of `INSTRUMENTS`, a step a second."""

    title = "Kraken"
    path = "/v2"
    conversation = KrakenConversation
    honours = frozenset({"heartbeat_s"})
    form = SPEC.symbol_pattern
    known = tuple(INSTRUMENTS)
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self.now_ns = first_ns
        """Market time."""
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND, written)
        self._intervals: dict[str, int] = {}
        self._books = RecordedBooks()

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol.replace("/", ""))

    def places(self, symbol: str) -> tuple[int, int]:
        """Decimals of a pair's prices and sizes."""
        if self.source.first_ns is not None:
            return ANY_PLACES
        return len(self.listed(symbol).price.partition(".")[2]), SIZE_DECIMALS

    def instruments(self) -> bytes:
        """The list of all pairs."""
        pairs = []
        for symbol in sorted(self.source.symbols or self.known):
            (price_places, qty_places), (base, quote) = self.places(symbol), symbol.split("/")
            pairs.append({
                "symbol": symbol, "base": base, "quote": quote, "status": "online",
                "price_precision": price_places, "qty_precision": qty_places,
            })  # fmt: skip
        return message(channel="instrument", type="snapshot", data={"assets": [], "pairs": pairs})

    def want_bars(self, minutes: int) -> None:
        """Somebody wants bars of this length."""
        name = next(name for name, length in INTERVALS.items() if length == minutes)
        self._intervals = {**self._intervals, name: minutes}

    def round(self, items: Sequence[Item]) -> Round:
        """Trades, tickers, books and bars of each step; recorded events as they are."""
        pushes = []
        for item in items:
            for event in self._events(item):
                self.now_ns = max(self.now_ns, event.ts_event or event.ts_recv)
                pushes.append(push_of(event, topic_of(event), payload_of(event)))
        return Round(pushes)

    def _events(self, item: Item) -> list[MarketEvent]:
        tape = self._tape
        if isinstance(item, Candle):
            return [*tape.trades(item), tape.quote(item), tape.book(item), *tape.bars(item, self._intervals)]
        if isinstance(item, BookSnapshot | BookUpdate):
            return [self._books.after(item)]
        return [item] if isinstance(item, Quote | Trade | Bar) else []


COUNTERPART = Kraken
