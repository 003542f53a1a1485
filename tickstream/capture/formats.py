"""What a file holds, told by its first bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Literal, Protocol

import msgspec

from tickstream import providers
from tickstream.capture.cells import CellTimes
from tickstream.capture.chunks import BadLine
from tickstream.capture.csv_rows import CsvRows
from tickstream.capture.finding import format_suffix
from tickstream.capture.foreign import ForeignColumns, ForeignLines, foreign_table, is_ours, optional_fields
from tickstream.capture.json_lines import JsonLines
from tickstream.capture.lines import Stretch, numbered
from tickstream.capture.raw_lines import RawLines
from tickstream.capture.table import Table
from tickstream.capture.values import NANOSECONDS_FROM
from tickstream.errors import UsageError
from tickstream.events import EVENT_TYPES, Event
from tickstream.sinks.encoders import TimeFormat
from tickstream.sinks.fields import csv_fields

Recorded = Callable[[], str | None]
Format = Literal["jsonl", "csv", "raw", "parquet"]

LOOKED_AT = 20
"""Lines at the beginning that are looked at: the first ones may be damaged."""
_SEPARATORS = (b",", b";", b"\t", b"|")


class LineDecoder(Protocol):
    """What makes events of the lines of one file."""

    def decode(self, stretch: Stretch) -> tuple[list[Event], list[BadLine]]:
        """The events that are whole, and the lines that are none."""
        ...

    def finish(self) -> tuple[list[Event], list[BadLine]]:
        """What was held back until the end of the file."""
        ...


class Opened(msgspec.Struct, frozen=True):
    """How a file is read. `time` is how its moments are written, None where that is not one of our ways."""

    format: Format
    decoder: LineDecoder
    time: TimeFormat | None = None


def open_lines(
    path: str, first: Stretch, foreign: ForeignColumns, provider: str | None, recorded: Recorded = lambda: None
) -> Opened:
    """How to read a file of lines that begins like this. `recorded` is asked whose raw lines these were recorded as.

    Raises UsageError when it does not say enough about itself, and neither `foreign` nor `provider` does.
    """
    lines = [line for _, line in islice(numbered(first), LOOKED_AT)]
    named = format_suffix(path)
    json = named == ".jsonl" or (named != ".csv" and any(line.lstrip()[:1] == b"{" for line in lines))
    if json or not lines or _separator(lines[0]) is None:
        return _open_json(path, lines, foreign, lambda: _provider(path, provider or recorded()))
    return _open_csv(path, lines, foreign)


# --- JSON ------------------------------------------------------------------------------------------------------------

_any_object = msgspec.json.Decoder(dict[str, Any])


def _open_json(path: str, lines: list[bytes], foreign: ForeignColumns, provider: Callable[[], str]) -> Opened:
    objects = [one for line in lines if (one := _object(line)) is not None]
    for one in objects:
        if is_ours(one.get("type"), tuple(one)):
            return Opened("jsonl", JsonLines(path), time_format(one.get("ts_recv", one.get("to"))))
        if "ts_recv" in one and ("payload" in one or "payload_base64" in one):
            return Opened("raw", RawLines(path, providers.load(provider()), bare=False))
    if not objects or (not foreign and any(one.get("type") in EVENT_TYPES and "provider" in one for one in objects)):
        return Opened("jsonl", JsonLines(path))
    if not foreign:
        return Opened("raw", RawLines(path, providers.load(provider()), bare=True))
    there = tuple(dict.fromkeys(name for one in objects for name in one))
    names = tuple(dict.fromkeys((*there, *foreign.columns.values(), *optional_fields())))
    foreign_table(path, there, foreign, fixed=False)  # says what is missing, by the names that are there
    return Opened("jsonl", ForeignLines(path, names, foreign_table(path, names, foreign)))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        return _any_object.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _provider(path: str, said: str | None) -> str:
    """Whose messages they are: said by the user, by the path (as `{provider}/raw/...`), or the only one there is."""
    known = providers.names()
    by_path = [part for part in reversed(path.replace("\\", "/").split("/")) if part in known]
    found = said or next(iter(by_path), None) or (known[0] if len(known) == 1 else None)
    if found is None:
        raise UsageError(
            f"{path}: whose messages these are is not known.", hint=f"Add --provider with one of: {', '.join(known)}."
        )
    return found


# --- CSV -------------------------------------------------------------------------------------------------------------


def _open_csv(path: str, lines: list[bytes], foreign: ForeignColumns) -> Opened:
    header = lines[0]
    separator = _separator(header) or b","
    names = [
        name.strip().strip('"') for name in header.decode("utf-8", "replace").strip("\r\n").split(separator.decode())
    ]
    if len(set(names)) < len(names):
        raise UsageError(f"{path}: two columns have the same name.")
    ours = {"type", "provider", "symbol", "ts_event", "ts_recv"} <= set(names) <= set(csv_fields())
    if ours and separator == b",":
        table = Table({name: place for place, name in enumerate(names)}, len(names), CellTimes())
        time = time_format(_cell_value(lines, names.index("ts_recv")))
        return Opened("csv", CsvRows(path, header, separator, table, ends=True), time)
    if not foreign:
        raise UsageError(
            f"{path}: its columns are not those that tickstream writes ({', '.join(names[:8])}).",
            hint="Say what they are, as in --columns ts_event=time,price=px --type trade --symbol BTCUSD.",
        )
    table = foreign_table(path, names, foreign)
    return Opened("csv", CsvRows(path, header, separator, table, ends=False))


def _separator(header: bytes) -> bytes | None:
    """What stands between the names of a header; None where nothing does."""
    best = max(_SEPARATORS, key=header.count)
    return best if best in header else None


def _cell_value(lines: Sequence[bytes], place: int) -> object:
    for line in lines[1:]:
        cells = line.split(b",")
        if len(cells) > place:
            text = cells[place].decode(errors="replace")
            return int(text) if text.isdigit() and text.isascii() else text
    return None


def time_format(written: object) -> TimeFormat | None:
    """How tickstream wrote this moment."""
    if isinstance(written, str):
        return "iso"
    if isinstance(written, int):
        return "ns" if written >= NANOSECONDS_FROM else "us"
    return None
