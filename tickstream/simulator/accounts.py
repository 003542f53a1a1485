"""Keys and credits: what a provider that has them keeps about its customers. Time is an argument.

Shared by all connections, so everything here is thread-safe.
"""

from __future__ import annotations

import threading
from collections import Counter

from tickstream.credits import Plan


class Account:
    """One key: its connections and what is left of its day. All days are counted from 1970, in market time."""

    def __init__(self, plan: Plan, quota: int | None, reset_after_s: float | None) -> None:
        self.plan = plan
        self.connections = 0
        self._quota = quota
        self._remaining = quota
        self._reset_after_s = reset_after_s
        self._empty_since: float | None = None
        self._day = -1
        self._lock = threading.Lock()

    def remaining(self, day: int, now: float) -> int | None:
        """Credits left; None means unlimited. `now` is monotonic seconds."""
        with self._lock:
            self._turn(day, now)
            return self._remaining

    def charge(self, pushes: int, day: int, now: float) -> int:
        """Pay for so many pushes; returns for how many the credits were enough."""
        with self._lock:
            self._turn(day, now)
            cost = self.plan.credits_per_push
            if self._remaining is None or not cost:
                return pushes
            paid = min(pushes, self._remaining // cost)
            self._remaining -= paid * cost
            if self._remaining < cost and self._empty_since is None:
                self._empty_since = now
            return paid

    def exhaust(self, now: float) -> None:
        """The day's credits are gone."""
        with self._lock:
            self._remaining = 0
            self._empty_since = now

    @property
    def exhausted(self) -> bool:
        """True when one more push cannot be paid."""
        return self._remaining is not None and self._remaining < max(1, self.plan.credits_per_push)

    def _turn(self, day: int, now: float) -> None:
        new_day = 0 <= self._day < day
        self._day = max(day, self._day)
        waited = None if self._empty_since is None or self._reset_after_s is None else now - self._empty_since
        if new_day or (waited is not None and waited >= (self._reset_after_s or 0.0)):
            self._remaining = self._quota
            self._empty_since = None


class Accounts:
    """All keys. Without `keys` every key is accepted, all on the same plan, with so many `connections` each.

    `quota` is in credits a day, None for unlimited. `reset_after_s` lets an empty account go on after so many real
    seconds, in addition to midnight.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        keys: tuple[str, ...] = (),
        quota: int | None = None,
        reset_after_s: float | None = None,
        connections: int = 2,
    ) -> None:
        self._plan = plan
        self._connections = connections
        self._keys = frozenset(keys)
        self._quota = quota
        self._reset_after_s = reset_after_s
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()
        self.day = 0
        """The market's day now, for accounts that are looked at between pushes."""

    def find(self, key: object) -> Account | None:
        """The account of a key; None when the key is not accepted."""
        if not isinstance(key, str) or not key or (self._keys and key not in self._keys):
            return None
        with self._lock:
            if key not in self._accounts:
                self._accounts[key] = Account(self._plan, self._quota, self._reset_after_s)
            return self._accounts[key]

    def enter(self, account: Account) -> bool:
        """Take one of the key's connections; False when all are taken."""
        with self._lock:
            if account.connections >= self._connections:
                return False
            account.connections += 1
            return True

    def leave(self, account: Account) -> None:
        """Give the connection back."""
        with self._lock:
            account.connections -= 1


class Slots:
    """So many connections for each place (a key, perhaps at an endpoint), and when a key asked for something last."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._taken: Counter[tuple[str, str]] = Counter()
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()

    def enter(self, place: tuple[str, str]) -> bool:
        """Take a connection; False when all are taken."""
        with self._lock:
            if self._taken[place] >= self._connections:
                return False
            self._taken[place] += 1
            return True

    def leave(self, place: tuple[str, str]) -> None:
        """Give it back."""
        with self._lock:
            self._taken[place] -= 1

    def asked(self, key: str, now: float) -> float:
        """The key asks now; returns how many seconds ago it did so last."""
        with self._lock:
            before = self._asked.get(key, float("-inf"))
            self._asked[key] = now
            return now - before
