"""A run as Prometheus metrics: the format to the letter, and the figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tickstream.credits import CreditMeter
from tickstream.markets import US_EQUITIES
from tickstream.metrics import Metrics, Totals
from tickstream.status import FilesStatus, Pace, ProviderStatus, RunStatus, SessionStatus
from tickstream.timestamps import parse_rfc3339

NOON = parse_rfc3339("2026-06-24T12:00:00Z")
"""A Wednesday: every market is open."""

_HELP = re.compile(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\\n]|\\\\|\\n)*")
_TYPE = re.compile(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)")
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)\{{({_LABEL}(?:,{_LABEL})*)\}} (\+Inf|-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
)


def parsed(text: str) -> dict[str, dict[str, float]]:
    """Name -> labels without `run` and `provider` -> value, by the grammar of the text format; each family whole."""
    assert text.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    family, kind = "", ""
    lines = iter(text[:-1].split("\n"))
    for line in lines:
        if line.startswith("# HELP"):
            match = _HELP.fullmatch(line)
            assert match, line
            family = match[1]
            assert family not in found, "a family stands in one piece, once"
            found[family] = {}
            typed = _TYPE.fullmatch(next(lines))
            assert typed, "TYPE follows HELP"
            assert typed[1] == family
            kind = typed[2]
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, line
        assert sample[1] == family
        assert (kind == "counter") == family.endswith("_total")
        labels = dict(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"', sample[2]))
        assert "run" in labels
        others = ",".join(value for name, value in labels.items() if name not in ("run", "provider"))
        assert others not in found[family], "no sample twice"
        found[family][others] = float(sample[3])
    assert all(found.values())
    return found


def status(*symbols: str, **changes: Any) -> RunStatus:
    provider = ProviderStatus("tickatlas", symbols, changes.pop("credits", None))
    made = RunStatus("LIVE", (provider,), [SessionStatus("tickatlas", 1, symbols, "up")])
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def figures(
    run: RunStatus, last: Mapping[str, int] | None = None, files: FilesStatus | None = None, **totals: Any
) -> Any:
    latest = {("tickatlas", symbol): ts for symbol, ts in (last or {}).items()}
    return parsed(Metrics("eurusd", run, latest, NOON).text(NOON, 5.0, Totals(**totals), files))


def test_every_family_is_explained_typed_and_well_formed() -> None:
    run = status("EURUSD", credits=CreditMeter())
    shown = figures(run, {"EURUSD": NOON - 1_500_000_000}, FilesStatus(free=5), duplicates=0)
    assert len(shown) > 20
    assert all(name.startswith("tickstream_") for name in shown)


def test_labels_are_escaped() -> None:
    shown = figures(status('A"B\\C\nD'))
    assert list(shown["tickstream_last_data_age_seconds"]) == [r"A\"B\\C\nD"]
    odd = Metrics('x"y z', status("EURUSD"), {}, NOON).text(NOON, 0.0, Totals())
    assert 'run="x_y_z"' in odd


def test_the_age_of_the_last_data_is_that_of_each_symbol_and_infinite_before_the_first() -> None:
    shown = figures(status("EURUSD", "XAUUSD"), {"EURUSD": NOON - 1_500_000_000})
    assert shown["tickstream_last_data_age_seconds"] == {"EURUSD": 1.5, "XAUUSD": float("inf")}
    assert shown["tickstream_last_data_time_seconds"] == {"EURUSD": NOON / 1e9 - 1.5}


def test_a_clock_that_was_set_back_makes_no_negative_age() -> None:
    assert figures(status("EURUSD"), {"EURUSD": NOON + 10**9})["tickstream_last_data_age_seconds"] == {"EURUSD": 0.0}


def test_whether_a_market_trades_is_told_so_that_silence_can_be_judged() -> None:
    saturday = parse_rfc3339("2026-06-27T12:00:00Z")
    text = Metrics("x", status("EURUSD", "BTCUSD"), {}, saturday).text(saturday, 0.0, Totals())
    assert parsed(text)["tickstream_market_open"] == {"EURUSD": 0.0, "BTCUSD": 1.0}


def test_symbols_that_came_without_being_named_are_shown_too_and_a_provider_may_know_its_markets() -> None:
    run = status("*")
    run.providers[0].market_of = lambda _symbol: US_EQUITIES
    metrics = Metrics("x", run, {("tickatlas", "AAPL"): NOON}, NOON)
    shown = parsed(metrics.text(NOON, 0.0, Totals()))
    assert shown["tickstream_last_data_age_seconds"] == {"*": float("inf"), "AAPL": 0.0}
    assert shown["tickstream_market_open"]["AAPL"] == 0.0, "8 in the morning in New York"


def test_rates_are_of_the_time_since_the_last_look() -> None:
    run = status("EURUSD")
    metrics = Metrics("x", run, {}, NOON)
    metrics.text(NOON, 100.0, Totals())
    run.events = 50
    run.sessions[0].bytes_received = 1000
    shown = parsed(metrics.text(NOON, 105.0, Totals()))
    assert shown["tickstream_events_per_second"] == {"": 10.0}
    assert shown["tickstream_received_bytes_per_second"] == {"": 200.0}


def test_reconnects_are_those_of_this_run_although_its_connections_are_counted_on() -> None:
    run = status("EURUSD")
    run.sessions[0].epoch, run.sessions[0].epoch_before = 9, 6
    assert figures(run)["tickstream_reconnects_total"] == {"": 2.0}


def test_what_is_not_known_is_absent() -> None:
    shown = figures(status("EURUSD"), missed=None)
    for name in ("missed_total", "duplicates_total", "credits_remaining", "exit_code", "disk_free_bytes", "paused"):
        assert f"tickstream_{name}" not in shown
    assert shown["tickstream_running"] == {"": 1.0}


def test_how_it_ended_is_told_once_it_has() -> None:
    shown = figures(status("EURUSD"), exit_code=143)
    assert shown["tickstream_running"] == {"": 0.0}
    assert shown["tickstream_exit_code"] == {"": 143.0}


def test_the_files_of_a_capture_and_its_credits() -> None:
    meter = CreditMeter()
    meter.account(5, 1000, NOON)
    meter.charge(3, NOON)
    files = FilesStatus(finished=2, open=1, written=10**12 + 1, waiting=5, free=77, paused="full")
    shown = figures(status("EURUSD", credits=meter, gaps=4, dropped=2), files=files, missed=9, duplicates=6)
    for name, value in {
        "files_finished_total": 2, "files_open": 1, "written_bytes_total": 10**12 + 1, "waiting_bytes": 5,
        "disk_free_bytes": 77, "paused": 1, "credits_used_total": 15, "credits_remaining": 985, "gaps_total": 4,
        "missed_total": 9, "dropped_total": 2, "duplicates_total": 6, "session_up": None,
    }.items():  # fmt: skip
        assert f"tickstream_{name}" in shown
        if value is not None:
            assert shown[f"tickstream_{name}"] == {"": float(value)}


def test_a_run_without_sessions_has_none() -> None:
    assert "tickstream_session_up" not in figures(RunStatus("REPLAY", (ProviderStatus("tickatlas", ("EURUSD",)),), []))


def test_a_pace_needs_two_looks_and_never_runs_backwards() -> None:
    pace = Pace()
    assert pace.look(100, 1.0) == 0.0
    assert pace.look(150, 2.0) == 50.0
    assert pace.look(150, 2.0) == 50.0, "no time has passed"
    assert pace.look(100, 3.0) == 0.0


@pytest.mark.parametrize("bad", ["x 1\n", '# HELP x y\n# TYPE x gauge\nx{a="b"} 1', "# TYPE x gauge\n"])
def test_the_checker_refuses_what_the_grammar_does(bad: str) -> None:
    with pytest.raises((AssertionError, KeyError)):
        parsed(bad)


def test_of_several_providers_each_has_its_own_figures_and_the_run_has_no_provider() -> None:
    used = CreditMeter()
    used.account(5, None, NOON)
    used.charge(2, NOON)
    providers = (ProviderStatus("tickatlas", ("EURUSD",), used), ProviderStatus("fcs", ("EURUSD",)))
    sessions = [SessionStatus("tickatlas", 1, ("EURUSD",), "up"), SessionStatus("fcs", 2, ("EURUSD",), "down")]
    sessions[1].epoch, sessions[0].bytes_received = 3, 100
    lines = Metrics("x", RunStatus("LIVE", providers, sessions), {("fcs", "EURUSD"): NOON}, NOON).text(
        NOON, 1.0, Totals()
    )
    for line in (
        'tickstream_session_up{run="x",provider="tickatlas",session="1"} 1',
        'tickstream_session_up{run="x",provider="fcs",session="2"} 0',
        'tickstream_reconnects_total{run="x",provider="fcs"} 2',
        'tickstream_received_bytes_total{run="x",provider="tickatlas"} 100',
        'tickstream_last_data_age_seconds{run="x",provider="tickatlas",symbol="EURUSD"} +Inf',
        'tickstream_last_data_age_seconds{run="x",provider="fcs",symbol="EURUSD"} 0',
        'tickstream_credits_used_total{run="x",provider="tickatlas"} 10',
        'tickstream_events_total{run="x"} 0',
    ):
        assert line in lines.splitlines()
