"""The exception tree is what its drawing says, and each class knows its exit code and what a session does about it."""

from __future__ import annotations

import re

import pytest

from tickstream import errors
from tickstream.errors import (
    AuthTimeout,
    ConnectionLost,
    ExitCode,
    HandshakeError,
    NetworkError,
    ProtocolViolation,
    ProviderError,
    RateLimited,
    Recovery,
    ResolveError,
    TickstreamError,
    TlsError,
)

TABLE = {
    "TickstreamError": (ExitCode.BUG, Recovery.FATAL),
    "UsageError": (ExitCode.USAGE, Recovery.FATAL),
    "ConfigError": (ExitCode.CONFIG, Recovery.FATAL),
    "NetworkError": (ExitCode.NETWORK, Recovery.BACKOFF),
    "ResolveError": (ExitCode.NETWORK, Recovery.BACKOFF),
    "ConnectionLost": (ExitCode.NETWORK, Recovery.BACKOFF),
    "HandshakeError": (ExitCode.NETWORK, Recovery.BACKOFF),
    "SessionStale": (ExitCode.NETWORK, Recovery.BACKOFF),
    "RefusedByServer": (ExitCode.NETWORK, Recovery.FATAL),
    "TlsError": (ExitCode.TLS, Recovery.FATAL),
    "InsecureUrl": (ExitCode.TLS, Recovery.FATAL),
    "ProviderError": (ExitCode.PROTOCOL, Recovery.BACKOFF),
    "InvalidKey": (ExitCode.INVALID_KEY, Recovery.FATAL),
    "Forbidden": (ExitCode.FORBIDDEN, Recovery.FATAL),
    "ConnectionLimit": (ExitCode.CONNECTION_LIMIT, Recovery.HOLD),
    "QuotaExceeded": (ExitCode.QUOTA, Recovery.FATAL),
    "AuthTimeout": (ExitCode.AUTH_TIMEOUT, Recovery.BACKOFF),
    "SymbolRefused": (ExitCode.REFUSED, Recovery.FATAL),
    "RateLimited": (ExitCode.RATE_LIMITED, Recovery.RATE),
    "ProtocolViolation": (ExitCode.PROTOCOL, Recovery.BACKOFF),
    "CreditLimit": (ExitCode.QUOTA, Recovery.FATAL),
    "NoData": (ExitCode.NO_DATA, Recovery.FATAL),
    "OutputError": (ExitCode.OUTPUT, Recovery.FATAL),
    "InputError": (ExitCode.OUTPUT, Recovery.FATAL),
    "Incomplete": (ExitCode.INCOMPLETE, Recovery.FATAL),
    "TargetLocked": (ExitCode.LOCKED, Recovery.FATAL),
}
"""Class -> exit code and recovery, once more and by hand: scripts and retries depend on both."""


def classes() -> dict[str, type[TickstreamError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, TickstreamError) and kind.__module__ == errors.__name__
    }


def drawn() -> list[tuple[str, str | None, int | None]]:
    """The tree in the docstring: (class, class it hangs from, exit code if one is given), from top to bottom."""
    found: list[tuple[str, str | None, int | None]] = []
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)(?: +(\d+))?(?: |$)", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [(at, name) for at, name in above if at < depth]
        found.append((match[2], above[-1][1] if above else None, int(match[3]) if match[3] else None))
        above.append((depth, match[2]))
    return found


def test_the_drawing_shows_every_class_under_its_base() -> None:
    tree = {name: kind.__base__.__name__ for name, kind in classes().items() if kind.__base__ is not None}
    assert {name: base or "Exception" for name, base, _ in drawn()} == tree


def test_the_drawing_gives_the_exit_codes_where_they_change() -> None:
    for name, base, code in drawn():
        own = classes()[name].exit_code
        expected = code if code is not None else (classes()[base].exit_code if base else ExitCode.BUG)
        assert own == expected, name


@pytest.mark.parametrize("name", TABLE)
def test_each_class_has_its_exit_code_and_recovery(name: str) -> None:
    kind = classes()[name]
    assert (kind.exit_code, kind.recovery) == TABLE[name]
    assert kind("what").retryable == (TABLE[name][1] is not Recovery.FATAL)
    assert kind.__doc__


def test_no_class_is_missing_from_the_table() -> None:
    assert set(TABLE) == set(classes())


def test_the_exit_codes_are_the_contract_with_everybodys_scripts() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "BUG": 1, "USAGE": 2, "CONFIG": 3, "INVALID_KEY": 4, "FORBIDDEN": 5, "CONNECTION_LIMIT": 6, "QUOTA": 7,
        "AUTH_TIMEOUT": 8, "REFUSED": 9, "NETWORK": 10, "TLS": 11, "PROTOCOL": 12, "NO_DATA": 13, "OUTPUT": 14,
        "INCOMPLETE": 15, "RATE_LIMITED": 16, "LOCKED": 17, "SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143,
    }  # fmt: skip
    assert all(code.meaning for code in ExitCode)
    assert ExitCode(4) is ExitCode.INVALID_KEY


def test_the_text_of_an_error_is_what_happened_and_what_to_do() -> None:
    assert str(TickstreamError("It broke.")) == "It broke."
    assert str(TickstreamError("It broke.", hint="Mend it.")) == "It broke.\nMend it."
    assert TickstreamError("x", symbols=("EURUSD",)).symbols == ("EURUSD",)


def test_errors_carry_what_decisions_are_made_from() -> None:
    assert NetworkError("x", retry_after_s=5).retry_after_s == 5
    assert ResolveError("x", unknown_host=True).unknown_host
    lost = ConnectionLost("x", close_code=1012, reason="restart", retry_after_s=3)
    assert (lost.close_code, lost.reason, lost.retry_after_s) == (1012, "restart", 3)
    assert HandshakeError("x", status=503, retry_after_s=7).status == 503
    assert TlsError("x", verify_code=20).verify_code == 20
    assert ProviderError("x", code="new_code").code == "new_code"
    assert RateLimited("x", retry_after_s=30).retry_after_s == 30
    assert AuthTimeout("x").code == ""
    assert ProtocolViolation("x").close_code == 1002
