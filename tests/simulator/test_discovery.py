"""Counterparts are found by looking, and say for themselves what they are."""

from __future__ import annotations

import importlib.metadata
import json
import socket
from collections.abc import Sequence

import pytest

from tests.simulator.candles import M1, NOON_NS, candle
from tests.simulator.client import bare, client, rest
from tickstream import providers, simulator
from tickstream.errors import UsageError
from tickstream.events import Bar, Trade
from tickstream.numbers import number
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.faults import FAULTS, LOST, SOME_ONLY, offered
from tickstream.simulator.handshake import Plain
from tickstream.simulator.market import Item, M1Replay
from tickstream.simulator.options import PARTICULAR, SimulatorOptions
from tickstream.simulator.outgoing import Push, Round, push_of
from tickstream.simulator.server import Simulator
from tickstream.simulator.tickatlas import COUNTERPART, TickAtlasConversation, candle_of, quote
from tickstream.timestamps import Timestamp

NOON = Timestamp(NOON_NS)


def test_every_provider_has_one() -> None:
    assert simulator.names() == providers.names()


@pytest.mark.parametrize("name", simulator.names())
class TestEveryCounterpart:
    def test_declares_itself(self, name: str) -> None:
        found = simulator.load(name)
        assert issubclass(found, Counterpart)
        assert found.title == providers.load(name).title
        assert found.path.startswith("/")
        assert found.honours <= PARTICULAR.keys()
        assert found.step_ns > 0

    def test_has_the_symbols_of_the_provider(self, name: str) -> None:
        found, spec = simulator.load(name), providers.load(name)
        for symbol in spec.common_symbols:
            assert found.form.fullmatch(symbol)
            assert found.listed(symbol).spread_points >= 0

    def test_knows_how_to_do_each_fault_it_offers(self, name: str) -> None:
        found = simulator.load(name)
        own = {kind.name for kind in found.conversation.own_kinds}
        assert own.isdisjoint(FAULTS)
        assert own - {LOST.name} <= found.conversation.faults.keys() | found.conversation.modes
        assert found.conversation.faults.keys() <= found.faults().keys()

    def test_has_a_sample_whose_values_are_where_it_says(self, name: str) -> None:
        sample = simulator.load(name).conversation.sample
        for path in (sample.symbol, sample.time, *sample.prices):
            whole = sample.spoiled(sample.some_symbol, path, "elsewhere")
            assert b'"elsewhere"' in whole
            assert b"elsewhere" not in sample.lacking(sample.some_symbol, path)
            assert len(sample.lacking(sample.some_symbol, path)) < len(whole)


def test_a_package_elsewhere_may_add_one(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("other", "tickstream.simulator.tickatlas:COUNTERPART", simulator.ENTRY_POINTS)
    unrelated = importlib.metadata.EntryPoint("else", "nowhere:NOTHING", simulator.ENTRY_POINTS)

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        assert group == simulator.ENTRY_POINTS
        return [unrelated, entry]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert simulator.load("other") is COUNTERPART


def test_a_provider_without_one_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"no simulator of 'tickatls'(.|\n)*Did you mean tickatlas\?"):
        simulator.load("tickatls")


def test_faults_that_only_some_can_have_are_offered_by_those() -> None:
    assert offered((), ()).keys() == FAULTS.keys() - SOME_ONLY
    assert "no-ack" in offered({"no-ack"}, ())
    assert simulator.load("tickatlas").faults() == FAULTS


# --- one that is made here: what a counterpart has to bring, and what it gets ----------------------------------------


class Parrot(Conversation):
    """Subscribes whatever it is told."""

    sample = TickAtlasConversation.sample

    def hear(self, payload: bytes, now: float) -> None:
        symbols, _, _ = self.sift([payload.decode()], self.shared.source.knows)
        self.topics |= {symbol: symbol for symbol in symbols}
        self.send(b"yes")

    def unreadable(self) -> None:
        self.send(b"pardon?")

    def push(self, item: Item) -> Push:
        return push_of(item, item.symbol, item.symbol.encode() * 200)


class Aviary(Counterpart):
    title = "Aviary"
    path = "/birds"
    paths = ("/cages/*",)
    conversation = Parrot

    def plain(self, request: Plain) -> str | None:
        if request.path != "/feed":
            return None
        return json.dumps([request.method, request.query, request.body.decode(), request.headers.get("x-crumb", "")])

    def round(self, items: Sequence[Item]) -> Round:
        return Round([Parrot.push(None, item) for item in items])  # type: ignore[arg-type]  # it looks at the item only


