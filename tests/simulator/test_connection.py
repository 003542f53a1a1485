"""One connection, byte by byte: the handshake on a bare socket, bad clients, and the faults on the wire."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, PayloadTooBig, ProtocolError

from tests.simulator.client import bare, client, request, rest, text, until
from tickstream.session.frames import BINARY, CLOSE, PING, PONG, TEXT, Close, FrameReader, encode_close, encode_frame
from tickstream.simulator import connection
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator

FAST = 60_000.0
MASK = b"mask"


def simulator(*faults: str, **options: Any) -> Simulator:
    return Simulator(
        SimulatorOptions(**{"quota": "unlimited", "heartbeat_s": 600.0, "speed": FAST, "faults": faults} | options)
    )


def frames(data: bytes) -> Any:
    """What comes after the HTTP answer, as one batch."""
    batch = FrameReader().feed(data.partition(b"\r\n\r\n")[2])
    assert batch.error is None
    return batch


# --- the handshake -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [(request("/"), 404), (request(Upgrade=""), 426), (b"GET /ws/v1/quotes HTTP/1.1\r\nHost: x\r\n\r\n", 426),
     (request(Host=""), 400), (b"hello\r\n\r\n", 400)],
)  # fmt: skip
def test_a_wrong_request_is_answered_and_hung_up_on(head: bytes, status: int) -> None:
    with simulator() as sim, bare(sim, head) as sock:
        assert rest(sock).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_request_may_come_in_pieces_and_messages_right_behind_it() -> None:
    with simulator() as sim, bare(sim, b"") as sock:
        head = request()
        sock.sendall(head[:30])
        time.sleep(0)
        sock.sendall(head[30:] + text(action="auth", key="k"))
        assert b'"authenticated"' in until(sock, b'"authenticated"')


def test_a_request_that_never_ends_is_cut_off_at_64_kib() -> None:
    log: list[str] = []
    with simulator(log=log.append) as sim, bare(sim, b"GET / HTTP/1.1\r\n") as sock:
        with suppress(OSError):  # reset while we send
            for _ in range(1_000):
                sock.sendall(b"X: " + b"y" * 1_000 + b"\r\n")
        assert sim.wait_for(lambda: log == ["#1 gone before the upgrade"])


def test_a_request_that_does_not_come_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.1)
    log: list[str] = []
    with simulator(log=log.append) as sim, bare(sim, b"GET") as sock:
        assert rest(sock) == b""
        assert sim.wait_for(lambda: log == ["#1 gone: timed out"])


def test_a_client_that_goes_before_its_request_is_only_a_line_in_the_log() -> None:
    log: list[str] = []
    with simulator(log=log.append) as sim:
        with bare(sim, b"GET"):
            assert sim.wait_for(lambda: sim.connections == 1)
        assert sim.wait_for(lambda: log == ["#1 gone before the upgrade"])


# --- bad clients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "close"),
    [
        (
            encode_frame(TEXT, b"{}"),
            Close(1002, "The client broke the WebSocket protocol: it sent a frame without a mask."),
        ),
        (encode_frame(TEXT, b" " * (2**20 + 1), mask=MASK), 1009),
        (encode_frame(CLOSE, encode_close(4321, "bye"), mask=MASK), Close(4321, "")),
        (encode_frame(CLOSE, b"", mask=MASK), Close(1000, "")),
    ],
)
def test_a_close_or_a_breach_is_answered_with_its_code(sent: bytes, close: Close | int) -> None:
    with simulator() as sim, bare(sim, request() + sent) as sock:
        sock.shutdown(socket.SHUT_WR)
        answer = frames(rest(sock)).close
        assert answer == close or answer.code == close


def test_a_binary_message_is_an_error_and_no_end() -> None:
    with simulator() as sim, bare(sim) as sock:
        sock.sendall(encode_frame(PONG, b"", mask=MASK) + encode_frame(BINARY, b"{}", mask=MASK))
        sock.sendall(encode_frame(PING, b"there?", mask=MASK))
        data = until(sock, b"there?")
        batch = frames(data)
        assert b'"invalid_message"' in batch.payloads[0]
        assert [(control.opcode, control.payload) for control in batch.controls] == [(PONG, b"there?")]


def test_a_client_that_just_goes_is_noticed() -> None:
    log: list[str] = []
    with simulator(log=log.append) as sim:
        with bare(sim) as sock:
            until(sock, b"\r\n\r\n")
            assert sim.wait_for(lambda: len(sim.clients) == 1)
        assert sim.wait_for(lambda: not sim.clients)
        with bare(sim) as sock:
            until(sock, b"\r\n\r\n")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert sim.wait_for(lambda: sum("gone" in line for line in log) == 2)


# --- faults of the upgrade -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
def test_a_status_instead_of_the_upgrade(status: int) -> None:
    with simulator(f"http-{status}") as sim, pytest.raises(InvalidStatus) as refused, client(sim):
        pass
    assert refused.value.response.status_code == status
    assert ("Retry-After" in refused.value.response.headers) == (status in (429, 503))


def test_a_redirect_leads_to_a_port_that_counts_who_comes() -> None:
    with simulator("http-301") as sim:
        with bare(sim) as sock:
            answer = rest(sock).decode()
        assert sim.redirected == 0
        location = answer.partition("Location: ")[2].partition("\r\n")[0]
        assert location.startswith("ws://127.0.0.1:")
        assert location != sim.url
        socket.create_connection(("127.0.0.1", int(location.split(":")[2].split("/")[0]))).close()
        deadline = time.monotonic() + 10
        while not sim.redirected and time.monotonic() < deadline:
            time.sleep(0.001)
        assert sim.redirected == 1


def test_a_bad_accept() -> None:
    with simulator("bad-accept") as sim, pytest.raises(InvalidHandshake, match="Sec-WebSocket-Accept"), client(sim):
        pass


def test_a_silent_handshake_lasts_until_the_client_goes() -> None:
    log: list[str] = []
    with simulator("silent-handshake", log=log.append) as sim:
        with bare(sim) as sock:
            sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        assert sim.wait_for(lambda: log[-1:] == ["#1 gone before the upgrade"])


def test_a_slow_handshake_comes_byte_by_byte() -> None:
    with simulator("slow-handshake") as sim, bare(sim) as sock:
        assert sock.recv(100) == b"H"
        assert sock.recv(100) == b"T"


def test_an_endless_header() -> None:
    with simulator("endless-header") as sim, bare(sim) as sock:
        got = 0
        while got < 1_000_000:
            chunk = sock.recv(65536)
            assert b"\r\n\r\n" not in chunk
            got += len(chunk)


# --- faults after the upgrade --------------------------------------------------------------------------------------


def stream(sim: Simulator, wait_s: float = 10.0) -> list[dict[str, Any]]:
    """Quotes until something goes wrong; what went wrong is raised."""
    found = []
    with client(sim) as one:
        one.subscribe("EURUSD")
        while True:
            found += one.quotes(1)
            assert len(found) < 10_000, "nothing went wrong"


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1009, 1011, 1012, 1013, 4001])
def test_a_close_frame_after_ten_quotes(code: int) -> None:
    with simulator(f"close-{code}", record=True) as sim:
        with pytest.raises(ConnectionClosed) as closed:
            stream(sim)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "fault")
        assert len(sim.sent) == 10


def test_a_drop_ends_the_connection_after_all_that_was_recorded_has_arrived() -> None:
    with simulator("drop@7", record=True) as sim, client(sim) as one:
        times = [quote["time"] for quote in one.subscribe("EURUSD").quotes(7)]
        with pytest.raises(ConnectionClosed) as closed:
            one.receive()
        assert closed.value.rcvd is None
        assert len(sim.sent) == len(times) == 7


def test_a_reset_is_a_reset() -> None:
    with simulator("reset@auth") as sim, bare(sim) as sock:
        until(sock, b"\r\n\r\n")
        sock.sendall(text(action="auth", key="k"))
        with pytest.raises(ConnectionResetError):
            until(sock, b"authenticated")


@pytest.mark.parametrize(
    ("fault", "error"),
    [("rsv", ProtocolError), ("bad-opcode", ProtocolError), ("big-ping", ProtocolError), ("masked", ProtocolError),
     ("bad-utf8", UnicodeDecodeError), ("huge-frame", PayloadTooBig), ("endless-fragments", PayloadTooBig)],
)  # fmt: skip
def test_an_independent_client_ends_the_connection_over_a_bad_frame(fault: str, error: type[Exception]) -> None:
    with simulator(fault) as sim:
        with pytest.raises(ConnectionClosed) as closed:
            stream(sim)
        assert isinstance(closed.value.__cause__, error)
        assert sim.wait_for(lambda: not sim.clients)


def test_faults_can_be_limited_to_the_first_connections() -> None:
    with simulator("drop@3x2") as sim:
        for _ in range(2):
            with pytest.raises(ConnectionClosed):
                stream(sim)
        with client(sim) as one:
            assert len(one.subscribe("EURUSD").quotes(50)) == 50


@pytest.mark.parametrize("fault", ["mute@3", "blackhole@3"])
def test_silence_lasts_until_the_client_goes_and_then_its_slot_is_free(fault: str) -> None:
    with simulator(fault, record=True) as sim:
        for _ in range(3):
            with bare(sim) as sock:
                sock.sendall(text(action="auth", key="k") + text(action="subscribe", symbols=["EURUSD"]))
                until(sock, b'"subscribed"')
                assert sim.wait_for(lambda: sim.clients[0].pushes == 3)
                sock.sendall(text(action="ping") + encode_frame(CLOSE, encode_close(1000), mask=MASK))
                sock.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    until(sock, b"pong")
            assert sim.wait_for(lambda: not sim.clients)
    assert len(sim.sent) == 9


@pytest.mark.parametrize("fault", ["blackhole", "mute", "slow-frame", "endless-fragments"])
def test_stopping_ends_even_a_connection_that_is_broken(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FLUSH_S", 0.2)
    monkeypatch.setattr(connection, "GOODBYE_S", 0.2)
    with simulator(f"{fault}@subscribe") as sim, bare(sim) as sock:
        sock.sendall(text(action="auth", key="k") + text(action="subscribe", symbols=["EURUSD"]))
        assert sim.wait_for(lambda: bool(sim.clients) and bool(sim.clients[0].symbols))
        sim.stop()
        assert not sim.clients
        rest(sock)


def test_a_slow_frame_comes_a_byte_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "TRICKLE_S", 0.01)
    with simulator("slow-frame@connect") as sim, bare(sim) as sock:
        until(sock, b"\r\n\r\n")
        sock.sendall(text(action="auth", key="k"))
        pieces = [sock.recv(100) for _ in range(20)]
        assert max(map(len, pieces)) <= 3, "a noisy machine may glue a few"
        assert b"".join(pieces)[2:].startswith(b'{"type":"authe')


def test_whether_the_other_side_has_closed_is_unknown_on_some_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_INFO", raising=False)
    one, other = socket.socketpair()
    other.close()
    assert not connection._peer_has_closed(one)
    one.close()
