"""Provider keys: where they are looked for, and a `Secret` that shows itself to nobody.

A key travels as a `Secret` from where it was found to the one place that writes it to the wire. What is printed,
logged or raised goes through `Secret.redact` first, in case the provider echoes the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

MASK = "***"

SHORTEST_REDACTED = 4
"""Keys below this length are not redacted: replacing every `a` would destroy the text and protect nothing."""

_SHORTEST_CORE = 8
"""Fewer base64 characters than this, cut from the middle of a longer text, would match by accident."""


class Secret:
    """A key. `repr`, `str` and `format` give `***`; only `reveal` gives the value.

    It cannot be pickled, and compares in constant time. Raises ValueError when it would be empty.
    """

    __slots__ = ("_bytes_pattern", "_text_pattern", "_value")

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a key cannot be empty")
        self._value = value
        self._text_pattern: re.Pattern[str] | None = None
        self._bytes_pattern: re.Pattern[bytes] | None = None

    @staticmethod
    def redactor(secrets: Iterable[Secret]) -> Callable[[str], str]:
        """One function that takes all of these out of a text."""
        forms = {form for secret in secrets for form in secret.forms()}
        if not forms:
            return str
        pattern = _alternatives(forms)
        return lambda text: pattern.sub(MASK, text)

    def reveal(self) -> str:
        """The value: for the wire, and nothing else."""
        return self._value

    def redact(self, text: str) -> str:
        """The text without the key: plain, percent-encoded, base64 (also inside a longer one) or escaped as in JSON.

        A key of fewer than 4 characters is left in, see SHORTEST_REDACTED.
        """
        if self._text_pattern is None:
            self._text_pattern = _alternatives(self.forms())
        return self._text_pattern.sub(MASK, text)

    def redact_bytes(self, data: bytes) -> bytes:
        """`redact` for bytes in UTF-8."""
        if self._bytes_pattern is None:
            self._bytes_pattern = re.compile(_alternatives(self.forms()).pattern.encode("utf-8", "surrogateescape"))
        return self._bytes_pattern.sub(MASK.encode(), data)

    def forms(self) -> set[str]:
        """All texts that give the key away."""
        if len(self._value) < SHORTEST_REDACTED:
            return set()
        return {self._value, *_percent_forms(self._value), *_json_forms(self._value), *_base64_forms(self._value)}

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        from hmac import compare_digest

        return compare_digest(_utf8(self._value), _utf8(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> str | tuple[object, ...]:
        raise TypeError("a Secret cannot be pickled")


def _utf8(value: str) -> bytes:
    # A key from the environment may hold surrogates for bytes that are no UTF-8.
    return value.encode("utf-8", "surrogateescape")


def _alternatives(forms: Iterable[str]) -> re.Pattern[str]:
    """Any of these, the longest first, so that no remainder of a longer one is left. No forms: matches nothing."""
    longest_first = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def _percent_forms(value: str) -> Iterable[str]:
    from urllib.parse import quote, quote_plus

    raw = _utf8(value)
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)


def _json_forms(value: str) -> Iterable[str]:
    import json

    for escaped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")


def _base64_forms(value: str) -> Iterable[str]:
    """The key's own base64, and what is certain of it where it stands inside something longer (`user:key`)."""
    from base64 import b64encode

    raw = _utf8(value)
    whole = b64encode(raw).decode()
    cores = [whole, whole.rstrip("=")]
    for lead in (0, 1, 2):
        # Of the characters at either end only some bits are ours: they depend on the neighbours and are left alone.
        encoded = b64encode(b"\0" * lead + raw).decode().rstrip("=")
        core = encoded[(0, 2, 3)[lead] : len(encoded) - (1 if (lead + len(raw)) % 3 else 0)]
        if len(core) >= _SHORTEST_CORE:
            cores.append(core)
    for core in cores:
        yield core
        yield core.replace("+", "-").replace("/", "_")
