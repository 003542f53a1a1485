"""FCS API (WebSocket v4), the server's side: a key in the URL, `welcome`, rooms of a symbol and a timeframe. Pure.

What FCS' client libraries and READMEs do not show is a convention of ours: errors, refusals, the answer to a
`leave_symbol`, the pace of pings, the end of a connection that says nothing, close code 1008.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from tickstream.events import Bar, MarketEvent, Quote
from tickstream.numbers import Number, decimal, difference, number
from tickstream.providers.fcs import INTERVALS, SPEC, canonical
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import FaultKind
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import MINUTE_NS, Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.timestamps import NS_PER_SECOND, Timestamp

PING_S = 30.0
IDLE_S = 60.0
"""Without a sign of the client for so long the connection is closed."""

INSTRUMENTS: dict[str, Instrument] = {
    "BINANCE:BTCUSDT": Instrument("89962.61", 1, 900),
    "BINANCE:ETHUSDT": Instrument("3158.40", 1, 60),
    "BINANCE:BNBUSDT": Instrument("861.20", 1, 20),
    "BINANCE:XRPUSDT": Instrument("1.9012", 1, 12),
    "BINANCE:SOLUSDT": Instrument("125.31", 1, 9),
    "BINANCE:ADAUSDT": Instrument("0.3712", 1, 6),
    "BINANCE:LTCUSDT": Instrument("77.41", 1, 6),
    "OKX:LTCUSDT": Instrument("77.42", 1, 6),
    "OKX:XRPUSDT": Instrument("1.9013", 1, 12),
    "NASDAQ:AAPL": Instrument("273.67", 2, 6),
    "NASDAQ:GOOGL": Instrument("307.16", 2, 8),
    "NASDAQ:MSFT": Instrument("485.92", 3, 9),
    "NASDAQ:TSLA": Instrument("481.20", 4, 22),
}
"""Those of which nothing is known by the name behind the colon; in numbers of 2025-12-22."""

_NAMES = {timeframe: name for name, timeframe in INTERVALS.items()}
_SOME_CANDLE = {"mode": "candle", "t": 1766361600, "o": 1.5, "h": 2, "l": 1, "c": 1.5, "v": 7, "a": 1.75, "b": 1.5}


class BidAsk(Quote, frozen=True, gc=False, omit_defaults=True, tag="quote"):
    """A quote on its way into the room of a candle."""

    timeframe: str = "1"
    opens: Timestamp = Timestamp(0)


def message(kind: str, **fields: object) -> bytes:
    """A message of this type."""
    return msgspec.json.encode({"type": kind, **fields})


def opening(ts_ns: int, timeframe: str) -> Timestamp:
    """When the candle begins that this moment is in. Weeks begin on Mondays."""
    unit = canonical(timeframe)
    if unit == "1M":
        day = datetime.fromtimestamp(ts_ns // NS_PER_SECOND, UTC)
        return Timestamp(int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND)
    minutes = {"1D": 1440, "1W": 10_080}.get(unit) or int(unit)
    monday = 4 * 1440 * MINUTE_NS if unit == "1W" else 0  # 1970-01-05 was the first one
    length = minutes * MINUTE_NS
    return Timestamp((ts_ns - monday) // length * length + monday)


def topic_of(event: MarketEvent) -> str:
    """The room, in the client's spelling of its timeframe."""
    assert isinstance(event, Bar | BidAsk)
    return f"{event.symbol}_{event.interval if isinstance(event, Bar) else event.timeframe}"


def payload_of(event: MarketEvent, mode: str = "candle") -> bytes:
    """The message of a bar (its `interval` is the timeframe), or of a bid and ask."""
    assert isinstance(event, Bar | BidAsk)
    prices: dict[str, object]
    if isinstance(event, Bar):
        timeframe, opens = event.interval, event.ts_event or event.ts_recv
        prices = {
            "mode": mode, "t": opens // NS_PER_SECOND, "o": event.open, "h": event.high, "l": event.low,
            "c": event.close, "v": event.volume, "a": event.ask, "b": event.bid,
        }  # fmt: skip
    else:
        timeframe, update = event.timeframe, event.ts_event or event.ts_recv
        prices = {
            "mode": "askbid", "update": update // NS_PER_SECOND, "c": event.last, "a": event.ask, "b": event.bid,
            "t": event.opens // NS_PER_SECOND,
        }  # fmt: skip
    known = {name: value for name, value in prices.items() if value is not None}
    return message("price", symbol=event.symbol, timeframe=timeframe, prices=known)


