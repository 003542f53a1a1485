"""TLS: what is verified, what is fatal, and ports that speak something else (faults 4 and 5)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer
from tests.session.connecting import KEY, addresses, assert_stops_at_once, connect, refused, welcome
from tickstream.clock import SystemClock
from tickstream.errors import ConfigError, HandshakeError, TlsError
from tickstream.providers.base import ConnectRequest
from tickstream.session.reaching import DialOptions
from tickstream.session.tls import Handshake
from tickstream.session.transport import dial

pytestmark = pytest.mark.usefixtures("no_threads_left")


def test_an_unknown_authority_is_fatal_and_the_server_learns_nothing(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context()) as server:
        error = refused(TlsError, server.url)
    assert error.verify_code in {18, 19, 20}
    assert str(error.verify_code) in str(error)
    assert not error.retryable
    assert server.connections == 1
    assert server.received() == b""


def test_a_certificate_for_another_host_is_fatal(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context("other.example")) as server:
        error = refused(TlsError, f"wss://localhost:{server.port}/", ca_file=authority.ca_file)
    assert error.verify_code == 62
    assert server.received() == b""


def test_an_address_that_the_certificate_does_not_name_is_fatal(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context("localhost")) as server:
        assert refused(TlsError, server.url, ca_file=authority.ca_file).verify_code == 64


def test_an_expired_certificate_is_fatal(authority: Authority) -> None:
    with RawServer(welcome, tls=authority.server_context(expired=True)) as server:
        error = refused(TlsError, server.url, ca_file=authority.ca_file)
    assert error.verify_code == 10
    assert "expired" in str(error)
    assert server.received() == b""


def test_tls_before_1_2_is_refused(authority: Authority) -> None:
    context = authority.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is deprecated is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawServer(welcome, tls=context) as server:
        error = refused(TlsError, server.url, ca_file=authority.ca_file)
    assert error.verify_code is None
    assert server.received() == b""


def test_environment_variables_that_weaken_tls_are_ignored(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", authority.ca_file)
    with RawServer(welcome, tls=authority.server_context()) as server:
        refused(TlsError, server.url)
        connect(server.url, ca_file=authority.ca_file).abort()
    assert not log.exists()


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_an_unusable_ca_file_is_named_before_anything_is_connected(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with RawServer() as server:
        assert "ca.pem" in str(refused(ConfigError, f"wss://localhost:{server.port}/", ca_file=str(path)))
    assert server.connections == 0


def plain_http(peer: Peer) -> None:
    peer.sock.recv(10)
    peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    peer.until_gone()


@pytest.mark.parametrize(
    "script",
    [
        plain_http,
        lambda peer: peer.sock.recv(10),
        lambda peer: (peer.sock.recv(10), peer.reset()),
        Peer.until_gone,
        lambda peer: (peer.send(b"220 smtp\r\n"), peer.until_gone()),
    ],
    ids=["http", "closes", "resets", "mute", "greets"],
)
def test_wss_to_a_plain_port_asks_whether_this_is_tls(script: Callable[[Peer], object]) -> None:
    with RawServer(script) as server:
        error = refused(HandshakeError, f"wss://127.0.0.1:{server.port}/", tls_timeout_s=0.3)
    assert "Is this a TLS port?" in str(error)
    assert error.retryable
    assert KEY.encode() not in server.received()


def test_a_mute_tls_port_can_be_stopped() -> None:
    with RawServer() as server:
        assert_stops_at_once(f"wss://127.0.0.1:{server.port}/")


def test_ws_to_a_tls_port_asks_whether_this_is_tls(authority: Authority) -> None:
    with RawServer(tls=authority.server_context()) as server:
        error = refused(HandshakeError, f"ws://127.0.0.1:{server.port}/")
    assert "Is this a TLS port?" in str(error)


def test_what_was_agreed_on_is_handed_out(authority: Authority) -> None:
    agreed: list[Handshake] = []
    with RawServer(welcome, tls=authority.server_context()) as server:
        options = DialOptions(ca_file=authority.ca_file)
        dial(ConnectRequest(server.url), options, SystemClock(), threading.Event(), on_tls=agreed.append).abort()
    assert agreed[0].version == "TLSv1.3"
    assert "trustme" in agreed[0].issuer
    assert agreed[0].expires_s > time.time()


def test_a_host_name_may_end_in_a_dot(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome, tls=authority.server_context("localhost")) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", server.port)))
        connect(f"wss://localhost.:{server.port}/", ca_file=authority.ca_file).abort()
        assert server.peers[0].header("Host") == f"localhost.:{server.port}"
