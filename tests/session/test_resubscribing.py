"""Books that are wrong, from whoever finds that to the request on the wire: across threads, at once, and once each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.providers.conversation import KEY, quote
from tests.session.script import SPEC, Line, ScriptedWire, tickatlas
from tickstream.clock import FakeClock
from tickstream.errors import ProviderError
from tickstream.events import Bar, Batch
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest, Feed
from tickstream.providers.tickatlas import TickAtlasProtocol
from tickstream.session.context import SessionContext
from tickstream.session.queue import BatchQueue
from tickstream.session.retry import RetryOptions
from tickstream.session.supervisor import Party, Supervisor, split
from tickstream.subscriptions import Subscription

WAIT_S = 10.0


class Renewing(TickAtlasProtocol):
    """Says on the wire what it was told."""

    def resubscribe(self, symbols: tuple[str, ...], now: float) -> None:
        self._outgoing.append(msgspec.json.encode({"action": "anew", "symbols": symbols}))


RENEWING = msgspec.structs.replace(SPEC, protocol=Renewing)


def answer(message: dict[str, Any]) -> list[Any]:
    return [] if message["action"] == "anew" else tickatlas(message)


def anew(wire: ScriptedWire) -> list[list[str]]:
    return [message["symbols"] for message in wire.sent if message["action"] == "anew"]


def test_the_request_is_sent_at_once_each_symbol_once() -> None:
    line = Line("EURUSD", "XAUUSD", spec=RENEWING, answer=answer)
    asked = ("EURUSD", "XAUUSD", "EURUSD")
    line.wire.do(3, lambda: [line.connection.resubscribe(symbol) for symbol in asked])
    seen: list[float] = []
    line.wire.do(3.5, lambda: seen.append(len(anew(line.wire))))
    assert line.run(until=5) is None
    assert anew(line.wire) == [["EURUSD", "XAUUSD"]]
    assert line.wire.woken
    assert seen == [1]


def test_where_it_cannot_be_asked_for_alone_a_new_connection_begins_everything_anew() -> None:
    line = Line("EURUSD")
    line.wire.do(3, lambda: line.connection.resubscribe("EURUSD"))
    ended = line.run(until=100)
    assert isinstance(ended, ProviderError)
    assert ended.retryable
    assert (ended.code, ended.symbols) == ("book_broken", ("EURUSD",))
    assert line.wire.closed == (1000, "")


class Sessions:
    """A supervisor over sessions of one symbol each, on the wires of their scripts."""

    def __init__(self, *symbols: str) -> None:
        self.stop = threading.Event()
        self.wires: dict[int, ScriptedWire] = {}
        self._go_on = threading.Event()
        self._looked = threading.Semaphore(0)
        self.queue = BatchQueue()
        feeds = split(Feed(SPEC.url, Subscription(symbols), Secret(KEY)), len(symbols))
        context = SessionContext(RENEWING, self._dial, FakeClock(), self.stop)
        self.supervisor = Supervisor([Party(context, feeds)], self.queue, RetryOptions())
        self.symbols = symbols

    def _dial(self, request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
        number = int(threading.current_thread().name.rpartition("-")[2])
        wire = self.wires[number] = ScriptedWire(FakeClock(), answer)
        wire.at(1, quote(self.symbols[number - 1]))
        wire.do(2, lambda: self._go_on.wait(WAIT_S))
        wire.do(3, self._stay)
        return wire

    def _stay(self) -> None:
        self._looked.release()
        self.stop.wait(WAIT_S)

    def let_all_look(self) -> None:
        """Every session goes round once."""
        self._go_on.set()
        for _ in self.symbols:
            assert self._looked.acquire(timeout=WAIT_S)

    def data(self) -> Batch:
        while (batch := self.queue.get(WAIT_S)) is not None:
            if any(isinstance(event, Bar) for event in batch.events):
                return batch
        raise AssertionError("no data came")


@pytest.mark.parametrize(("epoch", "asked"), [(1, [["XAUUSD"]]), (2, [])])
def test_only_the_connection_that_is_meant_asks(epoch: int, asked: list[list[str]]) -> None:
    several = Sessions("EURUSD", "XAUUSD")
    several.supervisor.start()
    several.data(), several.data()
    several.supervisor.resubscribe(2, epoch, "XAUUSD")
    several.let_all_look()
    assert [anew(several.wires[number]) for number in (1, 2)] == [[], asked]
    assert several.wires[2].woken is bool(asked)
    several.supervisor.stop()
    assert several.supervisor.join(WAIT_S)


def test_without_a_connection_nobody_is_asked() -> None:
    several = Sessions("EURUSD")
    several.supervisor.resubscribe(1, 0, "EURUSD")
    assert several.wires == {}
