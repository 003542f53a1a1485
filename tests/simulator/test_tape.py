"""What happens in a step of a made-up market."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.candles import NOON_NS, candle
from tickstream.events import Bar, BookSnapshot, Quote, Trade
from tickstream.numbers import decimal, text
from tickstream.simulator.market import MINUTE_NS
from tickstream.simulator.tape import LEVELS, TRADES, Tape, in_shares


def tape(**changes: object) -> Tape:
    return Tape("somebody", MINUTE_NS, **changes)  # type: ignore[arg-type]  # what a test wants to be different


@given(st.integers(0, 10_000))
def test_a_step_is_the_same_whoever_looks_and_its_trades_are_numbered_on(minute: int) -> None:
    one, other = tape(), tape()
    now, later = candle(minute=minute), candle(minute=minute + 1)
    assert one.trades(now) == other.trades(now)
    assert one.book(now) == other.book(now)
    ids = [int(trade.trade_id or 0) for trade in [*one.trades(now), *one.trades(later)] if isinstance(trade, Trade)]
    assert ids == list(range(ids[0], ids[0] + 2 * TRADES))


def test_the_quote_is_the_top_of_the_book_and_trades_are_at_one_of_its_sides() -> None:
    quote, book = tape().quote(candle()), tape().book(candle())
    assert isinstance(quote, Quote)
    assert isinstance(book, BookSnapshot)
    assert ((quote.bid, quote.bid_size), (quote.ask, quote.ask_size)) == (book.bids[0], book.asks[0])
    assert (len(book.bids), len(book.asks)) == (LEVELS, LEVELS)
    for trade in tape().trades(candle()):
        assert isinstance(trade, Trade)
        assert trade.price == (quote.ask if trade.side == "buy" else quote.bid)


def test_most_levels_last_from_one_step_to_the_next() -> None:
    books = [tape().book(candle(minute=minute)) for minute in range(2)]
    levels = [
        {(text(price), text(size)) for price, size in book.bids} for book in books if isinstance(book, BookSnapshot)
    ]
    assert 3 / 4 * LEVELS <= len(levels[0] & levels[1]) < LEVELS


def test_no_bid_is_below_the_last_decimal_and_no_book_is_locked() -> None:
    import msgspec

    low = msgspec.structs.replace(candle(), bid="0.00003", ask="0.00003")
    book = tape().book(low)
    assert isinstance(book, BookSnapshot)
    assert [text(price) for price, _ in book.bids] == ["0.00003", "0.00002", "0.00001"]
    assert text(book.asks[0][0]) == "0.00004"


def test_bars_of_several_lengths_grow_until_their_last_step() -> None:
    one = tape()
    found = [one.bars(candle(minute=minute), {"1m": 1, "5m": 5}) for minute in range(7)]
    shorts, longs = zip(*found, strict=True)
    assert all(isinstance(bar, Bar) and bar.closed and text(bar.volume) == "7.00000000" for bar in shorts)  # type: ignore[arg-type]  # has one
    assert [(bar.ts_event - NOON_NS) // MINUTE_NS for bar in longs] == [0, 0, 0, 0, 0, 5, 5]
    assert [bar.closed for bar in longs] == [False] * 4 + [True] + [False] * 2
    assert decimal(longs[4].volume) == 35


def test_prices_of_files_with_the_noise_of_floats_are_rounded_to_the_symbols_decimals() -> None:
    import msgspec

    noisy = msgspec.structs.replace(candle(), high="1.1338300000000001")
    (bar,) = tape().bars(noisy, {"1m": 1})
    assert isinstance(bar, Bar)
    assert text(bar.high) == "1.13383"


@pytest.mark.parametrize("form", [str, lambda text: f"{text}000"])
def test_numbers_are_written_as_the_provider_does(form: object) -> None:
    quote = tape(written=form).quote(candle())
    assert isinstance(quote, Quote)
    assert quote.bid is not None
    assert text(quote.bid) == form("1.10005")  # type: ignore[operator]  # one of the two above


def test_of_a_stock_there_are_whole_shares() -> None:
    made = tape()
    bar = made.bars(candle(), {"1m": 1})[0]
    quote = made.quote(candle())
    for event in (*made.trades(candle()), quote, bar):
        whole = in_shares(event)
        assert whole != event
        for name in ("size", "bid_size", "ask_size", "volume"):
            if (size := getattr(whole, name, None)) is not None:
                assert int(text(size)) >= 1
                before = decimal(getattr(event, name))
                assert before < 1 or int(text(size)) == int(before)
    assert in_shares(made.book(candle())) == made.book(candle())
    unknown = Trade("somebody", "A", None, quote.ts_recv, quote.bid)  # type: ignore[attr-defined]  # a quote
    assert in_shares(unknown) is unknown
