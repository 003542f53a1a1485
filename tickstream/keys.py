"""Provider keys: where they are looked for, and a `Secret` that shows itself to nobody.

A key travels as a `Secret` from where it was found to the one place that writes it to the wire. What is printed,
logged or raised goes through `Secret.redact` first, in case the provider echoes the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from tickstream import private_files
from tickstream.errors import ConfigError

MASK = "***"

SHORTEST_REDACTED = 4
"""Keys below this length are not redacted: replacing every `a` would destroy the text and protect nothing."""

MAX_KEY_LENGTH = 4096
"""Characters; what is longer is no key but some other file."""

COMMAND_TIMEOUT_S = 30.0
"""For `key_command`: time enough to type the passphrase of a password store."""

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
    return re.compile("|".join(map(_however_escaped, longest_first)) or "(?!)")


def _however_escaped(form: str) -> str:
    """A pattern for a form in JSON, in a Python literal, or in one within the other: backslashes are not counted."""
    pattern = ""
    for part in re.findall(r"\\+|[^\\]", form):
        if part[0] == "\\":
            pattern += r"\\+"
        elif part in "\"'/" and not pattern.endswith(r"\\+"):
            pattern += r"\\*" + part
        else:
            pattern += re.escape(part)
    return pattern


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


class KeySettings(NamedTuple):
    """What the config file at `path` says about a provider's key."""

    path: Path | None = None
    key: Secret | None = None
    key_command: tuple[str, ...] = ()


class FoundKey(NamedTuple):
    """A key, and where it came from, in words that can be shown."""

    key: Secret
    origin: str


_found: list[Secret] = []


def redact_found(text: str) -> str:
    """The text without any key that was found in this process: the last net under what goes to stderr."""
    return Secret.redactor(_found)(text) if _found else text


def find_key(
    provider: str,
    key_env: str | None,
    *,
    env: Mapping[str, str],
    key_file: Path | None = None,
    key_stdin: BinaryIO | None = None,
    settings: KeySettings | None = None,
) -> FoundKey | None:
    """The key for a provider; None when there is none anywhere.

    The first of: `key_file`; `key_stdin`, of which one line is read; the environment variable `key_env`; the config
    file's `key_command`; its `key`. A source that is named and gives no usable key is an error, not a reason to look
    further. Raises ConfigError, whose text never holds the key.
    """
    found = _find(provider, key_env, env, key_file, key_stdin, settings or KeySettings())
    if found is not None and found.key not in _found:
        _found.append(found.key)
    return found


def _find(
    provider: str,
    key_env: str | None,
    env: Mapping[str, str],
    key_file: Path | None,
    key_stdin: BinaryIO | None,
    settings: KeySettings,
) -> FoundKey | None:
    if key_file is not None:
        return FoundKey(_from_file(key_file), f"--key-file {key_file}")
    if key_stdin is not None:
        return FoundKey(read_key(key_stdin, "stdin"), "--key-stdin")
    if key_env and env.get(key_env):
        return FoundKey(checked(env[key_env], f"the environment variable {key_env}"), f"environment {key_env}")
    if settings.key_command:
        origin = f"key_command of {provider} in {settings.path}"
        inner = {name: value for name, value in env.items() if name != key_env}
        return FoundKey(checked(_run(settings.key_command, inner), origin), origin)
    if settings.key is not None:
        return FoundKey(settings.key, f"{settings.path}")
    return None


def checked(text: str, origin: str) -> Secret:
    """The key in a text, without the white space around it. Raises ConfigError, naming `origin`, when it is none."""
    value = text.strip()
    if not value:
        raise ConfigError(f"{origin} holds no key: it is empty")
    if len(value) > MAX_KEY_LENGTH:
        raise ConfigError(f"{origin} holds no key: it is longer than {MAX_KEY_LENGTH:,} characters")
    if not value.isprintable():
        raise ConfigError(f"{origin} holds no usable key: there are control characters or several lines in it")
    return Secret(value)


def read_key(stream: BinaryIO, origin: str) -> Secret:
    """The key in the first line of a stream: what follows is left for others. Raises ConfigError."""
    return checked(_text(stream.readline(MAX_KEY_LENGTH + 2), origin), origin)


def _from_file(path: Path) -> Secret:
    try:
        file = private_files.read(path, MAX_KEY_LENGTH)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise ConfigError(f"cannot read the key file {path}: {getattr(error, 'strerror', error)}") from error
    file.require_private(f"the key file {path}")
    return checked(_text(file.data, f"the key file {path}"), f"the key file {path}")


def _text(data: bytes, origin: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # "from None": the error would carry the bytes along.
        raise ConfigError(f"{origin} holds no key: it is no UTF-8 text") from None


def _run(command: Sequence[str], env: Mapping[str, str]) -> str:
    """What the command prints. No shell, no stdin; what it says on stderr is not shown: it may quote the key."""
    import subprocess
    import threading

    name = command[0]
    advice = "Run it by hand to see why."
    try:
        child = subprocess.Popen(  # noqa: S603 - the user's own command, from a file that only the user can write
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(env)
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"key_command {name!r} cannot be run: {getattr(error, 'strerror', error)}") from error
    output: list[bytes] = []
    # In a thread, because no read from a pipe has a timeout, and a grandchild may keep the pipe open for ever.
    reader = threading.Thread(target=_read_into, args=(child.stdout, output), daemon=True)
    reader.start()
    reader.join(COMMAND_TIMEOUT_S)
    try:
        if reader.is_alive():
            raise ConfigError(f"key_command {name!r} gave no key within {COMMAND_TIMEOUT_S:g} s", hint=advice)
        if len(output[0]) > MAX_KEY_LENGTH:
            raise ConfigError(f"key_command {name!r} printed more than a key", hint=advice)
        try:
            status = child.wait(COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise ConfigError(f"key_command {name!r} does not end", hint=advice) from None
    finally:
        child.kill()
        child.wait()
    if status:
        raise ConfigError(f"key_command {name!r} failed with exit status {status}", hint=advice)
    # Password stores keep the secret in the first line and notes below it.
    return _text(output[0], f"key_command {name!r}").lstrip().partition("\n")[0]


def _read_into(pipe: IO[bytes], output: list[bytes]) -> None:
    with pipe:
        output.append(pipe.read(MAX_KEY_LENGTH + 1))
