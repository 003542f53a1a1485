"""`watch` before it connects: what the command line asks for, and what is refused. The rest is in end_to_end/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import run
from tickstream.errors import ExitCode

NOWHERE = "ws://127.0.0.1:1/ws/v1/quotes"
"""Nothing listens there: a run that gets as far as dialling ends with NETWORK."""


def test_without_a_key_it_says_how_to_set_one_and_that_the_demo_needs_none() -> None:
    said = run("watch", "EURUSD").failed(ExitCode.CONFIG)
    assert "TICKATLAS_API_KEY" in said
    assert "--demo" in said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["watch", "--url", NOWHERE], "no symbols given"),
        (["watch", "EURUS/D", "--url", NOWHERE], "Did you mean EURUSD"),
        (["watch", "EURUSD", "--url", NOWHERE, "-o", "xml"], "none of auto, table"),
        (["watch", "EURUSD", "--url", NOWHERE, "--duration", "soon"], "--duration: 'soon' is not a duration"),
        (["watch", "EURUSD", "--url", NOWHERE, "--until", "99:99"], "--until: '99:99' is not a time"),
        (["watch", "EURUSD", "--url", NOWHERE, "--tz", "Mars/Olympus", "--until", "16:00"], "zone"),
        (["watch", "EURUSD", "--url", NOWHERE, "--log-format", "xml"], "neither text nor json"),
        (["watch", "EURUSD", "--url", NOWHERE, "--connections", "3"], "allows 1 to 2"),
        (["watch", "EURUSD", "--url", NOWHERE, "--connections", "2"], "more than there are symbols"),
        (["watch", "EURUSD", "--url", NOWHERE, "-o", "csv", "--events"], "does not go with -o csv"),
        (["watch", "EURUSD", "--url", NOWHERE, "--fields", "bid,bidd"], "bidd"),
        (["watch", "EURUSD", "--url", NOWHERE, "-o", "raw", "--fields", "bid"], "--fields cannot be used"),
        (["watch", "EURUSD", "--demo", "--url", NOWHERE], "--demo has its own"),
        (["watch", "EURUSD", "-p", "nobody"], "There is no provider"),
        (["watch", "@majors", "--url", NOWHERE], "majors"),
        (["watch", "EURUSD", "--url", NOWHERE, "--count", "0"], "count"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_connects(args: list[str], words: str) -> None:
    assert words in run(*args).failed(ExitCode.USAGE)


def test_a_quarantine_file_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    said = run("watch", "EURUSD", "--url", NOWHERE, "-q", "--quarantine", str(tmp_path / "no" / "file"))
    assert "quarantine" in said.failed(ExitCode.OUTPUT)


def test_it_says_what_the_run_will_cost_before_it_begins() -> None:
    result = run("watch", "EURUSD", "XAUUSD", "--url", NOWHERE, "--retries", "0", "-o", "jsonl", "--duration", "2h")
    assert result.code == ExitCode.NETWORK
    first = result.err.splitlines()[0]
    assert "2 symbols, by plan: 6 to 10 credits a minute" in first
    assert "in this run" in first


def test_the_plan_of_the_config_makes_the_estimate_one_figure(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[providers.tickatlas]\nplan = "starter"\n')
    result = run("watch", "EURUSD", "--url", NOWHERE, "--retries", "0", "-o", "jsonl", folder=tmp_path)
    assert "1 symbol on starter: 5 credits a minute" in result.err.splitlines()[0]
