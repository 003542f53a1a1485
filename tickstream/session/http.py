"""HTTP answers to the upgrade request: read, and turned into the error each one means. Pure.

`ANSWERS` is the one table of statuses. What a server wrote is shown cleaned, cut and without our key.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from tickstream.errors import (
    Forbidden,
    HandshakeError,
    InsecureUrl,
    InvalidKey,
    RateLimited,
    RefusedByServer,
    TickstreamError,
)

MAX_HEAD = 64 * 1024
"""Bytes of status line and headers that we read at the most."""
MAX_BODY = 4096
"""Bytes of the body of a refusal that we read at the most."""
LONGEST_KEY = 512
MAX_SHOWN = 200
RETRY_AFTER_CAP_S = 3600.0

_CHUNK = re.compile(rb"([0-9a-fA-F]{1,6})[^\r\n]*\r\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")


class Answer(msgspec.Struct, frozen=True):
    """What came instead of a WebSocket. Header names in lower case; `body` is its beginning."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


def split_head(received: bytes) -> tuple[bytes, bytes] | None:
    """Head and what follows it, or None while the empty line has not come yet."""
    end = _HEAD_END.search(received)
    return None if end is None else (received[: end.start()], received[end.end() :])


def parse_head(head: bytes, body: bytes = b"") -> Answer | None:
    """Status and headers; None when this is not HTTP. Lines that are no header are left out."""
    lines = head.decode("latin-1").split("\n")
    status = re.match(r"HTTP/\d\.\d ([1-9]\d\d)(?!\d)", lines[0])
    if status is None:
        return None
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Answer(int(status[1]), headers, body)


def readable(text: str, limit: int = MAX_SHOWN) -> str:
    """Text from the network as one line of at most `limit` characters: no control, format or unassigned ones."""
    shown = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text[: limit * 8])
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def parse_retry_after(text: str | None, now_ns: int) -> float | None:
    """The Retry-After header in seconds from now (RFC 9110 section 10.2.3): a number of seconds or an HTTP date.

    A moment in the past is 0, more than an hour is an hour, and what cannot be understood is None.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return RETRY_AFTER_CAP_S if len(text) > 9 else min(float(text), RETRY_AFTER_CAP_S)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_ns / 1e9
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CAP_S)


def refusal(answer: Answer, host: str, now_ns: int, redact: Callable[[str], str]) -> TickstreamError:
    """The error that this answer of `host` (host:port) means. `redact` takes our secrets out of a text."""
    said = shown_body(answer, redact)
    tail = f" It says: {said}" if said else ""
    meaning = ANSWERS.get(answer.status, _unavailable)
    return meaning(answer, host, tail, parse_retry_after(answer.headers.get("retry-after"), now_ns))


def refusal_of_nobody(error: TickstreamError, host: str) -> TickstreamError:
    """The error of a request that held no key: what is said of keys is then wrong."""
    if isinstance(error, InvalidKey):
        error.message = f"{host} wants to know who we are (HTTP 401), and no key was sent."
        error.hint = "A program on this machine may want a login of its own, in a browser; else set the provider's key."
    return error


def shown_body(answer: Answer, redact: Callable[[str], str]) -> str:
    """The body as a short text that is safe to show. Of a web page only its title; compressed bodies are not shown."""
    if "content-encoding" in answer.headers:
        return ""
    body = answer.body
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        body = _dechunked(body)
    text = redact(body.decode("utf-8", "replace"))
    if len(answer.body) >= MAX_BODY:  # a key that the end of what we read cuts in two is not recognised
        text = text[:-LONGEST_KEY]
    if "html" in answer.headers.get("content-type", "").lower() or text.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        text = title[1] if title else ""
    return readable(text)


def _dechunked(body: bytes) -> bytes:
    """As much of a chunked body as is there."""
    out = b""
    while match := re.match(rb"\s*([0-9a-fA-F]{1,6})[^\n]*\n", body):
        size = int(match[1], 16)
        out += body[match.end() : match.end() + size]
        body = body[match.end() + size :]
    return out


def unchunked(body: bytes) -> bytes | None:
    """A whole body out of its chunks (RFC 9112 section 7.1); None when it is not whole."""
    pieces: list[bytes] = []
    at = 0
    while match := _CHUNK.match(body, at):
        size = int(match[1], 16)
        if size == 0:
            return b"".join(pieces)
        at = match.end() + size
        if body[at : at + 2] != b"\r\n":
            return None
        pieces.append(body[match.end() : at])
        at += 2
    return None


# --- the table -------------------------------------------------------------------------------------------------------

Meaning = Callable[[Answer, str, str, float | None], TickstreamError]


def _redirect(answer: Answer, host: str, _tail: str, _retry: float | None) -> TickstreamError:
    return InsecureUrl(
        f"{host} redirects to {_redirect_target(answer)} (HTTP {answer.status}). The key was not sent there.",
        hint="Redirects are never followed. If you trust that host, give its URL yourself.",
    )


def _redirect_target(answer: Answer) -> str:
    """The host of the Location header, and nothing else of it: the rest may repeat a key."""
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname
    except ValueError:
        host = None
    return readable(host, 100) if host else "another place on the same host"


def _invalid_key(_answer: Answer, host: str, tail: str, _retry: float | None) -> TickstreamError:
    return InvalidKey(
        f"{host} does not accept the key (HTTP 401).{tail}", code="http_401",
        hint="Check that the key is complete and has not been revoked.",
    )  # fmt: skip


def _forbidden(_answer: Answer, host: str, tail: str, _retry: float | None) -> TickstreamError:
    return Forbidden(
        f"{host} refuses access with this key (HTTP 403).{tail}", code="http_403",
        hint="The plan may not include this stream, or the provider blocks this network.",
    )  # fmt: skip


def _rate_limited(_answer: Answer, host: str, tail: str, retry: float | None) -> TickstreamError:
    return RateLimited(
        f"{host} says that we connect too often (HTTP 429).{tail}", code="http_429", retry_after_s=retry,
        hint="Another program may be using the same key or address.",
    )  # fmt: skip


def _refused(answer: Answer, host: str, tail: str, _retry: float | None) -> TickstreamError:
    return RefusedByServer(
        f"{host} refuses the WebSocket (HTTP {answer.status}).{tail}", status=answer.status,
        hint="Check the URL, its path included.",
    )  # fmt: skip


def _no_websocket(answer: Answer, host: str, _tail: str, _retry: float | None) -> TickstreamError:
    return HandshakeError(
        f"{host} answers with an ordinary web page (HTTP {answer.status}) instead of a WebSocket.",
        status=answer.status,
        hint="Is there a login page in this network (hotel, train)? Is the path of the URL right?",
    )


def _unavailable(answer: Answer, host: str, tail: str, retry: float | None) -> TickstreamError:
    return HandshakeError(
        f"{host} cannot serve the WebSocket now (HTTP {answer.status}).{tail}",
        status=answer.status,
        retry_after_s=retry,
    )


ANSWERS: dict[int, Meaning] = {
    200: _no_websocket,
    **dict.fromkeys((301, 302, 303, 307, 308), _redirect),
    401: _invalid_key,
    403: _forbidden,
    **dict.fromkeys((400, 404, 410, 426), _refused),
    429: _rate_limited,
}
"""HTTP status -> the error it means; every other status is `_unavailable`, and retried."""
