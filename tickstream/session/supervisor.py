"""All sessions of a run: one thread each, one stop for all, and the queue closed when the last one has ended."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import msgspec

from tickstream.errors import SymbolRefused, TickstreamError
from tickstream.providers.base import Feed
from tickstream.session.context import SessionContext
from tickstream.session.outbox import Outbox
from tickstream.session.queue import BatchQueue
from tickstream.session.retry import RetryOptions, RetryPolicy
from tickstream.session.session import Session
from tickstream.status import SessionStatus


def split(feed: Feed, connections: int, group_of: Callable[[str], str] | None = None) -> list[Feed]:
    """One feed per connection, symbols round robin; so many for each group, where groups cannot share a connection."""
    groups: dict[str, list[str]] = {}
    for symbol in feed.subscription.symbols:
        groups.setdefault(group_of(symbol) if group_of else "", []).append(symbol)
    wanted = [msgspec.structs.replace(feed.subscription, symbols=tuple(group)) for group in groups.values()]
    shards = [shard for group in wanted for shard in group.shards(connections)]
    return [
        msgspec.structs.replace(feed, subscription=shard, shard=number, shards=len(shards))
        for number, shard in enumerate(shards)
    ]


class Supervisor:
    """Starts, stops and watches the sessions. `statuses` are live."""

    def __init__(
        self,
        context: SessionContext,
        feeds: list[Feed],
        queue: BatchQueue,
        retry: RetryOptions,
        rng: random.Random | None = None,
    ) -> None:
        self._context = context
        self._queue = queue
        self._running = len(feeds)
        self._lock = threading.Lock()
        self._error: TickstreamError | None = None
        self.crash: BaseException | None = None
        """The first bug that ended a session's thread."""
        rng = rng or random.Random()
        self.statuses = [
            SessionStatus(context.spec.name, number, feed.subscription.symbols) for number, feed in enumerate(feeds, 1)
        ]
        self.sessions = [
            Session(context, feed, status, Outbox(queue), RetryPolicy(retry, rng, context.spec.reconnect_s))
            for feed, status in zip(feeds, self.statuses, strict=True)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(session,), name=f"session-{number}", daemon=True)
            for number, session in enumerate(self.sessions, 1)
        ]

    def start(self) -> None:
        """Start one thread per session."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell every session to say goodbye and end. Returns at once."""
        self._context.stop.set()
        for session in self.sessions:
            session.wake()

    def resubscribe(self, session: int, epoch: int, symbol: str) -> None:
        """The book of a symbol is wrong: have that connection begin it anew. Returns at once, from any thread."""
        self.sessions[session - 1].resubscribe(symbol, epoch)

    def join(self, seconds: float) -> bool:
        """Wait for the threads, `seconds` at the most in all; True when all have ended."""
        clock = self._context.clock
        deadline = clock.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():  # not before it was started, either
                thread.join(max(0.0, deadline - clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def error(self) -> TickstreamError | None:
        """The first error that ended a session, and with it the run. Refused symbols end only their own session,
        unless every session ended so."""
        if self._error is None and self._running == 0:
            refused = [session.error for session in self.sessions if isinstance(session.error, SymbolRefused)]
            return refused[0] if refused and len(refused) == len(self.sessions) else None
        return self._error

    def _run(self, session: Session) -> None:
        try:
            session.run()
        except BaseException as bug:  # noqa: BLE001 - it is re-raised in the main thread
            self.crash = self.crash or bug
        with self._lock:
            self._running -= 1
            if self._error is None and not isinstance(session.error, SymbolRefused):
                self._error = session.error
            last = self._running == 0
        if self._error is not None or self.crash is not None:
            self.stop()
        if last:
            self._queue.close()
