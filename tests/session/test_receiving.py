"""Receiving on a standing connection: nothing is lost however it is cut, and no message may take for ever.

Faults 18, 28 and 31 of the fault list, on real sockets.
"""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, wait_until
from tests.session.connecting import collect, connect, next_payloads, read_to_end, upgraded
from tickstream.clock import SystemClock
from tickstream.errors import SessionStale
from tickstream.providers.base import ConnectRequest
from tickstream.session.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Control, encode_frame
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import dial

pytestmark = pytest.mark.usefixtures("no_threads_left")


class MovableClock(SystemClock):
    """The real clock, which a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


# --- receiving -------------------------------------------------------------------------------------------------------


def test_what_comes_with_the_upgrade_in_one_segment_is_not_lost(
    authority: Authority, tls: ssl.SSLContext | None
) -> None:
    def script(peer: Peer) -> None:
        peer.accept(then=encode_frame(TEXT, b"1") + encode_frame(TEXT, b"22")[:2])
        peer.gone(0.02)
        peer.send(encode_frame(TEXT, b"22")[2:])
        peer.until_gone()

    with RawServer(script, tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        assert collect(transport, 2) == [b"1", b"22"]
        assert transport.bytes_received == 3 + 4
        transport.abort()


def test_a_flood_arrives_whole_and_in_order(authority: Authority, tls: ssl.SSLContext | None) -> None:
    sent = [b"%d:" % n + b"x" * (n % 300) for n in range(20_000)]
    with RawServer(upgraded(lambda peer: peer.send_text(*sent)), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        assert collect(transport, len(sent)) == sent
        transport.abort()


def test_frames_cut_anywhere_arrive_whole(authority: Authority, tls: ssl.SSLContext | None) -> None:
    stream = b"".join(encode_frame(TEXT, b"%d" % n * n) for n in range(0, 200, 13))
    pieces = [stream[n : n + 7] for n in range(0, len(stream), 7)]
    with RawServer(upgraded(lambda peer: [peer.send(piece) for piece in pieces]), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        assert collect(transport, 16) == [b"%d" % n * n for n in range(0, 200, 13)]
        transport.abort()


def test_tls_records_cut_anywhere_arrive_whole(authority: Authority) -> None:
    sent = [b"%d" % n * 50 for n in range(100)]

    def sliced(peer: Peer) -> None:
        """TLS done by hand, so that its records can be cut into pieces of one to eleven bytes."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = authority.server_context().wrap_bio(incoming, outgoing, server_side=True)

        def flush() -> None:
            data = outgoing.read()
            while data:
                size = 1 + len(data) % 11
                peer.send(data[:size])
                data = data[size:]

        def read() -> bytes:
            while True:
                try:
                    return tls.read(65536)
                except ssl.SSLWantReadError:
                    flush()
                    incoming.write(peer.sock.recv(65536))

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush()
                incoming.write(peer.sock.recv(65536))
        peer.received += read()
        plain = Peer(peer.sock)
        plain.received = peer.received
        answers: list[bytes] = []
        plain.send = answers.append  # type: ignore[method-assign]  # through the TLS above instead
        plain.accept()
        plain.send_text(*sent)
        for answer in answers:
            tls.write(answer)
        flush()
        peer.until_gone()

    with RawServer(sliced) as server:
        transport = connect(f"wss://127.0.0.1:{server.port}/", ca_file=authority.ca_file)
        assert collect(transport, 100) == sent
        transport.abort()


def test_nothing_within_the_timeout_is_none(authority: Authority, tls: ssl.SSLContext | None) -> None:
    with RawServer(upgraded(lambda peer: peer.send(b"\x81\x05hal")), tls=tls) as server:
        transport = connect(server.url, ca_file=authority.ca_file)
        began = time.monotonic()
        assert transport.receive(0.1) is None
        assert transport.receive(0) is None
        assert 0.08 < time.monotonic() - began < 2
        wait_until(lambda: transport.receive(0) is None and transport.bytes_received == 5)
        transport.abort()


def test_a_wake_from_another_thread_ends_a_receive_at_once() -> None:
    with RawServer(upgraded(lambda _peer: None)) as server:
        transport = connect(server.url)
        timer = threading.Timer(0.05, transport.wake)
        timer.start()
        began = time.monotonic()
        assert transport.receive(30) is None
        transport.wake()
        transport.wake()
        assert transport.receive(30) is None
        assert time.monotonic() - began < 5
        assert transport.receive(0.02) is None
        timer.join()
        transport.abort()
        transport.wake()


