"""Is each event there once, and in order: by a number that events have, or by what is in them. Pure."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tickstream.capture.verifying_report import Finding
from tickstream.capture.verifying_spans import MAX_SPANS, Arrival, Break, Spans
from tickstream.events import MarketEvent

WINDOW = 4096
"""Events of a series that are compared with the next where nothing numbers them."""

Note = Callable[[Finding, MarketEvent], None]
"""Gets each event that is a finding."""


class NumberCheck:
    """Events whose numbers are `step` apart: the times of bars, trade ids, sequences.

    Duplicates are found over all files and in any order, exactly. Out of order is what comes behind a greater number of
    the same file: the order of files is the user's.
    """

    def __init__(self, step: int, note: Note, max_spans: int = MAX_SPANS) -> None:
        self._step = step
        self._note = note
        self._max_spans = max_spans
        self.spans = Spans(max_spans)
        self._high: int | None = None
        self._ended: list[Break] = []

    def begin_file(self) -> None:
        """What comes next is from another file."""
        self._high = None

    def take(self, numbers: list[int], events: Sequence[MarketEvent]) -> None:
        """These events with their numbers, in the order of the file."""
        step, first, last = self._step, numbers[0], numbers[-1]
        if last - first == (len(numbers) - 1) * step and numbers == list(range(first, last + step, step)):
            low, high = first // step, last // step
            in_order = self._high is None or low > self._high
            if in_order and self.spans.add_run(low, high, events[0].ts_recv, events[-1].ts_recv):
                self._high = high
                return
        for number, event in zip(numbers, events, strict=True):
            self._one(number // step, event)

    def restart(self) -> None:
        """Numbers begin anew: none of those before is looked for any more."""
        self._ended += self.spans.settled + self.spans.breaks()
        self.spans = Spans(self._max_spans)
        self._high = None

    def take_breaks(self) -> list[Break]:
        """The breaks that are final, once."""
        found, self._ended = self._ended + self.spans.settled, []
        self.spans.settled = []
        return found

    def _one(self, number: int, event: MarketEvent) -> None:
        arrival = self.spans.add(number, event.ts_recv)
        if arrival is Arrival.DUPLICATE:
            self._note(Finding.DUPLICATE, event)
        elif arrival is Arrival.LATE or (self._high is not None and number < self._high):
            self._note(Finding.OUT_OF_ORDER, event)
        if self._high is None or number > self._high:
            self._high = number


class ContentCheck:
    """Events that nothing numbers: what equals one of the last `WINDOW`, but for our receive time, is a duplicate.

    An event without a time of its own is not compared. Where trades have textual ids, those are compared instead. Out
    of order is what is earlier than an event before it in the same file.
    """

    def __init__(self, note: Note) -> None:
        self._note = note
        self._recent: deque[bytes | str] = deque()
        self._known: set[bytes | str] = set()
        self._high: int | None = None
        self._encode = msgspec.json.Encoder(enc_hook=int).encode

    def begin_file(self) -> None:
        """What comes next is from another file."""
        self._high = None

    def take(self, events: Sequence[MarketEvent], ids: Sequence[str] | None = None) -> None:
        """These events, in the order of the file."""
        identities: Iterable[bytes | str | None] = map(self._digest, events) if ids is None else ids
        for identity, event in zip(identities, events, strict=True):
            if identity in self._known:
                self._note(Finding.DUPLICATE, event)
                continue
            if identity is not None:
                self._remember(identity)
            if event.ts_event is None:
                continue
            if self._high is None or event.ts_event >= self._high:
                self._high = event.ts_event
            else:
                self._note(Finding.OUT_OF_ORDER, event)

    def _remember(self, identity: bytes | str) -> None:
        self._known.add(identity)
        self._recent.append(identity)
        if len(self._recent) > WINDOW:
            self._known.remove(self._recent.popleft())

    def _digest(self, event: MarketEvent) -> bytes | None:
        """The event, but for `ts_recv` and canonical name, in 16 bytes: a book may be large. None without a time."""
        if event.ts_event is None:
            return None
        provider, symbol, ts_event, _ts_recv, *rest, _canonical = msgspec.structs.astuple(event)
        content = self._encode((provider, symbol, ts_event, rest))
        return hashlib.blake2b(content, digest_size=16).digest()
