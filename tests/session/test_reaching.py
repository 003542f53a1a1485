"""A certificate that nobody vouches for is accepted when it is the one that was pinned, and never otherwise."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import RawServer
from tests.session.connecting import KEY, addresses, welcome
from tickstream.clock import SystemClock
from tickstream.errors import ConfigError, HandshakeError, TlsError
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session.reaching import DialOptions
from tickstream.session.tls import Handshake
from tickstream.session.transport import Transport, dial
from tickstream.tls_pins import TlsPin

pytestmark = pytest.mark.usefixtures("no_threads_left")
OTHER = "AB" * 32


def connect(url: str, pin: str, agreed: list[Handshake] | None = None, **options: Any) -> Transport:
    request = ConnectRequest(url, {"X-API-Key": Secret(KEY)}, tls_pin=TlsPin(pin, "MY_PIN"))
    on_tls = None if agreed is None else agreed.append
    return dial(request, DialOptions(**options), SystemClock(), threading.Event(), on_tls=on_tls)


def shown(error: TlsError) -> str:
    """The fingerprint that an error tells."""
    found = re.search(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", str(error))
    assert found is not None, error
    return found[0]


def refused(url: str, pin: str, **options: Any) -> TlsError:
    with pytest.raises(TlsError) as raised:
        connect(url, pin, **options).abort()
    assert not raised.value.retryable
    assert KEY not in str(raised.value)
    return raised.value


def test_without_a_pin_the_refusal_tells_the_fingerprint_and_where_to_pin_it(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context()) as server:
        error = refused(server.url, "")
    assert error.verify_code in {18, 19, 20}
    assert f"MY_PIN={shown(error)}" in error.hint
    assert server.connections == 2, "OpenSSL shows no certificate that it refuses: a second connection does"
    assert server.received() == b""


def test_the_certificate_that_is_pinned_is_accepted_whoever_signed_it(authority: Authority) -> None:
    agreed: list[Handshake] = []
    context = authority.server_context("other.example", expired=True)
    with RawServer(welcome, tls=context) as server:
        pin = shown(refused(server.url, ""))
        connect(server.url, pin, agreed).abort()
        connect(server.url, pin.replace(":", "").lower()).abort()
    assert agreed[0].pinned
    assert "pinned" in str(agreed[0])
    assert KEY.encode() in server.received()


def test_another_certificate_than_the_pinned_one_is_refused_even_with_a_good_authority(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context()) as server:
        error = refused(server.url, OTHER, ca_file=authority.ca_file)
    assert "another certificate than the one pinned with MY_PIN" in str(error)
    assert shown(error)
    assert server.received() == b""


def test_a_certificate_that_an_authority_vouches_for_needs_no_pin(authority: Authority) -> None:
    agreed: list[Handshake] = []
    with RawServer(welcome, tls=authority.server_context()) as server:
        connect(server.url, "", agreed, ca_file=authority.ca_file).abort()
    assert not agreed[0].pinned


def test_a_pin_that_is_none_is_refused_before_anything_is_connected() -> None:
    with RawServer() as server, pytest.raises(ConfigError, match="MY_PIN"):
        connect(f"wss://127.0.0.1:{server.port}/", "nonsense")
    assert server.connections == 0


def test_a_plain_server_has_no_certificate_to_pin() -> None:
    with RawServer(welcome) as server:
        connect(server.url, OTHER).abort()
        with pytest.raises(HandshakeError, match="TLS"):
            connect(f"wss://127.0.0.1:{server.port}/", OTHER, tls_timeout_s=0.3)


def test_of_another_machine_no_fingerprint_is_advised(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome, tls=authority.server_context()) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", server.port)))
        error = refused(f"wss://gateway.example:{server.port}/", "")
    assert "MY_PIN" not in str(error)
    assert server.connections == 1


def test_what_cannot_be_looked_at_again_is_not_advised(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome, tls=authority.server_context()) as server:
        found = addresses(("127.0.0.1", server.port))
        calls: list[object] = []

        def once(*args: object, **more: object) -> list[Any]:
            calls.append(args)
            return found(*args, **more) if len(calls) == 1 else []

        monkeypatch.setattr(socket, "getaddrinfo", once)
        error = refused(server.url, "")
    assert (len(calls), "MY_PIN" in str(error)) == (2, False)
