"""When to try again and when to give up: every bound, and no more attempts than a provider should bear."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    ConnectionLost,
    CreditLimit,
    Forbidden,
    HandshakeError,
    InvalidKey,
    NetworkError,
    ProtocolViolation,
    ProviderError,
    RateLimited,
    RefusedByServer,
    ResolveError,
    SessionStale,
    SymbolRefused,
    TickstreamError,
    TlsError,
)
from tickstream.session.retry import FLAP_WINDOW_S, FLAPS, RetryOptions, RetryPolicy, Wait

NOW = 5000.0


def policy(seed: int = 1, **options: float | None) -> RetryPolicy:
    return RetryPolicy(RetryOptions(**options), random.Random(seed))  # type: ignore[arg-type]  # named as there


def waits(made: RetryPolicy, error: TickstreamError, now: float = NOW) -> Iterator[Wait]:
    """The waits after the same error again and again, with the time they take; ends when it is raised."""
    while True:
        try:
            wait = made.after(error, now)
        except type(error):
            return
        yield wait
        now += wait.seconds


class TestFatalErrors:
    @pytest.mark.parametrize(
        "error",
        [
            InvalidKey("x"), Forbidden("x"), SymbolRefused("x"), TlsError("x"), RefusedByServer("x", status=404),
            CreditLimit("x"),
        ],
    )  # fmt: skip
    def test_they_are_never_retried(self, error: TickstreamError) -> None:
        with pytest.raises(type(error)) as caught:
            policy().after(error, NOW)
        assert caught.value is error
        assert error.hint == ""


class TestBackoff:
    def test_delays_grow_with_full_jitter_up_to_a_minute(self) -> None:
        made = policy()
        for ceiling in (1, 2, 4, 8, 16, 32, 60, 60, 60):
            wait = made.after(NetworkError("x"), NOW)
            assert wait.state == "down"
            assert 0.25 <= wait.seconds <= ceiling

    def test_without_bounds_it_goes_on_for_ever(self) -> None:
        made = policy()
        for attempt in range(2000):
            made.after(NetworkError("x"), NOW + attempt * 60)
        assert made.failures == 2000

    def test_only_data_makes_it_begin_anew(self) -> None:
        made = policy()
        for _ in range(20):
            made.connected(NOW)
            made.after(ConnectionLost("x"), NOW)
        made.data_flowed(for_s=5)
        assert made.failures == 0
        assert made.after(ConnectionLost("x"), NOW).seconds <= 1
        assert made.after(ConnectionLost("x"), NOW).seconds <= 2

    @pytest.mark.parametrize(("stood_s", "least"), [(59.9, 0.25), (60, 0.0)])
    def test_after_a_stable_connection_the_first_retry_comes_almost_at_once(self, stood_s: float, least: float) -> None:
        first = []
        for seed in range(300):
            made = policy(seed)
            made.data_flowed(for_s=stood_s)
            first.append(made.after(SessionStale("x"), NOW).seconds)
        assert max(first) <= 1
        assert (min(first) < 0.25) == (least == 0.0)

    @pytest.mark.parametrize("error", [NetworkError("x", retry_after_s=90), AuthTimeout("x", retry_after_s=90)])
    def test_what_the_server_asks_for_is_the_least(self, error: TickstreamError) -> None:
        assert 90 <= policy().after(error, NOW).seconds <= 99

    def test_and_an_hour_is_the_most(self) -> None:
        assert 3600 <= policy().after(HandshakeError("x", status=503, retry_after_s=1e9), NOW).seconds <= 3960

    def test_too_many_requests_wait_half_a_minute_at_least(self) -> None:
        assert 30 <= policy().after(RateLimited("x"), NOW).seconds <= 33

    def test_a_policy_close_waits_half_a_minute_at_least(self) -> None:
        assert 30 <= policy().after(ConnectionLost("x", close_code=1008, retry_after_s=30), NOW).seconds <= 33

    def test_a_restarting_server_is_given_5_to_30_seconds(self) -> None:
        first = [policy(seed).after(ConnectionLost("x", close_code=1012), NOW).seconds for seed in range(200)]
        assert 5 <= min(first) < 8
        assert 27 < max(first) <= 30

    def test_one_that_restarts_for_ever_is_asked_less_and_less(self) -> None:
        made = policy()
        later = [made.after(ConnectionLost("x", close_code=1012), NOW).seconds for _ in range(200)][20:]
        assert max(later) > 55


class TestThePaceOfConnections:
    def test_from_one_attempt_to_the_next_there_is_the_time_that_the_provider_wants(self) -> None:
        made = RetryPolicy(RetryOptions(), random.Random(1), 10.0)
        made.connected(NOW)
        made.data_flowed(4.0)
        assert made.after(ConnectionLost("x"), NOW + 4).seconds == pytest.approx(6.0)
        assert made.after(NetworkError("x"), NOW + 10).seconds == pytest.approx(10.0), "it was not even connected"
        made.connected(NOW + 20)
        made.data_flowed(100.0)
        assert made.after(ConnectionLost("x"), NOW + 120).seconds <= 1.0, "the last attempt was long ago"


class TestBounds:
    @pytest.mark.parametrize("retries", [0, 1, 5])
    def test_so_many_retries_and_no_more(self, retries: int) -> None:
        made, error = policy(retries=retries), NetworkError("x", hint="Look there.")
        assert len(list(waits(made, error))) == retries
        assert error.hint == f"Gave up: --retries {retries} reached. Look there."

    def test_data_in_between_begins_the_count_anew(self) -> None:
        made = policy(retries=2)
        for _ in range(10):
            made.after(NetworkError("x"), NOW)
            made.after(NetworkError("x"), NOW)
            made.data_flowed(for_s=100)

    def test_no_attempt_is_made_beyond_the_time(self) -> None:
        for seed in range(50):
            made, error = policy(seed, retry_for_s=100), NetworkError("x")
            taken = [wait.seconds for wait in waits(made, error)]
            assert sum(taken) <= 100
            assert sum(taken) > 30, "it does try until then"
            assert "beyond 100 s (--retry-for)" in error.hint

    def test_a_server_that_asks_for_more_time_than_there_is_ends_it_at_once(self) -> None:
        with pytest.raises(NetworkError, match=r"in 9.. s"):
            policy(retry_for_s=100).after(NetworkError("x", retry_after_s=900), NOW)

    def test_time_counts_from_the_first_failure_since_data(self) -> None:
        made = policy(retry_for_s=100)
        made.after(NetworkError("x"), NOW)
        made.data_flowed(for_s=100)
        made.after(NetworkError("x"), NOW + 10_000)
        with pytest.raises(NetworkError):
            made.after(NetworkError("x"), NOW + 10_100)

    def test_a_hold_is_no_shorter_than_the_provider_asked_for(self) -> None:
        held = [wait.seconds for wait in waits(policy(), ConnectionLimit("x", retry_after_s=60.0))]
        assert held[0] == 60.0
        assert min(held) == 60.0
        assert max(held) > 200

    def test_time_on_hold_counts_for_neither(self) -> None:
        made = policy(retries=1, retry_for_s=50)
        for attempt in range(5):
            assert made.after(ConnectionLimit("x"), NOW + attempt * 300).state == "held"
        made.after(NetworkError("x"), NOW + 2000)
        with pytest.raises(NetworkError):
            made.after(NetworkError("x"), NOW + 2001)


class TestHold:
    def test_it_waits_30_60_120_and_then_300_seconds_ten_times_in_all(self) -> None:
        error = ConnectionLimit("x", hint="Stop the other one.")
        held = list(waits(policy(), error))
        assert {wait.state for wait in held} == {"held"}
        for wait, nominal in zip(held, [30, 60, 120, *[300] * 7], strict=True):
            assert nominal * 0.8 <= wait.seconds <= nominal * 1.2
        assert error.hint.startswith("Gave up after holding for ")
        assert error.hint.endswith("Stop the other one.")

    @pytest.mark.parametrize(("bound", "tries"), [(0, 0), (20, 0), (36, 1), (108, 2), (252, 3)])
    def test_it_is_bounded_in_all(self, bound: float, tries: int) -> None:
        held = [wait.seconds for wait in waits(policy(hold_max_s=bound), ConnectionLimit("x"))]
        assert sum(held) <= bound
        assert len(held) >= tries

    def test_data_in_between_begins_it_anew(self) -> None:
        made = policy(hold_max_s=40)
        for _ in range(5):
            assert made.after(ConnectionLimit("x"), NOW).seconds <= 36
            made.data_flowed(for_s=1)


class TestTheSameAnswer:
    @pytest.mark.parametrize(
        "error",
        [
            AuthTimeout("x"), ResolveError("x", unknown_host=True), HandshakeError("x", status=200),
            ConnectionLost("x", close_code=1008), ProtocolViolation("x", close_code=1009),
            ProviderError("x", code="account_suspended"),
        ],
    )  # fmt: skip
    def test_three_times_in_a_row_ends_it(self, error: TickstreamError) -> None:
        assert len(list(waits(policy(), error))) == 2
        assert "the same answer 3 times" in error.hint

    @pytest.mark.parametrize(
        "error",
        [
            NetworkError("x"), ConnectionLost("x", close_code=1001), SessionStale("x"), ResolveError("x"),
            HandshakeError("x", status=503), ProtocolViolation("x"), RateLimited("x"),
        ],
    )  # fmt: skip
    def test_what_may_pass_may_repeat(self, error: TickstreamError) -> None:
        made = policy()
        for _ in range(50):
            made.after(error, NOW)

    def test_another_answer_in_between_breaks_the_row(self) -> None:
        made = policy()
        for _ in range(10):
            made.after(AuthTimeout("x"), NOW)
            made.after(AuthTimeout("x"), NOW)
            made.after(NetworkError("x"), NOW)

    def test_so_does_data(self) -> None:
        made = policy()
        for _ in range(10):
            made.after(ConnectionLost("x", close_code=1008), NOW)
            made.after(ConnectionLost("x", close_code=1008), NOW)
            made.data_flowed(for_s=1)

    def test_two_unknown_errors_are_not_the_same(self) -> None:
        made = policy()
        for _ in range(5):
            made.after(ProviderError("x", code="maintenance"), NOW)
            made.after(ProviderError("x", code="overloaded"), NOW)

    @pytest.mark.parametrize("error", [ResolveError("x", unknown_host=True), ProviderError("x", code="maintenance")])
    def test_what_had_worked_is_given_more_patience(self, error: TickstreamError) -> None:
        made = policy()
        made.data_flowed(for_s=1)
        for _ in range(50):
            made.after(error, NOW)


class TestFlapping:
    """The provider accepts, confirms, and closes after two seconds, again and again."""

    def attempts(self, seed: int, error: TickstreamError, stands_s: float, until: float) -> list[float]:
        made, now, started = policy(seed), 0.0, []
        while now < until:
            started.append(now)
            made.connected(now)
            now += stands_s
            now += made.after(error, now).seconds
        return started

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**32), st.sampled_from([1001, 1011, 1012]), st.floats(0, 10))
    def test_at_most_twelve_connections_in_any_ten_minutes_bring_no_data(
        self, seed: int, code: int, stands_s: float
    ) -> None:
        started = self.attempts(seed, ConnectionLost("x", close_code=code), stands_s, until=3 * FLAP_WINDOW_S)
        for first in started:
            assert sum(first <= at < first + FLAP_WINDOW_S for at in started) <= FLAPS

    def test_it_does_not_give_up(self) -> None:
        assert len(self.attempts(1, ConnectionLost("x"), 2, until=100 * FLAP_WINDOW_S)) > 10 * 90

    def test_attempts_that_reach_nobody_are_not_held_back(self) -> None:
        made = policy()
        assert all(made.after(NetworkError("x"), NOW).seconds <= 60 for _ in range(50))
