"""Binance (spot, combined streams), the server's side: tops, trades, books, bars. Pure.

Wire facts: github.com/binance/binance-spot-api-docs, web-socket-streams.md. A stream of a symbol that there is not is
confirmed like any other, and silent. Times are in milliseconds only (`timeUnit` is not known here).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from tickstream import numbers
from tickstream.events import Bar, BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade
from tickstream.providers.binance import INTERVALS, SPEC
from tickstream.session.frames import PING, encode_frame
from tickstream.simulator.books import RecordedBooks
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import LOST, FaultKind
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Push, Raw, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import Tape
from tickstream.timestamps import NS_PER_SECOND

PING_S = 20.0
LIFETIME_S = 86_400.0
NOTICE_S = 5.0
"""From the news that a server shuts down until it does (convention: Binance does not say how long)."""
MESSAGES_PER_S = 5
_NS_PER_MS = 1_000_000

INSTRUMENTS: dict[str, Instrument] = {
    "BTCUSDT": Instrument("64210.50", 1, 60),
    "ETHUSDT": Instrument("3158.40", 1, 14),
    "BNBUSDT": Instrument("578.20", 10, 20),
    "SOLUSDT": Instrument("146.25", 1, 5),
    "XRPUSDT": Instrument("0.5231", 1, 2),
    "DOGEUSDT": Instrument("0.12431", 1, 3),
    "ADAUSDT": Instrument("0.3841", 1, 1),
    "LTCUSDT": Instrument("74.21", 1, 3),
    "ETHBTC": Instrument("0.04918", 1, 1),
    "BNBBTC": Instrument("0.009005", 1, 2),
}

_STREAM = re.compile(
    r"(?P<symbol>[a-z0-9]{1,20})@"
    r"(?P<kind>bookTicker|trade|aggTrade|depth(?P<levels>5|10|20)?(?:@100ms|@1000ms)?|kline_(?P<interval>\w+))"
)
MINUTES: dict[str, int] = {
    name: int(name[:-1]) * {"m": 1, "h": 60, "d": 1440, "w": 10_080}[name[-1]]
    for name in INTERVALS
    if name[-1] in "mhdw"
}
"""Intervals of bars that are served: those of whole minutes; months have no length."""


def written(text: str) -> str:
    """A decimal as Binance writes it: with eight decimals."""
    return f"{Decimal(text):.8f}"


def message(**fields: object) -> bytes:
    """A message with these fields, in this order."""
    return msgspec.json.encode(fields)


def _ms(ns: int) -> int:
    return ns // _NS_PER_MS


def _pairs(levels: Sequence[Level]) -> list[tuple[str, str]]:
    return [(numbers.text(price), numbers.text(size)) for price, size in levels]


def _text(value: numbers.Number | None) -> str:
    return "0.00000000" if value is None else numbers.text(value)


def data_of(event: MarketEvent, kind: str) -> dict[str, object]:
    """The `data` of a stream of this kind for an event that it is about."""
    ts = _ms(event.ts_event or event.ts_recv)
    head: dict[str, object] = {"e": kind.partition("_")[0], "E": ts, "s": event.symbol}
    match event:
        case Quote():
            return {
                "u": event.sequence, "s": event.symbol, "b": _text(event.bid), "B": _text(event.bid_size),
                "a": _text(event.ask), "A": _text(event.ask_size),
            }  # fmt: skip
        case Trade():
            number = int(event.trade_id or 0)
            ids = {"t": number} if kind == "trade" else {"a": number, "f": number, "l": number}
            price = {"p": _text(event.price), "q": _text(event.size)}
            return head | ids | price | {"T": ts, "m": event.side == "sell", "M": True}
        case Bar():
            return head | {"E": _ms(event.ts_recv), "k": _candle(event, ts)}
        case BookSnapshot():
            levels = int(re.sub(r"@.*", "", kind).removeprefix("depth"))
            bids, asks = _pairs(event.bids[:levels]), _pairs(event.asks[:levels])
            return {"lastUpdateId": event.sequence, "bids": bids, "asks": asks}
        case _:
            return {}


def _candle(bar: Bar, ts: int) -> dict[str, object]:
    return {
        "t": ts, "s": bar.symbol, "i": bar.interval, "o": _text(bar.open), "c": _text(bar.close), "h": _text(bar.high),
        "l": _text(bar.low), "v": _text(bar.volume), "x": bool(bar.closed),
    }  # fmt: skip


_SOME_TRADE: dict[str, object] = {
    "e": "trade", "E": 1782312840000, "t": 5, "p": "1.50000000", "q": "2.00000000", "T": 1782312840000, "m": True,
    "M": True,
}  # fmt: skip
SHUTDOWN = message(stream="!serverShutdown", data={"e": "serverShutdown", "E": 1782312840000})


class BinanceConversation(Conversation):
    """One connection."""

    sample: ClassVar[Sample] = Sample(
        harmless=message(result=None, id=1),
        strange=message(stream="btcusdt@auction", data={"e": "auction"}),
        error=lambda code, text: message(error={"code": code, "msg": text}, id=1),
        data=lambda symbol: {"stream": f"{symbol.lower()}@trade", "data": {"s": symbol, **_SOME_TRADE}},
        symbol=("data", "s"),
        time=("data", "T"),
        prices=(("data", "p"), ("data", "q"), ("data", "t")),
        some_symbol="BTCUSDT",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "server-shutdown": lambda talk, now: talk.shut_down(now)
    }
    modes = frozenset({"no-ack", "partial-ack"})
    own_kinds = (
        LOST,
        FaultKind("server-shutdown", "10", "serverShutdown: this server goes in 5 s, connect to another"),
    )

    def __init__(self, shared: Binance, now: float) -> None:
        super().__init__(shared, now)
        self._ping_at = now + PING_S
        self._ends_at = now + LIFETIME_S
        self._heard: list[float] = []

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - it takes no time
        """Streams may be named in the URL."""
        named = parse_qs(request.query).get("streams", [""])[0]
        if named:
            self._subscribe(named.split("/"))

    # What the client says.

    def hear(self, payload: bytes, now: float) -> None:
        """One request."""
        if self._too_many(now):
            return
        try:
            request = msgspec.json.decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self.unreadable()
            return
        if not isinstance(request, dict):
            self._error(2, "Invalid request: expected an object", None)
            return
        method, params, number = request.get("method"), request.get("params", []), request.get("id")
        if not isinstance(params, list) or not all(isinstance(one, str) for one in params):
            self._error(2, "Invalid request: params is to be a list of strings", number)
        elif method == "SUBSCRIBE":
            self._subscribe(params)
            self._answer(None, number)
            self.subscribed()
        elif method == "UNSUBSCRIBE":
            for stream in params:
                self.topics.pop(stream, None)
            self._answer(None, number)
        elif method == "LIST_SUBSCRIPTIONS":
            self._answer(list(self.topics), number)
        else:
            self._error(2, "Invalid request: unknown variant", number)

    def unreadable(self) -> None:
        """A message that is no JSON."""
        self._error(3, "Invalid JSON: expected value at line 1 column 1", None)

    def _subscribe(self, streams: list[str]) -> None:
        good, _, _ = self.sift(streams, self.shared.has)
        for stream in good:
            self.topics[stream] = stream.partition("@")[0].upper()
            self.shared.want(stream)
        self.note(f"subscribed: now {' '.join(self.topics) or 'nothing'}")

    def _answer(self, result: object, number: object) -> None:
        self.send(message(result=result, id=number), "ack")

    def _error(self, code: int, text: str, number: object) -> None:
        self.send(message(code=code, msg=text, id=number), "error")

    def _too_many(self, now: float) -> bool:
        self._heard = [at for at in self._heard if now - at < 1.0] + [now]
        if len(self._heard) <= MESSAGES_PER_S:
            return False
        self.note("refused: too many messages")
        self.ending = Ending(1008, "Too many requests")
        return True

    # What it hears.

    def push(self, item: Item) -> Push:
        """The push of an event: on the stream of its kind that the client has."""
        assert isinstance(item, MarketEvent)
        mine = (stream for stream, symbol in self.topics.items() if symbol == item.symbol)
        stream = next(stream for stream in mine if _is_about(item, stream.partition("@")[2]))
        return _push(item, stream)

    def tick(self, now: float) -> None:
        """A ping now and then, and an end after 24 hours."""
        if now >= self._ping_at:
            self._outgoing.append(Raw(encode_frame(PING, b"%d" % int(now * 1000))))
            self._ping_at = now + PING_S
        if now >= self._ends_at:
            over = self._ends_at >= self._opened + LIFETIME_S
            self.ending = self.ending or Ending(1001, "24 hours are over" if over else "this server shuts down")

    def next_deadline(self) -> float | None:
        """The next ping, or the end."""
        return min(self._ping_at, self._ends_at)

    def shut_down(self, now: float) -> None:
        """Say that this server goes, and go a little later."""
        self.send(SHUTDOWN)
        self._ends_at = min(self._ends_at, now + NOTICE_S)


def _is_about(event: MarketEvent, kind: str) -> bool:
    """Whether a stream of this kind brings such an event."""
    if isinstance(event, Bar):
        return kind == f"kline_{event.interval}"
    if isinstance(event, BookSnapshot):
        return kind.startswith("depth") and kind[5:6].isdigit()
    if isinstance(event, Quote):
        return kind == "bookTicker"
    return isinstance(event, Trade) and kind in ("trade", "aggTrade")


def _push(event: MarketEvent, stream: str) -> Push:
    return push_of(event, stream, message(stream=stream, data=data_of(event, stream.partition("@")[2])))


class Binance(Counterpart):
    """Binance: no keys, the symbols of `INSTRUMENTS`, a step a second."""

    title = "Binance"
    path = "/stream"
    conversation = BinanceConversation
    form = SPEC.symbol_pattern
    known = tuple(INSTRUMENTS)
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND, written)
        self._streams: dict[str, dict[str, None]] = {}
        """Symbol -> the streams that somebody wants, or wanted."""
        self._books = RecordedBooks()
        self._updated: dict[str, BookSnapshot] = {}
        """Symbol -> its book at the last update."""

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol)

    def has(self, stream: str) -> bool:
        """Whether there is such a stream."""
        match = _STREAM.fullmatch(stream)
        if match is None or not self.source.knows(match["symbol"].upper()):
            return False
        return match["interval"] is None or match["interval"] in MINUTES

    def want(self, stream: str) -> None:
        """Somebody wants this stream."""
        self._streams.setdefault(stream.partition("@")[0].upper(), {})[stream] = None

    def round(self, items: Sequence[Item]) -> Round:
        """What these items are on the streams that somebody wants."""
        return Round([push for item in items for event in self._events(item) for push in self._pushes(event)])

    def _pushes(self, event: MarketEvent) -> Iterator[Push]:
        for stream in self._streams.get(event.symbol, ()):
            kind = stream.partition("@")[2]
            if _is_about(event, kind):
                yield _push(event, stream)
            elif isinstance(event, BookSnapshot) and kind.startswith("depth"):
                yield from self._update(event, stream)

    def _update(self, book: BookSnapshot, stream: str) -> Iterator[Push]:
        """What changed in a book since the last update of this stream."""
        before = self._updated.get(stream)
        self._updated[stream] = book
        if before is None:
            return
        changes = [_changes(*sides) for sides in ((before.bids, book.bids), (before.asks, book.asks))]
        first, last = (before.sequence or 0) + 1, book.sequence or 0
        if any(changes) and first <= last:
            fields = {"e": "depthUpdate", "E": _ms(book.ts_event or book.ts_recv), "s": book.symbol}
            data = {**fields, "U": first, "u": last, "b": changes[0], "a": changes[1]}
            yield push_of(book, stream, message(stream=stream, data=data))

    def _events(self, item: Item) -> list[MarketEvent]:
        tape = self._tape
        if isinstance(item, Candle):
            streams = self._streams.get(item.symbol, ())
            wanted = {stream.partition("kline_")[2]: 0 for stream in streams if "kline_" in stream}
            intervals = {name: MINUTES[name] for name in wanted}
            return [*tape.trades(item), tape.quote(item), tape.book(item), *tape.bars(item, intervals)]
        if isinstance(item, BookSnapshot | BookUpdate):
            return [self._whole(item)]
        return [item] if isinstance(item, Quote | Trade | Bar) else []

    def _whole(self, change: BookSnapshot | BookUpdate) -> MarketEvent:
        """The book after a recorded change, with a number in any case."""
        whole = self._books.after(change)
        return msgspec.structs.replace(whole, sequence=change.sequence or _ms(change.ts_recv))


def _changes(before: Sequence[Level], after: Sequence[Level]) -> list[tuple[str, str]]:
    """Levels that are new, have another size, or are gone."""
    old, new = dict(_pairs(before)), dict(_pairs(after))
    gone = [(price, "0.00000000") for price in old if price not in new]
    return gone + [(price, size) for price, size in new.items() if old.get(price) != size]


COUNTERPART = Binance
