"""A listening socket that can be closed from another thread, and the trap that uses one."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from tickstream.simulator.listening import Listener
from tickstream.simulator.trap import Trap


def test_clients_come_one_by_one() -> None:
    listener = Listener("127.0.0.1")
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        accepted = listener.accept()
        assert accepted is not None
        assert accepted.getpeername() == client.getsockname()
        accepted.close()
    listener.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_closing_wakes_whoever_waits(host: str) -> None:
    listener = Listener(host)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(listener.accept()))
    waiting.start()
    listener.close()
    listener.close()
    waiting.join(10)
    assert got == [None]
    assert listener.accept() is None


def test_a_client_that_comes_while_it_closes_is_hung_up_on() -> None:
    listener = Listener("127.0.0.1")
    with socket.create_connection(("127.0.0.1", listener.port)) as late:
        listener.closed = True
        assert listener.accept() is None
        late.settimeout(10)
        assert late.recv(1) == b""
    listener.closed = False
    listener.close()


def test_a_failure_that_is_no_close_is_raised() -> None:
    listener = Listener("127.0.0.1")
    listener._socket.setblocking(False)
    with pytest.raises(BlockingIOError) as failed:
        listener.accept()
    assert failed.value.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    listener.close()


def test_a_port_that_is_taken_cannot_be_had() -> None:
    listener = Listener("127.0.0.1")
    with pytest.raises(OSError, match="in use"):
        Listener("127.0.0.1", listener.port)
    listener.close()


def test_a_trap_hangs_up_on_everybody_and_counts_them() -> None:
    trap = Trap("127.0.0.1")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", trap.port)) as visitor:
            visitor.settimeout(10)
            assert visitor.recv(1) == b""
    assert trap.visits == 3
    trap.close()
