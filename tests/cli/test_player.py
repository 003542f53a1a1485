"""A capture played: when each event comes, at which speed, and what wakes or ends it. On a fake clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.capture.planned import WALL, bar
from tickstream.capture.chunks import BadLine
from tickstream.capture.playback import Stretch
from tickstream.cli.player import AT_ONCE, LOOK_S, SAID, Pace, Player, ReplayClock
from tickstream.clock import FakeClock
from tickstream.errors import InputError
from tickstream.events import Batch, Event, Gap, MarketEvent, Notice
from tickstream.timestamps import NS_PER_SECOND, Timestamp


def moment(second: float) -> int:
    return WALL + round(second * NS_PER_SECOND)


def stretch(*seconds: float, bad: Sequence[BadLine] = ()) -> Stretch:
    return Stretch([bar("EURUSD", WALL, moment(at)) for at in seconds], [moment(at) for at in seconds], bad)


def lines(count: int) -> list[BadLine]:
    return [BadLine("x.jsonl", number, "nonsense") for number in range(1, count + 1)]


class Played:
    """A player, and when each of its events came: seconds since the first `get`."""

    def __init__(
        self, *stretches: Stretch, speed: float = 1.0, longest: float | None = None, ends: Exception | None = None
    ) -> None:
        self.clock = FakeClock()
        self.player = Player(self._all(stretches, ends), self.clock, Pace(speed, longest), "tickatlas")
        self.began = self.clock.monotonic()

    def _all(self, stretches: Sequence[Stretch], ends: Exception | None) -> Iterator[Stretch]:
        yield from stretches
        if ends is not None:
            raise ends

    def to_the_end(self, each: Callable[[Batch], None] = lambda _: None) -> list[tuple[float, float]]:
        """(when it came, when it happened), in seconds."""
        found = []
        while not self.player.done:
            batch = self.player.get(0.1)
            if batch is not None:
                at = round(self.clock.monotonic() - self.began, 3)
                found += [
                    (at, (one.ts_recv - WALL) / NS_PER_SECOND) for one in batch.events if isinstance(one, MarketEvent)
                ]
                each(batch)
        return found

    def events(self) -> list[Event]:
        found: list[Event] = []
        self.to_the_end(lambda batch: found.extend(batch.events))
        return found


def near(found: list[tuple[float, float]], *expected: tuple[float, float]) -> bool:
    return len(found) == len(expected) and all(
        abs(came - wanted) <= LOOK_S and at == pytest.approx(happened)
        for (came, at), (wanted, happened) in zip(found, expected, strict=True)
    )


def test_events_come_at_the_pace_at_which_they_came() -> None:
    assert near(Played(stretch(10, 11, 13), stretch(13.5)).to_the_end(), (0, 10), (1, 11), (3, 13), (3.5, 13.5))


def test_at_another_speed_they_come_in_that_part_of_the_time() -> None:
    assert near(Played(stretch(0, 60, 180), speed=60).to_the_end(), (0, 0), (1, 60), (3, 180))
    assert near(Played(stretch(0, 1), speed=0.5).to_the_end(), (0, 0), (2, 1))


def test_at_the_greatest_speed_nothing_is_waited_for() -> None:
    assert near(Played(stretch(0, 3600), stretch(1e6), speed=math.inf).to_the_end(), (0, 0), (0, 3600), (0, 1e6))


def test_what_came_together_is_one_batch_and_what_is_too_much_at_once_is_several() -> None:
    batches: list[Batch] = []
    Played(stretch(0), stretch(0, 0, 1, 1)).to_the_end(batches.append)
    assert [len(batch.events) for batch in batches] == [3, 2]
    assert [batch.ts_recv for batch in batches] == [moment(0), moment(1)]
    assert all(batch.market_only for batch in batches)
    batches.clear()
    Played(stretch(*[0] * (AT_ONCE + 5)), stretch(0), speed=math.inf).to_the_end(batches.append)
    assert [len(batch.events) for batch in batches] == [AT_ONCE, 6]


def test_long_silences_can_be_cut_short() -> None:
    found = Played(stretch(0, 1, 3600, 3601), stretch(9000), longest=5).to_the_end()
    assert near(found, (0, 0), (1, 1), (6, 3600), (7, 3601), (12, 9000))


def test_after_a_slow_output_what_is_due_comes_at_once_and_no_time_is_lost() -> None:
    played = Played(stretch(0, 1, 2, 3, 10))
    slow: list[float] = [2.5]

    def output(_batch: Batch) -> None:
        if slow:
            played.clock.advance(slow.pop())

    assert near(played.to_the_end(output), (0, 0), (2.5, 1), (2.5, 2), (3, 3), (10, 10))


def test_a_get_returns_after_the_time_it_was_given() -> None:
    played = Played(stretch(0, 100))
    assert played.player.get(0.1) is not None
    before = played.clock.monotonic()
    assert played.player.get(0.1) is None
    assert played.clock.monotonic() - before == pytest.approx(0.1)
    assert not played.player.done


class Waker(FakeClock):
    """Somebody wakes the player while it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.wakes: Callable[[], None] = lambda: None

    def wait(self, event: object, seconds: float) -> bool:
        self.wakes()
        return super().wait(event, seconds)  # type: ignore[arg-type]  # an Event


