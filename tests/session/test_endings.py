"""How a connection ends: data first, then the reason; and how we end it (faults 24, 29 and 30)."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, wait_until
from tests.session.connecting import KEY, Script, collect, connect, ends_with, payloads_of, read_to_end, upgraded
from tickstream.errors import ConnectionLost, ProtocolViolation
from tickstream.session.frames import TEXT, Close, encode_frame

pytestmark = pytest.mark.usefixtures("no_threads_left")


# --- endings (faults 24, 29, 30) -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4001, None])
def test_a_close_frame_comes_with_the_data_before_it_and_is_answered(code: int | None) -> None:
    answered: list[Close | None] = []

    def script(peer: Peer) -> None:
        peer.send(encode_frame(TEXT, b"last"))
        peer.send_close(code, "see \x1b[1m you" if code else "")
        answered.append(peer.read_frames().close)

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        batches, error = read_to_end(transport)
        assert payloads_of(batches) == [b"last"]
        assert batches[-1].close == Close(code, "see [1m you" if code else "")
        assert isinstance(error, ConnectionLost)
        assert error.close_code == code
        assert error.reason == ("see [1m you" if code else "")
        assert transport.close() == []
        wait_until(lambda: answered)
        assert answered == [Close(code, "")]


def test_a_key_in_the_close_reason_is_not_shown() -> None:
    with RawServer(upgraded(lambda peer: peer.send_close(4001, f"bad key {KEY}"))) as server:
        transport = connect(server.url)
        batches, error = read_to_end(transport)
        assert batches[-1].close == Close(4001, "bad key ***")
        assert KEY not in str(error)
        transport.abort()


@pytest.mark.parametrize("end", [lambda _peer: None, Peer.half_close, Peer.reset], ids=["close", "half-close", "reset"])
def test_an_end_without_a_close_frame_comes_after_the_data(
    authority: Authority, tls: ssl.SSLContext | None, end: Script
) -> None:
    with RawServer(ends_with(end), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        wait_until(server.peers[0].closed.is_set)  # all of it has happened before we look
        batches, error = read_to_end(transport)
        assert payloads_of(batches) == [b"one", b"two"]
        assert isinstance(error, ConnectionLost)
        assert error.close_code is None
        with pytest.raises(ConnectionLost):
            transport.receive(0)
        assert transport.close() == []


def test_an_end_in_the_middle_of_a_message_says_so() -> None:
    with RawServer(ends_with(Peer.half_close, before=b"\x81\x7e")) as server:
        transport = connect(server.url)
        batches, error = read_to_end(transport)
        assert payloads_of(batches) == [b"one", b"two"]
        assert "in the middle of a message" in str(error)
        transport.abort()


def test_rubbish_between_tls_records_ends_the_connection_after_the_data(authority: Authority) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.send_text(b"one", b"two")
        with socket.socket(fileno=peer.sock.detach()) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"?" * 32)
            raw.settimeout(5)
            raw.recv(1)

    with RawServer(script, tls=authority.server_context()) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        batches, error = read_to_end(transport)
        assert payloads_of(batches) == [b"one", b"two"]
        assert isinstance(error, ConnectionLost)
        assert str(error).endswith("record mac.")
        transport.abort()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (b"\xc1\x00", 1002),
        (b"\x83\x00", 1002),
        (b"\x89\x7e\x00\x7e", 1002),
        (b"\x88\x02\x03\xed", 1002),
        (b"\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00", 1009),
    ],
    ids=["rsv", "opcode", "long ping", "close 1005", "1 GiB"],
)
def test_a_violation_comes_after_the_data_and_is_answered_with_its_close_code(wrong: bytes, code: int) -> None:
    answered: list[Close | None] = []

    def script(peer: Peer) -> None:
        peer.send(encode_frame(TEXT, b"good") + wrong + encode_frame(TEXT, b"never") * 20_000)
        answered.append(peer.read_frames().close)

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        batches, error = read_to_end(transport)
        assert payloads_of(batches) == [b"good"]
        assert isinstance(error, ProtocolViolation)
        assert batches[-1].error is error
        assert error.close_code == code
        assert transport.close(error.close_code) == []
        wait_until(lambda: answered)
        assert answered == [Close(code, "")]


def test_the_server_sees_an_orderly_end_even_when_we_have_not_read_all_it_sent() -> None:
    """Closing a socket with unread bytes would reset the connection, and the close frame could be lost with it."""
    seen: list[bytes | OSError] = []

    def script(peer: Peer) -> None:
        peer.send(b"\xc1\x00" + encode_frame(TEXT, b"never read") * 20_000)
        peer.read_frames()
        try:
            peer.send(encode_frame(TEXT, b"nor this") * 800_000)
            seen.append(peer.sock.recv(10))
        except OSError as error:
            seen.append(error)

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        batch = transport.receive(5)
        assert batch is not None
        assert batch.error is not None
        transport.close(1002)
        wait_until(lambda: seen)
    assert seen == [b""]


def test_masked_frames_from_the_server_are_taken() -> None:
    with RawServer(upgraded(lambda peer: peer.send(encode_frame(TEXT, b"masked", b"abcd")))) as server:
        transport = connect(server.url)
        assert collect(transport, 1) == [b"masked"]
        transport.abort()


# --- closing ---------------------------------------------------------------------------------------------------------


def test_a_close_is_a_handshake_and_late_data_is_returned(authority: Authority, tls: ssl.SSLContext | None) -> None:
    got: list[Close | None] = []

    def script(peer: Peer) -> None:
        got.append(peer.read_frames().close)
        peer.send_text(b"late", b"later")
        peer.gone(0.05)
        peer.send_text(b"last")
        peer.send_close(1000)

    with RawServer(upgraded(script), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        began = time.monotonic()
        assert transport.close(1000, "done") == [b"late", b"later", b"last"]
        assert time.monotonic() - began < 2
        assert got == [Close(1000, "done")]
        wait_until(server.peers[0].closed.is_set)
        assert transport.close() == []
        with pytest.raises(ConnectionLost):
            transport.send(b"too late")
        with pytest.raises(ConnectionLost):
            transport.receive(0)


@pytest.mark.parametrize("script", [lambda _peer: None, lambda peer: peer.trickle(b"\x81\x7d" + b"x" * 100, 0.02)])
def test_a_close_waits_no_longer_than_it_may(script: Script) -> None:
    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        began = time.monotonic()
        assert transport.close(timeout=0.3) == []
        assert 0.25 < time.monotonic() - began < 1.5


def test_a_close_of_a_connection_that_goes_on_sending_ends_and_returns_what_came() -> None:
    def script(peer: Peer) -> None:
        while True:
            peer.send_text(b"more" * 1000)

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        began = time.monotonic()
        assert set(transport.close(timeout=0.2)) == {b"more" * 1000}
        assert time.monotonic() - began < 2


def test_a_wake_before_a_close_does_not_spoil_it_and_one_during_it_cuts_it_short() -> None:
    def script(peer: Peer) -> None:
        peer.read_frames()
        peer.gone(0.05)
        peer.send_text(b"late")
        peer.send_close(1000)

    with RawServer(upgraded(script), upgraded(lambda _peer: None)) as server:
        transport = connect(server.url)
        transport.wake()
        assert transport.close() == [b"late"]
        transport = connect(server.url)
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        began = time.monotonic()
        transport.close(timeout=20)
        assert time.monotonic() - began < 5
        timer.join()


def test_an_abort_says_nothing_and_frees_everything() -> None:
    with RawServer(upgraded(lambda _peer: None)) as server:
        transport = connect(server.url)
        head = len(server.peers[0].received)
        transport.abort()
        transport.abort()
        wait_until(server.peers[0].closed.is_set)
        assert len(server.peers[0].received) == head
        with pytest.raises(ConnectionLost, match="this side"):
            transport.receive(1)
        assert transport.close() == []


def test_a_close_stops_listening_to_a_flood_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickstream.session.transport.MAX_CLOSING_DATA", 2**40)

    def script(peer: Peer) -> None:
        while True:
            peer.send_text(*[b"flood" * 10_000] * 10)

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        began = time.monotonic()
        assert set(transport.close(timeout=0.05)) == {b"flood" * 10_000}
        assert time.monotonic() - began < 1.5


def test_a_close_stops_listening_to_a_slow_stream_at_its_deadline() -> None:
    def script(peer: Peer) -> None:
        while not peer.gone(0.02):
            peer.send_text(b"tick")

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        began = time.monotonic()
        assert set(transport.close(timeout=0.2)) == {b"tick"}
        assert time.monotonic() - began < 1.5


def test_tls_is_ended_in_an_orderly_way(authority: Authority) -> None:
    seen: list[bytes | OSError] = []

    def script(peer: Peer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.sock.suppress_ragged_eofs = False  # then an end without the TLS goodbye is an error
        peer.read_frames()
        peer.send_close(1000)
        try:
            seen.append(peer.sock.recv(10))
        except OSError as error:
            seen.append(error)

    with RawServer(upgraded(script), tls=authority.server_context()) as server:
        connect(server.url, ca_file=authority.ca_file).close()
        wait_until(lambda: seen)
    assert seen == [b""]
