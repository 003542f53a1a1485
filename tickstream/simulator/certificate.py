"""A throw-away certificate for `--tls`, made by the `openssl` program: no dependency for it. Tested on Linux."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

from tickstream.errors import ConfigError

DAYS = 30
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
USAGE = "keyUsage=critical,digitalSignature,keyCertSign"
"""keyCertSign, because clients that check strictly (Python 3.13 on) want it of a certificate that signed itself."""
MAKE_S = 20.0

_HINT = "Make a certificate yourself, and give it with --tls-cert and --tls-key."


class Certificate:
    """A certificate and its key. `clean_up` removes them if they were made here."""

    def __init__(self, cert: Path, key: Path, folder: Path | None = None) -> None:
        self.cert = cert
        self.key = key
        self._folder = folder

    @classmethod
    def throw_away(cls) -> Certificate:
        """A new self-signed one for localhost, in a folder that only this user can read. Raises ConfigError."""
        program = shutil.which("openssl")
        if program is None:
            raise ConfigError("--tls needs the program openssl to make a certificate, and there is none", hint=_HINT)
        folder = Path(tempfile.mkdtemp(prefix="tickstream-simulator-"))
        made = cls(folder / "cert.pem", folder / "key.pem", folder)
        command = [
            program,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            str(DAYS),
            "-subj",
            "/CN=localhost",
            "-addext",
            NAMES,
            "-addext",
            USAGE,
            "-keyout",
            str(made.key),
            "-out",
            str(made.cert),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=MAKE_S)  # noqa: S603 - no text of others in it
        except (OSError, subprocess.SubprocessError) as error:
            made.clean_up()
            said = getattr(error, "stderr", None) or str(error).encode()
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or [type(error).__name__]
            raise ConfigError(f"openssl made no certificate: {last[0]}", hint=_HINT) from error
        return made

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS, 1.2 at least. Raises ConfigError when the files are no certificate and key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.cert, self.key)
        except (OSError, ValueError) as error:
            raise ConfigError(f"Cannot use the certificate {self.cert} with the key {self.key}: {error}") from error
        return context

    def clean_up(self) -> None:
        """Remove what was made here."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
