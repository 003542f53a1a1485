from __future__ import annotations

import pytest

from tests.cli.command import run
from tests.end_to_end.watching import Thread, assert_exit
from tickstream.cli.feed_options import FeedOptions
from tickstream.errors import ExitCode, UsageError
from tickstream.providers import load

BARS = FeedOptions(channel="bars", interval="5m")


def test_an_interval_is_a_setting_of_the_provider_and_wins_over_the_config() -> None:
    assert BARS.settings_of(load("kraken"), {"interval": "1h", "depth": "10"}) == {"interval": "5m", "depth": "10"}
    assert FeedOptions().settings_of(load("kraken"), {"interval": "1h"}) == {"interval": "1h"}


def test_upper_and_lower_case_differ() -> None:
    assert FeedOptions(channel="bars", interval="1M").settings_of(load("binance"), {}) == {"interval": "1M"}
    with pytest.raises(UsageError, match="--interval '1M': the bars of Kraken are 1m, 5m"):
        FeedOptions(channel="bars", interval="1M").settings_of(load("kraken"), {})


def test_the_only_interval_of_a_provider_may_be_named_and_no_other() -> None:
    assert FeedOptions(interval="1m").settings_of(load("tickatlas"), {"a": "b"}) == {"a": "b"}
    with pytest.raises(UsageError, match="the bars of TickAtlas are 1m"):
        BARS.settings_of(load("tickatlas"), {})
    with pytest.raises(UsageError, match="the bars of Coinbase are of one length"):
        BARS.settings_of(load("coinbase"), {})


def test_a_provider_that_is_asked_for_something_else_is_not_concerned() -> None:
    assert FeedOptions(interval="5m").settings_of(load("coinbase"), {"a": "b"}) == {"a": "b"}


@pytest.mark.parametrize("command", [("watch",), ("capture", "--to", "data"), ("doctor", "--timeout", "0")])
def test_without_bars_an_interval_is_wrong_usage(command: tuple[str, ...]) -> None:
    result = run(*command, "-p", "kraken", "BTC/USD", "--demo", "--interval", "5m")
    assert result.code == ExitCode.USAGE
    assert "--interval is about bars" in result.err + result.out


def test_bars_come_in_the_interval_asked_for() -> None:
    args = ("watch", "-p", "kraken", "BTC/USD", "--demo", "--channel", "bars", "--interval", "5m", "--once")
    [bar] = assert_exit(Thread(*args).wait(), ExitCode.OK).events
    assert bar["interval"] == "5m"
