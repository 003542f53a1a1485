"""What one can ask of a simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickstream.errors import UsageError
from tickstream.simulator.options import RACE, SimulatorOptions


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_listens_on_this_machine_only(host: str) -> None:
    assert SimulatorOptions(host=host).host == host


def test_another_host_must_be_asked_for_twice() -> None:
    with pytest.raises(UsageError, match="can be reached by other machines"):
        SimulatorOptions(host="0.0.0.0")
    assert SimulatorOptions(host="0.0.0.0", public=True).public


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": "gold"},
        {"speed": 0},
        {"speed": -1.0},
        {"speed": float("nan")},
        {"heartbeat_s": 0},
        {"auth_deadline_s": -1},
        {"close_code": 1006},
        {"close_code": 5},
        {"known": ("EUR/USD",)},
        {"known": ('A"',)},
        {"tls_cert": Path("cert.pem")},
        {"tls_key": Path("key.pem")},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SimulatorOptions(**wrong)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("asked", "follows"),
    [({}, True), ({"speed": 60.0}, False), ({"speed": RACE}, False), ({"m1": Path()}, False), ({"start_ns": 1}, False),
     ({"market_hours": "ignore"}, False), ({"speed": 60.0, "market_hours": "follow"}, True)],
)  # fmt: skip
def test_market_hours_are_followed_in_real_time_unless_told_otherwise(asked: dict[str, object], follows: bool) -> None:
    assert SimulatorOptions(**asked).follows_hours == follows  # type: ignore[arg-type]  # a table of keywords


def test_known_symbols_are_symbols() -> None:
    assert SimulatorOptions(known=("EURUSD", "BRK.B")).known == ("EURUSD", "BRK.B")


def test_a_certificate_means_tls() -> None:
    assert SimulatorOptions(tls_cert=Path("c"), tls_key=Path("k")).secure
    assert SimulatorOptions(tls=True).secure
    assert not SimulatorOptions().secure
