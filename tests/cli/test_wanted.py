"""What is asked of whom, and what makes no sense of several providers at once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run
from tickstream.cli.environment import Environment
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.wanted import Wanted, demo_symbols, sole, wanted
from tickstream.errors import ExitCode, UsageError
from tickstream.subscriptions import Channel


def asked(
    *symbols: str, config: str = "", folder: Path | None = None, otherwise: Any = None, **how: Any
) -> list[Wanted]:
    if folder is not None:
        (folder / "config.toml").write_text(config)
    env = Environment(io.BytesIO(), io.BytesIO(), io.StringIO(), {}, user_folder=lambda: folder)
    return wanted(env, FeedOptions(symbols=symbols, **how), env.config(), otherwise)


def shown(each: list[Wanted]) -> list[tuple[str, tuple[str, ...], str]]:
    return [(one.spec.name, one.symbols, one.channel.value) for one in each]


def test_each_provider_has_its_symbols_and_its_own_first_channel() -> None:
    assert shown(asked("EURUSD", "coinbase:BTC-USD", "kraken:BTC/USD")) == [
        ("tickatlas", ("EURUSD",), "bars"), ("coinbase", ("BTC-USD",), "quotes"), ("kraken", ("BTC/USD",), "quotes"),
    ]  # fmt: skip


def test_the_default_provider_is_not_asked_for_anything_when_all_words_name_another() -> None:
    assert shown(asked("coinbase:BTC-USD", provider="kraken")) == [("coinbase", ("BTC-USD",), "quotes")]


def test_a_channel_is_that_of_all(tmp_path: Path) -> None:
    each = asked("coinbase:BTC-USD", "kraken:BTC/USD", channel="book")
    assert {one.channel for one in each} == {Channel.BOOK}
    with pytest.raises(UsageError, match="TickAtlas has no channel 'trades'") as refused:
        asked("EURUSD", "coinbase:BTC-USD", channel="trades")
    assert refused.value.hint == "All of them have: bars. Without --channel each streams its first."
    with pytest.raises(UsageError, match="TickAtlas and FCS API have no channel 'trades'"):
        asked("EURUSD", "fcs:FX:EURUSD", "coinbase:BTC-USD", channel="trades")


def test_the_symbols_of_the_config_may_be_of_several_providers(tmp_path: Path) -> None:
    config = 'symbols = ["@all"]\n[watchlists]\nall = ["EURUSD", "coinbase:BTC-USD"]\n'
    assert [name for name, _, _ in shown(asked(folder=tmp_path, config=config))] == ["tickatlas", "coinbase"]


def test_what_is_taken_otherwise_is_of_the_default_provider() -> None:
    assert shown(asked(provider="kraken", otherwise=lambda spec: spec.common_symbols[:1])) == [
        ("kraken", ("BTC/USD",), "quotes")
    ]
    assert len(asked(otherwise=demo_symbols)[0].symbols) == 5


def test_nothing_at_all_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no symbols given"):
        asked()


def test_who_takes_one_provider_a_run_refuses_several() -> None:
    with pytest.raises(UsageError, match="`tickstream capture` takes one provider a run, and these are 2") as refused:
        sole(asked("EURUSD", "coinbase:BTC-USD"), "capture")
    assert refused.value.hint == "Run it once for each: tickstream capture -p tickatlas ..."


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--url", "ws://127.0.0.1:9/"), "do not say which of several providers"),
        (("--key-file", "/nowhere"), "do not say which of several providers"),
        (("--key-stdin",), "do not say which of several providers"),
        (("-o", "raw"), "-o raw does not go with several providers"),
        (("--connections", "3"), "TickAtlas allows 1 to 2"),
        (("--connections", "2"), "more than there are symbols (1)"),
        (("--depth", "5"), "--depth is about order books"),
        (("--provider", "nobody"), "no provider 'nobody'"),
    ],
)
def test_options_that_are_about_one_provider_are_refused(argv: tuple[str, ...], said: str) -> None:
    assert said in run("watch", "EURUSD", "coinbase:BTC-USD", *argv).failed(ExitCode.USAGE)


def test_a_scheduled_capture_is_of_one_provider() -> None:
    refused = run("schedule", "EURUSD", "coinbase:BTC-USD", "--cron").failed(ExitCode.USAGE)
    assert "tickstream schedule -p coinbase" in refused


def test_credits_are_those_of_one_provider() -> None:
    shown = run("credits", "EURUSD", "coinbase:BTC-USD", "--plan", "pro", "-o", "json").ok()
    assert '"symbols": 1' in shown or '"symbols":1' in shown
