"""The market thread: takes items out of the market as they become complete, and posts them to the clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tickstream.simulator.connection import Connection, Shared
from tickstream.simulator.market import DAY_NS, Item, MarketSource
from tickstream.simulator.outgoing import Ending, Round
from tickstream.simulator.pace import MarketClock, RealTime

ROUND = 2_048
"""Items of one round, about."""
MAX_BACKLOG = 200_000
"""Pushes that wait for a client before it is given up as too slow."""
RACE_BACKLOG = 2 * ROUND
"""In a race the market waits for a client that is so many pushes behind."""
PATIENCE_S = 30.0
"""It waits so long for a client that takes nothing at all; then that client is disconnected."""
NAP_S = 0.002
"""The shortest sleep: at high speed several steps make one round."""
FAR_NS = 1 << 62
"""Later than every item."""

TOO_SLOW = Ending(1008, "too slow")


class Broadcaster:
    """Runs a market for an audience. `run` is a thread's body; it ends when the simulator stops, or the market ends.

    `start` is called when the market begins, and gives its clock and the open of its first item. Without a clock
    it is a race: all items are due, and the market goes on as fast as the slowest subscriber reads. A market that
    `waits` begins with the first subscription.
    """

    def __init__(
        self,
        source: MarketSource,
        shared: Shared,
        *,
        start: Callable[[], tuple[MarketClock | None, int]],
        audience: Callable[[], Sequence[Connection]],
        to_round: Callable[[Sequence[Item]], Round],
        at_end: Callable[[Connection], None],
        waits: bool,
    ) -> None:
        self._source = source
        self._changed = shared.changed
        self._stopping = shared.stopping
        self._start = start
        self._audience = audience
        self._to_round = to_round
        self._at_end = at_end
        self._waits = waits
        self._skip_ns = 0

    def skip(self, ns: int) -> None:
        """Let the market jump forward: all of this time is due at once."""
        with self._changed:
            self._skip_ns += ns
            self._changed.notify_all()

    def run(self) -> None:
        """Until the end."""
        if self._waits:
            self._wait_until(lambda: bool(self._subscribers()))
        clock, position = self._start()
        while not self._stopping.is_set():
            opens = self._source.next_open(position)
            if opens is None:
                for client in self._audience():
                    self._at_end(client)
                return
            due_ns = self._wait_paced(clock, opens) if clock is not None else self._wait_race()
            if opens < due_ns:
                position = self._send(opens, due_ns)

    def _wait_paced(self, clock: MarketClock, opens: int) -> int:
        """Wait for the item that opens then, or for news. Returns before when the complete items open."""
        step_ns = self._source.step_ns
        with self._changed:
            clock.skip(self._skip_ns)
            self._skip_ns = 0
            now = RealTime(time.monotonic(), time.time_ns())
            due_ns = clock.market_ns(now) - step_ns + 1
            if opens >= due_ns:
                self._changed.wait(min(max(NAP_S, clock.seconds_until(opens + step_ns, now)), 3600.0))
            return due_ns

    def _wait_race(self) -> int:
        """Wait until no subscriber is far behind."""
        self._wait_until(lambda: bool(self._subscribers()))
        pushes = {client: client.pushes for client in self._behind()}
        if not pushes:
            return FAR_NS
        if not self._wait_until(lambda: not self._behind(), PATIENCE_S):
            for client in self._behind():
                if client.pushes == pushes.get(client):
                    client.end(TOO_SLOW)
        return 0

    def _behind(self) -> list[Connection]:
        return [client for client in self._subscribers() if client.mailbox.backlog >= RACE_BACKLOG]

    def _send(self, opens: int, due_ns: int) -> int:
        """Post the items that open from there until `due_ns`, of one market day. Returns where to go on."""
        step_ns = self._source.step_ns
        midnight_ns = ((opens + step_ns) // DAY_NS + 1) * DAY_NS
        clients = self._subscribers()
        symbols = frozenset[str]().union(*(client.symbols for client in clients))
        items, position = self._source.items(opens, min(due_ns, midnight_ns - step_ns), symbols, ROUND)
        if items:
            due = self._to_round(items)
            for client in clients:
                if client.mailbox.post(due) > MAX_BACKLOG:
                    client.end(TOO_SLOW)
        return position

    def _subscribers(self) -> list[Connection]:
        return [client for client in self._audience() if client.symbols]

    def _wait_until(self, true: Callable[[], bool], seconds: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._stopping.is_set() or true(), seconds)
