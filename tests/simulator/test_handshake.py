"""The request for an upgrade, and its answers."""

from __future__ import annotations

import pytest

from tickstream.simulator.bad_answers import BAD_ANSWERS, Asked, Step
from tickstream.simulator.faults import FAULTS
from tickstream.simulator.handshake import Refusal, accept_of, http_date, parse_request, upgrade

NOW = 784_111_777.0
"""RFC 9110's own example: Sun, 06 Nov 1994 08:49:37 GMT."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""RFC 6455's own example."""
GOOD = {
    "Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}  # fmt: skip


def request(first: str = "GET /stream HTTP/1.1", without: str = "", **headers: str) -> bytes:
    given = GOOD | {name.replace("_", "-"): value for name, value in headers.items()}
    given.pop(without, None)
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in given.items())]).encode()


def status(head: bytes) -> int:
    with pytest.raises(Refusal) as refusal:
        parse_request(head, "/stream")
    return refusal.value.status


def test_a_good_request_gives_its_key() -> None:
    assert parse_request(request(), "/stream").key == KEY
    assert (
        parse_request(request("GET /stream?x=1 HTTP/1.1", Upgrade="WebSocket", Connection="upgrade"), "/stream").key
        == KEY
    )


def test_several_paths_are_served_and_all_below_a_folder() -> None:
    served = ("/ws", "/ws/*", "/stream")
    found = parse_request(request("GET /ws/btcusdt@trade?timeUnit=MICROSECOND HTTP/1.1", X_Key="secret"), *served)
    assert (found.path, found.query, found.headers["x-key"]) == ("/ws/btcusdt@trade", "timeUnit=MICROSECOND", "secret")
    assert parse_request(request("GET /stream HTTP/1.1"), *served).query == ""
    with pytest.raises(Refusal, match="the stream is at /ws"):
        parse_request(request("GET /wsx HTTP/1.1"), *served)


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"", 400),
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (request("GET /stream"), 400),
        (request("GET /stream SPDY/3"), 400),
        (request("GET / HTTP/1.1"), 404),
        (request("GET /stream/ HTTP/1.1"), 404),
        (request(without="Upgrade"), 426),
        (request(without="Connection"), 426),
        (request(Upgrade="h2c"), 426),
        (request(Sec_WebSocket_Version="8"), 426),
        (request("POST /stream HTTP/1.1"), 400),
        (request(without="Host"), 400),
        (request(without="Sec-WebSocket-Key"), 400),
        (request(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (request(Sec_WebSocket_Key="!"), 400),
        (request() + b"\r\nno colon here", 400),
        (request() + b"\r\n folded: line", 400),
    ],
)
def test_a_wrong_request_is_answered_with_its_status(head: bytes, answer: int) -> None:
    assert status(head) == answer


def test_an_answer_says_what_is_wrong_and_closes() -> None:
    with pytest.raises(Refusal) as refusal:
        parse_request(request(without="Upgrade"), "/stream")
    head, body = refusal.value.encode(NOW).decode().split("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "HTTP/1.1 426 Upgrade Required"
    assert {"Date: Sun, 06 Nov 1994 08:49:37 GMT", "Upgrade: websocket", f"Content-Length: {len(body)}"} <= set(lines)
    with pytest.raises(Refusal) as other:
        parse_request(request("GET / HTTP/1.1"), "/stream")
    assert b"\r\nConnection: close\r\n" in other.value.encode(NOW)


def test_the_upgrade_has_the_accept_of_the_rfc_and_a_date() -> None:
    assert accept_of(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    lines = upgrade(accept_of(KEY), NOW).decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert {"Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept_of(KEY)}",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT"} <= set(lines)  # fmt: skip
    assert lines[-2:] == ["", ""]


def test_the_date_is_the_one_of_rfc_9110() -> None:
    assert http_date(NOW) == "Sun, 06 Nov 1994 08:49:37 GMT"


# --- answers that should not be given ------------------------------------------------------------------------------


def steps(name: str, count: int = 1_000) -> list[Step]:
    found: list[Step] = []
    for step in BAD_ANSWERS[name](Asked(KEY, NOW, "ws://127.0.0.1:9/elsewhere")):
        found.append(step)
        if len(found) == count:
            break
    return found


def test_every_fault_of_the_upgrade_has_its_answer() -> None:
    assert set(BAD_ANSWERS) == {name for name, kind in FAULTS.items() if kind.sort == "http"}


@pytest.mark.parametrize("code", [200, 301, 400, 401, 403, 404, 429, 500, 503])
def test_a_status_is_answered_at_once(code: int) -> None:
    (step,) = steps(f"http-{code}")
    assert step.data.startswith(f"HTTP/1.1 {code} ".encode())
    assert (b"\r\nRetry-After: 2\r\n" in step.data) == (code in (429, 503))
    assert (b"\r\nLocation: ws://127.0.0.1:9/elsewhere\r\n" in step.data) == (code == 301)


def test_a_bad_accept_is_an_upgrade_but_for_the_accept() -> None:
    (step,) = steps("bad-accept")
    assert step.data.startswith(b"HTTP/1.1 101 ")
    assert accept_of(KEY).encode() not in step.data


def test_a_slow_handshake_is_a_good_one_byte_by_byte() -> None:
    found = steps("slow-handshake")
    assert b"".join(step.data for step in found) == upgrade(accept_of(KEY), NOW)
    assert {(len(step.data), step.wait_s) for step in found} == {(1, 1.0)}


def test_a_silent_handshake_waits() -> None:
    (step,) = steps("silent-handshake")
    assert step.data == b""
    assert step.wait_s > 3_600


def test_an_endless_header_never_comes_to_its_empty_line() -> None:
    data = b"".join(step.data for step in steps("endless-header"))
    assert len(data) > 900_000
    assert b"\r\n\r\n" not in data
