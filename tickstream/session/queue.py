"""The bounded queue of batches between the sessions and the main thread.

Bounded in bytes received. What happens when it is full is the user's choice (`--on-full`): `block` says so to the
session, which goes on answering pings; `drop-oldest` and `conflate` make room, count what went, and mark the place
with a gap. `drop-oldest` bounds the age of what waits as well: whoever asks for the newest does not want to read
minutes behind it. Stream events (session, notice, gap) are never dropped and never blocked.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Set
from enum import StrEnum

import msgspec

from tickstream.events import Batch, Event, Gap, GapReason, MarketEvent
from tickstream.timestamps import NS_PER_SECOND, Timestamp

HOT_BYTES = 128 * 1024
"""More than this is not in the processor's cache any more when its turn comes."""
TURN_S = 0.002
"""How long a session waits for the other thread to take its turn."""
CONFLATED_BYTES = 256
"""What an event that is left of a conflated batch is taken to have brought in bytes."""


class OnFull(StrEnum):
    """What to do when the reader of the output is slower than the feed."""

    BLOCK = "block"
    DROP_OLDEST = "drop-oldest"
    CONFLATE = "conflate"


MAX_BYTES = {OnFull.BLOCK: 256 * 1024, OnFull.DROP_OLDEST: 2 * 2**20, OnFull.CONFLATE: 2 * 2**20}
"""As events, data takes about seven times as much memory. What blocks may be short: the provider is made to wait, and
nothing is lost; what drops is to bridge a reader's hiccups."""
MAX_AGE_NS = 300 * NS_PER_SECOND
"""With `drop-oldest`, between the oldest that waits and what comes in. `block` must not lose data for its age, and what
`conflate` keeps is the latest there is, however old."""


class _Loss(msgspec.Struct):
    """Events of one session and symbol that went, until a gap says so."""

    provider: str
    start: Timestamp
    epoch: int
    through: int = 0
    """Number of the last batch that lost some."""
    count: int = 0


