"""AllTick, the server's side of both its protocols: numbered commands, heartbeats owed, lists that replace lists. Pure.

Wire facts: github alltick/docs and alltick-realtime-...-websocket-api. Conventions of ours: a token that is not
accepted gets 401 in a first message, close code 1008, the pace of requests counts without heartbeats, a refused list
leaves the one before in force, connections are counted for each token and endpoint, and all of the simple protocol but
its `subscribe` and the names of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from tickstream.errors import UsageError
from tickstream.events import BookSnapshot, Level, MarketEvent, Quote, Trade
from tickstream.numbers import Number, text
from tickstream.providers.alltick import BEAT, BOOK, LIMITS, SPEC, TRADES
from tickstream.providers.alltick_wire import OTHERS, SIMPLE, STOCKS, group_of
from tickstream.simulator.accounts import Slots
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
from tickstream.suggestions import shown
from tickstream.timestamps import NS_PER_SECOND

IDLE_S = 30.0
"""Without a heartbeat of the client for so long the connection is closed."""
REQUEST_S, TOKEN_S = 1.0, 3.0
"""The least time between requests of a connection, and of a token."""
CONNECTIONS = {"free": 1, "basic": 1, "premium": 3, "professional": 10}
USUAL_PLAN = "professional"
CANCEL = 22006
KINDS = {BOOK: "book", TRADES: "trade"}
NS_PER_MS = 1_000_000
TICKERS = ("AAPL", "TSLA", "AMZN", "MSFT", "GOOG")
"""The codes of the simple protocol."""
DEPTHS = {"HK": 10, "US": 1, "SH": 5, "SZ": 5}
"""Levels there are of stocks; of crypto 5, of all else 1."""

INSTRUMENTS: dict[str, Instrument] = {
    "BTCUSDT": Instrument("89962.61", 1, 900),
    "ETHUSDT": Instrument("3158.40", 1, 60),
    "ADAUSDT": Instrument("0.3712", 1, 6),
    "BNBUSDT": Instrument("861.20", 1, 20),
    "GOLD": Instrument("2675.25", 10, 30),
    "Silver": Instrument("31.240", 5, 12),
    "AAPL": Instrument("189.32", 1, 6),
    "TSLA": Instrument("176.85", 1, 14),
    "700.HK": Instrument("651.00", 20, 20),
    "1288.HK": Instrument("5.43", 1, 1),
}
MESSAGES = {
    200: "ok", 400: "request header param invalid", 401: "token invalid", 600: "code invalid",
    603: "token level not enough", 604: "code unauthorized", 605: "too many requests",
    606: "too many requests and connection will be closed",
}  # fmt: skip


def message(**fields: object) -> bytes:
    """A message with these fields, in this order."""
    return msgspec.json.encode(fields)


def answer(ret: int, command: int = -1, seq_id: object = 0, trace: object = "", words: str = "") -> bytes:
    """The answer to a command."""
    said = words or MESSAGES[ret]
    return message(ret=ret, msg=said, cmd_id=command + 1, seq_id=seq_id, trace=trace, data={})


def depth_of(symbol: str) -> int:
    """How many levels of its book AllTick has."""
    return 5 if symbol.endswith("USDT") else DEPTHS.get(symbol.rpartition(".")[2], 1)


def payload_of(event: MarketEvent, depth: int = 10, strings: bool = False) -> bytes:
    """The push of a trade or a book. `strings`: numbers of messages and times are text, as before 2026-06-23."""
    number = _number(event)
    at = (event.ts_event or event.ts_recv) // NS_PER_MS
    data: dict[str, object] = {"code": event.symbol, "seq": str(number) if strings else number}
    data["tick_time"] = str(at) if strings else at
    if isinstance(event, Trade):
        data |= {"price": text(event.price), "volume": text(event.size) if event.size else "", "turnover": ""}
        data["trade_direction"] = {"buy": 1, "sell": 2}.get(event.side or "", 0)
        if not event.size:
            del data["volume"]
        return message(cmd_id=22998, data=data)
    assert isinstance(event, BookSnapshot)
    data |= {"bids": _levels(event.bids[:depth]), "asks": _levels(event.asks[:depth])}
    return message(cmd_id=22999, data=data)


def _number(event: MarketEvent) -> int:
    if isinstance(event, Trade) and event.trade_id and event.trade_id.isdigit():
        return int(event.trade_id)
    sequence = event.sequence if isinstance(event, Trade | BookSnapshot) else None
    return (event.ts_event or event.ts_recv) // NS_PER_MS if sequence is None else sequence


def _levels(side: Sequence[Level]) -> list[dict[str, str]]:
    return [{"price": text(price), "volume": text(size)} for price, size in side]


class AllTickConversation(Conversation):
    """One connection of either protocol, as its path says."""

    sample: ClassVar[Sample] = Sample(
        harmless=answer(200, BEAT),
        strange=message(cmd_id=23999, data={}),
        error=lambda code, said: message(ret=499, msg=f"{code}: {said}", cmd_id=0, seq_id=0, trace="", data={}),
        data=lambda symbol: {"cmd_id": 22998, "data": {
            "code": symbol, "seq": 1782180168224, "tick_time": 1782180164000, "price": "1.5", "volume": "2",
            "turnover": "3", "trade_direction": 1}},
        symbol=("data", "code"),
        time=("data", "tick_time"),
        prices=(("data", "price"), ("data", "volume"), ("data", "price")),
        some_symbol="BTCUSDT",
    )  # fmt: skip
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "invalid-key": lambda talk, _: talk.refuse(401),
        "echo-key": lambda talk, _: talk.refuse(401, f"token invalid: {talk.key}"),
        "too-many": lambda talk, _: talk.refuse(606),
        "string-ids": lambda talk, _: setattr(talk, "strings", True),
    }
    modes = frozenset({"no-ack", "no-heartbeat", "partial-ack", "symbol-limit"})
    own_kinds = (
        FaultKind("too-many", "10", "error 606, close"),
        FaultKind("string-ids", "connect", "seq and tick_time are text, as they were before 2026-06-23"),
    )

    def __init__(self, shared: AllTick, now: float) -> None:
        super().__init__(shared, now)
        self.strings = False
        self._path = ""
        self._entered = False
        self._depths: dict[str, int] = {}
        self._beaten_at = now
        self._asked_at = float("-inf")

    # What the client says.

    def greet(self, request: Request, now: float) -> None:
        """The token decides, if the protocol is the one that has tokens."""
        self._path = request.path
        self._beaten_at = now
        token = parse_qs(request.query).get("token", [""])[0]
        self.auth_frames += 1
        if not self.admit(token) or self._path == SIMPLE:
            return
        if not token or (self.shared.options.keys and token not in self.shared.options.keys):
            self.refuse(401)
        elif not self.shared.slots.enter(self._place):
            self.refuse(606)
        else:
            self._entered = True

    @property
    def _place(self) -> tuple[str, str]:
        return (self.key, self._path)

    def close(self) -> None:
        """The place is free again."""
        if self._entered:
            self._entered = False
            self.shared.slots.leave(self._place)

    def refuse(self, ret: int, words: str = "") -> None:
        """Say why, and end the connection."""
        self.note(f"refused: {ret}")
        self.send(answer(ret, words=words), "error")
        self.ending = Ending(self.shared.options.close_code, str(ret))

    def hear(self, payload: bytes, now: float) -> None:
        """One message of the client."""
        try:
            request = msgspec.json.decode(payload)
            about: tuple[Any, ...] = (request.get("cmd_id"), request.get("seq_id"), request.get("trace"))
            understood = all(isinstance(one, kind) for one, kind in zip(about, (int, int, str), strict=True))
        except (msgspec.DecodeError, ValueError, RecursionError, AttributeError):
            request, about, understood = {}, (), False
        if self._path == SIMPLE:
            self._simple(request)
        elif not understood or about[0] not in (BEAT, BOOK, TRADES, CANCEL):
            self.unreadable()
        elif about[0] == BEAT:
            self._beaten_at = now
            self.send(answer(200, *about), "heartbeat")
        else:
            self._command(request.get("data"), about, now)

    def _command(self, data: object, about: tuple[Any, ...], now: float) -> None:
        """A list, or the end of one. `about`: the number of the command, and what is to be echoed."""
        own_s, of_token_s = now - self._asked_at, self.shared.slots.asked(self.key, now)
        if own_s < REQUEST_S:
            self.send(answer(605, *about), "error")
        elif of_token_s < min(own_s, TOKEN_S):  # by another connection
            self.refuse(606)
        else:
            self._asked_at = now
            ret = self._cancel(data) if about[0] == CANCEL else self._replace(about[0], data)
            self.send(answer(ret, *about), "ack" if ret == 200 else "error")
            self.subscribed()

    def unreadable(self) -> None:
        """A message that is no request; the number is the one of the vendor's sample."""
        self.send(message(ret=201, msg=MESSAGES[400], cmd_id=0, seq_id=0, trace="", data={}), "error")

    def _replace(self, command: int, data: object) -> int:
        """A list takes the place of the one before; what is over the plan's limit is left out without a word."""
        try:
            listed = [(entry["code"], entry.get("depth_level")) for entry in data["symbol_list"]]  # type: ignore[index]  # any failure is theirs
            depths = {str(code): depth_of(code) if depth is None else int(depth) for code, depth in listed}
        except (TypeError, KeyError, AttributeError, ValueError):
            return 400
        sifted = self.sift(depths, self._knows, (), self.shared.limit)
        if sifted.unknown:
            return 600
        if not sifted.good and sifted.over:
            return 603
        self._drop(KINDS[command])
        self.topics |= {f"{KINDS[command]} {code}": code for code in sifted.good}
        if command == BOOK:
            self._depths = {code: min(depths[code], depth_of(code)) for code in sifted.good}
        self.note(f"subscribed: now {', '.join(self.topics) or 'nothing'}")
        return 200

    def _knows(self, code: str) -> bool:
        known: bool = self.shared.source.knows(code)
        return known and code not in TICKERS and group_of(code) == self._path

    def _cancel(self, data: object) -> int:
        kind = data.get("cancel_type") if isinstance(data, dict) else None
        if kind not in (0, 1, 2):
            return 400
        for name in ("book", "trade") if kind == 0 else (("book", "trade")[kind - 1],):
            self._drop(name)
        return 200

    def _drop(self, kind: str) -> None:
        self.topics = {topic: code for topic, code in self.topics.items() if not topic.startswith(kind)}

    def _simple(self, request: dict[str, Any]) -> None:
        symbols = request.get("symbols")
        if request.get("action") == "subscribe" and isinstance(symbols, list):
            good, _, _ = self.sift(map(str, symbols), lambda code: "." not in code and self.shared.source.knows(code))
            self.topics = {f"simple {symbol}": symbol for symbol in good}
            self.note(f"subscribed: now {', '.join(self.topics) or 'nothing'}")
            self.subscribed()

    # What it hears.

    def wanted(self, due: Round) -> list[Push]:
        """The pushes that are subscribed, books as deep as was asked for."""
        return [self._own(one) for one in super().wanted(due)]

    def _own(self, one: Push) -> Push:
        item = one.item
        if isinstance(item, BookSnapshot):
            return push_of(item, one.topic, payload_of(item, self._depths[item.symbol], self.strings))
        if self.strings and one.topic.startswith("trade"):
            assert isinstance(item, Trade)
            return push_of(item, one.topic, payload_of(item, strings=True))
        return one

    def push(self, item: Item) -> Push:
        """The push of an event."""
        assert isinstance(item, MarketEvent)
        return self._own(next(iter(pushes_of(item, simple=self._path == SIMPLE))))

    def tick(self, now: float) -> None:
        """No heartbeat, no connection."""
        if self.ending is None and self._path != SIMPLE and now >= self._beaten_at + IDLE_S:
            self.note("no heartbeat")
            self.ending = Ending(self.shared.options.close_code, "no heartbeat")

    def next_deadline(self) -> float | None:
        """The end of patience."""
        return None if self._path == SIMPLE else self._beaten_at + IDLE_S


