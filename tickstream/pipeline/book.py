"""Order books along the stream: kept from snapshots and updates, thinned out to snapshots at an interval, never wrong.

A book that contradicts itself, or whose updates were dropped on the way, is withheld until a new snapshot comes: the
stage asks for one, and says the time between as a gap. It stands before the stage that counts gaps. Time is that of the
data, and what is due by the clock while none comes is told by `due`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from tickstream.events import Batch, BookSnapshot, BookUpdate, Event, Gap, Glimpses, MarketEvent, Notice, only_market
from tickstream.order_book import OrderBook
from tickstream.pipeline.gaps import INTERRUPTING_NOTICES
from tickstream.timestamps import NS_PER_SECOND, Timestamp

CHECKSUM_NOTICE = "book_checksum"
"""A provider's protocol says so of a book whose checksum was wrong; it asks for a new one itself."""
BROKEN_NOTICE = "book_broken"
WITHOUT_NOTICE = "book_without_snapshot"
SNAPSHOT_WITHIN_NS = 10 * NS_PER_SECOND
"""After the first update of a book, where nothing is known of it yet."""

FIRST_WAIT_NS = NS_PER_SECOND
LONGEST_WAIT_NS = 60 * NS_PER_SECOND
"""From one request for the same book to the next: doubled each time, until a book has held so long."""


class BookRequest(NamedTuple):
    """The book of a symbol has to begin anew on this connection. Another connection has begun it anew already."""

    session: int
    epoch: int
    symbol: str


class _Track(msgspec.Struct):
    """One symbol's book."""

    session: int
    provider: str
    symbol: str
    book: OrderBook
    good: bool = False
    """It is the market's book."""
    broken_since: Timestamp | None = None
    """The last good moment before it was found to be wrong."""
    good_since: Timestamp = Timestamp(0)
    changed: bool = False
    """Something is new since it was last shown."""
    ts_event: Timestamp | None = None
    ts_recv: Timestamp = Timestamp(0)
    sequence: int | None = None
    canonical: str | None = None
    """These four are of the last event that went into it."""
    waits_since: Timestamp | None = None
    """The first update for which there was no book."""
    next_request: int = 0
    wait_ns: int = FIRST_WAIT_NS


