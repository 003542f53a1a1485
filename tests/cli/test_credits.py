"""`tickstream credits`."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import pytest

from tests.cli.command import run
from tickstream.errors import ExitCode
from tickstream.providers import tickatlas


def estimate(*argv: str, **named: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("credits", *argv, "-o", "json", **named).ok())
    return found


@pytest.mark.parametrize(
    ("plan", "symbols", "per_day"),
    [
        ("starter", 5, 36_000),
        ("pro", 5, 28_800),
        ("pro", 20, 115_200),
        ("enterprise", 5, 21_600),
        ("enterprise", 20, 86_400),
    ],
)
def test_a_day_costs_exactly_what_the_provider_says(plan, symbols, per_day):
    found = estimate("--plan", plan, "--symbols", str(symbols))
    assert (found["plan"], found["symbols"], found["per_day"]) == (plan, symbols, per_day)
    assert f"{per_day:,}  1,440 minutes" in run("credits", "-p", plan, "-n", str(symbols)).ok()


def test_the_table_says_all_there_is_to_know():
    assert (
        run("credits", "--plan", "pro", "--symbols", "20").ok()
        == """\
pro ($79 a month), 20 symbols, 24x7

               credits
per push             4  one symbol
per minute          80
per hour         4,800
per day        115,200  1,440 minutes
per week       806,400  7 days
per 30 days  3,456,000

