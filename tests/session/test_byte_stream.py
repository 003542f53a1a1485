"""The byte stream under TLS moods that no server can be made to have at will, on a real pair of sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from tickstream.clock import SystemClock
from tickstream.errors import ConnectionLost
from tickstream.session.byte_stream import ByteStream
from tickstream.session.dialling import Step


class Moody(socket.socket):
    """A socket that raises what it is told before it works."""

    moods: list[OSError]

    def recv(self, *args: int) -> bytes:
        self._mood()
        return super().recv(*args)

    def send(self, *args: object) -> int:
        self._mood()
        return super().send(*args)  # type: ignore[arg-type]  # as the real one

    def _mood(self) -> None:
        if self.moods:
            raise self.moods.pop(0)


@pytest.fixture
def pair() -> Iterator[tuple[Moody, socket.socket]]:
    near, far = socket.socketpair()
    moody = Moody(fileno=near.detach())
    moody.moods = []
    moody.setblocking(False)
    yield moody, far
    moody.close()
    far.close()


WANTS = [ssl.SSLWantWriteError(), ssl.SSLWantReadError(), ssl.SSLWantWriteError()]


def test_a_read_that_first_has_to_write_goes_on_when_it_can(pair: tuple[Moody, socket.socket]) -> None:
    moody, far = pair
    stream = ByteStream(moody, SystemClock())
    moody.moods = [ssl.SSLWantWriteError()]
    far.send(b"data")
    assert stream.read(5) == b"data"
    assert stream.read(0.02) is None
    stream.close()


def test_a_write_that_first_has_to_read_goes_on_when_it_can(pair: tuple[Moody, socket.socket]) -> None:
    moody, far = pair
    stream = ByteStream(moody, SystemClock())
    far.send(b"ahead")
    moody.moods = [ssl.SSLWantReadError(), ssl.SSLWantReadError()]
    stream.write(b"out", 5)
    assert far.recv(10) == b"out"
    assert stream.read(5) == b"ahead"
    stream.close()


def test_an_error_met_while_writing_is_raised_by_the_read_that_comes_to_it(pair: tuple[Moody, socket.socket]) -> None:
    moody, far = pair
    stream = ByteStream(moody, SystemClock())
    far.send(b"ahead")
    moody.moods = [BlockingIOError(), ssl.SSLError(1, "bad record mac")]
    stream.write(b"out", 5)
    with pytest.raises(ssl.SSLError):
        stream.read(1)
    stream.close()


def test_the_end_met_while_writing_is_still_the_end_for_the_reader(pair: tuple[Moody, socket.socket]) -> None:
    moody, far = pair
    stream = ByteStream(moody, SystemClock())
    far.shutdown(socket.SHUT_WR)
    moody.moods = [BlockingIOError()]
    stream.write(b"out", 5)
    assert far.recv(10) == b"out"
    assert stream.read(5) == b""
    stream.close()


def test_reading_ahead_is_bounded(pair: tuple[Moody, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickstream.session.byte_stream.MAX_AHEAD", 100_000)
    moody, far = pair
    stream = ByteStream(moody, SystemClock())
    stop = threading.Event()

    def flood() -> None:
        far.settimeout(0.05)
        while not stop.is_set():
            try:
                far.send(b"x" * 65536)
            except OSError:
                continue

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        with pytest.raises(ConnectionLost, match=r"0\.3 s"):
            stream.write(b"y" * 50_000_000, 0.3)
    finally:
        stop.set()
        thread.join()
        stream.close()
    assert 100_000 <= stream.bytes_received < 100_000 + 65536


def test_a_step_waits_for_whatever_tls_wants(pair: tuple[Moody, socket.socket]) -> None:
    moody, far = pair
    step = Step(SystemClock(), threading.Event(), 5)
    far.send(b"in")
    moody.moods = list(WANTS)
    assert step.receive(moody, 10) == b"in"
    far.send(b"in again")
    moody.moods = list(WANTS)
    step.send_all(moody, b"out")
    assert far.recv(10) == b"out"
