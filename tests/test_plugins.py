"""What packages elsewhere add: found by name, checked against the contract, told apart when it is broken."""

from __future__ import annotations

import importlib.metadata
from typing import Any, ClassVar

import msgspec
import pytest

from tests.cli.command import run
from tickstream import plugins, providers, simulator
from tickstream.errors import ConfigError
from tickstream.providers.base import FeedProtocol
from tickstream.providers.kraken import SPEC, KrakenProtocol
from tickstream.providers.spec import CONTRACT, ProviderSpec

HERE = __name__
GOOD: Any = None
NOT_ITS_NAME: Any = None


def declared(**changes: Any) -> ProviderSpec:
    """A declaration of another package."""

    class Protocol(KrakenProtocol):
        spec: ClassVar[ProviderSpec]

    made = msgspec.structs.replace(SPEC, **{"name": "other", "contract": CONTRACT, "protocol": Protocol, **changes})
    Protocol.spec = made
    return made


class Unfinished(FeedProtocol):
    """Lacks what FeedProtocol asks for."""


def function() -> FeedProtocol:
    raise AssertionError


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Name -> value of the entry points there are."""
    made: dict[str, str] = {}

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [importlib.metadata.EntryPoint(name, value, group) for name, value in made.items()]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    return made


def test_names_do_not_import_anything(entries: dict[str, str]) -> None:
    entries.update({"b": "nowhere:B", "a": "nowhere:A"})
    assert plugins.names(providers.ENTRY_POINTS) == ["a", "b"]
    assert {"a", "b", "kraken"} <= {*providers.all_names()}
    assert {"a", "b", "kraken"} <= {*simulator.all_names()}


def test_a_name_that_nobody_has_is_none(entries: dict[str, str]) -> None:
    entries["other"] = "nowhere:OTHER"
    assert plugins.load(providers.ENTRY_POINTS, "another") is None


def test_a_good_one_is_taken(entries: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    entries["other"] = f"{HERE}:GOOD"
    made = declared()
    monkeypatch.setattr(f"{HERE}.GOOD", made)
    assert providers.load("other") is made


def test_ours_goes_before_one_of_the_same_name(entries: dict[str, str]) -> None:
    entries["kraken"] = "nowhere:KRAKEN"
    assert providers.load("kraken") is SPEC
    assert simulator.load("kraken").title == "Kraken"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"contract": None}, f"it says contract=None, and this tickstream has {CONTRACT}"),
        ({"contract": CONTRACT + 1}, f"it says contract={CONTRACT + 1}"),
        ({"name": "else"}, "it calls itself 'else'"),
        ({"protocol": function}, "its protocol is no FeedProtocol"),
        ({"protocol": dict}, "its protocol is no FeedProtocol"),
        ({"protocol": Unfinished}, "its protocol lacks methods of FeedProtocol"),
        ({"protocol": KrakenProtocol}, "its protocol has another `spec`"),
        ({"channels": ()}, "it has no channels"),
        ({"common_symbols": ("BTC/USD", "?")}, "its symbol_pattern refuses its own common_symbols"),
    ],
)
def test_one_that_breaks_the_contract_is_refused_with_the_reason(
    entries: dict[str, str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], says: str
) -> None:
    entries["other"] = f"{HERE}:GOOD"
    monkeypatch.setattr(f"{HERE}.GOOD", declared(**changes))
    with pytest.raises(ConfigError) as error:
        providers.load("other")
    assert says in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("value", ["nowhere.at.all:SPEC", f"{HERE}:NOTHING", f"{HERE}.made:SPEC"])
def test_whatever_goes_wrong_in_it_is_one_line(entries: dict[str, str], value: str) -> None:
    entries["other"] = value
    with pytest.raises(ConfigError) as error:
        providers.load("other")
    assert "The provider 'other' of the package that brings it cannot be used: " in error.value.message
    assert "the other providers are not concerned" in error.value.hint


def test_a_module_that_ends_the_program_does_not(
    entries: dict[str, str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit('a line\\nand another ' + 'x' * 500)\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    entries["other"] = "leaving:SPEC"
    with pytest.raises(ConfigError, match=r"SystemExit: a line and another x{100,}") as error:
        providers.load("other")
    assert len(error.value.message) < 300


def test_what_is_no_declaration_is_refused(entries: dict[str, str]) -> None:
    entries["other"] = "json:dumps"
    with pytest.raises(ConfigError, match="its entry point is no ProviderSpec, but function"):
        providers.load("other")


def test_the_list_of_providers_goes_on_without_a_broken_one(entries: dict[str, str]) -> None:
    entries["other"] = "nowhere:SPEC"
    result = run("providers")
    assert (result.code, len(result.err.splitlines())) == (0, 1)
    assert "kraken" in result.out


def test_a_simulator_has_to_be_a_counterpart(entries: dict[str, str]) -> None:
    entries["other"] = f"{HERE}:function"
    with pytest.raises(ConfigError, match="its simulator is no Counterpart"):
        simulator.load("other")
