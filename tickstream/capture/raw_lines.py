"""A provider's own messages, through its protocol again: a decoder that was mended reads old captures better. Pure.

Two kinds of lines: those of a raw capture, which know when they were received and on which connection, and bare
messages as `watch -o raw` writes them, which know neither: their `ts_recv` is the provider's own time.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

import msgspec

from tickstream.capture.chunks import QUOTED_BYTES, BadLine, Payload
from tickstream.capture.lines import Stretch, numbered
from tickstream.capture.values import UNDECODABLE, Times
from tickstream.errors import ProviderError
from tickstream.events import Event, MarketEvent
from tickstream.providers.base import QUARANTINE_AT_ONCE, QUARANTINE_BYTES, Feed, FeedProtocol, ProviderSpec
from tickstream.subscriptions import Subscription
from tickstream.timestamps import NS_PER_SECOND, Timestamp

AT_ONCE = QUARANTINE_AT_ONCE
"""Messages given to a protocol at a time: of more it would not name each one that it sets aside."""

MOST_SESSIONS = 100
"""Protocols that are kept: a file must not fill our memory with them."""


class RawLine(msgspec.Struct, frozen=True):
    """One message as a raw capture keeps it. `payload_base64` is for what is no JSON on one line."""

    ts_recv: Timestamp
    session: int = 1
    epoch: int = 1
    payload: msgspec.Raw = msgspec.Raw()
    payload_base64: str = ""


class _Message(msgspec.Struct, frozen=True):
    line: int
    connection: tuple[int, int]
    ts_recv: Timestamp | None
    payload: bytes


class _Everything(frozenset[str]):
    """All symbols: what a capture holds was asked for."""

    def __contains__(self, _symbol: object) -> bool:
        return True

    def issuperset(self, _symbols: Iterable[object]) -> bool:
        return True

    def isdisjoint(self, _symbols: Iterable[object]) -> bool:
        return True  # and none of it is ever taken away again

    def __and__(self, _confirmed: object) -> _Everything:
        return self

    def __bool__(self) -> bool:
        return True


class RawLines:
    """Decodes the lines of a file. `bare`: they are the messages themselves."""

    def __init__(self, path: str, spec: ProviderSpec, *, bare: bool) -> None:
        self._path = path
        self._spec = spec
        self._bare = bare
        self._protocols: dict[int, tuple[int, FeedProtocol]] = {}
        """Session -> the epoch of its connection, and the protocol of that."""
        self._payloads: list[Payload] = []
        times = Times()

        def moment(_kind: type, written: Any) -> Timestamp:
            return times[written]

        self._decoder = msgspec.json.Decoder(RawLine, dec_hook=moment)

    def decode(self, stretch: Stretch) -> tuple[list[Event], list[BadLine]]:
        """The events of these lines, and the lines that the protocol, or we, could not use."""
        bad: list[BadLine] = []
        events: list[Event] = []
        messages = self._messages(stretch, bad)
        for _, same in groupby(messages, lambda one: (one.connection, one.ts_recv)):
            while group := list(islice(same, AT_ONCE)):
                events += self._receive(group, bad)
        bad.sort(key=lambda one: one.line)
        return events, bad

    def take_payloads(self) -> list[Payload]:
        """The messages behind the market events since the last call, each with when it was received."""
        out, self._payloads = self._payloads, []
        return out

    def finish(self) -> tuple[list[Event], list[BadLine]]:
        """Nothing is held back."""
        return [], []

    def _messages(self, stretch: Stretch, bad: list[BadLine]) -> Iterator[_Message]:
        for number, line in numbered(stretch):
            if self._bare:
                yield _Message(number, (1, 1), None, line.rstrip(b"\r"))
                continue
            try:
                raw = self._decoder.decode(line)
                payload = bytes(raw.payload) or base64.b64decode(raw.payload_base64, validate=True)
            except UNDECODABLE as error:
                bad.append(self._bad(number, line, str(error)))
            else:
                yield _Message(number, (raw.session, raw.epoch), raw.ts_recv, payload)

    def _receive(self, group: list[_Message], bad: list[BadLine]) -> list[Event]:
        first = group[0]
        protocol = self._protocol(*first.connection)
        ts_recv = first.ts_recv or Timestamp(0)
        payloads = [one.payload for one in group]
        try:
            protocol.receive(payloads, ts_recv, ts_recv / NS_PER_SECOND)
        except ProviderError as error:
            return self._ended(group, protocol, error, bad)
        waiting = list(group)
        for item in protocol.take_quarantined():
            culprit = next((one for one in waiting if item.payload in one.payload[:QUARANTINE_BYTES]), waiting[0])
            whole = item.payload == culprit.payload[:QUARANTINE_BYTES]  # or it is one part of several in a message
            waiting = waiting[waiting.index(culprit) + whole :] or [culprit]
            bad.append(self._bad(culprit.line, culprit.payload, item.reason))
        messages = protocol.take_payloads()
        if first.ts_recv is not None:
            self._payloads += [(first.ts_recv, payload) for payload in messages]
        events = list(protocol.take_events())
        return events if first.ts_recv is not None else self._dated(events, first, bad)

    def _dated(self, events: list[Event], first: _Message, bad: list[BadLine]) -> list[Event]:
        """The market events of messages that do not say when they were received."""
        dated: list[Event] = []
        for event in events:
            if isinstance(event, MarketEvent):
                if event.ts_event is None:
                    bad.append(self._bad(first.line, first.payload, "nothing says when this was (or a line after it)"))
                else:
                    dated.append(msgspec.structs.replace(event, ts_recv=event.ts_event))
        return dated

    def _ended(
        self, group: list[_Message], protocol: FeedProtocol, error: ProviderError, bad: list[BadLine]
    ) -> list[Event]:
        """The provider ended the conversation in the middle of a group: one by one shows with which message.

        The next connection has a new protocol.
        """
        protocol.take_events()
        protocol.take_payloads()
        self._protocols.clear()
        if len(group) == 1:
            bad.append(self._bad(group[0].line, group[0].payload, error.message))
            return []
        return [event for one in group for event in self._receive([one], bad)]

    def _protocol(self, session: int, epoch: int) -> FeedProtocol:
        known = self._protocols.get(session)
        if known is None or known[0] != epoch:
            protocol = self._spec.protocol(Feed(self._spec.url, Subscription(())))
            protocol.asked = _Everything()
            protocol.go_live()
            if len(self._protocols) >= MOST_SESSIONS:
                self._protocols.clear()
            known = self._protocols[session] = (epoch, protocol)
        return known[1]

    def _bad(self, line: int, text: bytes, reason: str) -> BadLine:
        return BadLine(self._path, line, reason, text[:QUOTED_BYTES])
