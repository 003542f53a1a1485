"""WebSocket URLs, and where a key may go in clear text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.errors import ConfigError, InsecureUrl
from tickstream.session.urls import Target, is_loopback, parse_target, refuse_plaintext, refuse_plaintext_peer


@pytest.mark.parametrize(
    ("url", "target", "host_header"),
    [
        ("wss://tickatlas.com/ws/v1/quotes", Target(True, "tickatlas.com", 443, "/ws/v1/quotes"), "tickatlas.com"),
        ("ws://localhost:8080", Target(False, "localhost", 8080, "/"), "localhost:8080"),
        ("WSS://Feed.Example:8443/a?b=c&d", Target(True, "feed.example", 8443, "/a?b=c&d"), "feed.example:8443"),
        ("wss://feed.example:80/", Target(True, "feed.example", 80, "/"), "feed.example:80"),
        ("ws://feed.example:443/", Target(False, "feed.example", 443, "/"), "feed.example:443"),
        ("ws://[::1]:9/x", Target(False, "::1", 9, "/x"), "[::1]:9"),
        ("wss://[2001:DB8::7]/x", Target(True, "2001:db8::7", 443, "/x"), "[2001:db8::7]"),
        ("wss://h/a;b=1/c;d?e;f", Target(True, "h", 443, "/a%3Bb=1/c%3Bd?e;f"), "h"),
        ("wss://xn--bcher-kva.example/", Target(True, "xn--bcher-kva.example", 443, "/"), "xn--bcher-kva.example"),
        ("wss://under_score.example./", Target(True, "under_score.example.", 443, "/"), "under_score.example."),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target, host_header: str) -> None:
    assert parse_target(url) == target
    assert target.host_header == host_header
    assert parse_target(target.url) == target


@pytest.mark.parametrize(
    "url",
    [
        "", "tickatlas.com", "http://h/", "https://h/", "file:///etc/passwd", "wss://", "wss:///path", "wss://:443/",
        "wss://user@h/", "wss://user:secret@h/", "wss://@h/", "wss://h/#frag", "wss://h/#", "wss://h:0/", "wss://h:x/",
        "wss://h:65536/", "wss://h:-1/", "wss://[::1/", "wss://[v1.x]/", "wss://[fe80::1%25eth0]/", "wss://h\\@evil/",
        "wss://h\\x", "wss://ho st/", "wss://h/a b", "wss://h/\r\nX: y", "wss://h/\t", "wss://h/é", "wss://bücher.example/",
        "wss://a..b/", "wss://.a/", "wss://-a/", "wss://a-/", "wss://" + "a" * 64 + "/", "wss://" + "a." * 127 + "com/",
        "wss://h%2fx/", "wss://h;x/", "wss://h,x/", "wss://[::1]evil/", "wss://[1:2]/", "wss://[127.0.0.1]/",
        "wss://[1::2::3]/",
    ],
)  # fmt: skip
def test_an_invalid_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_target(url)
    assert "secret" not in str(caught.value)
    assert "evil" not in str(caught.value)


@given(st.text(max_size=60).map("wss://".__add__) | st.text(max_size=30))
def test_any_text_is_a_target_or_refused(url: str) -> None:
    try:
        target = parse_target(url)
    except ConfigError:
        return
    assert target.host
    assert 0 < target.port < 65536
    assert not set(target.resource + target.host_header) & set(" \r\n\\#")


LOOPBACK = {
    "127.0.0.1": True,
    "127.255.255.254": True,
    "::1": True,
    "0:0:0:0:0:0:0:1": True,
    "localhost": True,
    "LOCALHOST.": True,
    "127.0.0.1.evil.com": False,
    "localhost.evil.com": False,
    "evil.localhost": False,
    "0x7f.1": False,
    "0x7f000001": False,
    "2130706433": False,
    "127.1": False,
    "0177.0.0.1": False,
    "::ffff:127.0.0.1": False,
    "::": False,
    "0.0.0.0": False,
    "128.0.0.1": False,
    "10.0.0.1": False,
    "tickatlas.com": False,
}


@pytest.mark.parametrize(("host", "expected"), LOOPBACK.items())
def test_loopback_is_what_is_written_as_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(("host", "loopback"), LOOPBACK.items())
def test_a_key_goes_over_ws_to_loopback_only(host: str, loopback: bool) -> None:
    target = Target(False, host, 80, "/?token=sekret")
    if loopback:
        refuse_plaintext(target, has_key=True, allowed=False)
    else:
        with pytest.raises(InsecureUrl, match="unencrypted") as caught:
            refuse_plaintext(target, has_key=True, allowed=False)
        assert "sekret" not in str(caught.value)
    refuse_plaintext(target, has_key=False, allowed=False)
    refuse_plaintext(target, has_key=True, allowed=True)
    refuse_plaintext(Target(True, host, 443, "/"), has_key=True, allowed=False)


def test_localhost_that_leads_to_another_machine_is_refused_by_its_address() -> None:
    target = Target(False, "localhost", 80, "/")
    refuse_plaintext_peer(target, "127.0.0.1", has_key=True, allowed=False)
    refuse_plaintext_peer(target, "10.0.0.7", has_key=False, allowed=False)
    refuse_plaintext_peer(target, "10.0.0.7", has_key=True, allowed=True)
    refuse_plaintext_peer(Target(True, "localhost", 443, "/"), "10.0.0.7", has_key=True, allowed=False)
    with pytest.raises(InsecureUrl, match=r"10\.0\.0\.7"):
        refuse_plaintext_peer(target, "10.0.0.7", has_key=True, allowed=False)
