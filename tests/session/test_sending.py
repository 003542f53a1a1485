"""Sending: masked and whole, never blocked for ever, and understood by an independent server."""

from __future__ import annotations

import ssl
import threading
import time

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, wait_until
from tests.session.connecting import KEY, collect, connect, ends_with, upgraded
from tickstream.clock import SystemClock
from tickstream.errors import ConnectionLost
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session import transport as transport_module
from tickstream.session.frames import PING, PONG, Control
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import dial

pytestmark = pytest.mark.usefixtures("no_threads_left")


# --- sending ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65535, 65536, 3_000_000])
def test_messages_arrive_masked_and_whole(authority: Authority, tls: ssl.SSLContext | None, size: int) -> None:
    got: list[bytes] = []
    with RawServer(upgraded(lambda peer: got.extend(peer.read_frames().payloads)), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        transport.send(b"m" * size)
        wait_until(lambda: got)
        transport.abort()
    assert got == [b"m" * size]


def test_where_binary_messages_are_asked_for_they_go_both_ways_and_nowhere_else() -> None:
    for binary in (True, False):
        kinds: list[type] = []

        def echo(connection: ServerConnection, kinds: list[type] = kinds) -> None:
            for message in connection:
                kinds.append(type(message))
                connection.send(b"\x93\x01")

        with serve(echo, "127.0.0.1", 0) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            request = ConnectRequest(f"ws://127.0.0.1:{server.socket.getsockname()[1]}/", binary=binary)
            transport = dial(request, DialOptions(), SystemClock(), threading.Event())
            transport.send(b"{}")
            batch = transport.receive(5)
            transport.close(1000)
            server.shutdown()
            thread.join()
        assert batch is not None
        assert kinds == [bytes if binary else str]
        assert (list(batch.payloads), bool(batch.bad)) == ([b"\x93\x01"] if binary else [], not binary)


def test_pings_are_sent_as_pings() -> None:
    got: list[Control] = []
    with RawServer(upgraded(lambda peer: got.extend(peer.read_frames().controls))) as server:
        transport = connect(server.url)
        transport.ping(b"t=1")
        wait_until(lambda: got)
        transport.abort()
    assert got == [Control(PING, b"t=1")]


def test_a_server_that_never_reads_is_given_up(
    authority: Authority, tls: ssl.SSLContext | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "SEND_TIMEOUT_S", 0.3)
    release = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        peer.send_text(b"still here")
        release.wait(10)

    with RawServer(script, tls=tls, buffer=4096) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match="did not take"):
            transport.send(b"x" * 50_000_000)
        assert 0.25 < time.monotonic() - began < 5
        with pytest.raises(ConnectionLost, match="closed"):
            transport.send(b"a frame into the middle of another")
        assert transport.close(timeout=0.2) == [b"still here"]
        release.set()


def test_a_server_that_reads_only_when_it_is_read_is_not_waited_for(
    authority: Authority, tls: ssl.SSLContext | None
) -> None:
    """Both sides in the middle of a large message: without reading while writing, both would wait for ever."""
    got: list[int] = []

    def script(peer: Peer) -> None:
        peer.send_text(*[b"y" * 1000] * 8000)
        got.append(len(peer.read_frames().payloads[0]))

    with RawServer(upgraded(script), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        transport.send(b"x" * 3_000_000)
        assert len(collect(transport, 8000)) == 8000
        wait_until(lambda: got)
        transport.abort()


def test_sending_on_a_reset_connection_is_a_lost_connection() -> None:
    with RawServer(ends_with(Peer.reset)) as server:
        transport = connect(server.url)
        wait_until(server.peers[0].closed.is_set)
        with pytest.raises(ConnectionLost, match="while sending"):
            transport.send(b"x" * 10_000_000)
        assert transport.close() == [b"one", b"two"]


# --- an independent server -------------------------------------------------------------------------------------------


def test_it_talks_with_the_websockets_library(authority: Authority, tls: ssl.SSLContext | None) -> None:
    closed: list[tuple[int | None, str | None]] = []

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)
        closed.append((connection.close_code, connection.close_reason))

    with serve(echo, "127.0.0.1", 0, ssl=tls, compression="deflate") as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.socket.getsockname()[1]
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/"
        request = ConnectRequest(url, {"X-API-Key": Secret(KEY)})
        transport = dial(request, DialOptions(ca_file=authority.ca_file), SystemClock(), threading.Event())
        sent = [b"n=%d" % n * n for n in range(1, 300)]
        for message in sent:
            transport.send(message)
        transport.ping(b"hello")
        payloads: list[bytes] = []
        controls: list[Control] = []
        while len(payloads) < len(sent) or not controls:
            batch = transport.receive(5)
            assert batch is not None
            payloads += batch.payloads
            controls += batch.controls
        assert payloads == sent
        assert controls == [Control(PONG, b"hello")]
        assert transport.close(1000, "bye") == []
        wait_until(lambda: closed)
        assert closed == [(1000, "bye")]
        server.shutdown()
        thread.join(5)
