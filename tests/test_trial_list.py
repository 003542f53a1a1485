"""Lists that are taken or refused as a whole."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.trial_list import TrialList

NAMES = tuple(f"S{number}" for number in range(60))


def tried(items: tuple[str, ...], wrong: frozenset[str], limit: int = 1000) -> tuple[TrialList, list[str], int]:
    """A list tried at a server that knows what is wrong. Returns it, what was found to be wrong, and the requests."""
    trial, found, requests = TrialList(items), list[str](), 0
    while not trial.settled:
        requests += 1
        assert requests < 1000
        if len(trial.wanted) > limit:
            found += trial.shorten(limit)
        elif wrong.isdisjoint(trial.wanted):
            trial.accept()
        else:
            found += trial.refuse()
    return trial, found, requests


@given(st.integers(0, 60), st.frozensets(st.sampled_from(NAMES), max_size=6))
def test_all_that_is_wrong_is_found_and_all_else_is_had_in_its_order(count: int, wrong: frozenset[str]) -> None:
    items = NAMES[:count]
    trial, found, requests = tried(items, wrong)
    assert set(found) == wrong.intersection(items)
    assert len(found) == len(set(found))
    assert trial.accepted == trial.wanted == tuple(item for item in items if item not in wrong)
    assert requests <= 2 + len(found) * 2 * math.ceil(math.log2(max(count, 2)) + 1)


@given(st.integers(1, 60), st.integers(1, 60), st.frozensets(st.sampled_from(NAMES), max_size=3))
def test_what_is_too_long_is_cut_at_its_end(count: int, limit: int, wrong: frozenset[str]) -> None:
    items = NAMES[:count]
    trial, found, _ = tried(items, wrong, limit)
    assert trial.accepted == tuple(item for item in items[:limit] if item not in wrong)
    assert set(found) == set(items) - set(trial.accepted)


def test_a_good_list_is_asked_for_once_and_an_empty_one_never() -> None:
    assert tried(NAMES, frozenset())[2] == 1
    assert TrialList(()).settled


def test_after_a_refusal_what_was_accepted_is_asked_for_again() -> None:
    trial = TrialList(("A", "B"))
    assert trial.refuse() == ()
    trial.accept()
    assert trial.wanted == ("A", "B")
    assert trial.refuse() == ("B",)
    assert not trial.settled
    assert trial.wanted == ("A",)  # type: ignore[comparison-overlap]  # mypy thinks that it is what it was
    trial.accept()
    assert trial.settled


def test_a_list_that_was_accepted_is_never_refused() -> None:
    trial = TrialList(("A",))
    trial.accept()
    with pytest.raises(ValueError, match="was accepted"):
        trial.refuse()


def test_a_list_may_be_shortened_below_what_was_accepted() -> None:
    trial = TrialList(("A", "B", "C"))
    trial.accept()
    assert trial.shorten(2) == ("C",)
    assert (trial.wanted, trial.settled) == (("A", "B"), False)
