"""Frames and messages that a server should never send. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tickstream.session.frames import BINARY, CONTINUATION, PING, TEXT, encode_frame
from tickstream.simulator.outgoing import Flood, Outgoing, Raw
from tickstream.simulator.sample import Sample

GIB = 2**30
PINGS = 10_000
DEPTH = 100_000
DIGITS = 5_000

NASTY = "\x1b[31mred\x1b[0m\x07 [bold]markup[/bold] \u202eltr\u202c\r\nforged line\x00\x9b2J"
"""What no terminal may see: escapes, a bell, Rich markup, bidi overrides, a line break, NUL, a C1 control."""


def _text(payload: bytes) -> Raw:
    return Raw(encode_frame(TEXT, payload))


def _filler(first: bytes, chunk: bytes, count: int | None) -> Iterator[bytes]:
    yield first
    while count is None or count > 0:
        yield chunk
        count = None if count is None else count - 1
    while True:
        yield encode_frame(PING, b"")


def _header(first: int, payload: bytes) -> Raw:
    return Raw(bytes((first, len(payload))) + payload)


def _pings(_sample: Sample, _symbol: str) -> list[Outgoing]:
    return [Raw(b"".join(encode_frame(PING, number.to_bytes(4, "big")) for number in range(PINGS)))]


def _huge_frame(_sample: Sample, _symbol: str) -> list[Outgoing]:
    header = bytes((0x80 | TEXT, 127)) + GIB.to_bytes(8, "big")
    return [Flood(_filler(header, b" " * 65536, GIB // 65536))]


def _endless_fragments(_sample: Sample, _symbol: str) -> list[Outgoing]:
    first = encode_frame(TEXT, b'{"type":"', fin=False)
    return [Flood(_filler(first, encode_frame(CONTINUATION, b"a" * 4096, fin=False) * 16, None))]


def _no_utf8(sample: Sample, symbol: str) -> Raw:
    return _text(sample.spoiled(symbol, sample.symbol, "EUR?USD").replace(b"EUR?USD", b"EUR\xff\xfeUSD"))


def _half(sample: Sample, symbol: str) -> Raw:
    whole = msgspec.json.encode(sample.data(symbol))
    return _text(whole[: len(whole) // 2])


def _deep(sample: Sample, symbol: str) -> Raw:
    nested = msgspec.Raw(b"[" * DEPTH + b"]" * DEPTH)
    return _text(sample.spoiled(symbol, sample.symbol[:1], nested))


def _wrong_types(sample: Sample, symbol: str) -> list[Outgoing]:
    values: tuple[object, ...] = ({}, "about one", True)
    return [_text(sample.spoiled(symbol, path, value)) for path, value in zip(sample.prices, values, strict=True)]


def _with_price(sample: Sample, symbol: str, price: bytes) -> Raw:
    """Data with these bytes for a price, JSON or not."""
    return _text(sample.spoiled(symbol, sample.prices[1], msgspec.Raw(price)))


def _missing_fields(sample: Sample, symbol: str) -> list[Outgoing]:
    return [_text(sample.lacking(symbol, path)) for path in (sample.symbol, sample.time, sample.prices[1])]


def _nasty(sample: Sample, symbol: str) -> list[Outgoing]:
    return [_text(sample.spoiled(symbol, sample.symbol, NASTY)), _text(sample.error(NASTY, NASTY))]


BAD_BYTES: dict[str, Callable[[Sample, str], list[Outgoing]]] = {
    "unknown-code": lambda sample, _: [_text(sample.error("solar_flare", "Please stand by"))],
    "ping-flood": _pings,
    "bad-utf8": lambda sample, symbol: [_no_utf8(sample, symbol)],
    "binary": lambda sample, _: [Raw(encode_frame(BINARY, sample.harmless))],
    "empty": lambda _sample, _: [_text(b"")],
    "huge-frame": _huge_frame,
    "endless-fragments": _endless_fragments,
    "rsv": lambda sample, _: [_header(0xC0 | TEXT, sample.harmless)],
    "bad-opcode": lambda _sample, _: [_header(0x83, b"")],
    "big-ping": lambda _sample, _: [Raw(bytes((0x80 | PING, 126, 0, 126)) + b"p" * 126)],
    "masked": lambda sample, _: [Raw(encode_frame(TEXT, sample.harmless, mask=b"mask"))],
    "bad-json": lambda sample, symbol: [_half(sample, symbol)],
    "wrong-type": _wrong_types,
    "nan": lambda sample, symbol: [_with_price(sample, symbol, text) for text in (b"NaN", b"Infinity", b"1e999")],
    "huge-number": lambda sample, symbol: [_with_price(sample, symbol, b"1" * DIGITS)],
    "deep": lambda sample, symbol: [_deep(sample, symbol)],
    "array": lambda sample, _: [_text(b"[" + sample.harmless + b"," + sample.harmless + b"]")],
    "unknown-type": lambda sample, _: [_text(sample.strange)],
    "missing-field": _missing_fields,
    "control-chars": _nasty,
    "unrequested-symbol": lambda sample, _: [_text(msgspec.json.encode(sample.data("NOTASKED")))],
}
"""Fault -> what is sent; the arguments are messages of the provider, and a symbol that is subscribed."""


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
    """The payload of a whole unmasked frame."""
    size = frame[1]
    return frame[{126: 4, 127: 10}.get(size, 2) :]