def test_a_wake_is_noticed_at_once() -> None:
    clock = Waker()
    player = Player(iter([stretch(0, 100)]), clock, Pace(), "tickatlas")
    player.start()
    player.get(1)
    clock.wakes = player.wake
    before = clock.monotonic()
    assert player.get(50) is None
    assert clock.monotonic() - before <= LOOK_S


def test_a_stop_ends_it_and_loses_nothing() -> None:
    played = Played(stretch(0, 1, 2))
    played.player.get(0.1)
    played.player.stop()
    assert played.player.done
    assert played.player.get(0.1) is None
    assert (played.player.discard(), played.player.dropped, played.player.paused) == (0, 0, False)


def test_an_empty_capture_is_done_at_once() -> None:
    played = Played()
    assert played.player.done
    assert played.player.get(0.1) is None
    assert played.player.error is None


def test_a_file_that_cannot_be_read_ends_it_with_its_error_behind_what_came_before() -> None:
    played = Played(stretch(0, 1), ends=InputError("Cannot read it."), speed=math.inf)
    assert len(played.to_the_end()) == 2
    assert isinstance(played.player.error, InputError)


def test_gaps_are_in_the_batch_in_front_of_the_data() -> None:
    gap = Gap("tickatlas", ("EURUSD",), "disconnect", Timestamp(moment(0)), Timestamp(moment(5)))
    data = bar("EURUSD", WALL, moment(5))
    batches: list[Batch] = []
    Played(Stretch([gap, data], [moment(5)] * 2), speed=math.inf).to_the_end(batches.append)
    [batch] = batches
    assert (batch.events, batch.market_only) == ([gap, data], False)


def test_bad_lines_are_told_the_first_ones_by_name() -> None:
    events = Played(stretch(0), stretch(bad=lines(SAID + 7)), stretch(1)).events()
    notices = [one for one in events if isinstance(one, Notice)]
    assert notices[0].message == "x.jsonl:1: nonsense"
    assert {(one.code, one.provider) for one in notices} == {("bad_line", "tickatlas")}
    assert len(notices) == SAID + 1
    assert notices[-1].message == "7 more lines that cannot be used"
    assert sum(isinstance(one, MarketEvent) for one in events) == 2


def test_a_file_of_bad_lines_only_is_told_too() -> None:
    events = Played(stretch(bad=lines(2))).events()
    assert [one.message for one in events if isinstance(one, Notice)] == ["x.jsonl:1: nonsense", "x.jsonl:2: nonsense"]


# --- the time of the capture ------------------------------------------------------------------------------------------


def test_the_clock_of_the_capture_goes_as_fast_as_it_is_played_and_never_past_what_comes_next() -> None:
    played = Played(stretch(0, 60, 300), speed=60)
    clock = ReplayClock(played.clock, played.player)
    assert clock.now_ns() == moment(0)
    played.player.get(0.1)
    played.clock.advance(0.5)
    assert clock.now_ns() == moment(30)
    played.clock.advance(2)
    assert clock.now_ns() == moment(60)
    assert clock.monotonic() == played.clock.monotonic()
    assert clock.boottime() == played.clock.boottime()


def test_at_the_greatest_speed_it_is_the_time_of_the_last_event() -> None:
    played = Played(stretch(0, 60), speed=math.inf)
    clock = ReplayClock(played.clock, played.player)
    played.player.get(0.1)
    assert clock.now_ns() == moment(60)


def test_at_the_end_it_stands_still_and_of_nothing_it_is_ours() -> None:
    played = Played(stretch(0, 1))
    played.to_the_end()
    played.clock.advance(100)
    assert ReplayClock(played.clock, played.player).now_ns() == moment(1)
    nothing = Played()
    assert ReplayClock(nothing.clock, nothing.player).now_ns() == nothing.clock.now_ns()
