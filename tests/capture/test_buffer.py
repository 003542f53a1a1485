"""The buffer between receiving and writing: bounded, grouped, and never slow to end."""

from __future__ import annotations

import threading
import time

import pytest

from tests.capture import storing
from tickstream.capture import buffer as buffer_module
from tickstream.capture.buffer import GROUP_BYTES, Buffer, Work
from tickstream.capture.manifest import Tally
from tickstream.capture.template import FileKey

A, B = FileKey("a", None), FileKey("b", None)


def put(buffer: Buffer, key: FileKey, data: bytes, slice_s: float = 0.0) -> bool:
    return buffer.put(key, data, Tally(), slice_s)


def test_units_come_out_by_file_in_the_order_they_went_in() -> None:
    buffer = Buffer(1000)
    for key, data in ((A, b"1"), (B, b"2"), (A, b"3")):
        assert put(buffer, key, data)
    work = buffer.take(0)
    assert {key.file: [unit.data for unit in units] for key, units in work.units.items()} == {
        "a": [b"1", b"3"], "b": [b"2"],
    }  # fmt: skip
    assert (work.size, work.notes) == (3, [])
    assert buffer.take(0).units == {}


def test_what_was_taken_needs_room_until_it_is_written() -> None:
    buffer = Buffer(10)
    assert put(buffer, A, b"x" * 8)
    work = buffer.take(0)
    assert buffer.held == 8
    assert not put(buffer, A, b"yyy")
    buffer.written(work.size)
    assert put(buffer, A, b"yyy")
    assert buffer.held == 3


def test_one_unit_may_be_larger_than_the_buffer() -> None:
    buffer = Buffer(10)
    assert put(buffer, A, b"x" * 100)
    assert not put(buffer, A, b"y")


def test_whoever_waits_for_room_gets_it_as_soon_as_there_is_some() -> None:
    buffer = Buffer(10)
    put(buffer, A, b"x" * 10)
    got = threading.Event()
    waiter = threading.Thread(target=lambda: put(buffer, A, b"y", storing.DEADLINE_S) and got.set())
    waiter.start()
    buffer.written(buffer.take(0).size)
    assert got.wait(storing.DEADLINE_S)
    waiter.join()


def test_small_batches_are_gathered_for_a_moment_and_large_ones_are_not() -> None:
    buffer = Buffer(10 * GROUP_BYTES)
    put(buffer, A, b"x")
    late = threading.Thread(target=lambda: put(buffer, A, b"y"))
    late.start()
    assert buffer.take(storing.DEADLINE_S).size in (1, 2)
    late.join()
    buffer.take(0)
    put(buffer, A, bytes(GROUP_BYTES))
    begun = time.monotonic()
    assert buffer.take(storing.DEADLINE_S).size == GROUP_BYTES
    assert time.monotonic() - begun < 5


def test_what_comes_after_a_pause_is_not_waited_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_module, "LINGER_S", 0.1)
    buffer = Buffer(10)
    work: list[Work] = []
    taker = threading.Thread(target=lambda: work.append(buffer.take(storing.DEADLINE_S)))
    taker.start()
    time.sleep(0.3)  # the pause is the test's subject
    monkeypatch.setattr(buffer_module, "LINGER_S", storing.DEADLINE_S)
    put(buffer, A, b"x")
    taker.join(storing.DEADLINE_S / 2)
    assert [one.size for one in work] == [1]


def test_a_note_and_a_nudge_are_not_waited_with() -> None:
    buffer = Buffer(10)
    buffer.note(b"n\n")
    assert buffer.take(storing.DEADLINE_S).notes == [b"n\n"]
    buffer.nudge()
    assert buffer.take(storing.DEADLINE_S).size == 0


def test_after_its_end_nothing_is_waited_for() -> None:
    buffer = Buffer(10)
    taken = threading.Event()
    taker = threading.Thread(target=lambda: (buffer.take(storing.DEADLINE_S), taken.set()))
    taker.start()
    buffer.stop()
    assert taken.wait(storing.DEADLINE_S)
    taker.join()
    assert buffer.stopped
    put(buffer, A, b"x")
    assert buffer.take(storing.DEADLINE_S).size == 1
    assert buffer.take(storing.DEADLINE_S).size == 0
