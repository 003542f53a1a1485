"""The provider of every benchmark: as much of TickAtlas as a client needs, then quotes as fast as they are read.

    python -m tests.bench.server [--certificate PEM]

Serves one connection after the other, on a plain and, given a certificate, on a TLS port. The URL says what the
connection gets: `/ws/v1/quotes?count=N` and perhaps

    rate=R      so many messages a second, each with the time of its sending as its volume (see quotes.STAMP)
    tick_us=T   at a rate: not more often than every T microseconds, so several together
    records=1   with TLS: each message in a record of its own, as most servers send them; otherwise 16 KiB in each
    close=1     close the connection after the last one; otherwise it is the client that leaves

What happens is told in JSON lines on stdout: `{"event": "listening", "plain": PORT, "tls": PORT}`, then for each
connection `ready` (subscribed, nothing sent yet), `begin` (50 ms later), `sent`, `end`; `at` is the monotonic time.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import hashlib
import json
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.bench.quotes import STAMP, Framed, framed, quotes
from tickstream.session.frames import CLOSE, PING, PONG, TEXT, FrameReader, encode_close, encode_frame

SETTLE_S = 0.05
"""Between `ready` and `begin`: the client waits, so that what it has used for starting up can be looked at."""
PATIENCE_S = 120.0
TOGETHER = 1_000
"""Messages for one send."""
LARGEST_RECORD = 1 << 14
"""Bytes of a TLS record."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PR_SET_TIMERSLACK = 29


def tell(event: str, **more: object) -> None:
    """One line to whoever started us."""
    print(json.dumps({"event": event, "at": time.monotonic(), **more}), flush=True)


@dataclass(frozen=True)
class Plan:
    """What a connection gets, from its URL."""

    count: int = 1
    rate: int = 0
    tick_us: int = 0
    records: int = 0
    distinct: int = 0
    close: int = 0

    @classmethod
    def of(cls, target: str) -> Plan:
        """Raises TypeError for a word that means nothing here."""
        return cls(**{name: int(value) for name, value in parse_qsl(urlsplit(target).query)})


class Gone(Exception):
    """The client has left."""


class Encrypted:
    """TLS on a socket, as much of a socket as `Wire` needs.

    Not an `ssl.SSLSocket`: that one makes a system call for each record, which is more than a client needs for one.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._patiently(self._tls.do_handshake)

    def fileno(self) -> int:
        """Of the socket: it is what a `select` waits for."""
        return self._sock.fileno()

    def pending(self) -> bool:
        """True when there may be something to receive without waiting."""
        return bool(self._tls.pending() or self._incoming.pending)

    def recv(self, size: int) -> bytes:
        """At least one byte, b"" at the end."""
        received: bytes = self._patiently(lambda: self._tls.read(size))
        return received

    def sendall(self, data: bytes | memoryview) -> None:
        """In records as large as they may be."""
        self.send_each([data])

    def send_each(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Each in a record of its own, all with one system call."""
        for piece in pieces:
            for start in range(0, len(piece), LARGEST_RECORD):
                self._tls.write(piece[start : start + LARGEST_RECORD])
        self._sock.sendall(self._outgoing.read())

    def shutdown(self, how: int) -> None:
        """As of a socket; without the goodbye of TLS."""
        self._sock.shutdown(how)

    def _patiently(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._outgoing.read())
                if not (received := self._sock.recv(65536)):
                    return b""
                self._incoming.write(received)
            else:
                self._sock.sendall(self._outgoing.read())
                return result


