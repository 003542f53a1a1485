"""Certificates that nobody vouches for, pinned on purpose: the fingerprints that people write and compare. Pure.

Some providers run as a program on the user's own machine, with a certificate that it signed itself. Such a certificate
proves nothing unless it is exactly the one that the user has seen before: its SHA-256 is the pin.
"""

from __future__ import annotations

import hashlib
import hmac
import re

import msgspec

from tickstream.errors import ConfigError

_PREFIX = re.compile(r"sha-?256( fingerprint)?[:=/ ]\s*", re.IGNORECASE)
_DIGITS = hashlib.sha256().digest_size * 2


class TlsPin(msgspec.Struct, frozen=True):
    """A pin as it was written, empty where none is set, and the setting that it is written in (for people)."""

    text: str
    setting: str

    @property
    def digest(self) -> bytes | None:
        """The SHA-256 of the certificate, None where no pin is set. Raises ConfigError for what is no SHA-256.

        Taken as OpenSSL and browsers write it: 64 hexadecimal digits, with or without colons and `SHA-256:`.
        """
        if not self.text:
            return None
        digits = _PREFIX.sub("", self.text.strip(), count=1).replace(":", "").replace(" ", "")
        if len(digits) != _DIGITS or re.fullmatch(r"[0-9A-Fa-f]+", digits) is None:
            raise ConfigError(
                f"{self.setting} holds no SHA-256 fingerprint of a certificate.",
                hint="It is 64 hexadecimal digits, with or without colons. Leave it empty, and the fingerprint that "
                "the server shows is printed.",
            )
        return bytes.fromhex(digits)

    def fits(self, certificate: bytes) -> bool:
        """True when this certificate (DER) is the one that is pinned."""
        pinned = self.digest
        return pinned is not None and hmac.compare_digest(pinned, hashlib.sha256(certificate).digest())


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate (DER), as `openssl x509 -fingerprint -sha256` writes it."""
    return hashlib.sha256(certificate).digest().hex(":").upper()
