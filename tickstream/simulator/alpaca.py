"""Alpaca, the server's side: authentication by message or by header, one list of subscriptions, arrays. Pure.

Wire facts: docs.alpaca.markets, "Streaming Market Data". Two conventions: a symbol that does not exist is left out of
the confirmation, and every other minute's bar comes once more half a minute later, with a late trade in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from tickstream.events import Bar, BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade
from tickstream.numbers import Number, decimal, number
from tickstream.providers.alpaca import (
    AUTH_TIMEOUT_S,
    CONNECTION_LIMIT,
    CRYPTO,
    NO_CHANNEL,
    SPEC,
    SYMBOL_LIMIT,
    TEST_SYMBOL,
    group_of,
)
from tickstream.providers.alpaca_msgpack import time_text
from tickstream.simulator.alpaca_packing import PackingConversation
from tickstream.simulator.books import RecordedBooks, with_changes
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import FaultKind
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import MINUTE_NS, Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import Tape, in_shares
from tickstream.timestamps import NS_PER_SECOND

Side = tuple[Level, ...]
LATE_SIZE = 100
"""Of the trade that makes a bar come once more."""
INTERVALS = {"1m": 1, "1d": 1440}
STOCKS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
CHANNELS = {
    "stocks": STOCKS, "test": STOCKS,
    "crypto": ("trades", "quotes", "bars", "updatedBars", "dailyBars", "orderbooks"), "news": ("news",),
}  # fmt: skip
COUNTED = ("trades", "quotes")
"""Channels whose symbols a plan limits."""
FOLLOWING = ("corrections", "cancelErrors")
"""They cannot be asked for, and come with trades."""
ERRORS = {
    "400": "invalid syntax", "401": "not authenticated", "402": "auth failed", "403": "already authenticated",
    "404": "auth timeout", SYMBOL_LIMIT: "symbol limit exceeded", CONNECTION_LIMIT: "connection limit exceeded",
    "407": "slow client", "409": "insufficient subscription", NO_CHANNEL: "invalid subscribe action for this feed",
}  # fmt: skip
_SOME_QUOTE = {
    "bx": "V", "bp": 1.5, "bs": 2, "ax": "V", "ap": 1.75, "as": 3, "c": ["R"], "z": "C", "t": "2026-06-24T14:54:00Z",
}  # fmt: skip
_STATUS = {
    "sc": "H", "sm": "Trading Halt", "rc": "T12", "rm": "Trading Halted; For information requested by NASDAQ",
    "t": "2026-06-24T14:54:00Z", "z": "C",
}  # fmt: skip
_HEADLINE = {
    "id": 24918784, "headline": "A made-up headline", "summary": "", "author": "Nobody", "content": "",
    "created_at": "2026-06-24T14:54:00Z", "updated_at": "2026-06-24T14:54:00Z", "url": "https://example.com/24918784",
    "source": "made up",
}  # fmt: skip


def message(kind: str, **fields: object) -> bytes:
    """A frame with one message of this type."""
    return msgspec.json.encode([{"T": kind, **fields}])


def error(code: str, text: str = "") -> bytes:
    """A frame with an error; a code that is no number goes out as 499, for Alpaca's codes are numbers."""
    return message("error", code=int(code) if code.isdigit() else 499, msg=text or ERRORS.get(code, ""))


def topic_of(event: MarketEvent, *, updated: bool = False) -> str:
    """What a client has to be subscribed to for this."""
    if isinstance(event, Bar):
        name = "dailyBars" if event.interval == "1d" else "updatedBars" if updated else "bars"
    else:
        name = {Quote: "quotes", Trade: "trades", BookSnapshot: "orderbooks"}[type(event)]
    return f"{name} {event.symbol}"


