"""The words of the operating system and of OpenSSL for an error, fit for people."""

from __future__ import annotations

import ssl


def why(error: Exception) -> str:
    """The cause without numbers and source lines: `Connection reset by peer`, `bad record mac`."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
