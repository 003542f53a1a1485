"""What is missing between numbers that count up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickstream.continuity import Continuity
from tickstream.events import Gap
from tickstream.timestamps import Timestamp

NOON = Timestamp(1_782_302_400 * 10**9)


def at(seconds: int) -> Timestamp:
    return Timestamp(NOON + seconds * 10**9)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_the_gaps_together_miss_what_never_came_after_the_first(numbers: list[int]) -> None:
    follow = Continuity("somebody")
    gaps = [follow.follow("X", number, number, at(count)) for count, number in enumerate(numbers)]
    highest, missed = numbers[0], 0
    for number, gap in zip(numbers, gaps, strict=True):
        hole = max(0, number - highest - 1)
        assert (0 if gap is None else gap.missed) == hole
        missed, highest = missed + hole, max(highest, number)


def test_a_gap_reaches_from_the_last_number_received_to_the_next() -> None:
    follow = Continuity("somebody")
    follow.follow("X", 5, 9, at(0))
    assert follow.follow("Y", 100, 100, at(1)) is None, "each symbol counts for itself"
    assert follow.follow("X", 12, 14, at(2)) == Gap("somebody", ("X",), "sequence", at(0), at(2), missed=2)
    assert follow.follow("X", 15, 15, at(3)) is None


def test_a_clock_that_was_set_back_makes_no_gap_that_runs_backwards() -> None:
    follow = Continuity("somebody")
    follow.follow("X", 1, 1, at(10))
    gap = follow.follow("X", 3, 3, at(0))
    assert gap is not None
    assert (gap.start, gap.end) == (at(10), at(10))
