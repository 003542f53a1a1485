"""A WebSocket connection: dialled step by step, read in batches, closed politely.

The only file that imports websocket-client. The library does the upgrade, on a socket that we connected and that we
guard; then the socket is ours. Its own dialling follows redirects with the key, obeys proxy variables even for
loopback, and has deadlines per byte only; its reading costs thirty times as much as `FrameReader`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from tickstream import __version__
from tickstream.clock import Clock
from tickstream.errors import (
    ConnectionLost,
    HandshakeError,
    NetworkError,
    ProtocolViolation,
    SessionStale,
    TickstreamError,
)
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.providers.rest import RestAnswer, RestRequest
from tickstream.session.byte_stream import ByteStream
from tickstream.session.causes import why
from tickstream.session.dialling import Step, StepBegins, StepDone, Steps, peer_of
from tickstream.session.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Close,
    FrameBatch,
    FrameReader,
    encode_close,
    encode_frame,
)
from tickstream.session.http import readable, refusal_of_nobody
from tickstream.session.reaching import DialOptions, Route
from tickstream.session.rest import fetch
from tickstream.session.tls import Handshake
from tickstream.session.upgrade import BODY_TIMEOUT_S, GuardedSocket, header_lines, upgrade_error
from tickstream.session.urls import Target, parse_target

SEND_TIMEOUT_S = 10.0
"""A server that does not take a message of ours within this time is gone."""
CLOSE_REPLY_TIMEOUT_S = 0.5
"""How long answering a close frame may keep data from being handed on."""
LINGER_S = 0.5
"""How long we wait for the end of the stream once all is said: closing earlier would reset the connection."""
MAX_CLOSING_DATA = 16 * 2**20
"""Bytes of data taken while closing: a server that goes on sending is not listened to for ever."""


def dial(
    request: ConnectRequest,
    options: DialOptions,
    clock: Clock,
    stop: threading.Event,
    on_step: StepDone | None = None,
    on_begin: StepBegins | None = None,
    on_tls: Callable[[Handshake], None] | None = None,
) -> Transport:
    """Connect and upgrade. Setting `stop` ends it within 100 ms, with DialStopped (a NetworkError).

    The steps are `resolve`, `tcp` (the tunnel through a proxy included), `tls` and `upgrade`: `on_begin(step)` is
    called when one begins, `on_step(step, seconds, detail)` when it succeeded; before the latter, `on_tls` gets what
    TLS agreed on. A failed step raises: ConfigError, InsecureUrl, ResolveError, NetworkError, TlsError,
    HandshakeError, or what the HTTP answer means (http.ANSWERS).
    """
    target = parse_target(request.url)
    secrets = _secrets(request)
    route = Route(target, options, has_key=bool(secrets), pin=request.tls_pin)
    steps = Steps(clock, stop, on_step, on_begin)
    try:
        sock = route.connect(steps, on_tls)
        try:
            peer = peer_of(sock)[1]
            with steps.begin("upgrade", options.upgrade_timeout_s) as step:
                headers, received = _upgrade(sock, request, target, step, steps, clock)
                step.detail = "HTTP 101"
            redact = Secret.redactor(secrets)
            how = msgspec.structs.replace(options, binary=True) if request.binary else options
            transport = Transport(ByteStream(sock, clock, received), clock, how, headers, peer, redact)
        except BaseException:
            sock.close()
            raise
    except OSError as error:  # no step expects it: out of file descriptors, for one
        raise NetworkError(f"Cannot connect to {target.authority}: {why(error)}.") from None
    transport.fetch = partial(fetch, route=route, steps=steps.silent())
    return transport


def _secrets(request: ConnectRequest) -> list[Secret]:
    return [*request.secrets, *(value for value in request.headers.values() if isinstance(value, Secret))]


def _upgrade(
    sock: socket.socket, request: ConnectRequest, target: Target, step: Step, steps: Steps, clock: Clock
) -> tuple[dict[str, str], bytes]:
    """Let websocket-client upgrade the connection. Returns the answer's headers, and what came after them."""
    import websocket
    from websocket._handshake import CookieJar

    CookieJar.jar.clear()  # all hosts share it: what one server puts in would be sent to others
    guard = GuardedSocket(sock, step)
    library: Any = websocket.WebSocket(enable_multithread=False)
    lines = header_lines(request.headers, f"tickstream/{__version__}")
    try:
        library.connect(
            target.url,
            socket=guard,
            header=lines,
            host=target.host_header,
            subprotocols=list(request.subprotocols) or None,
            suppress_origin=True,
            redirect_limit=0,
        )
    except Exception:  # noqa: BLE001 - whatever the library says (it may quote secrets), the bytes tell more
        secrets = _secrets(request)
        redact = Secret.redactor(secrets)
        error = upgrade_error(guard, target, clock.now_ns(), redact, steps.part(BODY_TIMEOUT_S))
        raise (error if secrets else refusal_of_nobody(error, target.authority)) from None
    headers: dict[str, str] = library.handshake_response.headers
    if headers.get("sec-websocket-extensions"):
        raise HandshakeError(f"{target.authority} turns on a WebSocket extension that we did not offer.", status=101)
    return headers, guard.rest()


