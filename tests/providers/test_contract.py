"""What holds for every provider: it is declared in full, and its protocol keeps to the contract."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import tickstream.providers
import tickstream.simulator
from tickstream.errors import ProviderError, UsageError
from tickstream.keys import Secret
from tickstream.providers import load, names
from tickstream.providers.base import Feed, FeedProtocol, Phase, ProviderSpec
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp

NOW = Timestamp(1_782_312_840_000_000_000)
HERE = Path(__file__).parent


def protocol_of(spec: ProviderSpec) -> FeedProtocol:
    return spec.protocol(
        Feed(spec.url, Subscription(spec.common_symbols[:2], spec.channels[0]), Secret("tk_canary_123456"))
    )


class TestFinding:
    def test_providers_are_found_by_looking(self) -> None:
        assert "tickatlas" in names()
        assert names() == sorted(names())

    def test_a_name_that_nobody_provides_is_a_wrong_usage(self) -> None:
        with pytest.raises(UsageError, match=r"no provider 'nosuch'(.|\n)*tickatlas"):
            load("nosuch")


@pytest.mark.parametrize("name", names())
class TestEveryProvider:
    def test_has_a_simulator_and_tests_of_the_same_name(self, name: str) -> None:
        assert (Path(tickstream.simulator.__path__[0]) / f"{name}.py").is_file()
        assert (HERE / f"test_{name}.py").is_file()

    def test_declares_itself_in_full(self, name: str) -> None:
        spec = load(name)
        assert spec.name == name
        assert spec.title
        assert urlsplit(spec.url).scheme == "wss"
        assert spec.channels
        assert set(spec.channels) <= set(Channel)
        assert spec.symbol_help
        assert urlsplit(spec.site).scheme == "https"
        assert spec.free_tier
        assert spec.limits
        assert spec.heartbeat
        assert set(spec.key_channels or ()) <= set(spec.channels)
        assert spec.key_env is None or re.fullmatch(r"[A-Z][A-Z0-9_]*", spec.key_env)
        assert spec.max_connections >= 1
        assert spec.ping_interval_s > 0
        assert spec.data_silence_s > (spec.bar_interval_s or 0)
        assert spec.protocol is type(protocol_of(spec))
        assert type(protocol_of(spec)).spec is spec

    def test_knows_its_own_symbols(self, name: str) -> None:
        spec = load(name)
        assert len(set(spec.common_symbols)) == len(spec.common_symbols) >= 2
        assert all(spec.symbol_pattern.fullmatch(symbol) for symbol in spec.common_symbols)

    def test_explains_each_error_code_once(self, name: str) -> None:
        spec = load(name)
        codes = [entry.code for entry in spec.errors]
        assert len(set(codes)) == len(codes)
        for entry in spec.errors:
            assert entry.meaning, entry.code
            assert entry.advice, entry.code
            assert spec.error(entry.code) is entry
            assert entry.error is None or issubclass(entry.error, ProviderError)

    def test_has_a_default_for_each_setting(self, name: str) -> None:
        assert all(len(values) >= 1 for values in load(name).settings.values())

    def test_asks_only_for_where_it_is_told_to_connect(self, name: str) -> None:
        spec = load(name)
        assert urlsplit(protocol_of(spec).connect_request().url).hostname == urlsplit(spec.url).hostname

    def test_survives_anything_before_and_after_it_is_opened(self, name: str) -> None:
        rubbish = [b"", b"{}", b"null", b"\xff", b'{"type":"x"}', b"[" * 2000, b"9" * 5000]
        protocol = protocol_of(load(name))
        protocol.receive(rubbish, NOW, 0.0)
        protocol.open(0.0)
        protocol.receive(rubbish, NOW, 0.0)
        assert protocol.phase is not Phase.LIVE
        assert protocol.counters.messages == 2 * len(rubbish)
        assert protocol.take_payloads() == []

    def test_a_new_one_remembers_nothing_of_the_last(self, name: str) -> None:
        spec = load(name)
        first, second = protocol_of(spec), protocol_of(spec)
        first.open(0.0)
        first.receive([b"{"], NOW, 0.0)
        assert second.counters.quarantined == 0
        assert second.frames_to_send(0.0) == []
        assert second.next_deadline() is None
