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
from tickstream.errors import NetworkError, ProtocolViolation, TickstreamError
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session.dialling import DialStopped
from tickstream.session.frames import FrameBatch
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import Transport, dial

KEY = "tk_canary_0123456789"
Script = Callable[[Peer], object]
Resolver = Callable[..., list[Any]]
E = TypeVar("E", bound=TickstreamError)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")


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
    assert time.monotonic() - began < 4  # every deadline is later
    timer.join()


def upgraded(script: Script) -> Script:
    """A script for after the upgrade; then it waits until the client is gone."""

    def whole(peer: Peer) -> None:
        peer.accept()
        script(peer)
        peer.until_gone()

    return whole


def ends_with(end: Script, before: bytes = b"") -> Script:
    """Two messages, perhaps more bytes, and then an end."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.send_text(b"one", b"two")
        if before:
            peer.send(before)
        peer.gone(0.02)
        end(peer)

    return script


def collect(transport: Transport, count: int) -> list[bytes]:
    """Payloads until there are `count`."""
    payloads: list[bytes] = []
    while len(payloads) < count:
        batch = transport.receive(5)
        assert batch is not None, f"only {len(payloads)} of {count} came"
        payloads += batch.payloads
    return payloads


def read_to_end(transport: Transport) -> tuple[list[FrameBatch], NetworkError | ProtocolViolation]:
    """All batches, and the error after them."""
    batches: list[FrameBatch] = []
    try:
        while True:
            batch = transport.receive(5)
            assert batch is not None, "the end did not come"
            batches.append(batch)
    except (NetworkError, ProtocolViolation) as error:
        return batches, error


def payloads_of(batches: list[FrameBatch]) -> list[bytes]:
    return [payload for batch in batches for payload in batch.payloads]


def next_payloads(transport: Transport) -> list[bytes]:
    for _ in range(100):
        batch = transport.receive(0.1)
        if batch is not None:
            return batch.payloads
    pytest.fail("no data came")