def _nothing_else(request: RestRequest) -> RestAnswer:
    return RestAnswer(request, error=NetworkError("There is nothing but the stream."))


class Transport:
    """One WebSocket connection. One thread uses it; `wake` alone may be called from others."""

    def __init__(
        self,
        stream: ByteStream,
        clock: Clock,
        options: DialOptions,
        response_headers: Mapping[str, str],
        peer: str,
        redact: Callable[[str], str],
    ) -> None:
        self.response_headers = response_headers
        """Of the HTTP 101; names in lower case."""
        self.peer = peer
        """Address and port at the other end: of the proxy, if there is one."""
        self._stream = stream
        self._clock = clock
        self._redact = redact
        self._reader = FrameReader(max_message=options.max_message, binary=options.binary)
        self._data_opcode = BINARY if options.binary else TEXT
        self._message_timeout_s = options.message_timeout_s
        self._partial_since: float | None = None
        self._left_at = 0.0
        """When `receive` was last left: time spent elsewhere is not the server's fault."""
        self._end: TickstreamError | None = None
        """Why nothing more can be received."""
        self._may_send = True
        self._closed = False
        self.fetch: Callable[[RestRequest], RestAnswer] = _nothing_else
        """Make an HTTP request to the same server, on a connection of its own. Thread-safe, never raises."""

    @property
    def bytes_received(self) -> int:
        """Bytes read from the socket since the upgrade."""
        return self._stream.bytes_received

    def receive(self, timeout: float) -> FrameBatch | None:
        """The next batch; None when nothing is complete within `timeout` seconds, or when woken.

        A close frame or an error of the protocol is part of the batch it came with; a close frame has been answered
        by then. Only the call after that raises: ConnectionLost or ProtocolViolation. So does the end of the stream.
        Raises SessionStale when a message that has begun does not go on. Pings are not answered here.
        """
        entered = self._clock.monotonic()
        if self._partial_since is not None:
            self._partial_since += entered - self._left_at
        try:
            return self._receive(entered + timeout)
        finally:
            self._left_at = self._clock.monotonic()

    def send(self, payload: bytes) -> None:
        """One text message, in UTF-8; a binary one where that was asked for.

        Raises ConnectionLost, also when the server does not read.
        """
        self._send(self._data_opcode, payload, SEND_TIMEOUT_S)

    def ping(self, payload: bytes) -> None:
        """A ping of at most 125 bytes. Raises ConnectionLost."""
        self._send(PING, payload, SEND_TIMEOUT_S)

    def pong(self, payload: bytes) -> None:
        """The answer to a ping, with its payload. Raises ConnectionLost."""
        self._send(PONG, payload, SEND_TIMEOUT_S)

    def close(self, code: int = 1000, reason: str = "", timeout: float = 3.0) -> list[bytes]:
        """The closing handshake. Waits `timeout` seconds for the server's part; a `wake` cuts that short.

        Returns the data messages that still arrived. Never raises; a second call does nothing.
        """
        if self._closed:
            return []
        deadline = self._clock.monotonic() + timeout
        self._stream.forget_wake()
        try:
            self._send(CLOSE, encode_close(code, reason), timeout)
            heard = True
        except ConnectionLost:
            heard = False
        payloads = self._last_payloads(deadline, heard)
        self._stream.finish()
        self._linger(min(deadline, self._clock.monotonic() + LINGER_S))
        self.abort()
        return payloads

    def abort(self) -> None:
        """Let go at once, without a word. Never raises."""
        self._closed = True
        self._may_send = False
        self._end = self._end or ConnectionLost("The connection was closed by this side.")
        self._stream.close()

    def wake(self) -> None:
        """Make a waiting `receive` return None at once. Thread-safe, never raises."""
        self._stream.wake()

    # --- within --------------------------------------------------------------------------------------------------

    def _receive(self, deadline: float) -> FrameBatch | None:
        clock = self._clock
        while self._end is None:
            now = clock.monotonic()
            until = deadline
            if self._partial_since is not None:
                until = min(until, self._partial_since + self._message_timeout_s)
            try:
                chunk = self._stream.read(max(0.0, until - now))
            except OSError as error:
                self._end = ConnectionLost(f"The connection broke: {why(error)}.")
                continue
            if chunk is None:
                self._check_progress()
                return None
            if not chunk:
                where = " in the middle of a message" if self._reader.partial else ""
                self._end = ConnectionLost(f"The server ended the connection without a close frame{where}.")
                continue
            batch = self._reader.feed(chunk)
            self._note_progress(batch)
            if batch.close is not None or batch.error is not None:
                self._end_with(batch)
                return batch
            if batch.payloads or batch.bad or batch.controls:
                return batch
            self._check_progress()
            if clock.monotonic() >= deadline:
                return None
        raise self._end

    def _note_progress(self, batch: FrameBatch) -> None:
        """A message that has begun has its deadline; each one that is complete starts the next one's."""
        reader = self._reader
        if not reader.partial:
            self._partial_since = None
        elif self._partial_since is None or batch.payloads or batch.bad or (batch.controls and not reader.fragmented):
            self._partial_since = self._clock.monotonic()

    def _check_progress(self) -> None:
        since = self._partial_since
        if since is not None and self._clock.monotonic() - since >= self._message_timeout_s:
            self._end = SessionStale(
                f"The server began a message and did not finish it within {self._message_timeout_s:g} s."
            )
            raise self._end

    def _end_with(self, batch: FrameBatch) -> None:
        if batch.close is not None:
            code, reason = batch.close.code, readable(self._redact(batch.close.reason))
            batch.close = Close(code, reason)
            said = f" (code {code or 'none'}{': ' + reason if reason else ''})"
            self._end = ConnectionLost(f"The server closed the connection{said}.", close_code=code, reason=reason)
            with suppress(ConnectionLost):
                self._send(CLOSE, encode_close(code), CLOSE_REPLY_TIMEOUT_S)
        else:
            assert isinstance(batch.error, ProtocolViolation)
            self._end = batch.error

    def _send(self, opcode: int, payload: bytes, timeout: float) -> None:
        if not self._may_send:
            raise ConnectionLost("The connection is closed.")
        frame = encode_frame(opcode, payload, os.urandom(4))
        if opcode == CLOSE:
            self._may_send = False
        try:
            self._stream.write(frame, timeout)
        except ConnectionLost:
            self._may_send = False  # a frame may have been cut in two
            raise

    def _last_payloads(self, deadline: float, heard: bool) -> list[bytes]:
        """Data up to the server's close frame, the end of the stream, the deadline or a wake.

        `heard` False: the server knows nothing of our close, so only what is already there is taken.
        """
        payloads: list[bytes] = []
        size = 0
        with suppress(TickstreamError):
            while size < MAX_CLOSING_DATA:
                now = self._clock.monotonic()
                if heard and now >= deadline:
                    break
                batch = self._receive(deadline if heard else now)
                if batch is None:
                    break
                payloads += batch.payloads
                size += sum(map(len, batch.payloads))
        return payloads

    def _linger(self, deadline: float) -> None:
        with suppress(OSError):
            while (left := deadline - self._clock.monotonic()) > 0 and self._stream.read(left):
                pass
