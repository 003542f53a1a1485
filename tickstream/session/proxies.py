"""HTTP proxies from the environment: which one, if any, and the CONNECT conversation with it. Pure.

Only for wss, only HTTP CONNECT, and never for this machine itself. Variables as curl and Python read them:
`https_proxy`, then `all_proxy`, lower case before upper case; exceptions in `no_proxy`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

import msgspec

from tickstream.errors import ConfigError, NetworkError
from tickstream.keys import Secret
from tickstream.session.http import parse_head
from tickstream.session.urls import Target, is_loopback

DEFAULT_PORT = 80


class Proxy(msgspec.Struct, frozen=True):
    """Where the proxy is. `credentials` is `user:password`."""

    host: str
    port: int
    credentials: Secret | None = None

    @property
    def authority(self) -> str:
        """`host:port`, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def choose_proxy(target: Target, env: Mapping[str, str]) -> Proxy | None:
    """The proxy to use for this target, None for a direct connection. Raises ConfigError for one we cannot speak to."""
    if not target.secure or is_loopback(target.host):
        return None
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        value = env.get(name, "").strip()
        if value:
            exempt = _is_exempt(target, env.get("no_proxy") or env.get("NO_PROXY") or "")
            return None if exempt else parse_proxy(value, name)
    return None


def parse_proxy(value: str, variable: str) -> Proxy:
    """The proxy that an environment variable names. Raises ConfigError, without repeating the value."""
    value = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    else:
        if parts.scheme.startswith("socks"):
            raise ConfigError(
                f"{variable} names a SOCKS proxy, which tickstream does not speak.",
                hint="Use an HTTP proxy, or a tunnel that speaks SOCKS for us (ssh -L, proxychains).",
            )
        if parts.scheme != "http":
            raise ConfigError(f"{variable} must name an HTTP proxy: http://host:port.")
    if not host or port == 0 or re.search(r"[\x00-\x20\x7f]", value):
        raise ConfigError(f"{variable} is not a valid proxy.", hint="It looks like http://host:port.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    credentials = Secret(f"{user}:{password}") if user else None
    return Proxy(host, port or DEFAULT_PORT, credentials)


def connect_command(proxy: Proxy, target: Target) -> bytes:
    """The CONNECT request (RFC 9110 section 9.3.6)."""
    lines = [f"CONNECT {target.authority} HTTP/1.1", f"Host: {target.authority}"]
    if proxy.credentials is not None:
        basic = b64encode(proxy.credentials.reveal().encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {basic}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def check_connect_answer(proxy: Proxy, target: Target, head: bytes) -> None:
    """Raises NetworkError unless the proxy has opened the tunnel."""
    answer = parse_head(head)
    if answer is None:
        raise NetworkError(f"The proxy {proxy.authority} does not answer in HTTP.", hint="Is it an HTTP proxy?")
    if answer.status == 407:
        raise NetworkError(
            f"The proxy {proxy.authority} wants a user name and password (HTTP 407).",
            hint="Put the right ones into the proxy variable: http://user:password@host:port.",
        )
    if answer.status // 100 != 2:
        raise NetworkError(
            f"The proxy {proxy.authority} refuses to connect to {target.authority} (HTTP {answer.status})."
        )


def _is_exempt(target: Target, no_proxy: str) -> bool:
    return any(_matches(entry, target) for entry in re.split(r"[,\s]+", no_proxy.lower()) if entry)


def _matches(entry: str, target: Target) -> bool:
    """One entry: `*`, a name (its subdomains too), an address, a network, each perhaps with `:port`."""
    if entry == "*":
        return True
    with_port = re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", entry)
    if with_port:
        entry = with_port[1]
        if int(with_port[2]) != target.port:
            return False
    entry = entry.strip("[]")
    try:
        return ip_address(target.host) in ip_network(entry, strict=False)
    except ValueError:
        suffix = entry.removeprefix("*").strip(".")
        host = target.host.rstrip(".")
        return bool(suffix) and (host == suffix or host.endswith("." + suffix))
