"""HTTP answers: Retry-After, heads, bodies made safe to show, and the error that each status means."""

from __future__ import annotations

import email.utils
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickstream.errors import (
    Forbidden,
    HandshakeError,
    InsecureUrl,
    InvalidKey,
    NetworkError,
    ProviderError,
    RateLimited,
    Recovery,
    RefusedByServer,
    TickstreamError,
)
from tickstream.keys import Secret
from tickstream.session.http import (
    MAX_BODY,
    Answer,
    parse_head,
    parse_retry_after,
    readable,
    refusal,
    shown_body,
    split_head,
    unchunked,
)

NOW = datetime(2026, 6, 24, 12, 0, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
KEY = Secret("tk_0123456789abcdef")


def in_seconds(seconds: float) -> str:
    return email.utils.format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("7", 7), (" 120 ", 120), ("3600", 3600), ("3601", 3600), ("9" * 5000, 3600), ("000012", 12),
        (in_seconds(90), 90), (in_seconds(-5), 0), (in_seconds(86400), 3600), ("Wed, 24 Jun 2026 12:00:30", 30),
        ("Wednesday, 24-Jun-26 12:00:10 GMT", 10), ("Wed, 24 Jun 2026 14:00:10 +0200", 10),
        (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("1e3", None), ("٣", None), ("²", None),
        ("Wed, 99 Jun 2026 12:00:30 GMT", None), ("Wed, 24 Jun 99999 12:00:30 GMT", None), (",,,", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW_NS) == seconds


@given(st.text(max_size=40) | st.integers().map(str) | st.datetimes().map(email.utils.format_datetime))
@example("Mon, 01 Jan 0001 00:00:00 +1400")
@example("Fri, 31 Dec 9999 23:59:59 -1400")
def test_retry_after_never_fails_and_is_never_more_than_an_hour(text: str) -> None:
    seconds = parse_retry_after(text, NOW_NS)
    assert seconds is None or 0 <= seconds <= 3600


@given(st.integers(-(10**6), 10**6))
def test_retry_after_as_date_and_as_seconds_agree(seconds: int) -> None:
    expected = min(max(seconds, 0), 3600)
    assert parse_retry_after(in_seconds(seconds), NOW_NS) == expected
    if seconds >= 0:
        assert parse_retry_after(str(seconds), NOW_NS) == expected


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_a_head_ends_at_the_empty_line(newline: bytes) -> None:
    lines = [b"HTTP/1.1 403 Forbidden", b"Content-Type: text/plain ", b"nonsense", b"X-A:b:c"]
    head = newline.join(lines)
    assert split_head(head + newline) is None
    assert split_head(head + newline * 2 + b"body") == (head, b"body")
    answer = parse_head(head)
    assert answer is not None
    assert answer.status == 403
    assert answer.headers == {"content-type": "text/plain", "x-a": "b:c"}


@pytest.mark.parametrize("head", [b"", b"SSH-2.0-x", b"HTTP/1.1", b"HTTP/1.1 ok", b"HTTP/1.1 2000", b"HTTP/1.1 099"])
def test_what_is_not_http_has_no_status(head: bytes) -> None:
    assert parse_head(head) is None


@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_bytes_are_an_answer_that_can_be_shown_or_none(data: bytes, host: str) -> None:
    answer = parse_head(b"HTTP/1.1 " + data, data)
    if answer is not None:
        assert isinstance(refusal(answer, host, NOW_NS, KEY.redact), TickstreamError)


@given(st.text(max_size=1000))
def test_shown_text_is_one_short_line_without_control_or_format_characters(text: str) -> None:
    shown = readable(text)
    assert len(shown) <= 200
    assert all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in shown)


def test_shown_text_is_cut_with_an_ellipsis() -> None:
    assert readable("a\x1b[31m\r\n\u202eb") == "a [31m b"
    assert readable("x" * 201) == "x" * 197 + "..."


STATUSES: list[tuple[type[TickstreamError], Recovery, tuple[int, ...]]] = [
    (InsecureUrl, Recovery.FATAL, (301, 302, 303, 307, 308)),
    (RefusedByServer, Recovery.FATAL, (400, 404, 410, 426)),
    (InvalidKey, Recovery.FATAL, (401,)),
    (Forbidden, Recovery.FATAL, (403,)),
    (RateLimited, Recovery.RATE, (429,)),
    (HandshakeError, Recovery.BACKOFF, (100, 200, 204, 304, 402, 408, 418, 500, 502, 503, 504, 999)),
]


@pytest.mark.parametrize(
    ("status", "error", "recovery"), [(status, e, r) for e, r, statuses in STATUSES for status in statuses]
)
def test_each_status_means_one_error(status: int, error: type[TickstreamError], recovery: Recovery) -> None:
    refused = refusal(Answer(status, {"retry-after": "40"}), "feed.example:443", NOW_NS, str)
    assert type(refused) is error
    assert refused.recovery is recovery
    assert str(status) in str(refused)
    assert "feed.example:443" in str(refused)
    if isinstance(refused, HandshakeError):
        assert refused.status == status
    if status in {429, 503}:
        assert isinstance(refused, NetworkError | ProviderError)
        assert refused.retry_after_s == 40


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://evil.example/login?token=sekret", "evil.example"),
        ("//other.example:8443/x", "other.example"),
        ("/login?token=sekret", "another place on the same host"),
        ("http://[::1", "another place on the same host"),
        ("", "another place on the same host"),
    ],
)
def test_a_redirect_names_the_host_and_nothing_else_of_the_target(location: str, named: str) -> None:
    error = refusal(Answer(302, {"location": location}), "feed.example:443", NOW_NS, str)
    assert named in str(error)
    assert "sekret" not in str(error)


