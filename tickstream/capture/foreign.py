"""Files that tickstream did not write, once somebody says what their columns are: CSV, and lines of JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tickstream.capture.chunks import QUOTED_BYTES, BadLine
from tickstream.capture.lines import Stretch, numbered
from tickstream.capture.table import Table
from tickstream.capture.values import UNDECODABLE, Times
from tickstream.errors import UsageError
from tickstream.events import EVENT_TYPES, Bar, Event, Quote, Trade, wire_fields
from tickstream.suggestions import did_you_mean, shown
from tickstream.timestamps import NS_PER_SECOND, Timestamp, from_epoch, parse_rfc3339

KINDS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in (Bar, Quote, Trade)}
"""What a foreign file may hold."""

UNKNOWN_PROVIDER = "unknown"
_EPOCH = re.compile(r"\d{1,19}(\.\d*)?", re.ASCII)
_UNITS = ((10**11, NS_PER_SECOND), (10**14, 1_000_000), (10**17, 1000))
"""Counts below the first are of the second: seconds until the year 5138, milliseconds from 1973 on, and so on."""


class ForeignColumns(msgspec.Struct, frozen=True, kw_only=True):
    """What the user says about a file that tickstream did not write.

    `columns`: field -> the file's own name for it; a field that is not named is the column of its own name, if there is
    one. `type` is bar, quote or trade; `symbol`, `interval` and `provider` are those of every row. Where a file has no
    time of receipt, `ts_recv` is `ts_event`.
    """

    columns: Mapping[str, str] = {}
    type: str | None = None
    symbol: str | None = None
    interval: str | None = None
    provider: str | None = None

    def __post_init__(self) -> None:
        if self.type is not None and self.type not in KINDS:
            raise UsageError(
                f"--type: {shown(self.type)} is none of {', '.join(KINDS)}.",
                hint=did_you_mean(self.type, KINDS) or "It says what each row is.",
            )
        known = tuple(dict.fromkeys(name for kind in KINDS.values() for name in wire_fields(kind)))
        for name in self.columns:
            if name not in known:
                raise UsageError(
                    f"--columns: there is no field {shown(name)}.",
                    hint=f"{did_you_mean(name, known)} Fields: {', '.join(known)}.".strip(),
                )

    def __bool__(self) -> bool:
        """True when anything is said of columns; a provider alone may be that of raw lines."""
        return bool(self.columns) or any((self.type, self.symbol, self.interval))


def parse_columns(text: str) -> dict[str, str]:
    """`ts_event=time,price=px` as field -> column. Raises UsageError."""
    columns: dict[str, str] = {}
    for part in text.split(","):
        name, equals, theirs = (one.strip() for one in part.partition("="))
        if not (name and equals and theirs):
            raise UsageError(
                f"--columns: {shown(part)} is not FIELD=COLUMN.", hint="Write --columns ts_event=time,price=px."
            )
        if name in columns:
            raise UsageError(f"--columns names {name} twice.")
        columns[name] = theirs
    return columns


class ForeignTimes(Times):
    """Moments in RFC 3339 or ISO 8601, or as counts since 1970, of which the first says of which unit all are."""

    def __init__(self) -> None:
        super().__init__()
        self._unit_ns: int | None = None

    def parse(self, written: Any) -> Timestamp:
        text = bytes(written).decode().strip()
        if _EPOCH.fullmatch(text) is None:
            if len(text) > 10 and text[4:5] in ("/", "."):  # 2026.06.24 14:54, as MetaTrader writes it
                text = text[:10].replace(text[4], "-") + text[10:]
            return parse_rfc3339(text)
        if self._unit_ns is None:
            whole = int(text.partition(".")[0])
            self._unit_ns = next((unit for below, unit in _UNITS if whole < below), 1)
        return from_epoch(text.removesuffix("."), self._unit_ns)


def foreign_table(path: str, names: Sequence[str], foreign: ForeignColumns, *, fixed: bool = True) -> Table:
    """The table of a file with columns of these names.

    `fixed`: there are no others; otherwise one that is missing here may be in later rows. Raises UsageError when
    something is missing that every event has.
    """
    kind = KINDS[foreign.type] if foreign.type else None
    places = {name: place for place, name in enumerate(names)}
    for name, theirs in foreign.columns.items():
        if theirs not in places and fixed:
            raise UsageError(
                f"{path}: there is no column {shown(theirs)} for {name}.",
                hint=f"{did_you_mean(theirs, names)} Its columns: {', '.join(map(shown, names))}.".strip(),
            )
    constants = {"symbol": foreign.symbol, "interval": foreign.interval, "provider": foreign.provider}
    said = {name: value for name, value in constants.items() if value is not None}
    wanted = wire_fields(kind) if kind else dict.fromkeys(one for each in KINDS.values() for one in wire_fields(each))
    fields = {name: foreign.columns.get(name, name) for name in wanted if name not in said}
    there = {name: places[theirs] for name, theirs in fields.items() if theirs in places}
    if "ts_recv" not in there and "ts_event" in there:
        there["ts_recv"] = there["ts_event"]
    said.setdefault("provider", UNKNOWN_PROVIDER)
    _require(path, kind, names, {*there, *said})
    return Table(there, len(names), ForeignTimes(), kind, said, guarded=False)


def _require(path: str, kind: type[Event] | None, names: Sequence[str], there: set[str]) -> None:
    """Raises UsageError unless every field that has to be there is."""
    if kind is None and "type" not in there:
        raise UsageError(
            f"{path}: nothing says what its rows are.", hint="Add --type bar, --type quote or --type trade."
        )
    kinds = [kind] if kind else list(KINDS.values())
    required = [
        {one.encode_name for one in msgspec.structs.fields(each) if one.required} - {"ts_event"} for each in kinds
    ]
    missing = [name for name in wire_fields(kinds[0]) if all(name in each - there for each in required)]
    if missing == ["symbol"]:
        raise UsageError(f"{path}: no column says the symbol.", hint="Add --symbol EURUSD, or name it in --columns.")
    if missing == ["interval"]:
        raise UsageError(f"{path}: no column says how long a bar is.", hint="Add --interval 1m.")
    if missing:
        one = "ts_event" if missing[0] == "ts_recv" else missing[0]
        raise UsageError(
            f"{path}: there is no column for {', '.join(missing)}.",
            hint=f"Name it as in --columns {one}=NAME. The columns: {', '.join(map(shown, names))}.",
        )


_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ForeignLines:
    """Decodes JSON objects, one a line, whose names `--columns` explains."""

    def __init__(self, path: str, names: Sequence[str], table: Table) -> None:
        self._path = path
        self._names = tuple(names)
        self._table = table

    def decode(self, stretch: Stretch) -> tuple[list[Event], list[BadLine]]:
        """The events of these lines, and the lines that are none."""
        try:
            objects = _objects.decode_lines(stretch.data)
            if len(objects) == stretch.data.count(b"\n") + (not stretch.ended):
                return self._events(objects), []
        except UNDECODABLE:
            pass
        events: list[Event] = []
        bad: list[BadLine] = []
        for number, line in numbered(stretch):
            try:
                events += self._events([_objects.decode(line)])
            except UNDECODABLE as error:
                bad.append(BadLine(self._path, number, str(error), line[:QUOTED_BYTES]))
        return events, bad

    def finish(self) -> tuple[list[Event], list[BadLine]]:
        """Nothing is held back."""
        return self._table.flush(), []

    def _events(self, objects: list[dict[str, msgspec.Raw]]) -> list[Event]:
        cells = [[_cell(one.get(name)) for one in objects] for name in self._names]
        return self._table.events(cells, len(objects))


def _cell(value: msgspec.Raw | None) -> bytes:
    """A JSON value as the text of a cell: null is empty, and a text has no quotes."""
    raw = b"" if value is None else bytes(value)
    if raw == b"null":
        return b""
    return str(msgspec.json.decode(raw)).encode("utf-8", "surrogatepass") if raw[:1] == b'"' else raw


def optional_fields() -> tuple[str, ...]:
    """The fields that not every row needs to have, so that they may be there only later."""
    kinds = KINDS.values()
    return tuple(one.encode_name for kind in kinds for one in msgspec.structs.fields(kind) if not one.required)


def is_ours(tag: object, fields: Sequence[str]) -> bool:
    """Whether an object or a row with these fields is, by its names, an event that tickstream wrote."""
    kind = EVENT_TYPES.get(tag) if isinstance(tag, str) else None
    required = {one.encode_name for one in msgspec.structs.fields(kind) if one.required} if kind else {""}
    return required <= set(fields)