Daily quota: 100,000 credits (assumed: the provider publishes none for its stream).
It is used up after 20 h 50 min: at 20:50 UTC, if started at 00:00 UTC.
It pays for 17 symbols all day.
"""
    )


def test_forex_hours_and_other_periods_are_told_apart():
    out = run("credits", "-p", "starter", "-n", "1", "--market", "forex", "--hours", "8", "--days", "7").ok()
    assert out.splitlines()[6:10] == [
        "per day        2,400  480 minutes",
        "per week      12,000  5 days",
        "per 30 days   51,429  on average",
        "per 7 days    12,000  on average",
    ]
    assert "It lasts the day." in out
    assert "It pays for 4 symbols all day." in out


def test_json_has_every_figure():
    assert estimate("-p", "pro", "-n", "20", "--days", "7") == {
        "plan": "pro",
        "price_usd": 79,
        "symbols": 20,
        "market": "24x7",
        "minutes_per_day": 1440,
        "days": 7,
        "credits_per_push": 4,
        "per_minute": 80,
        "per_hour": 4_800,
        "per_day": 115_200,
        "per_week": 806_400,
        "per_30_days": 3_456_000,
        "total": 806_400,
        "symbols_sustained": 17,
        "daily_quota": 100_000,
        "quota_assumed": True,
        "quota_lasts_minutes": 1_250,
        "fits": "no",
        "reason": "over 100,000 credits a day (assumed)",
    }


def test_csv_has_the_same_fields_as_json():
    rows = list(csv.DictReader(io.StringIO(run("credits", "-p", "pro", "-n", "20", "-o", "csv").ok())))
    expected = estimate("-p", "pro", "-n", "20")
    assert list(rows[0]) == list(expected)
    assert [row["per_day"] for row in rows] == ["115200"]
    assert rows[0]["quota_assumed"] == "true"


class TestSymbols:
    def test_symbols_count_themselves_each_once(self):
        assert estimate("EURUSD", "XAUUSD", "EURUSD", "-p", "pro")["symbols"] == 2

    @pytest.mark.parametrize(
        ("symbols", "market"), [(["EURUSD", "XAUUSD"], "forex"), (["EURUSD", "BTCUSD"], "24x7"), (["US500"], "24x7")]
    )
    def test_their_names_tell_the_market(self, symbols, market):
        assert estimate(*symbols, "-p", "pro")["market"] == market

    def test_the_market_that_is_named_wins(self):
        found = estimate("EURUSD", "-p", "pro", "--market", "24x7")
        assert (found["market"], found["per_week"]) == ("24x7", 4 * 10_080)

    def test_watchlists_and_stdin_are_counted(self, tmp_path):
        (tmp_path / "config.toml").write_text('[watchlists]\nmajors = ["EURUSD", "GBPUSD"]')
        found = estimate("@majors", "-", "-p", "pro", folder=tmp_path, stdin=b"USDJPY\nEURUSD\n")
        assert found["symbols"] == 3

    def test_the_configured_symbols_are_counted_when_none_is_named(self, tmp_path):
        (tmp_path / "config.toml").write_text('symbols = ["EURUSD", "GBPUSD"]')
        assert estimate("-p", "pro", folder=tmp_path)["symbols"] == 2

    def test_none_at_all_is_a_usage_error(self):
        assert "how many symbols?" in run("credits", "-p", "pro").failed(ExitCode.USAGE)

    def test_names_and_a_number_contradict_each_other(self):
        assert "leave out --symbols" in run("credits", "EURUSD", "-n", "1").failed(ExitCode.USAGE)

    def test_a_malformed_symbol_is_refused(self):
        assert "Did you mean EURUSD?" in run("credits", "EURUS/D", "-p", "pro").failed(ExitCode.USAGE)

    @pytest.mark.parametrize("number", ["0", "-1", "x", "1e3", "100001"])
    def test_an_absurd_number_is_a_usage_error(self, number):
        run("credits", "-p", "pro", "--symbols", number).failed(ExitCode.USAGE)


class TestPlan:
    def test_starter_with_twenty_symbols_is_refused_with_the_reason(self):
        said = run("credits", "--plan", "starter", "--symbols", "20").failed(ExitCode.REFUSED)
        assert "20 symbols are too many for the starter plan: it has a 5-symbol limit" in said

    def test_a_plan_without_streaming_is_forbidden(self):
        assert "no streaming" in run("credits", "-p", "free", "-n", "1").failed(ExitCode.FORBIDDEN)

    def test_an_unknown_plan_is_answered_with_the_nearest(self):
        assert "Did you mean starter?" in run("credits", "-p", "strater", "-n", "1").failed(ExitCode.USAGE)
        assert "Plans: free, payg, starter" in run("credits", "-p", "xyz", "-n", "1").failed(ExitCode.USAGE)

    def test_more_symbols_than_are_known_to_work_are_estimated_and_called_unknown(self):
        found = estimate("-p", "enterprise", "-n", "25")
        assert (found["fits"], found["per_day"]) == ("unknown", 25 * 3 * 1440)
        out = run("credits", "-p", "enterprise", "-n", "25").ok()
        assert "Whether enterprise takes 25 symbols is not known: known to serve 20 symbols" in out

    def test_the_configured_plan_is_used_when_none_is_named(self, tmp_path):
        (tmp_path / "config.toml").write_text('[providers.tickatlas]\nplan = "Pro"')
        assert estimate("-n", "1", folder=tmp_path)["plan"] == "pro"

    def test_plans_can_be_overridden_in_the_config_file(self, tmp_path):
        (tmp_path / "config.toml").write_text(
            "[providers.tickatlas.plans.starter]\nmax_symbols = 20\ndaily_quota = 'unlimited'\ncredits_per_push = 2"
        )
        found = estimate("-p", "starter", "-n", "20", folder=tmp_path)
        assert (found["per_day"], found["daily_quota"], found["fits"]) == (57_600, None, "yes")
        out = run("credits", "-p", "starter", "-n", "20", folder=tmp_path).ok()
        assert out.endswith("No daily quota is known.\n")

    def test_a_plan_that_charges_nothing_sustains_any_number(self, tmp_path):
        (tmp_path / "config.toml").write_text("[providers.tickatlas.plans.starter]\ncredits_per_push = 0")
        out = run("credits", "-p", "starter", "-n", "5", folder=tmp_path).ok()
        assert out.endswith(
            "Daily quota: 10,000 credits (assumed: the provider publishes none for its stream).\nIt lasts the day.\n"
        )


class TestQuota:
    @pytest.mark.parametrize(
        ("quota", "lines"),
        [
            ("36000", ["Daily quota: 36,000 credits.", "It lasts the day.", "It pays for 5 symbols all day."]),
            (
                "1500",
                [
                    "Daily quota: 1,500 credits.",
                    "It is used up after 1 h: at 01:00 UTC, if started at 00:00 UTC.",
                    "It pays for no symbol all day.",
                ],
            ),
            (
                "7200",
                [
                    "Daily quota: 7,200 credits.",
                    "It is used up after 4 h 48 min: at 04:48 UTC, if started at 00:00 UTC.",
                    "It pays for 1 symbol all day.",
                ],
            ),
            (
                "24",
                [
                    "Daily quota: 24 credits.",
                    "It is used up after 0 min: at 00:00 UTC, if started at 00:00 UTC.",
                    "It pays for no symbol all day.",
                ],
            ),
        ],
    )
    def test_it_says_when_a_quota_is_used_up_and_what_it_sustains(self, quota, lines):
        assert run("credits", "-p", "starter", "-n", "5", "--quota", quota).ok().splitlines()[-3:] == lines


class TestCompare:
    def test_all_plans_are_shown_and_the_cheapest_that_fits(self):
        assert (
            run("credits", "--compare", "--symbols", "20").ok()
            == """\
