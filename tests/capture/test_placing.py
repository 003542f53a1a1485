"""Which file each event goes to: by the template, in the order received, counted right."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import at, bar, notice, quote, session
from tickstream.capture.manifest import Tally
from tickstream.capture.placing import Placed, Placing, alone
from tickstream.capture.template import PathTemplate
from tickstream.events import Event, Gap, MarketEvent

VALUES = {"provider": "tickatlas", "channel": "bars", "interval": "1m"}
DAILY = "d/{symbol}/{date}.jsonl"
MIDNIGHT = 10 * 60
"""Minutes from START, 14:00, to the end of the day."""


def placing(template: str = DAILY, *, gaps: bool = True) -> Placing:
    return Placing(PathTemplate(template, format="jsonl"), VALUES, alone if gaps else None)


def gap(*symbols: str, missed: int | None = None, minutes: float = 0) -> Gap:
    return Gap("tickatlas", symbols, "disconnect", at(minutes), at(minutes + 1), 1, 1, missed)


def files(placed: list[Placed]) -> dict[str, list[Event]]:
    """File -> events; each file comes once."""
    assert len({one.key.file for one in placed}) == len(placed)
    return {one.key.file: one.events for one in placed}


def placed(where: Placing, *events: Event, minutes: float = 0) -> dict[str, list[Event]]:
    found = list(where.place(events, at(minutes)))
    for one in found:
        assert one.tally == Tally.of(one.events)
    return files(found)


def test_each_symbol_has_its_file_and_the_order_stays() -> None:
    where = placing()
    for _ in range(2):  # the second time its files are known
        eur, xau = [bar("EURUSD", n) for n in (1, 3, 2)], [bar("XAUUSD", n) for n in (1, 2)]
        assert placed(where, eur[0], xau[0], eur[1], eur[2], xau[1]) == {
            "EURUSD/2026-06-24.jsonl": eur,
            "XAUUSD/2026-06-24.jsonl": xau,
        }


def test_a_batch_over_midnight_is_shared_out_by_the_time_of_each_event() -> None:
    where = placing()
    placed(where, bar("EURUSD", 0))
    late, early = bar("EURUSD", MIDNIGHT - 1), bar("EURUSD", MIDNIGHT)
    assert placed(where, late, early) == {"EURUSD/2026-06-24.jsonl": [late], "EURUSD/2026-06-25.jsonl": [early]}
    assert placed(where, late) == {"EURUSD/2026-06-24.jsonl": [late]}, "what is late goes where it belongs"
    assert placed(where, early) == {"EURUSD/2026-06-25.jsonl": [early]}


def test_an_event_whose_time_is_unknown_goes_by_when_it_came() -> None:
    where = placing()
    placed(where, bar("EURUSD", 0))
    unknown, known = msgspec.structs.replace(bar("EURUSD", None), ts_recv=at(MIDNIGHT)), bar("EURUSD", 0)
    assert placed(where, known, unknown) == {"EURUSD/2026-06-24.jsonl": [known], "EURUSD/2026-06-25.jsonl": [unknown]}


def test_events_of_several_types_are_counted_by_type() -> None:
    where = placing("d/{date}.jsonl")
    both = [bar("EURUSD", 0), quote("EURUSD", 1), bar("XAUUSD", 0)]
    for _ in range(2):
        assert placed(where, *both) == {"2026-06-24.jsonl": both}


def test_a_template_without_symbol_has_one_file_for_all() -> None:
    where = placing("d/{provider}")
    both = [bar("EURUSD", 0), bar("XAUUSD", MIDNIGHT)]
    for _ in range(2):
        assert placed(where, *both) == {"tickatlas.jsonl": both}
    assert placed(where) == {}


def test_intervals_have_files_of_their_own_where_the_template_says_so() -> None:
    where = placing("d/{symbol}-{interval}.jsonl")
    candle, tick = bar("EURUSD", 0), quote("EURUSD", 0)
    for _ in range(2):
        assert placed(where, candle) == {"EURUSD-1m.jsonl": [candle]}
        assert placed(where, candle, tick) == {"EURUSD-1m.jsonl": [candle, tick]}, "of those without, the provider's"
    only = placing("d/{interval}.jsonl")
    assert placed(only, candle) == placed(only, candle) == {"1m.jsonl": [candle]}


def test_what_happens_to_the_stream_is_in_no_file_but_gaps() -> None:
    where = placing()
    data = bar("EURUSD", 0)
    for _ in range(2):
        assert placed(where, session("up", 0), data, notice("code", 0)) == {"EURUSD/2026-06-24.jsonl": [data]}
    assert placed(where, session("up", 0)) == {}


def test_a_gap_stands_in_the_file_of_each_of_its_symbols_before_the_data_that_ended_it() -> None:
    where = placing()
    placed(where, bar("EURUSD", 0), bar("XAUUSD", 0))
    eur, xau, both = bar("EURUSD", MIDNIGHT), bar("XAUUSD", 5), gap("EURUSD", "XAUUSD", missed=12)
    assert placed(where, both, xau, eur) == {
        "XAUUSD/2026-06-24.jsonl": [gap("XAUUSD"), xau],
        "EURUSD/2026-06-25.jsonl": [gap("EURUSD"), eur],
    }


def test_a_gap_that_no_data_ended_stands_behind_what_came_before_it() -> None:
    where = placing()
    placed(where, bar("EURUSD", MIDNIGHT + 1))
    assert placed(where, gap("EURUSD", missed=3), minutes=9999) == {
        "EURUSD/2026-06-25.jsonl": [gap("EURUSD", missed=3)]
    }
    assert placed(where, gap("XAUUSD"), minutes=1) == {"XAUUSD/2026-06-24.jsonl": [gap("XAUUSD")]}, "nothing ever came"


def test_where_all_symbols_share_a_file_a_gap_stands_there_once() -> None:
    where = placing("d/{date}.jsonl")
    both, data = gap("EURUSD", "XAUUSD", missed=4), bar("EURUSD", 0)
    assert placed(where, both, data) == {"2026-06-24.jsonl": [both, data]}


def test_files_of_market_data_only_hold_no_gaps() -> None:
    where = placing(gaps=False)
    data = bar("EURUSD", 0)
    assert placed(where, gap("EURUSD"), data) == {"EURUSD/2026-06-24.jsonl": [data]}
    assert placed(where, gap("EURUSD")) == {}


@pytest.mark.parametrize(("missed", "each"), [(7, None), (0, 0), (None, None)])
def test_what_each_symbol_missed_is_told_only_where_it_is_known(missed: int | None, each: int | None) -> None:
    assert [part.missed for part in alone(gap("EURUSD", "XAUUSD", missed=missed))] == [each, each]
    assert [part.missed for part in alone(gap("EURUSD", missed=missed))] == [missed]


def test_messages_go_by_when_they_came() -> None:
    where = Placing(PathTemplate("d", format="raw"), VALUES)
    assert where.key(at(0)).file == "tickatlas/raw/2026-06-24.jsonl"
    assert where.key(at(MIDNIGHT)).file == "tickatlas/raw/2026-06-25.jsonl"


_EVENTS = st.one_of(
    st.builds(bar, st.sampled_from(["EURUSD", "XAUUSD", "BTCUSD"]), st.one_of(st.none(), st.integers(0, 3 * 1440))),
    st.builds(quote, st.sampled_from(["EURUSD", "XAUUSD"]), st.integers(0, 3 * 1440)),
    st.builds(gap, st.sampled_from(["EURUSD", "XAUUSD"])),
    st.just(notice("code", 0)),
)


@given(
    st.sampled_from([DAILY, "d/{date}/{hour}.jsonl", "d/{channel}", "d/{year}-{month}/{symbol}-{interval}.jsonl"]),
    st.lists(st.lists(_EVENTS, max_size=8), max_size=6),
)
def test_nothing_is_lost_doubled_or_turned_round_in_any_file(template: str, batches: list[list[Event]]) -> None:
    where, got, given_in = placing(template), {}, []
    for number, events in enumerate(batches):
        for one in where.place(events, at(number)):
            assert one.tally == Tally.of(one.events)
            got.setdefault(one.key.file, []).extend(one.events)
        given_in += [event for event in events if isinstance(event, MarketEvent | Gap)]
    assert sorted(map(repr, given_in)) == sorted(repr(event) for events in got.values() for event in events)
    for events in got.values():
        left = iter(given_in)
        market = [event for event in events if isinstance(event, MarketEvent)]
        assert all(any(event == other for other in left) for event in market), "in the order received"
