"""What the shell is offered for a value, asked as Typer asks."""

from __future__ import annotations

import inspect

import pytest
from typer import _completion_classes

from tests.cli.test_environment import made
from tickstream.cli import completion
from tickstream.cli.app import _environment
from tickstream.config import SETTINGS
from tickstream.errors import ExitCode
from tickstream.providers import names


@pytest.fixture
def config(tmp_path):
    """Complete under a configuration with this text."""
    tokens = []

    def config(text: str) -> None:
        (tmp_path / "config.toml").write_text(text)
        tokens.append(_environment.set(made(user_folder=lambda: tmp_path)))

    config("")
    yield config
    for token in reversed(tokens):
        _environment.reset(token)


def values(offers):
    return [offer[0] if isinstance(offer, tuple) else offer for offer in offers]


@pytest.mark.usefixtures("config")
class TestOffers:
    def test_plans_are_those_that_stream_with_their_price(self):
        assert values(completion.plans("")) == ["starter", "pro", "enterprise"]
        assert completion.plans("pr") == [("pro", "4 credits a push")]

    def test_symbols_are_common_ones_and_watchlists(self, config):
        config('[watchlists]\nmajors = ["EURUSD", "GBPUSD"]')
        assert "XAUUSD" in values(completion.symbols(""))
        assert completion.symbols("@") == [("@majors", "EURUSD GBPUSD")]
        assert all(value.startswith("EUR") for value in values(completion.symbols("EUR")))

    def test_symbols_of_other_providers_stand_behind_their_names(self):
        assert "coinbase:BTC-USD" in values(completion.symbols("coin"))
        assert values(completion.symbols("kraken:ETH/U")) == ["kraken:ETH/USD"]
        assert completion.symbols("nobody:") == []

    def test_intervals_are_those_of_the_provider_in_use(self, config):
        assert completion.intervals("") == []
        config('provider = "kraken"')
        assert completion.intervals("1") == ["1m", "15m", "1h", "1d", "1w", "15d"]

    def test_codes_are_error_codes_and_exit_codes(self):
        offered = values(completion.codes(""))
        assert "quota_exceeded" in offered
        assert {str(code.value) for code in ExitCode} <= set(offered)
        assert values(completion.codes("quota")) == ["quota_exceeded"]

    def test_settings_are_all_settings(self):
        assert values(completion.settings("")) == list(SETTINGS)

    def test_providers_are_all_providers(self):
        assert completion.providers("") == names()
        assert completion.providers("zz") == []

    def test_fixed_values_are_offered_as_they_begin(self):
        assert completion.one_of(["block", "drop-oldest"])("d") == ["drop-oldest"]

    @pytest.mark.parametrize("text", ["= broken", 'provider = "nobody"'])
    def test_a_broken_configuration_offers_less_and_complains_never(self, config, text):
        config(text)
        assert completion.plans("") == []
        assert [value for value in values(completion.symbols("")) if value.startswith("@")] == []
        assert values(completion.codes("1")) == [str(code.value) for code in ExitCode if str(code.value)[0] == "1"]


def test_help_texts_reach_the_shell_without_rich(monkeypatch):
    assert list(inspect.signature(_completion_classes._sanitize_help_text).parameters) == ["text"]
    monkeypatch.setattr(_completion_classes, "_sanitize_help_text", _completion_classes._sanitize_help_text)
    completion.without_rich()
    assert _completion_classes._sanitize_help_text("plain") == "plain"
