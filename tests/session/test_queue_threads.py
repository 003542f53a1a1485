"""The queue between threads: who waits is woken, by a batch, by room, by the end, or by a signal handler."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

import pytest

from tests.pipeline.events import at, notice
from tests.session.test_queue import data, drain, said, shown
from tickstream.events import Batch
from tickstream.session.queue import BatchQueue, OnFull


def elapsed(wait: Any) -> float:
    began = time.monotonic()
    wait()
    return time.monotonic() - began


class TestWaiting:
    def test_get_waits_for_a_batch(self) -> None:
        queue = BatchQueue()
        timer = threading.Timer(0.05, queue.offer, [data(1, "A")])
        timer.start()
        assert queue.get(10) is not None
        timer.join()

    def test_get_waits_no_longer_than_told(self) -> None:
        assert elapsed(lambda: BatchQueue().get(0.05)) < 2

    def test_a_wake_ends_one_wait(self) -> None:
        queue = BatchQueue()
        queue.wake()
        assert elapsed(lambda: queue.get(30)) < 5
        assert elapsed(lambda: queue.get(0.05)) >= 0.04

    def test_a_signal_handler_may_wake_the_thread_that_waits(self) -> None:
        queue = BatchQueue()
        before = signal.signal(signal.SIGALRM, lambda *_: queue.wake())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            assert elapsed(lambda: queue.get(30)) < 5
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_a_signal_in_the_middle_of_anything_does_no_harm(self) -> None:
        """The handler runs between any two instructions of the thread that owns the lock."""
        queue = BatchQueue(max_bytes=1000)
        before = signal.signal(signal.SIGALRM, lambda *_: queue.wake())
        offered = 3000

        def offer() -> None:
            for minute in range(offered):
                while not queue.offer(data(minute, "A")):
                    queue.wait_for_space(0.01)
            queue.close()

        thread = threading.Thread(target=offer)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            thread.start()
            seen = 0
            deadline = time.monotonic() + 30
            while not queue.done and time.monotonic() < deadline:
                seen += queue.get(0.1) is not None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            thread.join(10)
        assert seen == offered

    def test_room_is_waited_for_until_something_is_taken(self) -> None:
        queue = BatchQueue(max_bytes=10)
        queue.offer(data(1, "A"))
        timer = threading.Timer(0.05, queue.get, [0])
        timer.start()
        assert elapsed(lambda: queue.wait_for_space(30)) < 10
        timer.join()
        assert elapsed(lambda: queue.wait_for_space(30)) < 5, "an empty queue has room"

    def test_many_sessions_and_one_reader_lose_and_reorder_nothing(self) -> None:
        queue = BatchQueue(max_bytes=200)

        def session_of(number: int) -> None:
            for minute in range(300):
                while not queue.offer(data(minute, "A", number=number)):
                    queue.wait_for_space(0.05)

        threads = [threading.Thread(target=session_of, args=(number,)) for number in (1, 2, 3)]
        for thread in threads:
            thread.start()
        out: list[Batch] = []
        deadline = time.monotonic() + 30
        while len(out) < 900 and time.monotonic() < deadline:
            batch = queue.get(0.1)
            out += [] if batch is None else [batch]
        for thread in threads:
            thread.join(10)
        for number in (1, 2, 3):
            assert [b.ts_recv for b in out if b.session == number] == [at(minute) for minute in range(300)]


class TestTheEnd:
    def test_it_is_done_when_closed_and_empty(self) -> None:
        queue = BatchQueue()
        queue.offer(data(1, "A"))
        assert not queue.done
        queue.close()
        assert not queue.done
        assert shown(drain(queue)) == ["A1"]
        assert queue.done
        assert elapsed(lambda: queue.get(30)) < 5

    def test_closing_wakes_whoever_waits(self) -> None:
        queue = BatchQueue()
        timer = threading.Timer(0.05, queue.close)
        timer.start()
        assert elapsed(lambda: queue.get(30)) < 10
        timer.join()

    def test_abandoned_it_takes_everything_and_blocks_nobody(self) -> None:
        queue = BatchQueue(max_bytes=10)
        queue.offer(data(1, "A", "B"))
        queue.offer(said(1, notice("stale", 1)))
        waiting = threading.Thread(target=queue.wait_for_space, args=(30,))
        waiting.start()
        assert queue.abandon() == 2
        waiting.join(10)
        assert not waiting.is_alive()
        for minute in range(100):
            assert queue.offer(data(minute, "A"))
        assert queue.abandon() == 100, "what came since is counted by the next call"

    @pytest.mark.parametrize("policy", list(OnFull))
    def test_abandoning_an_empty_one_loses_nothing(self, policy: OnFull) -> None:
        queue = BatchQueue(policy)
        assert queue.abandon() == 0
        assert queue.dropped == 0
