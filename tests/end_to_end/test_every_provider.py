"""Each command with each provider: what works for one works for all, by the same words and exit codes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.end_to_end.watching import Thread, assert_exit, run, serve
from tickstream import providers
from tickstream.cli.wanted import demo_symbols
from tickstream.errors import ExitCode
from tickstream.providers.base import ProviderSpec
from tickstream.simulator import load as counterpart_of

CHANNELS = [(name, channel) for name in providers.names() for channel in providers.load(name).channels]
SYMBOLS = {("alpaca", "book"): ("BTC/USD", "ETH/USD")}
"""Where the first of a provider's symbols have no such channel."""
PACE = 30.0
"""Steps of the market in a second."""


@cache
def schema() -> Draft202012Validator:
    """Of every line that an output writes."""
    return Draft202012Validator(json.loads(run("schema").out))


@pytest.fixture(params=providers.names())
def spec(request: pytest.FixtureRequest) -> ProviderSpec:
    """Each provider in turn."""
    return providers.load(request.param)


def pace(provider: str) -> float:
    """The simulator's speed for so many steps."""
    return PACE * counterpart_of(provider).step_ns / 1e9


@pytest.mark.parametrize(("provider", "channel"), CHANNELS)
def test_what_is_captured_verifies_and_plays_back_as_it_was(provider: str, channel: str, tmp_path: Path) -> None:
    symbols = SYMBOLS.get((provider, channel)) or demo_symbols(providers.load(provider))[:2]
    with serve(provider=provider, speed=pace(provider)) as server:
        args = ("-p", provider, "--url", server.url, *symbols, "--channel", channel, "--to", str(tmp_path))
        result = assert_exit(run("capture", *args, "--duration", "6s", "-q"), ExitCode.OK)
    checked = run("verify", str(tmp_path), "-o", "json")
    assert ExitCode(checked.code) is ExitCode.OK, checked.out
    played = assert_exit(run("replay", str(tmp_path), "--speed", "max", "-o", "jsonl"), ExitCode.OK)
    assert played.events, result.err
    kept = [json.loads(line) for path in sorted(tmp_path.rglob("*.jsonl")) for line in path.read_bytes().splitlines()
            if path.name != "manifest.jsonl"]  # fmt: skip
    back = [json.loads(line) for line in played.lines]
    assert sorted(map(str, back)) == sorted(str(event) for event in kept if "symbol" in event)
    for event in kept:
        schema().validate(event)


def test_the_demo_and_the_doctor_need_nothing(spec: ProviderSpec) -> None:
    result = assert_exit(run("watch", "-p", spec.name, "--demo", "--count", "3", "-o", "jsonl"), ExitCode.OK)
    assert {event["provider"] for event in result.events} == {spec.name}
    with serve(provider=spec.name, speed=pace(spec.name)) as server:
        assert_exit(run("doctor", "-p", spec.name, "--url", server.url), ExitCode.OK)


def test_every_error_code_is_explained(spec: ProviderSpec) -> None:
    for error in spec.errors:
        told = assert_exit(Thread("explain", error.code).wait(), ExitCode.OK).out.decode()
        assert spec.title in told
