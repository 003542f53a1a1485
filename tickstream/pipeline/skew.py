"""Notice that our clock and the provider's differ: candles that are complete before they can be.

Pure. A candle that opens at `ts_event` is complete an interval later; received more than 5 s before that, by the median
of the last hundred samples, either clock is wrong. Lateness says nothing: it may be delay. Nothing is reordered.
"""

from __future__ import annotations

from collections import deque

from tickstream.events import Bar, Batch, Event, Notice
from tickstream.timestamps import NS_PER_SECOND, Timestamp

LIMIT_NS = 5 * NS_PER_SECOND
SAMPLES = 100
ENOUGH = 5
"""So many samples, a second apart at least, say enough to speak."""


class SkewStage:
    """Adds one `clock_skew` notice to a run, behind the data that proves it. `bar_interval_s` None: does nothing."""

    def __init__(self, provider: str, bar_interval_s: int | None) -> None:
        self._provider = provider
        self._interval_ns = (bar_interval_s or 0) * NS_PER_SECOND
        self._ahead_ns: deque[int] = deque(maxlen=SAMPLES)
        self._next_sample = 0
        self._done = bar_interval_s is None

    def process(self, batch: Batch) -> Batch:
        """Take a sample, one a second at most."""
        if self._done or batch.ts_recv < self._next_sample or not batch.events:
            return batch
        last = batch.events[-1]
        if not isinstance(last, Bar) or last.ts_event is None:
            return batch
        self._next_sample = batch.ts_recv + NS_PER_SECOND
        self._ahead_ns.append(last.ts_event + self._interval_ns - batch.ts_recv)
        median = sorted(self._ahead_ns)[len(self._ahead_ns) // 2]
        if len(self._ahead_ns) >= ENOUGH and median > LIMIT_NS:
            self._done = True
            batch.events = [*batch.events, self._notice(batch.ts_recv, median)]
            batch.market_only = False
        return batch

    def finish(self, now: Timestamp) -> list[Event]:  # noqa: ARG002 - a Stage is told the time
        """Nothing more to say."""
        return []

    def _notice(self, ts: Timestamp, ahead_ns: int) -> Notice:
        seconds = ahead_ns / NS_PER_SECOND
        message = (
            f"candles come {seconds:.0f} s before they can be complete: this machine's clock or the provider's is off"
        )
        return Notice(self._provider, ts, "clock_skew", message)
