"""WebSocket frames out of byte chunks, in batches, and frames into bytes (RFC 6455, no extensions).

Pure: bytes in, messages out. `FrameReader` takes chunks cut anywhere and never raises; what the other side did wrong
comes back as `FrameBatch.error`. Two deliberate deviations, both on the side of keeping data flowing:

* Text that is not UTF-8 is handed out as `bad` and the connection stays, where section 8.1 would close it (code 1007).
* A close reason that is not UTF-8 is shown with replacement characters, because its close code is worth more.

Masked frames from a server are accepted and unmasked (section 5.1 forbids them; they are harmless).
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Sequence

import msgspec

from tickstream.errors import ProtocolViolation
from tickstream.events import Joined

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

MAX_MESSAGE = 8 * 2**20
"""Bytes of one message, all its fragments together, unless the reader is told otherwise."""
MAX_FRAGMENTS = 16_384
"""Fragments of one message: empty ones cost the sender two bytes each, so their number needs a bound of its own."""

_FIN = 0x80
_RSV = 0x70
_MASKED = 0x80
_FIN_TEXT = _FIN | TEXT
_MAX_CONTROL = 125
_BLOCK = 1 << 16
"""Large payloads are unmasked and checked in blocks of this size, so that no copy of the whole is made."""


_FIN_TEXT_BYTE = bytes((_FIN_TEXT,))
_WORTH_CUTTING = 4


class _RestOfHeader(dict[int, bytes]):
    """Size of an unmasked frame without its first byte -> the rest of the header of a frame of that size.

    For payloads of 126 bytes to 64 KiB, whose header is 4 bytes; for all others something that no frame begins with.
    """

    def __missing__(self, size: int) -> bytes:
        length = size - 3
        if not 126 <= length <= 0xFFFF:
            return _FIN_TEXT_BYTE  # not kept, so that there is an end to what is kept
        rest = self[size] = struct.pack("!BH", 126, length)
        return rest


_REST_OF_HEADER = _RestOfHeader()


class Control(msgspec.Struct, frozen=True):
    """A ping (opcode 0x9) or a pong (0xA); the payload of a ping is to be sent back."""

    opcode: int
    payload: bytes


class Close(msgspec.Struct, frozen=True):
    """A close frame. `code` is None when it carried none (what RFC 6455 calls 1005)."""

    code: int | None
    reason: str


class FrameBatch(msgspec.Struct):
    """What one chunk completed. `payloads` are whole data messages in the order received.

    `text` is the first of them joined by newlines, if they were cut apart all at once.
    """

    payloads: list[bytes]
    bad: list[tuple[bytes, str]]
    """Messages that cannot be data, each with the reason; the connection is sound."""
    controls: list[Control]
    close: Close | None = None
    error: ProtocolViolation | None = None
    """The stream is broken from here on; what was complete before it is in this batch."""
    text: bytes = b""
    in_text: int = 0
    """How many of `payloads`, from the first, are in `text`."""
    lines: bool = False
    """None of those has a line break in it."""

    def messages(self) -> Sequence[bytes]:
        """The payloads, with their text if it was made of all of them."""
        if not 0 < self.in_text == len(self.payloads):
            return self.payloads
        return Joined.of(self.payloads, self.text, lines=self.lines)


class FrameReader:
    """Takes a byte stream apart. After a close frame or an error all further bytes are ignored.

    `max_message` is in bytes. `binary` makes binary messages data. `masked` is the server's role: frames must be
    masked then.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE, binary: bool = False, masked: bool = False) -> None:
        self._max_message = max_message
        self._binary = binary
        self._masked = masked
        self._short_limit = min(_MAX_CONTROL, max_message)
        self._long_limit = min(0xFFFF, max_message)
        self._carry = bytearray()
        self._need = 0
        """Bytes that `_carry` must hold before it is worth looking at again."""
        self._message_opcode: int | None = None
        """Opcode of the fragmented message we are inside of."""
        self._message = bytearray()
        self._fragments = 0
        self._over = False

    @property
    def partial(self) -> bool:
        """True inside an unfinished frame or fragmented message."""
        return bool(self._carry) or self.fragmented

    @property
    def fragmented(self) -> bool:
        """True between the first and the last fragment of a message; control frames may come in between."""
        return self._message_opcode is not None

    def feed(self, chunk: bytes) -> FrameBatch:
        """Take the next bytes, cut anywhere; return what they complete. Never raises."""
        batch = FrameBatch([], [], [])
        if self._over:
            return batch
        if self._carry:
            if len(self._carry) + len(chunk) < self._need:
                self._carry += chunk
                return batch
            chunk = b"".join((self._carry, chunk))
            self._carry = bytearray()
        try:
            rest = self._walk(chunk, batch)
        except ProtocolViolation as error:
            batch.error = error
            self._end()
        else:
            self._carry += memoryview(chunk)[rest:]
        return batch

    def _end(self) -> None:
        self._over = True
        self._carry = bytearray()
        self._message = bytearray()
        self._message_opcode = None

    def _walk(self, buf: bytes, batch: FrameBatch) -> int:
        """Take all whole frames; return where the unfinished one starts (the end after a close frame).

        The hot path of the program are whole, unmasked, unfragmented text frames: `_plain_frames` takes them all at
        once, and the inner loop one by one where it could not. Everything else, the unfinished and the wrong
        included, goes to `_frame`.
        """
        pos, end = self._plain_frames(buf, batch), len(buf)  # may replace the list of payloads
        last_header = end - 4
        short_limit, long_limit = self._short_limit, self._long_limit
        append = batch.payloads.append
        plain_text = not self._masked
        while pos < end:
            if plain_text and self._message_opcode is None:
                while pos <= last_header and buf[pos] == _FIN_TEXT:
                    length = buf[pos + 1]
                    if length == 126:
                        length = buf[pos + 2] << 8 | buf[pos + 3]
                        if not 125 < length <= long_limit:
                            break
                        start = pos + 4
                    elif length <= short_limit:
                        start = pos + 2
                    else:
                        break
                    stop = start + length
                    if stop > end:
                        break
                    payload = buf[start:stop]
                    if payload.isascii():
                        append(payload)
                    else:
                        self._deliver(TEXT, payload, batch)
                    pos = stop
            after = self._frame(buf, pos, batch)
            if after == pos:
                return pos
            pos = end if self._over else after
        return pos

    def _plain_frames(self, buf: bytes, batch: FrameBatch) -> int:
        """Take all frames if they are text, ASCII and neither very short nor long, but the last if it is not whole.

        The first byte of a text frame, 0x81, is not ASCII, so it is where such frames can be cut apart in C. That each
        piece has the length that its header says is checked in C as well. Takes none and returns 0 if one has not;
        returns where the rest starts otherwise.
        """
        if self._masked or self._message_opcode is not None:
            return 0
        pieces = buf.split(_FIN_TEXT_BYTE)
        if len(pieces) < _WORTH_CUTTING or pieces[0]:
            return 0
        del pieces[0]
        rest = len(buf)
        if not pieces[-1].startswith(_REST_OF_HEADER[len(pieces[-1])]):
            rest -= 1 + len(pieces.pop())
        payloads = [*map(bytes.removeprefix, pieces, map(_REST_OF_HEADER.__getitem__, map(len, pieces)))]
        text = b"\n".join(payloads)
        # Header bytes are taken away only where they are the right ones: 3 of each piece, besides the 0x81. And of
        # the four that each frame has more than its payload, the newline makes up for one.
        if len(text) + 1 != rest - 3 * len(pieces) or not text.isascii():
            return 0
        if rest > self._max_message and max(map(len, payloads)) > self._max_message:
            return 0
        batch.payloads, batch.text, batch.in_text = payloads, text, len(payloads)
        batch.lines = b"\n" not in buf and b"\r" not in buf  # a length may look like one: then it is counted out later
        return rest

    def _frame(self, buf: bytes, pos: int, batch: FrameBatch) -> int:
        """Take the frame at `pos`, of any kind. Returns where the next one starts, or `pos` if it is unfinished."""
        available = len(buf) - pos
        if available < 2:
            self._need = 2
            return pos
        opcode, fin, length = buf[pos] & 0x0F, buf[pos] & _FIN != 0, buf[pos + 1] & 0x7F
        masked = buf[pos + 1] & _MASKED != 0
        self._check_header(buf[pos], fin, length, masked)
        header = 2 + {126: 2, 127: 8}.get(length, 0)
        if available < header:
            self._need = header
            return pos
        if length > 125:
            length = self._extended_length(buf[pos + 2 : pos + header])
        if opcode < CLOSE:
            self._check_size(opcode, length)
        mask_at = pos + header
        start = mask_at + 4 if masked else mask_at
        stop = start + length
        if stop > len(buf):
            self._need = stop - pos
            return pos
        payload = apply_mask(memoryview(buf)[start:stop], buf[mask_at:start]) if masked else buf[start:stop]
        if opcode >= CLOSE:
            self._control(opcode, payload, batch)
        else:
            self._data(opcode, fin, payload, batch)
        return stop

    def _check_header(self, first: int, fin: bool, length: int, masked: bool) -> None:
        opcode = first & 0x0F
        if first & _RSV:
            raise self._violation("a frame with reserved bits set (compression was never agreed on)")
        if opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
            raise self._violation(f"a frame with the reserved opcode {opcode}")
        if opcode >= CLOSE and (not fin or length > _MAX_CONTROL):
            raise self._violation("a control frame that is fragmented or longer than 125 bytes")
        if opcode == CONTINUATION and not self.fragmented:
            raise self._violation("a continuation of a message that was never begun")
        if opcode in {TEXT, BINARY} and self.fragmented:
            raise self._violation("a new message inside an unfinished one")
        if self._masked and not masked:
            raise self._violation("a frame without a mask")

    def _extended_length(self, field: bytes) -> int:
        length = int.from_bytes(field, "big")
        if length >> 63:
            raise self._violation("a frame length with the top bit set")
        if length <= (125 if len(field) == 2 else 0xFFFF):
            raise self._violation("a frame length that is not in its shortest form")
        return length

    def _check_size(self, opcode: int, length: int) -> None:
        """Decide by the header alone, before the payload takes any memory."""
        total = len(self._message) + length
        if total > self._max_message:
            raise self._violation(f"a message of {total} bytes; the limit is {self._max_message}", close_code=1009)
        if opcode == CONTINUATION and self._fragments >= MAX_FRAGMENTS:
            raise self._violation(f"a message in more than {MAX_FRAGMENTS} fragments", close_code=1009)

    def _data(self, opcode: int, fin: bool, payload: bytes, batch: FrameBatch) -> None:
        if fin and not self.fragmented:
            self._deliver(opcode, payload, batch)
            return
        if self._message_opcode is None:
            self._message_opcode = opcode
        self._message += payload
        self._fragments += 1
        if fin:
            whole, whole_opcode = bytes(self._message), self._message_opcode
            self._message = bytearray()
            self._message_opcode = None
            self._fragments = 0
            self._deliver(whole_opcode, whole, batch)

    def _deliver(self, opcode: int, payload: bytes, batch: FrameBatch) -> None:
        if opcode == BINARY and not self._binary:
            batch.bad.append((payload, "binary message"))
        elif opcode == TEXT and not is_utf8(payload):
            batch.bad.append((payload, "not UTF-8"))
        else:
            batch.payloads.append(payload)

    def _control(self, opcode: int, payload: bytes, batch: FrameBatch) -> None:
        if opcode != CLOSE:
            batch.controls.append(Control(opcode, payload))
            return
        if len(payload) == 1:
            raise self._violation("a close frame with half a close code")
        code = int.from_bytes(payload[:2], "big") if payload else None
        if code is not None and not _is_wire_close_code(code):
            raise self._violation(f"the close code {code}, which must not be sent")
        batch.close = Close(code, payload[2:].decode("utf-8", "replace"))
        self._end()

    def _violation(self, what: str, close_code: int = 1002) -> ProtocolViolation:
        who = "client" if self._masked else "server"
        return ProtocolViolation(f"The {who} broke the WebSocket protocol: it sent {what}.", close_code=close_code)


