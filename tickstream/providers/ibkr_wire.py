"""Interactive Brokers' messages over the Client Portal gateway's WebSocket, and the events that they are.

Wire facts: interactivebrokers.github.io/cpwebapi (websockets), ibkrcampus.com (cpapi-v1, websockets), and what the
library ibind found out. What stands there nowhere is a convention, and called so.

Market data (`smd+CONID`) comes as fields with numbers for names, most of them text, and after the first message only
those that changed: what a contract is at is kept here. A last price may have a letter before it: `C` for the close of
the day before, which is no trade of today, `H` for a halted contract. Sizes are passed on as they stand, in lots of 100
for US stocks.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tickstream import numbers
from tickstream.events import Quote, Trade
from tickstream.numbers import Number
from tickstream.providers import loose
from tickstream.providers.json_feed import MessageDecoder
from tickstream.timestamps import Timestamp

NAME = "ibkr"
DATA = "smd+"
"""What topics of market data begin with; the contract follows."""
QUOTE_FIELDS = ("31", "84", "85", "86", "88", "6509")
TRADE_FIELDS = ("31", "7059", "6509")

AVAILABILITY = {
    "R": "real-time data",
    "D": "delayed data: this login has no subscription to real-time data of it",
    "Z": "frozen data: the last of the day, from before the close",
    "Y": "frozen delayed data: the last of the day, from before the close",
    "N": "no data: this login is not subscribed to data of it",
}
"""First letter of field 6509 -> what it means."""

_NULL = msgspec.Raw(b"null")
_GROUPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
"""Thousands set apart by commas, as sizes may be (convention)."""


class Frame(
    msgspec.Struct,
    gc=False,
    rename={
        "updated": "_updated", "last": "31", "bid": "84", "ask_size": "85", "ask": "86", "bid_size": "88",
        "last_size": "7059", "availability": "6509",
    },
):  # fmt: skip
    """Any message: they have no common form but a topic, and not all of them that."""

    topic: str = ""
    message: str = ""
    error: str | None = None
    code: msgspec.Raw = _NULL
    result: str | None = None
    args: msgspec.Raw = _NULL
    updated: msgspec.Raw = _NULL
    last: msgspec.Raw = _NULL
    bid: msgspec.Raw = _NULL
    ask: msgspec.Raw = _NULL
    bid_size: msgspec.Raw = _NULL
    ask_size: msgspec.Raw = _NULL
    last_size: msgspec.Raw = _NULL
    availability: msgspec.Raw = _NULL

    @property
    def is_nothing(self) -> bool:
        """True for JSON that is none of the gateway's messages."""
        return not (self.topic or self.message) and self.error is None and self.result is None


class FrameDecoder(MessageDecoder[Frame]):
    """Messages that are all of one type here, whatever their topic."""

    def __init__(self) -> None:
        super().__init__(Frame, "topic")

    def one(self, payload: bytes) -> Frame:
        """Raises one of UNDECODABLE: no topic is unknown to JSON."""
        return self._decoder.decode(payload)


class Status(msgspec.Struct):
    """The `args` of the topic `sts`: is the brokerage session there, and is it ours?"""

    authenticated: bool = False
    competing: bool = False
    connected: bool = True


_status = msgspec.json.Decoder(Status)


def status_of(frame: Frame) -> Status:
    """Raises ValueError for a status that cannot be read."""
    return _status.decode(frame.args)


def text_of(frame: Frame) -> str:
    """What a bulletin or a notification says, as one text. Raises ValueError for one that says nothing."""
    args: Any = msgspec.json.decode(frame.args)
    if not isinstance(args, dict):
        raise ValueError("a bulletin without a text")  # noqa: TRY004 - it is the message that is wrong
    said = [args.get(name) for name in ("title", "text", "message")]
    found = ": ".join(one for one in said if isinstance(one, str) and one)
    if not found:
        raise ValueError("a bulletin without a text")
    return found


class Change(msgspec.Struct, frozen=True):
    """What a message says of a contract. `came`: names of the values that it has, some of which may be None."""

    came: frozenset[str]
    values: dict[str, Number | None]
    mark: str
    """The letter before the last price: `H`, `C`, or none."""
    availability: str
    """The first letter of that field, empty where it did not come."""
    ts_event: Timestamp | None


VALUES = ("last", "bid", "ask", "bid_size", "ask_size", "last_size")


def change_of(frame: Frame) -> Change:
    """Raises ValueError when one of the values is none."""
    values: dict[str, Number | None] = {}
    mark = ""
    for name in VALUES:
        raw = getattr(frame, name)
        if raw is not _NULL:
            letter, value = _value(raw)
            mark = letter if name == "last" else mark
            if letter != "C":
                values[name] = value
    availability = "" if frame.availability is _NULL else _text(frame.availability)[:1]
    ts = None if bytes(frame.updated) == b"null" else loose.time(frame.updated)
    return Change(frozenset(values), values, mark, availability, ts)


def _text(raw: msgspec.Raw) -> str:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""


def _value(raw: msgspec.Raw) -> tuple[str, Number | None]:
    """A number and the letter before it; None for null and for an empty text: there is none (any more)."""
    if bytes(raw)[:1] != b'"':
        return "", numbers.parse(raw)
    text = _text(raw).strip()
    letter = text[:1] if text[:1] in ("C", "H") else ""
    text = text.removeprefix(letter).strip()
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    return letter, numbers.number(text) if text else None


class Standing:
    """What a contract is at, from all that its messages said."""

    def __init__(self) -> None:
        self.values: dict[str, Number | None] = dict.fromkeys(VALUES)
        self.availability = ""
        self.mark = ""

    def differs(self, change: Change) -> bool:
        """True where the change is one: a value other than the one that was known."""
        known = self.values
        return any(known[name] is not None and not _same(known[name], value) for name, value in change.values.items())

    def quote(self, change: Change, symbol: str, ts_recv: Timestamp) -> Quote | None:
        """Take the change; the top of the book after it, if it was about that."""
        self.values.update(change.values)
        if change.came.isdisjoint(VALUES[:5]):
            return None
        last, bid, ask, bid_size, ask_size, _ = self.values.values()
        spread = None if bid is None or ask is None else numbers.difference(ask, bid)
        return Quote(NAME, symbol, change.ts_event, ts_recv, bid, bid_size, ask, ask_size, spread, last)

    def trade(self, change: Change, symbol: str, ts_recv: Timestamp, *, renewed: bool) -> Trade | None:
        """Take the change; the trade that it was, if it was one.

        The first price and size are what was last when we came, and no news; nor is the price at which trading is
        halted, nor, in the answer to a renewed subscription, what is as it was before. A price that changes alone has
        the size of the trade before it.
        """
        known, new = self.values, change.values
        price_came = known["last"] is not None and new.get("last") is not None
        size_came = known["last"] is not None and known["last_size"] is not None and new.get("last_size") is not None
        is_news = (price_came or size_came) and change.mark != "H" and (not renewed or self.differs(change))
        known.update(new)
        price = known["last"]
        if not is_news or price is None:
            return None
        return Trade(NAME, symbol, change.ts_event, ts_recv, price, known["last_size"])


def _same(one: Number | None, other: Number | None) -> bool:
    return one is not None and other is not None and bytes(one) == bytes(other)
