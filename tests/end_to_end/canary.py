"""A key that would be recognised anywhere, and the search for its traces."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

KEY = 'kanarienvogel-KEY-/+%"\\x zwitschert'
"""With everything in it that some encoding changes."""

_TELLTALES = ("kanarienvogel", "zwitschert")
"""Parts that percent, JSON, shell and Python quoting leave as they are: whichever form it takes, they are in it."""


def _cores(text: str) -> list[str]:
    """What base64 makes of a text, wherever it begins in what is encoded; at the ends its neighbours play in."""
    cores = []
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + text.encode()).decode().rstrip("=")
        cores.append(encoded[lead and lead + 1 : -1])
    return cores


FORMS = {
    "plain": KEY,
    "percent": quote(KEY, safe=""),
    "percent, lower case": re.sub("%..", lambda found: found[0].lower(), quote(KEY)),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    "base64 of user and password": base64.b64encode(f"me:{KEY}".encode()).decode(),
    "JSON": json.dumps(KEY)[1:-1],
    "JSON with escaped slashes": json.dumps(KEY)[1:-1].replace("/", "\\/"),
}
"""How a key may be echoed."""


def traces(text: str | bytes) -> list[str]:
    """What gives the key away in a text, whatever its form."""
    searched = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).lower()
    found = [word for word in _TELLTALES if word in searched]
    for word in (KEY, *_TELLTALES):
        found += [core for core in _cores(word) if core.lower() in searched or _urlsafe(core).lower() in searched]
    return found


def _urlsafe(core: str) -> str:
    return core.replace("+", "-").replace("/", "_")


def assert_no_trace(*texts: str | bytes) -> None:
    """The key is in none of these, in no form."""
    for text in texts:
        found = traces(text)
        assert not found, f"{found} in {text!r}"
