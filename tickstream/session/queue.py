"""The bounded queue of batches between the sessions and the main thread.

Bounded in bytes received. What happens when it is full is the user's choice (`--on-full`): `block` says so to the
session, which goes on answering pings; `drop-oldest` and `conflate` make room, count what went, and mark the place
with a gap. Stream events (session, notice, gap) are never dropped and never blocked.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import StrEnum

import msgspec

from tickstream.events import Batch, Event, Gap, GapReason, MarketEvent
from tickstream.timestamps import Timestamp

DEFAULT_BYTES = 2 * 2**20


class OnFull(StrEnum):
    """What to do when the reader of the output is slower than the feed."""

    BLOCK = "block"
    DROP_OLDEST = "drop-oldest"
    CONFLATE = "conflate"


class _Loss(msgspec.Struct):
    """Market events of one session that went since the last batch was handed out."""

    provider: str
    start: Timestamp
    epoch: int
    count: int = 0
    symbols: dict[str, None] = {}


class BatchQueue:
    """Many sessions put, one thread gets."""

    def __init__(self, on_full: OnFull = OnFull.BLOCK, max_bytes: int = DEFAULT_BYTES) -> None:
        self._batches: deque[Batch] = deque()
        self._bytes = 0
        self._max_bytes = max_bytes
        self._on_full = on_full
        self._changed = threading.Condition()  # re-entrant: a signal handler may call `wake`
        self._space = threading.Condition(self._changed._lock)  # type: ignore[attr-defined]  # noqa: SLF001 - one lock, two conditions
        self._closed = False
        self._woken = False
        self._losses: dict[int, _Loss] = {}
        self._last_out: dict[int, Timestamp] = {}
        self.dropped = 0

    def offer(self, batch: Batch) -> bool:
        """Add a batch; False when it is full under `block`: keep it and try again after `wait_for_space`."""
        with self._changed:
            if self._bytes and self._bytes + batch.size > self._max_bytes:
                if self._on_full is OnFull.BLOCK and batch.size:
                    return False
                self._make_room(batch)
            self._batches.append(batch)
            self._bytes += batch.size
            self._changed.notify()
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
            if not self._batches:
                return None
            batch = self._batches.popleft()
            self._bytes -= batch.size
            self._space.notify_all()
            return self._marked(batch)

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

        Returns how many market events were thrown away.
        """
        with self._changed:
            waiting = sum(isinstance(event, MarketEvent) for batch in self._batches for event in batch.events)
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

    def _marked(self, batch: Batch) -> Batch:
        """Put the gap of what was dropped before this batch in front of it."""
        loss = self._losses.pop(batch.session, None)
        if loss is not None:
            reason: GapReason = "conflated" if self._on_full is OnFull.CONFLATE else "dropped"
            gap = Gap(
                loss.provider,
                tuple(loss.symbols),
                reason,
                loss.start,
                batch.ts_recv,
                batch.session,
                loss.epoch,
                loss.count,
            )
            batch.events = [gap, *batch.events]
        self._last_out[batch.session] = batch.ts_recv
        return batch

    def _make_room(self, incoming: Batch) -> None:
        if self._on_full is OnFull.CONFLATE:
            self._conflate()
        else:
            needed = self._bytes + incoming.size - self._max_bytes
            for batch in list(self._batches):
                if needed <= 0:
                    break
                needed -= batch.size
                self._empty(batch, keep=set())

    def _conflate(self) -> None:
        """Keep the latest event of each symbol and kind; all others go."""
        latest: set[int] = set()
        seen: set[tuple[type[Event], str]] = set()
        for batch in reversed(self._batches):
            for event in reversed(batch.events):
                if isinstance(event, MarketEvent) and (type(event), event.symbol) not in seen:
                    seen.add((type(event), event.symbol))
                    latest.add(id(event))
        for batch in list(self._batches):
            self._empty(batch, keep=latest)

    def _empty(self, batch: Batch, keep: set[int]) -> None:
        """Take the market events out of a waiting batch, but for those to keep, and remember what went."""
        going = [e for e in batch.events if isinstance(e, MarketEvent) and id(e) not in keep]
        if going:
            start = self._last_out.get(batch.session, batch.ts_recv)
            loss = self._losses.setdefault(batch.session, _Loss(going[0].provider, start, batch.epoch))
            loss.count += len(going)
            loss.symbols.update(dict.fromkeys(e.symbol for e in going))
            self.dropped += len(going)
            gone = {id(e) for e in going}
            if len(batch.payloads) == sum(isinstance(e, MarketEvent) for e in batch.events):
                kept = iter(batch.payloads)
                batch.payloads = [
                    p
                    for e, p in zip((e for e in batch.events if isinstance(e, MarketEvent)), kept, strict=True)
                    if id(e) not in gone
                ]
            elif not keep:
                batch.payloads = []
            batch.events = [e for e in batch.events if id(e) not in gone]
        remaining = sum(isinstance(e, MarketEvent) for e in batch.events)
        self._bytes -= batch.size
        batch.size = min(batch.size, remaining * 256)
        self._bytes += batch.size
        if not batch.events:
            self._batches.remove(batch)
