"""What Interactive Brokers' Client Portal gateway is asked over HTTP: the session, its accounts, contracts of tickers.

Wire facts: interactivebrokers.github.io/cpwebapi and ibkrcampus.com (cpapi-v1). What stands there nowhere is a
convention, and called so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from tickstream.providers.ibkr_wire import Status
from tickstream.providers.rest import RestRequest

STREAM = "/ws"
"""How the path of the stream ends; that of everything else begins with what is before it."""
CHOICES_SHOWN = 6


class Contract(NamedTuple):
    """One that a ticker names. `conid` is Interactive Brokers' own number of it."""

    conid: str
    name: str
    exchange: str
    is_us: bool

    def __str__(self) -> str:
        return f"{self.conid} ({self.name}, {self.exchange})"


class Paths:
    """The requests, at the gateway that serves this stream."""

    def __init__(self, url: str) -> None:
        self._base = urlsplit(url).path.removesuffix(STREAM)

    def tickle(self) -> RestRequest:
        """Keeps the session alive, says whose it is, and what our connection is to show for it."""
        return self._post("/tickle")

    def log_in(self) -> RestRequest:
        """Opens the brokerage session of a gateway whose user has logged in. One that works elsewhere is left alone."""
        return self._post("/iserver/auth/ssodh/init", b'{"publish":true,"compete":false}')

    def accounts(self) -> RestRequest:
        """To be asked for once, before any market data."""
        return RestRequest(self._base + "/iserver/accounts")

    def stocks(self, tickers: Iterable[str]) -> RestRequest:
        """The contracts of these tickers."""
        return RestRequest(f"{self._base}/trsrv/stocks?symbols={quote(','.join(map(listed, tickers)), safe=',')}")

    def _post(self, path: str, body: bytes = b"") -> RestRequest:
        return RestRequest(self._base + path, "POST", body)


def listed(ticker: str) -> str:
    """As Interactive Brokers writes it: `BRK B`."""
    return ticker.replace(".", " ")


class _Brokerage(msgspec.Struct):
    auth: Status | None = msgspec.field(name="authStatus", default=None)


class Tickled(msgspec.Struct):
    """The answer to `tickle`."""

    session: str = ""
    iserver: _Brokerage = msgspec.field(default_factory=_Brokerage)

    @property
    def status(self) -> Status | None:
        """Of the brokerage session, where it is said."""
        return self.iserver.auth


class _Listing(msgspec.Struct):
    conid: int
    exchange: str = ""
    is_us: bool = msgspec.field(name="isUS", default=False)


class _Company(msgspec.Struct):
    name: str | None = ""
    contracts: list[_Listing] = []


_tickled = msgspec.json.Decoder(Tickled)
_companies = msgspec.json.Decoder(dict[str, list[_Company]])


def tickled(body: bytes) -> Tickled:
    """Raises one of json_feed.UNDECODABLE."""
    return _tickled.decode(body)


def contracts(body: bytes) -> dict[str, list[Contract]]:
    """Ticker -> its contracts, in the order given. Raises one of json_feed.UNDECODABLE."""
    return {
        ticker: [
            Contract(str(one.conid), company.name or "?", one.exchange or "?", one.is_us)
            for company in companies
            for one in company.contracts
        ]
        for ticker, companies in _companies.decode(body).items()
    }


def choose(found: list[Contract]) -> Contract | str:
    """The one that is meant, or why none is: the listing in the US, else the only one there is (convention).

    A ticker that is listed there twice, or several times elsewhere, is not guessed at.
    """
    here = [one for one in found if one.is_us] or found
    if len(here) == 1:
        return here[0]
    if not here:
        return "no stock has this ticker; what is no stock is named by its conid"
    some = ", ".join(map(str, here[:CHOICES_SHOWN])) + (" ..." if len(here) > CHOICES_SHOWN else "")
    return f"several contracts have this ticker: {some}; name one by its number"
