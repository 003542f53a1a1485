"""Names of captured files: `data/{provider}/{symbol}/{date}.jsonl`, where foreign text can never leave the folder.

Pure, and the same on every platform: a capture made on Linux can be copied to Windows.
"""

from __future__ import annotations

import hashlib
import re
import time
from calendar import timegm
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tickstream.errors import UsageError
from tickstream.suggestions import did_you_mean, shown
from tickstream.timestamps import NS_PER_SECOND

EXTENSIONS = {"jsonl": ".jsonl", "csv": ".csv", "raw": ".jsonl", "parquet": ".parquet"}
"""Format -> what its files end in. `raw` lines are JSON lines too."""
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
"""Compression -> what is added to that. Parquet compresses inside."""
PLACEHOLDERS = {
    "provider": "the provider's name",
    "channel": "bars, quotes, trades...",
    "symbol": "the symbol, percent-encoded",
    "interval": "of bars: 1m, 1h...",
    "date": "YYYY-MM-DD, UTC, of ts_event",
    "year": "YYYY",
    "month": "MM",
    "day": "DD",
    "hour": "HH",
}
"""Name -> what it stands for."""
LONGEST_VALUE = 100
"""Bytes of an encoded value; what is longer is cut and marked with its hash."""
LONGEST_NAME = 200
"""Bytes of a file or folder name, so that `-001`, `.part` and `.torn-...` still fit into 255."""

_DEFAULT = "{provider}/{channel}/{symbol}/{date}"
_DEFAULT_RAW = "{provider}/raw/{date}"
_TIMES = {"date": "%Y-%m-%d", "year": "%Y", "month": "%m", "day": "%d", "hour": "%H"}
_HOUR_NS, _DAY_NS = 3600 * NS_PER_SECOND, 86_400 * NS_PER_SECOND
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(rb"[^A-Za-z0-9.-]")
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$|manifest\.jsonl)(?:\..*)?")
"""Names that Windows gives to devices, whatever stands behind a dot; and the manifest's own."""
_KNOWN_ENDS = (*dict.fromkeys(EXTENSIONS.values()), ".json", ".ndjson", *filter(None, SUFFIXES.values()))


class FileKey(NamedTuple):
    """Where a record goes."""

    file: str
    """The finished file, relative to the base, with `/`."""
    until: int | None
    """The moment at which the name changes, ns; None: it never does."""
    symbol: str | None = None
    """The only symbol in it, where each has files of its own."""


def encode_component(text: str) -> str:
    """Foreign text as a part of a file name: one text, one name, which no system takes for anything else.

    All but letters, digits, `.` and `-` becomes `%XX` (so `_` is free to mark names that Windows reserves), as do dots
    at the ends. What is longer than 100 bytes is cut and carries its hash.
    """
    encoded = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], text.encode("utf-8", "surrogateescape")).decode()
    if encoded.startswith("."):
        encoded = "%2E" + encoded[1:]
    if encoded.endswith("."):
        encoded = encoded[:-1] + "%2E"
    if not encoded or _RESERVED.fullmatch(encoded):
        encoded = "_" + encoded
    return _shortened(encoded, text, LONGEST_VALUE)


