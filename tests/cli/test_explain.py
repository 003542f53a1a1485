"""`tickstream explain`."""

from __future__ import annotations

import pytest

from tests.cli.command import run
from tickstream.cli.explain import ADVICE
from tickstream.errors import ExitCode
from tickstream.providers import load, names


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_is_explained_by_number_and_name(code):
    out = run("explain", str(code.value)).ok()
    assert out.startswith(f"{code.value} {code.name} (exit code)\n")
    assert ADVICE[code] in out
    assert code.meaning[1:] in run("explain", code.name).ok()
    assert code.meaning[1:] in run("explain", code.name.lower().replace("_", "-")).ok()


@pytest.mark.parametrize(("provider", "code"), [(name, code.code) for name in names() for code in load(name).errors])
def test_every_error_code_of_every_provider_is_explained(provider, code):
    out = run("explain", code).ok()
    known = load(provider).error(code)
    assert known is not None
    assert known.meaning[1:] in out
    assert known.advice in out


@pytest.mark.parametrize(
    ("code", "reaction"),
    [
        ("invalid_key", "Ends at once with exit code 4."),
        ("forbidden", "Ends at once with exit code 5."),
        ("connection_limit", "Waits 30, 60, 120, then 300 s between tries; after --hold-max it ends with exit code 6."),
        ("auth_timeout", "it ends with exit code 8."),
        ("quota_exceeded", "Goes on, and shows a notice."),
    ],
)
def test_it_says_what_tickstream_does_about_it(code, reaction):
    assert reaction in run("explain", code.upper()).ok()


def test_what_the_provider_does_not_document_is_called_so():
    assert "symbol_limit (TickAtlas error code, not documented)" in run("explain", "symbol_limit").ok()


def test_a_name_of_both_kinds_gives_both():
    out = run("explain", "invalid_key").ok()
    assert out.index("invalid_key (TickAtlas error code)") < out.index("4 INVALID_KEY (exit code)")


def test_an_unknown_code_is_answered_with_the_nearest():
    assert "Did you mean quota_exceeded?" in run("explain", "quota_exceded").failed(ExitCode.USAGE)
    assert "exit-codes" in run("explain", "99").failed(ExitCode.USAGE)


def test_a_code_is_needed():
    assert "Missing argument" in run("explain").failed(ExitCode.USAGE)
