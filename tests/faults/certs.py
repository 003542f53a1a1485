"""Certificates for TLS tests, made by a throw-away authority."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


class Authority:
    """A private certificate authority. `ca_file` is what a client must trust."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)

    def server_context(self, *hosts: str, expired: bool = False) -> ssl.SSLContext:
        """What a server for these hosts uses; by default for all names of this machine."""
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        begin = datetime.now(UTC) - timedelta(days=30) if expired else None
        names = hosts or ("localhost", "127.0.0.1", "::1")
        certificate = self._ca.issue_cert(*names, not_before=begin, not_after=end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
