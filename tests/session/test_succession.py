"""A connection takes over while the old one still delivers: no gap, no duplicate; and honest where that cannot be."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.session.script import Answer, Ended, Item, Lost, PatientQueue, ScriptedWire
from tickstream.clock import FakeClock
from tickstream.errors import NetworkError, TickstreamError
from tickstream.events import Batch, BookUpdate, Event, MarketEvent, Notice, Quote, SessionEvent, Trade
from tickstream.providers import load
from tickstream.providers.base import ConnectRequest, Feed
from tickstream.providers.binance import EARLIER_S, LIFETIME_S
from tickstream.session.context import SessionContext
from tickstream.session.outbox import Outbox
from tickstream.session.retry import RetryOptions, RetryPolicy
from tickstream.session.session import Session
from tickstream.session.succession import HELD_BYTES, OVERLAP_S, RETRY_S, SETTLE_S, Held, joins
from tickstream.status import SessionStatus
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp

SPEC = load("binance")
SHUTDOWN: Item = {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1770123456789}}


def trade(number: int, symbol: str = "BNBBTC") -> Item:
    data = {"e": "trade", "s": symbol, "t": number, "p": "0.001", "q": "100", "T": 1672515782136, "m": True}
    return {"stream": f"{symbol.lower()}@trade", "data": data}


def top(number: int, symbol: str = "BNBBTC") -> Item:
    data = {"u": number, "s": symbol, "b": "1", "B": "1", "a": "2", "A": "1"}
    return {"stream": f"{symbol.lower()}@bookTicker", "data": data}


def confirming(message: dict[str, Any]) -> list[Item]:
    return [{"result": None, "id": message["id"]}]


class Handing:
    """A session on wires that follow scripts. The first is there at once, the others when they are dialled."""

    def __init__(self, channel: Channel = Channel.TRADES, symbols: tuple[str, ...] = ("BNBBTC",)) -> None:
        self.clock, self.stop = FakeClock(), threading.Event()
        self.answers: list[Answer] = []
        self.wires: list[ScriptedWire] = []
        self.queue = PatientQueue()
        self.first = self.prepared()
        self.queue.wire = self.first
        self.dials: list[Callable[[], ScriptedWire]] = [lambda: self.first]
        context = SessionContext(SPEC, self._dial, self.clock, self.stop)
        self.status = SessionStatus("binance", 1, symbols)
        feed = Feed(SPEC.url, Subscription(symbols, channel))
        retry = RetryPolicy(RetryOptions(retries=0), random.Random(1))
        self.session = Session(context, feed, self.status, Outbox(self.queue), retry)

    def prepared(self, answer: Answer = confirming) -> ScriptedWire:
        """A wire whose times begin now, and begin anew when it is dialled."""
        wire = ScriptedWire(self.clock, answer)
        self.wires.append(wire)
        return wire

    def next(self, *script: tuple[float, Item], answer: Answer = confirming) -> None:
        """The next connection that is dialled: what arrives on it, and when."""

        def dial() -> ScriptedWire:
            wire = self.prepared(answer)
            for at, item in script:
                wire.at(at, item)
            wire.do(self.until - self.first.now, self.stop.set)
            return wire

        self.dials.append(dial)

    def _dial(self, request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
        if not self.dials:
            raise NetworkError("nobody answers")
        return self.dials.pop(0)()

    def dialled(self, seconds: float) -> None:
        """At this time on the first connection, wait until the thread that dials has done so."""

        def join() -> None:
            for thread in threading.enumerate():
                if thread.name == "succession":
                    thread.join(10)

        self.first.do(seconds, join)

    def run(self, until: float) -> None:
        """Until it ends by itself, or is told to so many seconds after the first connection was made."""
        self.until = until
        self.first.do(until, self.stop.set)
        self.session.run()
        self.batches: list[Batch] = []
        while (batch := self.queue.get(0)) is not None:
            self.batches.append(batch)

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def numbers(self) -> list[int]:
        """Trade ids, or update ids."""
        return [
            int(event.trade_id or 0) if isinstance(event, Trade) else event.sequence
            for event in self.events
            if isinstance(event, Trade | Quote)
        ]

    @property
    def states(self) -> list[tuple[str, int]]:
        return [(event.state, event.epoch) for event in self.all(SessionEvent)]


class TestWithoutAGap:
    def test_what_both_delivered_is_there_once_and_the_old_one_is_closed(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        for number in range(2, 8):
            one.first.at(number / 2 + 0.6, trade(number))  # at 1.6, 2.1 ... 4.1
        one.next(*((number / 2 - 0.7, trade(number)) for number in range(3, 30)))
        one.run(until=10)
        assert one.numbers == list(range(1, one.numbers[-1] + 1))
        assert one.numbers[-1] >= 7
        assert one.states[:2] == [("up", 1), ("up", 2)]
        assert "down" not in {state for state, _ in one.states}
        assert [wire.closed for wire in one.wires] == [(1000, ""), (1000, "")]
        assert [notice.code for notice in one.all(Notice)] == ["server_shutdown"]
        assert (one.status.epoch, one.status.reconnects) == (2, 1)
        assert one.status.bytes_received > 0 < one.status.bytes_before

    def test_the_messages_of_duplicates_are_left_out_too(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.5, trade(2), trade(3))
        one.next((0.3, trade(2)), (0.3, trade(3)), (0.4, trade(4)))
        one.run(until=8)
        payloads = [payload for batch in one.batches for payload in batch.payloads]
        assert len(payloads) == len(one.all(Trade)) == 4

    def test_a_day_is_over_and_nothing_is_missing(self) -> None:
        one = Handing()
        day = LIFETIME_S - EARLIER_S
        one.first.at(1, trade(1))
        for number in range(2, 200):  # so that nothing looks dead
            one.first.at(number * 600, trade(number))
        one.dialled(day + 0.3)
        last = int(day // 600)
        one.next(*((number * 600 - day, trade(number)) for number in range(last + 1, 200)))
        one.run(until=day + 3000)
        assert one.numbers == list(range(1, last + 6))
        assert one.states[:2] == [("up", 1), ("up", 2)]

    def test_a_new_one_that_is_behind_the_old_one_does_not_repeat_it(self) -> None:
        one = Handing(symbols=("BNBBTC", "ETHBTC"))
        one.first.at(1, trade(1), trade(1, "ETHBTC"), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.9, *map(trade, range(2, 30)))
        one.next(*((number / 5, trade(number)) for number in range(2, 40)), (7.9, trade(2, "ETHBTC")))
        one.run(until=12)
        assert [trade.trade_id for trade in one.all(Trade) if trade.symbol == "ETHBTC"] == ["1", "2"]
        assert sorted(one.numbers) == sorted([1, 2, *range(1, 40)])

    def test_the_first_of_a_quiet_symbol_waits_for_the_old_one_to_bring_it_too(self) -> None:
        one = Handing(Channel.QUOTES, symbols=("BNBBTC", "ETHBTC"))
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.2 + 2 * SETTLE_S, top(3, "ETHBTC"))
        one.next((0.3, top(3, "ETHBTC")), (9, top(4, "ETHBTC")))
        one.run(until=15)
        assert one.numbers == [5, 3, 4]
        assert "down" not in {state for state, _ in one.states}

    def test_a_quiet_market_is_handed_over_as_well(self) -> None:
        one = Handing(Channel.QUOTES)
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.next((OVERLAP_S + 3, top(9)))
        one.run(until=15)
        assert one.numbers == [5, 9]
        assert "down" not in {state for state, _ in one.states}

    def test_the_old_one_may_end_as_soon_as_the_new_one_has_settled(self) -> None:
        """Its close frame says that it has said all; the numbers of tops of books have holes."""
        one = Handing(Channel.QUOTES)
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.5 + 2 * SETTLE_S, Ended(1001))
        one.next((2.5, top(9)))
        one.run(until=15)
        assert one.numbers == [5, 9]
        assert "down" not in {state for state, _ in one.states}

    def test_a_line_that_breaks_costs_nothing_when_both_had_the_same(self) -> None:
        one = Handing(Channel.QUOTES)
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.5, top(7))
        one.first.at(1.6, Lost())
        one.next((0.1, top(7)), (0.5, top(9)))
        one.run(until=15)
        assert one.numbers == [5, 7, 9]
        assert "down" not in {state for state, _ in one.states}


class TestHonest:
    def test_what_may_be_missing_is_an_interruption(self) -> None:
        """The line breaks before the old one has brought what the new one begins with."""
        one = Handing(Channel.QUOTES)
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.6, Lost())
        one.next((0.3, top(9)))
        one.run(until=15)
        assert one.numbers == [5, 9]
        assert one.states[:3] == [("up", 1), ("down", 1), ("up", 2)]

    def test_an_old_one_that_says_no_more_is_left_with_an_interruption(self) -> None:
        one = Handing(Channel.QUOTES)
        one.first.at(1, top(5), SHUTDOWN)
        one.dialled(1.1)
        one.next((0.3, top(9)), (OVERLAP_S + 2, top(11)))
        one.run(until=15)
        assert one.numbers == [5, 9, 11]
        assert one.states[:3] == [("up", 1), ("down", 1), ("up", 2)]
        assert "before it had delivered all" in one.all(SessionEvent)[1].reason

    def test_a_new_one_that_is_not_yet_live_goes_on_with_an_interruption(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(1.3, Ended(1001))
        one.next((3, {"result": None, "id": 1}), (3, trade(5)), answer=lambda _: [])
        one.run(until=15)
        assert one.numbers == [1, 5]
        assert one.states[:3] == [("up", 1), ("down", 1), ("up", 2)]

    def test_when_the_new_one_fails_the_old_one_goes_on_and_another_is_tried(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        one.dials.append(lambda: (_ for _ in ()).throw(NetworkError("refused")))  # type: ignore[arg-type]  # it raises
        for number in range(2, 40):
            one.first.at(number, trade(number))
        one.dialled(RETRY_S + 2)
        one.next((0.5, Lost()))
        one.dialled(2 * RETRY_S + 6)
        one.next(*((number / 4, trade(number + 15)) for number in range(100)))
        one.run(until=60)
        said = [notice.message for notice in one.all(Notice) if notice.code == "succession"]
        assert len(said) == 2
        assert "refused" in said[0]
        assert one.numbers == list(range(1, one.numbers[-1] + 1))
        assert len(one.wires) == 3
        assert one.states[:2] == [("up", 1), ("up", 2)]

    def test_without_a_new_one_it_ends_as_ever(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        one.first.at(2, Ended(1001))
        one.run(until=60)
        assert isinstance(one.session.error, TickstreamError)
        assert one.states[-1] == ("closed", 1)


class TestStopping:
    def test_both_are_left_when_the_run_ends(self) -> None:
        one = Handing()
        one.first.at(1, trade(1), SHUTDOWN)
        one.dialled(1.1)
        one.next((0.1, trade(2)))
        one.run(until=1.4)
        assert [wire.closed for wire in one.wires] == [(1000, ""), (1000, "")]
        assert one.numbers == [1]

    def test_one_that_is_still_being_dialled_is_left_when_it_stands(self) -> None:
        go, one = threading.Event(), Handing()
        one.first.at(1, trade(1), SHUTDOWN)

        def dial() -> ScriptedWire:
            assert go.wait(10)
            return one.prepared()

        one.dials.append(dial)
        one.run(until=3)
        thread = next(thread for thread in threading.enumerate() if thread.name == "succession")
        go.set()
        thread.join(10)
        assert one.wires[1].closed == (1000, "")


def test_where_nobody_can_tell_the_place_of_an_event_time_decides() -> None:
    protocol = SPEC.protocol(Feed(SPEC.url, Subscription(("BNBBTC",), Channel.BOOK)))
    update = BookUpdate("binance", "BNBBTC", None, Timestamp(0), (), ())
    assert joins(None, update, protocol)


def test_only_so_much_is_held() -> None:
    held = Held()
    assert not held.full
    held.put(Batch(1, 2, Timestamp(0), [MarketEvent("binance", "A", None, Timestamp(0))], (), HELD_BYTES + 1))
    held.flush()
    held.wait(10)
    assert held.full
    assert not held.holding


@pytest.mark.parametrize("provider", ["tickatlas", "kraken"])
def test_others_have_no_succession(provider: str) -> None:
    spec = load(provider)
    feed = Feed(spec.url, Subscription(("EURUSD",)))
    protocol = spec.protocol(feed)
    assert not protocol.hands_over
    assert not protocol.ends_soon(1e9)
    assert not protocol.counts_places
    assert protocol.place(MarketEvent("x", "A", None, Timestamp(0))) is None
