"""Frames and messages that a server should never send. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tickstream.session.frames import BINARY, CONTINUATION, PING, TEXT, encode_frame
from tickstream.simulator.tickatlas import Flood, Outgoing, Raw, message

GIB = 2**30
PINGS = 10_000
DEPTH = 100_000
DIGITS = 5_000

NASTY = "\x1b[31mred\x1b[0m\x07 [bold]markup[/bold] \u202eltr\u202c\r\nforged line\x00\x9b2J"
"""What no terminal may see: escapes, a bell, Rich markup, bidi overrides, a line break, NUL, a C1 control."""

_QUOTE: dict[str, object] = {
    "symbol": "EURUSD",
    "time": "2026-06-24T14:54:00Z",
    "open": 1.5,
    "high": 1.5,
    "low": 1.5,
    "close": 1.5,
    "bid": 1.5,
    "ask": 1.75,
    "spread": 12,
    "volume": 7,
}


def _text(payload: bytes) -> Raw:
    return Raw(encode_frame(TEXT, payload))


def _quote(symbol: str, without: str = "", **changed: object) -> Raw:
    fields = _QUOTE | {"symbol": symbol} | changed
    fields.pop(without, None)
    return _text(message("quote", data=fields))


def _quote_with(symbol: str, price: bytes) -> Raw:
    """A quote whose close is these bytes, JSON or not."""
    whole = message("quote", data=_QUOTE | {"symbol": symbol})
    return _text(whole.replace(b'"close":1.5', b'"close":' + price))


def _filler(first: bytes, chunk: bytes, count: int | None) -> Iterator[bytes]:
    yield first
    while count is None or count > 0:
        yield chunk
        count = None if count is None else count - 1
    while True:
        yield encode_frame(PING, b"")


def _huge_frame(_symbol: str) -> list[Outgoing]:
    header = bytes((0x80 | TEXT, 127)) + GIB.to_bytes(8, "big")
    return [Flood(_filler(header, b" " * 65536, GIB // 65536))]


def _endless_fragments(_symbol: str) -> list[Outgoing]:
    first = encode_frame(TEXT, b'{"type":"', fin=False)
    return [Flood(_filler(first, encode_frame(CONTINUATION, b"a" * 4096, fin=False) * 16, None))]


def _header(first: int, payload: bytes) -> Raw:
    return Raw(bytes((first, len(payload))) + payload)


_HEARTBEAT = message("heartbeat")

BAD_BYTES: dict[str, Callable[[str], list[Outgoing]]] = {
    "unknown-code": lambda _: [_text(message("error", code="solar_flare", message="Please stand by"))],
    "ping-flood": lambda _: [Raw(b"".join(encode_frame(PING, number.to_bytes(4, "big")) for number in range(PINGS)))],
    "bad-utf8": lambda _: [_text(b'{"type":"quote","data":{"symbol":"EUR\xff\xfeUSD"}}')],
    "binary": lambda _: [Raw(encode_frame(BINARY, _HEARTBEAT))],
    "empty": lambda _: [_text(b"")],
    "huge-frame": _huge_frame,
    "endless-fragments": _endless_fragments,
    "rsv": lambda _: [_header(0xC0 | TEXT, _HEARTBEAT)],
    "bad-opcode": lambda _: [_header(0x83, b"")],
    "big-ping": lambda _: [Raw(bytes((0x80 | PING, 126, 0, 126)) + b"p" * 126)],
    "masked": lambda _: [Raw(encode_frame(TEXT, _HEARTBEAT, mask=b"mask"))],
    "bad-json": lambda _: [_text(b'{"type":"quote","data":{"symbol":"EURUSD","open":1.')],
    "wrong-type": lambda symbol: [_quote(symbol, open={}), _quote(symbol, close="about one"), _quote(symbol, bid=True)],
    "nan": lambda symbol: [_quote_with(symbol, price) for price in (b"NaN", b"Infinity", b"1e999")],
    "huge-number": lambda symbol: [_quote_with(symbol, b"1" * DIGITS)],
    "deep": lambda _: [_text(b'{"type":"quote","data":' + b"[" * DEPTH + b"]" * DEPTH + b"}")],
    "array": lambda _: [_text(msgspec.json.encode([{"type": "heartbeat"}, {"type": "heartbeat"}]))],
    "unknown-type": lambda _: [_text(message("auction", state="open"))],
    "missing-field": lambda symbol: [_quote(symbol, without=name) for name in ("symbol", "time", "close")],
    "control-chars": lambda _: [_quote(NASTY), _text(message("error", code=NASTY, message=NASTY))],
    "unrequested-symbol": lambda _: [_quote("NOTASKED")],
}
"""Fault -> what is sent; the argument is a symbol that is subscribed."""


def fragmented(payload: bytes) -> bytes:
    """A text message in three frames with a ping after each of the first two."""
    third = max(1, len(payload) // 3)
    ping = encode_frame(PING, b"between")
    return b"".join(
        (
            encode_frame(TEXT, payload[:third], fin=False),
            ping,
            encode_frame(CONTINUATION, payload[third : 2 * third], fin=False),
            ping,
            encode_frame(CONTINUATION, payload[2 * third :]),
        )
    )


def payload_of(frame: bytes) -> bytes:
    """The payload of a whole unmasked frame of less than 64 KiB."""
    return frame[4:] if frame[1] == 126 else frame[2:]
