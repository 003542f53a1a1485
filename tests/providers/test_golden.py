"""What becomes of every documented message of the providers whose pages show messages, and no recording exists."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.providers import golden
from tickstream.subscriptions import Channel

CASES = {
    ("tickatlas", Channel.BARS): {"account": 1, "bar": 2, "notice": 1},
    ("fcs", Channel.BARS): {"bar": 2},
    ("fcs", Channel.QUOTES): {"quote": 3},
    ("alltick", Channel.TRADES): {"trade": 3},
    ("alltick", Channel.QUOTES): {"quote": 2},
    ("alpaca/documented", Channel.TRADES): {"trade": 2, "quote": 1, "bar": 2, "book_update": 1, "notice": 6},
}
"""What they give, by type, besides notices of what nobody asked for."""
SETTINGS = {"fcs": {"interval": "1d"}}


@pytest.mark.parametrize(("name", "channel"), CASES)
def test_each_documented_message_becomes_what_was_checked_by_eye(name: str, channel: Channel) -> None:
    made = golden.account(name, channel, **SETTINGS.get(name, {}))
    assert made == golden.kept_account(name, channel)
    types = [line.split('"type":"')[1].split('"')[0] for line in made.splitlines() if '"type":"' in line]
    unrequested = made.count('"code":"unrequested_symbol"')
    assert Counter(types) - Counter(notice=unrequested) == CASES[name, channel]
