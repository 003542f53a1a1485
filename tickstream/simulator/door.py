"""The HTTP side of a client's socket: it asks for an upgrade and gets it, or another answer, or a bad one."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from tickstream.simulator import handshake
from tickstream.simulator.bad_answers import Asked, Step
from tickstream.simulator.handshake import Plain, Refusal, Request

READ_SIZE = 65536


@dataclass(frozen=True)
class House:
    """What there is behind all doors."""

    paths: tuple[str, ...]
    """Where upgrades are given; `/x/*` is all below `/x/`."""
    plain: Callable[[Plain], str | None]
    """The JSON that answers a request for something else; None when there is no such thing."""
    bad_answer: Callable[[int, Asked], Iterator[Step] | None]
    """The answer to a request for an upgrade, if it is to be a bad one."""


class Door:
    """One client's. Each step takes `patience_s` at the most. `say` is for the log."""

    def __init__(
        self, sock: socket.socket, house: House, number: int, say: Callable[[str], None], patience_s: float
    ) -> None:
        self._sock = sock
        self._house = house
        self._number = number
        self._say = say
        self._patience_s = patience_s

    def upgrade(self) -> tuple[Request, bytes] | None:
        """Answer the request. Returns it, and what came after it, if it was upgraded. Raises OSError."""
        head = self._read_head()
        if head is None:
            return None
        head, _, rest = head.partition(b"\r\n\r\n")
        try:
            plain = handshake.parse_plain(head)
            if "upgrade" not in plain.headers:
                self._answer(msgspec.structs.replace(plain, body=self._read_body(rest, plain.length)))
                return None
            request = handshake.upgrade_of(plain, *self._house.paths)
        except Refusal as refusal:
            self._say(f"answered HTTP {refusal.status}")
            self._sock.sendall(refusal.encode(time.time()))
            return None
        steps = self._house.bad_answer(self._number, Asked(request.key, time.time()))
        if steps is not None:
            self._answer_badly(steps)
            return None
        self._sock.sendall(handshake.upgrade(handshake.accept_of(request.key), time.time()))
        return request, rest

    def _answer(self, request: Plain) -> None:
        """What the provider serves beside its stream. Raises Refusal when that is nothing."""
        answer = self._house.plain(request)
        if answer is None:
            handshake.upgrade_of(request, *self._house.paths)
        else:
            self._say(f"answered {request.method} {request.path}")
            self._sock.sendall(handshake.answer(200, answer, time.time(), {"Content-Type": "application/json"}))

    def _answer_badly(self, steps: Iterator[Step]) -> None:
        """Until the steps end, or the client goes."""
        for step in steps:
            self._sock.settimeout(self._patience_s)
            self._sock.sendall(step.data)
            if step.wait_s:
                self._sock.settimeout(step.wait_s)
                with contextlib.suppress(TimeoutError):
                    self._sock.recv(READ_SIZE)
                    return

    def _read_head(self) -> bytes | None:
        head = b""
        deadline = time.monotonic() + self._patience_s
        while b"\r\n\r\n" not in head:
            chunk = self._read(deadline)
            head += chunk
            if not chunk or len(head) > handshake.MAX_REQUEST:
                return None
        return head

    def _read_body(self, body: bytes, length: int) -> bytes:
        deadline = time.monotonic() + self._patience_s
        while len(body) < length:
            chunk = self._read(deadline)
            if not chunk:
                raise Refusal(400, "The body is not complete.")
            body += chunk
        return body[:length]

    def _read(self, deadline: float) -> bytes:
        self._sock.settimeout(max(0.01, deadline - time.monotonic()))
        return self._sock.recv(READ_SIZE)
