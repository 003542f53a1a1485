"""What a close frame means, as a table."""

from __future__ import annotations

import pytest

from tickstream.errors import ConnectionLost, Forbidden, RateLimited, Recovery, TickstreamError
from tickstream.session.closing import closing_error


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1000, "the provider ended the session"), (1001, "going away"), (1003, "the provider closed the connection"),
        (1009, "too big"), (1011, "internal error"), (1012, "restarts"), (3000, "closed the connection"),
        (4999, "closed the connection"),
    ],
)  # fmt: skip
def test_most_codes_are_a_lost_connection_that_comes_back(code: int, words: str, live: bool) -> None:
    error = closing_error(code, "", live)
    assert type(error) is ConnectionLost
    assert (error.close_code, error.reason, error.retry_after_s) == (code, "", None)
    assert words in str(error)
    assert f"(code {code})." in str(error)


def test_a_close_frame_without_a_code_is_no_lost_line() -> None:
    error = closing_error(None, "", live=True)
    assert isinstance(error, ConnectionLost)
    assert str(error) == "Connection closed: the provider closed the connection."
    assert error.close_code is None


def test_a_reason_is_shown_and_kept() -> None:
    error = closing_error(4001, "Session replaced.", live=True)
    assert str(error) == "Connection closed: the provider closed the connection (code 4001): Session replaced."
    assert isinstance(error, ConnectionLost)
    assert error.reason == "Session replaced."


@pytest.mark.parametrize(
    ("code", "live", "kind", "recovery", "wait"),
    [
        (1008, False, Forbidden, Recovery.FATAL, None),
        (1008, True, ConnectionLost, Recovery.BACKOFF, 30),
        (1013, False, RateLimited, Recovery.RATE, 30),
        (1013, True, RateLimited, Recovery.RATE, 30),
    ],
)
def test_policy_and_overload_have_meanings_of_their_own(
    code: int, live: bool, kind: type[TickstreamError], recovery: Recovery, wait: float | None
) -> None:
    error = closing_error(code, "x", live)
    assert type(error) is kind
    assert error.recovery is recovery
    assert getattr(error, "retry_after_s", None) == wait
    assert getattr(error, "code", f"close_{code}") == f"close_{code}"
