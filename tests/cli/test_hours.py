"""`--market-hours`: when a session of the markets begins and ends, and a source that waits for it."""

from __future__ import annotations

import pytest

from tests.cli.running import Script
from tests.pipeline.events import bar, batch
from tickstream.cli.hours import LAST_DATA_S, LEAD_S, AtTheOpen, TradingSession, closing, opening
from tickstream.clock import FakeClock
from tickstream.markets import ALWAYS, FOREX, US_EQUITIES
from tickstream.timestamps import parse_rfc3339

WEDNESDAY = parse_rfc3339("2026-06-24T14:00:00Z")
SATURDAY = parse_rfc3339("2026-06-27T12:00:00Z")
SUNDAY_OPEN = parse_rfc3339("2026-06-28T21:00:00Z")
FRIDAY_CLOSE = parse_rfc3339("2026-06-26T21:00:00Z")
NEXT_FRIDAY_CLOSE = parse_rfc3339("2026-07-03T21:00:00Z")
SECOND = 10**9


@pytest.mark.parametrize(
    ("markets", "now", "opens"),
    [
        ([FOREX], WEDNESDAY, None),
        ([FOREX], SATURDAY, SUNDAY_OPEN),
        ([FOREX, US_EQUITIES], SATURDAY, SUNDAY_OPEN),
        ([US_EQUITIES], SATURDAY, parse_rfc3339("2026-06-29T13:30:00Z")),
        ([FOREX, ALWAYS], SATURDAY, None),
    ],
)
def test_the_first_of_the_markets_opens_the_session(markets: list, now: int, opens: int | None) -> None:  # type: ignore[type-arg]
    assert opening(markets, now) == opens


@pytest.mark.parametrize(
    ("markets", "begins", "closes"),
    [
        ([FOREX], WEDNESDAY, FRIDAY_CLOSE),
        ([FOREX], SUNDAY_OPEN, NEXT_FRIDAY_CLOSE),
        ([US_EQUITIES], WEDNESDAY, parse_rfc3339("2026-06-24T20:00:00Z")),
        ([US_EQUITIES, FOREX], WEDNESDAY, FRIDAY_CLOSE),
        ([FOREX, ALWAYS], WEDNESDAY, None),
    ],
)
def test_the_last_of_the_markets_closes_it(markets: list, begins: int, closes: int | None) -> None:  # type: ignore[type-arg]
    assert closing(markets, begins) == closes


def test_a_run_connects_before_the_open_and_stays_for_the_last_candle() -> None:
    session = TradingSession([FOREX, FOREX], SATURDAY, 60)
    assert session.opens_ns == SUNDAY_OPEN
    assert session.starts_ns == SUNDAY_OPEN - LEAD_S * SECOND
    assert session.ends_ns == NEXT_FRIDAY_CLOSE + (60 + LAST_DATA_S) * SECOND


def test_in_an_open_market_it_begins_at_once() -> None:
    session = TradingSession([FOREX], WEDNESDAY)
    assert (session.opens_ns, session.starts_ns) == (None, WEDNESDAY)
    assert session.ends_ns == FRIDAY_CLOSE + LAST_DATA_S * SECOND


def test_what_trades_around_the_clock_has_no_end() -> None:
    assert TradingSession([ALWAYS, FOREX], SATURDAY).ends_ns is None


class Started(Script):
    """A source that has nothing before it is started."""

    def __init__(self, clock: FakeClock, *items: object) -> None:
        super().__init__(clock, endless=True)
        self._given = list(items)
        self.starts = 0
        self.woken = 0

    def start(self) -> None:
        self.starts += 1
        self._items += self._given  # type: ignore[arg-type]

    def wake(self) -> None:
        self.woken += 1


def waiting(seconds: float) -> tuple[FakeClock, Started, AtTheOpen, list[str]]:
    clock, begun = FakeClock(), []
    source = Started(clock, batch(0, bar("EURUSD", 0)))
    at_open = AtTheOpen(source, clock, clock.now_ns() + round(seconds * SECOND), lambda: begun.append("begun"))
    return clock, source, at_open, begun


def test_before_its_time_nothing_is_started_and_silence_is_no_fault() -> None:
    clock, source, at_open, begun = waiting(0.25)
    at_open.start()
    assert (source.starts, at_open.paused, at_open.done, begun) == (0, True, False, [])
    before = clock.monotonic()
    assert at_open.get(0.1) is None
    assert at_open.get(0.1) is None
    assert at_open.get(0.1) is None, "only as long as it takes"
    assert clock.monotonic() - before == pytest.approx(0.25)
    assert at_open.get(0.1) is not None
    assert (source.starts, at_open.paused, begun) == (1, False, ["begun"])


def test_when_the_time_has_come_already_it_starts_at_once() -> None:
    _, source, at_open, _ = waiting(0.0)
    at_open.start()
    assert source.starts == 1


def test_a_run_that_ends_before_the_open_never_starts_it() -> None:
    clock, source, at_open, _ = waiting(60)
    at_open.start()
    at_open.wake()
    at_open.stop()
    assert at_open.done
    clock.advance(100)
    assert at_open.get(0.1) is None
    assert (source.starts, source.woken, at_open.discard(), source.discarded) == (0, 1, 0, True)


def test_once_begun_it_is_its_source() -> None:
    _, source, at_open, _ = waiting(0.0)
    at_open.start()
    source.error, source.dropped, source.paused = ValueError("x"), 3, True
    assert (at_open.error, at_open.dropped, at_open.paused, at_open.done) == (source.error, 3, True, False)