class Wire:
    """The server's end of one WebSocket connection. Pings and the close frame are answered by `listen`."""

    def __init__(self, sock: socket.socket | Encrypted) -> None:
        self._sock = sock
        self._reader = FrameReader(masked=True)
        self._messages: deque[bytes] = deque()
        self._leaving = False

    def upgrade(self) -> str:
        """The opening handshake; returns the request target."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += self._receive()
        head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head[1:])}
        accept = base64.b64encode(hashlib.sha1(headers[b"sec-websocket-key"] + _GUID).digest())
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        return head[0].split(b" ")[1].decode()

    def message(self) -> dict[str, object]:
        """The next JSON message of the client."""
        while not self._messages:
            self.listen(PATIENCE_S)
        message: dict[str, object] = json.loads(self._messages.popleft())
        return message

    def say(self, **message: object) -> None:
        """A JSON message."""
        self.send(encode_frame(TEXT, json.dumps(message).encode()))

    def send(self, data: bytes | memoryview) -> None:
        """All of it. Raises Gone."""
        try:
            self._sock.sendall(data)
        except OSError:
            raise Gone from None

    def send_each(self, pieces: Iterable[bytes | memoryview]) -> None:
        """All of them, with TLS each in a record of its own. Raises Gone."""
        if not isinstance(self._sock, Encrypted):
            return self.send(b"".join(pieces))
        try:
            return self._sock.send_each(pieces)
        except OSError:
            raise Gone from None

    def listen(self, seconds: float) -> None:
        """Take what has come, or comes within `seconds`. Raises Gone when the client has said goodbye, or just gone."""
        pending = isinstance(self._sock, Encrypted) and self._sock.pending()
        if not pending and not select.select([self._sock], [], [], seconds)[0]:
            return
        batch = self._reader.feed(self._receive())
        self._messages += batch.payloads
        for control in batch.controls:
            if control.opcode == PING:
                self.send(encode_frame(PONG, control.payload))
        if batch.close is not None:
            if not self._leaving:
                self.send(encode_frame(CLOSE, encode_close(batch.close.code)))
            raise Gone

    def close(self) -> None:
        """Say goodbye first."""
        self._leaving = True
        self.send(encode_frame(CLOSE, encode_close(1000)))
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _receive(self) -> bytes:
        try:
            received = self._sock.recv(65536)
        except OSError:
            raise Gone from None
        if not received:
            raise Gone
        return received


class Stock:
    """The frames for some symbols, made once."""

    def __init__(self, symbols: tuple[str, ...], distinct: int = 0) -> None:
        made = quotes(symbols, distinct, distinct=True) if distinct else quotes(symbols)
        frames = [encode_frame(TEXT, b"%b%d%b" % (quote.head, quote.volume, quote.tail)) for quote in made]
        self.bytes = memoryview(b"".join(frames))
        self.ends = [0]
        for frame in frames:
            self.ends.append(self.ends[-1] + len(frame))
        self.stamped: list[Framed] = [framed(quote) for quote in made]


def blast(wire: Wire, stock: Stock, plan: Plan) -> int:
    """As fast as they are read. Returns how many were sent."""
    sent, ends = 0, stock.ends
    while sent < plan.count:
        wire.listen(0)
        some = min(len(ends) - 1, plan.count - sent)
        for first in range(0, some, TOGETHER):
            last = min(first + TOGETHER, some)
            if plan.records:
                wire.send_each(stock.bytes[ends[one] : ends[one + 1]] for one in range(first, last))
            else:
                wire.send(stock.bytes[ends[first] : ends[last]])
        sent += some
    return sent


def pace(wire: Wire, stock: Stock, plan: Plan) -> int:
    """At a rate, each when it is due; those that are late go together. Returns how many were sent."""
    begun = time.monotonic_ns()
    tick, looked, sent = plan.tick_us * 1000, begun, 0
    stamped, many = stock.stamped, len(stock.stamped)
    while sent < plan.count:
        now = time.monotonic_ns()
        due = min(plan.count, (now - begun) * plan.rate // 1_000_000_000 + 1)
        if due > sent:
            digits = b"%d" % (STAMP + now // 1000)
            some = (stamped[number % many] for number in range(sent, due))
            wire.send(b"".join(part for head, tail in some for part in (head, digits, tail)))
            sent = due
        if now - looked > 100_000_000:
            looked = now
            wire.listen(0)
        next_ns = max(begun + sent * 1_000_000_000 // plan.rate, now + tick)
        time.sleep(max(0, next_ns - time.monotonic_ns()) / 1e9)
    return sent


def serve(sock: socket.socket | Encrypted, stocks: dict[tuple[tuple[str, ...], int], Stock]) -> None:
    """One connection from its upgrade to its end. Raises Gone when it is the client that ends it."""
    wire = Wire(sock)
    plan = Plan.of(wire.upgrade())
    wire.message()
    wire.say(type="authenticated", plan="enterprise", max_symbols=100, credits_per_push=3, daily_quota_remaining=None)
    asked = wire.message()["symbols"]
    assert isinstance(asked, list)
    symbols = tuple(asked)
    if (symbols, plan.distinct) not in stocks:
        stocks[symbols, plan.distinct] = Stock(symbols, plan.distinct)
    wire.say(type="subscribed", symbols=asked, total_subscribed=len(asked))
    tell("ready")
    time.sleep(SETTLE_S)
    tell("begin")
    send: Callable[[Wire, Stock, Plan], int] = pace if plan.rate else blast
    tell("sent", count=send(wire, stocks[symbols, plan.distinct], plan))
    if plan.close:
        wire.close()
    while True:
        wire.listen(PATIENCE_S)


def main() -> None:
    """Serve until stdin is closed."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--certificate", metavar="PEM", help="certificate and key, for the TLS port")
    certificate = arguments.parse_args().certificate
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)  # wake up when it is time, not up to 50 us later
    listeners = {"plain": socket.create_server(("127.0.0.1", 0))}
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listeners["tls"] = socket.create_server(("127.0.0.1", 0))
    tell("listening", **{name: one.getsockname()[1] for name, one in listeners.items()})
    stocks: dict[tuple[tuple[str, ...], int], Stock] = {}
    while True:
        for listener in select.select(list(listeners.values()), [], [])[0]:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(Gone, OSError):
                encrypted = context is not None and listener is listeners["tls"]
                serve(Encrypted(sock, context) if encrypted and context else sock, stocks)
            tell("end")
            sock.close()


if __name__ == "__main__":
    main()
