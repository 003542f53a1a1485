"""A connected socket to where a URL leads, encrypted where it is to be: the way that a stream and its REST share.

What can be refused without connecting (a URL, a CA file, a pin, a proxy) is refused when a `Route` is made.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping

import msgspec

from tickstream.errors import TickstreamError, TlsError
from tickstream.session.dialling import Steps, connect_tcp, open_tunnel, peer_of, resolve
from tickstream.session.frames import MAX_MESSAGE
from tickstream.session.proxies import choose_proxy
from tickstream.session.tls import Handshake, certificate_of, handshake_of, pinned_context, start_tls, tls_context
from tickstream.session.urls import Target, is_loopback, refuse_plaintext, refuse_plaintext_peer
from tickstream.tls_pins import TlsPin, fingerprint


class DialOptions(msgspec.Struct, frozen=True):
    """How to connect. Times are in seconds, one deadline for each step; sizes in bytes.

    `env` is looked at for proxies only. `ca_file` adds an authority to the system's.
    """

    ca_file: str | None = None
    env: Mapping[str, str] = {}
    allow_plaintext: bool = False
    max_message: int = MAX_MESSAGE
    binary: bool = False
    resolve_timeout_s: float = 10.0
    tcp_timeout_s: float = 10.0
    tls_timeout_s: float = 10.0
    upgrade_timeout_s: float = 10.0
    message_timeout_s: float = 30.0
    """How long a message that has begun may take to be complete."""


class Route:
    """How to reach a target. Raises ConfigError and InsecureUrl for what is wrong before anything is connected.

    `pin` None: the authorities decide whether a certificate is good. A pin that is set decides alone: the certificate
    is that one, or nothing is sent. One that may be set and is not changes nothing but the advice.
    """

    def __init__(
        self, target: Target, options: DialOptions, *, has_key: bool = False, pin: TlsPin | None = None
    ) -> None:
        refuse_plaintext(target, has_key, options.allow_plaintext)
        self.target = target
        self.options = options
        self._has_key = has_key
        self._pin = pin
        self._proxy = choose_proxy(target, options.env)
        self._is_pinned = target.secure and pin is not None and pin.digest is not None
        verifying = target.secure and not self._is_pinned
        self._context = tls_context(options.ca_file) if verifying else None

    def connect(self, steps: Steps, on_tls: Callable[[Handshake], None] | None = None) -> socket.socket:
        """A socket that stands, TLS and all. Raises as the steps do; the socket is closed then."""
        sock = self._reach(steps)
        try:
            refuse_plaintext_peer(self.target, peer_of(sock)[0], self._has_key, self.options.allow_plaintext)
            return self._encrypt(sock, steps, on_tls) if self.target.secure else sock
        except BaseException:
            sock.close()
            raise

    def _reach(self, steps: Steps) -> socket.socket:
        """A connected socket, as good as plugged into the target: perhaps through the proxy's tunnel."""
        proxy, options = self._proxy, self.options
        hop = proxy or self.target
        name = hop.authority if proxy is None else f"the proxy {proxy.authority}"
        with steps.begin("resolve", options.resolve_timeout_s) as step:
            addresses = resolve(hop.host, hop.port, step)
            step.detail = ", ".join(dict.fromkeys(str(address[0]) for _, address in addresses))
        with steps.begin("tcp", options.tcp_timeout_s) as step:
            sock = connect_tcp(name, addresses, step)
            try:
                if proxy is not None:
                    open_tunnel(sock, proxy, self.target, steps.part(options.tcp_timeout_s))
                step.detail = peer_of(sock)[1] if proxy is None else f"through {name}"
            except BaseException:
                sock.close()
                raise
        return sock

    def _encrypt(self, sock: socket.socket, steps: Steps, on_tls: Callable[[Handshake], None] | None) -> socket.socket:
        with steps.begin("tls", self.options.tls_timeout_s) as step:
            try:
                secured = start_tls(sock, self.target, self._context or pinned_context(), step)
            except TlsError as error:
                raise self._advised(error, steps) from None
            try:
                if self._is_pinned:
                    self._check_pin(certificate_of(secured))
                handshake = handshake_of(secured, pinned=self._is_pinned)
                step.detail = str(handshake)
                if on_tls is not None:
                    on_tls(handshake)
            except BaseException:
                secured.close()
                raise
        return secured

    def _check_pin(self, certificate: bytes) -> None:
        assert self._pin is not None
        if not self._pin.fits(certificate):
            raise TlsError(
                f"{self.target.authority} shows another certificate than the one pinned with {self._pin.setting}: its "
                f"SHA-256 fingerprint is {fingerprint(certificate)}. Nothing was sent.",
                hint="Was the server there installed anew? Then pin this one. If not, something else answers there.",
            )

    def _advised(self, error: TlsError, steps: Steps) -> TlsError:
        """The error, and how to pin the certificate where that makes sense: on this machine, and nobody else's."""
        pin, target = self._pin, self.target
        if error.verify_code is None or pin is None or not is_loopback(target.host):
            return error
        shown = self._shown_certificate(steps)
        if shown is not None:
            error.hint = (
                f"If that is your own server, pin its certificate: {pin.setting}={fingerprint(shown)} (SHA-256). "
                "Then that certificate is accepted, and no other."
            )
        return error

    def _shown_certificate(self, steps: Steps) -> bytes | None:
        """What the server shows, from a connection of its own on which nothing is sent; None if that fails.

        OpenSSL hands out no certificate that it has just refused.
        """
        quiet = steps.silent()
        with contextlib.suppress(TickstreamError, OSError):
            sock = self._reach(quiet)
            try:
                sock = start_tls(sock, self.target, pinned_context(), quiet.part(self.options.tls_timeout_s))
                return certificate_of(sock)
            finally:
                sock.close()
        return None
