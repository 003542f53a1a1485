"""The meter of a run: what it used, what is left, when that runs out."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.credits import NS_PER_DAY, CreditMeter, next_reset_ns
from tickstream.errors import CreditLimit, ExitCode

S = 1_000_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000) * 1000


NOON = at("2026-06-24T12:00:00")


def streaming(minutes: int, meter: CreditMeter, pushes: int = 2, start: int = NOON) -> int:
    """A push of each symbol every minute; the time of the last."""
    for minute in range(minutes):
        meter.charge(pushes, start + minute * MINUTE)
    return start + (minutes - 1) * MINUTE


class TestUsed:
    def test_a_push_costs_what_the_account_says(self):
        meter = CreditMeter()
        meter.account(5, 10_000, NOON)
        meter.charge(3, NOON)
        assert (meter.used, meter.pushes, meter.remaining(NOON)) == (15, 3, 9_985)

    def test_a_reconnect_changes_what_is_left_and_not_what_was_used(self):
        meter = CreditMeter()
        meter.account(5, 10_000, NOON)
        meter.charge(1, NOON)
        meter.account(4, 9_000, NOON + S)
        meter.charge(1, NOON + S)
        assert (meter.used, meter.remaining(NOON + S)) == (9, 8_996)

    def test_an_account_that_does_not_say_keeps_the_price(self):
        meter = CreditMeter(credits_per_push=4)
        meter.account(None, 100, NOON)
        meter.charge(2, NOON)
        assert (meter.credits_per_push, meter.used) == (4, 8)

    def test_pushes_of_unknown_price_are_counted_and_not_priced(self):
        meter = CreditMeter(max_credits=1)
        meter.charge(7, NOON)
        meter.check(100)
        assert (meter.credits_per_push, meter.pushes, meter.used) == (None, 7, 0)

    def test_sessions_in_many_threads_lose_no_charge(self):
        meter = CreditMeter()
        meter.account(3, 1_000_000, NOON)

        def session() -> None:
            for _ in range(500):
                meter.charge(2, NOON)

        threads = [threading.Thread(target=session) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert meter.used == 8 * 500 * 2 * 3
        assert meter.remaining(NOON) == 1_000_000 - meter.used


class TestLimit:
    def test_the_last_push_within_the_limit_is_allowed_and_the_next_is_not(self):
        meter = CreditMeter(max_credits=10, credits_per_push=5)
        meter.charge(1, NOON)
        meter.check()
        meter.charge(1, NOON)
        with pytest.raises(CreditLimit, match="--max-credits 10 reached: 10 credits used") as caught:
            meter.check()
        assert caught.value.exit_code is ExitCode.QUOTA

    def test_a_batch_is_checked_as_a_whole(self):
        meter = CreditMeter(max_credits=12, credits_per_push=5)
        meter.check(2)
        with pytest.raises(CreditLimit):
            meter.check(3)

    def test_the_next_pushes_of_all_symbols_of_all_sessions_come_together(self):
        meter = CreditMeter(max_credits=24, credits_per_push=4)
        meter.expect(1, 2)
        meter.expect(2, 1)
        meter.charge(3, NOON)
        meter.check()
        meter.charge(1, NOON)
        with pytest.raises(CreditLimit, match="16 credits used, and the next 3 pushes, which come together, cost 12"):
            meter.check()
        meter.expect(1, 1)
        meter.check()

    def test_a_limit_of_zero_allows_no_push(self):
        with pytest.raises(CreditLimit):
            CreditMeter(max_credits=0, credits_per_push=5).check()

    def test_without_a_limit_everything_is_allowed(self):
        CreditMeter(credits_per_push=5).check(10**9)

    def test_the_limit_holds_over_reconnects_and_resets(self):
        meter = CreditMeter(max_credits=10)
        meter.account(5, 100, NOON)
        meter.charge(1, NOON)
        meter.account(5, 1_000, NOON + NS_PER_DAY)
        meter.charge(1, NOON + NS_PER_DAY)
        with pytest.raises(CreditLimit):
            meter.check()


class TestRemaining:
    def test_nothing_is_known_before_the_first_authentication(self):
        meter = CreditMeter()
        assert meter.remaining(NOON) is None
        assert not meter.exhausted(NOON)
        assert not meter.unlimited

    def test_no_quota_means_unlimited(self):
        meter = CreditMeter()
        meter.account(3, None, NOON)
        meter.charge(10, NOON)
        assert (meter.unlimited, meter.remaining(NOON), meter.exhausted(NOON)) == (True, None, False)

    def test_it_never_falls_below_zero(self):
        meter = CreditMeter()
        meter.account(5, 7, NOON)
        meter.charge(2, NOON)
        assert meter.remaining(NOON) == 0

    @pytest.mark.parametrize(("left", "exhausted"), [(0, True), (4, True), (5, False)])
    def test_it_is_exhausted_when_it_does_not_pay_for_one_push(self, left, exhausted):
        meter = CreditMeter()
        meter.account(5, left, NOON)
        assert meter.exhausted(NOON) is exhausted

    def test_the_providers_word_ends_the_quota_whatever_was_counted(self):
        meter = CreditMeter()
        meter.account(5, 10_000, NOON)
        meter.quota_exceeded(NOON)
        assert (meter.remaining(NOON), meter.exhausted(NOON)) == (0, True)

    def test_after_midnight_it_is_unknown_until_the_provider_says(self):
        meter = CreditMeter()
        before, after = at("2026-06-24T23:59:59.900000"), at("2026-06-25T00:00:00")
        meter.account(5, 10, before)
        meter.quota_exceeded(before)
        assert meter.exhausted(before)
        assert meter.remaining(after) is None
        assert not meter.exhausted(after)
        meter.account(5, 10_000, after)
        meter.charge(1, after)
        assert meter.remaining(after) == 9_995

    def test_after_midnight_a_known_daily_quota_begins_anew(self):
        meter = CreditMeter(daily_quota=10_000)
        meter.account(5, 10, NOON)
        meter.charge(2, NOON + NS_PER_DAY)
        assert meter.remaining(NOON + NS_PER_DAY) == 9_990

    def test_a_clock_that_is_set_back_a_day_brings_no_credits(self):
        meter = CreditMeter(daily_quota=10_000)
        meter.account(5, 10, NOON)
        assert meter.remaining(NOON - NS_PER_DAY) == 10


class TestReset:
    @pytest.mark.parametrize(
        ("now", "reset"),
        [
            ("2026-06-24T23:59:59.900000", "2026-06-25T00:00:00"),
            ("2026-06-25T00:00:00", "2026-06-26T00:00:00"),
            ("2026-03-08T07:00:00", "2026-03-09T00:00:00"),  # New York goes to summer time
            ("2026-03-29T01:30:00", "2026-03-30T00:00:00"),  # Europe does
            ("2026-11-01T06:30:00", "2026-11-02T00:00:00"),  # New York goes back
            ("2028-02-28T12:00:00", "2028-02-29T00:00:00"),
            ("2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ],
    )
    def test_quotas_reset_at_midnight_utc_whatever_the_clocks_do(self, now, reset):
        assert next_reset_ns(at(now)) == at(reset)
        assert CreditMeter().next_reset_ns(at(now)) == at(reset)


class TestBurn:
    def test_it_is_unknown_before_the_first_push_and_in_the_first_minute(self):
        meter = CreditMeter(credits_per_push=5)
        assert meter.burn_per_hour(NOON) is None
        meter.charge(1, NOON)
        assert meter.burn_per_hour(NOON + 59 * S) is None

    @pytest.mark.parametrize("minutes", [2, 3, 7, 30])
    @pytest.mark.parametrize("later_s", [0, 1, 30, 59])
    def test_a_steady_stream_burns_what_the_estimate_says_at_any_moment(self, minutes, later_s):
        meter = CreditMeter(credits_per_push=5)
        last = streaming(minutes, meter)
        assert meter.burn_per_hour(last + later_s * S) == 2 * 5 * 60

    def test_pushes_every_second_burn_sixty_times_as_much(self):
        meter = CreditMeter(credits_per_push=5)
        for second in range(200):
            meter.charge(1, NOON + second * S)
        assert meter.burn_per_hour(NOON + 199 * S) == 5 * 3600

    def test_it_falls_to_zero_when_nothing_comes(self):
        meter = CreditMeter(credits_per_push=5)
        last = streaming(20, meter)
        assert meter.burn_per_hour(last + 11 * MINUTE) == 0

    def test_it_follows_a_change_within_ten_minutes(self):
        meter = CreditMeter(credits_per_push=5)
        last = streaming(30, meter, pushes=2)
        last = streaming(11, meter, pushes=4, start=last + MINUTE)
        assert meter.burn_per_hour(last) == 4 * 5 * 60

    def test_a_clock_that_is_set_back_begins_a_new_measurement(self):
        meter = CreditMeter(credits_per_push=5)
        streaming(10, meter)
        last = streaming(3, meter, start=NOON - HOUR)
        assert meter.burn_per_hour(last) == 600

    @given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 400)), min_size=1, max_size=200))
    def test_memory_is_bounded_and_the_rate_is_that_of_the_last_minutes(self, charges):
        meter = CreditMeter(credits_per_push=2)
        now, log = NOON, []
        for pushes, wait_s in charges:
            now += wait_s * S
            meter.charge(pushes, now)
            log.append((now, 2 * pushes))
        minutes = min(10, (now - log[0][0]) // MINUTE)
        expected = sum(cost for when, cost in log if when > now - minutes * MINUTE) * 60 // minutes if minutes else None
        assert meter.burn_per_hour(now) == expected
        assert len(meter._charges) <= 601


class TestRunsOut:
    def test_it_tells_when_the_credits_end_at_this_pace(self):
        meter = CreditMeter()
        meter.account(5, 1_000, NOON)
        last = streaming(11, meter)
        assert meter.remaining(last) == 890
        assert meter.runs_out_at(last) == last + 89 * MINUTE

    def test_credits_that_last_until_the_reset_do_not_run_out(self):
        meter = CreditMeter()
        meter.account(5, 8_000, NOON)
        assert meter.runs_out_at(streaming(11, meter)) is None

    def test_without_quota_or_burn_there_is_no_time(self):
        meter = CreditMeter()
        meter.account(5, None, NOON)
        assert meter.runs_out_at(streaming(11, meter)) is None
        idle = CreditMeter()
        idle.account(5, 100, NOON)
        assert idle.runs_out_at(NOON) is None
