"""How long to wait before the next attempt. Pure: randomness comes in, seconds come out.

* `Backoff`: exponential with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015): a uniform
  draw up to a ceiling that grows from 1 s to 60 s, so that a thousand clients do not come back in the same second.
* `hold_delays`: the long, slow schedule for an error that only another connection's end can mend.
* `restart_delay`: what a server that restarts asks for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

BASE_S = 1.0
CAP_S = 60.0
FLOOR_S = 0.25
FACTOR = 2.0
MAX_FACTOR = 10.0

RETRY_AFTER_CAP_S = 3600.0
"""No server makes us wait longer than this (plus jitter)."""
RETRY_AFTER_JITTER = 0.1
RATE_LIMITED_S = 30.0
"""The least wait after HTTP 429 or close code 1013."""
RESTART_S = (5.0, 30.0)
"""After close code 1012 ("service restart"): the delay its registration with IANA asks clients to draw from."""

HOLD_SCHEDULE_S = (30.0, 60.0, 120.0, 300.0)
HOLD_JITTER = 0.2
HOLD_TRIES = 10


class Backoff:
    """Delays between attempts, in seconds. `reset` it when data flowed again.

    Raises ValueError unless 0 <= floor <= base <= cap, base > 0, and the factor is above 1 and at most 10.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        base_s: float = BASE_S,
        cap_s: float = CAP_S,
        floor_s: float = FLOOR_S,
        factor: float = FACTOR,
    ) -> None:
        if not (0 <= floor_s <= base_s <= cap_s and base_s > 0):
            raise ValueError(f"not 0 <= floor ({floor_s}) <= base ({base_s}) <= cap ({cap_s}), base > 0")
        if not 1 < factor <= MAX_FACTOR:
            raise ValueError(f"the factor {factor} is not above 1 and at most {MAX_FACTOR}")
        self._rng = rng
        self._base_s = base_s
        self._cap_s = cap_s
        self._floor_s = floor_s
        self._factor = factor
        self._was_stable = False
        self.ceiling_s = base_s
        """The most that the next delay can be, without what a server asks for. No randomness in it."""

    def next(self, retry_after_s: float | None = None, *, rate_limited: bool = False) -> float:
        """The next delay. `retry_after_s` is what the server asked for: a minimum, capped at one hour, plus 0-10 %.

        `rate_limited`: the server said that we ask too often; 30 s is the least then, unless it named another time.
        """
        floor = 0.0 if self._was_stable else self._floor_s
        delay = self._rng.uniform(floor, self.ceiling_s)
        self._grow()
        if rate_limited and retry_after_s is None:
            retry_after_s = RATE_LIMITED_S
        minimum = min(retry_after_s or 0.0, RETRY_AFTER_CAP_S)
        return max(delay, minimum * (1 + self._rng.uniform(0, RETRY_AFTER_JITTER)))

    def reset(self, *, stable: bool = True) -> None:
        """Begin anew. After a `stable` connection the first retry comes almost at once (0 to 1 s)."""
        self.ceiling_s = self._base_s
        self._was_stable = stable

    def _grow(self) -> None:
        self.ceiling_s = min(self._cap_s, self.ceiling_s * self._factor)
        self._was_stable = False


def restart_delay(rng: random.Random) -> float:
    """Seconds to wait when the server closed with 1012 ("service restart")."""
    return rng.uniform(*RESTART_S)


def hold_delays(rng: random.Random) -> Iterator[float]:
    """Ten delays in seconds: 30, 60, 120, then 300, each +-20 %. For an error that only another connection's end
    mends (`connection_limit`); when they are used up, it is time to give up."""
    for attempt in range(HOLD_TRIES):
        delay = HOLD_SCHEDULE_S[min(attempt, len(HOLD_SCHEDULE_S) - 1)]
        yield delay * rng.uniform(1 - HOLD_JITTER, 1 + HOLD_JITTER)
