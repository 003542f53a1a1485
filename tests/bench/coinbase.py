"""Trades and changes of a book as Coinbase Exchange sends them, and its server: as fast as they are read.

    python -m tests.bench.coinbase

Speaks as tests/bench/server.py does, to the same handle. The client's request says what it gets: `matches`, or a whole
book and its changes (`level2_batch`), `count` messages in all. Trades are about 310 bytes, each with another price,
size and time; changes about 125 bytes, one level each, most near the middle, as recorded in 2021.
"""

from __future__ import annotations

import json
import random
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from queue import Queue
from threading import Thread
from typing import Any

from tests.bench.machine import OTHER_CORE
from tests.bench.processes import Child
from tests.bench.provider import Provider
from tests.bench.quotes import MANY
from tests.bench.server import SETTLE_S, TOGETHER, Gone, Plan, Wire, tell
from tickstream.session.frames import TEXT, encode_frame

PRODUCT = "BTC-USD"
FIRST_TRADE = 1_099_995_624
MIDDLE = 8_414_900
"""In cents: bids are below, asks above."""
DEPTH = 6_000
"""Levels of each side: ETH-USD had 6,334 bids and 16,725 asks in 2026."""
_MATCH = (
    b'{"type":"match","trade_id":%d,"maker_order_id":"886cfa0b-c186-48d7-872c-%012x","taker_order_id":'
    b'"398a1ee7-48a9-407d-abe5-%012x","side":"%b","size":"0.%08d","price":"%b","product_id":"BTC-USD","sequence":%d,'
    b'"time":"%b"}'
)
_CHANGE = b'{"type":"l2update","product_id":"BTC-USD","changes":[["%b","%b","%b"]],"time":"%b"}'


def _price(cents: int) -> bytes:
    return b"%d.%02d" % divmod(cents, 100)


def _time(number: int) -> bytes:
    """217 microseconds after the one before it."""
    seconds, below = divmod(number * 217, 1_000_000)
    return b"2026-09-29T13:%02d:%02d.%06dZ" % (*divmod(seconds % 3600, 60), below)


def trades(many: int = MANY) -> list[bytes]:
    """The same ones on every call, numbered without a hole."""
    rng, cents, made = random.Random(20260929), MIDDLE, []
    for number in range(many):
        cents += rng.randint(-3, 3)
        orders = rng.getrandbits(40), rng.getrandbits(40)
        side, size, trade = rng.choice((b"buy", b"sell")), rng.randint(1, 10**8 - 1), FIRST_TRADE + number
        made.append(_MATCH % (trade, *orders, side, size, _price(cents), trade * 7, _time(number)))
    return made


def book() -> bytes:
    """A whole book."""
    sides = [[[_price(MIDDLE + sign * n).decode(), f"0.{n:08d}"] for n in range(1, DEPTH + 1)] for sign in (-1, 1)]
    whole = {"type": "snapshot", "product_id": PRODUCT, "bids": sides[0], "asks": sides[1], "time": _time(0).decode()}
    return json.dumps(whole, separators=(",", ":")).encode()


def changes(many: int = MANY) -> list[bytes]:
    """The same ones on every call: most near the middle, a third of them removals."""
    rng, made = random.Random(20260930), []
    for number in range(many):
        away = 1 + min(DEPTH - 1, int(rng.expovariate(0.02)))
        side, sign = rng.choice(((b"buy", -1), (b"sell", 1)))
        size = b"0.00000000" if rng.random() < 1 / 3 else b"0.%08d" % rng.randint(1, 10**8 - 1)
        made.append(_CHANGE % (side, _price(MIDDLE + sign * away), size, _time(number)))
    return made


STOCK = {"matches": trades, "level2_batch": changes}


class CoinbaseProvider(Provider):
    """Our handle on the server process."""

    def __init__(self, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.bench.coinbase"]
        self._child = Child(command, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, core=OTHER_CORE)
        self._events: Queue[dict[str, Any]] = Queue()
        self._hearing = Thread(target=self._hear, daemon=True)
        self._hearing.start()
        self._ports = self.expect("listening")


# --- the server ------------------------------------------------------------------------------------------------------


class Stock:
    """The frames of a channel, made once; the book comes first."""

    def __init__(self, channel: str) -> None:
        self.first = encode_frame(TEXT, book()) if channel == "level2_batch" else b""
        frames = [encode_frame(TEXT, message) for message in STOCK[channel]()]
        self.chunks = [b"".join(frames[start : start + TOGETHER]) for start in range(0, len(frames), TOGETHER)]
        self.last = [b"".join(frames[:some]) for some in range(TOGETHER)]


def serve(wire: Wire, stocks: dict[str, Stock]) -> None:
    """One connection. Raises Gone when the client ends it."""
    plan = Plan.of(wire.upgrade())
    channels = wire.message()["channels"]
    assert isinstance(channels, list)
    channel = next(name for name in channels if name in STOCK)
    stock = stocks.get(channel) or stocks.setdefault(channel, Stock(channel))
    wire.say(type="subscriptions", channels=[{"name": name, "product_ids": [PRODUCT]} for name in channels])
    tell("ready")
    time.sleep(SETTLE_S)
    tell("begin")
    wire.send(stock.first)
    whole, rest = divmod(plan.count - bool(stock.first), TOGETHER)
    for number in range(whole):
        wire.listen(0)
        wire.send(stock.chunks[number % len(stock.chunks)])
    wire.send(stock.last[rest])
    tell("sent", count=plan.count)
    while True:
        wire.listen(60.0)


def main() -> None:
    """Serve one connection after the other until stdin is closed."""
    listener, stocks = socket.create_server(("127.0.0.1", 0)), {name: Stock(name) for name in STOCK}
    tell("listening", plain=listener.getsockname()[1])
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]) and ready:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(Gone, OSError):
            serve(Wire(sock), stocks)
        tell("end")
        sock.close()


if __name__ == "__main__":
    main()
