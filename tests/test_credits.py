"""Plans and estimates: the figures of the provider's own table, to the credit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.credits import CreditRates, Fit, Plan, Usage, cheapest, estimate, preflight, refuse
from tickstream.errors import ConfigError, ExitCode, Forbidden, SymbolRefused

FREE = Plan("free", 0, 0, 0, 1_000, streaming=False)
STARTER = Plan("starter", 29, 5, 5, 10_000, quota_is_assumed=True)
PRO = Plan("pro", 79, 4, 20, 100_000, max_symbols_is_minimum=True, quota_is_assumed=True)
ENTERPRISE = Plan("enterprise", 349, 3, 20, 1_000_000, max_symbols_is_minimum=True, quota_is_assumed=True)
RATES = CreditRates((FREE, STARTER, PRO, ENTERPRISE))


class TestEstimate:
    @pytest.mark.parametrize(
        ("plan", "symbols", "per_day"),
        [(STARTER, 5, 36_000), (PRO, 5, 28_800), (PRO, 20, 115_200), (ENTERPRISE, 5, 21_600), (ENTERPRISE, 20, 86_400)],
    )
    def test_a_day_costs_what_the_providers_table_says(self, plan, symbols, per_day):
        assert estimate(plan, Usage(symbols)).per_day == per_day

    def test_minute_hour_week_and_month_follow_from_the_day(self):
        one = estimate(PRO, Usage(20))
        assert (one.per_minute, one.per_hour, one.per_week, one.per_30_days) == (80, 4_800, 806_400, 3_456_000)

    def test_forex_trades_7200_minutes_of_a_week(self):
        one = estimate(PRO, Usage(1, trading_days=5))
        assert one.per_day == 4 * 1440
        assert one.per_week == 4 * 7_200
        assert one.over(7) == 4 * 7_200
        assert one.per_30_days == 123_429  # 30 / 7 weeks, rounded up

    def test_fewer_hours_cost_less(self):
        assert estimate(STARTER, Usage(2, minutes_a_day=480)).per_day == 2 * 5 * 480

    def test_slower_pushes_cost_less(self):
        one = estimate(STARTER, Usage(2), minutes_per_push=5)
        assert (one.per_minute, one.per_hour, one.per_day) == (2, 120, 2_880)

    @given(st.integers(1, 500), st.integers(1, 1440), st.sampled_from([5, 7]), st.sampled_from(RATES.plans[1:]))
    def test_a_week_is_its_trading_days_and_a_period_is_never_underestimated(self, symbols, minutes, days, plan):
        one = estimate(plan, Usage(symbols, minutes, days))
        assert one.per_week == one.per_day * days
        assert one.over(14) == 2 * one.per_week
        assert 0 <= one.over(30) * 7 - one.per_week * 30 < 7

    def test_a_quota_is_used_up_after_the_minutes_it_pays_for_in_full(self):
        assert estimate(STARTER, Usage(5)).lasts_minutes == 400
        assert estimate(PRO, Usage(20)).lasts_minutes == 1_250
        assert estimate(STARTER, Usage(5), quota=26).lasts_minutes == 1
        assert estimate(STARTER, Usage(5), quota=24).lasts_minutes == 0

    def test_a_quota_that_is_just_enough_lasts_the_day(self):
        assert estimate(STARTER, Usage(5), quota=36_000).lasts_minutes is None
        assert estimate(STARTER, Usage(5), quota=35_999).lasts_minutes == 1_439

    def test_a_quota_sustains_the_symbols_it_pays_for_all_day(self):
        assert estimate(STARTER, Usage(5)).symbols_sustained == 1
        assert estimate(PRO, Usage(1)).symbols_sustained == 17
        assert estimate(PRO, Usage(1), quota=0).symbols_sustained == 0

    def test_without_a_quota_nothing_is_said_about_it(self):
        one = estimate(STARTER._replace(daily_quota=None), Usage(5))
        assert (one.quota, one.lasts_minutes, one.symbols_sustained) == (None, None, None)

    @given(st.integers(0, 200_000), st.integers(1, 40))
    def test_the_symbols_sustained_are_the_most_that_last_the_day(self, quota, symbols):
        one = estimate(PRO, Usage(symbols), quota=quota)
        assert one.symbols_sustained is not None
        assert (symbols <= one.symbols_sustained) == (one.lasts_minutes is None)


class TestFit:
    def test_a_plan_fits_within_its_limit_and_quota(self):
        assert estimate(PRO, Usage(17)).fit is Fit.YES

    def test_a_plan_without_streaming_does_not_fit(self):
        assert estimate(FREE, Usage(1))[-2:] == (Fit.NO, "no streaming")

    def test_a_known_symbol_limit_does_not_fit(self):
        assert estimate(STARTER, Usage(20))[-2:] == (Fit.NO, "5-symbol limit")

    def test_an_assumed_quota_that_is_passed_is_called_assumed(self):
        assert estimate(STARTER, Usage(5))[-2:] == (Fit.NO, "over 10,000 credits a day (assumed)")
        assert estimate(STARTER, Usage(5), quota=9_000)[-2:] == (Fit.NO, "over 9,000 credits a day")

    def test_more_symbols_than_are_known_to_work_may_fit(self):
        one = estimate(ENTERPRISE, Usage(21))
        assert one.fit is Fit.UNKNOWN
        assert one.reason == "known to serve 20 symbols; its limit is not published"


class TestCheapest:
    def best(self, symbols: int, **more: int) -> str | None:
        one = cheapest(estimate(plan, Usage(symbols), **more) for plan in RATES.plans)
        return one.plan.name if one else None

    def test_the_least_price_that_fits_wins(self):
        assert self.best(1) == "starter"
        assert self.best(5) == "pro"
        assert self.best(20) == "enterprise"

    def test_a_larger_quota_makes_a_cheaper_plan_fit(self):
        assert self.best(5, quota=36_000) == "starter"

    def test_a_plan_that_may_fit_is_taken_when_no_other_does(self):
        assert self.best(25) == "enterprise"
        assert self.best(25, quota=10**9) == "pro"

    def test_a_plan_that_surely_fits_comes_before_a_cheaper_one_that_may(self):
        sure = Plan("sure", 500, 3, None, None)
        best = cheapest([estimate(PRO, Usage(25), quota=10**9), estimate(sure, Usage(25))])
        assert best is not None
        assert best.plan is sure

    def test_a_plan_without_a_price_comes_last(self):
        unpriced = Plan("custom", None, 1, None, None)
        best = cheapest([estimate(unpriced, Usage(1)), estimate(ENTERPRISE, Usage(1))])
        assert best is not None
        assert best.plan is ENTERPRISE

    def test_none_fits_too_many(self):
        assert self.best(10_000) is None


class TestRefuse:
    def test_starter_with_twenty_symbols_is_refused_with_the_reason(self):
        with pytest.raises(SymbolRefused, match="5-symbol limit") as caught:
            refuse(STARTER, 20)
        assert caught.value.exit_code is ExitCode.REFUSED

    def test_a_plan_without_streaming_is_forbidden(self):
        with pytest.raises(Forbidden, match="no streaming"):
            refuse(FREE, 1)

    @pytest.mark.parametrize(("plan", "symbols"), [(STARTER, 5), (PRO, 21), (Plan("own", None, 1, None, None), 9)])
    def test_what_may_work_is_not_refused(self, plan, symbols):
        refuse(plan, symbols)


class TestRates:
    def test_a_plan_is_found_whatever_its_case(self):
        assert RATES.plan("Pro") is PRO
        assert RATES.plan("gold") is None

    def test_fields_of_a_plan_can_be_replaced(self):
        pro = RATES.override({"pro": {"price_usd": 99}}).plan("pro")
        assert pro == PRO._replace(price_usd=99)

    def test_a_limit_that_is_given_is_no_assumption_any_more(self):
        pro = RATES.override({"PRO": {"max_symbols": 50, "daily_quota": 150_000}}).plan("pro")
        assert pro == Plan("pro", 79, 4, 50, 150_000)

    def test_a_plan_can_be_added(self):
        rates = RATES.override({"gold": {"credits_per_push": 2}})
        assert rates.plan("gold") == Plan("gold", None, 2, None, None)
        assert rates.plans[:4] == RATES.plans

    def test_a_new_plan_has_to_say_what_a_push_costs(self):
        with pytest.raises(ConfigError, match="credits_per_push"):
            RATES.override({"gold": {"price_usd": 2}})

    def test_the_original_is_unchanged(self):
        RATES.override({"pro": {"price_usd": 99}})
        assert RATES.plan("pro") == PRO


class TestPreflight:
    def test_says_what_a_run_costs(self):
        assert preflight(2, STARTER, RATES) == "2 symbols on starter: 10 credits a minute, 600 an hour, 14,400 a day"

    def test_one_symbol_is_one(self):
        assert preflight(1, PRO, RATES).startswith("1 symbol on pro: 4 credits a minute")

    def test_without_a_plan_gives_the_span_of_those_that_stream(self):
        expected = "2 symbols, by plan: 6 to 10 credits a minute, 360 to 600 an hour, 8,640 to 14,400 a day"
        assert preflight(2, None, RATES) == expected

    @pytest.mark.parametrize(("duration_s", "most"), [(0, 10), (59.9, 10), (60, 20), (90, 20), (3600, 610)])
    def test_a_bounded_run_costs_at_most_one_round_more_than_its_minutes(self, duration_s, most):
        assert preflight(2, STARTER, RATES, duration_s).endswith(f", at most {most:,} in this run")

    def test_slower_pushes_are_called_by_their_interval(self):
        rates = CreditRates((STARTER,), minutes_per_push=5)
        expected = "2 symbols on starter: 10 credits every 5 minutes, 120 an hour, 2,880 a day"
        assert preflight(2, STARTER, rates) == expected

    def test_no_plan_that_streams_costs_nothing(self):
        assert preflight(2, None, CreditRates((FREE,))).startswith("2 symbols, by plan: 0 credits a minute")