def test_the_body_is_shown_redacted_cleaned_and_cut() -> None:
    body = b"No plan for " + KEY.reveal().encode() + b"\x1b]0;owned\x07 [bold]\n" + b"x" * 5000
    error = refusal(Answer(403, {}, body[:MAX_BODY]), "h:443", NOW_NS, KEY.redact)
    text = str(error)
    assert "No plan for *** ]0;owned [bold] xxx" in text
    assert KEY.reveal() not in text
    assert "\x1b" not in text
    assert len(text) < 400


def test_a_key_that_the_end_of_the_body_cuts_in_two_is_not_shown() -> None:
    key = Secret("tk_" + "0123456789" * 10)
    body = (key.reveal().encode() * 50)[:MAX_BODY]
    assert not body.endswith(key.reveal().encode())
    assert "tk_0" not in shown_body(Answer(403, {}, body), key.redact)
    assert shown_body(Answer(403, {}, body[:309]), key.redact) == "*" * 9


def test_of_a_web_page_only_the_title_is_shown() -> None:
    page = b"<!DOCTYPE html><html><head><title>Just a\n moment</title></head><body>...</body>"
    assert shown_body(Answer(403, {"content-type": "text/html"}, page), str) == "Just a moment"
    assert shown_body(Answer(403, {}, page), str) == "Just a moment"
    assert shown_body(Answer(403, {}, b"<html>no title"), str) == ""


def test_a_chunked_body_is_put_together_and_a_compressed_one_is_not_shown() -> None:
    chunked = {"transfer-encoding": "chunked"}
    assert shown_body(Answer(401, chunked, b"5;x=y\r\nwrong\r\n4\r\n key\r\n0\r\n\r\n"), str) == "wrong key"
    assert shown_body(Answer(401, chunked, b"5\r\nwro"), str) == "wro"
    assert shown_body(Answer(401, chunked, b"junk"), str) == ""
    assert shown_body(Answer(401, {"content-encoding": "gzip"}, b"\x1f\x8b"), str) == ""


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"), (b"0\r\n\r\n", b""), (b"", None),
        (b"junk", None), (b"5\r\nhello", None), (b"5\r\nhello\r\n", None), (b"2\r\nhello\r\n0\r\n\r\n", None),
        (b"FFFFFF\r\nx\r\n", None),
    ],
)  # fmt: skip
def test_a_chunked_body_is_whole_or_none(body: bytes, whole: bytes | None) -> None:
    assert unchunked(body) == whole


@given(st.lists(st.binary(min_size=1, max_size=20)), st.integers(0, 400))
def test_a_chunked_body_is_its_chunks_and_no_part_of_it_is_whole(chunks: list[bytes], cut: int) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    assert unchunked(body + b"0\r\n\r\n") == b"".join(chunks)
    assert unchunked(body[:cut]) is None