class FcsConversation(Conversation):
    """One connection: a key, then rooms."""

    sample: ClassVar[Sample] = Sample(
        harmless=message("ping"),
        strange=message("auction"),
        error=lambda code, text: message("error", message=text, short=code),
        data=lambda symbol: {"type": "price", "symbol": symbol, "timeframe": "1", "prices": {**_SOME_CANDLE}},
        symbol=("symbol",),
        time=("prices", "t"),
        prices=(("prices", "o"), ("prices", "c"), ("prices", "b")),
        some_symbol="FX:EURUSD",
    )
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "invalid-key": lambda talk, _: talk.refuse("invalid_key", "Invalid API key"),
        "echo-key": lambda talk, _: talk.refuse("invalid_key", f"Invalid API key: {talk.key}"),
        "whole-symbols": lambda talk, _: setattr(talk, "whole", True),
        "closed-session": lambda talk, _: setattr(talk, "session", "out_of_session"),
    }
    modes = frozenset({"no-auth-reply", "no-ack", "no-heartbeat", "invalid-symbol", "partial-ack"})
    own_kinds = (
        FaultKind("whole-symbols", "connect", "confirmations name FX:EURUSD, not EURUSD"),
        FaultKind("closed-session", "connect", "profiles say that the market is closed"),
    )

    def __init__(self, shared: Fcs, now: float) -> None:
        super().__init__(shared, now)
        self.whole = False
        """Confirmations have the symbol with its exchange."""
        self.session = "market"
        self._initial: set[str] = set()
        """Rooms whose first candle is still to come."""
        self._ping_at = now + self._ping_s
        self._heard_at = now
        self._pinged = False

    @property
    def _ping_s(self) -> float:
        return self.shared.options.heartbeat_s or PING_S

    # What the client says.

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - whenever it is
        """The key decides."""
        key = parse_qs(request.query).get("access_key", [""])[0]
        self.auth_frames += 1
        if not self.admit(key):
            return
        if not key or (self.shared.options.keys and key not in self.shared.options.keys):
            self.refuse("invalid_key", "Invalid API key")
        else:
            self.note("welcome")
            self.send(message("welcome"), "auth")

    def refuse(self, code: str, text: str) -> None:
        """Queue an error, and end the connection."""
        self.note(f"refused: {code}")
        self.send(message("error", message=text, short=code), "error")
        self.ending = Ending(self.shared.options.close_code, code)

    def hear(self, payload: bytes, now: float) -> None:
        """One message of the client."""
        self._heard_at = now
        try:
            request = msgspec.json.decode(payload)
            kind, symbol, timeframe = (request.get(name, "") for name in ("type", "symbol", "timeframe"))
            room = isinstance(symbol, str) and isinstance(timeframe, str) and kind in ("join_symbol", "leave_symbol")
        except (msgspec.DecodeError, ValueError, RecursionError, AttributeError):
            kind, room = "", False
        if room:
            (self._join if kind == "join_symbol" else self._leave)(symbol, timeframe)
        elif kind == "remove_all":
            self.topics.clear()
            self.note("left all")
        elif kind == "ping":
            self.send(message("pong"), "pong")
        elif kind != "pong":
            self.unreadable()

    def unreadable(self) -> None:
        """A message that is no request."""
        self.send(message("error", message="Invalid message"), "error")

    def ping(self, payload: bytes) -> None:
        """A ping frame is a sign of life, too."""
        self._pinged = True
        super().ping(payload)

    def _join(self, symbol: str, timeframe: str) -> None:
        """Joining twice does no harm: it is confirmed again, and all begins anew."""
        whole = self.shared.whole_symbol(symbol)
        good, _, _ = self.sift([whole], lambda name: self.shared.source.knows(name) and _is_timeframe(timeframe))
        if good:
            self.topics[f"{whole}_{timeframe}"] = whole
            self._initial.add(f"{whole}_{timeframe}")
            self.shared.want(timeframe)
            self.note(f"joined: now {' '.join(self.topics)}")
            self._confirm("joined_room", "Successfully joined room", whole, timeframe)
            self._profile(whole, timeframe)
        else:
            self.send(
                message("message", success=False, message=f"Unknown symbol or timeframe: {symbol} {timeframe}",
                        symbol=symbol, timeframe=timeframe, short="invalid_symbol"), "error",
            )  # fmt: skip
        self.subscribed()

    def _leave(self, symbol: str, timeframe: str) -> None:
        whole = self.shared.whole_symbol(symbol)
        self.topics.pop(f"{whole}_{timeframe}", None)
        self.note(f"left: now {' '.join(self.topics) or 'nothing'}")
        self._confirm("left_room", "Successfully left room", whole, timeframe)

    def _confirm(self, short: str, text: str, symbol: str, timeframe: str) -> None:
        room = f"{symbol}_{timeframe}_0s"
        named = symbol if self.whole else symbol.rpartition(":")[2]
        self.send(
            message("message", success=True, message=f"{text}: {room}", room=room, symbol=named, timeframe=timeframe,
                    short=short), "ack",
        )  # fmt: skip

    def _profile(self, symbol: str, timeframe: str) -> None:
        profile = {
            "current_session": self.session, "timezone": "Etc/UTC", "pro_name": symbol, "update_mode": "streaming",
        }  # fmt: skip
        prices = {"mode": "profile", "profile": profile}
        self.send(message("price", symbol=symbol, timeframe=timeframe, prices=prices))

    # What it hears.

    def wanted(self, due: Round) -> list[Push]:
        """The pushes of its rooms; before the first candle of a room, that candle as `initial`."""
        found: list[Push] = []
        for one in super().wanted(due):
            if one.topic in self._initial and isinstance(one.item, Bar):
                self._initial.discard(one.topic)
                bar = msgspec.structs.replace(one.item, bid=None, ask=None, spread=None)
                found.append(push_of(bar, one.topic, payload_of(bar, "initial")))
            found.append(one)
        return found

    def push(self, item: Item) -> Push:
        """The push of an event."""
        assert isinstance(item, MarketEvent)
        return push_of(item, topic_of(item), payload_of(item))

    def tick(self, now: float) -> None:
        """Ping now and then; close what says nothing."""
        if self._pinged:
            self._pinged, self._heard_at = False, now
        if self.ending is not None:
            return
        if now >= self._heard_at + IDLE_S:
            self.note("idle")
            self.ending = Ending(self.shared.options.close_code, "idle")
        elif now >= self._ping_at:
            self._ping_at = now + self._ping_s
            self.send(message("ping"), "heartbeat")

    def next_deadline(self) -> float | None:
        """The next ping, or the end of patience."""
        return min(self._ping_at, self._heard_at + IDLE_S)