def test_a_wake_while_there_is_data_does_not_hide_the_data() -> None:
    with RawServer(upgraded(lambda peer: peer.send_text(b"data"))) as server:
        transport = connect(server.url)
        wait_until(lambda: server.peers)
        transport.wake()
        assert next_payloads(transport) == [b"data"]
        transport.abort()


def test_fragments_with_a_ping_between_are_joined_and_the_ping_comes_first() -> None:
    text = "Zürich".encode()

    def script(peer: Peer) -> None:
        peer.send(encode_frame(TEXT, text[:2], fin=False) + encode_frame(PING, b"now"))
        assert peer.read_frames().controls == [Control(PONG, b"now")]
        peer.send(encode_frame(CONTINUATION, text[2:]))

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url)
        batch = transport.receive(5)
        assert batch is not None
        assert (batch.payloads, batch.controls) == ([], [Control(PING, b"now")])
        transport.pong(b"now")
        assert collect(transport, 1) == [text]
        transport.abort()


def test_bad_text_and_binary_are_set_aside_and_the_connection_goes_on() -> None:
    frames = encode_frame(TEXT, b"\xff") + encode_frame(BINARY, b"b") + encode_frame(TEXT, b"ok")
    with RawServer(upgraded(lambda peer: peer.send(frames))) as server:
        transport = connect(server.url)
        bad: list[tuple[bytes, str]] = []
        payloads: list[bytes] = []
        while not payloads:
            batch = transport.receive(5)
            assert batch is not None
            bad += batch.bad
            payloads += batch.payloads
        assert (payloads, bad) == ([b"ok"], [(b"\xff", "not UTF-8"), (b"b", "binary message")])
        transport.abort()


def test_binary_is_data_where_the_provider_says_so() -> None:
    with RawServer(upgraded(lambda peer: peer.send(encode_frame(BINARY, b"\x1f\x8b")))) as server:
        transport = connect(server.url, binary=True)
        assert collect(transport, 1) == [b"\x1f\x8b"]
        transport.abort()


# --- a message that does not end (fault 18) --------------------------------------------------------------------------


def test_a_frame_sent_byte_by_byte_is_given_up_when_its_time_is_over() -> None:
    with RawServer(upgraded(lambda peer: peer.trickle(b"\x81\x7d" + b"x" * 125, 0.02))) as server:
        transport = connect(server.url, message_timeout_s=0.3)
        began = time.monotonic()
        with pytest.raises(SessionStale, match=r"0\.3 s"):
            transport.receive(30)
        assert 0.25 < time.monotonic() - began < 5
        with pytest.raises(SessionStale):
            transport.receive(0)
        transport.abort()


def test_pings_do_not_prolong_the_life_of_an_unfinished_message() -> None:
    def script(peer: Peer) -> None:
        peer.send(encode_frame(TEXT, b"begun", fin=False))
        while not peer.gone(0.02):
            peer.send(encode_frame(PING, b""))

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url, message_timeout_s=0.3)
        began = time.monotonic()
        batches, error = read_to_end(transport)
        assert isinstance(error, SessionStale)
        assert batches
        assert time.monotonic() - began < 5
        transport.abort()


def test_a_stream_whose_chunks_always_end_within_a_message_is_not_stale() -> None:
    frame = encode_frame(TEXT, b"x" * 50)

    def script(peer: Peer) -> None:
        peer.send(frame[:10])
        for _ in range(10):
            peer.gone(0.05)
            peer.send(frame[10:] + frame[:10])

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url, message_timeout_s=0.3)
        assert collect(transport, 10) == [b"x" * 50] * 10
        transport.abort()


def test_controls_between_whole_frames_start_the_time_anew() -> None:
    def script(peer: Peer) -> None:
        ping = encode_frame(PING, b"12345678")
        peer.send(ping[:3])
        for _ in range(10):
            peer.gone(0.05)
            peer.send(ping[3:] + ping[:3])

    with RawServer(upgraded(script)) as server:
        transport = connect(server.url, message_timeout_s=0.3)
        seen = 0
        while seen < 10:
            batch = transport.receive(5)
            assert batch is not None
            seen += len(batch.controls)
        transport.abort()


def test_time_in_which_nobody_reads_does_not_make_a_message_stale() -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.send(b"\x81\x04ab")
        go.wait(5)
        peer.send(b"c")
        peer.gone(0.05)
        peer.send(b"d")

    clock = MovableClock()
    with RawServer(upgraded(script)) as server:
        transport = dial(ConnectRequest(server.url), DialOptions(message_timeout_s=30), clock, threading.Event())
        wait_until(lambda: transport.receive(0) is None and transport.bytes_received == 4)
        clock.ahead += 100
        go.set()
        assert collect(transport, 1) == [b"abcd"]
        transport.abort()
