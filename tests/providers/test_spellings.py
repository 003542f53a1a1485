"""How each provider spells what users name in their own way, and what it says of symbols that it refuses."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.simulator.talking import Pair
from tickstream.errors import UsageError
from tickstream.events import MarketEvent, Notice
from tickstream.providers import load, names
from tickstream.providers.base import Phase
from tickstream.symbols import Named, resolve_symbols

SPELLED: dict[str, dict[str, str]] = {
    "alltick": {
        "eur/usd": "EURUSD", "XAUUSD": "GOLD", "XAG/USD": "Silver", "XPTUSD": "Platinum", "XPDUSD": "Palladium",
        "silver": "Silver", "BTC-USDT": "BTCUSDT", "AAPL": "AAPL.US", "NASDAQ:NVDA": "NVDA.US", "700.HK": "700.HK",
        "XAU/EUR": "XAUEUR", "ETH/BTC": "ETHBTC",
    },
    "alpaca": {"aapl": "AAPL", "NYSE:BRK.B": "BRK.B", "AAPL.US": "AAPL", "BTCUSD": "BTC/USD", "eth-usd": "ETH/USD"},
    "binance": {"BTC/USDT": "BTCUSDT", "eth-btc": "ETHBTC", "BINANCE:BTCUSDT": "BTCUSDT", "BTC/EUR": "BTCEUR"},
    "coinbase": {"BTCUSD": "BTC-USD", "eth/btc": "ETH-BTC", "X:BTC-USD": "BTC-USD", "COINBASE:BTCUSD": "BTC-USD"},
    "fcs": {
        "EURUSD": "FX:EURUSD", "xau/usd": "FX:XAUUSD", "BTCUSDT": "BINANCE:BTCUSDT", "AAPL": "NASDAQ:AAPL",
        "NYSE:IBM": "NYSE:IBM", "ONA:EURUSD": "ONA:EURUSD",
    },
    "ibkr": {"aapl": "AAPL", "NASDAQ:MSFT": "MSFT", "265598": "265598"},
    "kraken": {"BTCUSD": "BTC/USD", "XBT/USD": "BTC/USD", "xdgusd": "DOGE/USD", "EUR-USD": "EUR/USD"},
    "polygon": {
        "EURUSD": "EUR/USD", "C:EUR-USD": "EUR/USD", "X:BTCUSD": "BTC-USD", "XAUUSD": "XAU/USD", "NASDAQ:AAPL": "AAPL",
        "I:SPX": "I:SPX", "*": "*",
    },
    "tickatlas": {"EUR/USD": "EURUSD", "fx:xauusd": "XAUUSD", "btc-usd": "BTCUSD", "US30.CASH": "US30.CASH"},
}  # fmt: skip
NOT_THERE = {
    "alltick": ("BTC/USD", "BTCUSDT"), "alpaca": ("EURUSD", "BTC/USD"), "binance": ("BTCUSD", "BTCUSDT"),
    "coinbase": ("AAPL", "BTC-USD"), "fcs": ("BTCUSD", "BINANCE:BTCUSDT"), "ibkr": ("EUR/USD", "conids"),
    "kraken": ("AAPL", "BTC/USD"), "polygon": ("BINANCE:BTCUSDT", "BTC-USDT"), "tickatlas": ("NASDAQ:AAPL", "EURUSD"),
}  # fmt: skip
"""A word that the provider has no symbol for, and what is said about it."""
REFUSED = {
    "alltick": ("NVDA", "EURUSD", "NVDA.US"), "alpaca": ("AAPX", "MSFT", "AAPL"),
    "binance": ("BTCUSDX", "ETHUSDT", "BTCUSDT"), "coinbase": ("BTC-USX", "ETH-USD", "BTC-USD"),
    "fcs": ("FX:EURUSX", "FX:GBPUSD", "FX:EURUSD"), "ibkr": ("AAPX", "MSFT", "AAPL"),
    "kraken": ("BTC/USX", "ETH/USD", "BTC/USD"), "polygon": ("AAPX", "MSFT", "AAPL"),
    "tickatlas": ("EURUSX", "GBPUSD", "EURUSD"),
}  # fmt: skip
"""A symbol that the provider refuses, another one that it has, and what the first is near to."""


def spelled(name: str, word: str, settings: Mapping[str, str] | None = None) -> tuple[str, Mapping[str, str]]:
    found = resolve_symbols([Named(word)], load(name).symbol_form(settings or {}))
    [symbol] = found.symbols
    return symbol, found.canonical


def test_every_provider_is_among_them() -> None:
    assert list(SPELLED) == list(NOT_THERE) == list(REFUSED) == names()


@pytest.mark.parametrize(("name", "word", "symbol"), [(n, *pair) for n, of in SPELLED.items() for pair in of.items()])
def test_a_word_becomes_the_providers_symbol(name: str, word: str, symbol: str) -> None:
    assert spelled(name, word)[0] == symbol


@pytest.mark.parametrize("name", names())
def test_every_symbol_that_a_provider_lists_is_itself(name: str) -> None:
    for symbol in load(name).common_symbols:
        assert spelled(name, symbol) == (symbol, {})


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_a_provider_cannot_have_is_refused_with_what_it_has(name: str) -> None:
    word, said = NOT_THERE[name]
    with pytest.raises(UsageError) as caught:
        spelled(name, word)
    assert said in str(caught.value)


def test_one_pair_has_one_canonical_name_at_all_providers() -> None:
    found = {name: spelled(name, "btc_usd") for name in ("alpaca", "coinbase", "kraken", "polygon", "tickatlas")}
    assert found == {
        "alpaca": ("BTC/USD", {"BTC/USD": "BTCUSD"}),
        "coinbase": ("BTC-USD", {"BTC-USD": "BTCUSD"}),
        "kraken": ("BTC/USD", {"BTC/USD": "BTCUSD"}),
        "polygon": ("BTC-USD", {"BTC-USD": "BTCUSD"}),
        "tickatlas": ("BTCUSD", {"BTCUSD": "BTCUSD"}),
    }


def test_alltick_has_bare_tickers_in_its_simple_mode() -> None:
    simple = {"mode": "simple"}
    assert [spelled("alltick", word, simple)[0] for word in ("AAPL", "NASDAQ:AAPL", "EUR/USD")] == [
        "AAPL", "AAPL", "EURUSD",
    ]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_symbol_is_named_with_what_is_near_to_it_and_the_others_go_on(name: str) -> None:
    wrong, right, near = REFUSED[name]
    faults = ("invalid-symbol@connect",) if name == "tickatlas" else ()
    pair = Pair(name, load(name).channels[0], wrong, right, faults=faults)
    pair.wait(4.0)
    pair.steps(70)
    [said] = [one for one in pair.all(Notice) if one.code in ("symbol_refused", "quiet_symbols")]
    assert said.symbols == (wrong,)
    assert said.message.startswith(f"{wrong}: ")
    assert f"Did you mean {near}" in said.message
    assert pair.protocol.phase is Phase.LIVE
    assert {event.symbol for event in pair.all(MarketEvent)} == {right}
