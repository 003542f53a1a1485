"""HTTP requests beside a stream: over the same TLS, bounded, in order, and never in its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import Peer, RawServer
from tests.session.connecting import connect, welcome
from tests.session.test_reaching import connect as connect_pinned
from tests.session.test_reaching import refused, shown
from tickstream.clock import SystemClock
from tickstream.errors import HandshakeError, NetworkError, TlsError
from tickstream.events import Event
from tickstream.providers.base import ConnectRequest
from tickstream.providers.rest import AsksRest, RestAnswer, RestRequest
from tickstream.session import rest
from tickstream.session.reaching import DialOptions
from tickstream.session.rest import MAX_ANSWER, RestDesk
from tickstream.session.transport import dial
from tickstream.timestamps import Timestamp

pytestmark = pytest.mark.usefixtures("no_threads_left")
Script = Callable[[Peer], object]
TICKLE = RestRequest("/v1/api/tickle?a=b", "POST", b'{"x":1}')
STOCKS = RestRequest("/v1/api/stocks?symbols=A,B")


def both(script: Script) -> Script:
    """The first connection is upgraded, all others have this script."""

    def whole(peer: Peer) -> None:
        if peer.header("Upgrade"):
            welcome(peer)
        else:
            script(peer)

    return whole


def ok(body: bytes, *headers: str) -> Script:
    return lambda peer: peer.respond("200 OK", *headers, body=body)


def answer(script: Script, request: RestRequest = STOCKS) -> tuple[RestAnswer, RawServer]:
    """What comes of a request to a server with this script, and the server."""
    with RawServer(both(script)) as server:
        transport = connect(server.url)
        found = transport.fetch(request)
        transport.abort()
    return found, server


def test_a_request_is_whole_and_its_answer_is_what_was_sent() -> None:
    found, server = answer(ok(b'{"session":"abc"}'), TICKLE)
    assert (found.status, found.body, found.error) == (200, b'{"session":"abc"}', None)
    head, _, body = bytes(server.peers[1].received).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/api/tickle?a=b HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert {"Content-Type: application/json", "Content-Length: 7", "Connection: close"} <= set(lines)
    assert body == b'{"x":1}'


def test_what_is_read_has_no_body_and_no_length() -> None:
    _, server = answer(ok(b"{}"))
    head = bytes(server.peers[1].received)
    assert head.startswith(b"GET /v1/api/stocks?symbols=A,B HTTP/1.1\r\n")
    assert b"Content-" not in head


@pytest.mark.parametrize("status", ["401 Unauthorized", "302 Found", "503 Service Unavailable"])
def test_a_status_is_the_protocols_to_judge(status: str) -> None:
    found, server = answer(lambda peer: peer.respond(status, "Location: https://elsewhere.example/", body=b"no"))
    assert (found.status, found.body, found.error) == (int(status[:3]), b"no", None)
    assert server.connections == 2, "no redirect is followed"


def whole_stream(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000)


def in_chunks(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n")
    peer.send(b"6\r\n world\r\n0\r\n\r\n")


def test_a_body_ends_with_the_connection_or_its_last_chunk() -> None:
    assert answer(whole_stream)[0].body == b"x" * 200_000
    assert answer(in_chunks)[0].body == b"hello world"


def sends(data: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)

    return script


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "in HTTP"), (b"220 smtp\r\n\r\n", "in HTTP"), (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "before it was complete"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "before it was complete"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "before it was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "longer than 4 MiB"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_ANSWER + 10), "longer than 4 MiB"),
    ],
    ids=["nothing", "smtp", "headers", "cut", "cut chunk", "bad chunk", "announced", "endless"],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_that_names_the_path_and_nothing_more(data: bytes, words: str) -> None:
    found, _ = answer(sends(data))
    assert isinstance(found.error, HandshakeError)
    assert words in str(found.error)
    assert "symbols" not in str(found.error)
    assert (found.status, found.body) == (0, b"")


def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ANSWER_TIMEOUT_S", 0.2)
    found, _ = answer(Peer.until_gone)
    assert "did not answer GET /v1/api/stocks within 0.2 s" in str(found.error)


def test_a_connection_that_breaks_or_is_refused_is_an_error() -> None:
    found, _ = answer(lambda peer: (peer.read_request(), peer.reset()))
    assert type(found.error) is NetworkError
    assert "broke during GET /v1/api/stocks" in str(found.error)
    with RawServer(welcome) as server:
        transport = connect(server.url)
    refusal = transport.fetch(STOCKS).error
    transport.abort()
    assert "refused" in str(refusal)


def test_a_run_that_is_stopped_waits_for_no_answer() -> None:
    stop = threading.Event()
    with RawServer(both(Peer.until_gone)) as server:
        transport = dial(ConnectRequest(server.url), DialOptions(), SystemClock(), stop)
        timer = threading.Timer(0.05, stop.set)
        timer.start()
        began = time.monotonic()
        assert "Stopped" in str(transport.fetch(STOCKS).error)
        assert time.monotonic() - began < 4
        transport.abort()
        timer.join()


def test_the_same_pin_and_authorities_hold_for_requests(authority: Authority) -> None:
    with RawServer(both(ok(b"{}")), tls=authority.server_context()) as server:
        pin = shown(refused(server.url, ""))
        for transport in (connect_pinned(server.url, pin), connect_pinned(server.url, "", ca_file=authority.ca_file)):
            assert transport.fetch(STOCKS).status == 200
            transport.abort()


def test_a_certificate_that_changes_between_two_requests_is_noticed(authority: Authority) -> None:
    with RawServer(both(ok(b"{}")), tls=authority.server_context()) as server:
        transport = connect_pinned(server.url, shown(refused(server.url, "")))
        server._tls = authority.server_context()
        found = transport.fetch(STOCKS)
        transport.abort()
    assert isinstance(found.error, TlsError)
    assert "another certificate" in str(found.error)


# --- in turn ---------------------------------------------------------------------------------------------------------


class Asking(AsksRest):
    """A protocol that asks for what it is told to, and keeps the answers."""

    def __init__(self, *requests: RestRequest) -> None:
        self.requests = list(requests)
        self.answers: list[RestAnswer] = []
        self.events: list[Event] = []

    def requests_to_make(self, now: float) -> list[RestRequest]:
        out, self.requests = self.requests, []
        return out

    def take_answer(self, answer: RestAnswer, ts_recv: Timestamp, now: float) -> None:
        self.answers.append(answer)


def test_requests_are_made_one_after_the_other_and_the_session_is_woken() -> None:
    woken = threading.Semaphore(0)
    running: list[RestRequest] = []

    def fetch(request: RestRequest) -> RestAnswer:
        running.append(request)
        return RestAnswer(request, 200 + len(running))

    protocol = Asking(TICKLE, STOCKS)
    desk = RestDesk(protocol, fetch, woken.release, SystemClock())
    desk.turn()
    assert woken.acquire(timeout=5)
    assert running == [TICKLE]
    assert protocol.answers == [], "they are taken by the thread that owns the protocol"
    desk.turn()
    assert woken.acquire(timeout=5)
    desk.turn()
    assert [(one.request, one.status) for one in protocol.answers] == [(TICKLE, 201), (STOCKS, 202)]
    desk.turn()
    assert running == [TICKLE, STOCKS]


def test_while_one_is_on_its_way_no_other_is_begun() -> None:
    go, woken = threading.Event(), threading.Semaphore(0)
    begun: list[RestRequest] = []

    def fetch(request: RestRequest) -> RestAnswer:
        begun.append(request)
        assert go.wait(5)
        return RestAnswer(request, 200)

    protocol = Asking(TICKLE)
    desk = RestDesk(protocol, fetch, woken.release, SystemClock())
    desk.turn()
    protocol.requests = [STOCKS]
    desk.turn()
    desk.turn()
    go.set()
    for _ in range(2):
        assert woken.acquire(timeout=5)
        desk.turn()
    assert begun == [TICKLE, STOCKS]
    assert len(protocol.answers) == 2
