"""A raw-socket server that says exactly what a test wants on the wire, legal or not.

    with RawServer(lambda peer: peer.accept() or peer.send_text(b"hi")) as server:
        dial(ConnectRequest(server.url), ...)

The script runs in a thread for each connection and gets a `Peer`; when it returns, the connection is closed.
`server.peers[n].received` is every byte the client of connection n has sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from tickstream.session.frames import CLOSE, TEXT, FrameBatch, FrameReader, encode_close, encode_frame

DEADLINE_S = 10.0
"""No script waits longer than this for anything."""


class Peer:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        """Everything the client has sent (after TLS)."""
        self.closed = threading.Event()
        """Set when the script is over and the connection closed."""
        self._reader = FrameReader(masked=True)
        self._taken = 0
        """Bytes of `received` that `read_frames` has seen."""
        sock.settimeout(DEADLINE_S)

    def read_request(self) -> bytes:
        """The head of the client's HTTP request."""
        while b"\r\n\r\n" not in self.received:
            chunk = self.sock.recv(65536)
            if not chunk:
                raise ConnectionError("the client went away before its request was complete")
            self.received += chunk
        return bytes(self.received.partition(b"\r\n\r\n")[0])

    def header(self, name: str) -> str:
        """One header of the request, empty if it is not there."""
        for line in self.read_request().decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return ""

    def accept(self, *extra: str, then: bytes = b"") -> None:
        """Answer the upgrade rightly; `extra` header lines; `then` in the very same segment."""
        key = self.header("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            *extra,
        ]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + then)

    def respond(self, status: str, *headers: str, body: bytes = b"") -> None:
        """Answer with another status, such as `403 Forbidden`."""
        self.read_request()
        lines = [f"HTTP/1.1 {status}", *headers]
        if not any(line.lower().startswith(("content-length:", "transfer-encoding:")) for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.sock.sendall(data)

    def send_text(self, *payloads: bytes) -> None:
        """Text messages, all in one segment."""
        self.send(b"".join(encode_frame(TEXT, payload) for payload in payloads))

    def send_close(self, code: int | None = 1000, reason: str = "") -> None:
        """A close frame."""
        self.send(encode_frame(CLOSE, encode_close(code, reason)))

    def trickle(self, data: bytes, interval_s: float) -> None:
        """Byte for byte, until all is sent or the client is gone."""
        with contextlib.suppress(OSError):
            for byte in data:
                self.sock.sendall(bytes((byte,)))
                if self.gone(interval_s):
                    return

    def gone(self, seconds: float) -> bool:
        """True when the client ends the connection within this time; what it sends meanwhile is kept."""
        end = time.monotonic() + seconds
        self.sock.settimeout(max(seconds, 0.001))
        try:
            while True:
                chunk = self.sock.recv(65536)
                if not chunk:
                    return True
                self.received += chunk
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self.sock.settimeout(left)
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(DEADLINE_S)

    def until_gone(self) -> None:
        """Wait for the client to end the connection."""
        self.gone(DEADLINE_S)

    def read_frames(self) -> FrameBatch:
        """The client's next frames (unmasked), those of the bytes that `gone` has kept first."""
        if self._taken == 0:
            self._taken = len(self.read_request()) + 4
        while True:
            batch = self._reader.feed(bytes(self.received[self._taken :]))
            self._taken = len(self.received)
            if batch.payloads or batch.bad or batch.controls or batch.close or batch.error:
                return batch
            chunk = self.sock.recv(65536)
            if not chunk:
                raise ConnectionError("the client ended the connection")
            self.received += chunk

    def reset(self) -> None:
        """End with a TCP reset instead of an orderly close."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self) -> None:
        """Nothing more will be sent, but we still read."""
        self.sock.shutdown(socket.SHUT_WR)


Script = Callable[[Peer], object]


class RawServer:
    """Listens on loopback and runs one script for each connection, in turn; the last one for all that follow."""

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", buffer: int | None = None
    ) -> None:
        self._scripts: Sequence[Script] = scripts or [Peer.until_gone]
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        if buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._listener.bind((host, 0))
        self._listener.listen(16)
        self._threads: list[threading.Thread] = []
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.peers: list[Peer] = []
        """All connections so far, those whose TLS handshake failed excepted."""
        self.errors: list[BaseException] = []
        """What scripts raised, failures of the connection excepted."""
        self.tls_errors: list[OSError] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """ws:// or wss://, with the address as host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ws' if self._tls is None else 'wss'}://{host}:{self.port}/stream"

    def received(self) -> bytes:
        """Everything that any client has sent."""
        return b"".join(bytes(peer.received) for peer in self.peers)

    def __enter__(self) -> RawServer:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for peer in self.peers:
            peer.sock.close()
        if error is None and self.errors:
            raise self.errors[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        sock.settimeout(DEADLINE_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            try:
                sock = self._tls.wrap_socket(sock, server_side=True)
            except OSError as error:
                self.tls_errors.append(error)
                sock.close()
                return
        peer = Peer(sock)
        self.peers.append(peer)
        try:
            script(peer)
        except OSError:
            pass  # the client went away: that is for the test to judge
        except BaseException as error:
            self.errors.append(error)
        finally:
            sock.close()
            peer.closed.set()


def closed_port(host: str = "127.0.0.1") -> int:
    """A port on which nothing listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], seconds: float = DEADLINE_S) -> None:
    """Wait for something another thread does. Fails when it does not happen in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)
