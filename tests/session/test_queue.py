"""The queue between the sessions and the output: bounded, counted, in order, and honest about what it dropped."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.pipeline.events import at, bar, gaps_in, notice, quote, session
from tickstream.events import Bar, Batch, Event, Gap, MarketEvent, Quarantined
from tickstream.session.queue import HOT_BYTES, TURN_S, BatchQueue, OnFull

POLICIES = (OnFull.DROP_OLDEST, OnFull.CONFLATE)


def data(minutes: float, *symbols: str, size: int = 10, number: int = 1) -> Batch:
    payloads = [f"{symbol}{minutes:g}".encode() for symbol in symbols]
    return Batch(number, 1, at(minutes), [bar(symbol, minutes) for symbol in symbols], payloads, size)


def said(minutes: float, event: Event, number: int = 1) -> Batch:
    return Batch(number, 1, at(minutes), [event])


def drain(queue: BatchQueue) -> list[Batch]:
    out = []
    while (batch := queue.get(0)) is not None:
        out.append(batch)
    return out


def events_of(batches: list[Batch]) -> list[Event]:
    return [event for batch in batches for event in batch.events]


def shown(batches: list[Batch]) -> list[str]:
    """A word for each event: symbol and minute of data, the name of others."""
    words = []
    for event in events_of(batches):
        if isinstance(event, MarketEvent):
            assert event.ts_event is not None
            words.append(f"{event.symbol}{(event.ts_event - at(0)) // 60_000_000_000}")
        else:
            words.append(type(event).__name__)
    return words


class TestBlock:
    def test_batches_come_out_in_the_order_they_went_in(self) -> None:
        queue = BatchQueue()
        for minute in range(3):
            assert queue.offer(data(minute, "A"))
        assert shown(drain(queue)) == ["A0", "A1", "A2"]
        assert queue.get(0) is None

    def test_what_does_not_fit_is_given_back(self) -> None:
        queue = BatchQueue(max_bytes=25)
        assert queue.offer(data(1, "A"))
        assert queue.offer(data(2, "A"))
        assert not queue.offer(data(3, "A"))
        queue.get(0)
        assert queue.offer(data(3, "A"))
        assert shown(drain(queue)) == ["A2", "A3"]
        assert queue.dropped == 0

    def test_a_batch_larger_than_the_queue_is_taken_when_nothing_waits(self) -> None:
        queue = BatchQueue(max_bytes=25)
        assert queue.offer(data(1, "A", size=1000))
        assert not queue.offer(data(2, "A"))
        queue.get(0)
        assert queue.offer(data(2, "A"))

    def test_stream_events_are_never_refused_and_cost_no_data(self) -> None:
        queue = BatchQueue(max_bytes=25)
        queue.offer(data(1, "A", size=1000))
        assert queue.offer(said(2, notice("stale", 2)))
        assert shown(drain(queue)) == ["A1", "Notice"]
        assert queue.dropped == 0


class TestDropOldest:
    def test_the_oldest_data_goes_and_a_gap_stands_in_its_place(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=30)
        queue.offer(data(0, "A"))
        queue.get(0)
        for minute in range(1, 6):
            assert queue.offer(data(minute, "A", "B"))
        out = drain(queue)
        assert shown(out) == ["Gap", "A3", "B3", "A4", "B4", "A5", "B5"]
        gap = out[0].events[0]
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.symbols, gap.missed) == ("dropped", ("A", "B"), 4)
        assert (gap.start, gap.end) == (at(0), at(3)), "from the last data handed out to the next"
        assert (gap.provider, gap.session, gap.epoch) == ("tickatlas", 1, 1)
        assert queue.dropped == 4

    def test_without_data_before_it_the_gap_begins_with_what_was_dropped(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=10)
        queue.offer(data(1, "A"))
        queue.offer(data(2, "A"))
        (gap,) = gaps_in(events_of(drain(queue)))
        assert (gap.start, gap.end) == (at(1), at(2))

    def test_stream_events_stay_in_their_place(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        queue.offer(Batch(1, 1, at(1), [session("up", 1), bar("A", 1)], [b"A1"], 10))
        queue.offer(said(2, notice("stale", 2)))
        for minute in range(3, 7):
            queue.offer(data(minute, "A"))
        out = drain(queue)
        assert shown(out) == ["SessionEvent", "Notice", "Gap", "A5", "A6"]
        (gap,) = gaps_in(events_of(out))
        assert (gap.start, gap.end, gap.missed) == (at(1), at(5), 3), "behind all that was dropped"

    def test_each_session_has_its_own_gap(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        queue.offer(data(1, "A"))
        queue.offer(data(2, "B", number=2))
        queue.offer(data(3, "A"))
        queue.offer(data(4, "B", number=2))
        gaps = gaps_in(events_of(drain(queue)))
        assert [(gap.session, gap.symbols, gap.missed) for gap in gaps] == [(1, ("A",), 1), (2, ("B",), 1)]

    def test_payloads_go_with_their_events(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        queue.offer(Batch(1, 1, at(1), [session("up", 1), bar("A", 1)], [b"A1"], 20))
        queue.offer(data(2, "A", size=20))
        assert [batch.payloads for batch in drain(queue)] == [[], [b"A2"]]

    def test_one_payload_for_several_events_goes_when_all_of_them_do(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        queue.offer(Batch(1, 1, at(1), [session("up", 1), bar("A", 1), bar("B", 1)], [b"AB"], 20))
        queue.offer(data(2, "A", size=20))
        assert [batch.payloads for batch in drain(queue)] == [[], [b"A2"]]

    def test_messages_set_aside_take_no_room_for_ever(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        bad = data(1, size=20)
        bad.events, bad.quarantined = [notice("bad_message", 1)], [Quarantined(b"x" * 4096, "odd")]
        queue.offer(bad)
        queue.offer(data(2, "A", size=20))
        assert [len(batch.quarantined) for batch in drain(queue)] == [0, 0]

    def test_a_batch_without_events_leaves_no_trace(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=20)
        queue.offer(data(1, size=20))
        queue.offer(data(2, "A", size=20))
        assert shown(drain(queue)) == ["A2"]

    def test_a_clock_set_back_makes_no_gap_that_ends_before_it_begins(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=10)
        queue.offer(data(9, "A"))
        queue.offer(data(2, "A"))
        (gap,) = gaps_in(events_of(drain(queue)))
        assert (gap.start, gap.end) == (at(9), at(9))


class TestConflate:
    def test_the_latest_of_each_symbol_and_kind_stays(self) -> None:
        queue = BatchQueue(OnFull.CONFLATE, max_bytes=1100)
        first = data(1, "A", "B", size=400)
        first.events.append(quote("A", 1))
        first.payloads.append(b"quote")
        queue.offer(first)
        queue.offer(data(2, "A", "C", size=400))
        queue.offer(data(3, "A", size=400))
        out = drain(queue)
        assert shown(out) == ["Gap", "B1", "A1", "A2", "C2", "A3"]
        (gap,) = gaps_in(events_of(out))
        assert (gap.reason, gap.symbols, gap.missed) == ("conflated", ("A",), 1)
        assert (gap.start, gap.end) == (at(1), at(1))
        assert [batch.payloads for batch in out] == [[b"B1", b"quote"], [b"A2", b"C2"], [b"A3"]]
        assert queue.dropped == 1

    def test_a_symbol_that_two_providers_have_is_two(self) -> None:
        queue = BatchQueue(OnFull.CONFLATE, max_bytes=1100)
        for minute in (1, 2):
            queue.offer(data(minute, "A", size=400))
            other = data(minute, "A", size=400, number=2)
            other.events = [structs.replace(bar("A", minute), provider="fcs")]
            queue.offer(other)
        last = {(e.provider, e.ts_event) for e in events_of(drain(queue)) if isinstance(e, MarketEvent)}
        assert {("tickatlas", at(2)), ("fcs", at(2))} <= last
        assert queue.dropped == 4 - len(last)

    def test_the_gap_stands_before_what_is_left_of_a_symbol(self) -> None:
        queue = BatchQueue(OnFull.CONFLATE, max_bytes=500)
        queue.offer(data(0, "A", "B"))
        queue.get(0)
        queue.offer(data(1, "A", "A", "B"))
        queue.offer(data(2, "A", "A", size=600))
        queue.offer(data(3, "B", size=600))
        queue.offer(data(4, "A", size=600))
        out = drain(queue)
        assert shown(out) == ["Gap", "A2", "B3", "A4"]
        (gap,) = gaps_in(events_of(out))
        assert (gap.symbols, gap.missed, gap.start, gap.end) == (("A", "B"), 4, at(0), at(2))

    def test_it_is_bounded_by_the_symbols_however_long_nobody_reads(self) -> None:
        queue = BatchQueue(OnFull.CONFLATE, max_bytes=5000)
        for minute in range(2000):
            queue.offer(data(minute, "A", "B", "C", size=600))
        out = drain(queue)
        assert len(events_of(out)) < 40
        assert shown(out)[-3:] == ["A1999", "B1999", "C1999"]
        assert queue.dropped + sum(isinstance(e, MarketEvent) for e in events_of(out)) == 6000

    def test_one_payload_for_several_events_stays_while_one_of_them_does(self) -> None:
        queue = BatchQueue(OnFull.CONFLATE, max_bytes=500)
        queue.offer(Batch(1, 1, at(1), [bar("A", 1), bar("B", 1)], [b"AB"], 400))
        queue.offer(Batch(1, 1, at(2), [bar("A", 2), bar("A", 2)], [b"AA"], 400))
        queue.offer(data(3, "A", "B", size=400))
        queue.offer(data(4, "A", "B", size=400))
        out = drain(queue)
        assert queue.dropped + sum(isinstance(e, MarketEvent) for e in events_of(out)) == 8
        assert out[0].payloads == [b"A3", b"B3"], "what lost all its events lost its payload"


def assert_gaps_stand_where_data_is_missing(offered: list[Bar], events: list[Event]) -> None:
    """Before each bar of a symbol that does not follow the last one shown stands a gap that names it."""
    for symbol in {event.symbol for event in offered}:
        theirs = [event for event in offered if event.symbol == symbol]
        expected = 0
        for event in events:
            if isinstance(event, Gap) and symbol in event.symbols:
                expected = len(theirs)
            elif isinstance(event, Bar) and event.symbol == symbol:
                position = next(n for n, one in enumerate(theirs) if one is event)
                assert position <= expected, "something is missing, and no gap says so before the next of it"
                expected = position + 1


@settings(deadline=None)
@given(
    st.sampled_from(POLICIES),
    st.integers(1, 3000),
    st.lists(
        st.tuples(st.text("AB", max_size=4), st.integers(1, 2), st.integers(0, 900), st.booleans(), st.booleans()),
        max_size=40,
    ),
)
def test_what_is_seen_and_what_is_dropped_is_what_was_offered(
    policy: OnFull, max_bytes: int, steps: list[tuple[str, int, int, bool, bool]]
) -> None:
    """For each session: every event is handed out or in a gap, in order, and stream events are never dropped."""
    queue = BatchQueue(policy, max_bytes)
    offered: dict[int, list[Bar]] = {1: [], 2: []}
    talk = 0
    out: list[Batch] = []
    for minute, (symbols, number, size, takes, speaks) in enumerate(steps):
        batch = data(minute, *symbols, size=size, number=number)
        offered[number] += [event for event in batch.events if isinstance(event, Bar)]
        assert queue.offer(batch)
        if speaks:
            queue.offer(said(minute, notice("stale", minute), number))
            talk += 1
        if takes and (taken := queue.get(0)) is not None:
            out.append(taken)
    for number in offered:
        queue.offer(said(len(steps), session("closed", len(steps)), number))
    out += drain(queue)
    assert all(len(batch.payloads) == sum(isinstance(e, MarketEvent) for e in batch.events) for batch in out)
    assert queue._bytes == 0
    for number, bars in offered.items():
        events = events_of([batch for batch in out if batch.session == number])
        seen = [event for event in events if isinstance(event, Bar)]
        gaps = gaps_in(events)
        assert len(seen) + sum(gap.missed or 0 for gap in gaps) == len(bars)
        handed_out = {id(event) for event in seen}
        assert [id(event) for event in bars if id(event) in handed_out] == [id(event) for event in seen]
        assert_gaps_stand_where_data_is_missing(bars, events)
        for lost in (event for event in bars if id(event) not in handed_out):
            assert any(g.start <= (lost.ts_event or 0) <= g.end and lost.symbol in g.symbols for g in gaps)
    assert queue.dropped == sum(gap.missed or 0 for gap in gaps_in(events_of(out)))
    assert sum(not isinstance(event, MarketEvent | Gap) for event in events_of(out)) == talk + 2


class TestAge:
    def test_what_waits_for_minutes_gives_way_to_the_newest_when_the_oldest_is_to_go(self) -> None:
        queue = BatchQueue(OnFull.DROP_OLDEST, max_bytes=10**6)
        for minute in (0, 1, 5, 6):
            queue.offer(data(minute, "A"))
        out = drain(queue)
        assert shown(out) == ["Gap", "A1", "A5", "A6"]
        (gap,) = gaps_in(events_of(out))
        assert (gap.reason, gap.missed) == ("dropped", 1)

    @pytest.mark.parametrize("policy", [OnFull.BLOCK, OnFull.CONFLATE])
    def test_otherwise_nothing_goes_for_its_age(self, policy: OnFull) -> None:
        queue = BatchQueue(policy, max_bytes=10**6)
        queue.offer(data(0, "A"))
        queue.offer(data(600, "A"))
        assert shown(drain(queue)) == ["A0", "A600"]


class TestTurns:
    def test_a_session_lets_a_prompt_reader_have_its_turn(self) -> None:
        queue = BatchQueue(max_bytes=10**9)
        got: list[Batch | None] = []
        reader = threading.Thread(target=lambda: got.append(queue.get(10)))
        queue.offer(data(0, "A", size=HOT_BYTES))
        reader.start()
        queue.offer(data(1, "A", size=HOT_BYTES))  # comes back when the first is taken, or after 2 ms
        reader.join(10)
        assert shown([batch for batch in got if batch]) == ["A0"]

    def test_it_waits_once_for_one_that_does_not_come(self) -> None:
        queue = BatchQueue(max_bytes=10**9)
        begun = time.monotonic()
        for minute in range(5000):
            queue.offer(data(minute, "A", size=HOT_BYTES))
        assert time.monotonic() - begun < 5000 * TURN_S / 2
