"""All sessions of a run: threads that start together, stop together, and close the queue when the last has ended."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.conversation import KEY, error, quote, subscribed
from tests.session.script import SPEC, Answer, Ended, Item, ScriptedWire, tickatlas
from tickstream.clock import FakeClock, SystemClock
from tickstream.errors import InvalidKey, NetworkError, SymbolRefused, TlsError
from tickstream.events import Bar, Event, SessionEvent
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest, Feed
from tickstream.session.connection import Connection
from tickstream.session.context import SessionContext
from tickstream.session.outbox import Outbox
from tickstream.session.queue import BatchQueue
from tickstream.session.retry import RetryOptions
from tickstream.session.supervisor import Party, Supervisor, split
from tickstream.status import SessionStatus
from tickstream.subscriptions import Subscription

WAIT_S = 10.0


def refusing(message: dict[str, object]) -> list[Item]:
    return tickatlas(message) if message["action"] == "auth" else [subscribed()]


def rejecting(message: dict[str, object]) -> list[Item]:
    return [error("invalid_key"), Ended(1008)]


def crashing(message: dict[str, object]) -> list[Item]:
    raise ZeroDivisionError


class Several:
    """Sessions of one symbol each; each answers in its own way, pushes once, and then stays until told to stop."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.stop = threading.Event()
        self.woken: list[str] = []
        self.queue = BatchQueue()
        context = SessionContext(SPEC, self._dial, FakeClock(), self.stop)
        feeds = split(Feed(SPEC.url, Subscription(tuple(answers)), Secret(KEY)), len(answers))
        self.supervisor = Supervisor([Party(context, feeds)], self.queue, RetryOptions(retries=0), random.Random(1))

    def _dial(self, request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
        name = threading.current_thread().name
        symbol = list(self.answers)[int(name.rpartition("-")[2]) - 1]
        wire = ScriptedWire(FakeClock(), self.answers[symbol])
        wire.at(60, quote(symbol))
        wire.do(61, lambda: self.stop.wait(WAIT_S))
        return wire

    def finish(self) -> list[Event]:
        """Everything, once all have ended."""
        assert self.supervisor.join(WAIT_S)
        out: list[Event] = []
        while (batch := self.queue.get(0)) is not None:
            out += batch.events
        return out


def bars(events: list[Event]) -> set[str]:
    return {event.symbol for event in events if isinstance(event, Bar)}


def closed(events: list[Event]) -> dict[int, str | None]:
    return {e.session: e.reason for e in events if isinstance(e, SessionEvent) and e.state == "closed"}


def wait_for(event: threading.Event) -> None:
    assert event.wait(WAIT_S)


class TestSplitting:
    @given(st.lists(st.text("ABC", min_size=2, max_size=4), min_size=1, unique=True, max_size=9), st.integers(1, 5))
    def test_symbols_go_round_robin(self, symbols: list[str], connections: int) -> None:
        feed = Feed("wss://p/", Subscription(tuple(symbols)), Secret(KEY), {"a": "b"}, frozenset("X"))
        feeds = split(feed, connections)
        assert len(feeds) == min(connections, len(symbols))
        for number, part in enumerate(feeds):
            assert part.subscription.symbols == tuple(symbols[number::connections])
            assert (part.shard, part.shards) == (number, len(feeds))
            assert (part.url, part.key, part.settings, part.refused) == (feed.url, feed.key, {"a": "b"}, {"X"})

    @pytest.mark.parametrize(
        ("connections", "parts"),
        [(1, ["AAA", "BBB"]), (2, ["AA", "A", "BB", "B"]), (9, ["A", "A", "A", "B", "B", "B"])],
    )
    def test_each_group_has_connections_of_its_own(self, connections: int, parts: list[str]) -> None:
        symbols = tuple(letter + str(number) for number in range(3) for letter in "AB")
        feeds = split(Feed("wss://p/", Subscription(symbols), Secret(KEY)), connections, lambda symbol: symbol[0])
        assert ["".join(symbol[0] for symbol in feed.subscription.symbols) for feed in feeds] == parts
        assert sorted(symbol for feed in feeds for symbol in feed.subscription.symbols) == sorted(symbols)
        assert [(feed.shard, feed.shards) for feed in feeds] == [(at, len(parts)) for at in range(len(parts))]


class TestTheEndOfOne:
    def test_a_stop_ends_all_and_closes_the_queue(self) -> None:
        several = Several(A=tickatlas, B=tickatlas)
        several.supervisor.start()
        assert several.queue.get(WAIT_S) is not None
        assert not several.queue.done
        several.supervisor.stop()
        events = several.finish()
        assert closed(events) == {1: None, 2: None}
        assert several.queue.done
        assert several.supervisor.error is None
        assert several.supervisor.crash is None

    def test_a_fatal_error_of_one_stops_all(self) -> None:
        several = Several(A=tickatlas, B=rejecting, C=tickatlas)
        several.supervisor.start()
        wait_for(several.stop)
        events = several.finish()
        assert isinstance(several.supervisor.error, InvalidKey)
        assert set(closed(events)) == {1, 2, 3}
        assert "invalid_key" in (closed(events)[2] or "")

    def test_retries_used_up_are_such_an_error(self) -> None:
        several = Several(A=tickatlas, B=lambda _: [Ended(1001)])
        several.supervisor.start()
        several.finish()
        assert isinstance(several.supervisor.error, NetworkError)

    def test_refused_symbols_of_one_end_only_that_one(self) -> None:
        several = Several(A=refusing, B=tickatlas)
        several.supervisor.start()
        seen: set[str] = set()
        while "B" not in seen:
            batch = several.queue.get(WAIT_S)
            assert batch is not None
            seen |= bars(batch.events)
        assert not several.stop.is_set()
        assert several.supervisor.error is None
        several.supervisor.stop()
        several.finish()
        assert several.supervisor.error is None
        assert isinstance(several.supervisor.sessions[0].error, SymbolRefused)
        assert several.supervisor.statuses[0].state == "closed"

    def test_refused_symbols_of_all_end_the_run(self) -> None:
        several = Several(A=refusing, B=refusing)
        several.supervisor.start()
        several.finish()
        assert isinstance(several.supervisor.error, SymbolRefused)
        assert several.supervisor.error.symbols == ("A",)
        assert several.queue.done

    def test_of_several_providers_sessions_are_numbered_through_and_a_fatal_error_says_whose_it_is(self) -> None:
        stop, queue = threading.Event(), BatchQueue()
        other = msgspec.structs.replace(SPEC, name="other", title="Other")

        def dial(request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
            if threading.current_thread().name == "session-3":
                raise TlsError("a bad certificate")
            wire = ScriptedWire(FakeClock(), tickatlas)
            wire.do(61, lambda: stop.wait(WAIT_S))
            return wire

        clock = FakeClock()
        parties = [
            Party(
                SessionContext(spec, dial, clock, stop),
                split(Feed(SPEC.url, Subscription(symbols), Secret(KEY)), len(symbols)),
            )
            for spec, symbols in ((SPEC, ("A", "B")), (other, ("A",)))
        ]
        supervisor = Supervisor(parties, queue, RetryOptions(retries=0))
        assert [(one.provider, one.session, one.symbols) for one in supervisor.statuses] == [
            ("tickatlas", 1, ("A",)), ("tickatlas", 2, ("B",)), ("other", 3, ("A",)),
        ]  # fmt: skip
        supervisor.start()
        assert supervisor.join(WAIT_S)
        assert isinstance(supervisor.error, TlsError)
        assert supervisor.error.message == "Other: a bad certificate"

    def test_a_bug_in_one_is_kept_and_stops_all(self) -> None:
        several = Several(A=tickatlas, B=crashing)
        several.supervisor.start()
        wait_for(several.stop)
        several.finish()
        assert isinstance(several.supervisor.crash, ZeroDivisionError)
        assert several.supervisor.error is None
        assert several.queue.done

    def test_the_first_bug_is_the_one_that_is_kept(self) -> None:
        several = Several(A=crashing, B=crashing)
        several.supervisor.start()
        several.finish()
        assert isinstance(several.supervisor.crash, ZeroDivisionError)


class TestStopping:
    def test_it_wakes_the_wires(self) -> None:
        several = Several(A=tickatlas)
        (session,) = several.supervisor.sessions
        wire = ScriptedWire(FakeClock())
        feed = Feed(SPEC.url, Subscription(("A",)))
        context = SessionContext(SPEC, lambda *_: wire, FakeClock(), several.stop)
        status = SessionStatus("tickatlas", 1, ("A",))
        session._connection = Connection(wire, SPEC.protocol(feed), context, status, Outbox(BatchQueue()))
        several.supervisor.stop()
        assert wire.woken
        assert several.stop.is_set()

    def test_a_join_gives_up_in_time(self) -> None:
        go = threading.Event()

        def dial(request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
            go.wait(WAIT_S)
            raise NetworkError("x")

        context = SessionContext(SPEC, dial, SystemClock(), threading.Event())
        feeds = split(Feed(SPEC.url, Subscription(("A",)), Secret(KEY)), 1)
        supervisor = Supervisor([Party(context, feeds)], BatchQueue(), RetryOptions())
        supervisor.start()
        assert not supervisor.join(0.05)
        supervisor.stop()
        go.set()
        assert supervisor.join(WAIT_S)

    def test_a_run_of_no_sessions_is_no_error(self) -> None:
        context = SessionContext(SPEC, lambda *_: pytest.fail("nobody dials"), FakeClock(), threading.Event())
        supervisor = Supervisor([Party(context, [])], BatchQueue(), RetryOptions())
        supervisor.start()
        assert supervisor.join(0)
        assert supervisor.error is None
