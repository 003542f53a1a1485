"""Alpaca's server for clients that ask for MessagePack in the header `Content-Type`: both ways, with times. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from tickstream.providers.alpaca_msgpack import CONTENT_TYPE, TIMES, packed_of
from tickstream.session.frames import BINARY, encode_frame
from tickstream.simulator.bad_bytes import payload_of
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.handshake import Request
from tickstream.simulator.outgoing import Delivery, Message, Outgoing, Push, Raw, delivery_of


class PackingConversation(Conversation):
    """Writes and reads what its client asked for. Bytes that a fault makes go out as they are."""

    def greet(self, request: Request, now: float) -> None:  # noqa: ARG002 - whenever it is
        """Take the client at its word."""
        self.binary = request.headers.get("content-type") == CONTENT_TYPE

    def decoded(self, payload: bytes) -> Any:
        """What the client said. Raises msgspec.DecodeError, ValueError and RecursionError."""
        return msgspec.msgpack.decode(payload) if self.binary else msgspec.json.decode(payload)

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent, in the client's encoding."""
        out = super().take_outgoing()
        return [_packed(item) for item in out] if self.binary else out


def _packed(item: Outgoing) -> Outgoing:
    if isinstance(item, Message):
        return Raw(_frame(item.payload))
    if isinstance(item, Delivery):
        return delivery_of([Push(one.item, one.topic, _frame(payload_of(one.frame))) for one in item.pushes])
    return item


@lru_cache(maxsize=256)
def _frame(payload: bytes) -> bytes:
    """The binary frame of a JSON message; kept for a moment, for all clients get the same."""
    return encode_frame(BINARY, packed_of(msgspec.json.decode(payload), TIMES))
