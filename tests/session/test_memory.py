"""What a hostile server can make the process take, measured in a process of its own (fault 29)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.faults.raw import Peer, RawServer
from tickstream.session.frames import CONTINUATION, TEXT, encode_frame

MIB = 2**20
CLIENT = """
import resource, sys, threading
from tickstream.clock import SystemClock
from tickstream.errors import ProtocolViolation
from tickstream.providers.base import ConnectRequest
from tickstream.session.reaching import DialOptions
from tickstream.session.transport import dial

transport = dial(ConnectRequest(sys.argv[1]), DialOptions(), SystemClock(), threading.Event())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    while True:
        transport.receive(10)
except ProtocolViolation as error:
    transport.close(error.close_code, timeout=0.5)
    print(error.close_code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def endless(begin: bytes, more: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.send(begin)
        while True:
            peer.send(more)

    return script


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize(
    "script",
    [
        endless(b"\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00", b"x" * 65536),
        endless(encode_frame(TEXT, b"", fin=False), encode_frame(CONTINUATION, b"x" * 100_000, fin=False)),
        endless(encode_frame(TEXT, b"", fin=False), encode_frame(CONTINUATION, b"", fin=False) * 10_000),
    ],
    ids=["1 GiB announced", "endless fragments", "endless empty fragments"],
)
def test_a_message_without_end_takes_less_than_twice_the_limit(script: Callable[[Peer], None]) -> None:
    with RawServer(script) as server:
        done = subprocess.run([sys.executable, "-c", CLIENT, server.url], capture_output=True, timeout=30, check=False)
    assert done.stderr == b""
    code, grown_kib = map(int, done.stdout.split())
    assert code == 1009
    assert grown_kib * 1024 < 2 * 8 * MIB