def _is_wire_close_code(code: int) -> bool:
    """Close codes that may stand in a frame: RFC 6455 section 7.4 and the IANA registry (1012 to 1014)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def is_utf8(payload: bytes) -> bool:
    """True for valid UTF-8. Large payloads are checked block by block: no second copy is made of them."""
    if payload.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(payload)
    try:
        for start in range(0, len(payload), _BLOCK):
            decoder.decode(view[start : start + _BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def apply_mask(payload: bytes | memoryview, mask: bytes) -> bytes:
    """Mask or unmask: exclusive or with the four bytes of `mask`, repeated."""
    if len(payload) <= _BLOCK:
        return _xor(payload, mask)
    return b"".join(_xor(payload[start : start + _BLOCK], mask) for start in range(0, len(payload), _BLOCK))


def _xor(data: bytes | memoryview, mask: bytes) -> bytes:
    size = len(data)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def encode_frame(opcode: int, payload: bytes, mask: bytes | None = None, fin: bool = True) -> bytes:
    """One frame. A client must give a `mask` of four random bytes, a server none.

    Raises ValueError for a control frame that is fragmented or longer than 125 bytes.
    """
    length = len(payload)
    if opcode >= CLOSE and (not fin or length > _MAX_CONTROL):
        raise ValueError("a control frame is one frame of at most 125 bytes")
    first = (_FIN if fin else 0) | opcode
    mask_bit = 0 if mask is None else _MASKED
    if length <= 125:
        header = bytes((first, mask_bit | length))
    elif length <= 0xFFFF:
        header = struct.pack("!BBH", first, mask_bit | 126, length)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, length)
    if mask is None:
        return header + payload
    return header + mask + apply_mask(payload, mask)


def encode_close(code: int | None, reason: str = "") -> bytes:
    """The payload of a close frame; the reason is cut to fit, between characters. Code None: no payload."""
    if code is None:
        return b""
    text = reason.encode("utf-8", "replace")[: _MAX_CONTROL - 2]
    return struct.pack("!H", code) + text.decode("utf-8", "ignore").encode()
