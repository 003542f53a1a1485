"""What the server's side of a connection has for the client, and how it ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

import msgspec

from tickstream.session.frames import TEXT, encode_frame
from tickstream.simulator.market import Item

HEADERS = tuple(encode_frame(TEXT, bytes(length))[: -length or None] for length in range(1024))
"""Frame headers by length of the payload: looking one up is a third of the work of making one."""


class Push(msgspec.Struct, frozen=True, gc=False):
    """Something of the market on its way to the clients that have its topic, with its finished frame."""

    item: Item
    topic: str
    frame: bytes


def push_of(item: Item, topic: str, payload: bytes) -> Push:
    """The push with this payload."""
    framed = HEADERS[len(payload)] + payload if len(payload) < len(HEADERS) else encode_frame(TEXT, payload)
    return Push(item, topic, framed)


class Round:
    """Pushes that are due together."""

    def __init__(self, pushes: list[Push]) -> None:
        self.pushes = pushes

    @cached_property
    def topics(self) -> frozenset[str]:
        """All topics in it."""
        return frozenset(push.topic for push in self.pushes)

    @cached_property
    def data(self) -> bytes:
        """All frames: made once, for all clients that get the whole round."""
        return b"".join([push.frame for push in self.pushes])


class Message(msgspec.Struct, frozen=True):
    """To send: one text message."""

    payload: bytes


class Delivery(msgspec.Struct, frozen=True):
    """To send: pushes. `data` is all their frames."""

    pushes: list[Push]
    data: bytes

    def ends(self) -> list[int]:
        """Where each push ends in `data`."""
        return list(accumulate(len(push.frame) for push in self.pushes))


def delivery_of(pushes: list[Push]) -> Delivery:
    """These pushes, to send."""
    return Delivery(pushes, b"".join([one.frame for one in pushes]))


class Raw(msgspec.Struct, frozen=True):
    """To send: bytes that are frames already, or should not be."""

    data: bytes


class Flood(msgspec.Struct, frozen=True):
    """To send, and nothing after it: bytes without an end."""

    chunks: Iterator[bytes]


Outgoing = Message | Delivery | Raw | Flood


class Ending(msgspec.Struct, frozen=True):
    """The connection is to be closed once all is sent. `code` None: without a close frame; `reset`: by a TCP RST."""

    code: int | None
    reason: str = ""
    reset: bool = False
