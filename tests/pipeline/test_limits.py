"""Limits end a run to the event: neither one more nor one fewer, and payloads in step with events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import START, bar, batch, notice, session
from tickstream.events import Batch, Event, MarketEvent
from tickstream.pipeline.base import Stage
from tickstream.pipeline.limits import LimitStage


def bars(*symbols: str) -> Batch:
    return batch(1, *(bar(symbol, n) for n, symbol in enumerate(symbols)), payloads=[s.encode() for s in symbols])


def shown(made: Batch) -> str:
    """The symbols of what was let through."""
    return "".join(event.symbol for event in made.events if isinstance(event, MarketEvent))


def test_without_a_limit_a_batch_passes_as_it_is() -> None:
    stage: Stage = LimitStage()
    one = bars("A", "B")
    assert stage.process(one) is one
    assert shown(one) == "AB"
    assert stage.finish(START) == []


class TestCount:
    def test_the_batch_in_which_it_is_reached_is_cut(self) -> None:
        stage = LimitStage(count=3)
        assert shown(stage.process(bars("A", "B"))) == "AB"
        assert not stage.done
        last = stage.process(bars("C", "D", "E"))
        assert shown(last) == "C"
        assert last.payloads == [b"C"]
        assert stage.done

    def test_what_comes_after_it_is_left_out(self) -> None:
        stage = LimitStage(count=1)
        stage.process(bars("A"))
        late = stage.process(bars("B"))
        assert (late.events, late.payloads) == ([], [])

    def test_stream_events_are_not_counted_and_always_pass(self) -> None:
        stage = LimitStage(count=1)
        events: list[Event] = [session("up", 1), bar("A", 1), notice("stale", 1), bar("B", 1), session("down", 1)]
        out = stage.process(batch(1, *events, payloads=[b"A", b"B"]))
        assert out.events == [events[0], events[1], events[2], events[4]]
        assert out.payloads == [b"A"]

    def test_zero_is_reached_at_once(self) -> None:
        stage = LimitStage(count=0)
        assert stage.done
        assert shown(stage.process(bars("A"))) == ""

    @pytest.mark.parametrize(("count", "left"), [(0, []), (1, [b"AB"])])
    def test_one_payload_for_several_events_goes_with_the_last_of_them(self, count: int, left: list[bytes]) -> None:
        stage = LimitStage(count=count)
        assert stage.process(batch(1, bar("A", 1), bar("B", 1), payloads=[b"AB"])).payloads == left


class TestOnce:
    def test_each_symbol_comes_once_and_then_it_is_over(self) -> None:
        stage = LimitStage(once=frozenset("AB"))
        assert shown(stage.process(bars("A", "A"))) == "A"
        assert not stage.done
        last = stage.process(bars("A", "B", "B"))
        assert shown(last) == "B"
        assert last.payloads == [b"B"]
        assert stage.done
        assert shown(stage.process(bars("A", "B"))) == ""

    def test_refused_symbols_are_not_waited_for(self) -> None:
        stage = LimitStage(once=frozenset("ABC"))
        stage.process(bars("A"))
        stage.refused(("B",))
        assert not stage.done
        stage.refused(("C", "NEVER"))
        assert stage.done
        stage.refused(())
        assert stage.done

    def test_a_symbol_that_two_providers_have_is_told_apart_by_its_name(self) -> None:
        stage = LimitStage(once=frozenset({"tickatlas:A", "fcs:A"}), name_of=lambda e: f"{e.provider}:{e.symbol}")
        assert shown(stage.process(bars("A", "A"))) == "A"
        assert not stage.done
        stage.refused(("fcs:A",))
        assert stage.done

    def test_refusals_mean_nothing_to_a_count(self) -> None:
        stage = LimitStage(count=1)
        stage.refused(("A",))
        assert not stage.done

    def test_count_and_once_end_at_whichever_comes_first(self) -> None:
        stage = LimitStage(count=2, once=frozenset("ABC"))
        assert shown(stage.process(bars("A", "A", "B", "C"))) == "AB"
        assert stage.done
        stage = LimitStage(count=9, once=frozenset("AB"))
        assert shown(stage.process(bars("A", "B", "A"))) == "AB"
        assert stage.done


@given(
    st.lists(st.text("ABC", max_size=6), max_size=8), st.integers(0, 20) | st.none(), st.sets(st.sampled_from("ABC"))
)  # fmt: skip
def test_the_same_events_pass_however_they_are_batched(batches: list[str], count: int | None, once: set[str]) -> None:
    def passed(chunks: list[str]) -> tuple[str, list[bytes], bool]:
        stage = LimitStage(count, frozenset(once) or None)
        out = [stage.process(bars(*chunk)) for chunk in chunks]
        return "".join(map(shown, out)), [p for made in out for p in made.payloads], stage.done

    symbols, payloads, done = passed(batches)
    assert passed(list("".join(batches))) == (symbols, payloads, done)
    assert "".join(p.decode() for p in payloads) == symbols
    assert count is None or len(symbols) <= count
    assert done == (len(symbols) == count or (bool(once) and set(symbols) == once))