def payload_of(event: MarketEvent, *, updated: bool = False) -> bytes:
    """The frame of an event; a book has none of its own, for it is sent as what changes."""
    ts = time_text(event.ts_event or event.ts_recv)
    stock = group_of(event.symbol) != "crypto"
    match event:
        case Trade():
            exchange, _, own = (event.trade_id or "0").rpartition(":")
            fields: dict[str, object] = {"S": event.symbol, "p": event.price, "s": event.size, "t": ts}
            fields["i"] = int(own) if own.isdigit() else own
            more = (
                {"x": exchange or "V", "c": ["@"], "z": "C"} if stock else {"tks": (event.side == "buy" and "B") or "S"}
            )
            return message("t", **fields, **more)
        case Quote():
            sides = {
                "bp": event.bid or _ZERO, "bs": event.bid_size or _ZERO, "ap": event.ask or _ZERO,
                "as": event.ask_size or _ZERO, "t": ts,
            }  # fmt: skip
            where = {"bx": "V", "ax": "V", "c": ["R"], "z": "C"} if stock else {}
            return message("q", S=event.symbol, **sides, **where)
        case Bar():
            prices = {"o": event.open, "h": event.high, "l": event.low, "c": event.close, "v": event.volume or _ZERO}
            kind = "d" if event.interval == "1d" else "u" if updated else "b"
            return message(kind, S=event.symbol, **prices, t=ts, n=2 if updated else 1, vw=event.close)
        case _:
            return b""


_ZERO: Number = number("0")


class _SentBook:
    """One symbol's book as a client has it."""

    def __init__(self) -> None:
        self._sides: tuple[dict[bytes, bytes], dict[bytes, bytes]] | None = None

    def message(self, book: BookSnapshot) -> bytes | None:
        """What brings the client's book up to date; None when it is."""
        before = self._sides
        self._sides = ({bytes(p): bytes(s) for p, s in book.bids}, {bytes(p): bytes(s) for p, s in book.asks})
        bids, asks = book.bids, book.asks
        if before is not None:
            bids, asks = _changes(before[0], bids), _changes(before[1], asks)
            if not bids and not asks:
                return None
        sides = {name: [{"p": p, "s": s} for p, s in side] for name, side in (("b", bids), ("a", asks))}
        whole = {} if before is not None else {"r": True}
        return message("o", S=book.symbol, t=time_text(book.ts_event or book.ts_recv), **sides, **whole)


def _changes(before: dict[bytes, bytes], side: Side) -> Side:
    """Levels that are gone, and those that are new or have another size."""
    there = {bytes(price) for price, _ in side}
    gone = tuple((number(price), _ZERO) for price in before if price not in there)
    return gone + tuple(level for level in side if before.get(bytes(level[0])) != bytes(level[1]))


