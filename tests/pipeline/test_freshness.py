"""The age of data is counted from when it was received, whatever the provider's time says."""

from __future__ import annotations

from msgspec import structs

from tests.pipeline.events import at, bar, batch, notice, quote
from tickstream.pipeline.freshness import FreshnessStage


def test_the_latest_data_of_each_symbol_counts_and_nothing_else_does() -> None:
    stage = FreshnessStage("tickatlas")
    first = batch(1, bar("EURUSD", 0), notice("code", 1, "XAUUSD"), quote("BTCUSD", 0))
    assert stage.process(first) is first
    stage.process(batch(2, bar("EURUSD", None)))
    assert stage.last_data == {("tickatlas", "EURUSD"): at(2), ("tickatlas", "BTCUSD"): at(1)}
    assert stage.finish(at(3)) == []


def test_the_same_symbol_of_two_providers_is_two() -> None:
    stage = FreshnessStage()
    stage.process(batch(1, bar("EURUSD", 0), structs.replace(bar("EURUSD", 0), provider="fcs")))
    stage.process(batch(2, bar("EURUSD", 1)))
    assert stage.last_data == {("tickatlas", "EURUSD"): at(2), ("fcs", "EURUSD"): at(1)}
