"""Events, runs and requests to test outputs with."""

from __future__ import annotations

import io
from datetime import UTC
from typing import Any

from tickstream.clock import FakeClock
from tickstream.credits import CreditMeter
from tickstream.events import (
    Bar,
    Batch,
    BookSnapshot,
    BookUpdate,
    Event,
    Gap,
    Level,
    Notice,
    OrderUpdate,
    Quote,
    SessionEvent,
    Trade,
)
from tickstream.numbers import number
from tickstream.sinks.base import Display, SinkRequest
from tickstream.sinks.headlines import Now
from tickstream.sinks.output import Output
from tickstream.sinks.terminal import UNICODE
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.timestamps import Timestamp

START = Timestamp(1_782_312_840_000_000_000)
"""Wednesday 2026-06-24T14:54:00Z: forex is open."""
SATURDAY = Timestamp(START + 3 * 86_400_000_000_000)
MINUTE = 60_000_000_000
SYMBOLS = ("EURUSD", "XAUUSD", "BTCUSD")


def bar(symbol: str = "EURUSD", close: str = "1.1345", minute: int = 0, **changes: Any) -> Bar:
    """A candle as TickAtlas sends them; `changes` replace fields, None leaves one out."""
    fields: dict[str, Any] = {
        "provider": "tickatlas",
        "symbol": symbol,
        "ts_event": Timestamp(START + minute * MINUTE),
        "ts_recv": Timestamp(START + (minute + 1) * MINUTE + 123_456_789),
        "interval": "1m",
        "open": number("1.13468"),
        "high": number("1.13468"),
        "low": number("1.13448"),
        "close": number(close),
        "volume": number("291"),
        "bid": number(close),
        "ask": number("1.13462"),
        "spread": number("0.00012"),
        "closed": True,
    }
    return Bar(**fields | changes)


def trade(price: str = "68123.50", **changes: Any) -> Trade:
    """An execution."""
    fields: dict[str, Any] = {
        "provider": "coinbase",
        "symbol": "BTC-USD",
        "ts_event": START,
        "ts_recv": START,
        "price": number(price),
        "size": number("0.00000001"),
        "side": "buy",
        "trade_id": "00042",
        "sequence": 7,
    }
    return Trade(**fields | changes)


def quote(bid: str | None = "1.10", **changes: Any) -> Quote:
    """Top of a book."""
    fields: dict[str, Any] = {
        "provider": "kraken",
        "symbol": "EUR/USD",
        "ts_event": START,
        "ts_recv": START,
        "bid": None if bid is None else number(bid),
        "ask": number("1.20"),
    }
    return Quote(**fields | changes)


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    """Prices and sizes as a side of the book."""
    return tuple((number(price), number(size)) for price, size in pairs)


def book(*bids: tuple[str, str], asks: tuple[tuple[str, str], ...] = (), **changes: Any) -> BookSnapshot:
    """A whole book."""
    fields: dict[str, Any] = {"provider": "kraken", "symbol": "EUR/USD", "ts_event": START, "ts_recv": START}
    return BookSnapshot(**fields | {"bids": levels(*bids), "asks": levels(*asks)} | changes)


def book_update(*bids: tuple[str, str], asks: tuple[tuple[str, str], ...] = (), **changes: Any) -> BookUpdate:
    """Levels that changed."""
    whole = book(*bids, asks=asks, **changes)
    return BookUpdate(
        whole.provider, whole.symbol, whole.ts_event, whole.ts_recv, whole.bids, whole.asks, whole.sequence
    )


def order(**changes: Any) -> OrderUpdate:
    """An order that rests in the book."""
    fields: dict[str, Any] = {
        "provider": "coinbase",
        "symbol": "BTC-USD",
        "ts_event": START,
        "ts_recv": START,
        "action": "open",
        "order_id": "d50ec984-77a8",
        "side": "buy",
        "price": number("68123.50"),
        "remaining": number("0.01000000"),
        "sequence": 8,
    }
    return OrderUpdate(**fields | changes)


def gap(**changes: Any) -> Gap:
    """Three missing pushes."""
    fields: dict[str, Any] = {
        "provider": "tickatlas",
        "symbols": ("EURUSD", "XAUUSD"),
        "reason": "disconnect",
        "start": START,
        "end": Timestamp(START + MINUTE),
        "missed": 3,
    }
    return Gap(**fields | changes)


def notice(
    code: str = "quota_exceeded", message: str = "Daily quota exhausted", symbols: tuple[str, ...] = ()
) -> Notice:
    """The provider has something to say."""
    return Notice("tickatlas", START, code, message, symbols)


def session_event(state: Any = "down", reason: str | None = "connection refused", epoch: int = 1) -> SessionEvent:
    """A session changed."""
    return SessionEvent("tickatlas", 1, epoch, START, state, reason)


def batch(*events: Event, payloads: list[bytes] | None = None) -> Batch:
    """What one read brought."""
    return Batch(1, 1, START, list(events), payloads or [])


def run_status(**session: Any) -> RunStatus:
    """A demo run with one session that is up."""
    status = SessionStatus("tickatlas", 1, SYMBOLS, state="up", epoch=1, ping_ms=12.4)
    for name, value in session.items():
        setattr(status, name, value)
    return RunStatus("DEMO", (ProviderStatus("tickatlas", SYMBOLS),), [status], started=1000.0)


def meter(remaining: int | None = 10_000, minutes: int = 10) -> CreditMeter:
    """A meter that has charged three pushes of 4 credits a minute for so long, until START."""
    credits_meter = CreditMeter()
    credits_meter.account(4, remaining, START - minutes * MINUTE)
    for minute in range(minutes + 1):
        credits_meter.charge(3, START - (minutes - minute) * MINUTE)
    return credits_meter


def now(width: int = 80, seconds: float = 0.0, **changes: Any) -> Now:
    """A moment so many seconds after START, which is 1000 on the monotonic clock, shown in UTC."""
    fields: dict[str, Any] = {
        "wall_ns": START + round(seconds * 1e9),
        "monotonic": 1000.0 + seconds,
        "width": width,
        "glyphs": UNICODE,
        "tz": UTC,
    }
    return Now(**fields | changes)


class Written(io.BytesIO):
    """A standard output without a descriptor, for tests of what is written."""

    @property
    def text(self) -> str:
        return self.getvalue().decode()


def request(target: Any = None, clock: FakeClock | None = None, **changes: Any) -> SinkRequest:
    """A request as the command line makes one; the display is a pipe with a UTF-8 locale, in UTC."""
    clock = clock or FakeClock(START)
    output = Output(Written() if target is None else target, clock)
    display = changes.pop("display", Display(env={"LANG": "C.UTF-8", "TERM": "xterm-256color"}, tz=UTC))
    return SinkRequest(output=output, clock=clock, display=display, **changes)