def _is_timeframe(text: str) -> bool:
    try:
        return canonical(text) in _NAMES
    except ValueError:
        return False


class Fcs(Counterpart):
    """FCS API: a step a second, candles of every timeframe that somebody has joined."""

    title = "FCS API"
    path = "/ws"
    conversation = FcsConversation
    honours = frozenset({"keys", "heartbeat_s", "close_code"})
    form = SPEC.symbol_pattern
    known = SPEC.common_symbols
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self._timeframes: tuple[str, ...] = ()
        """As clients spell them."""
        self._bars: dict[tuple[str, str], Bar] = {}
        self._by_name: dict[str, list[str]] = {}
        for symbol in sorted(source.symbols or ()):
            self._by_name.setdefault(symbol.partition(":")[2], []).append(symbol)

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol.partition(":")[2])

    def whole_symbol(self, symbol: str) -> str:
        """With its exchange, if it lacks one and only one exchange has it: FCS' own clients send it so on rejoining."""
        known = self._by_name.get(symbol, [])
        return known[0] if len(known) == 1 else symbol

    def want(self, timeframe: str) -> None:
        """Somebody wants candles of this timeframe."""
        if timeframe not in self._timeframes:
            self._timeframes = (*self._timeframes, timeframe)

    def round(self, items: Sequence[Item]) -> Round:
        """A candle, and then a bid and ask, for each timeframe; recorded events as they are."""
        return Round([
            push_of(event, topic_of(event), payload_of(event)) for item in items for event in self._events(item)
        ])  # fmt: skip

    def _events(self, item: Item) -> list[MarketEvent]:
        if isinstance(item, Candle):
            ask, bid, close = number(item.ask), number(item.bid), number(item.close)
            ends = Timestamp(item.open_ns + (self.source.step_ns or NS_PER_SECOND))
            quote = Quote(SPEC.name, item.symbol, ends, ends, bid, None, ask, None, difference(ask, bid), close)
            found: list[MarketEvent] = []
            for timeframe in self._timeframes:
                found += [self._bar(item, timeframe, quote), _in_room(quote, timeframe, item.open_ns)]
            return found
        if isinstance(item, Quote):
            return [_in_room(item, timeframe, item.ts_event or item.ts_recv) for timeframe in self._timeframes]
        if isinstance(item, Bar) and item.interval in INTERVALS:
            wire = INTERVALS[item.interval]
            spelled = [timeframe for timeframe in self._timeframes if canonical(timeframe) == wire]
            return [msgspec.structs.replace(item, interval=timeframe) for timeframe in spelled]
        return []

    def _bar(self, candle: Candle, timeframe: str, quote: Quote) -> Bar:
        """The candle so far, of one that begins with its first step that somebody asks for."""
        opens = opening(candle.open_ns, timeframe)
        first, high, low, close = map(number, (candle.open, candle.high, candle.low, candle.close))
        volume = decimal(number(candle.volume))
        bar = self._bars.get((candle.symbol, timeframe))
        if bar is not None and bar.ts_event == opens:
            first = bar.open
            high, low = max(bar.high, high, key=decimal), min(bar.low, low, key=decimal)
            volume += decimal(bar.volume or _ZERO)
        bar = self._bars[candle.symbol, timeframe] = Bar(
            SPEC.name, candle.symbol, opens, quote.ts_recv, timeframe, first, high, low, close,
            number(format(volume, "f")), quote.bid, quote.ask, quote.spread,
        )  # fmt: skip
        return bar


_ZERO: Number = number("0")


def _in_room(quote: Quote, timeframe: str, moment_ns: int) -> BidAsk:
    fields = {name: getattr(quote, name) for name in quote.__struct_fields__}
    return BidAsk(**fields, timeframe=timeframe, opens=opening(moment_ns, timeframe))


COUNTERPART = Fcs
