"""The columns of a Parquet file: what each holds, and what fits into it. Pure.

A market event is a row; its fields are columns, as in CSV (a book event is a row for each of its levels). Two columns
are there for exactness:

* `digits`: how many decimals each number of the row was written with, in the order of the number columns, as
  `5,5,,4`; a number that is absent has none. Numbers are decimal128(38, 18), to which `1.1345` and `1.13450` are one.
* `event`: the whole event as JSON (times in ns), where its columns cannot hold it exactly: events of the stream, a
  number with an exponent, more than 20 digits before the point or 18 behind it, or a signed zero, times after the year
  2262, integers of more than 64 bits. The columns then hold what they can, and `event` is right.

Times are timestamp[ns, UTC], texts that recur are dictionaries. The metadata has `tickstream.schema` (the version of
all this), `tickstream.version`, `tickstream.digits` (the number columns, in their order) and `tickstream.time` (how
times were written where the rows come from).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, get_args, get_origin

import msgspec

from tickstream.capture.kinds import market_kinds, row_kind
from tickstream.capture.values import may_be_number
from tickstream.events import Event
from tickstream.numbers import Number
from tickstream.sinks.fields import union
from tickstream.timestamps import Timestamp

SCHEMA_VERSION = "1"
PRECISION, SCALE = 38, 18
"""Of the decimals: 20 digits before the point, 18 behind it."""

Sort = Literal["number", "time", "integer", "flag", "label", "text"]
"""`label`: a text that recurs."""

DIGITS, EVENT = "digits", "event"
LABELS = frozenset({"type", "provider", "symbol", "interval", "reason", "canonical"})

_FITS = re.compile(rb"(?!-[0.]+$)-?\d{1,20}(?:\.\d{1,18})?")
_PLAIN = b"0123456789.-,"
_TO_ZEROS = bytes.maketrans(b"0123456789.-", b"0" * 12)
_LONG = b"0" * 20
"""A plain number that is shorter has neither too many digits before the point nor behind it."""
_LARGEST = 2**63


def columns_of(kinds: Iterable[type[Event]]) -> dict[str, Sort]:
    """The columns of a file of events of these types, and what each holds; without `digits` and `event`."""
    rows = [row_kind(kind) for kind in market_kinds(kinds)]
    sorts: dict[str, Sort] = {"type": "label"}
    for kind in rows:
        sorts.update({one.encode_name: _sort(one.encode_name, one.type) for one in msgspec.structs.fields(kind)})
    return {name: sorts[name] for name in union(rows)} if rows else sorts


def _sort(name: str, hint: Any) -> Sort:
    if may_be_number(hint):
        return "number"
    [kind] = (part for part in (get_args(hint) if type(None) in get_args(hint) else (hint,)) if part is not type(None))
    if get_origin(kind) is Literal or name in LABELS:
        return "label"
    known: dict[Any, Sort] = {Timestamp: "time", int: "integer", bool: "flag"}
    return known.get(kind, "text")


def fits(value: Number) -> bool:
    """True for a number that a decimal can hold and give back as it was written."""
    return _FITS.fullmatch(bytes(value)) is not None


class Fit:
    """Tells which events of one type (of a book: which of its rows) fit into their columns exactly."""

    def __init__(self, kind: type[Event]) -> None:
        fields = {one.encode_name: _sort(one.encode_name, one.type) for one in msgspec.structs.fields(kind)}
        self._numbers = [name for name, sort in fields.items() if sort == "number"]
        self._integers = [name for name, sort in fields.items() if sort in ("time", "integer")]

    def all(self, columns: Mapping[str, Sequence[Any]]) -> bool:
        """True when all rows of these columns fit beyond doubt; False means only: look at each with `one`."""
        joined = b",".join(filter(None, chain.from_iterable(columns[name] for name in self._numbers)))
        return (
            not joined.translate(None, _PLAIN)
            and b"-0" not in joined
            and _LONG not in joined.translate(_TO_ZEROS)
            and self._integers_fit(columns)
        )

    def one(self, columns: Mapping[str, Sequence[Any]]) -> bool:
        """True when the one row of these columns fits."""
        values = filter(None, chain.from_iterable(columns[name] for name in self._numbers))
        return all(map(fits, values)) and self._integers_fit(columns)

    def _integers_fit(self, columns: Mapping[str, Sequence[Any]]) -> bool:
        for name in self._integers:
            values = [value for value in columns[name] if value is not None]
            if min(values, default=0) < -_LARGEST or max(values, default=0) >= _LARGEST:
                return False
        return True
