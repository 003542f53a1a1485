"""The HTTP side: the request for an upgrade, and the answers to it (RFC 6455 section 4.2). Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import time

import msgspec

MAX_REQUEST = 64 * 1024

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

REASONS: dict[int, str] = {
    200: "OK",
    301: "Moved Permanently",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    426: "Upgrade Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


class Refusal(Exception):
    """The request gets this HTTP status instead of an upgrade."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def encode(self, now: float) -> bytes:
        """The answer's bytes; `now` is the wall clock, seconds since 1970."""
        return answer(self.status, self.text + "\n", now, self.headers)


class Plain(msgspec.Struct, frozen=True):
    """An HTTP request, whatever it asks for. `headers` are by their names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = {}
    body: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of its body, as it says. Raises Refusal: 400."""
        said = self.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit() and len(said) < 8):
            raise Refusal(400, "Content-Length is malformed.")
        return int(said)


class Request(msgspec.Struct, frozen=True):
    """A request for an upgrade that is in order. `headers` are by their names in lower case."""

    key: str
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = {}


def parse_request(head: bytes, *paths: str) -> Request:
    """The request in these bytes, which end with an empty line; upgrades are given at these paths.

    Raises Refusal: 400, 404 or 426. The path `/x/*` is all below `/x/`.
    """
    return upgrade_of(parse_plain(head), *paths)


def parse_plain(head: bytes) -> Plain:
    """The request in these bytes, but for its body. Raises Refusal: 400."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Refusal(400, "This is no HTTP/1.1 request.")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refusal(400, "A header line is malformed.")
        known = headers.get(name.lower())
        headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
    path, _, query = parts[1].partition("?")
    return Plain(parts[0], path, query, headers)


def upgrade_of(request: Plain, *paths: str) -> Request:
    """The same as a request for an upgrade. Raises Refusal: 400, 404 or 426."""
    if not any(_is_at(request.path, served) for served in paths):
        raise Refusal(404, f"There is nothing here; the stream is at {paths[0]}.")
    _check_upgrade(request.method, request.headers)
    return Request(request.headers["sec-websocket-key"], request.path, request.query, request.headers)


def _is_at(path: str, served: str) -> bool:
    return path.startswith(served[:-1]) if served.endswith("/*") else path == served


def _check_upgrade(method: str, headers: dict[str, str]) -> None:
    if "websocket" not in _tokens(headers, "upgrade") or "upgrade" not in _tokens(headers, "connection"):
        raise Refusal(426, "This is a WebSocket endpoint.", Upgrade="websocket", Connection="Upgrade")
    if headers.get("sec-websocket-version") != "13":
        raise Refusal(
            426,
            "Only WebSocket version 13 is spoken here.",
            Sec_WebSocket_Version="13",
            Upgrade="websocket",
            Connection="Upgrade",
        )
    if method != "GET" or "host" not in headers:
        raise Refusal(400, "An upgrade is a GET with a Host header.")
    try:
        nonce = base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)
    except binascii.Error:
        nonce = b""
    if len(nonce) != 16:
        raise Refusal(400, "Sec-WebSocket-Key is to be 16 bytes in base64.")


def _tokens(headers: dict[str, str], name: str) -> set[str]:
    return {token.strip().lower() for token in headers.get(name, "").split(",")}


def accept_of(key: str) -> str:
    """The Sec-WebSocket-Accept for a key."""
    return base64.b64encode(hashlib.sha1(key.encode("latin-1") + _GUID).digest()).decode()  # noqa: S324 - RFC 6455 says SHA-1


def upgrade(accept: str, now: float) -> bytes:
    """The 101 answer; `now` is the wall clock, seconds since 1970."""
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        f"Date: {http_date(now)}\r\n"
        "Server: tickstream-simulator\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode("latin-1")


def answer(status: int, body: str, now: float, headers: dict[str, str] | None = None) -> bytes:
    """Any other answer, with the connection closed after it."""
    text = body.encode()
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        f"Date: {http_date(now)}",
        "Server: tickstream-simulator",
        f"Content-Length: {len(text)}",
    ]
    given = {"Content-Type": "text/plain; charset=utf-8"} | (headers or {})
    lines += [f"{name}: {value}" for name, value in given.items()]
    if "Connection" not in given:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + text


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(now: float) -> str:
    """RFC 9110 section 5.6.7, whatever the locale."""
    at = time.gmtime(now)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"
    )
