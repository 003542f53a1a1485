"""Example Exchange, the server's side: for `tickstream simulate example` and `watch --provider example --demo`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tickstream.events import Trade
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.market import Candle, Item, MarketSource
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Push, Round, push_of
from tickstream.simulator.sample import Sample
from tickstream.simulator.tape import Tape
from tickstream.timestamps import NS_PER_SECOND
from tickstream_example.provider import NS_PER_MS, SPEC


def message(kind: str, **fields: object) -> bytes:
    return json.dumps({"kind": kind, **fields}).encode()


def payload_of(trade: Trade) -> bytes:
    price, size = bytes(trade.price).decode(), bytes(trade.size or b"0").decode()
    ms = (trade.ts_event or 0) // NS_PER_MS
    return message(
        "trade", symbol=trade.symbol, price=price, size=size, taker=trade.side, id=int(trade.trade_id or 0), ms=ms
    )


class ExampleConversation(Conversation):
    """One connection."""

    sample = Sample(  # what the faults of `tickstream simulate` spoil
        harmless=message("subscribed", symbols=[]),
        strange=message("auction"),
        error=lambda code, text: message("error", code=code, message=text),
        data=lambda symbol: {
            "kind": "trade", "symbol": symbol, "price": "1.50", "size": "2", "taker": "buy", "id": 1, "ms": 1782086400
        },
        symbol=("symbol",), time=("ms",), prices=(("price",), ("size",), ("id",)), some_symbol="BTC-USD",
    )  # fmt: skip

    def hear(self, payload: bytes, now: float) -> None:
        try:
            symbols = json.loads(payload)["symbols"]
        except (ValueError, LookupError, TypeError):
            return self.unreadable()
        good, unknown, _ = self.sift(symbols, self.shared.source.knows)
        self.topics |= {symbol: symbol for symbol in good}
        self.send(message("subscribed", symbols=good, unknown=unknown), "ack")
        self.subscribed()
        return None

    def unreadable(self) -> None:
        self.send(message("error", code="bad_request", message="not understood"), "error")

    def push(self, item: Item) -> Push:
        assert isinstance(item, Trade)
        return push_of(item, item.symbol, payload_of(item))


class ExampleServer(Counterpart):
    """Two trades of each symbol in each second of market time."""

    title = SPEC.title
    path = "/v1"
    conversation = ExampleConversation
    form = SPEC.symbol_pattern
    known = SPEC.common_symbols
    step_ns = NS_PER_SECOND

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        super().__init__(options, source, first_ns)
        self._tape = Tape(SPEC.name, source.step_ns or NS_PER_SECOND)

    def round(self, items: Sequence[Item]) -> Round:
        trades: list[object] = []
        for item in items:  # candles of a made-up market; or what was captured, as events
            trades += self._tape.trades(item) if isinstance(item, Candle) else [item]
        mine = (trade for trade in trades if isinstance(trade, Trade))
        return Round([push_of(trade, trade.symbol, payload_of(trade)) for trade in mine])