class PathTemplate:
    """What `--to` says. `text` is a folder, or a template if it has a `{`; `format` and `compression` give its end.

    Raises UsageError for a placeholder that does not exist or cannot be filled, and for ends that contradict.
    """

    def __init__(self, text: str, *, format: str, compression: str = "none") -> None:  # noqa: A002 - the field's word
        if not text or "\0" in text:
            raise UsageError("--to names no folder", hint="Write --to data, or --to 'data/{symbol}/{date}.jsonl'.")
        self._format = format
        parts = text.replace("\\", "/").split("/") if _windows(text) else text.split("/")
        if "{" not in text and "}" not in text:
            _no_file(text)
            parts = [*parts, *(_DEFAULT_RAW if format == "raw" else _DEFAULT).split("/")]
        first = next((at for at, part in enumerate(parts) if "{" in part or "}" in part), len(parts) - 1)
        first = min(first, len(parts) - 1)
        self.base = Path("/".join(parts[:first]) or ("/" if text.startswith("/") else "."))
        """The longest leading folder without a placeholder: where the lock and the manifest are."""
        self._parts = parts[first:]
        _check_folders(self._parts)
        self._parts[-1] = _ended(self._parts[-1], format, compression)
        self.text = str(PurePosixPath(self.base.as_posix(), *self._parts))
        """The whole template, with its end."""
        self.fields = frozenset(_PLACEHOLDER.findall("/".join(self._parts)))
        """The placeholders in it."""
        self._check()
        self._time_fields = {name: form for name, form in _TIMES.items() if name in self.fields}
        self.period_ns: int | None = None
        """Names can change only at multiples of this, ns since 1970; None: they do not depend on time."""
        if self._time_fields:
            self.period_ns = _HOUR_NS if "hour" in self.fields else _DAY_NS

    def key(self, ts_ns: int, values: Mapping[str, str]) -> FileKey:
        """The file of a record of this time (`ts_event`, `ts_recv` where that is unknown), ns since 1970.

        `values`: provider, channel, symbol, interval; those that the template uses.
        """
        symbol = values["symbol"] if "symbol" in self.fields else None
        if self.period_ns is None:
            return FileKey(str(self.relative(values)), None, symbol)
        begin = ts_ns - ts_ns % self.period_ns
        moment = time.gmtime(begin // NS_PER_SECOND)
        named = {name: time.strftime(form, moment) for name, form in self._time_fields.items()}
        return FileKey(str(self.relative({**values, **named})), self._end(begin, moment.tm_year, moment.tm_mon), symbol)

    def _end(self, begin: int, year: int, month: int) -> int:
        """When the names of this period are over, ns."""
        if not self._time_fields.keys() & {"month", "year"} or self._time_fields.keys() & {"hour", "date", "day"}:
            return begin + (self.period_ns or 0)
        month = month if "month" in self._time_fields else 12
        return timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0)) * NS_PER_SECOND

    def relative(self, values: Mapping[str, str]) -> PurePosixPath:
        """The finished file, relative to the base. Raises KeyError for a placeholder without a value."""
        encoded = {name: self._value(name, values[name]) for name in self.fields}
        return PurePosixPath(*(_filled(part, encoded) for part in self._parts))

    @staticmethod
    def _value(name: str, value: str) -> str:
        if name == "interval":  # 1M is a month, 1m a minute, and some file systems ignore case
            return re.sub("[A-Z]", lambda match: f"%{ord(match[0]):02X}", encode_component(value))
        encoded = encode_component(value)
        if name == "symbol" and value != value.upper():  # where case is ignored, btc would share the file of BTC
            encoded = f"{encoded}-{_hash(value)}"
        return encoded

    def _check(self) -> None:
        for name in sorted(self.fields - set(PLACEHOLDERS)):
            near = did_you_mean(name, PLACEHOLDERS)
            raise UsageError(
                f"--to: there is no placeholder {shown(name)}",
                hint=f"{near} Placeholders: {', '.join(PLACEHOLDERS)}.".strip(),
            )
        if self._format == "raw" and (foreign := sorted(self.fields & {"symbol", "interval"})):
            raise UsageError(
                f"--to: -o raw cannot fill {{{foreign[0]}}}: its lines are the provider's messages, unread",
                hint="Use {provider}, {channel} and the times.",
            )


def _check_folders(parts: list[str]) -> None:
    for part in parts:
        if part in ("", ".", ".."):
            raise UsageError(
                f"--to: {shown(part)} cannot stand behind a placeholder", hint="End the template with a file name."
            )
        if "{" in _PLACEHOLDER.sub("", part) or "}" in _PLACEHOLDER.sub("", part):
            raise UsageError(f"--to: a brace is open in {shown(part)}", hint="Write placeholders as {symbol}.")


def _windows(text: str) -> bool:
    return re.match(r"[A-Za-z]:\\|\\\\", text) is not None


def _no_file(text: str) -> None:
    """A folder called out.jsonl is never meant."""
    name = PurePosixPath(text).name
    if name.endswith(_KNOWN_ENDS) and not Path(text).is_dir():
        raise UsageError(
            f"--to takes a folder or a template, and {shown(name)} looks like a file",
            hint="Captured files are rotated, so they need a name for each day: --to 'data/{symbol}/{date}.jsonl'.",
        )


def _ended(name: str, form: str, compression: str) -> str:
    """The last part of a template with the extension of its format and compression."""
    suffix = "" if form == "parquet" else SUFFIXES[compression]
    bare = name
    for method, end in SUFFIXES.items():
        if end and name.endswith(end):
            if end != suffix:
                raise UsageError(f"--to ends in {end}", hint=f"Add --compress {method}, or leave {end} out.")
            bare = name.removesuffix(end)
    extension = EXTENSIONS[form]
    found = next((end for end in _KNOWN_ENDS if bare.endswith(end)), "")
    if not found:
        bare += extension
    elif (found in {".parquet", ".csv"} or form in ("parquet", "csv")) and found != extension:
        raise UsageError(f"--to ends in {found}, and the format is {form}", hint=f"Use -o {found[1:]}, or {extension}.")
    return bare + suffix


def _filled(part: str, values: Mapping[str, str]) -> str:
    name = _PLACEHOLDER.sub(lambda match: values[match[1]], part)
    if _RESERVED.fullmatch(name):
        name = "_" + name
    if len(name.encode()) <= LONGEST_NAME:
        return name
    end = next((name[at:] for at in range(len(name) - 12, len(name)) if name[at] == "."), "")
    return _shortened(name.removesuffix(end), name, LONGEST_NAME - len(end)) + end


def _shortened(encoded: str, text: str, most: int) -> str:
    if len(encoded.encode()) <= most:
        return encoded
    return encoded.encode()[: most - 17].decode("utf-8", "ignore").rstrip("%.") + "-" + _hash(text, 16)


def _hash(text: str, digits: int = 6) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
