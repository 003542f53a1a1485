"""Fingerprints of certificates, as people write them."""

from __future__ import annotations

import hashlib

import pytest

from tickstream.errors import ConfigError
from tickstream.tls_pins import TlsPin, fingerprint

CERTIFICATE = b"any bytes will do"
DIGEST = hashlib.sha256(CERTIFICATE).digest()


def pin(text: str) -> TlsPin:
    return TlsPin(text, "SOME_SETTING")


@pytest.mark.parametrize(
    "text",
    [DIGEST.hex(), DIGEST.hex(":"), DIGEST.hex(":").upper(), f"SHA256:{DIGEST.hex()}", f"sha-256={DIGEST.hex(':')}",
     f"  sha256 Fingerprint={DIGEST.hex(':').upper()}\n", DIGEST.hex(" ")],
)  # fmt: skip
def test_a_pin_may_be_written_as_programs_write_it(text: str) -> None:
    assert pin(text).digest == DIGEST
    assert pin(text).fits(CERTIFICATE)


def test_another_certificate_does_not_fit_and_no_pin_fits_none() -> None:
    assert not pin(DIGEST.hex()).fits(CERTIFICATE + b"!")
    assert pin("").digest is None
    assert not pin("").fits(CERTIFICATE)


WRONG = ("x", "AB:CD", DIGEST.hex()[:-1], DIGEST.hex() + "00", "g" * 64, "sha1:" + "a" * 40, "٣" * 64)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_fingerprint_is_a_wrong_configuration(text: str) -> None:
    with pytest.raises(ConfigError, match="SOME_SETTING holds no SHA-256") as raised:
        pin(text).fits(CERTIFICATE)
    assert text not in str(raised.value) or len(text) == 1, "it may be a key in the wrong place"


def test_the_fingerprint_is_a_pin() -> None:
    assert fingerprint(CERTIFICATE) == DIGEST.hex(":").upper()
    assert pin(fingerprint(CERTIFICATE)).fits(CERTIFICATE)
