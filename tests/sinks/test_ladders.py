"""Ladders: the pictures that were looked at, what gives way on a small screen, and what must never be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.sinks.making import Written, batch, book, book_update, notice, now, request, run_status, session_event
from tests.sinks.test_screen import text
from tickstream.events import Event
from tickstream.sinks.board import Board
from tickstream.sinks.boards import Boards
from tickstream.sinks.columns import Layout, table_columns
from tickstream.sinks.ladders import Ladders
from tickstream.sinks.table import PlainTable
from tickstream.sinks.terminal import ASCII, Line, line_width
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.subscriptions import Channel

GOLDEN = Path(__file__).parent / "golden"
SYMBOLS = ("BTC/USD", "ETH/USD", "DOGE/USD", "ETH/BTC")
COLUMNS = table_columns((Channel.BOOK,), None)
BITCOIN = ProviderStatus("kraken", ("BTC/USD",))
TOPS = {"BTC/USD": ("64210.4", 1), "ETH/USD": ("3158.39", 2), "DOGE/USD": ("0.1243099", 7), "ETH/BTC": ("0.04917", 5)}


def side(symbol: str, direction: int, count: int) -> tuple[tuple[str, str], ...]:
    """Levels from the best one on, with sizes that rise and fall and one that is long."""
    top, places = TOPS[symbol]
    best = round(float(top) * 10**places) + (1 if direction > 0 else 0)
    sizes = ("0.25", "1.50000000", "2", "0.00000001", "12.7", "3.125", "0.75")
    return tuple(
        (f"{(best + direction * number) / 10**places:.{places}f}", sizes[number % len(sizes)])
        for number in range(count)
    )


def whole(symbol: str, count: int = 12) -> Event:
    return book(*side(symbol, -1, count), asks=side(symbol, 1, count), symbol=symbol)


def ladders(*symbols: str, depth: int = 10, **session: Any) -> tuple[Ladders, Board]:
    """A screen on which these have been seen."""
    symbols = symbols or SYMBOLS[:1]
    status = RunStatus("LIVE", (ProviderStatus("kraken", symbols),), [], started=1000.0)
    one = SessionStatus("kraken", 1, symbols, state="up", epoch=1, ping_ms=12.4)
    for name, value in session.items():
        setattr(one, name, value)
    status.sessions.append(one)
    board = Board(symbols, status.sessions, "kraken")
    for symbol in symbols:
        board.add([whole(symbol)], 1000.0)
    return Ladders(Boards([board]), status, Layout(COLUMNS), depth=depth), board


def assert_golden(name: str, lines: list[Line]) -> None:
    """The picture is as it was looked at. After a change that is meant: write `text(lines)` to the file, and look."""
    assert text(lines) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("count", [1, 4])
def test_the_ladders_look_as_they_were_looked_at(width: int, count: int) -> None:
    drawn, _ = ladders(*SYMBOLS[:count])
    assert_golden(f"ladders-{count}-{width}", drawn.draw(now(width), 24 if count == 1 else 40))


def scene(name: str) -> Ladders:
    """What can be the matter with a book."""
    if name == "waiting":
        status = run_status(state="connecting", step="subscribe")
        return Ladders(Boards([Board(SYMBOLS[:2])]), status, Layout(COLUMNS))
    drawn, board = ladders(*SYMBOLS[:2])
    if name == "withheld":
        board.add([notice("book_broken", "ETH/USD: updates are missing (dropped)", ("ETH/USD",))], 1000.0)
    elif name == "down":
        drawn, board = ladders(*SYMBOLS[:2], state="down", retry_at=1012.0, attempts=2, reason="connection refused")
        board.add([session_event("down")], 1000.0)
    elif name == "refused":
        board.add([notice("symbol_refused", "ETH/USD: unknown to Kraken", ("ETH/USD",))], 1000.0)
    return drawn


@pytest.mark.parametrize("name", ["waiting", "withheld", "down", "refused"])
def test_the_ladders_look_as_they_were_looked_at_when_something_is_the_matter(name: str) -> None:
    assert_golden(f"ladders-{name}-80", scene(name).draw(now(80), 24))


def test_the_ladder_looks_as_it_was_looked_at_in_ascii() -> None:
    drawn, _ = ladders()
    lines = drawn.draw(now(80, glyphs=ASCII), 16)
    assert text(lines).isascii()
    assert_golden("ladders-ascii", lines)


def test_the_last_picture_has_all_levels_asked_for_and_no_empty_ones() -> None:
    drawn, board = ladders(*SYMBOLS[:2], depth=5, state="closed")
    board.add([notice("book_broken", "ETH/USD: crossed", ("ETH/USD",))], 1000.0)
    assert_golden("ladders-final-80", drawn.draw(now(80), final=True))
    alone, board = ladders(depth=5, state="closed")
    board.add([notice("book_broken", "BTC/USD: crossed", ("BTC/USD",))], 1000.0)
    assert text(alone.draw(now(80), final=True)).splitlines()[3:-3] == [
        f"{'BTC/USD':75}0.00%",
        "    price  size  total",
        "── withheld: crossed ───────────────────────────────────────────────────────────",
    ]


def prices(lines: list[Line]) -> list[str]:
    return [line[0][0].strip() for line in lines if len(line) > 1 and line[0][0].strip().startswith("64")]


@pytest.mark.parametrize(("height", "levels"), [(40, 10), (24, 7), (16, 3), (12, 3), (9, 2), (7, 1), (5, 0)])
def test_the_height_says_how_deep_it_goes_and_the_best_levels_stay_in_the_middle(height: int, levels: int) -> None:
    drawn, _ = ladders()
    seen = prices(drawn.draw(now(80), height))
    top = [price for price, _ in side("BTC/USD", 1, levels)][::-1], [price for price, _ in side("BTC/USD", -1, levels)]
    assert seen == [*top[0], *top[1]]


def test_the_spread_never_moves_however_many_levels_there_are() -> None:
    drawn, board = ladders()
    before = text(drawn.draw(now(80), 24)).splitlines()
    place = next(number for number, line in enumerate(before) if "spread 0.1" in line)
    board.add([whole("BTC/USD", count=2)], 1001.0)
    after = text(drawn.draw(now(80), 24)).splitlines()
    assert len(after) == len(before)
    assert "spread 0.1" in after[place]
    board.add([notice("book_checksum", "BTC/USD: wrong", ("BTC/USD",))], 1001.0)
    assert "withheld: wrong" in text(drawn.draw(now(80), 24)).splitlines()[place]


def test_a_side_that_is_empty_leaves_the_spread_unknown() -> None:
    drawn, board = ladders()
    board.add([book(asks=side("BTC/USD", 1, 2), symbol="BTC/USD")], 1001.0)
    assert "spread unknown" in text(drawn.draw(now(80), 24))


def test_a_book_around_nothing_has_a_spread_and_no_share() -> None:
    drawn, board = ladders()
    board.add([book(("-1", "1"), asks=(("1", "0e-8"), ("1", "2")), symbol="BTC/USD")], 1001.0)
    assert "── spread 2 ─" in text(drawn.draw(now(80), 24))


def test_a_spread_of_next_to_nothing_is_not_rounded_to_none() -> None:
    drawn, board = ladders()
    board.add([book(("64210.44", "1"), asks=(("64210.45", "1"),), symbol="BTC/USD")], 1001.0)
    assert "── spread 0.01   <0.0001% ─" in text(drawn.draw(now(80), 24))


def test_the_total_is_exact_and_grows_outwards() -> None:
    drawn, board = ladders()
    board.add([book(("2", "0.1"), ("1", "0.2"), asks=(("3", "1"),), symbol="BTC/USD")], 1001.0)
    lines = [line.split() for line in text(drawn.draw(now(80), 24)).splitlines()]
    assert [line[:3] for line in lines if line[:1] in (["2"], ["1"])] == [["2", "0.1", "0.1"], ["1", "0.2", "0.3"]]


@pytest.mark.parametrize(("height", "shown"), [(45, 4), (30, 4), (24, 2), (12, 2)])
def test_ladders_that_do_not_fit_are_counted(height: int, shown: int) -> None:
    drawn, _ = ladders(*SYMBOLS)
    picture = text(drawn.draw(now(80), height))
    assert sum(symbol in picture for symbol in SYMBOLS) == shown
    assert (f"+{len(SYMBOLS) - shown} more\n" in picture) is (shown < len(SYMBOLS))


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 4), st.integers(1, 30))
def test_nothing_is_wider_or_higher_than_the_screen(width: int, height: int, count: int, depth: int) -> None:
    drawn, _ = ladders(*SYMBOLS[:count], depth=depth)
    lines = drawn.draw(now(width), height)
    assert 1 <= len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


def test_no_symbol_is_no_ladder() -> None:
    drawn = Ladders(Boards([Board(())]), run_status(), Layout(COLUMNS))
    assert len(drawn.draw(now(80), 24)) <= 24


def test_without_a_cursor_a_line_tells_the_best_levels_and_that_a_book_is_withheld() -> None:
    status = RunStatus("LIVE", (BITCOIN,), [SessionStatus("kraken", 1, ("BTC/USD",), state="up")])
    stdout = Written()
    table = PlainTable(request(stdout, status=status, channels=(Channel.BOOK,)))
    table.write(batch(whole("BTC/USD"), book_update(("64210.4", "9"), symbol="BTC/USD")))
    table.refresh()
    table.write(batch(notice("book_broken", "BTC/USD: crossed", ("BTC/USD",))))
    table.refresh()
    heading, good, wrong = stdout.text.splitlines()
    assert heading.split()[:4] == ["time", "symbol", "bid", "bid"]
    assert good.split()[1:7] == ["BTC/USD", "64210.4", "9", "64210.5", "0.25", "0.1"]
    assert good.split()[-1] == "LIVE"
    assert "64210" not in wrong
    assert wrong.split()[-1] == "WITHHELD"


def test_fields_of_ones_own_make_it_a_table_as_any_other() -> None:
    status = RunStatus("LIVE", (BITCOIN,), [])
    stdout = Written()
    table = PlainTable(request(stdout, status=status, channels=(Channel.BOOK,), fields=("symbol", "ask", "bid")))
    table.write(batch(whole("BTC/USD")))
    table.refresh()
    assert [line.split()[1:] for line in stdout.text.splitlines()] == [
        ["symbol", "ask", "bid"],
        ["BTC/USD", "64210.5", "64210.4"],
    ]


def test_of_several_providers_a_ladder_says_whose_book_it_is() -> None:
    providers = (ProviderStatus("kraken", ("BTC/USD",)), ProviderStatus("alpaca", ("BTC/USD",)))
    status = RunStatus("LIVE", providers, [])
    boards = Boards.of(status)
    boards.add([structs.replace(whole("BTC/USD"), provider="alpaca")], 1000.0)
    lines = text(Ladders(boards, status, Layout(COLUMNS)).draw(now(140), 24)).splitlines()
    title = next(line for line in lines if line.startswith("kraken BTC/USD"))
    assert "alpaca BTC/USD  LIVE" in title
    assert any("waiting for the book" in line and "spread 0.1" in line for line in lines)
