from __future__ import annotations

import pytest

from tickstream.clock import FakeClock
from tickstream.diagnosis import (
    Examination,
    Finding,
    Skew,
    Status,
    Step,
    Verdict,
    blame,
    clock_skew,
    expiry,
    latency,
    punctuality,
)
from tickstream.errors import (
    AuthTimeout,
    ConfigError,
    ConnectionLimit,
    ConnectionLost,
    ExitCode,
    Forbidden,
    HandshakeError,
    InsecureUrl,
    InvalidKey,
    NetworkError,
    NoData,
    ProtocolViolation,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    RefusedByServer,
    ResolveError,
    SessionStale,
    SymbolRefused,
    TickstreamError,
    TlsError,
    UsageError,
)

S = 1_000_000_000
YOU, THEM, NETWORK = Verdict.YOU, Verdict.THEM, Verdict.NETWORK


# --- whose fault -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "with_their_url", "with_own_url"),
    [
        (UsageError("x"), YOU, YOU),
        (ConfigError("x"), YOU, YOU),
        (InvalidKey("x"), YOU, YOU),
        (Forbidden("x"), YOU, YOU),
        (ConnectionLimit("x"), YOU, YOU),
        (QuotaExceeded("x"), YOU, YOU),
        (SymbolRefused("x"), YOU, YOU),
        (RateLimited("x"), YOU, YOU),
        (ResolveError("no such host", unknown_host=True), NETWORK, YOU),
        (ResolveError("no DNS"), NETWORK, NETWORK),
        (NetworkError("refused, or no answer"), NETWORK, YOU),
        (HandshakeError("does not speak TLS"), NETWORK, YOU),
        (HandshakeError("a login page", status=200), NETWORK, YOU),
        (HandshakeError("overloaded", status=503), THEM, THEM),
        (RefusedByServer("not found", status=404), THEM, YOU),
        (InsecureUrl("a redirect"), THEM, YOU),
        (ConnectionLost("broke"), NETWORK, NETWORK),
        (ConnectionLost("closed", close_code=1011), THEM, THEM),
        (SessionStale("mute"), THEM, THEM),
        (AuthTimeout("x"), THEM, THEM),
        (ProviderError("x"), THEM, THEM),
        (ProtocolViolation("x"), THEM, THEM),
        (NoData("x"), THEM, THEM),
        (TlsError("not yet valid: our clock is behind", verify_code=9), YOU, YOU),
        (TlsError("expired", verify_code=10), THEM, YOU),
        (TlsError("unknown authority: somebody in between", verify_code=20), NETWORK, YOU),
        (TlsError("another name", verify_code=62), NETWORK, YOU),
        (TlsError("no common version"), THEM, YOU),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, TickstreamError) else None,
)
def test_blame_follows_the_class_of_the_error_and_whose_url_it_is(
    error: TickstreamError, with_their_url: Verdict, with_own_url: Verdict
) -> None:
    assert blame(error, own_url=False) is with_their_url
    assert blame(error, own_url=True) is with_own_url


# --- clocks ----------------------------------------------------------------------------------------------------------

DATE = "Wed, 24 Jun 2026 14:54:00 GMT"
AT_NS = 1_782_312_840 * S


@pytest.mark.parametrize(
    ("ours_s", "round_trip_s", "seconds", "within"),
    [(0.5, 0.0, 0.0, 0.5), (0.6, 0.2, 0.0, 0.6), (5.5, 0.0, 5.0, 0.5), (-4.5, 0.0, -5.0, 0.5), (4.5, 8.0, 0.0, 4.5)],
)
def test_the_skew_is_measured_from_the_middle_of_the_round_trip_and_of_the_dates_second(
    ours_s: float, round_trip_s: float, seconds: float, within: float
) -> None:
    skew = clock_skew(DATE, AT_NS + round(ours_s * S), round_trip_s)
    assert skew is not None
    assert (skew.seconds, skew.within) == pytest.approx((seconds, within))


@pytest.mark.parametrize("date", ["", "soon", "Wed, 99 Jun 2026 14:54:00 GMT", "Wed, 24 Jun 99999 14:54:00 GMT"])
def test_a_date_that_is_none_gives_no_skew(date: str) -> None:
    assert clock_skew(date, AT_NS, 0.1) is None


def test_a_date_without_a_zone_is_utc() -> None:
    skew = clock_skew("Wed, 24 Jun 2026 14:54:00 -0000", AT_NS + S // 2, 0.0)
    assert skew is not None
    assert skew.seconds == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("seconds", "within", "matters"), [(2.1, 0.5, True), (-2.1, 0.5, True), (2.0, 0.5, False), (4.0, 4.5, False)]
)
def test_a_skew_matters_beyond_two_seconds_unless_the_measurement_may_be_as_wrong(
    seconds: float, within: float, matters: bool
) -> None:
    assert Skew(seconds, within).matters is matters


def test_a_skew_says_in_which_direction() -> None:
    assert str(Skew(3.04, 0.5)) == "3.0 s ahead of"
    assert str(Skew(-3.04, 0.5)) == "3.0 s behind"


