"""HTTP requests beside the stream, for providers that want some: to look symbols up, to keep a login alive. Pure.

A protocol only says what it asks, and takes the answers. The session makes the requests, one after the other, at the
host and port of the stream, with the same TLS, proxy and deadlines (`session/rest.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from tickstream.errors import TickstreamError
from tickstream.timestamps import Timestamp


class RestRequest(msgspec.Struct, frozen=True):
    """`path` with its query, percent-encoded; a `body` is JSON."""

    path: str
    method: str = "GET"
    body: bytes = b""


class RestAnswer(msgspec.Struct, frozen=True):
    """The answer to a request: a status and a body, whatever they are; or the `error` why there is none (status 0)."""

    request: RestRequest
    status: int = 0
    body: bytes = b""
    error: TickstreamError | None = None


class AsksRest(ABC):
    """What a `FeedProtocol` is besides, when it asks for something over HTTP while the stream stands."""

    @abstractmethod
    def requests_to_make(self, now: float) -> list[RestRequest]:
        """The requests that are due since the last call. Each is answered, sooner or later, in this order."""

    @abstractmethod
    def take_answer(self, answer: RestAnswer, ts_recv: Timestamp, now: float) -> None:
        """Take the answer to a request. Raises a TickstreamError that ends the conversation."""
