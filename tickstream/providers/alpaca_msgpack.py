"""Alpaca's MessagePack, turned into the JSON that it means, and back. Pure.

Wire facts: docs.alpaca.markets, "Streaming Market Data": with `Content-Type: application/msgpack` in the upgrade both
sides send binary messages, and times are the timestamp extension (-1). github msgpack/msgpack, spec.md: its three
forms. A binary float has no digits of its own: it gets the fewest that mean the same one, so 126.550 comes as 126.55.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec

from tickstream.timestamps import NS_PER_SECOND, rfc3339

CONTENT_TYPE: Final = "application/msgpack"
TIMES: Final = frozenset({"t", "created_at", "updated_at"})
"""Fields that are timestamps, on the server's way out."""

_FIX_MAPS, _FIX_ARRAYS, _MAPS, _ARRAYS = range(0x80, 0x90), range(0x90, 0xA0), (0xDE, 0xDF), (0xDC, 0xDD)
_FLOAT32 = 0xCA
_TIMESTAMPS = {b"\xd6\xff": 2, b"\xd7\xff": 2, b"\xc7\x0c\xff": 3}
"""How a timestamp begins -> so many bytes before its own."""
_LAST_S = 253_402_300_799
"""9999-12-31T23:59:59Z."""
_DIGITS_OF_FLOAT32 = range(6, 10)
"""Six are always kept by one, nine always tell two apart."""


def _unknown_extension(code: int, _data: memoryview) -> Any:
    raise ValueError(f"an extension of MessagePack that is no timestamp: {code}")


_map = msgspec.msgpack.Decoder(dict[str, msgspec.Raw])
_array = msgspec.msgpack.Decoder(list[msgspec.Raw])
_any = msgspec.msgpack.Decoder(ext_hook=_unknown_extension)


def json_of(packed: bytes) -> bytes:
    """The JSON of a MessagePack value. Raises msgspec.MsgspecError, RecursionError or ValueError for what is none."""
    first = packed[0] if packed else 0xC1  # which no value begins with
    if first in _FIX_MAPS or first in _MAPS:
        entries = (msgspec.json.encode(key) + b":" + json_of(bytes(one)) for key, one in _map.decode(packed).items())
        return b"{" + b",".join(entries) + b"}"
    if first in _FIX_ARRAYS or first in _ARRAYS:
        return b"[" + b",".join(json_of(bytes(one)) for one in _array.decode(packed)) + b"]"
    for start, head in _TIMESTAMPS.items():
        if packed.startswith(start):
            return b'"%s"' % time_text(_nanoseconds(packed[head:])).encode()
    value = _any.decode(packed)
    return _shortest(value) if first == _FLOAT32 else msgspec.json.encode(value)


def packed_of(value: Any, times: frozenset[str] = frozenset()) -> bytes:
    """The MessagePack of a decoded JSON value; texts in these fields of objects are RFC 3339 and become timestamps."""
    return msgspec.msgpack.encode(_with_times(value, times))


def time_text(ts_ns: int) -> str:
    """RFC 3339 with nanoseconds, without their last zeros."""
    below = f"{ts_ns % NS_PER_SECOND:09}".rstrip("0")
    return f"{rfc3339(ts_ns)[:19]}{'.' if below else ''}{below}Z"


def _nanoseconds(data: bytes) -> int:
    """Since 1970, out of the 4, 8 or 12 bytes of a timestamp. Raises ValueError."""
    below, seconds = 0, int.from_bytes(data, "big")
    if len(data) == 8:
        below, seconds = seconds >> 34, seconds & (1 << 34) - 1
    elif len(data) == 12:
        below, seconds = struct.unpack(">Iq", data)
    elif len(data) != 4:
        raise ValueError("a timestamp of a length that there is not")
    if below >= NS_PER_SECOND or not 0 <= seconds <= _LAST_S:
        raise ValueError("a timestamp out of range")
    return seconds * NS_PER_SECOND + below


def _shortest(value: float) -> bytes:
    """The fewest digits that mean the same float of four bytes."""
    same = struct.pack(">f", value)
    shorter = (float(f"{value:.{digits}g}") for digits in _DIGITS_OF_FLOAT32)
    return msgspec.json.encode(next((one for one in shorter if struct.pack(">f", one) == same), value))


def _with_times(value: Any, times: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_with_times(one, times) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _timestamp(one) if key in times and isinstance(one, str) else _with_times(one, times)
        for key, one in value.items()
    }


def _timestamp(text: str) -> msgspec.msgpack.Ext | str:
    from tickstream.timestamps import parse_rfc3339

    try:
        seconds, below = divmod(parse_rfc3339(text), NS_PER_SECOND)
    except ValueError:  # a fault wants it so
        return text
    return msgspec.msgpack.Ext(-1, struct.pack(">Iq", below, seconds))
