"""A slow reader: batches wait in order, reading goes on while there is room, and pings are answered for as long."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.pipeline.events import bar, notice
from tests.pipeline.events import batch as made
from tests.providers.conversation import quote
from tests.session.script import Line, Pinged
from tickstream.events import Bar, Batch, Notice
from tickstream.session.outbox import Outbox
from tickstream.session.queue import BatchQueue, OnFull

HEARTBEAT = {"type": "heartbeat"}


def sized(name: str, size: int) -> Batch:
    batch = made(1, bar(name, 1))
    batch.size = size
    return batch


def names(queue: BatchQueue) -> list[str]:
    out = []
    while (batch := queue.get(0)) is not None:
        out += [event.symbol for event in batch.events if isinstance(event, Bar)]
    return out


class TestHolding:
    def test_with_room_in_the_queue_nothing_is_held(self) -> None:
        queue = BatchQueue(max_bytes=10)
        outbox = Outbox(queue)
        outbox.put(sized("A", 10))
        assert not outbox.holding
        assert names(queue) == ["A"]

    def test_what_does_not_fit_waits_its_turn(self) -> None:
        queue = BatchQueue(max_bytes=10)
        outbox = Outbox(queue, reserve=20)
        for name in "ABCD":
            outbox.put(sized(name, 10))
        assert outbox.holding
        assert outbox.full
        taken: list[str] = []
        while outbox.holding:
            taken += names(queue)
            outbox.flush()
        assert taken + names(queue) == ["A", "B", "C", "D"]
        assert not outbox.full

    def test_a_stream_event_does_not_overtake_the_data_before_it(self) -> None:
        queue = BatchQueue(max_bytes=10)
        outbox = Outbox(queue)
        outbox.put(sized("A", 10))
        outbox.put(sized("B", 10))
        outbox.put(made(1, notice("stale", 1)))
        first = queue.get(0)
        outbox.flush()
        rest = [queue.get(0), queue.get(0)]
        assert [type(batch.events[0]) for batch in (first, *rest) if batch] == [Bar, Bar, Notice]

    def test_the_reserve_is_a_bound_in_bytes(self) -> None:
        outbox = Outbox(BatchQueue(max_bytes=1), reserve=100)
        outbox.put(sized("A", 1))
        outbox.put(sized("B", 100))
        assert not outbox.full
        outbox.put(sized("C", 1))
        assert outbox.full

    def test_waiting_uses_the_room_there_is(self) -> None:
        queue = BatchQueue(max_bytes=10)
        outbox = Outbox(queue)
        outbox.put(sized("A", 10))
        outbox.put(sized("B", 10))
        assert names(queue) == ["A"]
        outbox.wait(5)
        assert names(queue) == ["B"]


class TestAConnectionWithASlowReader:
    def line(self, **options: int) -> Line:
        """A queue and a reserve for a handful of quotes, and nobody who takes them."""
        size = len(quote()) + 2
        return Line(max_bytes=options.get("queue", 4) * size + 2, reserve=options.get("reserve", 3) * size)

    def flood(self, line: Line, count: int) -> list[bytes]:
        sent = [quote(close=f"1.{n:05d}") for n in range(1, count + 1)]
        for number, payload in enumerate(sent):
            line.at(10 + number, payload, Pinged(b"%d" % number))
        return sent

    def test_it_reads_on_and_answers_pings_within_its_reserve_and_then_stops_reading(self) -> None:
        line = self.line()
        self.flood(line, 20)
        seen: list[bool] = []
        line.wire.do(12, lambda: seen.append(line.status.blocked))
        line.wire.do(15.5, lambda: seen.append(line.status.blocked))
        line.wire.do(40, line.stop.set)
        line.connection.run()
        answered = [payload for _, payload in line.wire.answered if payload]
        assert answered == [b"%d" % number for number in range(len(answered))]
        assert 4 < len(answered) <= 4 + 3 + 1, "the queue, the reserve, and the one that goes beyond it"
        assert seen == [False, True]
        assert line.outbox.full

    def test_nothing_is_lost_when_the_reader_comes_back(self) -> None:
        line = self.line()
        sent = self.flood(line, 20)
        for moment in range(40, 100, 3):
            line.wire.do(moment, line.take)
        assert line.run(until=100) is None
        assert [payload for batch in line.batches for payload in batch.payloads] == sent
        assert not line.status.blocked

    def test_while_it_does_not_read_the_server_hears_a_pong_every_20_seconds(self) -> None:
        line = self.line()
        self.flood(line, 20)
        line.wire.do(300, line.stop.set)
        line.connection.run()
        unasked = [moment for moment, payload in line.wire.answered if payload == b""]
        assert len(unasked) == 14
        assert max(later - earlier for earlier, later in pairwise(unasked)) == pytest.approx(20, abs=0.1)

    def test_silence_is_our_own_while_it_does_not_read(self) -> None:
        """Neither missed heartbeats, nor pongs, nor data count: they may be waiting in the socket."""
        line = self.line()
        sent = self.flood(line, 20)
        line.wire.do(1000, line.take)
        for moment in range(1001, 1040):
            line.wire.do(moment, line.take)
        assert line.run(until=1040) is None
        assert [payload for batch in line.batches for payload in batch.payloads] == sent
        assert [event.code for event in line.events if isinstance(event, Notice)] == []

    def test_an_answer_that_waits_in_the_socket_is_not_overdue(self) -> None:
        """After a reconnect the queue may still be full of what came before."""
        line = self.line()
        for name in "ABCDEFGHIJ":
            line.outbox.put(sized(name, len(quote())))
        assert line.outbox.full
        line.wire.do(60, line.take)
        assert line.run(until=65) is None
        assert line.connection.live

    def test_under_drop_oldest_it_never_stops_reading(self) -> None:
        line = Line(max_bytes=4 * len(quote()), on_full=OnFull.DROP_OLDEST)
        self.flood(line, 50)
        line.run(until=70)
        assert len(line.wire.answered) == 50
        assert not line.outbox.holding
        kept = [event for event in line.events if isinstance(event, Bar)]
        assert len(kept) + line.queue.dropped == 50
        assert bytes(kept[-1].close) == b"1.00050"
