"""What Coinbase's other server says, that of Advanced Trade: messages of one connection, numbered. Pure.

Wire facts: docs.cdp.coinbase.com, coinbase-app/advanced-trade-apis/websocket. It is served where Coinbase Exchange's
feed is: a request names one `channel` here, and `channels` there. What it says to wrong requests is documented nowhere
(convention).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tickstream.events import Bar, MarketEvent, Quote, Trade
from tickstream.numbers import Number, text
from tickstream.providers.coinbase_exchange import TAKER
from tickstream.timestamps import NS_PER_SECOND, Timestamp, rfc3339

TOPICS = {"ticker": "ticker", "market_trades": "matches", "level2": "level2", "candles": "candles"}
"""Its channels -> the first word of the topic."""
HEARTBEATS = "heartbeats"
_SIDES = {"buy": "bid", "sell": "offer"}


class AdvancedTalk:
    """One connection's messages. Each that is made has the next number."""

    def __init__(self) -> None:
        self._sequence = 0
        self._beats = 0

    def news(self, channel: str, ns: int, *events: Mapping[str, object]) -> bytes:
        """A message of a channel."""
        number, self._sequence = self._sequence, self._sequence + 1
        envelope = {"channel": channel, "client_id": "", "timestamp": rfc3339(ns), "sequence_num": number}
        return msgspec.json.encode({**envelope, "events": events})

    def state(self, topics: Iterable[str], ns: int) -> bytes:
        """All that is subscribed now."""
        listed: dict[str, list[str]] = {}
        theirs = {ours: name for name, ours in TOPICS.items()}
        for topic in topics:
            name, _, product = topic.partition(" ")
            listed.setdefault(theirs.get(name, name), []).append(product or HEARTBEATS)
        return self.news("subscriptions", ns, {"subscriptions": listed})

    def heartbeat(self, ns: int) -> bytes:
        """One more."""
        self._beats += 1
        now = rfc3339(ns).replace("T", " ").replace("Z", "000+00:00")
        return self.news(HEARTBEATS, ns, {"current_time": now, "heartbeat_counter": self._beats})

    def of(self, event: MarketEvent) -> bytes:
        """The message of a quote, a trade or a bar."""
        ns = event.ts_event or event.ts_recv
        match event:
            case Quote():
                prices = {
                    "price": event.last or event.bid, "best_bid": event.bid, "best_bid_quantity": event.bid_size,
                    "best_ask": event.ask, "best_ask_quantity": event.ask_size,
                }  # fmt: skip
                ticker = {"type": "ticker", "product_id": event.symbol, **_texts(prices)}
                return self.news("ticker", ns, {"type": "update", "tickers": [ticker]})
            case Trade():
                trade = {
                    "trade_id": event.trade_id, "product_id": event.symbol, "price": text(event.price),
                    **_texts({"size": event.size}), "side": TAKER[event.side or "buy"].upper(), "time": rfc3339(ns),
                }  # fmt: skip
                return self.news("market_trades", ns, {"type": "update", "trades": [trade]})
            case Bar():
                values = {name: getattr(event, name) for name in ("high", "low", "open", "close", "volume")}
                candle = {"start": str(ns // NS_PER_SECOND), **_texts(values), "product_id": event.symbol}
                return self.news("candles", event.ts_recv, {"type": "update", "candles": [candle]})
        return b""

    def book(self, product: str, ts: Timestamp, kind: str, changes: Sequence[Sequence[str]]) -> bytes:
        """A whole book, or what changes in it."""
        updates = [
            {"side": _SIDES[side], "event_time": rfc3339(ts), "price_level": price, "new_quantity": size}
            for side, price, size in changes
        ]
        return self.news("l2_data", ts, {"type": kind, "product_id": product, "updates": updates})


def problem(words: str) -> bytes:
    """An error: it has no number."""
    return msgspec.json.encode({"type": "error", "message": words})


def _texts(values: Mapping[str, Number | None]) -> dict[str, str]:
    return {name: text(value) for name, value in values.items() if value is not None}
