"""The HTTP upgrade: what websocket-client is given instead of a socket, and what a failed attempt means.

websocket-client writes the request and checks the answer, but it reads headers without end, waits per byte and not per
answer, and reads the body of a refusal to its end, however long. `GuardedSocket` stands between: one deadline, 64 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from socket import socket

from tickstream.errors import ConfigError, HandshakeError, TickstreamError
from tickstream.keys import Secret
from tickstream.session.dialling import DialStopped, Step
from tickstream.session.http import MAX_BODY, MAX_HEAD, Answer, parse_head, refusal, split_head
from tickstream.session.urls import Target

BODY_TIMEOUT_S = 1.0
"""How long we wait for the text that explains a refusal."""

_TLS_ALERT = b"\x15\x03"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _Refused(Exception):
    """The answer's body begins: the library is not to read it."""


class _TooLong(Exception):
    """The headers do not end."""


class GuardedSocket:
    """The part of a socket that websocket-client uses for the upgrade. `failure` is why it could not go on."""

    def __init__(self, sock: socket, step: Step) -> None:
        self._sock = sock
        self._step = step
        self.received = bytearray()
        self._given = 0
        self._head_given = False
        self.failure: Exception | None = None
        self.ended = False
        self.seconds = step.seconds

    def gettimeout(self) -> float:
        """0: the library then leaves the waiting to us."""
        return 0.0

    def send(self, data: bytes) -> int:
        """All of it: the library does not look at the count."""
        try:
            self._step.send_all(self._sock, data)
        except Exception as error:
            self.failure = error
            raise
        return len(data)

    def recv(self, size: int) -> bytes:
        """The next bytes of the head. The library asks for them one by one."""
        try:
            return self._next(size)
        except Exception as error:
            self.failure = error
            raise

    def close(self) -> None:
        """The library closes what failed; we still want to read why."""

    def rest(self) -> bytes:
        """What came after the head."""
        return bytes(self.received[self._given :])

    def read_body(self, answer: Answer, body: bytes, step: Step) -> bytes:
        """The beginning of the body, `body` being there already: what is announced, comes in time, and is of use."""
        announced = answer.headers.get("content-length", "")
        wanted = min(int(announced), MAX_BODY) if re.fullmatch(r"\d{1,15}", announced) else MAX_BODY
        try:
            while len(body) < wanted and not body.endswith(b"\r\n0\r\n\r\n"):
                chunk = step.receive(self._sock, wanted - len(body))
                if not chunk:
                    break
                body += chunk
        except (OSError, DialStopped):  # late, broken or no longer wanted: what is there will do
            return body
        return body[:wanted]

    def _next(self, size: int) -> bytes:
        if self._head_given:
            raise _Refused
        if self._given == len(self.received):
            if self._given >= MAX_HEAD:
                raise _TooLong
            chunk = self._step.receive(self._sock, min(4096, MAX_HEAD - self._given))
            self.ended = not chunk
            self.received += chunk
        given = bytes(self.received[self._given : self._given + size])
        self._given += len(given)
        self._head_given = self.received[max(0, self._given - 3) : self._given].endswith((b"\n\r\n", b"\n\n"))
        return given


def header_lines(headers: Mapping[str, str | Secret], user_agent: str) -> list[str]:
    """The request's own headers as lines, secrets revealed: keep them for as short as possible.

    Raises ConfigError for a name or value that would break out of its line.
    """
    lines = [] if any(name.lower() == "user-agent" for name in headers) else [f"User-Agent: {user_agent}"]
    for name, value in headers.items():
        text = value.reveal() if isinstance(value, Secret) else value
        if not _TOKEN.fullmatch(name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
            raise ConfigError(
                f"The header {name!r} cannot be sent: its name or value holds a line break or control character.",
                hint="A key file may hold more than the key.",
            )
        lines.append(f"{name}: {text}")
    return lines


def upgrade_error(
    guard: GuardedSocket, target: Target, now_ns: int, redact: Callable[[str], str], body_step: Step
) -> TickstreamError:
    """Why the upgrade failed, from what was received. `body_step` bounds the time that reading a body may take."""
    if isinstance(guard.failure, DialStopped):
        return guard.failure
    parts = split_head(bytes(guard.received))
    answer = parse_head(parts[0]) if parts else None
    if parts is None or answer is None:
        return _no_answer(guard, target)
    if answer.status == 101:
        return HandshakeError(
            f"{target.authority} answers the WebSocket handshake wrongly: its 101 does not fit our request.",
            status=101,
            hint="A proxy or a server that does not understand WebSocket may be in between.",
        )
    body = guard.read_body(answer, parts[1], body_step) if answer.status >= 400 else b""
    return refusal(Answer(answer.status, answer.headers, body), target.authority, now_ns, redact)


def _no_answer(guard: GuardedSocket, target: Target) -> HandshakeError:
    host, hint = target.authority, ""
    if not target.secure and (not guard.received or guard.received[:2] == _TLS_ALERT):
        hint = "Is this a TLS port? Its URL begins with wss://."
    if isinstance(guard.failure, TimeoutError):
        return HandshakeError(f"{host} did not finish the WebSocket upgrade within {guard.seconds:g} s.", hint=hint)
    if isinstance(guard.failure, _TooLong):
        return HandshakeError(f"{host} answers the upgrade with more than {MAX_HEAD // 1024} KiB of headers.")
    if isinstance(guard.failure, OSError) or guard.ended:
        return HandshakeError(f"{host} ended the connection during the upgrade.", hint=hint)
    return HandshakeError(f"{host} does not answer the upgrade in HTTP.", hint=hint)
