"""Answers to the request for an upgrade that a server should not give. Pure: what to send, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tickstream.simulator.handshake import accept_of, answer, upgrade

RETRY_AFTER_S = 2
FOREVER_S = 86_400.0
PAGE = "<html><body>Welcome to the airport's Wi-Fi. Please accept our terms.</body></html>\n"


class Step(NamedTuple):
    """Send this, then wait so many seconds, or until the client is gone."""

    data: bytes
    wait_s: float = 0.0


class Asked(NamedTuple):
    """The client's Sec-WebSocket-Key, the wall clock in seconds, and where a redirect leads to."""

    key: str
    now: float
    elsewhere: str = ""


def _status(status: int, text: str, headers: dict[str, str] | None = None) -> Callable[[Asked], Iterator[Step]]:
    return lambda asked: iter([Step(answer(status, text, asked.now, headers))])


def _redirect(asked: Asked) -> Iterator[Step]:
    yield Step(answer(301, "Moved.\n", asked.now, {"Location": asked.elsewhere}))


def _bad_accept(asked: Asked) -> Iterator[Step]:
    yield Step(upgrade(accept_of("something else"), asked.now), FOREVER_S)


def _slow(asked: Asked) -> Iterator[Step]:
    for byte in upgrade(accept_of(asked.key), asked.now):
        yield Step(bytes((byte,)), 1.0)


def _silent(_asked: Asked) -> Iterator[Step]:
    yield Step(b"", FOREVER_S)


def _endless(asked: Asked) -> Iterator[Step]:
    yield Step(upgrade(accept_of(asked.key), asked.now)[:-2])
    line = b"X-Filler: " + b"a" * 1000 + b"\r\n"
    while True:
        yield Step(line)


_LATER = {"Retry-After": str(RETRY_AFTER_S)}

BAD_ANSWERS: dict[str, Callable[[Asked], Iterator[Step]]] = {
    "http-200": _status(200, PAGE),
    "http-301": _redirect,
    "http-400": _status(400, "Bad request.\n"),
    "http-401": _status(401, "Unauthorized.\n"),
    "http-403": _status(403, "Forbidden.\n"),
    "http-404": _status(404, "Not found.\n"),
    "http-429": _status(429, "Too many requests.\n", _LATER),
    "http-500": _status(500, "Something broke.\n"),
    "http-503": _status(503, "Down for maintenance.\n", _LATER),
    "bad-accept": _bad_accept,
    "slow-handshake": _slow,
    "silent-handshake": _silent,
    "endless-header": _endless,
}
"""Fault -> the steps. After the last one the connection is closed."""
