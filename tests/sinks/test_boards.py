from __future__ import annotations

from msgspec import structs

from tests.sinks.making import START, bar, gap, notice, session_event
from tickstream.events import Gap
from tickstream.sinks.board import Board
from tickstream.sinks.boards import MOST_BOARDS, Boards
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.timestamps import Timestamp


def boards() -> Boards:
    """Two providers that have a symbol of the same name."""
    providers = (ProviderStatus("tickatlas", ("EURUSD",)), ProviderStatus("fcs", ("EURUSD", "XAUUSD")))
    sessions = [SessionStatus("tickatlas", 1, ("EURUSD",)), SessionStatus("fcs", 2, ("EURUSD", "XAUUSD"))]
    return Boards.of(RunStatus("LIVE", providers, sessions))


def prices(made: Boards) -> list[tuple[str, str, str]]:
    return [(row.board.provider, row.symbol, str(row.values.get("close", ""))) for row in made.rows]


def test_a_symbol_that_two_providers_have_is_two_rows() -> None:
    made = boards()
    made.add([bar(close="1.1"), bar(close="1.2", provider="fcs"), bar(close="1.3", minute=1)], 1000.0)
    assert prices(made) == [("tickatlas", "EURUSD", "1.3"), ("fcs", "EURUSD", "1.2"), ("fcs", "XAUUSD", "")]
    assert [row.values["provider"] for row in made.take_changed()] == ["tickatlas", "fcs"]
    assert made.take_changed() == []


def test_what_one_provider_refuses_is_refused_by_that_one_alone() -> None:
    made = boards()
    made.add([structs.replace(notice("symbol_refused", "EURUSD: no", ("EURUSD",)), provider="fcs")], 1000.0)
    assert [row.refused for row in made.rows] == [None, "no", None]
    assert made.refused == 1


def test_the_last_notice_says_whose_it_is() -> None:
    made = boards()
    assert made.notice is None
    made.add([gap(), Gap("fcs", ("XAUUSD",), "dropped", START, Timestamp(START + 10**12))], 1000.0)
    assert made.notice is not None
    assert made.notice[1] == "fcs: gap (dropped): XAUUSD"


def test_of_one_provider_a_notice_is_its_own_and_nobody_looks_whose_data_is() -> None:
    made = Boards([Board(("EURUSD",), (), "fcs")])
    made.add([bar(close="1.1"), session_event("down", "gone")], 1000.0)
    assert prices(made) == [("fcs", "EURUSD", "1.1")]
    assert made.notice is not None
    assert made.notice[1] == "session 1 down: gone"


def test_a_provider_that_was_not_asked_for_gets_a_board_but_not_without_end() -> None:
    made = boards()
    made.add([bar(provider=f"p{number}") for number in range(MOST_BOARDS + 5)], 1000.0)
    assert len(made.each) == MOST_BOARDS
    assert ("p0", "EURUSD", "1.1345") in prices(made)
