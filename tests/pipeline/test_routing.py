from __future__ import annotations

from tests.pipeline.events import at, bar, batch, gaps_in, session
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.routing import RoutingStage


def two_of_one_provider_and_one_of_another() -> RoutingStage:
    one = GapStage("tickatlas", {1: ("EURUSD",), 2: ("XAUUSD",)}, at(0), lambda *_: 1, 60)
    other = GapStage("fcs", {3: ("EURUSD",)}, at(0), lambda *_: 1, 60)
    return RoutingStage({1: one, 2: one, 3: other})


def test_each_session_has_the_stage_of_its_provider() -> None:
    stage = two_of_one_provider_and_one_of_another()
    stage.process(batch(1, session("down", 1, number=3), session=3))
    assert gaps_in(stage.process(batch(2, bar("EURUSD", 1))).events) == []
    [gap] = gaps_in(stage.process(batch(3, bar("EURUSD", 2), session=3)).events)
    assert (gap.provider, gap.session, gap.symbols) == ("fcs", 3, ("EURUSD",))


def test_sessions_without_a_stage_pass() -> None:
    data = batch(1, bar("EURUSD", 0), session=7)
    assert RoutingStage({}).process(data) is data


def test_at_the_end_a_stage_that_sessions_share_speaks_once() -> None:
    stage = two_of_one_provider_and_one_of_another()
    stage.process(batch(1, session("down", 1, number=2), session=2))
    [gap] = gaps_in(stage.finish(at(5)))
    assert gap.symbols == ("XAUUSD",)
