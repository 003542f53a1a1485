"""JSON messages of a provider, typed, a batch at a time: one pass for a good batch, one by one for any other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from tickstream.events import joined
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.timestamps import Timestamp

UNDECODABLE = (msgspec.MsgspecError, RecursionError, ValueError)
"""What decoding may raise on bytes from the wire: never anything else."""

UNKNOWN_TYPES_SHOWN = 20
LONGEST_MESSAGE = 256 * 1024
"""Bytes. Decoding makes many times as much memory of a message as it has bytes, so a longer one is set aside unread."""
_BOM = b"\xef\xbb\xbf"
_first, _last = itemgetter(0), itemgetter(-1)
_OPENING, _CLOSING = {ord("{")}, {ord("}")}

Message = TypeVar("Message")


class UnknownType(ValueError):
    """A well-formed message of a type that this version does not know. `kind` is the provider's word."""

    def __init__(self, kind: str) -> None:
        super().__init__("unknown message type")
        self.kind = kind


class MessageDecoder(Generic[Message]):
    """`union`: msgspec structs told apart by their tag, as `A | B | C`; `tag_field` is where the tag stands."""

    def __init__(self, union: Any, tag_field: str = "type") -> None:
        self._decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(union)
        self._known = frozenset(str(kind.__struct_config__.tag) for kind in get_args(union))
        self._tag: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.defstruct("Tag", [(tag_field, str)]))
        self._tag_field = tag_field
        self._array = msgspec.json.Decoder(list[msgspec.Raw])

    def batch(self, payloads: Sequence[bytes]) -> list[Message] | None:
        """One message for each payload, or None: then look at each with `one`.

        Payloads are joined by newlines and decoded in one call. A JSON value cannot span `}` newline `{`, so each
        payload between braces holds whole messages, and as many messages as payloads means one in each.
        """
        text = joined(payloads)
        try:
            if len(text) > LONGEST_MESSAGE and max(map(len, payloads)) > LONGEST_MESSAGE:
                return None
            if {*map(_first, payloads)} != _OPENING or {*map(_last, payloads)} != _CLOSING:
                return None
            messages = self._decoder.decode_lines(text)
        except (*UNDECODABLE, IndexError):  # an empty payload has no ends
            return None
        return messages if len(messages) == len(payloads) else None

    def one(self, payload: bytes) -> Message:
        """Raises UnknownType for a type of tomorrow, one of UNDECODABLE for rubbish and wrong fields."""
        try:
            return self._decoder.decode(payload)
        except msgspec.ValidationError as misfit:
            try:
                kind = self.kind(payload)
            except UNDECODABLE:
                raise misfit from None
            if kind in self._known:
                raise
            raise UnknownType(kind) from None

    def kind(self, payload: bytes) -> str:
        """The tag of a message. Raises one of UNDECODABLE when there is none."""
        return str(getattr(self._tag.decode(payload), self._tag_field))

    def parts(self, payload: bytes) -> list[bytes]:
        """The messages of an array of messages; a single message is itself, but for a byte order mark.

        Raises one of UNDECODABLE.
        """
        if len(payload) > LONGEST_MESSAGE:
            raise ValueError(f"a message of {len(payload)} bytes; {LONGEST_MESSAGE} are allowed")
        payload = payload.removeprefix(_BOM)
        if payload.lstrip()[:1] != b"[":
            return [payload]
        return [bytes(part) for part in self._array.decode(payload)]


class JsonFeed(FeedProtocol, Generic[Message]):
    """A protocol of JSON messages: decodes batches, falls back to single messages, sets rubbish aside."""

    decoder: ClassVar[MessageDecoder[Any]]
    glancing: ClassVar[MessageDecoder[Any] | None] = None
    """Reads no more of data than symbol and time, for `feed.raw`; a provider may do without."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self._decoder = (feed.raw and self.glancing) or self.decoder
        self._unknown_types: set[str] = set()

    @abstractmethod
    def on_message(self, message: Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """Take one well-formed message. May raise a ProviderError, or ValueError for a message of no use."""

    def on_batch(self, messages: list[Message], payloads: Sequence[bytes], ts_recv: Timestamp) -> bool:  # noqa: ARG002 - for subclasses
        """Take a whole batch at once if it is nothing but data beyond doubt; False (and nothing done) otherwise."""
        return False

    def on_misfit(self, kind: str, payload: bytes, reason: str, ts_recv: Timestamp) -> None:  # noqa: ARG002 - for subclasses
        """A message of a known type with fields of unexpected types: rubbish, unless a subclass knows better."""
        self.quarantine(payload, reason)

    def receive(self, payloads: Sequence[bytes], ts_recv: Timestamp, now: float) -> None:
        """Decode a batch in one pass; if that fails, message by message."""
        self.counters.messages += len(payloads)
        messages = self._decoder.batch(payloads)
        if messages is None:
            for payload in payloads:
                self._receive_one(payload, ts_recv, now)
        elif not self.on_batch(messages, payloads, ts_recv):
            for message, payload in zip(messages, payloads, strict=True):
                self._take(message, payload, ts_recv, now)

    def _take(self, message: Message, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        try:
            self.on_message(message, payload, ts_recv, now)
        except UNDECODABLE as reason:
            self.quarantine(payload, str(reason))

    def _receive_one(self, payload: bytes, ts_recv: Timestamp, now: float) -> None:
        """A message, or an array of them, that may be anything."""
        try:
            parts = self._decoder.parts(payload)
        except UNDECODABLE as reason:
            self.quarantine(payload, str(reason))
            return
        self.counters.messages += len(parts) - 1
        for part in parts:
            try:
                message = self._decoder.one(part)
            except UnknownType as unknown:
                self._unknown(unknown.kind, ts_recv)
            except msgspec.ValidationError as reason:
                self._misfit(part, str(reason), ts_recv)
            except UNDECODABLE as reason:
                self.quarantine(part, str(reason))
            else:
                self._take(message, part, ts_recv, now)

    def _misfit(self, payload: bytes, reason: str, ts_recv: Timestamp) -> None:
        try:
            kind = self._decoder.kind(payload)
        except UNDECODABLE:
            self.quarantine(payload, reason)
        else:
            self.on_misfit(kind, payload, reason, ts_recv)

    def _unknown(self, kind: str, ts_recv: Timestamp) -> None:
        self.counters.unknown += 1
        kind = self.redact(kind)[:60]
        if kind not in self._unknown_types and len(self._unknown_types) < UNKNOWN_TYPES_SHOWN:
            self._unknown_types.add(kind)
            self.notice(ts_recv, "unknown_type", f"a message of the unknown type {kind!r}; counted, not shown again")
