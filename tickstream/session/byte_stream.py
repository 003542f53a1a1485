"""A connected socket, plain or TLS, as a stream of bytes: reads that can be woken, writes that never hang.

One thread uses a stream; only `wake` may be called from others. The socket is non-blocking, and every read tries before
it waits: TLS may hold decrypted bytes of which the operating system knows nothing.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from collections import deque

from tickstream.clock import Clock
from tickstream.errors import ConnectionLost
from tickstream.session.causes import why

CHUNK = 128 * 1024
MAX_AHEAD = 4 * 2**20
"""Bytes read ahead while a write waits: a server that waits for us to read before it reads is served, within reason."""
SLICE_S = 0.25


class ByteStream:
    """`received` is what was read from the socket before it was handed over here."""

    def __init__(self, sock: socket.socket, clock: Clock, received: bytes = b"") -> None:
        sock.setblocking(False)
        self._sock = sock
        self._clock = clock
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._ahead: deque[bytes] = deque([received] if received else [])
        self._ahead_size = len(received)
        self._failure: OSError | None = None
        """An error met while reading ahead, kept until what came before it was handed out."""
        self._ended = False
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._woken = False
        self._waits_to_write = False
        """TLS wants to write before it can read on."""
        self.bytes_received = len(received)

    def read(self, timeout: float) -> bytes | None:
        """The next bytes, b"" at the end of the stream; None: nothing within `timeout` seconds, or woken.

        Raises OSError when the connection broke.
        """
        if self._ahead:
            chunk = self._ahead.popleft()
            self._ahead_size -= len(chunk)
            return chunk
        deadline = self._clock.monotonic() + timeout
        while True:
            received = self._try_read()
            if received is not None:
                return received
            left = deadline - self._clock.monotonic()
            if left > 0 and not self._woken:
                self._wait(left, selectors.EVENT_READ)
                if not self._woken:
                    continue
            self._woken = False
            return None

    def write(self, data: bytes, timeout: float) -> None:
        """All of it. Raises ConnectionLost when the other side does not take it within `timeout` seconds."""
        deadline = self._clock.monotonic() + timeout
        rest = memoryview(data)
        while rest:
            events = selectors.EVENT_WRITE
            try:
                rest = rest[self._sock.send(rest) :]
                continue
            except (BlockingIOError, ssl.SSLWantWriteError):
                pass
            except ssl.SSLWantReadError:
                events = selectors.EVENT_READ
            except OSError as error:
                raise ConnectionLost(f"The connection broke while sending: {why(error)}.") from None
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise ConnectionLost(f"The server did not take a message of ours within {timeout:g} s.")
            may_read = not self._ended and self._failure is None and self._ahead_size < MAX_AHEAD
            self._wait(min(left, SLICE_S), events | (selectors.EVENT_READ if may_read else 0))
            if may_read:
                self._read_ahead()

    def wake(self) -> None:
        """Make a waiting `read` return None at once, or the next one that would wait. Thread-safe, never raises."""
        with contextlib.suppress(OSError):  # full: it is woken already; closed: nobody waits
            self._wake_writer.send(b"\0")

    def forget_wake(self) -> None:
        """What was woken so far needs no answer any more."""
        with contextlib.suppress(OSError):
            self._wake_reader.recv(4096)
        self._woken = False

    def finish(self) -> None:
        """Tell the other side that nothing more will be sent. Reading goes on. Never raises."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.unwrap()  # sends the TLS goodbye; the answer to it is not waited for
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Give everything back to the operating system. May be called twice; never raises."""
        self._selector.close()
        for sock in (self._sock, self._wake_reader, self._wake_writer):
            with contextlib.suppress(OSError):
                sock.close()

    # --- within --------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float, events: int) -> None:
        if self._waits_to_write:
            events |= selectors.EVENT_WRITE
        if self._selector.get_key(self._sock).events != events:
            self._selector.modify(self._sock, events)
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._wake_reader:
                self._wake_reader.recv(4096)
                self._woken = True

    def _try_read(self) -> bytes | None:
        """What is there now, b"" at the end, None if nothing is. Of TLS, as many records as make a good batch."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        first = self._receive()
        if not self._tls or not first:
            return first
        pieces, size = [first], len(first)
        while size < CHUNK:
            try:
                more = self._receive()
            except OSError as error:
                self._failure = error
                break
            if not more:
                break
            pieces.append(more)
            size += len(more)
        return first if len(pieces) == 1 else b"".join(pieces)

    def _receive(self) -> bytes | None:
        self._waits_to_write = False
        try:
            chunk = self._sock.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._waits_to_write = True
            return None
        self.bytes_received += len(chunk)
        self._ended = not chunk
        return chunk

    def _read_ahead(self) -> None:
        try:
            chunk = self._try_read()
        except OSError as error:
            self._failure = error
            return
        if chunk:
            self._ahead.append(chunk)
            self._ahead_size += len(chunk)
