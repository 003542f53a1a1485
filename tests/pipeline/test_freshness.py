"""The age of data is counted from when it was received, whatever the provider's time says."""

from __future__ import annotations

from tests.pipeline.events import at, bar, batch, notice, quote
from tickstream.pipeline.freshness import FreshnessStage


def test_the_latest_data_of_each_symbol_counts_and_nothing_else_does() -> None:
    stage = FreshnessStage()
    first = batch(1, bar("EURUSD", 0), notice("code", 1, "XAUUSD"), quote("BTCUSD", 0))
    assert stage.process(first) is first
    stage.process(batch(2, bar("EURUSD", None)))
    assert stage.last_data == {"EURUSD": at(2), "BTCUSD": at(1)}
    assert stage.finish(at(3)) == []
