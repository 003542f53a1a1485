"""Captures with planned faults: which events are written, and what a verification has to say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from tickstream.events import Bar, Event, Gap, MarketEvent, Quote, Trade
from tickstream.markets import market_of
from tickstream.numbers import number
from tickstream.timestamps import NS_PER_SECOND, Timestamp, parse_rfc3339

MINUTE = 60 * NS_PER_SECOND
FRIDAY = parse_rfc3339("2026-06-26T20:00:00Z")
"""An hour before the currencies' week ends."""
SUNDAY = parse_rfc3339("2026-06-28T21:00:00Z")
"""When it begins again."""
WALL = parse_rfc3339("2026-07-01T12:00:00Z")
"""When it was captured: a day that has nothing to do with market time, as in a simulation at speed."""
_LOW, _HIGH = number("1.1345"), number("1.13462")


def bar(symbol: str, opened: int, received: int = WALL, *, closed: bool | None = True, interval: str = "1m") -> Bar:
    """A candle; bid and ask are not crossed."""
    return Bar("tickatlas", symbol, Timestamp(opened), Timestamp(received), interval, _LOW, _HIGH, _LOW, _LOW, bid=_LOW,
               ask=_HIGH, closed=closed)  # fmt: skip


def trade(symbol: str, trade_id: str | None, received: int = WALL, *, at: int | None = WALL, price: str = "1") -> Trade:
    return Trade("coinbase", symbol, None if at is None else Timestamp(at), Timestamp(received), number(price),
                 trade_id=trade_id)  # fmt: skip


def quote(symbol: str, sequence: int | None, received: int = WALL, *, at: int = WALL, bid: str = "1") -> Quote:
    return Quote("coinbase", symbol, Timestamp(at), Timestamp(received), bid=number(bid), sequence=sequence)


def open_minutes(symbol: str, count: int, start: int = FRIDAY) -> list[int]:
    """The first so many minutes from there on in which the market trades."""
    market, found, at = market_of(symbol), list[int](), start
    while len(found) < count:
        if market.is_open(at):
            found.append(at)
        at += MINUTE
    return found


class Planned:
    """One symbol's events in the order of the file, and what is wrong with them.

    `holes`: the minute after the last one there, the next one there, and whether a gap record says why. `first` and
    `last` of the minutes that were owed, missing or not.
    """

    def __init__(self, symbol: str, first: int, last: int) -> None:
        self.symbol = symbol
        self.first = first
        self.last = last
        self.events: list[Event] = []
        self.holes: list[tuple[int, int, bool]] = []
        self.missing = self.explained = self.duplicates = self.swaps = 0

    def __repr__(self) -> str:
        return f"<{self.symbol}: {len(self.events)} events, {self.holes}, {self.duplicates} twice, {self.swaps} swaps>"


def capture_of(
    symbol: str, count: int, absent: set[int], told: set[int], twice: Sequence[tuple[int, int]], swapped: set[int]
) -> Planned:
    """`count` open minutes of which those at the places `absent` never came; holes that begin at `told` have a record.

    Of `twice` each place is written again so many places later; those in `swapped` change places with the next.
    """
    minutes = open_minutes(symbol, count)
    present = [at for at in range(count) if at not in absent]
    plan = Planned(symbol, minutes[0], minutes[-1])
    received = {at: WALL + at * NS_PER_SECOND for at in range(-1, count + 1)}
    records: dict[int, Gap] = {}
    for before, after in pairwise([-1, *present, count]):
        if after == before + 1:
            continue
        explained = before + 1 in told
        start = minutes[before] + MINUTE if before >= 0 else minutes[0]
        end = minutes[after] if after < count else minutes[-1] + MINUTE
        plan.holes.append((start, end, explained))
        plan.missing += after - before - 1
        if explained:
            plan.explained += after - before - 1
            gap = Gap("tickatlas", (symbol,), "disconnect", Timestamp(received[before]), Timestamp(received[after]))
            records[after] = gap
    written = set[int]()
    for at in _in_order_of_the_file(plan, present, twice, swapped):
        if at in records and at not in written:
            plan.events.append(records[at])
        written.add(at)
        plan.events.append(bar(symbol, minutes[at], received[at]))
    if count in records:
        plan.events.append(records[count])
    return plan


def _in_order_of_the_file(
    plan: Planned, present: list[int], twice: Sequence[tuple[int, int]], swapped: set[int]
) -> list[int]:
    order = list(present)
    for at in sorted(swapped):
        if at + 1 < len(order) and at - 1 not in swapped:
            order[at], order[at + 1] = order[at + 1], order[at]
            plan.swaps += 1
    row = list(order)
    for at, later in twice:
        if row:
            place = row.index(order[at % len(order)])
            row.insert(min(len(row), place + 1 + later), row[place])
            plan.duplicates += 1
    return row


@st.composite
def planned(draw: st.DrawFn, symbol: str, count: int = 120) -> Planned:
    """Any plan. The first hour is a Friday's last, so that holes may reach over the weekend."""
    places = st.integers(0, count - 1)
    holes = draw(st.lists(st.tuples(places, st.integers(1, 8)), max_size=6))
    absent = {at for first, length in holes for at in range(first, min(count, first + length))}
    told = {at for at in sorted(absent) if at - 1 not in absent and draw(st.booleans())}
    twice = draw(st.lists(st.tuples(places, st.integers(0, 30)), max_size=5))
    swapped = draw(st.sets(st.integers(0, count - len(absent) - 2), max_size=5)) if len(absent) < count - 2 else set()
    return capture_of(symbol, count, absent, told, twice, swapped)


def interleaved(plans: Sequence[Planned], turns: Sequence[int]) -> Iterator[Event]:
    """The events of all plans as one run would have written them: each plan's in order, taking turns."""
    rest = [list(plan.events) for plan in plans]
    turn = 0
    while any(rest):
        queue = rest[turns[turn % len(turns)] % len(rest)] if turns else rest[0]
        queue = queue or next(one for one in rest if one)
        yield queue.pop(0)
        turn += 1


def in_files(events: Sequence[Event], cuts: Sequence[int]) -> list[list[list[Event]]]:
    """Files of chunks: the events cut at these places, every second cut between two files."""
    places = sorted({min(cut, len(events)) for cut in cuts} | {0, len(events)})
    pieces = [list(events[low:high]) for low, high in pairwise(places)]
    return [pieces[at : at + 2] for at in range(0, len(pieces), 2)]


def market_events(events: Sequence[Event]) -> list[MarketEvent]:
    return [event for event in events if isinstance(event, MarketEvent)]