@pytest.fixture
def aviary(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint("aviary", f"{__name__}:Aviary", simulator.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [entry])


class Recorded:
    """A market of events: two trades."""

    step_ns = 0
    first_ns = NOON_NS
    symbols = frozenset({"LORI"})

    def __init__(self) -> None:
        moments = [Timestamp(NOON_NS), Timestamp(NOON_NS + 5)]
        self._trades = [Trade("aviary", "LORI", ts, ts, number("1.10"), number("2.0")) for ts in moments]

    def knows(self, symbol: str) -> bool:
        return symbol == "LORI"

    def next_open(self, after_ns: int) -> int | None:
        return next((trade.ts_recv for trade in self._trades if trade.ts_recv >= after_ns), None)

    def items(self, start_ns: int, end_ns: int, symbols: object, limit: int) -> tuple[list[Trade], int]:
        return [trade for trade in self._trades if start_ns <= trade.ts_recv < end_ns], end_ns


@pytest.mark.usefixtures("aviary")
def test_a_market_of_ones_own_is_served_by_any_counterpart() -> None:
    with Simulator(SimulatorOptions(provider="aviary", record=True, speed=60.0), market=Recorded()) as sim:
        assert sim.url.endswith("/birds")
        with client(sim) as one:
            one.ws.send(b"binary")
            assert one.ws.recv(5) == "pardon?"
            one.ws.send("LORI")
            assert one.ws.recv(5) == "yes"
            assert [len(one.ws.recv(5)) for _ in range(2)] == [800, 800]
        assert sim.wait_for(lambda: len(sim.sent) == 2)
        assert [(record.symbol, record.market_ns) for record in sim.sent] == [("LORI", NOON_NS), ("LORI", NOON_NS + 5)]


@pytest.mark.usefixtures("aviary")
def test_what_is_served_beside_the_stream_is_answered_over_plain_http() -> None:
    head = b"HTTP/1.1\r\nHost: x\r\nX-Crumb: seed\r\n"
    asked = {
        b"GET /feed?seeds=3 " + head + b"\r\n": (200, ["GET", "seeds=3", "", "seed"]),
        b"POST /feed " + head + b"Content-Length: 4\r\n\r\nmealworms": (200, ["POST", "", "meal", "seed"]),
        b"GET /drink " + head + b"\r\n": (404, None),
        b"GET /birds " + head + b"\r\n": (426, None),
        b"POST /feed " + head + b"Content-Length: -1\r\n\r\n": (400, None),
    }
    with Simulator(SimulatorOptions(provider="aviary")) as sim:
        for request, (status, body) in asked.items():
            with bare(sim, request) as sock:
                answer = rest(sock)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            if body is not None:
                assert b"Content-Type: application/json" in answer
                assert json.loads(answer.partition(b"\r\n\r\n")[2]) == body
        with bare(sim, b"POST /feed " + head + b"Content-Length: 9\r\n\r\n") as sock:
            sock.sendall(b"meal")
            sock.sendall(b"worms")
            assert json.loads(rest(sock).partition(b"\r\n\r\n")[2])[2] == "mealworms"
        with bare(sim, b"POST /feed " + head + b"Content-Length: 9\r\n\r\nmeal") as sock:
            sock.shutdown(socket.SHUT_WR)
            assert rest(sock).startswith(b"HTTP/1.1 400 ")


@pytest.mark.usefixtures("aviary")
def test_faults_that_make_sense_for_all_are_there_for_all() -> None:
    options = SimulatorOptions(provider="aviary", faults=("duplicate@connect", "close-4001@2"), speed=60.0)
    with Simulator(options, market=Recorded()) as sim, client(sim) as one:
        one.ws.send("LORI")
        assert [len(one.ws.recv(5)) for _ in range(5)] == [3, 800, 800, 800, 800]
    with pytest.raises(UsageError, match="there is no fault 'invalid-key'"):
        Simulator(SimulatorOptions(provider="aviary", faults=("invalid-key",)))


@pytest.mark.usefixtures("aviary")
@pytest.mark.parametrize(
    ("option", "says"),
    [({"plan": "pro"}, "Aviary has no plans"), ({"keys": ("k",)}, "no keys"), ({"quota": 5}, "no credits"),
     ({"max_symbols": 3}, "no limit of symbols"), ({"heartbeat_s": 3.0}, "no heartbeats"),
     ({"spread_in_price": True}, "no spread"), ({"close_code": None}, "no errors that end"),
     ({"known": ("lori",)}, "'lori' is no symbol of Aviary")],
)  # fmt: skip
def test_what_a_provider_does_not_have_cannot_be_asked_for(option: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SimulatorOptions(provider="aviary", **option)  # type: ignore[arg-type]  # a table of options


# --- TickAtlas, from what was captured -------------------------------------------------------------------------------


def bar(one: Item) -> Bar:
    """The event that a client makes of this candle's message."""
    names = ("open", "high", "low", "close", "volume", "bid", "ask")
    prices = [number(getattr(one, name)) for name in names]
    return Bar("tickatlas", one.symbol, Timestamp(one.open_ns), NOON, "1m", *prices, number("0.00012"), True)  # type: ignore[union-attr]  # a candle


def test_a_captured_bar_makes_the_message_it_came_in() -> None:
    again = candle_of(bar(candle()))
    assert again is not None
    assert quote(again) == quote(candle())


def test_a_bar_without_quote_has_nulls_and_a_trade_is_no_candle() -> None:
    plain = candle_of(Bar("tickatlas", "EURUSD", NOON, NOON, "1m", *[number("1.5")] * 4))
    assert plain is not None
    assert b'"bid":null,"ask":null,"spread":0,"volume":null' in quote(plain)
    assert candle_of(Trade("tickatlas", "EURUSD", NOON, NOON, number("1"))) is None


def test_captured_bars_are_served_beside_candles() -> None:
    source = M1Replay(M1)
    counterpart = COUNTERPART(SimulatorOptions(), source, source.first_ns)
    due = counterpart.round([bar(candle()), candle("XAUUSD"), Trade("x", "A", NOON, NOON, number("1"))])
    assert [one.topic for one in due.pushes] == ["EURUSD", "XAUUSD"]
