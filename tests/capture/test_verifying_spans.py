"""Numbers seen, kept as spans: against a set that remembers each of them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tickstream.capture.verifying_spans import Arrival, Break, Spans

NUMBERS = st.lists(st.integers(0, 60), max_size=80)


def filled(*numbers: int, limit: int = 1000) -> Spans:
    spans = Spans(limit)
    for mark, number in enumerate(numbers):
        spans.add(number, mark)
    return spans


def holes(numbers: set[int]) -> list[tuple[int, int]]:
    """Between which numbers some are missing, told the slow way."""
    row = sorted(numbers)
    return [(low, high) for low, high in pairwise(row) if high > low + 1]


@given(NUMBERS)
def test_in_any_order_each_number_is_new_once_and_a_duplicate_afterwards(numbers: list[int]) -> None:
    spans, seen = Spans(), set[int]()
    for number in numbers:
        assert (spans.add(number, 0) is Arrival.NEW) == (number not in seen)
        seen.add(number)
        assert number in spans
    assert spans.count == len(seen)
    assert [one in spans for one in range(62)] == [one in seen for one in range(62)]
    assert (spans.first, spans.last) == ((min(seen), max(seen)) if seen else (None, None))


@given(NUMBERS)
def test_the_breaks_are_the_holes_with_the_marks_of_their_edges(numbers: list[int]) -> None:
    spans, marks = Spans(), dict[int, int]()
    for mark, number in enumerate(numbers):
        spans.add(number, mark)
        marks.setdefault(number, mark)
    expected = [Break(low, high, marks[low], marks[high]) for low, high in holes(set(numbers))]
    assert spans.breaks() == expected
    if numbers:
        assert (spans.first_mark, spans.last_mark) == (marks[min(numbers)], marks[max(numbers)])


@given(NUMBERS, st.integers(0, 60), st.integers(1, 10))
def test_a_run_is_taken_at_once_only_when_all_of_it_is_new(numbers: list[int], first: int, length: int) -> None:
    spans = filled(*numbers)
    one_by_one = filled(*numbers)
    run = range(first, first + length)
    taken = spans.add_run(first, first + length - 1, 7, 8)
    assert taken == set(run).isdisjoint(numbers)
    if taken:
        for number in run:
            one_by_one.add(number, 7 if number == first else 8)
    assert [b[:2] for b in spans.breaks()] == [b[:2] for b in one_by_one.breaks()]
    assert spans.count == one_by_one.count


@settings(max_examples=50)
@given(st.permutations(range(0, 60, 2)), st.integers(2, 12))
def test_over_the_limit_the_oldest_are_settled_and_no_hole_is_told_twice(numbers: list[int], limit: int) -> None:
    spans = Spans(limit)
    seen, late = set[int](), set[int]()
    for number in numbers:
        (late if spans.add(number, 0) is Arrival.LATE else seen).add(number)
        assert len(spans.breaks()) < limit
    told = [*spans.settled, *spans.breaks()]
    assert [one[:2] for one in told] == holes(seen)
    assert seen | late == set(numbers)
    assert (spans.first, spans.last) == (min(seen), max(seen))


def test_what_comes_after_its_surroundings_were_settled_is_late() -> None:
    spans = filled(*range(0, 20, 2), limit=4)
    assert spans.settled
    assert spans.add(3, 0) is Arrival.LATE
    assert spans.add(2, 0) is Arrival.LATE
    assert not spans.add_run(3, 3, 0, 0)
    assert spans.add(18, 0) is Arrival.DUPLICATE
    assert spans.add(19, 0) is Arrival.NEW
    assert (spans.first, spans.first_mark) == (0, 0)


def test_a_number_that_closes_a_hole_joins_both_sides() -> None:
    spans = filled(1, 2, 4, 5)
    assert spans.breaks() == [Break(2, 4, 1, 2)]
    spans.add(3, 9)
    assert spans.breaks() == []
    assert (spans.first, spans.last) == (1, 5)
