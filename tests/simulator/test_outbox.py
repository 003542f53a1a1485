"""Bytes on their way to a client, and which pushes are among them."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.candles import candle
from tickstream.session.frames import FrameReader
from tickstream.simulator.outbox import FULL, Outbox
from tickstream.simulator.outgoing import Delivery, Flood, Message, Push, Raw
from tickstream.simulator.tickatlas import push


def delivery(*symbols: str) -> Delivery:
    pushes = [push(candle(symbol)) for symbol in symbols]
    return Delivery(pushes, b"".join(one.frame for one in pushes))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.integers(1, 400))
def test_a_push_is_recorded_when_its_last_byte_is_taken_and_not_before(kinds: list[int], step: int) -> None:
    recorded: list[Push] = []
    outbox = Outbox(recorded.extend)
    pushes: list[tuple[int, Push]] = []
    total = 0
    for kind in kinds:
        item = Raw(b"x" * 37) if kind == 0 else delivery(*["EURUSD", "XAUUSD", "GBPUSD", "USDJPY"][:kind])
        if isinstance(item, Delivery):
            pushes += zip((total + end for end in item.ends()), item.pushes, strict=True)
        total += len(item.data)
        outbox.put(item)
    taken = 0
    while head := outbox.head():
        count = min(step, len(head))
        outbox.advance(count)
        taken += count
        assert recorded == [one for end, one in pushes if end <= taken]
        assert outbox.size == total - taken
    assert taken == total


def test_messages_are_framed() -> None:
    outbox = Outbox()
    outbox.put(Message(b"{}"))
    outbox.put(Raw(b"\x89\x00"))
    batch = FrameReader().feed(bytes(outbox.head()))
    assert (batch.payloads, len(batch.controls)) == ([b"{}"], 1)


def test_many_items_make_one_send_up_to_a_boxful() -> None:
    outbox = Outbox()
    for _ in range(6):
        outbox.put(Raw(b"x" * (FULL // 4)))
    assert outbox.full
    assert len(outbox.head()) == FULL
    outbox.advance(FULL)
    assert len(outbox.head()) == FULL // 2
    assert not outbox.full


def test_so_much_that_nobody_should_listen_any_more() -> None:
    outbox = Outbox()
    outbox.put(Raw(b"x" * (4 * FULL)))
    assert outbox.choked


def test_a_flood_never_ends_and_keeps_the_box_full() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"abc"

    outbox = Outbox()
    outbox.put(Raw(b"first"))
    outbox.put(Flood(endless()))
    outbox.put(Raw(b"never"))
    data = b""
    for _ in range(3):
        head = bytes(outbox.head())
        data += head
        outbox.advance(len(head))
        assert outbox.full
    assert data.startswith(b"firstabcabc")
    assert b"never" not in data


def test_what_waits_can_be_discarded_but_not_what_is_half_sent() -> None:
    recorded: list[Push] = []
    outbox = Outbox(recorded.extend)
    outbox.put(Raw(b"half sent"))
    outbox.head()
    outbox.advance(4)
    outbox.put(delivery("EURUSD"))
    outbox.discard()
    assert bytes(outbox.head()) == b" sent"
    outbox.advance(5)
    assert outbox.size == 0
    assert not outbox.head()
    assert recorded == []
