"""Groups of options: what Typer sees of them, and what becomes of what was typed."""

from __future__ import annotations

import inspect
import io
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from tests.cli.command import run
from tickstream.cli.environment import Environment
from tickstream.cli.flags import BoundFlags, TalkFlags, expanded, seconds
from tickstream.clock import FakeClock
from tickstream.timestamps import parse_rfc3339

AFTERNOON = parse_rfc3339("2026-06-24T15:00:00Z")


@dataclass(frozen=True)
class _Colours:
    paint: Annotated[str, typer.Option("--paint")] = "red"
    bright: Annotated[bool, typer.Option("--bright")] = False


@expanded
def _draw(colours: _Colours, size: Annotated[int, typer.Option("--size")] = 3) -> int:
    """Draw."""
    return size + (10 if colours == _Colours("blue", bright=True) else 0)


def _environment() -> Environment:
    return Environment(io.BytesIO(), io.BytesIO(), io.StringIO(), {}, FakeClock(AFTERNOON))


def test_the_fields_of_a_group_are_options_where_the_group_stood() -> None:
    assert list(inspect.signature(_draw).parameters) == ["paint", "bright", "size"]
    assert _draw.__doc__ == "Draw."


def test_the_command_gets_its_groups_whole() -> None:
    app = typer.Typer()
    app.command()(_draw)
    command = typer.main.get_command(app)
    assert command.main(["--paint", "blue", "--bright"], standalone_mode=False) == 13
    assert command.main(["--size", "5"], standalone_mode=False) == 5


def test_a_time_of_day_is_a_moment_and_a_duration_stays_one() -> None:
    bounds = BoundFlags(duration="2h", until="17:00", strict=True, drain="1s").bounds(
        _environment(), "Europe/Berlin", "5m"
    )
    assert bounds.until_ns == AFTERNOON + 86_400 * 10**9, "it is 17:00 there just now, so tomorrow's is meant"
    assert (bounds.duration_s, bounds.idle_timeout_s, bounds.strict, bounds.drain_s) == (7200, 300, True, 1)
    assert bounds.longest_s(AFTERNOON) == 7200
    assert BoundFlags(until="15:30").bounds(_environment(), "UTC").longest_s(AFTERNOON) == 1800
    assert BoundFlags().bounds(_environment(), "UTC").longest_s(AFTERNOON) is None


def test_the_time_is_up_at_the_duration_or_at_the_moment_whichever_comes_first() -> None:
    bounds = BoundFlags(duration="2h", until="15:30").bounds(_environment(), "UTC")
    assert not bounds.over(7199, AFTERNOON)
    assert bounds.over(7200, AFTERNOON)
    assert bounds.over(1, AFTERNOON + 1800 * 10**9)


def test_what_was_not_given_is_not_a_duration() -> None:
    assert seconds(None, "--x") is None
    assert seconds("1m", "--x") == 60


def test_quiet_is_quieter_than_verbose_is_loud() -> None:
    env = _environment()
    TalkFlags(quiet=True, verbose=2).talk(env).line("nothing of this")
    assert not env.stderr.getvalue()  # type: ignore[attr-defined]


def test_the_help_has_the_options_of_all_groups(capsys: pytest.CaptureFixture[str]) -> None:
    run("watch", "--help")
    shown = capsys.readouterr().out
    for option in ("--symbols-file", "--output", "--until", "--retry-for", "--log-format", "--count", "SYMBOL"):
        assert option in shown