# --- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("late_s", "text"), [(0.4, "0.4 s after"), (-1.9, "0.0 s after"), (15.0, "15.0 s after")])
def test_a_candle_that_comes_at_its_end_is_well(late_s: float, text: str) -> None:
    found = punctuality(late_s, None)
    assert (found.status, found.verdict) == (Status.OK, Verdict.NOBODY)
    assert found.detail.startswith(text)


@pytest.mark.parametrize("late_s", [-3.0, 16.0, -10_800.0])
@pytest.mark.parametrize(
    ("skew", "verdict"), [(None, Verdict.THEM), (Skew(0.1, 0.5), Verdict.THEM), (Skew(-9.0, 0.5), Verdict.YOU)]
)
def test_a_candle_from_the_future_or_the_past_is_theirs_unless_our_clock_is_off(
    late_s: float, skew: Skew | None, verdict: Verdict
) -> None:
    found = punctuality(late_s, skew)
    assert (found.status, found.verdict, found.facts["late_s"]) == (Status.WARN, verdict, late_s)
    assert found.advice


# --- other measurements ----------------------------------------------------------------------------------------------


def test_latency_is_the_least_and_the_median() -> None:
    found = latency([30.0, 10.0, 900.0, 20.0, 21.0])
    assert found.detail == "5 pings: min 10.0 ms, median 21.0 ms"
    assert found.facts == {"pings": 5, "min_ms": 10.0, "median_ms": 21.0}
    assert found.status is Status.OK


def test_a_slow_line_is_the_networks() -> None:
    found = latency([1200.0])
    assert (found.status, found.verdict) == (Status.WARN, Verdict.NETWORK)


@pytest.mark.parametrize(
    ("seconds", "days", "status"),
    [(14 * 86_400, 14, Status.OK), (14 * 86_400 - 1, 13, Status.WARN), (3600, 0, Status.WARN), (-5, -1, Status.WARN)],
)
def test_a_certificate_that_ends_within_two_weeks_is_worth_a_warning(seconds: int, days: int, status: Status) -> None:
    found = expiry(1_782_312_840 + seconds, AT_NS)
    assert (found.status, found.facts["expires_in_days"]) == (status, days)
    assert f"{max(0, days)} days" in found.detail


# --- the examination -------------------------------------------------------------------------------------------------


def examination(*names: str) -> tuple[Examination, FakeClock, list[Step]]:
    clock, told = FakeClock(), []
    return Examination(names, clock, told.append), clock, told


def test_checks_are_timed_and_told_as_soon_as_they_are_over() -> None:
    exam, clock, told = examination("a", "b")

    def slow() -> Finding:
        clock.advance(1.2345)
        return Finding("went well", facts={"n": 1})

    exam.check("a", slow)
    assert told == [Step("a", Status.OK, 1234.5, "went well", Verdict.NOBODY, "", {"n": 1})]
    assert exam.exit_code is ExitCode.OK


def test_the_check_that_fails_is_the_last_and_the_rest_is_skipped() -> None:
    exam, clock, told = examination("a", "b", "c")

    def fails() -> Finding:
        clock.advance(2)
        raise InvalidKey("unknown key", code="invalid_key", hint="Make a new one.")

    exam.check("a", lambda: Finding("fine"))
    with pytest.raises(InvalidKey) as caught:
        exam.check("b", fails)
    clock.advance(3)  # the polite goodbye
    exam.fail(caught.value, own_url=False)
    assert [(step.name, step.status, step.duration_ms) for step in told] == [
        ("a", Status.OK, 0.0),
        ("b", Status.FAIL, 2000.0),
        ("c", Status.SKIP, None),
    ]
    failed = told[1]
    assert (failed.detail, failed.verdict, failed.advice) == ("unknown key", YOU, "Make a new one.")
    assert failed.facts == {"error": "InvalidKey", "code": "invalid_key"}
    assert exam.exit_code is ExitCode.INVALID_KEY


def test_a_failure_between_two_checks_is_that_of_the_next_one() -> None:
    exam, _, told = examination("a", "b")
    exam.check("a", lambda: Finding("fine"))
    exam.fail(InsecureUrl("leads elsewhere"), own_url=False)
    assert [(step.name, step.status, step.duration_ms) for step in told][1] == ("b", Status.FAIL, 0.0)


def test_a_check_that_was_begun_and_not_ended_fails_with_its_time() -> None:
    exam, clock, told = examination("a", "b")
    exam.begin("a")
    clock.advance(0.5)
    exam.fail(HandshakeError("unavailable", status=503), own_url=False)
    assert (told[0].duration_ms, told[0].verdict, told[0].facts["status"]) == (500.0, THEM, 503)
    assert told[0].advice


def test_a_check_that_does_not_apply_is_skipped() -> None:
    exam, _, told = examination("a", "b")
    exam.skip("not here")
    exam.begin("b")
    exam.end(Finding("fine"))
    assert [(step.status, step.detail) for step in told] == [(Status.SKIP, "not here"), (Status.OK, "fine")]
