"""A session: connections one after the other, what is said in between, and what ends it for good."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from tests.providers.conversation import KEY, authenticated, error, quote, subscribed
from tests.session.script import SPEC, Answer, Ended, Item, Lost, PatientQueue, ScriptedWire, silent, tickatlas
from tickstream.clock import FakeClock
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    HandshakeError,
    InvalidKey,
    NetworkError,
    RateLimited,
    SymbolRefused,
    TickstreamError,
    TlsError,
)
from tickstream.events import Bar, Event, Gap, SessionEvent
from tickstream.keys import Secret
from tickstream.pipeline.gaps import GapStage
from tickstream.providers.base import ConnectRequest, Feed
from tickstream.session.context import SessionContext
from tickstream.session.outbox import Outbox
from tickstream.session.queue import BatchQueue
from tickstream.session.retry import RetryOptions, RetryPolicy
from tickstream.session.session import Session
from tickstream.status import SessionStatus
from tickstream.subscriptions import Subscription

Script = list[tuple[float, list[Item]]]


class Connections:
    """Dials by a plan: each attempt is an error to raise or a script to follow. After the last one it is stopped."""

    def __init__(self, *plan: TickstreamError | Script, symbols: tuple[str, ...] = ("EURUSD",), **options: Any) -> None:
        answer: Answer = options.pop("answer", tickatlas)
        self.clock = FakeClock()
        self.stop = threading.Event()
        self.wires: list[ScriptedWire] = []
        self.dialled: list[float] = []
        self.steps: list[str] = []
        self._plan = list(plan)
        self._answer = answer
        self.queue: BatchQueue = options.pop("queue", None) or BatchQueue()
        context = SessionContext(SPEC, self._dial, self.clock, self.stop)
        self.status = SessionStatus(SPEC.name, 1, symbols)
        self.feed = Feed(SPEC.url, Subscription(symbols), Secret(KEY))
        retry = RetryPolicy(RetryOptions(**options), random.Random(7))
        self.session = Session(context, self.feed, self.status, Outbox(self.queue), retry)
        self.on_dial: Callable[[], None] = lambda: None

    def _dial(self, request: ConnectRequest, step: Callable[[str], None]) -> ScriptedWire:
        assert request.url == SPEC.url
        self.dialled.append(self.clock.monotonic() - 1000)
        self.on_dial()
        for name in ("resolve", "tcp", "tls", "upgrade"):
            step(name)
            self.steps.append(self.status.step)
        if not self._plan:
            self.stop.set()
            raise NetworkError("stopped while connecting")
        following = self._plan.pop(0)
        if isinstance(following, TickstreamError):
            raise following
        wire = ScriptedWire(self.clock, self._answer)
        for seconds, items in following:
            wire.at(seconds, *items)
        self.wires.append(wire)
        return wire

    def run(self) -> list[Event]:
        self.session.run()
        out: list[Event] = []
        while (batch := self.queue.get(0)) is not None:
            out += batch.events
        self.events = out
        return out

    @property
    def states(self) -> list[tuple[str, int]]:
        return [(event.state, event.epoch) for event in self.events if isinstance(event, SessionEvent)]

    @property
    def auths(self) -> int:
        return sum(message["action"] == "auth" for wire in self.wires for message in wire.sent)


LOST: list[Item] = [Lost()]


class TestReconnecting:
    def test_each_connection_is_an_epoch_with_an_up_and_a_down(self) -> None:
        run = Connections([(60, [quote()]), (65, LOST)], [(60, [quote()]), (65, [Ended(1001)])], [(60, LOST)])
        run.run()
        assert run.states == [("up", 1), ("down", 1), ("up", 2), ("down", 2), ("up", 3), ("down", 3), ("closed", 3)]
        assert sum(isinstance(event, Bar) for event in run.events) == 2
        assert run.session.error is None
        assert run.auths == 3

    def test_the_first_retry_after_a_good_connection_comes_within_a_second(self) -> None:
        run = Connections([(60, [quote()]), (65, LOST)], [(1, LOST)])
        run.run()
        assert 65 <= run.dialled[1] <= 66

    def test_attempts_that_fail_are_each_said_with_their_reason_and_wait(self) -> None:
        run = Connections(NetworkError("refused"), HandshakeError("HTTP 503"), [(60, [quote()]), (61, LOST)])
        run.run()
        downs = [event for event in run.events if isinstance(event, SessionEvent) and event.state == "down"]
        assert [event.reason for event in downs[:2]] == ["refused", "HTTP 503"]
        assert all(event.retry_in_s is not None and 0 < event.retry_in_s <= 60 for event in downs)
        assert [event.epoch for event in downs] == [0, 0, 1]

    def test_steps_are_shown_while_it_connects(self) -> None:
        run = Connections(NetworkError("refused"))
        run.run()
        assert run.steps[:4] == ["resolve", "tcp", "tls", "upgrade"]

    def test_the_status_counts_failures_until_data_flows_and_bytes_over_all_connections(self) -> None:
        run = Connections(NetworkError("x"), NetworkError("x"), [(60, [quote()]), (61, LOST)], [(1, LOST)])
        seen: list[tuple[int, str, float | None]] = []
        run.on_dial = lambda: seen.append((run.status.attempts, run.status.state, run.status.retry_at))
        run.run()
        assert seen == [
            (0, "connecting", None), (1, "connecting", None), (2, "connecting", None), (1, "connecting", None),
            (2, "connecting", None),
        ]  # fmt: skip
        assert run.status.bytes_before + run.status.bytes_received == sum(wire.bytes_received for wire in run.wires)

    def test_a_reconnect_subscribes_to_everything_again(self) -> None:
        run = Connections([(60, [quote()]), (61, LOST)], [(1, LOST)], symbols=("EURUSD", "XAUUSD"))
        run.run()
        asked = [message["symbols"] for wire in run.wires for message in wire.sent if message["action"] == "subscribe"]
        assert asked == [["EURUSD", "XAUUSD"]] * 2

    def test_refused_symbols_are_never_asked_for_again_and_stay_in_the_status(self) -> None:
        def answer(message: dict[str, Any]) -> list[Item]:
            if message["action"] == "auth":
                return [authenticated(max_symbols=3)]
            return [subscribed(*(symbol for symbol in message["symbols"] if symbol != "NOSUCH"))]

        run = Connections(
            [(60, [quote()]), (61, LOST)], [(1, LOST)], symbols=("EURUSD", "NOSUCH", "XAUUSD", "FOURTH"), answer=answer
        )
        run.run()
        asked = [message["symbols"] for wire in run.wires for message in wire.sent if message["action"] == "subscribe"]
        assert asked == [["EURUSD", "NOSUCH", "XAUUSD"], ["EURUSD", "XAUUSD"]]
        assert set(run.status.refused) == {"NOSUCH", "FOURTH"}

    def test_every_interval_between_connections_is_a_gap(self) -> None:
        plan: list[Script] = [[(60, [quote()]), (65 + n, LOST)] for n in range(10)]
        run = Connections(*plan)
        run.session.run()
        stage = GapStage("tickatlas", {1: ("EURUSD",)}, run.clock.now_ns(), lambda *_: 0, 60)
        out: list[Event] = []
        while (batch := run.queue.get(0)) is not None:
            out += stage.process(batch).events
        out += stage.finish(run.clock.now_ns())
        received = [event.ts_recv for event in out if isinstance(event, Bar)]
        gaps = [(event.start, event.end) for event in out if isinstance(event, Gap)]
        assert len(received) == 10
        assert gaps[:-1] == list(pairwise(received))
        assert gaps[-1] == (received[-1], run.clock.now_ns())


class TestFatalErrors:
    def test_a_bad_key_is_sent_exactly_once(self) -> None:
        run = Connections([], [], answer=lambda _: [error("invalid_key"), Ended(1008)])
        run.run()
        assert isinstance(run.session.error, InvalidKey)
        assert run.auths == 1
        assert run.states == [("closed", 1)]
        assert run.dialled == [0]

    @pytest.mark.parametrize("fatal", [TlsError("bad certificate"), InvalidKey("HTTP 401"), SymbolRefused("none")])
    def test_what_no_retry_mends_ends_it_at_once(self, fatal: TickstreamError) -> None:
        run = Connections(fatal)
        (closed,) = run.run()
        assert run.session.error is fatal
        assert isinstance(closed, SessionEvent)
        assert (closed.state, closed.reason, closed.epoch) == ("closed", fatal.message, 0)
        assert (run.status.state, run.status.reason) == ("closed", fatal.message)

    def test_an_authentication_that_is_never_answered_is_tried_three_times(self) -> None:
        run = Connections([], [], [], [], answer=silent)
        run.run()
        assert isinstance(run.session.error, AuthTimeout)
        assert run.auths == 3

    def test_retries_end_with_the_last_error(self) -> None:
        run = Connections(*[NetworkError(f"refused {n}") for n in range(9)], retries=2)
        run.run()
        assert isinstance(run.session.error, NetworkError)
        assert run.session.error.message == "refused 2"
        assert len(run.dialled) == 3

    def test_too_many_requests_end_as_that(self) -> None:
        run = Connections(*[RateLimited("HTTP 429")] * 3, retries=1)
        run.run()
        assert isinstance(run.session.error, RateLimited)

    def test_a_connection_limit_is_held_out_and_then_ends_it(self) -> None:
        run = Connections(*[[]] * 5, answer=lambda _: [error("connection_limit"), Ended(1008)], hold_max_s=100)  # type: ignore[list-item]  # empty scripts
        run.run()
        assert isinstance(run.session.error, ConnectionLimit)
        assert [state for state, _ in run.states][:-1] == ["held"] * (len(run.states) - 1)
        assert len(run.dialled) == 3
        assert all(wire.closed == (1000, "") for wire in run.wires)

    def test_a_bug_is_not_swallowed(self) -> None:
        def broken(message: dict[str, Any]) -> list[Item]:
            raise ZeroDivisionError

        run = Connections([], answer=broken)
        with pytest.raises(ZeroDivisionError):
            run.run()


class TestStopping:
    def test_a_session_that_waits_is_woken_at_once(self) -> None:
        run = Connections(NetworkError("refused", retry_after_s=3000))
        waited = run.clock.wait

        def wait(event: threading.Event, seconds: float) -> bool:
            run.stop.set()
            return waited(event, seconds)

        run.clock.wait = wait  # type: ignore[method-assign]  # the moment in which somebody stops it
        run.run()
        assert run.states == [("down", 0), ("closed", 0)]
        assert run.clock.monotonic() == 1000
        assert run.session.error is None

    def test_before_it_began_it_ends_without_dialling(self) -> None:
        run = Connections([])
        run.stop.set()
        run.run()
        assert run.dialled == []
        assert run.states == [("closed", 0)]

    def test_an_error_while_stopping_is_none(self) -> None:
        run = Connections()
        run.run()
        assert run.session.error is None
        assert run.states == [("closed", 0)]

    def test_a_wake_reaches_the_wire_if_there_is_one(self) -> None:
        run = Connections([(60, LOST)])
        run.session.wake()
        run._plan.clear()
        wire = ScriptedWire(run.clock)
        wire.do(5, run.session.wake)
        wire.do(6, run.stop.set)
        run.session._context = msgspec.structs.replace(run.session._context, dial=lambda *_: wire)
        run.run()
        assert wire.woken
        assert wire.closed == (1000, "")


class TestASlowReader:
    def test_what_is_held_at_a_disconnect_is_handed_over_during_the_wait(self) -> None:
        """Else it would come an hour late, after a Retry-After of an hour."""
        queue = PatientQueue(max_bytes=400)
        run = Connections([(n, [quote()]) for n in range(1, 9)] + [(10, LOST)], queue=queue)
        out: list[Event] = []
        held: list[bool] = []
        waited = run.clock.wait

        def wait(event: threading.Event, seconds: float) -> bool:
            held.append(run.session._outbox.holding)
            if (batch := queue.get(0)) is not None:
                out.extend(batch.events)
            return waited(event, seconds)

        run.clock.wait = wait  # type: ignore[method-assign]  # the reader takes a batch now and then
        out += run.run()
        assert held[0]
        assert not held[-1], "all of it was handed over before the next attempt"
        assert max(run.clock.waits[: len(held) - 1]) <= 0.05
        kinds = [event.state if isinstance(event, SessionEvent) else type(event).__name__ for event in out]
        assert [kind for kind in kinds if kind != "Account"] == ["up", *["Bar"] * 8, "down", "closed"]

    def test_what_is_held_at_the_end_is_handed_over_before_it_ends(self) -> None:
        queue = BatchQueue(max_bytes=400)
        run = Connections([(n, [quote()]) for n in range(1, 20)] + [(21, LOST)], queue=queue)
        thread = threading.Thread(target=run.session.run)
        thread.start()
        out: list[Event] = []
        while thread.is_alive() or not queue.done:
            batch = queue.get(0.01)
            out += [] if batch is None else batch.events
            if not thread.is_alive():
                queue.close()
        thread.join(10)
        assert sum(isinstance(event, Bar) for event in out) == 19
        assert isinstance(out[-1], SessionEvent)
        assert out[-1].state == "closed"

    def test_an_abandoned_queue_holds_nobody_back(self) -> None:
        queue = BatchQueue(max_bytes=400)
        run = Connections([(n, [quote()]) for n in range(1, 20)] + [(21, LOST)], queue=queue)
        thread = threading.Thread(target=run.session.run)
        thread.start()
        run.stop.wait(10)
        lost = queue.abandon()
        thread.join(10)
        assert not thread.is_alive()
        assert lost + queue.abandon() == 19