class AlpacaConversation(PackingConversation):
    """One connection."""

    sample: ClassVar[Sample] = Sample(
        harmless=message("success", msg="connected"),
        strange=message("auction", S="AAPL"),
        error=error,
        data=lambda symbol: [{"T": "q", "S": symbol, **_SOME_QUOTE}],
        symbol=(0, "S"),
        time=(0, "t"),
        prices=((0, "ap"), (0, "bp"), (0, "bs")),
        some_symbol="AAPL",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "auth-timeout": lambda talk, _: talk.refuse("404", ends=True),
        "invalid-key": lambda talk, _: talk.refuse("402"),
        "echo-key": lambda talk, _: talk.refuse("402", f"auth failed: {talk.key}"),
        "connection-limit": lambda talk, _: talk.refuse(CONNECTION_LIMIT),
        "forbidden": lambda talk, _: talk.refuse("409"),
        "slow-client": lambda talk, _: talk.refuse("407", ends=True),
        "internal-error": lambda talk, _: talk.send(error("500", "internal error"), "error"),
        "halt": lambda talk, _: talk.halt(),
    }
    modes = frozenset({"no-auth-reply", "no-ack", "invalid-symbol", "symbol-limit", "partial-ack"})
    own_kinds = (
        FaultKind("slow-client", "10", "error 407, close"),
        FaultKind("internal-error", "10", "error 500"),
        FaultKind("halt", "10", "the first symbol's trading is halted, if statuses were asked for"),
    )

    def __init__(self, shared: Alpaca, now: float) -> None:
        super().__init__(shared, now)
        self._feed = "stocks"
        self._here = False
        """Authenticated."""
        self._refused = False
        self._books: dict[str, _SentBook] = {}

    # What the client says.

    def greet(self, request: Request, now: float) -> None:
        """Alpaca speaks first; a key in the headers is answered at once."""
        super().greet(request, now)
        if request.path.startswith(CRYPTO):
            self._feed = "crypto"
        else:
            self._feed = {"test": "test", "news": "news"}.get(request.path.rpartition("/")[2], "stocks")
        self.send(message("success", msg="connected"))
        key, secret = (request.headers.get(f"apca-api-{name}") for name in ("key-id", "secret-key"))
        if key is not None:
            self._authenticate(key, secret or "")

    def hear(self, payload: bytes, now: float) -> None:  # noqa: ARG002 - requests do not take time
        """One request."""
        try:
            request = self.decoded(payload)
            action = request.get("action")
            lists = {name: value for name, value in request.items() if isinstance(value, list)}
            understood = all(isinstance(one, str) for value in lists.values() for one in value)
        except (msgspec.DecodeError, ValueError, RecursionError, AttributeError):
            understood = False
        if not understood or action not in ("auth", "subscribe", "unsubscribe"):
            self.unreadable()
        elif action == "auth":
            self._authenticate(str(request.get("key", "")), str(request.get("secret", "")))
        elif not self._here:
            self.send(error("401"), "error")
        elif not lists or not lists.keys() <= set(CHANNELS[self._feed]):
            self.send(error(NO_CHANNEL), "error")
        elif action == "subscribe":
            self._subscribe(lists)
        else:
            for name, symbols in lists.items():
                for symbol in symbols:
                    self.topics.pop(f"{name} {symbol}", None)
            self._confirm()

    def unreadable(self) -> None:
        """A message that is no request."""
        self.send(error("400"), "error")

    def refuse(self, code: str, text: str = "", *, ends: bool = False) -> None:
        """Queue an error; the connection stays, but for those that end it."""
        self._refused = True
        self.note(f"refused: {code}")
        self.send(error(code, text), "error")
        if ends:
            self.ending = Ending(self.shared.options.close_code, "")

    def _authenticate(self, key: str, secret: str) -> None:
        self.auth_frames += 1
        if self._here:
            self.send(error("403"), "error")
            return
        self._refused = False
        whole = f"{key}:{secret}" if secret else key
        if not self.admit(whole) or self._refused:
            return
        if not key or (self.shared.options.keys and whole not in self.shared.options.keys):
            self.refuse("402")
            return
        self._here = True
        self.note("authenticated")
        self.send(message("success", msg="authenticated"), "auth")

    def _subscribe(self, lists: dict[str, list[str]]) -> None:
        limit = self.shared.options.max_symbols
        fresh: list[str] = []
        for name, symbols in lists.items():
            there = {topic.partition(" ")[2] for topic in self.topics if topic.partition(" ")[0] == name}
            room = None if limit is None or name not in COUNTED else max(0, limit - len(there))
            good, _, over = self.sift(symbols, self._knows, there, room)
            if over:
                self.send(error(SYMBOL_LIMIT), "error")
                self.subscribed()
                return
            fresh += [f"{name} {symbol}" for symbol in good]
        for topic in fresh:
            name, _, symbol = topic.partition(" ")
            self.topics[topic] = symbol
            if name == "orderbooks":
                self._books[symbol] = _SentBook()
        self.note(f"subscribed: now {', '.join(self.topics) or 'nothing'}")
        self._confirm()
        if "news" in lists:
            self.send(message("n", **_HEADLINE, symbols=list(self.topics.values())))
        self.subscribed()

    def _knows(self, symbol: str) -> bool:
        return self.shared.source.knows(symbol) and self._feed in ("news", group_of(symbol))

    def _confirm(self) -> None:
        """All that is subscribed, each channel of the feed named."""
        state: dict[str, list[str]] = {name: [] for name in CHANNELS[self._feed]}
        for topic in self.topics:
            name, _, symbol = topic.partition(" ")
            state[name].append(symbol)
        if "lulds" in state:
            state |= dict.fromkeys(FOLLOWING, state["trades"])
        self.send(message("subscription", **state), "ack")

    def halt(self) -> None:
        """The trading of the first symbol is halted."""
        halted = [topic.partition(" ")[2] for topic in self.topics if topic.startswith("statuses ")]
        if halted:
            self.send(message("s", S=halted[0], **_STATUS))

    # What it hears.

    def wanted(self, due: Round) -> list[Push]:
        """The pushes that are subscribed; of a book, what changes in it."""
        return with_changes(super().wanted(due), lambda _, book: self._books[book.symbol].message(book))

    def push(self, item: Item) -> Push:
        """The push of an event."""
        assert isinstance(item, MarketEvent)
        return push_of(item, topic_of(item), payload_of(item))

    def tick(self, now: float) -> None:
        """Who does not say who it is, has to go."""
        if not self._here and self.ending is None and now >= self._opened + self._patience_s:
            self.refuse("404", ends=True)

    def next_deadline(self) -> float | None:
        """The end of patience."""
        return None if self._here else self._opened + self._patience_s

    @property
    def _patience_s(self) -> float:
        return self.shared.options.auth_deadline_s or AUTH_TIMEOUT_S