class BookStage:
    """Without `every_ns` all events pass but those of a book that is wrong.

    With it, updates end here: of each book that has changed a snapshot of the `depth` best levels (None: all) is given
    every so many nanoseconds, and at once when it is new. `withheld` counts the events left out because there was no
    good book to put them into.

    `recorded`: the stream was recorded behind such a stage. A gap in it tells what was missing, so no other one is made
    of it, and there is nobody to ask. `raw`: the output is the provider's messages, of which none is left out: a wrong
    book is only told and asked for anew.
    """

    def __init__(
        self, *, every_ns: int | None = None, depth: int | None = None, recorded: bool = False, raw: bool = False
    ) -> None:
        self._every_ns = every_ns
        self._depth = depth
        self._recorded = recorded
        self._raw = raw
        self._tracks: dict[tuple[int, str], _Track] = {}
        self._epochs: dict[int, int] = {}
        self._next_show: dict[int, int] = {}
        self._requests: dict[tuple[int, str], None] = {}
        self.withheld = 0

    def process(self, batch: Batch) -> Batch:
        """Put the book events of a batch into their books."""
        out: list[Event] = []
        if self._epochs.get(batch.session) != batch.epoch:
            self._epochs[batch.session] = batch.epoch
            out += self._begin_anew(batch.session)
        if isinstance(batch.events, Glimpses):  # of which nobody knows the levels
            return batch
        timed = self._every_ns is not None
        passed = 0 if timed else self._pass_on(batch)
        if not out and passed == len(batch.events):
            return batch
        out += batch.events[:passed]
        for event in batch.events[passed:]:
            if isinstance(event, BookUpdate):
                out += self._due(batch.session, event.ts_recv) if timed else ()
                out += self._update(self._track(batch.session, event), event)
            elif isinstance(event, BookSnapshot):
                out += self._due(batch.session, event.ts_recv) if timed else ()
                out += self._snapshot(self._track(batch.session, event), event)
            else:
                out.append(event)
                out += self._hear(batch, event)
        out += self._due(batch.session, batch.ts_recv)
        batch.events = out
        batch.market_only = batch.market_only and only_market(out)
        return batch

    def finish(self, now: Timestamp) -> list[Event]:
        """The run ends: the last state of the books that have changed, and the gaps of those that are wrong."""
        out: list[Event] = []
        for session in self._epochs if self._every_ns is not None else ():
            out += self._shown(session)
        for track in self._tracks.values():
            out += self._end_of_gap(track, now)
        return out

    def due(self, now: Timestamp) -> list[Batch]:
        """What is to be shown by the clock, though no data has come: a batch for each session."""
        batches = []
        for session, epoch in self._epochs.items() if self._every_ns is not None else ():
            if events := self._due(session, now):
                latest = max(event.ts_recv for event in events)
                batches.append(Batch(session, epoch, latest, events, market_only=True))
        return batches

    def take_requests(self) -> list[BookRequest]:
        """What has to be subscribed to anew. Each book is named once."""
        if not self._requests:
            return []
        requests, self._requests = list(self._requests), {}
        return [BookRequest(session, self._epochs[session], symbol) for session, symbol in requests]

    def books(self) -> dict[str, OrderBook]:
        """The books that are good now, by symbol: to look at, not to change."""
        return {track.symbol: track.book for track in self._tracks.values() if track.good}

    def _begin_anew(self, session: int) -> list[Event]:
        """A new connection begins with new snapshots. What is shown at intervals is shown a last time as it was."""
        out: list[Event] = []
        for track in self._of(session):
            if track.good and track.changed and self._every_ns is not None:
                out.append(self._show(track))
            track.good, track.waits_since = False, None
            self._requests.pop((session, track.symbol), None)
        return out

    # --- book events -------------------------------------------------------------------------------------------

    def _track(self, session: int, event: BookSnapshot | BookUpdate) -> _Track:
        key = session, event.symbol
        track = self._tracks.get(key)
        if track is None:
            track = self._tracks[key] = _Track(session, event.provider, event.symbol, OrderBook())
        return track

    def _of(self, session: int) -> list[_Track]:
        return [track for track in self._tracks.values() if track.session == session]

    def _pass_on(self, batch: Batch) -> int:
        """How many of the first events are updates that leave good books good: mostly all. Their books have them then.

        The one after them may be in its book, too. To take it again changes nothing: sizes are whole sizes.
        """
        books: dict[str, OrderBook] = {}
        last: dict[str, BookUpdate] = {}
        passed = 0
        for event in batch.events:
            if not isinstance(event, BookUpdate):
                break
            symbol = event.symbol
            book = books.get(symbol)
            if book is None:
                track = self._track(batch.session, event)
                if not track.good:
                    break
                book = books[symbol] = track.book
            try:
                if not book.apply(event.bids, event.asks):
                    break
            except ValueError:
                break
            last[symbol] = event
            passed += 1
        for event in last.values():
            self._took(self._track(batch.session, event), event)
        return passed

    def _update(self, track: _Track, event: BookUpdate) -> list[Event]:
        if not track.good:
            return self._without_book(track, event.ts_recv) + self._withheld(event)
        problem = _problem(track.book, event)
        if problem:
            return self._break(track, event.ts_recv, problem) + self._withheld(event)
        self._took(track, event)
        return [event] if self._every_ns is None else []

    def _withheld(self, event: Event) -> list[Event]:
        if self._raw:
            return [event]
        self.withheld += 1
        return []

    def _without_book(self, track: _Track, ts: Timestamp) -> list[Event]:
        """An update that nothing is known to put into. A snapshot is on its way, or it is time to ask for one."""
        if track.broken_since is not None:
            self._request(track, ts)
        elif track.waits_since is None:
            track.waits_since = ts
        elif ts - track.waits_since >= SNAPSHOT_WITHIN_NS and not self._recorded:
            return self._break(track, ts, "updates come without a snapshot", code=WITHOUT_NOTICE)
        return []

    def _snapshot(self, track: _Track, event: BookSnapshot) -> list[Event]:
        problem = _problem(track.book, event)
        if problem:
            return self._break(track, event.ts_recv, problem) + self._withheld(event)
        begins, track.waits_since = not track.good, None
        if begins:
            track.good, track.good_since = True, event.ts_recv
        self._took(track, event)
        out = self._end_of_gap(track, event.ts_recv)
        if self._every_ns is None:
            out.append(event)
        elif begins:
            out.append(self._show(track))
        return out

    def _took(self, track: _Track, event: BookSnapshot | BookUpdate) -> None:
        track.ts_event, track.ts_recv, track.sequence = event.ts_event, event.ts_recv, event.sequence
        track.canonical, track.changed = event.canonical, True

    # --- wrong books -------------------------------------------------------------------------------------------

    def _hear(self, batch: Batch, event: Event) -> list[Event]:
        """What happened to the stream may have cost updates."""
        symbols: Collection[str] = ()
        ask = True
        if isinstance(event, Gap):
            symbols, problem = event.symbols, f"updates are missing ({event.reason})"
        elif isinstance(event, Notice) and event.code in INTERRUPTING_NOTICES:
            symbols = {track.symbol for track in self._of(batch.session)}
            problem = f"updates are missing ({INTERRUPTING_NOTICES[event.code]})"
        elif isinstance(event, Notice) and event.code == CHECKSUM_NOTICE:
            symbols, problem, ask = event.symbols, "its checksum is wrong", False
        out: list[Event] = []
        for track in self._of(batch.session) if symbols else ():
            if track.good and track.symbol in symbols:
                if self._recorded:
                    track.good = track.changed = False
                else:
                    out += self._break(track, batch.ts_recv, problem, ask=ask)
        return out

    def _break(
        self, track: _Track, ts: Timestamp, problem: str, *, ask: bool = True, code: str = BROKEN_NOTICE
    ) -> list[Event]:
        """The book is wrong since its last good moment. `ask` for a new one now; otherwise when none comes soon."""
        news = track.good or track.broken_since is None
        if track.good and ts - track.good_since >= LONGEST_WAIT_NS:
            track.wait_ns = FIRST_WAIT_NS
        if track.broken_since is None:
            track.broken_since = track.ts_recv or track.waits_since or ts
        track.good = track.changed = False
        if ask:
            self._request(track, ts)
        else:
            track.next_request = ts + track.wait_ns
        if not news:
            return []
        return [Notice(track.provider, ts, code, f"{track.symbol}: {problem}", (track.symbol,))]

    def _request(self, track: _Track, ts: Timestamp) -> None:
        if ts >= track.next_request and not self._recorded:
            self._requests[track.session, track.symbol] = None
            track.next_request = ts + track.wait_ns
            track.wait_ns = min(2 * track.wait_ns, LONGEST_WAIT_NS)

    def _end_of_gap(self, track: _Track, end: Timestamp) -> list[Event]:
        start, track.broken_since = track.broken_since, None
        if start is None:
            return []
        epoch = self._epochs.get(track.session)
        return [Gap(track.provider, (track.symbol,), "book", start, max(start, end), track.session, epoch)]

    # --- snapshots at an interval ------------------------------------------------------------------------------

    def _due(self, session: int, now: Timestamp) -> list[MarketEvent]:
        """The books as they were at the end of the last interval, when this one is over: `now` brings what is new.

        A recording has many moments in one batch, a connection one.
        """
        if self._every_ns is None or now < self._next_show.get(session, 0):
            return []
        self._next_show[session] = (now // self._every_ns + 1) * self._every_ns
        return self._shown(session)

    def _shown(self, session: int) -> list[MarketEvent]:
        return [self._show(track) for track in self._of(session) if track.good and track.changed]

    def _show(self, track: _Track) -> MarketEvent:
        track.changed = False
        bids, asks = track.book.depth(self._depth)
        common = track.provider, track.symbol, track.ts_event, track.ts_recv
        return BookSnapshot(*common, bids, asks, track.sequence, track.canonical)


def _problem(book: OrderBook, event: BookSnapshot | BookUpdate) -> str:
    """Put an event into its book; what makes it a wrong one then, empty if nothing does."""
    change = book.replace if isinstance(event, BookSnapshot) else book.apply
    try:
        change(event.bids, event.asks)
    except ValueError as error:
        return str(error)
    if not book.crossed:
        return ""
    (bid, _), (ask, _) = (side[0] for side in book.depth(1))
    return f"the best bid ({bytes(bid).decode()}) is not below the best ask ({bytes(ask).decode()})"
