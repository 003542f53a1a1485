"""Gaps against a model that knows every push that was lost."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.pipeline.events import START, at, bar, gaps_in, notice, session
from tickstream.events import Bar, Batch, Event, Gap
from tickstream.markets import market_of
from tickstream.pipeline.gaps import GapStage


def open_minutes(symbol: str, start: int, end: int) -> int:
    return market_of(symbol).open_minutes(start, end)


class Provider(RuleBasedStateMachine):
    """A provider that pushes a candle of each symbol every minute, and a line between it and us that breaks.

    The model knows each push that was lost. Whatever happened, a gap of its symbol must cover the moment it was
    sent, the number missed must be exact, and nothing else may be called missing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.minute = 0.0
        self.connected = self.paused = False
        self.epoch = 0
        self.lost: list[tuple[str, float]] = []
        self.delivered: list[tuple[str, float]] = []
        self.first_seen: dict[str, int] = {}
        self.out: list[Event] = []

    @initialize(symbols=st.lists(st.sampled_from(["A", "B", "C"]), min_size=1, unique=True), reached=st.booleans())
    def begin(self, symbols: list[str], reached: bool) -> None:
        self.symbols = symbols
        self.stage = GapStage("p", {1: tuple(symbols)}, START, open_minutes, 60)
        if reached:
            self.connect()
        else:
            self.disconnect("down")

    def deliver(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, Bar):
                self.first_seen.setdefault(event.symbol, at(self.minute))
        self.out += self.stage.process(Batch(1, self.epoch, at(self.minute), list(events))).events
        self.minute += 0.001

    @rule()
    def connect(self) -> None:
        if not self.connected:
            self.epoch += 1
            self.connected, self.paused = True, False
            self.deliver(session("up", self.minute, epoch=self.epoch))

    @rule(state=st.sampled_from(["down", "held"]))
    def disconnect(self, state: Any) -> None:
        self.connected = False
        self.deliver(session(state, self.minute, epoch=self.epoch))

    @rule(code=st.sampled_from(["quota_exceeded", "suspend"]))
    def pause(self, code: str) -> None:
        if self.connected:
            self.paused = True
            self.deliver(notice(code, self.minute))

    @rule()
    def resume(self) -> None:
        self.paused = False

    @rule(together=st.booleans(), cut_after=st.integers(0, 6), with_a_notice=st.booleans())
    def push(self, together: bool, cut_after: int, with_a_notice: bool) -> None:
        """A minute passes and its candles are sent; the line may break in the middle of them."""
        candle = float(int(self.minute))
        self.minute = candle + 1
        arriving: list[Event] = []
        for index, symbol in enumerate(self.symbols):
            if self.connected and not self.paused and index >= cut_after:
                if arriving:
                    self.deliver(*arriving)
                    arriving = []
                self.disconnect("down")
            if not self.connected or self.paused:
                self.lost.append((symbol, self.minute))
                self.minute += 0.001
                continue
            self.delivered.append((symbol, candle))
            arriving.append(bar(symbol, candle))
            if not together:
                self.deliver(*arriving)
                arriving = []
        if arriving:
            self.deliver(*([notice("stale", self.minute), *arriving] if with_a_notice else arriving))

    @invariant()
    def all_data_goes_through_in_order(self) -> None:
        bars = [(event.symbol, event.ts_event) for event in self.out if isinstance(event, Bar)]
        assert bars == [(symbol, at(candle)) for symbol, candle in self.delivered]

    @invariant()
    def a_gap_stands_before_the_data_that_ends_it(self) -> None:
        for before, after in zip(self.out, self.out[1:], strict=False):
            if isinstance(before, Gap):
                assert isinstance(after, Gap | Bar)

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        known = {id(gap): gap for gap in gaps_in(self.out)}
        gaps = [*known.values(), *gaps_in(self.stage.finish(at(self.minute)))]
        assert self.stage.count == len(gaps)
        for symbol, minute in self.lost:
            covering = [gap for gap in gaps if symbol in gap.symbols and gap.start <= at(minute) <= gap.end]
            assert covering, f"the {symbol} of minute {minute} was lost, and no gap says so"
        for gap in known.values():
            inside = [(s, m) for s, m in self.lost if s in gap.symbols and gap.start <= at(m) <= gap.end]
            assert gap.missed is None or gap.missed == len(inside)
            if gap.missed is None:
                assert any(self.first_seen[symbol] == gap.end for symbol in gap.symbols), "it was known"


Provider.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestEveryLostPushIsCovered = Provider.TestCase
