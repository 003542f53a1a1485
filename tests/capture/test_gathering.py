"""Lines for files, gathered: the fast way and the slow way make the same files and tallies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import at, bar, batch, notice, quote
from tickstream.capture import gathering
from tickstream.capture.gathering import Gathering
from tickstream.capture.manifest import Tally
from tickstream.capture.placing import Placing, alone
from tickstream.capture.template import FileKey, PathTemplate
from tickstream.clock import FakeClock
from tickstream.errors import OutputError
from tickstream.events import Bar, Event, Gap, MarketEvent
from tickstream.pipeline.dedup import DedupStage
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.output import Abandoned

VALUES = {"provider": "tickatlas", "channel": "bars", "interval": "1m"}
MIDNIGHT = 10 * 60
GAP = Gap("tickatlas", ("EURUSD", "XAUUSD"), "disconnect", at(0), at(1))


class Files:
    """Keeps what a store is given; after so many pieces it takes no more."""

    def __init__(self, room: float = float("inf"), error: Exception | None = None) -> None:
        self.lines: dict[str, bytes] = {}
        self.tallies: dict[str, Tally] = {}
        self.writes = 0
        self._room = room
        self._error = error or Abandoned(0, torn=False)

    def write(self, key: FileKey, data: bytes, tally: Tally) -> None:
        if self.writes >= self._room:
            raise self._error
        self.writes += 1
        self.lines[key.file] = self.lines.get(key.file, b"") + data
        self.tallies.setdefault(key.file, Tally()).add(tally)


def gather(files: Files, template: str = "d/{symbol}/{date}", encode: Any = None) -> Gathering:
    lines = encode or JsonEncoder(None, "iso", events=True).encode
    placing = Placing(PathTemplate(template, format="jsonl"), VALUES, alone)
    return Gathering(files, placing, lines, FakeClock(at(0)))  # type: ignore[arg-type]  # it only writes


def test_nothing_gathered_is_nothing_written() -> None:
    files = Files()
    gather(files).hand_over()
    assert files.writes == 0


def test_each_file_gets_one_piece_however_many_batches_there_were() -> None:
    files = Files()
    all_of_it = gather(files)
    for minute in range(10):
        all_of_it.add([bar("EURUSD", minute), bar("XAUUSD", minute)], at(minute))
    all_of_it.hand_over()
    assert files.writes == 2
    assert files.tallies["EURUSD/2026-06-24.jsonl"].symbols == {"EURUSD": {"bar": 10}}
    assert files.lines["EURUSD/2026-06-24.jsonl"].count(b"\n") == 10


def test_it_is_due_when_much_has_gathered_or_some_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    files = Files()
    placing = Placing(PathTemplate("d", format="jsonl"), VALUES)
    some = Gathering(files, placing, JsonEncoder(None, "iso", events=True).encode, clock)  # type: ignore[arg-type]
    assert some.due, "what comes first waits for nothing"
    assert some.patience_s == float("inf"), "there is nothing"
    some.hand_over()
    some.add([bar("EURUSD", 1)], at(1))
    assert not some.due
    assert some.patience_s == pytest.approx(0.02)
    clock.advance(0.021)
    assert some.due
    some.hand_over()
    monkeypatch.setattr(gathering, "MOST_BYTES", 10)
    some.add([bar("EURUSD", 1)], at(1))
    assert some.due


@pytest.mark.parametrize("error", [Abandoned(0, torn=False), OutputError("the disk is full")])
def test_what_could_not_be_handed_over_is_counted(error: Exception) -> None:
    files = Files(room=1, error=error)
    some = gather(files)
    some.add([bar("EURUSD", 1), bar("XAUUSD", 1), bar("XAUUSD", 2), bar("BTCUSD", 1)], at(1))
    with pytest.raises(type(error)):
        some.hand_over()
    assert some.lost == 3
    some.hand_over()
    assert some.lost == 3


_MARKET = st.one_of(
    st.builds(bar, st.sampled_from(["EURUSD", "XAUUSD"]), st.integers(0, 2000)),
    st.builds(bar, st.sampled_from(["EURUSD", "XAUUSD"]), st.integers(MIDNIGHT - 2, MIDNIGHT + 2)),
)
_BATCHES = st.one_of(
    st.lists(_MARKET, max_size=6),
    st.lists(st.builds(quote, st.sampled_from(["EURUSD", "XAUUSD"]), st.integers(0, 2000)), max_size=4),
    st.lists(st.one_of(_MARKET, st.just(GAP), st.just(notice("code", 0)), st.just(bar("EURUSD", None)),
                       st.builds(quote, st.just("EURUSD"), st.integers(0, 9))), max_size=6),
)  # fmt: skip


@given(
    st.lists(st.tuples(_BATCHES, st.booleans()), max_size=8),
    st.sampled_from(["d/{symbol}/{date}", "d/{date}", "d/{symbol}", "d/{channel}", "d/{symbol}/{interval}/{hour}"]),
)
def test_however_it_comes_files_and_tallies_are_as_if_each_event_came_alone(
    batches: list[tuple[list[Event], bool]], template: str
) -> None:
    together, one_by_one = Files(), Files()
    some = gather(together, template)
    encode = JsonEncoder(None, "iso", events=True).encode
    placing = Placing(PathTemplate(template, format="jsonl"), VALUES, alone)
    for number, (events, handed_over) in enumerate(batches):
        some.add(events, at(number))
        if handed_over:
            some.hand_over()
        for key, mine, tally in placing.place(events, at(number)):
            one_by_one.write(key, encode(mine), tally)
    some.hand_over()
    assert together.lines == one_by_one.lines
    assert together.tallies == one_by_one.tallies
    assert sum(tally.events for tally in together.tallies.values()) == sum(
        isinstance(event, MarketEvent) for events, _ in batches for event in events
    )


@given(st.lists(st.lists(_MARKET, max_size=8), max_size=6))
def test_what_dedup_has_sorted_already_makes_the_same_files(batches: list[list[Event]]) -> None:
    sorted_before, sorted_here = Files(), Files()
    stage, other = (DedupStage("tickatlas", bars_once=True) for _ in range(2))
    encode = JsonEncoder(None, "iso", events=True).encode
    placing = Placing(PathTemplate("d/{symbol}/{date}", format="jsonl"), VALUES)
    before = Gathering(sorted_before, placing, encode, FakeClock(at(0)), stage.stretches)  # type: ignore[arg-type]
    here = gather(sorted_here)
    for number, events in enumerate(batches):
        before.add(stage.process(batch(number, *events)).events, at(number))
        here.add(other.process(batch(number, *events)).events, at(number))
    before.hand_over()
    here.hand_over()
    assert (sorted_before.lines, sorted_before.tallies) == (sorted_here.lines, sorted_here.tallies)


def test_events_that_are_several_rows_are_whole() -> None:
    files = Files()

    def rows(events: list[Bar]) -> bytes:
        return b"".join(b"%b,1\n%b,2\n" % (event.symbol.encode(), event.symbol.encode()) for event in events)

    some = gather(files, encode=rows)
    some.add([bar("EURUSD", 1), bar("XAUUSD", 1), bar("EURUSD", 2)], at(1))
    some.hand_over()
    assert files.lines["EURUSD/2026-06-24.jsonl"] == b"EURUSD,1\nEURUSD,2\n" * 2
    assert files.tallies["EURUSD/2026-06-24.jsonl"].events == 2
