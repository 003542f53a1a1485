"""Through HTTP proxies, and past them (fault 16)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, closed_port
from tests.session.connecting import KEY, addresses, connect, refused, welcome
from tickstream.clock import SystemClock
from tickstream.errors import ConfigError, NetworkError
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import dial

QUICK: dict[str, Any] = {
    "resolve_timeout_s": 0.3, "tcp_timeout_s": 0.3, "tls_timeout_s": 0.3, "upgrade_timeout_s": 0.3,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("no_threads_left")


PASSWORD = "hunter2-canary"


def through(proxy: RawServer) -> dict[str, Any]:
    return {"env": {"https_proxy": f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}"}}


def relay_to(port: int) -> Callable[[Peer], None]:
    """A CONNECT proxy that leads everywhere to one local port."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            return
        finally:
            for sock in (source, sink):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def script(peer: Peer) -> None:
        peer.read_request()
        with socket.create_connection(("127.0.0.1", port)) as onward:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=copy, args=(onward, peer.sock), daemon=True)
            back.start()
            copy(peer.sock, onward)
            back.join(5)

    return script


def test_wss_goes_through_the_proxy_and_tls_is_with_the_target(authority: Authority) -> None:
    steps: list[tuple[str, float, str]] = []
    with (
        RawServer(welcome, tls=authority.server_context("feed.example")) as server,
        RawServer(relay_to(server.port)) as proxy,
    ):
        request = ConnectRequest("wss://feed.example/", {"X-API-Key": Secret(KEY)})
        options = DialOptions(ca_file=authority.ca_file, **through(proxy))
        transport = dial(request, options, SystemClock(), threading.Event(), lambda *step: steps.append(step))
        batch = transport.receive(5)
        assert batch is not None
        assert batch.payloads == [b"hi"]
        transport.abort()
        assert proxy.peers[0].received.startswith(b"CONNECT feed.example:443 HTTP/1.1\r\n")
        assert KEY.encode() not in proxy.peers[0].received
        assert server.peers[0].header("Host") == "feed.example"
    assert steps[1][2] == f"through the proxy 127.0.0.1:{proxy.port}"
    assert PASSWORD not in repr(steps)


def proxy_says(answer: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer)
        peer.until_gone()

    return script


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (proxy_says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "HTTP 407"),
        (proxy_says(b"HTTP/1.1 403 Forbidden\r\n\r\n"), "HTTP 403"),
        (proxy_says(b"SSH-2.0\r\n\r\n"), "not answer in HTTP"),
        (proxy_says(b"HTTP/1.1 200 OK\r\n\r\nbanner"), "of its own"),
        (proxy_says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000), "without end"),
        (Peer.until_gone, "did not open a tunnel"),
        (Peer.read_request, "closed the connection"),
        (lambda peer: (peer.read_request(), peer.reset()), "broke"),
    ],
    ids=["407", "403", "ssh", "banner", "endless", "hangs", "closes", "resets"],
)
def test_a_proxy_that_fails_is_named_and_its_password_is_not(script: Callable[[Peer], object], said: str) -> None:
    with RawServer(script) as proxy:
        error = refused(NetworkError, "wss://feed.example/", **{**QUICK, **through(proxy)})
    assert said in str(error)
    assert f"127.0.0.1:{proxy.port}" in str(error)
    assert PASSWORD not in str(error)
    assert error.retryable


def test_a_proxy_that_refuses_connections_is_named() -> None:
    port = closed_port()
    error = refused(NetworkError, "wss://feed.example/", env={"https_proxy": f"http://me:{PASSWORD}@127.0.0.1:{port}"})
    assert f"the proxy 127.0.0.1:{port}" in str(error)
    assert PASSWORD not in str(error)


def test_loopback_and_no_proxy_go_directly(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome, tls=authority.server_context("localhost", "127.0.0.1", "feed.example")) as server:
        env = {"https_proxy": f"http://127.0.0.1:{closed_port()}", "no_proxy": "feed.example"}
        monkeypatch.setenv("https_proxy", env["https_proxy"])
        connect(server.url, ca_file=authority.ca_file, env=env).abort()
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", server.port)))
        connect("wss://feed.example/", ca_file=authority.ca_file, env=env).abort()
        assert server.connections == 2


def test_a_socks_proxy_is_a_configuration_error() -> None:
    refused(ConfigError, "wss://feed.example/", env={"ALL_PROXY": f"socks5://me:{PASSWORD}@127.0.0.1:1080"})
