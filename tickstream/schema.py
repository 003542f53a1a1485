"""JSON Schema (2020-12) of the events as they are written, made from the event classes themselves. Pure.

What is always written is required; what is left out when it is unknown is not, and is never null. `description` is the
class's docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any, Literal

from tickstream.events import EVENT_TYPES, Event, MarketEvent
from tickstream.timestamps import Timestamp

DIALECT = "https://json-schema.org/draft/2020-12/schema"

TIMES: Mapping[str, Mapping[str, Any]] = {
    "iso": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$",
        "description": "UTC",
    },
    "us": {"type": "integer", "minimum": 0, "description": "microseconds since 1970 UTC"},
    "ns": {"type": "integer", "minimum": 0, "description": "nanoseconds since 1970 UTC"},
}
"""A moment, as `--time` says."""

TimeFormat = Literal["iso", "us", "ns"]

_NAMES = {
    "NoneType": "null",
    "BoolType": "boolean",
    "IntType": "integer",
    "FloatType": "number",
    "RawType": "number",  # nothing but a Number is ever Raw in an event
    "StrType": "string",
}
"""What msgspec calls a type -> what JSON Schema calls it."""


def schema_of(kind: type[Event], time: TimeFormat = "iso", fields: Collection[str] | None = None) -> dict[str, Any]:
    """The schema of one event's line. `fields`: what `--fields` leaves of a market event."""
    from msgspec.inspect import StructType, type_info

    info = type_info(kind)
    assert isinstance(info, StructType)
    tag = kind.__struct_config__.tag
    properties: dict[str, Any] = {"type": {"const": tag}}
    required = ["type"]
    for field in info.fields:
        properties[field.encode_name] = _schema(field.type, time, nullable=field.required)
        if field.required:
            required.append(field.encode_name)
    if fields is not None and issubclass(kind, MarketEvent):
        properties = {name: properties[name] for name in fields if name in properties}
        required = [name for name in properties if name in required]
    return {
        "title": tag,
        "description": inspect.getdoc(kind),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def schema_of_all(time: TimeFormat = "iso", fields: Collection[str] | None = None) -> dict[str, Any]:
    """The schema of any line: one of the events, each of them in `$defs` under its name."""
    return {
        "$schema": DIALECT,
        "title": "tickstream event",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in EVENT_TYPES],
        "$defs": {name: schema_of(kind, time, fields) for name, kind in EVENT_TYPES.items()},
    }


def _schema(kind: Any, time: TimeFormat, *, nullable: bool = True) -> dict[str, Any]:
    """The schema of a value. Not `nullable`: where it would be null, it is not written at all."""
    from msgspec import inspect as types

    made: dict[str, Any] = {}
    match kind:
        case types.UnionType(types=parts):
            some = [_schema(part, time) for part in parts if nullable or not isinstance(part, types.NoneType)]
            made = some[0] if len(some) == 1 else {"anyOf": some}
        case types.LiteralType(values=values):
            made = {"enum": list(values)}
        case types.VarTupleType(item_type=item):
            made = {"type": "array", "items": _schema(item, time)}
        case types.TupleType(item_types=items):
            each = [_schema(item, time) for item in items]
            made = {"type": "array", "prefixItems": each, "items": False, "minItems": len(each)}
        case types.CustomType(cls=cls) if cls is Timestamp:
            made = dict(TIMES[time])
        case _ if type(kind).__name__ in _NAMES:
            made = {"type": _NAMES[type(kind).__name__]}
        case _:
            raise TypeError(f"an event has a field of a type that has no JSON form: {kind}")
    return made
