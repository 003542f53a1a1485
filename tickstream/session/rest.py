"""HTTP requests beside a stream: one connection for each, bounded in time and size; and whoever makes them in turn.

A request never holds up the stream: it is made in a thread of its own, which wakes the session's when it is done.
Redirects are not followed; statuses are for the provider's protocol to judge. Compressed answers are not asked for.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping

from tickstream import __version__
from tickstream.clock import Clock
from tickstream.errors import HandshakeError, NetworkError, TickstreamError
from tickstream.providers.base import FeedProtocol
from tickstream.providers.rest import AsksRest, RestAnswer, RestRequest
from tickstream.session.causes import why
from tickstream.session.context import Wire
from tickstream.session.dialling import Step, Steps
from tickstream.session.http import MAX_HEAD, parse_head, split_head, unchunked
from tickstream.session.reaching import Route

ANSWER_TIMEOUT_S = 10.0
"""From the connection to the last byte of the answer."""
MAX_ANSWER = 4 * 2**20
"""Bytes of a body: lists of contracts are long, and nothing else is asked for."""


def fetch(request: RestRequest, *, route: Route, steps: Steps) -> RestAnswer:
    """Make a request where the route leads. Never raises: what went wrong is part of the answer."""
    target = route.target
    try:
        sock = route.connect(steps)
        with contextlib.closing(sock):
            return _converse(sock, request, route, steps.part(ANSWER_TIMEOUT_S))
    except TickstreamError as error:
        return RestAnswer(request, error=error)
    except TimeoutError:
        text = f"{target.authority} did not answer {request.method} {_path(request)} within {ANSWER_TIMEOUT_S:g} s."
        return RestAnswer(request, error=NetworkError(text))
    except OSError as error:
        text = f"The connection to {target.authority} broke during {request.method} {_path(request)}: {why(error)}."
        return RestAnswer(request, error=NetworkError(text))


def _path(request: RestRequest) -> str:
    """Without its query, for people."""
    return request.path.partition("?")[0]


def _converse(sock: socket.socket, request: RestRequest, route: Route, step: Step) -> RestAnswer:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {route.target.host_header}",
        f"User-Agent: tickstream/{__version__}",
        "Accept: application/json",
        "Connection: close",
    ]
    if request.method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(request.body)}"]
    step.send_all(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + request.body)
    received = b""
    while (parts := split_head(received)) is None:
        chunk = step.receive(sock, 4096)
        received += chunk
        if not chunk or len(received) > MAX_HEAD:
            raise HandshakeError(f"{route.target.authority} does not answer {_path(request)} in HTTP.")
    head = parse_head(parts[0])
    if head is None:
        raise HandshakeError(f"{route.target.authority} does not answer {_path(request)} in HTTP.")
    body = _body(sock, head.headers, parts[1], step, _path(request))
    return RestAnswer(request, head.status, body)


def _body(sock: socket.socket, headers: Mapping[str, str], body: bytes, step: Step, path: str) -> bytes:
    """As long as the headers say, or until the connection ends. Raises HandshakeError when it is too long or cut."""
    chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    announced = headers.get("content-length", "")
    length = int(announced) if re.fullmatch(r"\d{1,15}", announced) and not chunked else None
    pieces, size = [body], len(body)
    while length is None or size < length:
        if max(size, length or 0) > MAX_ANSWER:
            raise HandshakeError(f"The answer to {path} is longer than {MAX_ANSWER >> 20} MiB.")
        chunk = step.receive(sock, 64 * 1024)
        if not chunk:
            break
        pieces.append(chunk)
        size += len(chunk)
    whole = b"".join(pieces)
    found = unchunked(whole) if chunked else whole if length is None else whole[:length]
    if found is None or (length is not None and size < length):
        raise HandshakeError(f"The answer to {path} ended before it was complete.")
    return found


class RestDesk:
    """Makes the requests of a protocol, one after the other. `turn` is for the thread that owns the protocol."""

    def __init__(
        self, protocol: AsksRest, fetch: Callable[[RestRequest], RestAnswer], wake: Callable[[], None], clock: Clock
    ) -> None:
        self._protocol = protocol
        self._fetch = fetch
        self._wake = wake
        self._clock = clock
        self._waiting: deque[RestRequest] = deque()
        self._answers: deque[RestAnswer] = deque()
        self._busy = False

    def turn(self) -> None:
        """Hand over the answers that have come, and begin the next request. Raises what the protocol raises."""
        clock = self._clock
        while self._answers:
            self._busy = False
            self._protocol.take_answer(self._answers.popleft(), clock.now_ns(), clock.monotonic())
        self._waiting += self._protocol.requests_to_make(clock.monotonic())
        if self._waiting and not self._busy:
            self._busy = True
            request = self._waiting.popleft()
            threading.Thread(target=self._make, args=(request,), name="rest", daemon=True).start()

    def _make(self, request: RestRequest) -> None:
        self._answers.append(self._fetch(request))
        self._wake()


def rest_of(protocol: FeedProtocol, wire: Wire, clock: Clock) -> RestDesk | None:
    """Who makes the requests of this protocol on this wire; None for a protocol that has none."""
    return RestDesk(protocol, wire.fetch, wire.wake, clock) if isinstance(protocol, AsksRest) else None
