"""What the tests of connecting share: dial something, expect an error, replace the resolver, find slow endings."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.faults.raw import Peer
from tickstream.clock import SystemClock
from tickstream.errors import TickstreamError
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session.dialling import DialStopped
from tickstream.session.transport import DialOptions, Transport, dial

KEY = "tk_canary_0123456789"
Resolver = Callable[..., list[Any]]
E = TypeVar("E", bound=TickstreamError)


def connect(url: str, *, key: bool = True, stop: threading.Event | None = None, **options: Any) -> Transport:
    headers = {"X-API-Key": Secret(KEY)} if key else {}
    return dial(ConnectRequest(url, headers), DialOptions(**options), SystemClock(), stop or threading.Event())


def refused(kind: type[E], url: str, **options: Any) -> E:
    """The error that connecting ends in. Whatever it is, it never shows the key, and is not slow."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        connect(url, **options).abort()
    assert type(caught.value) is kind
    assert KEY not in str(caught.value) + repr(caught.value)
    assert time.monotonic() - began < 5
    return caught.value


def addresses(*found: tuple[str, int]) -> Resolver:
    """A resolver that knows only these."""

    def getaddrinfo(*_args: object, **_kwargs: object) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
            for host, port in found
        ]

    return getaddrinfo


def welcome(peer: Peer) -> None:
    peer.accept(then=b"\x81\x02hi")
    peer.until_gone()


def assert_stops_at_once(url: str, **options: Any) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(DialStopped):
        connect(url, stop=stop, **options)
    assert time.monotonic() - began < 1
    timer.join()