class BatchQueue:
    """Many sessions put, one thread gets."""

    def __init__(self, on_full: OnFull = OnFull.BLOCK, max_bytes: int | None = None) -> None:
        self._batches: deque[tuple[int, Batch]] = deque()
        """Numbered in the order in which they were offered."""
        self._offered = 0
        self._bytes = 0
        self._max_bytes = MAX_BYTES[on_full] if max_bytes is None else max_bytes
        self._on_full = on_full
        self._changed = threading.Condition()  # re-entrant: a signal handler may call `wake`
        self._space = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]  # noqa: SLF001 - one lock, two conditions
        self._closed = False
        self._woken = False
        self._prompt = True
        """Whether the thread that gets has come since a session last waited for it in vain."""
        self._losses: dict[int, dict[str, _Loss]] = {}
        """Session -> symbol -> what it has lost."""
        self._last_out: dict[int, Timestamp] = {}
        self.dropped = 0

    def offer(self, batch: Batch) -> bool:
        """Add a batch; False when it is full under `block`: keep it and try again after `wait_for_space`.

        While the other thread keeps up, it is given its turn here: it then works on data that is still in the cache.
        """
        with self._changed:
            too_many = self._bytes + batch.size - self._max_bytes
            # A batch that is larger than the queue is taken when nothing else waits, one of stream events always.
            if too_many > 0 and self._bytes and batch.size and not self._make_room(too_many):
                return False
            if self._on_full is OnFull.DROP_OLDEST:
                oldest = batch.ts_recv - MAX_AGE_NS
                self._drop_while(lambda waiting: waiting.ts_recv < oldest)
            self._offered += 1
            self._batches.append((self._offered, batch))
            self._bytes += batch.size
            self._changed.notify()
            if self._bytes > HOT_BYTES and self._prompt:
                self._prompt = self._space.wait(TURN_S)
        return True

    def wait_for_space(self, seconds: float) -> None:
        """Wait until something was taken out, `seconds` at the most."""
        with self._space:
            if self._bytes:
                self._space.wait(seconds)

    def get(self, seconds: float) -> Batch | None:
        """The next batch; None after `seconds` without one, when woken, or when closed and empty."""
        with self._changed:
            if not self._batches and not self._closed and not self._woken:
                self._changed.wait(seconds)
            self._woken = False
            self._prompt = True
            if not self._batches:
                return None
            number, batch = self._batches.popleft()
            self._bytes -= batch.size
            self._space.notify_all()
            return self._marked(number, batch)

    def wake(self) -> None:
        """Make a waiting `get` return. Safe in a signal handler of the thread that gets."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """No more batches will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._space.notify_all()

    def abandon(self) -> int:
        """Nobody gets any more: throw away what waits and take everything from now on, so that no session blocks.

        Returns how many market events were thrown away; called again, how many came since.
        """
        with self._changed:
            waiting = sum(isinstance(event, MarketEvent) for _, batch in self._batches for event in batch.events)
            self._batches.clear()
            self._bytes = 0
            self._max_bytes = 1 << 62
            self._space.notify_all()
            return waiting

    @property
    def done(self) -> bool:
        """True when closed and empty."""
        with self._changed:
            return self._closed and not self._batches

    def _marked(self, number: int, batch: Batch) -> Batch:
        """Put the gap of what was dropped in front of the first data after it."""
        losses = self._losses.get(batch.session)
        if losses:
            here = {event.symbol for event in batch.events if isinstance(event, MarketEvent)}
            # Of a batch that lost some itself, what is left comes after what went: the latest is what is kept.
            due = [s for s, loss in losses.items() if loss.through < number or (loss.through == number and s in here)]
            if due:
                batch.events = [self._gap([losses.pop(symbol) for symbol in due], tuple(due), batch), *batch.events]
                batch.market_only = False
        self._last_out[batch.session] = batch.ts_recv
        return batch

    def _gap(self, losses: list[_Loss], symbols: tuple[str, ...], batch: Batch) -> Gap:
        reason: GapReason = "conflated" if self._on_full is OnFull.CONFLATE else "dropped"
        start, count = min(loss.start for loss in losses), sum(loss.count for loss in losses)
        end = max(start, batch.ts_recv)
        return Gap(losses[0].provider, symbols, reason, start, end, batch.session, losses[0].epoch, count)

    def _make_room(self, needed: int) -> bool:
        """For so many bytes, if the policy says so."""
        if self._on_full is OnFull.DROP_OLDEST:
            fits = self._bytes - needed
            self._drop_while(lambda _: self._bytes > fits)
        elif self._on_full is OnFull.CONFLATE:
            self._conflate()
        return self._on_full is not OnFull.BLOCK

    def _drop_while(self, more: Callable[[Batch], bool]) -> None:
        """Take market events out of batches from the oldest on; stream events stay where they are."""
        spared: list[tuple[int, Batch]] = []
        while self._batches and more(self._batches[0][1]):
            number, batch = self._batches.popleft()
            self._strip(number, batch, frozenset())
            if batch.events:
                spared.append((number, batch))
        self._batches.extendleft(reversed(spared))

    def _conflate(self) -> None:
        """Keep the latest event of each kind of each provider's symbol; all others go."""
        latest: set[int] = set()
        seen: set[tuple[type[Event], str, str]] = set()
        for _, batch in reversed(self._batches):
            for event in reversed(batch.events):
                if not isinstance(event, MarketEvent):
                    continue
                series = type(event), event.provider, event.symbol
                if series not in seen:
                    seen.add(series)
                    latest.add(id(event))
        for number, batch in self._batches:
            self._strip(number, batch, latest)
        self._batches = deque(entry for entry in self._batches if entry[1].events)

    def _strip(self, number: int, batch: Batch, keep: Set[int]) -> None:
        """Take the market events out of a waiting batch, but for those to keep, and remember what went.

        Messages set aside go with them: the session has counted those.
        """
        market = [event for event in batch.events if isinstance(event, MarketEvent)]
        going = [event for event in market if id(event) not in keep]
        if going:
            self._lose(number, batch, going)
            gone = {id(event) for event in going}
            if len(batch.payloads) == len(market):
                batch.payloads = [p for e, p in zip(market, batch.payloads, strict=True) if id(e) not in gone]
            elif len(going) == len(market):
                batch.payloads = []
            batch.events = [event for event in batch.events if id(event) not in gone]
        batch.quarantined = []
        size = min(batch.size, (len(market) - len(going)) * CONFLATED_BYTES)
        self._bytes += size - batch.size
        batch.size = size

    def _lose(self, number: int, batch: Batch, going: list[MarketEvent]) -> None:
        start = self._last_out.get(batch.session, batch.ts_recv)
        losses = self._losses.setdefault(batch.session, {})
        for event in going:
            loss = losses.get(event.symbol)
            if loss is None:
                loss = losses[event.symbol] = _Loss(event.provider, start, batch.epoch)
            loss.start = min(loss.start, start)  # what is conflated later may have come earlier
            loss.through = max(loss.through, number)
            loss.count += 1
        self.dropped += len(going)