class Alpaca(Counterpart):
    """Alpaca: stocks, crypto, FAKEPACA and news; a step a second."""

    title = "Alpaca"
    path = "/"
    paths = ("/v2/*", "/v1beta1/*", "/v1beta3/*")
    conversation = AlpacaConversation
    honours = frozenset({"keys", "max_symbols", "auth_deadline_s", "close_code"})
    form = SPEC.symbol_pattern
    known = SPEC.common_symbols
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND)
        self._books = RecordedBooks()
        self._late: dict[str, Bar] = {}
        """The last minute of each symbol, until it has come once more."""

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return Instrument("100.00", 2, 5) if symbol == TEST_SYMBOL else instrument(symbol.replace("/", ""))

    def round(self, items: Sequence[Item]) -> Round:
        """Trades, quotes, books and finished bars of each step; recorded events as they are."""
        pushes: list[Push] = []
        for item in items:
            pushes += [push_of(event, topic_of(event), payload_of(event)) for event in self._events(item)]
            if isinstance(item, Candle) and (late := self._updated(item)):
                pushes.append(push_of(late, topic_of(late, updated=True), payload_of(late, updated=True)))
        return Round(pushes)

    def _events(self, item: Item) -> list[MarketEvent]:
        tape = self._tape
        if isinstance(item, Candle):
            events = [*tape.trades(item), tape.quote(item), tape.book(item)]
            minute, day = tape.bars(item, INTERVALS)
            if group_of(item.symbol) != "crypto":
                events, minute, day = [*map(in_shares, events)], in_shares(minute), in_shares(day)
            if isinstance(minute, Bar) and minute.closed:
                self._late[item.symbol] = minute
                events += [minute, day]
            return events
        if isinstance(item, BookSnapshot | BookUpdate):
            return [self._books.after(item)]
        known = isinstance(item, Quote | Trade) or (isinstance(item, Bar) and item.interval in INTERVALS)
        return [item] if known else []

    def _updated(self, candle: Candle) -> Bar | None:
        """The minute before, once more, half a minute later: of every other minute."""
        late = self._late.get(candle.symbol)
        if late is None or candle.open_ns < (late.ts_event or 0) + 3 * MINUTE_NS // 2:
            return None
        del self._late[candle.symbol]
        if candle.open_ns // MINUTE_NS % 2 == 0 or late.volume is None:
            return None
        return msgspec.structs.replace(late, volume=number(str(decimal(late.volume) + LATE_SIZE)))


COUNTERPART = Alpaca
