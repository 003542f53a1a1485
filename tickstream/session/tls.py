"""TLS on a connected socket: the system's trust, names checked, and what each failure means. Tested on Linux only."""

from __future__ import annotations

import selectors
import ssl
from socket import socket
from typing import Any

import msgspec

from tickstream.errors import ConfigError, HandshakeError, NetworkError, TlsError
from tickstream.session.causes import why
from tickstream.session.dialling import Step
from tickstream.session.urls import Target

_NOT_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"}
)
"""OpenSSL's words for an answer that is no TLS at all."""
_IS_THIS_TLS = "Is this a TLS port? For a plain server on this machine the URL begins with ws://."


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are verified against the system's authorities, and those in `ca_file`; TLS 1.2 at least.

    Not `ssl.create_default_context`: that one writes session keys to the file in SSLKEYLOGFILE.
    Raises ConfigError when the file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise ConfigError(f"The CA file {ca_file} holds no certificate in PEM form.") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"The CA file {ca_file} cannot be read: {why(error)}.") from None
    return context


def pinned_context() -> ssl.SSLContext:
    """No authority is asked, and no name is looked at: whoever uses it compares the certificate with a pin, or sends
    nothing. TLS 1.2 at least."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def certificate_of(sock: socket) -> bytes:
    """The certificate (DER) that the other side has shown on a connected `ssl.SSLSocket`."""
    assert isinstance(sock, ssl.SSLSocket)
    shown = sock.getpeercert(binary_form=True)
    assert shown is not None  # a server without one ends the handshake
    return shown


def start_tls(sock: socket, target: Target, context: ssl.SSLContext, step: Step) -> ssl.SSLSocket:
    """TLS on a connected socket. Raises TlsError (fatal), HandshakeError (the other side does not speak TLS)."""
    # A name may end in a dot, which certificates do not write.
    wrapped = context.wrap_socket(sock, server_hostname=target.host.rstrip("."), do_handshake_on_connect=False)
    try:
        _shake_hands(wrapped, step)
    except BaseException as error:
        wrapped.close()
        if isinstance(error, TimeoutError):
            raise HandshakeError(
                f"{target.authority} did not finish the TLS handshake within {step.seconds:g} s.", hint=_IS_THIS_TLS
            ) from None
        if isinstance(error, ssl.SSLError | OSError):
            raise _error(error, target) from None
        raise
    return wrapped


def _shake_hands(sock: ssl.SSLSocket, step: Step) -> None:
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            step.wait(sock, selectors.EVENT_READ)
        except ssl.SSLWantWriteError:
            step.wait(sock, selectors.EVENT_WRITE)
        else:
            return


def _error(error: OSError, target: Target) -> NetworkError | TlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(
            f"The certificate of {target.authority} is not valid: {error.verify_message.rstrip('.')} "
            f"(OpenSSL verify code {error.verify_code}).",
            hint="Is the clock right? Is the URL right? For a private authority give its certificate with --ca-file.",
            verify_code=error.verify_code,
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        if error.reason in _NOT_TLS:
            return HandshakeError(f"{target.authority} does not answer in TLS.", hint=_IS_THIS_TLS)
        return TlsError(f"TLS with {target.authority} failed: {why(error)}.")
    return HandshakeError(f"{target.authority} ended the connection during the TLS handshake.", hint=_IS_THIS_TLS)


class Handshake(msgspec.Struct, frozen=True):
    """A finished TLS handshake, and whose certificate it was. `str` is for people; the issuer's text is foreign."""

    version: str
    cipher: str
    issuer: str
    expires: str
    """The certificate's last moment, as OpenSSL writes it: `Jan  5 09:34:43 2027 GMT`. Empty where it is pinned."""

    @property
    def pinned(self) -> bool:
        """True where a pin stands for all that is usually asked of a certificate."""
        return not self.expires

    @property
    def expires_s(self) -> int:
        """The same in seconds since 1970; not for a pinned one."""
        return ssl.cert_time_to_seconds(self.expires)

    def __str__(self) -> str:
        if self.pinned:
            return f"{self.version}, {self.cipher}, the certificate that is pinned"
        return f"{self.version}, {self.cipher}, certificate valid until {self.expires}, issued by {self.issuer}"


def handshake_of(sock: Any, *, pinned: bool = False) -> Handshake:
    """What was agreed on a connected `ssl.SSLSocket`, whose certificate was verified, or is `pinned`."""
    if pinned:
        return Handshake(sock.version(), sock.cipher()[0], "", "")
    certificate = sock.getpeercert()
    names = {name: value for part in certificate["issuer"] for name, value in part}
    shown = [names[name] for name in ("commonName", "organizationName") if name in names]
    issuer = f"{shown[0]} ({shown[1]})" if len(shown) == 2 else "".join(shown) or "?"
    return Handshake(sock.version(), sock.cipher()[0], issuer, certificate["notAfter"])
