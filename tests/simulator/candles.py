"""Candles, keys and conversations for the tests of the simulator's pure parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tickstream.session.frames import FrameReader
from tickstream.simulator.accounts import Accounts
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.market import DAY_NS, MINUTE_NS, Candle
from tickstream.simulator.outbox import Outbox
from tickstream.simulator.outgoing import Outgoing, Round
from tickstream.simulator.tickatlas import PLANS, Rules, TickAtlasConversation, push

M1 = Path(__file__).resolve().parent.parent / "data" / "m1"
"""120 real minutes of EURUSD (from 14:54) and of XAUUSD (from 14:30)."""

NOON_NS = 20_628 * DAY_NS + 720 * MINUTE_NS
"""2026-06-24T12:00Z."""


def candle(symbol: str = "EURUSD", minute: int = 0) -> Candle:
    """A candle, so many minutes after noon."""
    return Candle(
        symbol,
        NOON_NS + minute * MINUTE_NS,
        "1.10000",
        "1.10010",
        "1.09990",
        "1.10005",
        "7",
        "1.10005",
        "1.10017",
        12,
        5,
    )


def round_of(*symbols: str, minute: int = 0) -> Round:
    """One push of each symbol, in one minute."""
    return Round([push(candle(symbol, minute)) for symbol in symbols])


def rules(
    plan: str = "pro",
    *,
    quota: int | None = None,
    keys: tuple[str, ...] = (),
    max_symbols: int = 50,
    reset_after_s: float | None = None,
    close_code: int | None = 1008,
    knows: Callable[[str], bool] = lambda symbol: not symbol.startswith("BAD"),
) -> Rules:
    """Rules for all connections, with the day of `NOON_NS`."""
    accounts = Accounts(PLANS[plan], keys=keys, quota=quota, reset_after_s=reset_after_s)
    accounts.day = NOON_NS // DAY_NS
    return Rules(accounts, max_symbols, knows, close_code=close_code)


def say(conversation: Conversation, now: float = 0.0, **request: object) -> list[dict[str, object]]:
    """Send one request; return what is answered."""
    conversation.receive([json.dumps(request).encode()], now)
    return heard(conversation)


def heard(conversation: Conversation) -> list[dict[str, object]]:
    """The messages that a client gets, decoded; what cannot be decoded makes the test fail."""
    return [json.loads(payload) for payload in payloads(conversation.take_outgoing())]


def payloads(items: list[Outgoing]) -> list[bytes]:
    """The messages in what is to be sent."""
    batch = FrameReader().feed(wire(items))
    assert batch.error is None
    return batch.payloads


def wire(items: list[Outgoing]) -> bytes:
    """The bytes of what is to be sent."""
    outbox = Outbox()
    for item in items:
        outbox.put(item)
    data = b""
    while head := bytes(outbox.head()):
        data += head
        outbox.advance(len(head))
    return data


def live(the_rules: Rules, *symbols: str, key: str = "k", conversation: Conversation | None = None) -> Conversation:
    """A conversation that is authenticated and subscribed."""
    talk = conversation or TickAtlasConversation(the_rules, 0.0)
    say(talk, action="auth", key=key)
    say(talk, action="subscribe", symbols=list(symbols))
    return talk
