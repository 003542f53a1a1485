"""Gap records: which of them lies between two events, by when those were received."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture.verifying_gaps import GapRecords
from tickstream.events import Gap, GapReason
from tickstream.timestamps import Timestamp


def gap(
    start: int, end: int, *symbols: str, reason: GapReason = "disconnect", missed: int | None = None, epoch: int = 1
) -> Gap:
    named = symbols or ("EURUSD",)
    return Gap("tickatlas", named, reason, Timestamp(start), Timestamp(end), session=1, epoch=epoch, missed=missed)


def records(*gaps: Gap) -> GapRecords:
    found = GapRecords()
    for one in gaps:
        found.add(one)
    return found


def explained(found: GapRecords, before: int | None, after: int | None, symbol: str = "EURUSD") -> bool:
    return found.between("tickatlas", symbol, before, after) is not None


def test_a_record_explains_what_lies_between_its_ends() -> None:
    found = records(gap(10, 20))
    assert explained(found, 10, 20)
    assert explained(found, 5, 30)
    assert explained(found, 12, 15)
    assert explained(found, None, 20)
    assert explained(found, 10, None)


def test_a_record_does_not_explain_its_neighbours() -> None:
    found = records(gap(10, 20))
    assert not explained(found, 20, 30)
    assert not explained(found, 0, 10)
    assert not explained(found, None, 10)
    assert not explained(found, 20, None)


def test_what_takes_no_time_is_found_where_it_is() -> None:
    assert explained(records(gap(10, 10)), 10, 20), "a gap of one batch"
    assert explained(records(gap(5, 15)), 10, 10), "a hole within one batch"
    assert not explained(records(gap(10, 10)), 11, 20)


def test_a_record_is_about_its_own_symbols_and_provider() -> None:
    found = records(gap(10, 20, "EURUSD", "XAUUSD"))
    assert explained(found, 10, 20, "XAUUSD")
    assert not explained(found, 10, 20, "GBPUSD")
    assert found.between("coinbase", "EURUSD", 10, 20) is None
    assert len(found.of("tickatlas", "XAUUSD")) == 1
    assert found.of("coinbase", "XAUUSD") == []


def test_records_can_be_asked_for_by_when_they_were() -> None:
    found = records(gap(10, 20), gap(30, 40), gap(50, 60))
    assert [record.start for record in found.of("tickatlas", "EURUSD", 20, 50)] == [10, 30]


def test_the_same_gap_told_by_data_and_manifest_is_one_and_what_is_said_of_the_symbol_alone_counts() -> None:
    found = records(
        gap(10, 20, "EURUSD", "XAUUSD", missed=8), gap(10, 20, "EURUSD", missed=3), gap(10, 20, "EURUSD", "XAUUSD")
    )
    assert [record.missed for record in found.of("tickatlas", "EURUSD")] == [3]
    assert [record.missed for record in found.of("tickatlas", "XAUUSD")] == [None]


def test_a_long_record_is_found_behind_many_short_ones_that_begin_later() -> None:
    found = records(gap(0, 1000, reason="quota"), *(gap(start, start + 1) for start in range(10, 500, 10)))
    record = found.between("tickatlas", "EURUSD", 600, 700)
    assert record is not None
    assert record.reason == "quota"


TIMES = st.integers(0, 12)


@given(st.lists(st.tuples(TIMES, TIMES)), TIMES, TIMES)
def test_it_agrees_with_looking_at_every_record(spans: list[tuple[int, int]], one: int, other: int) -> None:
    before, after = sorted((one, other))
    gaps = [tuple(sorted(span)) for span in spans]
    expected = any(
        min(end, after) > max(start, before)
        or (min(end, after) == max(start, before) and (start == end or before == after))
        for start, end in gaps
    )
    assert explained(records(*(gap(start, end) for start, end in gaps)), before, after) == expected
