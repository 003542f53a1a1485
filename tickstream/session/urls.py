"""WebSocket URLs: taken apart, and judged by where they would carry a key. Pure.

"Loopback" is decided by what is written, never by what a name resolves to: 127.0.0.0/8 in dotted decimal, ::1, or
`localhost`. The peer of a finished connection is judged again by the same rule, so that a hosts file that sends
`localhost` elsewhere gives nothing away.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

import msgspec

from tickstream.errors import ConfigError, InsecureUrl

DEFAULT_PORTS = {"ws": 80, "wss": 443}

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")
_AUTHORITY = re.compile(r"(\[[^\[\]]*:[^\[\]]*\]|[^:\[\]]+)(:\d*)?")
_LOOPBACK_V4 = ip_network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")


class Target(msgspec.Struct, frozen=True):
    """Where a URL leads. `resource` is path and query, as they stand in the request line."""

    secure: bool
    host: str
    """Lower case; an IPv6 address without brackets."""
    port: int
    resource: str

    @property
    def authority(self) -> str:
        """`host:port`, for people; an IPv6 address in brackets."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's own (RFC 6455 section 4.1)."""
        default = DEFAULT_PORTS["wss" if self.secure else "ws"]
        return _bracketed(self.host) if self.port == default else self.authority

    @property
    def url(self) -> str:
        """The URL again, in one spelling. It may hold a key: never print it."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.resource}"


def parse_target(url: str) -> Target:
    """Take a WebSocket URL apart. Raises ConfigError, which never repeats the URL: it may hold a key."""
    if not url.isascii() or any(c <= " " or c in "\x7f\\" for c in url):
        raise ConfigError(
            "The WebSocket URL contains a space, a backslash, a control character or a letter outside ASCII.",
            hint="Write such letters percent-encoded, and host names of other scripts in their xn-- form.",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("The WebSocket URL is malformed.", hint="It looks like wss://host:port/path.") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ConfigError("The WebSocket URL must begin with wss:// or ws://.")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "The WebSocket URL contains credentials (user@host).",
            hint="Remove them: keys are given through the environment or a key file.",
        )
    if parts.fragment or url.endswith("#"):
        raise ConfigError("The WebSocket URL ends in a #fragment, which no server ever sees. Remove it.")
    host = (parts.hostname or "").lower()
    if not _AUTHORITY.fullmatch(parts.netloc) or not _is_host(host) or port == 0:
        raise ConfigError("The WebSocket URL names no valid host and port.", hint="It looks like wss://host:port/path.")
    secure = parts.scheme == "wss"
    return Target(secure, host, port or DEFAULT_PORTS[parts.scheme], _resource(parts))


def is_loopback(host: str) -> bool:
    """True for a name or address that is this machine by its very spelling."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    address = _address(host)
    return address in _LOOPBACK_V4 if isinstance(address, IPv4Address) else address == _LOOPBACK_V6


def refuse_plaintext(target: Target, has_key: bool, allowed: bool) -> None:
    """Raises InsecureUrl when a key would travel to another machine in clear text."""
    if target.secure or not has_key or allowed or is_loopback(target.host):
        return
    raise InsecureUrl(
        f"ws:// to {target.host} would send your key unencrypted to another machine.",
        hint="Use wss://. Plain ws:// is accepted for this machine only (127.0.0.1, ::1, localhost).",
    )


def refuse_plaintext_peer(target: Target, peer_host: str, has_key: bool, allowed: bool) -> None:
    """The same for the address we are really connected to: `localhost` may have been sent elsewhere."""
    if target.secure or not has_key or allowed or is_loopback(peer_host):
        return
    raise InsecureUrl(
        f"{target.host} leads to {peer_host}, which is another machine: ws:// would send your key there unencrypted.",
        hint="Check the hosts file of this machine, or use wss://.",
    )


def _resource(parts: SplitResult) -> str:
    # websocket-client cuts ";parameters" off the last path segment; escaped, they mean the same and stay.
    path = (parts.path or "/").replace(";", "%3B")
    return f"{path}?{parts.query}" if parts.query else path


def _is_host(host: str) -> bool:
    if ":" in host:
        return isinstance(_address(host), IPv6Address) and "%" not in host
    return _HOST_NAME.fullmatch(host) is not None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
