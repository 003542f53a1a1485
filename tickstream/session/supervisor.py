"""All sessions of a run, with however many providers: one thread each, one stop for all, one queue, which is closed
when the last session has ended."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Party(NamedTuple):
    """The connections to one provider."""

    context: SessionContext
    feeds: Sequence[Feed]


class Supervisor:
    """Starts, stops and watches the sessions, which are numbered through from 1. `statuses` are live.

    The contexts of all parties share one `stop` and one clock.
    """

    def __init__(
        self, parties: Sequence[Party], queue: BatchQueue, retry: RetryOptions, rng: random.Random | None = None
    ) -> None:
        self._stop, self._clock = parties[0].context.stop, parties[0].context.clock
        self._queue = queue
        each = [(party.context, feed) for party in parties for feed in party.feeds]
        self._titles = {party.context.spec.name: party.context.spec.title for party in parties}
        self._running = len(each)
        self._lock = threading.Lock()
        self._error: TickstreamError | None = None
        self.crash: BaseException | None = None
        """The first bug that ended a session's thread."""
        rng = rng or random.Random()
        self.statuses = [
            SessionStatus(context.spec.name, number, feed.subscription.symbols)
            for number, (context, feed) in enumerate(each, 1)
        ]
        self.sessions = [
            Session(context, feed, status, Outbox(queue), RetryPolicy(retry, rng, context.spec.reconnect_s))
            for (context, feed), status in zip(each, self.statuses, strict=True)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(session, status.provider), name=f"session-{number}", daemon=True)
            for number, (session, status) in enumerate(zip(self.sessions, self.statuses, strict=True), 1)
        ]

    def start(self) -> None:
        """Start one thread per session."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell every session to say goodbye and end. Returns at once."""
        self._stop.set()
        for session in self.sessions:
            session.wake()

    def resubscribe(self, session: int, epoch: int, symbol: str) -> None:
        """The book of a symbol is wrong: have that connection begin it anew. Returns at once, from any thread."""
        self.sessions[session - 1].resubscribe(symbol, epoch)

    def join(self, seconds: float) -> bool:
        """Wait for the threads, `seconds` at the most in all; True when all have ended."""
        deadline = self._clock.monotonic() + seconds
        for thread in self._threads:
            if thread.is_alive():  # not before it was started, either
                thread.join(max(0.0, deadline - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def error(self) -> TickstreamError | None:
        """The first error that ended a session, and with it the run. Refused symbols end only their own session,
        unless every session ended so."""
        if self._error is None and self._running == 0:
            refused = [session.error for session in self.sessions if isinstance(session.error, SymbolRefused)]
            return refused[0] if refused and len(refused) == len(self.sessions) else None
        return self._error

    def _run(self, session: Session, provider: str) -> None:
        try:
            session.run()
        except BaseException as bug:  # noqa: BLE001 - it is re-raised in the main thread
            self.crash = self.crash or bug
        if session.error is not None:
            self._name(session.error, self._titles[provider])
        with self._lock:
            self._running -= 1
            if self._error is None and not isinstance(session.error, SymbolRefused):
                self._error = session.error
            last = self._running == 0
        if self._error is not None or self.crash is not None:
            self.stop()
        if last:
            self._queue.close()

    def _name(self, error: TickstreamError, title: str) -> None:
        """Have an error say whose it is, where that is not plain: what the network does names a host at the most."""
        if len(self._titles) > 1 and title not in error.message:
            error.message = f"{title}: {error.message}"
