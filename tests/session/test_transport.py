"""A standing connection: nothing received is lost, nothing waits for ever, and every ending has its reason.

Faults 18, 24 and 28 to 31 of the fault list, on real sockets; plain and TLS.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer, wait_until
from tests.session.connecting import KEY, connect
from tickstream.clock import SystemClock
from tickstream.errors import ConnectionLost, NetworkError, ProtocolViolation, SessionStale
from tickstream.keys import Secret
from tickstream.providers.base import ConnectRequest
from tickstream.session import transport as transport_module
from tickstream.session.frames import BINARY, CONTINUATION, PING, PONG, TEXT, Close, Control, FrameBatch, encode_frame
from tickstream.session.transport import DialOptions, Transport, dial

pytestmark = pytest.mark.usefixtures("no_threads_left")

Script = Callable[[Peer], object]


class MovableClock(SystemClock):
    """The real clock, which a test can move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    return authority.server_context() if request.param == "wss" else None


def upgraded(script: Script) -> Script:
    """A script for after the upgrade; then it waits until the client is gone."""

    def whole(peer: Peer) -> None:
        peer.accept()
        script(peer)
        peer.until_gone()

    return whole


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
        assert collect_ignoring_none(transport) == [b"data"]
        transport.abort()


def collect_ignoring_none(transport: Transport) -> list[bytes]:
    for _ in range(100):
        batch = transport.receive(0.1)
        if batch is not None:
            return batch.payloads
    pytest.fail("no data came")


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


def ends_with(end: Script, before: bytes = b"") -> Script:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.send_text(b"one", b"two")
        if before:
            peer.send(before)
        peer.gone(0.02)
        end(peer)

    return script


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


def test_masked_frames_from_the_server_are_taken() -> None:
    with RawServer(upgraded(lambda peer: peer.send(encode_frame(TEXT, b"masked", b"abcd")))) as server:
        transport = connect(server.url)
        assert collect(transport, 1) == [b"masked"]
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
        with pytest.raises(ConnectionLost, match="read nothing"):
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


# --- an independent server -------------------------------------------------------------------------------------------


def test_it_talks_with_the_websockets_library(authority: Authority, tls: ssl.SSLContext | None) -> None:
    from websockets.sync.server import ServerConnection, serve

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