plan        $/month  per push  per hour  per day  per 30 days  daily quota  fits
free              0                                                         no: no streaming
payg                                                                        no: no streaming
starter          29         5     6,000  144,000    4,320,000      10,000*  no: 5-symbol limit
pro              79         4     4,800  115,200    3,456,000     100,000*  no: over 100,000 credits a day (assumed)
enterprise      349         3     3,600   86,400    2,592,000   1,000,000*  yes

* assumed from the REST limits: the provider publishes no daily quota for its stream

The cheapest that fits 20 symbols, 1,440 minutes a day: enterprise, $349 a month.
"""
        )

    def test_it_is_what_one_gets_without_a_plan(self):
        assert run("credits", "-n", "20").ok() == run("credits", "-n", "20", "--compare").ok()

    def test_a_plan_contradicts_it(self):
        assert "leave out --plan" in run("credits", "-n", "2", "--compare", "-p", "pro").failed(ExitCode.USAGE)

    def test_it_wins_over_the_configured_plan(self, tmp_path):
        (tmp_path / "config.toml").write_text('[providers.tickatlas]\nplan = "pro"')
        assert "plans" in estimate("-n", "1", "--compare", folder=tmp_path)

    def test_json_names_the_cheapest_and_how_sure_that_is(self):
        found = estimate("-n", "5")
        assert (found["cheapest"], found["cheapest_is_certain"]) == ("pro", True)
        assert [plan["plan"] for plan in found["plans"]] == ["free", "payg", "starter", "pro", "enterprise"]
        assert found["plans"][0]["per_day"] is None
        found = estimate("-n", "25")
        assert (found["cheapest"], found["cheapest_is_certain"]) == ("enterprise", False)
        found = estimate("-n", "9999")
        assert (found["cheapest"], found["cheapest_is_certain"]) == (None, False)

    def test_csv_has_a_row_for_each_plan(self):
        rows = list(csv.DictReader(io.StringIO(run("credits", "-n", "5", "-o", "csv").ok())))
        assert [(row["plan"], row["per_day"]) for row in rows] == [
            ("free", ""),
            ("payg", ""),
            ("starter", "36000"),
            ("pro", "28800"),
            ("enterprise", "21600"),
        ]

    def test_doubt_and_despair_are_said(self):
        assert "enterprise, $349 a month, if it does (known to serve 20" in run("credits", "-n", "25").ok()
        assert "No plan fits 9,999 symbols, 1,440 minutes a day." in run("credits", "-n", "9999").ok()

    def test_forex_days_are_said(self):
        assert "fits 1 symbol, 1,440 minutes a day, 5 days a week: starter" in run("credits", "EURUSD").ok()

    def test_without_assumptions_there_is_no_footnote(self):
        out = run("credits", "-n", "5", "--quota", "36000").ok()
        assert "*" not in out
        assert out.endswith("starter, $29 a month.\n")


class TestOtherwise:
    def test_on_a_terminal_the_head_is_bold_unless_colours_are_unwanted(self):
        argv = ("credits", "-n", "5", "-p", "pro")
        assert run(*argv, tty=True).ok().startswith("\x1b[1mpro ($79 a month)")
        assert "\x1b[1mplan" in run("credits", "-n", "5", tty=True).ok()
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            assert "\x1b" not in run(*argv, tty=True, env=env).ok()
        assert "\x1b" not in run(*argv).ok()

    def test_an_unknown_provider_is_a_usage_error(self):
        assert "no provider" in run("credits", "-n", "1", "--provider", "nobody").failed(ExitCode.USAGE)

    def test_a_broken_config_file_is_exit_3(self, tmp_path):
        (tmp_path / "config.toml").write_text("x = 1")
        assert "line 1" in run("credits", "-n", "1", folder=tmp_path).failed(ExitCode.CONFIG)

    @pytest.mark.parametrize("argv", [["--hours", "0"], ["--hours", "25"], ["--days", "0"], ["--market", "moon"]])
    def test_absurd_values_are_usage_errors(self, argv):
        run("credits", "-n", "1", *argv).failed(ExitCode.USAGE)

    def test_a_provider_that_does_not_charge_has_nothing_to_estimate(self, monkeypatch):
        monkeypatch.setattr(tickatlas, "SPEC", msgspec.structs.replace(tickatlas.SPEC, credit_rates=None))
        assert "does not charge" in run("credits", "-n", "1").failed(ExitCode.USAGE)
