"""Canonical names along the stream."""

from __future__ import annotations

from tests.pipeline.events import MINUTE, START, bar, batch, notice, quote
from tickstream.events import Batch, BookSnapshot, BookUpdate, Glimpses, MarketEvent
from tickstream.numbers import number
from tickstream.pipeline.book import BookStage
from tickstream.pipeline.canonical import CanonicalStage


def names_in(done: Batch) -> list[object]:
    return [getattr(event, "canonical", None) for event in done.events]


def test_events_of_symbols_named_by_another_spelling_carry_their_canonical_name() -> None:
    stage = CanonicalStage({"FX:EURUSD": "EURUSD"})
    done = stage.process(batch(1, bar("FX:EURUSD", 0), bar("FX:GBPUSD", 0), quote("FX:EURUSD", 1)))
    assert names_in(done) == ["EURUSD", None, "EURUSD"]
    assert done.market_only


def test_nothing_else_of_an_event_changes() -> None:
    level = (number("1.10"), number("5.0"))
    before = BookSnapshot("kraken", "BTC/USD", START, START, (level,), (), 7)
    [after] = CanonicalStage({"BTC/USD": "BTCUSD"}).process(batch(0, before)).events
    assert after == BookSnapshot("kraken", "BTC/USD", START, START, (level,), (), 7, "BTCUSD")
    assert before.canonical is None


def test_events_of_the_stream_pass_as_they_are_and_in_their_place() -> None:
    said = notice("symbol_refused", 1, "FX:EURUSD")
    done = CanonicalStage({"FX:EURUSD": "EURUSD"}).process(batch(1, bar("FX:EURUSD", 0), said, bar("FX:EURUSD", 1)))
    assert names_in(done) == ["EURUSD", None, "EURUSD"]
    assert done.events[1] is said


def test_messages_that_nobody_looks_into_stay_unread() -> None:
    glimpses = Glimpses("fcs", (), {}, START)
    stage = CanonicalStage({"FX:EURUSD": "EURUSD"})
    assert stage.process(Batch(1, 1, START, glimpses, market_only=True)).events is glimpses
    plain = MarketEvent("fcs", "FX:EURUSD", START, START)
    assert stage.process(batch(0, plain)).events == [plain]


def test_the_snapshots_that_are_made_of_a_book_take_its_name_over() -> None:
    level, above = (number("1.10"), number("5.0")), (number("1.20"), number("7"))
    names, books = CanonicalStage({"BTC/USD": "BTCUSD"}), BookStage(every_ns=10 * MINUTE)
    begins = batch(0, BookSnapshot("kraken", "BTC/USD", START, START, (level,), (), 7))
    [shown] = books.process(names.process(begins)).events
    books.process(names.process(batch(1, BookUpdate("kraken", "BTC/USD", START, START, (), (above,), 8))))
    [last] = books.finish(START)
    assert [getattr(event, "canonical", None) for event in (shown, last)] == ["BTCUSD", "BTCUSD"]


def test_nothing_is_held_back() -> None:
    assert CanonicalStage({"A": "B"}).finish(START) == []
