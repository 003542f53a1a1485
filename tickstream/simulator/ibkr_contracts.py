"""The contracts of the simulated Interactive Brokers: tickers, their numbers, and where they are listed. Pure."""

from __future__ import annotations

import zlib
from typing import NamedTuple

from tickstream.simulator.random_market import Instrument

FIRST_MADE_UP = 900_000_000


class Listing(NamedTuple):
    """A contract as `/trsrv/stocks` lists it."""

    conid: int
    company: str
    exchange: str
    is_us: bool = True


# fmt: off
LISTINGS: dict[str, tuple[Listing, ...]] = {
    "AAPL": (Listing(265598, "APPLE INC", "NASDAQ"), Listing(38708077, "APPLE INC", "MEXI", is_us=False),
             Listing(273982664, "APPLE INC", "EBS", is_us=False)),
    "MSFT": (Listing(272093, "MICROSOFT CORP", "NASDAQ"),),
    "NVDA": (Listing(4815747, "NVIDIA CORP", "NASDAQ"),),
    "AMZN": (Listing(3691937, "AMAZON.COM INC", "NASDAQ"),),
    "GOOG": (Listing(208813720, "ALPHABET INC-CL C", "NASDAQ"),),
    "META": (Listing(107113386, "META PLATFORMS INC-CLASS A", "NASDAQ"),),
    "TSLA": (Listing(76792991, "TESLA INC", "NASDAQ"),),
    "IBM": (Listing(8314, "INTL BUSINESS MACHINES CORP", "NYSE"),),
    "SPY": (Listing(756733, "SS SPDR S&P 500 ETF TRUST", "ARCA"),),
    "QQQ": (Listing(320227571, "INVESCO QQQ TRUST SERIES 1", "NASDAQ"),),
    "BRK.B": (Listing(72063691, "BERKSHIRE HATHAWAY INC-CL B", "NYSE"),),
    "SAP": (Listing(14204, "SAP SE", "IBIS", is_us=False),),
    "TWIN": (Listing(900000001, "TWIN ONE INC", "NYSE"), Listing(900000002, "TWIN TWO INC", "NASDAQ")),
}
"""Ticker -> its contracts. AAPL and IBM are as documents show them; TWIN is made up, to be ambiguous."""
INDICES = {"SPX": 416904, "VIX": 13455763}
"""What is no stock, and so has no ticker that could be looked up."""
INSTRUMENTS: dict[str, Instrument] = {
    "AAPL": Instrument("189.40", 1, 4), "MSFT": Instrument("415.20", 2, 8), "NVDA": Instrument("121.30", 1, 6),
    "AMZN": Instrument("183.75", 1, 5), "GOOG": Instrument("176.40", 1, 5), "META": Instrument("503.60", 3, 14),
    "TSLA": Instrument("176.85", 2, 9), "IBM": Instrument("170.15", 2, 4), "SPY": Instrument("531.20", 1, 5),
    "QQQ": Instrument("459.80", 1, 5), "BRK.B": Instrument("408.90", 4, 6), "SAP": Instrument("172.30", 2, 5),
    "TWIN": Instrument("20.00", 1, 1), "SPX": Instrument("5218.30", 10, 40), "VIX": Instrument("13.20", 5, 4),
}
# fmt: on
TICKERS = {listing.conid: ticker for ticker, listings in LISTINGS.items() for listing in listings}
TICKERS |= {conid: ticker for ticker, conid in INDICES.items()}


def conid_of(symbol: str) -> int:
    """The number of what a market calls so: a ticker, or a number with or without an exchange.

    A ticker that is listed nowhere, because a capture or a file has it, gets one that it always has.
    """
    if symbol[0].isdigit():
        return int(symbol.partition("@")[0])
    listings = LISTINGS.get(symbol)
    if listings:
        return listings[0].conid
    return INDICES.get(symbol) or FIRST_MADE_UP + 1000 + zlib.crc32(symbol.encode()) % FIRST_MADE_UP
