"""Which proxy the environment asks for, and what is said to it."""

from __future__ import annotations

import pytest

from tickstream.errors import ConfigError, NetworkError
from tickstream.session.proxies import Proxy, check_connect_answer, choose_proxy, connect_command, parse_proxy
from tickstream.session.urls import Target

FEED = Target(True, "feed.example", 443, "/")
PROXY = {"https_proxy": "http://proxy.example:3128"}


def chosen(env: dict[str, str], target: Target = FEED) -> str | None:
    proxy = choose_proxy(target, env)
    return proxy.authority if proxy else None


@pytest.mark.parametrize(
    ("env", "authority"),
    [
        ({}, None),
        ({"https_proxy": ""}, None),
        (PROXY, "proxy.example:3128"),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
        ({"all_proxy": "http://proxy.example"}, "proxy.example:80"),
        ({"ALL_PROXY": "http://[::2]:8080/"}, "[::2]:8080"),
        ({"https_proxy": "http://low:1", "HTTPS_PROXY": "http://high:1", "ALL_PROXY": "http://all:1"}, "low:1"),
        ({"http_proxy": "http://only-for-http:1"}, None),
    ],
)
def test_the_variables_are_read_in_the_order_that_curl_uses(env: dict[str, str], authority: str | None) -> None:
    assert chosen(env) == authority


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_loopback_never_goes_through_a_proxy(host: str) -> None:
    assert chosen(PROXY, Target(True, host, 443, "/")) is None


def test_plain_ws_never_goes_through_a_proxy() -> None:
    assert chosen({**PROXY, "http_proxy": "http://p:1"}, Target(False, "feed.example", 80, "/")) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "exempt"),
    [
        ("*", "feed.example", True),
        ("feed.example", "feed.example", True),
        ("feed.example", "a.feed.example", True),
        (".feed.example", "a.feed.example", True),
        ("*.feed.example", "a.feed.example", True),
        ("feed.example", "notfeed.example", False),
        ("other, FEED.example", "feed.example", True),
        ("feed.example:443", "feed.example", True),
        ("feed.example:8443", "feed.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("2001:db8::/32", "2001:db8::5", True),
        ("[2001:db8::5]:443", "2001:db8::5", True),
        ("[2001:db8::5]:80", "2001:db8::5", False),
        ("2001:db8::5", "2001:db8::5", True),
        ("feed.example", "feed.example.", True),
        (", ,", "feed.example", False),
        (".", "feed.example", False),
    ],
)
def test_no_proxy_exempts_names_subdomains_addresses_and_networks(no_proxy: str, host: str, exempt: bool) -> None:
    target = Target(True, host, 443, "/")
    assert (chosen({**PROXY, "no_proxy": no_proxy}, target) is None) is exempt
    assert (chosen({**PROXY, "NO_PROXY": no_proxy}, target) is None) is exempt


def test_a_socks_proxy_is_refused_with_a_way_out() -> None:
    with pytest.raises(ConfigError, match=r"ALL_PROXY names a SOCKS proxy[\s\S]*tunnel"):
        choose_proxy(FEED, {"ALL_PROXY": "socks5h://user:hunter2@proxy:1080"})


@pytest.mark.parametrize(
    "value", ["https://user:hunter2@p:1", "ftp://p", "http://", "http://user:hunter2@:1", "http://p:0", "http://p:x",
              "http://[::1", "http://user:hunter2@p q:1", "http://p:99999"],
)  # fmt: skip
def test_an_unusable_proxy_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ConfigError, match="https_proxy") as caught:
        parse_proxy(value, "https_proxy")
    assert "hunter2" not in str(caught.value)


def test_the_connect_command_carries_the_credentials_and_nothing_shows_them() -> None:
    proxy = parse_proxy("http://me:p%40ss%3Aword@proxy:3128", "https_proxy")
    command = connect_command(proxy, FEED)
    assert command.startswith(b"CONNECT feed.example:443 HTTP/1.1\r\nHost: feed.example:443\r\n")
    assert b"Proxy-Authorization: Basic bWU6cEBzczp3b3Jk\r\n\r\n" in command
    assert "p@ss" not in repr(proxy)
    assert b"Authorization" not in connect_command(Proxy("proxy", 3128), FEED)
    assert connect_command(Proxy("p", 1), Target(True, "::5", 443, "/")).startswith(b"CONNECT [::5]:443 ")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required", "user name and password"),
        (b"HTTP/1.1 403 Forbidden", "refuses to connect to feed.example:443"),
        (b"HTTP/1.0 502 Bad Gateway", "502"),
        (b"SSH-2.0-OpenSSH", "does not answer in HTTP"),
    ],
)
def test_a_refusing_proxy_is_named(head: bytes, said: str) -> None:
    with pytest.raises(NetworkError, match=said) as caught:
        check_connect_answer(Proxy("proxy", 3128), FEED, head)
    assert "proxy:3128" in str(caught.value)
    assert caught.value.retryable


def test_any_2xx_opens_the_tunnel() -> None:
    check_connect_answer(Proxy("proxy", 3128), FEED, b"HTTP/1.0 200 Connection established")
