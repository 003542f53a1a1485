"""Many files played as one stream: in the order of time, each event once, few files open at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.planned import MINUTE, SUNDAY, WALL, bar
from tickstream.capture import playback
from tickstream.capture.chunks import BadLine, Chunk
from tickstream.capture.playback import By, Stretch, Wanted, merged
from tickstream.capture.reading import sources
from tickstream.events import Event, Gap, MarketEvent, Notice, SessionEvent, Summary
from tickstream.sinks.encoders import JsonEncoder
from tickstream.timestamps import NS_PER_SECOND, Timestamp


def event(symbol: str, second: float, minute: int = 0) -> MarketEvent:
    """A bar of some minute, received at that second."""
    return bar(symbol, SUNDAY + minute * MINUTE, WALL + round(second * NS_PER_SECOND))


class File:
    """A file in memory that says how many are open."""

    now_open = 0
    most_open = 0

    def __init__(self, *chunks: Sequence[Event], bad: Sequence[BadLine] = (), torn: BadLine | None = None) -> None:
        self.path: Path | None = Path("x")
        self.chunks_of = [Chunk("x", list(events), 0, 0) for events in chunks]
        if bad or torn:
            self.chunks_of.append(Chunk("x", [], 0, 0, torn, list(bad)))
        self.read = 0

    def first_events(self) -> list[MarketEvent]:
        assert self.path is not None
        return [one for chunk in self.chunks_of for one in chunk.events if isinstance(one, MarketEvent)][:3]

    def chunks(self) -> Iterator[Chunk]:
        File.now_open += 1
        File.most_open = max(File.most_open, File.now_open)
        for chunk in self.chunks_of:
            self.read += 1
            yield chunk
        File.now_open -= 1


def played(*files: File, by: By = "ts_recv", gaps: Sequence[Gap] = (), **bounds: int) -> list[Event]:
    limits = {name: Timestamp(at) for name, at in bounds.items()}
    return [one for stretch in stretches(*files, by=by, gaps=gaps, **limits) for one in stretch.events]


def stretches(*files: File, by: By = "ts_recv", gaps: Sequence[Gap] = (), **bounds: Timestamp) -> list[Stretch]:
    File.now_open = File.most_open = 0
    return list(merged([files], Wanted(by, **bounds), gaps))


def gap(second: float, *symbols: str) -> Gap:
    return Gap(
        "tickatlas",
        symbols or ("EURUSD",),
        "disconnect",
        Timestamp(WALL),
        Timestamp(WALL + round(second * NS_PER_SECOND)),
    )


TIMES = st.lists(st.integers(0, 50), max_size=30).map(sorted)


@given(st.lists(st.tuples(TIMES, st.integers(1, 7)), max_size=8))
def test_all_events_come_once_in_the_order_of_time_and_of_their_files(plan: list[tuple[list[int], int]]) -> None:
    files = []
    for number, (times, size) in enumerate(plan):
        row = [event(f"S{number}", second, minute) for minute, second in enumerate(times)]
        files.append(File(*(row[at : at + size] for at in range(0, len(row), size))))
    out = [one for one in played(*files) if isinstance(one, MarketEvent)]
    assert [one.ts_recv for one in out] == sorted(WALL + at * NS_PER_SECOND for times, _ in plan for at in times)
    for number, (times, _) in enumerate(plan):
        mine = [one.ts_event for one in out if one.symbol == f"S{number}"]
        assert mine == [SUNDAY + minute * MINUTE for minute in range(len(times))]


@given(st.lists(TIMES, min_size=1, max_size=5))
def test_each_event_has_its_moment_and_no_moment_lies_before_another(plan: list[list[int]]) -> None:
    files = [File([event(f"S{number}", second) for second in times]) for number, times in enumerate(plan)]
    last = 0
    for stretch in stretches(*files):
        assert len(stretch.events) == len(stretch.moments)
        assert [one.ts_recv for one in stretch.events if isinstance(one, MarketEvent)] == list(stretch.moments)
        assert list(stretch.moments) == sorted(stretch.moments)
        if stretch.moments:
            assert stretch.moments[0] >= last
            last = stretch.moments[-1]


def test_files_that_follow_one_another_are_open_one_at_a_time() -> None:
    days = [File([event("EURUSD", day * 100 + at) for at in range(5)]) for day in range(20)]
    assert len(played(*days)) == 100
    assert File.most_open == 1


def test_files_that_overlap_are_open_together_and_the_order_they_are_named_in_does_not_matter() -> None:
    early, late, middle = (
        File([event(name, at), event(name, at + 20)]) for name, at in (("A", 0), ("C", 30), ("B", 10))
    )
    out = played(late, middle, early)
    assert [(one.symbol, (one.ts_recv - WALL) // NS_PER_SECOND) for one in out if isinstance(one, MarketEvent)] == [
        ("A", 0), ("B", 10), ("A", 20), ("C", 30), ("B", 30), ("C", 50),
    ]  # fmt: skip
    assert File.most_open == 2


def test_groups_of_files_are_played_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "LOOK_AHEAD", 2)
    groups = [[File([event(name, at)]) for at in range(start, 20, 2)] for name, start in (("A", 0), ("B", 1))]
    out = [one for stretch in merged(groups, Wanted()) for one in stretch.events]
    assert [one.symbol for one in out if isinstance(one, MarketEvent)] == ["A", "B"] * 10


def test_only_so_many_files_are_looked_into_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playback, "LOOK_AHEAD", 2)
    out = played(*(File([event("EURUSD", at)]) for at in (5, 6, 7, 0)))
    seconds = [(one.ts_recv - WALL) // NS_PER_SECOND for one in out if isinstance(one, MarketEvent)]
    assert seconds == [5, 0, 6, 7]


def test_a_single_file_is_handed_on_in_whole_chunks() -> None:
    file = File([event("EURUSD", at) for at in range(100)], [event("EURUSD", at) for at in range(100, 200)])
    assert [len(one.events) for one in stretches(file)] == [100, 100]


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    file = File([event("A", 10), event("A", 4), event("A", 11)])
    [stretch] = stretches(file)
    assert [(at - WALL) // NS_PER_SECOND for at in stretch.moments] == [10, 10, 11]


def test_it_can_be_played_by_the_providers_clock() -> None:
    at_speed = File([event("A", 0.1, 0), event("A", 0.2, 5)]), File([event("B", 0.3, 2), event("B", 0.4, 7)])
    out = stretches(*at_speed, by="ts_event")
    assert [(at - SUNDAY) // MINUTE for one in out for at in one.moments] == [0, 2, 5, 7]


# --- what is no data ----------------------------------------------------------------------------------------------


def news(second: float) -> list[Event]:
    at = Timestamp(WALL + round(second * NS_PER_SECOND))
    return [SessionEvent("tickatlas", 1, 1, at, "up"), Notice("tickatlas", at, "x", "y")]


def summary() -> Summary:
    return Summary("tickatlas", Timestamp(WALL), 1.0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, (), 1, None, None)


def test_gaps_and_news_keep_their_places_and_the_summary_of_the_recorded_run_is_left_out() -> None:
    row = [*news(0), event("A", 1), gap(3), event("A", 3), *news(4)]
    assert played(File([*row, summary()])) == row


def test_by_the_providers_clock_news_goes_with_the_data_behind_it() -> None:
    file = File([event("A", 1, 0), gap(3), event("A", 3, 9), *news(4)])
    [stretch] = stretches(file, by="ts_event")
    assert [(at - SUNDAY) // MINUTE for at in stretch.moments] == [0, 9, 9, 9, 9]


def test_gaps_that_only_the_manifest_knows_come_where_they_ended() -> None:
    file = File([event("A", 1), event("A", 3), event("A", 5)])
    out = played(file, gaps=[gap(5), gap(2)])
    assert [type(one) is Gap for one in out] == [False, True, False, True, False]


def test_gaps_alone_are_played_too() -> None:
    assert played(gaps=[gap(5), gap(2)]) == [gap(2), gap(5)]


def test_bad_and_torn_lines_are_told_when_they_are_met() -> None:
    bad, torn = BadLine("x", 3, "nonsense"), BadLine("x", 9, "cut")
    found = stretches(File([event("A", 1)], bad=[bad], torn=torn), File([event("B", 2)]))
    assert [one.bad for one in found if one.bad] == [[bad, torn]]


# --- from and to --------------------------------------------------------------------------------------------------


def test_bounds_are_of_the_providers_time() -> None:
    file = File([event("A", at, at) for at in range(10)])
    out = played(file, start=SUNDAY + 3 * MINUTE, end=SUNDAY + 5 * MINUTE)
    assert [one.ts_event for one in out if isinstance(one, MarketEvent)] == [SUNDAY + 3 * MINUTE, SUNDAY + 4 * MINUTE]
    assert len(played(file, start=SUNDAY + 3 * MINUTE)) == 7
    assert len(played(file, end=SUNDAY + 3 * MINUTE)) == 3


def test_news_within_bounds_is_what_belongs_to_the_data_within_them() -> None:
    file = File([gap(0), event("A", 0, 0), gap(1), event("A", 1, 1), gap(2), summary(), event("A", 2, 2), *news(3)])
    out = played(file, start=SUNDAY + 2 * MINUTE)
    assert [type(one).__name__ for one in out] == ["Gap", "Bar"]


def test_behind_the_end_a_file_is_not_read_on() -> None:
    hours = [[event("A", at * 10 + more, at * 60) for more in range(3)] for at in range(10)]
    file = File(*hours)
    assert len(played(file, end=SUNDAY + 60 * MINUTE)) == 3
    assert file.read == 3


def test_files_on_the_disk_are_played(tmp_path: Path) -> None:
    for name, first in (("EURUSD", 0), ("XAUUSD", 1)):
        rows = [event(name, second) for second in range(first, 10, 2)]
        (tmp_path / f"{name}.jsonl").write_bytes(JsonEncoder(None, "iso", True).encode(list(rows)))
    out = [one for stretch in merged([sources([tmp_path])], Wanted()) for one in stretch.events]
    assert [one.symbol for one in out if isinstance(one, MarketEvent)] == ["EURUSD", "XAUUSD"] * 5


def test_messages_come_with_their_events_and_one_of_many_events_with_the_first() -> None:
    file = File([event("A", 1), event("B", 1), event("A", 2), event("B", 2)])
    [chunk] = file.chunks_of
    chunk.payloads = [(Timestamp(WALL + NS_PER_SECOND), b"one"), (Timestamp(WALL + NS_PER_SECOND), b"two"),
                      (Timestamp(WALL + 2 * NS_PER_SECOND), b"both")]  # fmt: skip
    [stretch] = merged([[file]], Wanted(payloads=True))
    assert [tuple(one) for one in stretch.payloads] == [(b"one",), (b"two",), (b"both",), ()]
    [without] = merged([[file]], Wanted())
    assert without.payloads == ()


def test_standard_input_is_not_looked_into(tmp_path: Path) -> None:
    file = File([event("A", 5)])
    file.path = None
    assert len(played(file, File([event("B", 1)]))) == 2