def pushes_of(event: MarketEvent, *, simple: bool) -> list[Push]:
    """What is sent of an event, in one of the protocols."""
    if not simple:
        kind = "book" if isinstance(event, BookSnapshot) else "trade"
        return [push_of(event, f"{kind} {event.symbol}", payload_of(event))]
    if not isinstance(event, Trade):
        return []
    at = (event.ts_event or event.ts_recv) // NS_PER_MS
    fields = message(symbol=event.symbol, price=event.price, time=at)
    return [push_of(event, f"simple {event.symbol}", fields)]


class AllTick(Counterpart):
    """AllTick: a token has a plan, the plan its connections and its codes; a step a second."""

    title = "AllTick"
    path = OTHERS
    paths = (STOCKS, SIMPLE)
    conversation = AllTickConversation
    plans = tuple(LIMITS)
    honours = frozenset({"plan", "keys", "max_symbols", "close_code"})
    form = SPEC.symbol_pattern
    known = (*SPEC.common_symbols, *TICKERS)
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        plan = options.plan or USUAL_PLAN
        self.limit = options.max_symbols or LIMITS[plan]
        self.slots = Slots(CONNECTIONS[plan])
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND)

    @classmethod
    def check(cls, options: SimulatorOptions) -> None:
        """Raises UsageError for options that make no sense."""
        super().check(options)
        if options.plan is not None and options.plan not in LIMITS:
            raise UsageError(f"There is no plan {shown(options.plan)}", hint=f"Plans: {', '.join(LIMITS)}.")

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol.removesuffix(".US"))

    def round(self, items: Sequence[Item]) -> Round:
        """Trades and books of each step; recorded events as they are."""
        events = [event for item in items for event in self._events(item)]
        return Round([one for event in events for how in (False, True) for one in pushes_of(event, simple=how)])

    def _events(self, item: Item) -> list[MarketEvent]:
        if isinstance(item, Candle):
            return [*self._tape.trades(item), self._tape.book(item)]
        if isinstance(item, Quote):
            bids, asks = _side(item.bid, item.bid_size), _side(item.ask, item.ask_size)
            return [BookSnapshot(SPEC.name, item.symbol, item.ts_event, item.ts_recv, bids, asks, item.sequence)]
        return [item] if isinstance(item, Trade | BookSnapshot) else []


def _side(price: Number | None, size: Number | None) -> tuple[Level, ...]:
    return () if price is None or size is None else ((price, size),)


COUNTERPART = AllTick
