"""What a run asks for, and how it is split over sessions."""

from __future__ import annotations

import pytest

from tickstream.subscriptions import Channel, Subscription


@pytest.mark.parametrize(
    ("count", "shares"),
    [(1, ["ABCDE"]), (2, ["ACE", "BD"]), (3, ["AD", "BE", "C"]), (5, list("ABCDE")), (9, list("ABCDE")), (0, [])],
)
def test_symbols_go_round_robin_and_empty_shares_are_left_out(count: int, shares: list[str]) -> None:
    split = Subscription(tuple("ABCDE"), Channel.QUOTES).shards(count)
    assert ["".join(part.symbols) for part in split] == shares
    assert all(part.channel is Channel.QUOTES for part in split)


def test_bars_are_what_is_asked_for_unless_said_otherwise() -> None:
    assert Subscription(("A",)).channel is Channel.BARS


def test_channels_are_written_as_users_say_them() -> None:
    assert [str(channel) for channel in Channel] == ["bars", "quotes", "trades", "book", "orders"]
