"""What a word means, whoever spells it: `EUR/USD`, `eurusd`, `FX:EURUSD` and `C:EUR-USD` are euros in dollars. Pure.

A provider's spelling of it is its own (`ProviderSpec.alias`). One canonical name stands for all: the two codes of a
pair without anything between them (`EURUSD`, `BTCUSDT`, `XAUUSD`), the ticker of a stock (`AAPL`, `BRK.B`).

Codes are taken as known where they are common: ISO 4217 for currencies and metals, the usual tickers for coins. USDT
and USDC are coins, not dollars: a pair in one is never taken for a pair in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

Kind = Literal["forex", "metal", "crypto", "stock"]

# fmt: off
CURRENCIES = frozenset((
    "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "BGN",
    "ISK", "TRY", "ZAR", "MXN", "BRL", "ARS", "CLP", "COP", "CNY", "CNH", "HKD", "SGD", "KRW", "INR", "THB", "IDR",
    "MYR", "PHP", "TWD", "VND", "ILS", "SAR", "AED", "QAR", "KWD", "EGP", "NGN", "KES", "RUB", "UAH", "KZT",
))
METALS = frozenset(("XAU", "XAG", "XPT", "XPD"))
COINS = frozenset((
    "BTC", "ETH", "USDT", "USDC", "FDUSD", "TUSD", "DAI", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "AVAX",
    "LINK", "TRX", "BCH", "XLM", "UNI", "ATOM", "XMR", "ETC", "SHIB", "MATIC", "POL", "NEAR", "APT", "ARB", "TON",
    "SUI", "PEPE", "FIL", "AAVE", "ALGO", "EOS", "XTZ", "ICP", "HBAR", "VET", "MKR", "GRT", "SAND", "MANA", "CRV",
    "SNX", "COMP", "ZEC", "DASH", "NEO", "KSM", "INJ", "SEI", "TIA", "WIF", "BONK",
))
QUOTES = (
    "FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "NZD", "CAD", "TRY", "BRL", "BTC", "ETH", "BNB",
)
"""In what a coin that is not known by name may be priced, where nothing stands between the two."""
# fmt: on
KNOWN = CURRENCIES | METALS | COINS
OTHER_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
"""Names of the same coins at some exchanges (Kraken's old ones)."""

_GENERAL = frozenset(("FX", "FOREX", "C", "X", "CRYPTO"))
"""What may stand before a colon and names no exchange: `FX:EURUSD`, Polygon's `C:EURUSD` and `X:BTCUSD`."""
_LISTINGS = frozenset(("NASDAQ", "NYSE", "AMEX", "ARCA", "BATS"))
_WORD = re.compile(r"(?:([A-Z0-9_]+):)?([A-Z0-9]{2,21})(?:[/_-]([A-Z0-9]{2,10}))?")
_STOCK = re.compile(r"(?:([A-Z]+):)?([A-Z]{1,5}(?:\.[A-Z])?)(\.US)?")


class Canonical(NamedTuple):
    """A pair: `base` in `quote`; or a stock, whose ticker is `base`.

    `exchange` is the one that the word names before a colon, in upper case: the same pair somewhere else is another
    market. `sure`: the word can hardly mean anything else, for it names known currencies, or a stock with its exchange.
    """

    kind: Kind
    base: str
    quote: str = ""
    exchange: str = ""
    sure: bool = True

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.base + self.quote

    def __str__(self) -> str:
        return f"{self.base} in {self.quote}" if self.quote else f"the stock {self.base}"


def parse(word: str) -> Canonical | None:
    """What a word means, in upper or lower case. None: it is no pair and no ticker of a stock."""
    if not word.isascii():
        return None
    text = word.upper()
    return _pair(text) or _stock(text)


def is_common_prefix(name: str) -> bool:
    """Whether this before a colon is anybody's (`FX:EURUSD`), or the exchange that a stock is listed at."""
    return name.upper() in _GENERAL | _LISTINGS


def pairs(between: str) -> Callable[[Canonical, object], str | None]:
    """How a provider spells that has pairs only: the two codes, and what stands between them."""

    def alias(meaning: Canonical, _settings: object) -> str | None:
        return f"{meaning.base}{between}{meaning.quote}" if meaning.quote else None

    return alias


def _pair(text: str) -> Canonical | None:
    match = _WORD.fullmatch(text)
    if match is None or match[1] in _LISTINGS:
        return None
    exchange = "" if match[1] is None or match[1] in _GENERAL else match[1]
    if match[3] is None:
        found = _split(match[2])
    else:
        found = _known(match[2]), _known(match[3])
        if not KNOWN.intersection(found):
            return None
    if found is None:
        return None
    base, quote = found
    return Canonical(_kind(base, quote), base, quote, exchange, KNOWN.issuperset(found))


def _split(text: str) -> tuple[str, str] | None:
    """The two codes of a pair that are written without anything between them."""
    for place in range(len(text) - 3, 2, -1):
        found = _known(text[:place]), _known(text[place:])
        if KNOWN.issuperset(found):
            return found
    for quote in QUOTES:
        base = text.removesuffix(quote)
        if base != text and len(base) >= 3:
            return base, quote
    return None


def _known(code: str) -> str:
    return OTHER_NAMES.get(code, code)


def _kind(base: str, quote: str) -> Kind:
    if base in METALS:
        return "metal"
    return "forex" if base in CURRENCIES and quote in CURRENCIES else "crypto"


def _stock(text: str) -> Canonical | None:
    match = _STOCK.fullmatch(text)
    if match is None or (match[1] and match[1] not in _LISTINGS):
        return None
    return Canonical("stock", match[2], "", match[1] or "", sure=bool(match[1] or match[3]))
