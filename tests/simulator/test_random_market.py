"""Made-up prices: always the same, plausible, in the symbol's own decimals."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickstream.simulator.market import DAY_NS, MINUTE_NS, Candle
from tickstream.simulator.random_market import INSTRUMENTS, Instrument, RandomMarket, instrument

WEDNESDAY_NS = 20_628 * DAY_NS
SATURDAY_NS = WEDNESDAY_NS + 3 * DAY_NS


def minutes(market: RandomMarket, symbol: str, start_ns: int, count: int) -> list[Candle]:
    return market.items(start_ns, start_ns + count * MINUTE_NS, (symbol,), count)[0]


@settings(max_examples=50)
@given(st.integers(0, 99), st.sampled_from([*INSTRUMENTS, "ACME", "EURSEK", "USDHUF"]), st.integers(0, 30_000_000))
def test_a_minute_is_the_same_in_whatever_order_one_asks(seed: int, symbol: str, minute: int) -> None:
    at = minute * MINUTE_NS
    forward, direct = RandomMarket(seed), RandomMarket(seed)
    assert minutes(forward, symbol, max(0, at - 3 * MINUTE_NS), 8)[-4:] == minutes(
        direct, symbol, at + MINUTE_NS, 4
    ) or (minute < 3)


def test_seeds_and_symbols_have_prices_of_their_own() -> None:
    one = minutes(RandomMarket(1), "EURUSD", WEDNESDAY_NS, 30)
    assert one != minutes(RandomMarket(2), "EURUSD", WEDNESDAY_NS, 30)
    assert [candle.close for candle in one] != [
        candle.close for candle in minutes(RandomMarket(1), "GBPUSD", WEDNESDAY_NS, 30)
    ]


@pytest.mark.parametrize("symbol", [*INSTRUMENTS, "ACME", "BRK.B", "EURSEK", "USDHUF"])
def test_candles_are_plausible(symbol: str) -> None:
    kind = instrument(symbol)
    places = len(kind.price.partition(".")[2])
    point = Decimal(1).scaleb(-places)
    before = None
    for candle in minutes(RandomMarket(7), symbol, WEDNESDAY_NS, 500):
        prices = [
            Decimal(text) for text in (candle.open, candle.high, candle.low, candle.close, candle.bid, candle.ask)
        ]
        opened, high, low, close, bid, ask = prices
        assert all(len(text.partition(".")[2]) == places for text in (candle.open, candle.high, candle.low, candle.ask))
        assert 0 < low <= min(opened, close) <= max(opened, close) <= high
        assert bid == close
        assert ask - bid == kind.spread_points * point
        assert abs(close / Decimal(kind.price) - 1) < Decimal("0.5")
        assert before in (None, opened), "a minute opens where the one before it closed"
        assert int(candle.volume) > 0
        before = close


def test_prices_move() -> None:
    closes = {candle.close for candle in minutes(RandomMarket(), "EURUSD", WEDNESDAY_NS, 60)}
    assert len(closes) > 20


def test_trailing_zeros_are_kept() -> None:
    texts = [candle.close for candle in minutes(RandomMarket(), "EURUSD", WEDNESDAY_NS, 200)]
    assert any(text.endswith("0") for text in texts)
    assert {len(text) for text in texts} == {len("1.08430")}


def test_the_spread_can_be_set() -> None:
    market = RandomMarket(spread_points=1)
    (candle,) = minutes(market, "USDJPY", WEDNESDAY_NS, 1)
    assert Decimal(candle.ask) - Decimal(candle.bid) == Decimal("0.001")


def test_symbols_of_a_minute_come_together_and_reading_in_steps_misses_none() -> None:
    market, symbols = RandomMarket(), ("XAUUSD", "EURUSD", "BTCUSD")
    whole, end = market.items(WEDNESDAY_NS, WEDNESDAY_NS + 10 * MINUTE_NS, symbols, 1000)
    assert end == WEDNESDAY_NS + 10 * MINUTE_NS
    assert [candle.symbol for candle in whole[:3]] == ["BTCUSD", "EURUSD", "XAUUSD"]
    found, position = [], WEDNESDAY_NS
    while position < end:
        part, position = market.items(market.next_open(position), end, symbols, 4)
        found += part
    assert found == whole


def test_the_next_candle_opens_on_the_next_whole_minute() -> None:
    market = RandomMarket()
    assert market.first_ns is None
    assert market.next_open(WEDNESDAY_NS) == WEDNESDAY_NS
    assert market.next_open(WEDNESDAY_NS + 1) == WEDNESDAY_NS + MINUTE_NS


def test_a_step_may_be_a_second() -> None:
    second = 10**9
    market = RandomMarket(step_ns=second, form=re.compile("[A-Z]+/[A-Z]+"), listed=lambda _: Instrument("10.0", 1, 2))
    assert market.next_open(WEDNESDAY_NS + 1) == WEDNESDAY_NS + second
    candles, _ = market.items(WEDNESDAY_NS, WEDNESDAY_NS + 3 * second, ("BTC/USD",), 10)
    assert [one.open_ns - WEDNESDAY_NS for one in candles] == [0, second, 2 * second]
    assert all(Decimal(one.ask) - Decimal(one.bid) == Decimal("0.1") for one in candles)
    assert market.knows("BTC/USD")
    assert not market.knows("BTCUSD")


def test_closed_markets_are_silent_when_hours_are_followed() -> None:
    market = RandomMarket(follow_hours=True)
    assert minutes(market, "EURUSD", WEDNESDAY_NS, 1)
    assert not minutes(market, "EURUSD", SATURDAY_NS, 60)
    assert len(minutes(market, "BTCUSD", SATURDAY_NS, 60)) == 60
    assert len(minutes(RandomMarket(), "EURUSD", SATURDAY_NS, 60)) == 60


def test_symbols_that_look_wrong_or_begin_with_bad_are_unknown() -> None:
    market = RandomMarket()
    assert [
        symbol for symbol in ("EURUSD", "BADUSD", "eurusd", "EUR/USD", "", "A" * 21, "BRK.B") if market.knows(symbol)
    ] == ["EURUSD", "BRK.B"]


def test_a_list_of_known_symbols_is_all_there_is() -> None:
    market = RandomMarket(known=("EURUSD", "BADBUTKNOWN"))
    assert market.knows("BADBUTKNOWN")
    assert not market.knows("GBPUSD")
