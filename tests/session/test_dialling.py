"""Reaching a host: where a key may go, name resolution, TCP (faults 1 to 3), on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from tests.faults.raw import RawServer, closed_port, wait_until
from tests.session.connecting import KEY, addresses, assert_stops_at_once, connect, needs_ipv6, refused, welcome
from tickstream.clock import SystemClock
from tickstream.errors import InsecureUrl, NetworkError, ResolveError
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import dial

pytestmark = pytest.mark.usefixtures("no_threads_left")


# --- where to --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1.evil.com", "0x7f.1", "[::ffff:127.0.0.1]", "10.0.0.1", "tickatlas.com"])
def test_a_key_is_never_sent_over_ws_to_another_machine(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: pytest.fail("it was looked up"))
    refused(InsecureUrl, f"ws://{host}/?token={KEY}")
    request = ConnectRequest(f"ws://{host}/", secrets=(Secret(KEY),))
    with pytest.raises(InsecureUrl):
        dial(request, DialOptions(), SystemClock(), threading.Event())


def test_localhost_that_leads_elsewhere_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", server.port)))
        monkeypatch.setattr("tickstream.session.reaching.peer_of", lambda _sock: ("192.0.2.7", "192.0.2.7:80"))
        assert "192.0.2.7" in str(refused(InsecureUrl, f"ws://localhost:{server.port}/"))
        wait_until(lambda: server.peers and server.peers[0].closed.is_set())
        assert server.received() == b""


def test_without_a_key_or_with_leave_plain_ws_may_go_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", server.port)))
        connect("ws://feed.example/", key=False).abort()
        connect("ws://feed.example/", allow_plaintext=True).abort()
        assert server.peers[0].header("Host") == "feed.example"


# --- resolve (fault 2) -----------------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist_is_an_unknown_host() -> None:
    def nobody(*_args: object, **_kwargs: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", nobody)
        error = refused(ResolveError, "wss://feed.invalid/")
    assert error.unknown_host
    assert "feed.invalid" in str(error)


def test_dns_trouble_is_not_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def later(*_args: object, **_kwargs: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", later)
    error = refused(ResolveError, "wss://feed.example/")
    assert not error.unknown_host
    assert "Cannot look up feed.example: Temporary failure" in str(error)


def test_a_name_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses())
    assert "has no address" in str(refused(ResolveError, "wss://feed.example/"))


def test_slow_dns_has_a_deadline_and_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: release.wait(20) and [])
    try:
        assert "0.2 s" in str(refused(ResolveError, "wss://slow.example/", resolve_timeout_s=0.2))
        assert_stops_at_once("wss://slow.example/")
    finally:
        release.set()


def test_a_bug_in_the_resolver_is_not_called_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object, **_kwargs: object) -> list[Any]:
        raise ZeroDivisionError

    monkeypatch.setattr(socket, "getaddrinfo", broken)
    with pytest.raises(ZeroDivisionError):
        connect("wss://feed.example/")


# --- TCP (faults 1 and 3) --------------------------------------------------------------------------------------------


def test_a_refused_connection_says_so() -> None:
    port = closed_port()
    assert f"127.0.0.1:{port}: connection refused" in str(refused(NetworkError, f"ws://127.0.0.1:{port}/"))


def full_listener() -> tuple[list[socket.socket], int]:
    """A port that answers no SYN: its queue is full. (The last sockets are still connecting.)"""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    clients = [socket.socket() for _ in range(3)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))
    return [listener, *clients], port


def test_a_host_that_does_not_answer_has_a_deadline_and_can_be_stopped() -> None:
    sockets, port = full_listener()
    try:
        error = refused(NetworkError, f"ws://127.0.0.1:{port}/", tcp_timeout_s=0.3)
        assert "no answer within 0.3 s" in str(error)
        assert_stops_at_once(f"ws://127.0.0.1:{port}/")
    finally:
        for sock in sockets:
            sock.close()


@needs_ipv6
def test_a_closed_ipv6_port_costs_nothing_when_ipv4_works(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(welcome) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(("::1", closed_port("::1")), ("127.0.0.1", server.port)))
        began = time.monotonic()
        connect(f"ws://localhost:{server.port}/").abort()
        assert time.monotonic() - began < 4


def test_a_black_hole_costs_a_quarter_of_a_second_not_the_whole_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets, port = full_listener()
    try:
        with RawServer(welcome) as server:
            monkeypatch.setattr(socket, "getaddrinfo", addresses(("127.0.0.1", port), ("127.0.0.1", server.port)))
            began = time.monotonic()
            connect(f"ws://localhost:{server.port}/").abort()
            assert 0.2 < time.monotonic() - began < 5
    finally:
        for sock in sockets:
            sock.close()


@needs_ipv6
def test_when_no_address_works_the_number_tried_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("::1", closed_port("::1")), ("127.0.0.1", closed_port())]
    monkeypatch.setattr(socket, "getaddrinfo", addresses(*found))
    assert "(2 addresses tried)" in str(refused(NetworkError, "ws://localhost/"))


def test_families_take_turns_so_that_one_that_is_broken_cannot_use_up_the_time() -> None:
    from tickstream.session.dialling import _taking_turns

    six, four = [(socket.AF_INET6, (f"::{n}", 1)) for n in range(9)], [(socket.AF_INET, ("10.0.0.1", 1))]
    assert _taking_turns([*six, *four])[:3] == [six[0], four[0], six[1]]
    assert len(_taking_turns(six * 3)) == 12


def test_a_family_this_machine_does_not_have_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_args: object, **_kwargs: object) -> list[Any]:
        return [(12345, socket.SOCK_STREAM, 6, "", ("x", 1))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert "not supported" in str(refused(NetworkError, "ws://localhost/"))


@pytest.mark.parametrize("address", [("255.255.255.255", 9), ("no address", 9)])
def test_an_address_that_cannot_be_connected_to_is_passed_over(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(welcome) as server:
        monkeypatch.setattr(socket, "getaddrinfo", addresses(address, ("127.0.0.1", server.port)))
        connect(f"ws://localhost:{server.port}/").abort()
    monkeypatch.setattr(socket, "getaddrinfo", addresses(address))
    assert "Cannot connect to localhost:80: " in str(refused(NetworkError, "ws://localhost/"))


# --- odds and ends ---------------------------------------------------------------------------------------------------


def test_running_out_of_file_descriptors_is_a_network_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> tuple[socket.socket, socket.socket]:
        raise OSError(24, "Too many open files")

    with RawServer(welcome) as server:
        monkeypatch.setattr(socket, "socketpair", full)
        assert "Too many open files" in str(refused(NetworkError, server.url))


def test_a_connection_that_is_gone_before_it_was_looked_at_is_a_network_error() -> None:
    from tickstream.session.dialling import peer_of

    with socket.socket() as sock, pytest.raises(NetworkError, match="as soon as it stood"):
        peer_of(sock)
