"""Interactive Brokers' Client Portal gateway: the login, its REST, and market data as fields that changed. Pure.

Wire facts: interactivebrokers.github.io/cpwebapi and ibkrcampus.com (cpapi-v1, websockets). One gateway is one login:
what a connection does to the session, all see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qs

import msgspec

from tickstream.events import MarketEvent, Quote, Trade
from tickstream.numbers import Number, decimal, number, text
from tickstream.providers.ibkr import SPEC
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import FaultKind
from tickstream.simulator.handshake import Plain, Refusal, Request
from tickstream.simulator.ibkr_contracts import INSTRUMENTS, LISTINGS, TICKERS, Listing, conid_of
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Push, Round, push_of
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import Tape
from tickstream.timestamps import NS_PER_SECOND

BASE = "/v1/api"
HEARTBEAT_S = 10.0
SILENT_AFTER_S = 900.0
"""A subscription ends without a word so long after it was asked for."""
LOOK_S = 0.1
"""How late a connection may notice what another one did to the session."""
LINES = 100
NS_PER_MS = 1_000_000
SESSION = "bb665d0f55b6289d70bc7380089fc96f"
_SUBSCRIBE = re.compile(r"smd\+((\d{1,10})(?:@[A-Z]{1,12})?)\+(\{.*\})")
_UNSUBSCRIBE = re.compile(r"umd\+(\d{1,10}(?:@[A-Z]{1,12})?)\+\{\}")


def message(**fields: object) -> bytes:
    """A message with these fields, in this order."""
    return msgspec.json.encode(fields)


def data_of(symbol: str, ts_ns: int, fields: Mapping[str, object]) -> bytes:
    """Market data of what the market calls so."""
    conid = conid_of(symbol)
    about: dict[str, object] = {"server_id": "q0", "conid": conid, "_updated": ts_ns // NS_PER_MS}
    return msgspec.json.encode({**about, **fields, "topic": f"smd+{conid}"})


def fields_of(event: MarketEvent) -> dict[str, str]:
    """The fields that an event is about; a price that there is not is an empty text."""
    if isinstance(event, Trade):
        return {"31": text(event.price)} | ({"7059": text(event.size)} if event.size else {})
    assert isinstance(event, Quote)
    found = {"84": event.bid, "88": event.bid_size, "86": event.ask, "85": event.ask_size}
    last = {"31": text(event.last)} if event.last else {}
    return last | {name: text(value) if value else "" for name, value in found.items()}


class _Line:
    """One market data line of a connection."""

    def __init__(self, contract: str, symbol: str, fields: frozenset[str], ends_at: float) -> None:
        self.contract = contract
        self.symbol = symbol
        self.fields = fields
        self.ends_at = ends_at
        self.ended = False
        """Without a word: the market goes on, and nothing is sent of it."""
        self.sent: dict[str, str] = {}

    def news(self, fields: Mapping[str, str]) -> dict[str, str]:
        """What of this the client wants and does not have."""
        if self.ended:
            return {}
        new = {name: value for name, value in fields.items() if name in self.fields and self.sent.get(name) != value}
        self.sent.update(new)
        return new


class IbkrConversation(Conversation):
    """One connection: it shows the session, is told that it is authenticated, and has lines."""

    sample: ClassVar[Sample] = Sample(
        harmless=message(topic="system", hb=1700000000000),
        strange=message(topic="xyz", args={}),
        error=lambda code, said: message(error=f"{code}: {said}", code=0),
        data=lambda symbol: {
            "server_id": "q0", "conid": conid_of(symbol), "_updated": 1715515200000, "31": "1.5", "84": "1.5",
            "86": "1.75", "topic": f"smd+{conid_of(symbol)}"},
        symbol=("topic",),
        time=("_updated",),
        prices=(("86",), ("84",), ("31",)),
        some_symbol="AAPL",
    )  # fmt: skip
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {
        "not-logged-in": lambda talk, _: setattr(talk.shared, "logged_in", False),
        "session-lost": lambda talk, _: setattr(talk.shared, "authenticated", False),
        "competing": lambda talk, _: talk.shared.compete(),
        "no-bridge": lambda talk, _: setattr(talk.shared, "bridge", False),
        "pacing": lambda talk, _: setattr(talk.shared, "paced", True),
        "silent-stop": lambda talk, now: talk.stop_lines(now),
        "delayed": lambda talk, _: setattr(talk, "availability", "DPB"),
        "halted": lambda talk, _: talk.halt(),
    }
    modes = frozenset({"no-ack", "no-heartbeat", "no-auth-reply", "symbol-limit"})
    own_kinds = (
        FaultKind("not-logged-in", "connect", "nobody has logged in at the gateway: 401"),
        FaultKind("session-lost", "10", "the brokerage session ends, until it is opened anew"),
        FaultKind("competing", "connect", "another program has the brokerage session"),
        FaultKind("no-bridge", "connect", "the gateway has no bridge to the brokerage session: 503"),
        FaultKind("pacing", "connect", "too many requests: 429"),
        FaultKind("silent-stop", "10", "all subscriptions end without a word"),
        FaultKind("delayed", "connect", "the login has no subscription to real-time data"),
        FaultKind("halted", "10", "trading is halted: the last price has an H before it"),
    )

    def __init__(self, shared: Ibkr, now: float) -> None:
        super().__init__(shared, now)
        self.availability = "RpB"
        self._lines: dict[str, _Line] = {}
        """Topic -> the line."""
        self._bound = False
        self._said: bool | None = None
        """What was last said of the session."""
        self._beats_at = now + self._heartbeat_s
        self._looked_at = now

    @property
    def _heartbeat_s(self) -> float:
        return self.shared.options.heartbeat_s or HEARTBEAT_S

    # What the client says.

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - it goes by what is shown
        """A cookie shows the session; who has none is asked for it."""
        if SESSION in request.headers.get("cookie", ""):
            self._bind(SESSION)
        else:
            self.send(message(message="waiting for session"))

    def _bind(self, session: str) -> None:
        self.auth_frames += 1
        if not self.admit(session):
            return
        self._bound = True
        self.send(message(topic="system", success="simulated", isFT=False, isPaper=True))
        accounts = {"accounts": ["DU1234"], "selectedAccount": "DU1234", "sessionId": "abc"}
        self.send(message(topic="act", args=accounts))
        self._say_status()

    def _say_status(self) -> None:
        self._said = self.shared.authenticated
        competing = {"competing": True} if self.shared.competing else {}
        self.send(message(topic="sts", args={"authenticated": self._said, **competing}), "auth")

    def hear(self, payload: bytes, now: float) -> None:
        """One command, or the session."""
        said = payload.decode("utf-8", "replace")
        if said == "tic":
            self.send(message(topic="tic", alive=True, id=SESSION), "pong")
        elif found := _SUBSCRIBE.fullmatch(said):
            self._subscribe(found[1], found[3], now)
        elif found := _UNSUBSCRIBE.fullmatch(said):
            self._drop(found[1])
        elif not self._bound and _session_in(payload) == SESSION:
            self._bind(SESSION)
        else:
            self.unreadable()

    def unreadable(self) -> None:
        """A message that is no command."""
        self.send(message(error="unknown command", code=0), "error")

    def _subscribe(self, contract: str, arguments: str, now: float) -> None:
        """A line; its first message has all that is known. Before `sts` it is dropped without a word."""
        if not (self._bound and self.shared.authenticated):
            return
        try:
            fields = frozenset(map(str, msgspec.json.decode(arguments)["fields"]))
        except (msgspec.DecodeError, KeyError, TypeError):
            self.unreadable()
            return
        symbol = self.shared.symbol_of(contract)
        limit = self.shared.options.max_symbols or LINES
        sifted = self.sift([symbol], self.shared.source.knows, self._lines, max(0, limit - len(self._lines)))
        if not sifted.good:
            why = "Max number of market data lines reached" if sifted.over else "No security definition has been found"
            self.send(message(error=why, code=0, topic=f"smd+{contract}"), "error")
            return
        line = self._lines[symbol] = _Line(contract, symbol, fields, now + SILENT_AFTER_S)
        self.topics[symbol] = symbol
        known = {"6509": self.availability, **self.shared.standing.get(symbol, {})}
        self.send(data_of(symbol, self.shared.now_ns, line.news(known)), "ack")
        self.note(f"subscribed: now {', '.join(self.topics)}")
        self.subscribed()

    def _drop(self, contract: str) -> None:
        """Nothing confirms it."""
        symbol = self.shared.symbol_of(contract)
        self._lines.pop(symbol, None)
        self.topics.pop(symbol, None)

    def stop_lines(self, now: float) -> None:
        """All subscriptions end, and nobody is told."""
        for line in self._lines.values():
            line.ends_at = now
        self.tick(now)

    def halt(self) -> None:
        """Trading is halted, at the last price."""
        for symbol in self._lines:
            last = self.shared.standing.get(symbol, {}).get("31", "")
            self.send(data_of(symbol, self.shared.now_ns, {"31": f"H{last}"}))

    # What it hears.

    def wanted(self, due: Round) -> list[Push]:
        """The fields that changed, of the lines."""
        return [self._own(one.item, news) for one in super().wanted(due) if (news := self._news(one.item))]

    def _news(self, item: Item) -> dict[str, str]:
        assert isinstance(item, MarketEvent)
        return self._lines[item.symbol].news(fields_of(item))

    def _own(self, item: Item, fields: Mapping[str, str]) -> Push:
        assert isinstance(item, MarketEvent)
        return push_of(item, item.symbol, data_of(item.symbol, item.ts_event or item.ts_recv, fields))

    def push(self, item: Item) -> Push:
        """All fields of an event."""
        assert isinstance(item, MarketEvent)
        line = self._lines.get(item.symbol)
        fields = fields_of(item)
        return self._own(item, {name: fields[name] for name in fields if line is None or name in line.fields})

    def tick(self, now: float) -> None:
        """Heartbeats, news of the session, and the silent end of lines."""
        self._looked_at = now
        if self._bound and self._said != self.shared.authenticated:
            self._say_status()
        if now >= self._beats_at:
            self._beats_at = now + self._heartbeat_s
            self.send(message(topic="system", hb=self.shared.now_ns // NS_PER_MS), "heartbeat")
        for line in self._lines.values():
            if now < line.ends_at or line.ended:
                continue
            line.ended = True
            self.note(f"the subscription of {line.symbol} ended without a word")

    def next_deadline(self) -> float | None:
        """The next heartbeat, the end of a line, or another look at the session."""
        looks_at = [self._looked_at + LOOK_S] if self._bound else []
        return min([self._beats_at, *looks_at, *(line.ends_at for line in self._lines.values() if not line.ended)])


def _session_in(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload, type=dict[str, Any]).get("session")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class Ibkr(Counterpart):
    """A gateway on this machine, with one login; a step of the market a second."""

    title = SPEC.title
    path = f"{BASE}/ws"
    conversation = IbkrConversation
    honours = frozenset({"heartbeat_s", "max_symbols"})
    form = SPEC.symbol_pattern
    known = tuple(INSTRUMENTS)
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self.now_ns = first_ns
        """Market time."""
        self.logged_in = self.authenticated = self.bridge = True
        self.competing = self.paced = False
        self.standing: dict[str, dict[str, str]] = {}
        """Symbol -> the latest value of each field."""
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND)

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return INSTRUMENTS.get(symbol) or instrument(symbol)

    def compete(self) -> None:
        """Another program takes the session."""
        self.competing, self.authenticated = True, False

    def symbol_of(self, contract: str) -> str:
        """What the market calls a contract: as it is written, by its number, or by its ticker."""
        conid = contract.partition("@")[0]
        listed = TICKERS.get(int(conid), "")
        made_up = [one for one in self.source.symbols or () if str(conid_of(one)) == conid]
        return next((one for one in (contract, conid, listed, *made_up) if one and self.source.knows(one)), conid)

    # Over HTTP.

    def plain(self, request: Plain) -> str | None:
        """The gateway's REST, as far as a stream needs it. Raises Refusal."""
        served: dict[tuple[str, str], Callable[[Plain], object]] = {
            ("POST", "/tickle"): lambda _: self._tickle(),
            ("POST", "/iserver/auth/ssodh/init"): lambda _: self._log_in(),
            ("POST", "/iserver/auth/status"): lambda _: self._status(),
            ("GET", "/iserver/accounts"): lambda _: self._accounts(),
            ("GET", "/trsrv/stocks"): lambda asked: self._stocks(asked.query),
        }
        answer = served.get((request.method, request.path.removeprefix(BASE)))
        if answer is None or not request.path.startswith(BASE):
            return None
        if self.paced:
            raise Refusal(429, "Too many requests")
        if not self.logged_in:
            raise Refusal(401, "Access Denied")
        return msgspec.json.encode(answer(request)).decode()

    def _status(self) -> dict[str, object]:
        return {"authenticated": self.authenticated, "competing": self.competing, "connected": True, "message": ""}

    def _tickle(self) -> object:
        return {
            "session": SESSION, "ssoExpires": 460311, "collission": False, "userId": 123456789,
            "hmds": {"error": "no bridge"}, "iserver": {"authStatus": self._status()},
        }  # fmt: skip

    def _log_in(self) -> object:
        self.authenticated = not self.competing
        return self._status()

    def _accounts(self) -> object:
        if not self.bridge:
            raise Refusal(503, "Service Unavailable: no bridge")
        return {"accounts": ["DU1234"], "selectedAccount": "DU1234"}

    def _stocks(self, query: str) -> object:
        tickers = parse_qs(query).get("symbols", [""])[0].split(",")
        return {ticker: self._companies(ticker.replace(" ", ".")) for ticker in tickers if ticker}

    def _companies(self, ticker: str) -> list[object]:
        listings = LISTINGS.get(ticker, ())
        if not listings and ticker not in INSTRUMENTS and self.source.knows(ticker):
            listings = (Listing(conid_of(ticker), ticker, "NYSE"),)
        return [
            {"name": one.company, "assetClass": "STK",
             "contracts": [{"conid": one.conid, "exchange": one.exchange, "isUS": one.is_us}]}
            for one in listings
        ]  # fmt: skip

    # The market.

    def round(self, items: Sequence[Item]) -> Round:
        """Trades and the top of the book of each step; recorded events as they are."""
        pushes = []
        for item in items:
            for event in self._events(item):
                self.now_ns = max(self.now_ns, event.ts_event or event.ts_recv)
                self.standing[event.symbol] = self.standing.get(event.symbol, {}) | fields_of(event)
                pushes.append(push_of(event, event.symbol, b""))
        return Round(pushes)

    def _events(self, item: Item) -> list[MarketEvent]:
        if isinstance(item, Candle):
            quote = self._tape.quote(item)
            assert isinstance(quote, Quote)
            top = msgspec.structs.replace(
                quote, last=None, bid_size=_lots(quote.bid_size), ask_size=_lots(quote.ask_size)
            )
            trades = [one for one in self._tape.trades(item) if isinstance(one, Trade)]
            return [*(msgspec.structs.replace(one, size=_lots(one.size)) for one in trades), top]
        return [item] if isinstance(item, Quote | Trade) else []


def _lots(size: Number | None) -> Number:
    """A size as stocks have it: a whole number."""
    return number(str(1 + int((decimal(size) if size else Decimal(0)) * 1000)))


COUNTERPART = Ibkr
