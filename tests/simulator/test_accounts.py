"""Keys, connections per key, credits and their reset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tickstream.simulator.accounts import Account, Accounts, Slots
from tickstream.simulator.tickatlas import PLANS

STARTER = PLANS["starter"]


def account(quota: int | None, reset_after_s: float | None = None) -> Account:
    return Account(STARTER, quota, reset_after_s)


def test_each_push_costs_what_the_plan_says() -> None:
    one = account(100)
    assert one.charge(3, 1, 0.0) == 3
    assert one.remaining(1, 0.0) == 85


def test_only_what_the_credits_are_enough_for_is_paid() -> None:
    one = account(17)
    assert one.charge(2, 1, 0.0) == 2
    assert not one.exhausted
    assert one.charge(2, 1, 0.0) == 1
    assert one.exhausted
    assert one.remaining(1, 0.0) == 2, "credits that are not enough for a push stay"
    assert one.charge(1, 1, 0.0) == 0


def test_unlimited_credits_never_end() -> None:
    one = account(None)
    assert one.charge(1_000_000, 1, 0.0) == 1_000_000
    assert one.remaining(1, 0.0) is None
    assert not one.exhausted


def test_a_new_day_brings_new_credits() -> None:
    one = account(10)
    assert one.charge(5, 1, 0.0) == 2
    assert one.charge(5, 2, 0.0) == 2
    assert one.charge(5, 2, 0.0) == 0
    assert one.charge(5, 1, 0.0) == 0, "a round that is late does not bring the old day back"


def test_credits_come_back_after_real_seconds_when_asked_for() -> None:
    one = account(10, reset_after_s=3.0)
    assert one.charge(5, 1, 100.0) == 2
    assert one.charge(5, 1, 102.9) == 0
    assert one.charge(5, 1, 103.0) == 2


def test_an_account_can_be_emptied() -> None:
    one = account(None, reset_after_s=1.0)
    one.exhaust(5.0)
    assert one.exhausted
    assert one.remaining(1, 5.5) == 0
    assert one.remaining(1, 6.0) is None


def test_two_connections_per_key() -> None:
    accounts = Accounts(STARTER)
    one, other = accounts.find("a"), accounts.find("b")
    assert one is not None
    assert other is not None
    assert [accounts.enter(one) for _ in range(3)] == [True, True, False]
    assert accounts.enter(other), "another key has its own"
    accounts.leave(one)
    assert accounts.enter(one)


def test_a_key_keeps_its_account() -> None:
    accounts = Accounts(STARTER, quota=100)
    one = accounts.find("a")
    assert one is not None
    one.charge(1, 1, 0.0)
    assert accounts.find("a") is one


@pytest.mark.parametrize("key", [None, "", 5, ["a"], "other"])
def test_other_keys_are_not_accepted(key: object) -> None:
    assert Accounts(STARTER, keys=("a",)).find(key) is None
    assert Accounts(STARTER, keys=("a",)).find("a") is not None


def test_many_threads_never_pay_twice_with_one_credit() -> None:
    one = account(5_000)
    with ThreadPoolExecutor(8) as pool:
        paid = sum(pool.map(lambda _: sum(one.charge(1, 1, 0.0) for _ in range(500)), range(8)))
    assert paid == 1_000


@pytest.mark.parametrize(
    ("plan", "symbols", "credits_a_day"),
    [
        ("starter", 5, 36_000),
        ("pro", 5, 28_800),
        ("pro", 20, 115_200),
        ("enterprise", 5, 21_600),
        ("enterprise", 20, 86_400),
    ],
)
def test_a_day_costs_what_the_guide_says(plan: str, symbols: int, credits_a_day: int) -> None:
    one = Account(PLANS[plan], 1_000_000, None)
    assert one.charge(symbols * 1440, 1, 0.0) == symbols * 1440
    assert 1_000_000 - (one.remaining(1, 0.0) or 0) == credits_a_day


def test_a_place_has_so_many_slots_and_a_key_its_last_request() -> None:
    slots = Slots(2)
    assert [slots.enter(("k", "/a")) for _ in range(3)] == [True, True, False]
    assert slots.enter(("k", "/b"))
    slots.leave(("k", "/a"))
    assert slots.enter(("k", "/a"))
    assert [slots.asked("k", 5.0), slots.asked("k", 7.5), slots.asked("other", 8.0)] == [
        float("inf"),
        2.5,
        float("inf"),
    ]
