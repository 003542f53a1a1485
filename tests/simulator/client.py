"""Clients of the simulator: the `websockets` package, which knows nothing of our code, and bare sockets."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tickstream.session.frames import TEXT, encode_frame
from tickstream.simulator.options import RACE
from tickstream.simulator.server import Simulator

WAIT_S = 10.0


class Client:
    """One connection, message by message. Numbers are decoded as text, so that digits can be compared."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.ws = socket_

    def send(self, **message: object) -> None:
        self.ws.send(json.dumps(message))

    def receive(self, wait_s: float = WAIT_S) -> dict[str, Any]:
        decoded = json.loads(self.ws.recv(timeout=wait_s), parse_float=str, parse_int=str)
        assert isinstance(decoded, dict)
        return decoded

    def ask(self, **message: object) -> dict[str, Any]:
        self.send(**message)
        return self.receive()

    def authenticate(self, key: str = "k") -> dict[str, Any]:
        return self.ask(action="auth", key=key)

    def subscribe(self, *symbols: str, key: str = "k") -> Client:
        """Authenticate and subscribe; both must work."""
        assert self.authenticate(key)["type"] == "authenticated"
        assert self.ask(action="subscribe", symbols=symbols)["symbols"] == list(symbols)
        return self

    def quotes(self, count: int) -> list[dict[str, Any]]:
        """The `data` of so many quotes; what else comes is passed over."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            message = self.receive()
            if message["type"] == "quote":
                found.append(message["data"])
        return found


@contextmanager
def client(simulator: Simulator, tls: ssl.SSLContext | None = None) -> Iterator[Client]:
    """A connected client. Its own pings are off: what is on the wire is what the test asked for.

    From a race it goes without waiting for an answer to its close frame, which stands behind a million quotes.
    """
    goodbye_s = 0.1 if simulator.options.speed == RACE else 2.0
    with connect(
        simulator.url, ssl=tls, ping_interval=None, close_timeout=goodbye_s, open_timeout=WAIT_S, proxy=None
    ) as ws:
        yield Client(ws)


def request(path: str = "/ws/v1/quotes", **headers: str) -> bytes:
    """A request for an upgrade. Headers may be changed, or left out with an empty value."""
    key = base64.b64encode(os.urandom(16)).decode()
    given = {"Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": key} | headers  # fmt: skip
    return "\r\n".join(
        [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value), "", ""]
    ).encode()


def text(**message: object) -> bytes:
    """A masked text frame, as clients send them."""
    return encode_frame(TEXT, json.dumps(message).encode(), mask=b"mask")


@contextmanager
def bare(
    simulator: Simulator, first: bytes | None = None, *, receive_buffer: int | None = None
) -> Iterator[socket.socket]:
    """A TCP connection that sends these bytes, by default a request for an upgrade."""
    with socket.socket() as sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(WAIT_S)
        sock.connect(("127.0.0.1", simulator.port))
        sock.sendall(request() if first is None else first)
        yield sock


def until(sock: socket.socket, end: bytes) -> bytes:
    """What comes, up to these bytes."""
    data = b""
    while end not in data:
        chunk = sock.recv(65536)
        assert chunk, f"the connection ended after {data[-200:]!r}"
        data += chunk
    return data


def rest(sock: socket.socket) -> bytes:
    """What comes until the connection ends, however it ends."""
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data
