"""A capture as the source of a run: its events when their time comes, at any speed."""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec

from tickstream.capture.playback import Stretch
from tickstream.clock import Clock
from tickstream.errors import TickstreamError
from tickstream.events import MARKET_TYPES, Batch, Event, Notice
from tickstream.timestamps import NS_PER_SECOND, Timestamp

AT_ONCE = 1024
"""Events of a batch, at the most: so a signal is noticed soon, however fast it goes."""
LOOK_S = 0.02
"""How late a `wake` is noticed at the worst. It sets no Event: in a signal handler that could lock up the thread."""
SAID = 10
"""Bad lines that are told one by one."""


class Pace(msgspec.Struct, frozen=True):
    """How fast: `speed` times as fast as it happened, and never waiting longer than `longest_wait_s` (real seconds)."""

    speed: float = 1.0
    """math.inf: as fast as the output takes it."""
    longest_wait_s: float | None = None


class Player:
    """Hands out batches as a session's queue does; see `cli.source.Source`. All calls come from one thread.

    `provider` is whose data it is, for what is to be said about bad lines.
    """

    def __init__(self, stretches: Iterator[Stretch], clock: Clock, pace: Pace, provider: str) -> None:
        self._stretches = stretches
        self._clock = clock
        self._pace = pace
        self._provider = provider
        self._events: Sequence[Event] = ()
        self._moments: Sequence[int] = ()
        self._payloads: Sequence[Sequence[bytes]] = ()
        self._at = 0
        self._anchor: tuple[float, int] | None = None
        """A monotonic time, and the moment that was played then."""
        self._last: tuple[float, int] | None = None
        """The same of the last event."""
        self._news: list[Event] = []
        self._bad = 0
        self._ended = self._woken = False
        self._never = threading.Event()
        self.error: BaseException | None = None
        self.dropped = 0
        self.paused = False

    def start(self) -> None:
        """Nothing is read before the first `get`."""

    def get(self, seconds: float) -> Batch | None:
        """The next events whose time has come; None after `seconds` without any, when woken, or at the end."""
        until = self._clock.monotonic() + seconds
        while self._ready():
            now = self._clock.monotonic()
            if self._news or self._due(now) <= now:
                return self._batch(now)
            if self._woken or now >= until:
                break
            self._clock.wait(self._never, min(self._due(now) - now, until - now, LOOK_S))
        self._woken = False
        return None

    def wake(self) -> None:
        """Make a waiting `get` return within `LOOK_S`."""
        self._woken = True

    def stop(self) -> None:
        """Nothing is under way: what has not been played stays in the files."""
        self._ended = True
        self._events, self._moments, self._payloads, self._at, self._news = (), (), (), 0, []

    def discard(self) -> int:
        """Stop; nothing is lost."""
        self.stop()
        return 0

    @property
    def done(self) -> bool:
        """True at the end of the files, and after a stop."""
        return not self._ready()

    def now_ns(self) -> Timestamp:
        """How far the replay is, in the time of the capture."""
        if self._last is None:
            return Timestamp(self._moments[self._at]) if self._ready() and self._moments else self._clock.now_ns()
        at, moment = self._last
        if math.isinf(self._pace.speed):
            return Timestamp(moment)
        gone_ns = round((self._clock.monotonic() - at) * self._pace.speed * NS_PER_SECOND)
        ahead = self._moments[self._at] if self._moments else moment
        return Timestamp(min(moment + gone_ns, max(moment, ahead)))

    # --- what comes next ----------------------------------------------------------------------------------------------

    def _ready(self) -> bool:
        """Whether there is something to hand out, now or later. Reads on where needed."""
        while not self._ended and not self._moments and not self._news:
            try:
                stretch = next(self._stretches, None)
            except TickstreamError as error:
                self.error, stretch = error, None
            if stretch is None:
                self._ended = True
                self._tell_the_rest()
                break
            self._complain(stretch)
            self._events, self._moments, self._at = stretch.events, stretch.moments, 0
            self._payloads = stretch.payloads
        return bool(self._moments or self._news)

    def _due(self, now: float) -> float:
        """When the next event is to be played, monotonic seconds; now, if that has passed."""
        if math.isinf(self._pace.speed):
            return now
        moment = self._moments[self._at]
        if self._anchor is None:
            self._anchor = (now, moment)
        began, first = self._anchor
        due = began + (moment - first) / NS_PER_SECOND / self._pace.speed
        longest = self._pace.longest_wait_s
        if longest is not None and self._last is not None and due > self._last[0] + longest:
            due = self._last[0] + longest
            self._anchor = (due, moment)
        return due

    def _batch(self, now: float) -> Batch:
        """Everything whose time has come, but no more than is good at once."""
        events: list[Event] = list(self._news)
        payloads: list[bytes] = []
        self._news.clear()
        moment = self.now_ns() if self._last is None else self._last[1]
        while len(events) < AT_ONCE and self._moments and self._due(now) <= now:
            end = min(self._played_until(now), self._at + AT_ONCE - len(events))
            events += self._events[self._at : end]
            payloads += chain.from_iterable(self._payloads[self._at : end])
            moment = self._moments[end - 1]
            self._last = (now, moment)
            self._at = end
            if end == len(self._moments):
                self._moments = ()
                if len(events) < AT_ONCE:
                    self._ready()
        market_only = MARKET_TYPES.issuperset(map(type, events))
        return Batch(1, 1, Timestamp(moment), events, payloads, market_only=market_only)

    def _played_until(self, now: float) -> int:
        """The place behind the last event of this stretch whose time has come; the next one's has."""
        if self._anchor is None:
            return len(self._moments)
        began, first = self._anchor
        position = first + round((now - began) * self._pace.speed * NS_PER_SECOND)
        return max(self._at + 1, bisect_right(self._moments, position, self._at))

    # --- what is wrong with the files ---------------------------------------------------------------------------------

    def _complain(self, stretch: Stretch) -> None:
        for line in stretch.bad:
            self._bad += 1
            if self._bad <= SAID:
                self._news.append(self._notice(str(line)))

    def _tell_the_rest(self) -> None:
        if self._bad > SAID:
            self._news.append(self._notice(f"{self._bad - SAID:,} more lines that cannot be used"))

    def _notice(self, message: str) -> Notice:
        moment = self._clock.now_ns() if self._last is None else Timestamp(self._last[1])
        return Notice(self._provider, moment, "bad_line", message[:400])


class ReplayClock:
    """The time of the capture: `now_ns` is how far the player is. All else is the clock behind it."""

    def __init__(self, clock: Clock, player: Player) -> None:
        self.now_ns = player.now_ns
        self.monotonic = clock.monotonic
        self.boottime = clock.boottime
        self.wait = clock.wait
