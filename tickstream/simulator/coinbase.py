"""Coinbase Exchange, the server's side: tickers, matches, whole books and their changes, orders, heartbeats. Pure.

Wire facts: docs.cdp.coinbase.com, exchange/websocket-feed. What it says to rubbish, and how it ends a connection
without a request or with a wrong key, is documented nowhere (convention).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tickstream.events import Bar, BookSnapshot, BookUpdate, MarketEvent, OrderUpdate, Quote, Trade
from tickstream.providers.coinbase import ALIASES, NEED_KEY, NO_KEY, SIGNATURE, SPEC, Credentials
from tickstream.simulator.books import RecordedBooks, with_changes
from tickstream.simulator.coinbase_advanced import HEARTBEATS, TOPICS, AdvancedTalk, problem
from tickstream.simulator.coinbase_messages import (
    INSTRUMENTS,
    STEPS_OF_A_TRADE,
    RoundOfTrades,
    SentBook,
    Wanted,
    book_message,
    message,
    orders_of,
    payload_of,
    sequence_of,
    status_message,
)
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import LOST, FaultKind
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import TRADES, Tape
from tickstream.timestamps import NS_PER_SECOND, rfc3339

HEARTBEAT_S = 1.0
STATUS_S = 5.0
FIRST_REQUEST_S = 5.0
"""Who has asked for nothing until then is hung up on."""
BATCH_STEPS = 5
"""Of a step a second each: `ticker_batch` comes every five seconds."""
CHANNELS = frozenset({
    "ticker", "ticker_batch", "matches", "level2", "level2_batch", "full", "user", "heartbeat", "status"
})  # fmt: skip
_SHOWN = {ours: theirs for theirs, ours in ALIASES.items()}
_BOOKS = ("level2", "level2_batch")
BARS = {"5m": 5}
"""The candles of Advanced Trade."""


_SOME_TICKER = {
    "type": "ticker", "sequence": 7, "price": "1.50", "best_bid": "1.50", "best_bid_size": "2", "best_ask": "1.75",
    "best_ask_size": "3", "side": "buy", "time": "2026-06-24T14:54:00.000000Z", "trade_id": 7, "last_size": "1",
}  # fmt: skip


class CoinbaseConversation(Conversation):
    """One connection."""

    sample: ClassVar[Sample] = Sample(
        harmless=message("heartbeat", last_trade_id=0, product_id="BTC-USD", sequence=0, time="2026-06-24T14:54:00Z"),
        strange=message("auction", product_id="BTC-USD"),
        error=lambda code, text: message("error", message=code, reason=text),
        data=lambda symbol: {**_SOME_TICKER, "product_id": symbol},
        symbol=("product_id",),
        time=("time",),
        prices=(("best_ask",), ("best_bid",), ("price",)),
        some_symbol="BTC-USD",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "invalid-key": lambda talk, _: talk.refuse(SIGNATURE),
        "echo-key": lambda talk, _: talk.refuse(f"{SIGNATURE} of {talk.key}"),
        "crossed-book": lambda talk, _: talk.cross(),
        "slow-consumer": lambda talk, _: talk.hang_up("ErrSlowConsume"),
    }
    modes = frozenset({"no-ack", "no-heartbeat", "invalid-symbol", "partial-ack"})
    own_kinds = (
        LOST,
        FaultKind("crossed-book", "10", "a bid at the best ask in the next change of a book"),
        FaultKind("slow-consumer", "10", "say that the client reads too slowly, and hang up"),
    )

    def __init__(self, shared: Coinbase, now: float) -> None:
        super().__init__(shared, now)
        self._books: dict[str, SentBook] = {}
        self._last: dict[str, Trade] = {}
        """The last trade of each product that this client could have."""
        self._cross = self._asked = False
        self._advanced: AdvancedTalk | None = None
        self._heartbeat_at = self._status_at = now

    def refuse(self, why: str) -> None:
        """The key is not good."""
        self._error("Sorry, you could not be authenticated: Bad Request", why)
        self.ending = Ending(1008)

    def cross(self) -> None:
        """The next change of a book crosses it."""
        self._cross = True

    def hang_up(self, why: str) -> None:
        """An error, and the end."""
        self._error(why)
        self.ending = Ending(1008, why)

    # What the client says.

    def hear(self, payload: bytes, now: float) -> None:
        """One request."""
        try:
            request = msgspec.json.decode(payload, type=Wanted)
        except (msgspec.DecodeError, RecursionError, ValueError):
            self.unreadable()
            return
        if not self._asked:
            self._heartbeat_at = now
        self._asked = True
        if request.channel is not None:
            self._hear_advanced(request, request.channel)
            return
        if request.key and not self._admits(request):
            return
        (self._subscribe if request.type == "subscribe" else self._unsubscribe)(request)
        self.send(message("subscriptions", channels=self._state()), "ack")
        self.note(f"subscribed: now {', '.join(self.topics) or 'nothing'}")
        if request.type == "subscribe":
            self.subscribed()

    def _hear_advanced(self, request: Wanted, channel: str) -> None:
        """A request to the feed of Advanced Trade: it speaks so from here on."""
        self._advanced = self._advanced or AdvancedTalk()
        good, unknown, _ = self.sift(request.product_ids, self.shared.source.knows)
        if channel not in (*TOPICS, HEARTBEATS):
            self.send(problem(f"{channel} is not a valid channel"), "error")
            return
        for product in unknown:
            self.send(problem(f"{product} is not a valid product"), "error")
        topics = {f"{TOPICS[channel]} {one}": one for one in good} if channel in TOPICS else {HEARTBEATS: ""}
        for topic, product in topics.items():
            self.topics.pop(topic, None)
            if request.type == "subscribe":
                self.topics[topic] = product
                self._books[topic] = SentBook()
        self.shared.want_bars(channel == "candles")
        self.send(self._advanced.state(self.topics, self.shared.now_ns), "ack")
        if request.type == "subscribe":
            self.subscribed()

    def unreadable(self) -> None:
        """A message that is no request."""
        self._error("Malformed JSON")

    def _error(self, said: str, reason: str = "") -> None:
        self.send(message("error", message=said, **({"reason": reason} if reason else {})), "error")

    def _admits(self, request: Wanted) -> bool:
        """Whether the request is signed by somebody known; says so if not."""
        if not self.admit(request.key):
            return False
        accepted = [Credentials(key).signature(request.timestamp) for key in self.shared.options.keys]
        given = {name: getattr(request, name) for name in ("key", "passphrase", "timestamp", "signature")}
        if accepted and given not in accepted:
            self.refuse(SIGNATURE)
        return self.ending is None

    def _channels(self, request: Wanted) -> list[tuple[str, list[str]]]:
        """Channels of a request with their products: those of the whole request are added to each."""
        found = []
        for one in request.channels:
            name, own = (one, []) if isinstance(one, str) else (one.name, one.product_ids)
            found.append((ALIASES.get(name, name), [*own, *request.product_ids]))
        return found

    def _subscribe(self, request: Wanted) -> None:
        channels = self._channels(request)
        wanted = list(dict.fromkeys(product for _, products in channels for product in products))
        good, unknown, _ = self.sift(wanted, self.shared.source.knows)
        for name, products in channels:
            if name not in CHANNELS:
                self._error("Failed to subscribe", f"{name} is not a valid channel")
            elif name in NEED_KEY and not request.key:
                self._error("Failed to subscribe", NO_KEY)
            elif name == "status":
                self.topics[name] = ""
                self._status_at = self._opened
            else:
                for product in dict.fromkeys(products):
                    if product in unknown:
                        self._error("Failed to subscribe", f"{product} is not a valid product")
                    elif product in good:
                        self._enlist(name, product)

    def _enlist(self, name: str, product: str) -> None:
        topic = f"{name} {product}"
        if topic in self.topics:
            return
        self.topics[topic] = product
        trade, quote = self.shared.last(product)
        if name in _BOOKS:
            self._books[topic] = SentBook()
        elif name in ("full", "user"):
            self.shared.want_orders()
        elif name == "matches" and trade is not None:
            self.send(payload_of(trade).replace(b'"match"', b'"last_match"', 1))
        elif name.startswith("ticker") and quote is not None:
            self.send(payload_of(quote))
        if trade is not None:
            self._last.setdefault(product, trade)

    def _unsubscribe(self, request: Wanted) -> None:
        for name, products in self._channels(request):
            for topic in list(self.topics):
                channel, _, product = topic.partition(" ")
                if channel == name and (not products or product in products):
                    del self.topics[topic]

    def _state(self) -> list[dict[str, object]]:
        listed: dict[str, list[str]] = {}
        for topic in self.topics:
            name, _, product = topic.partition(" ")
            listed.setdefault(_SHOWN.get(name, name), []).extend([product] if product else [])
        return [{"name": name, "product_ids": products, "account_ids": None} for name, products in listed.items()]

    # What it hears.

    def deliver(self, due: Round, now: float) -> None:
        """Heartbeats tell of what was due until now, sent or lost."""
        assert isinstance(due, RoundOfTrades)
        self._last.update(due.last)
        super().deliver(due, now)

    def wanted(self, due: Round) -> list[Push]:
        """The pushes that are subscribed; of a book, what changes in it."""
        numbered = self._advanced is not None
        pushes = (  # one after the other, for they are numbered through
            self.push(one.item) if numbered and not isinstance(one.item, BookSnapshot) else one
            for one in super().wanted(due)
        )
        return with_changes(pushes, lambda topic, book: self._change(self._books[topic], book))

    def _change(self, sent: SentBook, book: BookSnapshot) -> bytes:
        """What brings the client's book up to date; empty when it is."""
        whole, changes = sent.changes(book, self._cross)
        self._cross = self._cross and whole
        if not changes and not whole:
            return b""
        if self._advanced is None:
            return book_message(book, whole, changes)
        kind = "snapshot" if whole else "update"
        return self._advanced.book(book.symbol, book.ts_event or book.ts_recv, kind, changes)

    def push(self, item: Item) -> Push:
        """The push of an event that a fault has changed, or that has to have a number."""
        assert isinstance(item, MarketEvent)
        payload = payload_of(item) if self._advanced is None else self._advanced.of(item)
        return push_of(item, f"ticker {item.symbol}", payload)

    def tick(self, now: float) -> None:
        """Heartbeats of all products, the list of products, or the end of somebody who asks for nothing."""
        if not self._asked:
            if now >= self._opened + self._patience_s:
                self.ending = self.ending or Ending(1000, "no subscription")
            return
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + self._heartbeat_s
            for product in [topic.partition(" ")[2] for topic in self.topics if topic.startswith("heartbeat ")]:
                self.send(self._heartbeat(product), "heartbeat")
            if HEARTBEATS in self.topics and self._advanced is not None:
                self.send(self._advanced.heartbeat(self.shared.now_ns), "heartbeat")
        if "status" in self.topics and now >= self._status_at:
            self._status_at = now + STATUS_S
            self.send(self.shared.status())

    def _heartbeat(self, product: str) -> bytes:
        last = self._last.get(product)
        number = int(last.trade_id or 0) if last else 0
        at = sequence_of(number, STEPS_OF_A_TRADE - 1) if last else 0
        time = rfc3339(self.shared.now_ns // NS_PER_SECOND * NS_PER_SECOND)
        return message("heartbeat", last_trade_id=number, product_id=product, sequence=at, time=time)

    def next_deadline(self) -> float | None:
        """The next heartbeat, or the end of patience."""
        if not self._asked:
            return self._opened + self._patience_s
        return min(self._heartbeat_at, self._status_at) if "status" in self.topics else self._heartbeat_at

    @property
    def _patience_s(self) -> float:
        return self.shared.options.auth_deadline_s or FIRST_REQUEST_S

    @property
    def _heartbeat_s(self) -> float:
        return self.shared.options.heartbeat_s or HEARTBEAT_S


class Coinbase(Counterpart):
    """Coinbase Exchange: all products of `INSTRUMENTS`, a step a second; keys are KEY:SECRET:PASSPHRASE."""

    title = "Coinbase"
    path = "/"
    conversation = CoinbaseConversation
    honours = frozenset({"heartbeat_s", "auth_deadline_s", "keys"})
    form = SPEC.symbol_pattern
    known = tuple(INSTRUMENTS)
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self.now_ns = first_ns
        """Market time."""
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND)
        self._trades: dict[str, Trade] = {}
        self._quotes: dict[str, Quote] = {}
        self._books = RecordedBooks()
        self._orders = False
        self._intervals: dict[str, int] = {}

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol.replace("-", ""))

    def last(self, product: str) -> tuple[Trade | None, Quote | None]:
        """The last trade of a product, and the last quote."""
        return self._trades.get(product), self._quotes.get(product)

    def want_bars(self, wanted: bool) -> None:
        """Somebody may want to see bars."""
        self._intervals = BARS if wanted else self._intervals

    def want_orders(self) -> None:
        """Somebody wants to see orders."""
        self._orders = True

    def status(self) -> bytes:
        """All products."""
        return status_message(sorted(self.source.symbols or self.known))

    def round(self, items: Sequence[Item]) -> Round:
        """Trades, tickers, books and orders of each step; recorded events as they are."""
        pushes = []
        for item in items:
            for event in self._events(item):
                self.now_ns = max(self.now_ns, event.ts_event or event.ts_recv)
                payload = payload_of(event)
                pushes += [push_of(event, f"{name} {event.symbol}", payload) for name in self._names(event)]
        return RoundOfTrades(pushes)

    def _names(self, event: MarketEvent) -> list[str]:
        """The channels that have an event."""
        match event:
            case Trade():
                self._trades[event.symbol] = event
                return ["matches"]
            case Quote():
                self._quotes[event.symbol] = event
                batched = (event.ts_event or event.ts_recv) // NS_PER_SECOND % BATCH_STEPS == 0
                return ["ticker", "ticker_batch"] if batched else ["ticker"]
            case OrderUpdate():
                mine = (event.sequence or 0) // STEPS_OF_A_TRADE % TRADES == 0
                return ["full", "user"] if mine else ["full"]
            case Bar():
                return ["candles"]
            case _:
                return list(_BOOKS)

    def _events(self, item: Item) -> list[MarketEvent]:
        if isinstance(item, Candle):
            trades = [
                msgspec.structs.replace(one, sequence=sequence_of(int(one.trade_id or 0)))
                for one in self._tape.trades(item)
                if isinstance(one, Trade)
            ]
            orders = [order for trade in trades for order in orders_of(trade)] if self._orders else []
            bars = self._tape.bars(item, self._intervals)
            return [*trades, *orders, self._tape.quote(item), self._tape.book(item), *bars]
        if isinstance(item, BookSnapshot | BookUpdate):
            return [self._books.after(item)]
        return [item] if isinstance(item, Quote | Trade | OrderUpdate | Bar) else []


COUNTERPART = Coinbase
