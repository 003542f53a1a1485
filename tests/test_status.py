from __future__ import annotations

from tickstream.credits import CreditMeter
from tickstream.status import ProviderStatus, RunStatus

NOON = 1_782_302_400 * 10**9


def meter(used: int, left: int | None) -> CreditMeter:
    made = CreditMeter()
    made.account(1, None if left is None else left + used, NOON)
    made.charge(used, NOON)
    return made


def test_of_one_provider_a_symbol_is_its_own_name() -> None:
    run = RunStatus("LIVE", (ProviderStatus("tickatlas", ("EURUSD",)),), [])
    assert (run.several, run.provider, run.names) == (False, "tickatlas", ("EURUSD",))


def test_of_several_a_name_says_whose_it_is() -> None:
    run = RunStatus("LIVE", (ProviderStatus("tickatlas", ("EURUSD",)), ProviderStatus("fcs", ("FX:EURUSD",))), [])
    assert (run.several, run.provider) == (True, "tickatlas,fcs")
    assert run.names == ("tickatlas:EURUSD", "fcs:FX:EURUSD")


def test_credits_are_those_of_all_who_charge() -> None:
    one, other, free = (ProviderStatus(name) for name in "abc")
    run = RunStatus("LIVE", (one, other, free), [])
    assert (run.credits_used(), run.credits_remaining(NOON)) == (None, None)
    one.credits, other.credits = meter(5, 100), meter(7, 1000)
    assert (run.credits_used(), run.credits_remaining(NOON)) == (12, 1100)
    other.credits = meter(7, None)
    assert (run.credits_used(), run.credits_remaining(NOON)) == (12, None)
