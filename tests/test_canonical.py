"""What a word means, whoever spells it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.canonical import COINS, CURRENCIES, METALS, Canonical, is_common_prefix, pairs, parse

CODES = st.sampled_from(sorted(CURRENCIES | METALS | COINS))


@pytest.mark.parametrize(
    "word",
    [
        "EURUSD",
        "EUR/USD",
        "EUR-USD",
        "EUR_USD",
        "eurusd",
        "Eur/Usd",
        "FX:EURUSD",
        "fx:eur/usd",
        "C:EUR-USD",
        "C:EURUSD",
    ],
)
def test_a_pair_of_currencies_is_the_same_in_every_spelling(word: str) -> None:
    assert parse(word) == Canonical("forex", "EUR", "USD")


@pytest.mark.parametrize(
    ("word", "kind", "base", "quote"),
    [
        ("BTCUSD", "crypto", "BTC", "USD"),
        ("X:BTC-USD", "crypto", "BTC", "USD"),
        ("BTCUSDT", "crypto", "BTC", "USDT"),
        ("btc-usdc", "crypto", "BTC", "USDC"),
        ("ETHBTC", "crypto", "ETH", "BTC"),
        ("USDT/EUR", "crypto", "USDT", "EUR"),
        ("XAUUSD", "metal", "XAU", "USD"),
        ("xag/usd", "metal", "XAG", "USD"),
        ("XBT/USD", "crypto", "BTC", "USD"),
        ("XDGUSD", "crypto", "DOGE", "USD"),
        ("USD/CNH", "forex", "USD", "CNH"),
    ],
)
def test_a_pair_is_told_by_its_codes(word: str, kind: str, base: str, quote: str) -> None:
    assert parse(word) == (kind, base, quote, "", True)


def test_a_dollar_and_a_coin_that_is_to_be_worth_one_are_two_things() -> None:
    assert [meaning.name for word in ("BTCUSD", "BTCUSDT", "BTCUSDC") if (meaning := parse(word))] == [
        "BTCUSD", "BTCUSDT", "BTCUSDC",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["PEPE2/USD", "PEPE2USDT", "WEN-BTC", "PEPE2EUR"])
def test_a_coin_that_is_not_known_by_name_is_likely_one_and_not_surely(word: str) -> None:
    meaning = parse(word)
    assert meaning is not None
    assert (meaning.kind, meaning.sure) == ("crypto", False)


def test_an_exchange_before_the_colon_is_kept() -> None:
    assert parse("BINANCE:BTCUSDT") == Canonical("crypto", "BTC", "USDT", "BINANCE")
    assert parse("NASDAQ:AAPL") == Canonical("stock", "AAPL", "", "NASDAQ")


@pytest.mark.parametrize(
    ("word", "ticker", "sure"),
    [("AAPL", "AAPL", False), ("aapl", "AAPL", False), ("AAPL.US", "AAPL", True), ("NYSE:BRK.B", "BRK.B", True)],
)
def test_a_ticker_is_surely_a_stock_where_its_country_or_exchange_is_named(word: str, ticker: str, sure: bool) -> None:
    meaning = parse(word)
    assert meaning is not None
    assert (meaning.kind, meaning.name, meaning.sure) == ("stock", ticker, sure)


@pytest.mark.parametrize(
    "word",
    ["", "Silver", "700.HK", "I:SPX", "US30.CASH", "O:SPY241220P00720000", "265598", "FOO/BAR", "EUR//USD", "EUR USD",
     "€URUSD", "EURUſD", "NASDAQ:EURUSD", "*/*", "A:B:C", "EUR/USD/JPY", "IBKR:AAPL"],
)  # fmt: skip
def test_what_is_neither_a_pair_nor_a_ticker_means_nothing(word: str) -> None:
    assert parse(word) is None


@given(CODES, CODES, st.sampled_from(["", "/", "-", "_"]), st.booleans())
def test_two_known_codes_are_found_again_however_they_are_written(
    base: str, quote: str, between: str, lower: bool
) -> None:
    word = f"{base}{between}{quote}"
    meaning = parse(word.lower() if lower else word)
    assert meaning is not None
    assert meaning.sure
    assert meaning.name == base + quote
    if between:
        assert (meaning.base, meaning.quote) == (base, quote)


@given(st.text(max_size=20))
def test_the_canonical_name_of_a_canonical_name_is_itself(word: str) -> None:
    meaning = parse(word)
    if meaning is not None and meaning.sure:
        again = parse(meaning.name)
        assert again is not None
        assert again.name == meaning.name


def test_a_meaning_is_said_in_words() -> None:
    assert str(parse("BTCUSD")) == "BTC in USD"
    assert str(parse("NASDAQ:AAPL")) == "the stock AAPL"


def test_a_provider_that_has_pairs_only_puts_something_between_their_codes() -> None:
    assert pairs("/")(Canonical("forex", "EUR", "USD"), {}) == "EUR/USD"
    assert pairs("/")(Canonical("stock", "AAPL"), {}) is None


def test_what_may_stand_before_a_colon_in_anybodys_spelling_is_known() -> None:
    assert [name for name in ("fx", "FX", "nasdaq", "kraken", "binance", "c") if is_common_prefix(name)] == [
        "fx", "FX", "nasdaq", "c",
    ]  # fmt: skip
