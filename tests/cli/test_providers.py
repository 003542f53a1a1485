"""`tickstream providers`."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from tests.cli.command import Result, run
from tickstream.cli import providers as command
from tickstream.cli.mapping import mapping_of, rows
from tickstream.errors import ExitCode
from tickstream.providers import all_names, load, names
from tickstream.providers.base import ProviderSpec
from tickstream.subscriptions import Channel


@pytest.fixture
def declared(monkeypatch):
    """Provide TickAtlas with some of its declaration changed."""

    def declare(**changes) -> ProviderSpec:
        spec = msgspec.structs.replace(load("tickatlas"), **changes)
        monkeypatch.setattr("tickstream.providers.tickatlas.SPEC", spec)
        return spec

    return declare


def row(name: str = "tickatlas") -> list[str]:
    """The cells of one provider in the table."""
    (line,) = (line for line in run("providers").ok().splitlines() if line.startswith(name))
    return re.split(r"\s{2,}", line)


def test_every_provider_has_a_row():
    lines = run("providers").ok().splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["provider", "channels", "key", "symbols", "connections", "markets", "free"]
    assert [line.split()[0] for line in lines[1:]] == all_names()


def test_a_row_says_what_one_has_to_know_first():
    assert row() == [
        "tickatlas", "bars", "TICKATLAS_API_KEY", "EURUSD GBPUSD", "2", "forex 24x7",
        "none: streaming begins with the Starter plan",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "key", "keyless"),
    [
        ({"key_env": None}, "none needed", ["bars", "orders"]),
        ({"demo_key": "try_me"}, "TICKATLAS_API_KEY, or the demo key", ["bars", "orders"]),
        ({"key_channels": (Channel.ORDERS,)}, "TICKATLAS_API_KEY for orders", ["bars"]),
        ({"key_channels": ()}, "TICKATLAS_API_KEY, if you have one", ["bars", "orders"]),
        ({}, "TICKATLAS_API_KEY", []),
    ],
)
def test_whether_it_takes_a_key(declared, changes, key, keyless):
    declared(channels=(Channel.BARS, Channel.ORDERS), **changes)
    assert row()[2] == key
    (found,) = (one for one in json.loads(run("providers", "-o", "json").ok()) if one["name"] == "tickatlas")
    assert found["keyless"] == keyless


@pytest.mark.parametrize("name", all_names())
def test_details_show_all_that_is_declared(name):
    spec = load(name)
    out = run("providers", name).ok()
    facts = (spec.title, spec.site, spec.url, spec.free_tier, spec.heartbeat, spec.symbol_help, *spec.limits)
    assert [fact for fact in facts if fact not in out] == []
    for one in spec.errors:
        code = "" if one.error is None else f"{int(one.error.exit_code)}"
        assert re.search(rf"^{re.escape(one.code)} +{code} +{re.escape(one.meaning)}$", out, re.MULTILINE), one.code


def test_details_leave_out_what_there_is_not(declared):
    declared(errors=(), heartbeat="", settings={}, bar_interval_s=None)
    out = run("providers", "tickatlas").ok()
    assert "heartbeat" not in out
    assert "explain" not in out
    assert "\n  channels      bars\n" in out


def test_details_say_when_the_markets_are_open():
    out = run("providers", "tickatlas").ok()
    assert "  markets       forex: Sunday 17:00 to Friday 17:00 in New York\n                24x7: always\n" in out
    assert all(name in command._HOURS for name in ("24x7", "forex", "us-equities"))


@pytest.mark.parametrize("name", all_names())
def test_json_of_one_is_its_entry_in_the_list(name):
    one = json.loads(run("providers", name, "-o", "json").ok())
    assert one in json.loads(run("providers", "-o", "json").ok())
    assert re.compile(one["symbols"]["pattern"]).fullmatch(one["symbols"]["examples"][0])
    assert [error["code"] for error in one["errors"]] == [error.code for error in load(name).errors]


def test_details_say_what_common_spellings_become():
    assert "EURUSD becomes FX:EURUSD, BTCUSDT becomes BINANCE:BTCUSDT" in run("providers", "fcs").ok()
    assert "EURUSD becomes" not in run("providers", "tickatlas").ok()
    spelled = json.loads(run("providers", "alltick", "-o", "json").ok())["symbols"]["spellings"]
    assert spelled == {
        "EURUSD": "EURUSD", "BTCUSD": None, "BTCUSDT": "BTCUSDT", "XAUUSD": "GOLD", "AAPL": "AAPL.US",
    }  # fmt: skip


def test_on_a_terminal_the_titles_are_bold():
    assert run("providers", tty=True).out.startswith("\x1b[1mprovider")
    assert run("providers", "tickatlas", tty=True).out.startswith("\x1b[1mTickAtlas")


def test_an_unknown_provider_is_answered_with_the_near_ones():
    said = run("providers", "tickatlass").failed(ExitCode.USAGE)
    assert "Did you mean tickatlas?" in said


@pytest.mark.parametrize("name", names())
def test_fields_shows_every_field_of_every_message(name):
    mapping = mapping_of(load(name))
    out = run("providers", name, "--fields").ok()
    for message in mapping.messages:
        assert message.name in out
        for path, becomes, _ in rows(message):
            assert re.search(rf"^  {re.escape(path)} +{re.escape(becomes)}", out, re.MULTILINE), (path, becomes)
        assert [path for path, why in message.dropped.items() if f"{path} ({why})".replace("`", "") not in out] == []
    found = json.loads(run("providers", name, "--fields", "-o", "json").ok())
    assert found == msgspec.to_builtins(mapping)


class Elsewhere:
    """A protocol of a module without a package."""

    __module__ = "elsewhere"


def test_fields_need_a_provider_that_declares_them(declared):
    assert "about one provider" in run("providers", "--fields").failed(ExitCode.USAGE)
    for protocol in (Elsewhere, Result):  # a package without declarations
        declared(protocol=protocol)
        assert "does not declare" in run("providers", "tickatlas", "--fields").failed(ExitCode.USAGE)
