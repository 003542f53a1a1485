from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.sinks.making import SATURDAY, START, SYMBOLS, bar, gap, meter, notice, now, run_status
from tickstream.events import Account
from tickstream.markets import ALWAYS
from tickstream.numbers import difference, number
from tickstream.sinks.board import Board
from tickstream.sinks.boards import Boards
from tickstream.sinks.columns import Layout, table_columns
from tickstream.sinks.screen import Screen, to_rich
from tickstream.sinks.terminal import ASCII, Line, line_width
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.subscriptions import Channel

COLUMNS = table_columns((Channel.BARS,), None)
GOLDEN = Path(__file__).parent / "golden"
MARKET = {
    "EURUSD": ("1.13450", "1.13468", "1.13448", "1.13490", "1.13502", "291"),
    "XAUUSD": ("4082.27", "4083.8", "4080.00", "4081.50", "4081.81", "1302"),
    "BTCUSD": ("68123", "68190.55", "68100.1", "68123.00", "68135.50", "17"),
}


def screen(status: RunStatus | None = None, symbols: tuple[str, ...] = SYMBOLS) -> tuple[Screen, Board]:
    """A screen after five minutes of a market that goes up, down and nowhere."""
    status = status or run_status()
    status.events = 15
    board = Board(symbols, (), "tickatlas")
    board.add([Account("tickatlas", START, "pro")], 1000.0)
    for minute in range(5):
        for symbol in symbols:
            first, high, low, bid, ask, volume = MARKET.get(symbol, MARKET["EURUSD"])
            close = first if minute == 0 else bid
            fields = {"open": first, "high": high, "low": low, "bid": bid, "ask": ask, "volume": volume}
            event = bar(symbol, close, minute, **{name: number(text) for name, text in fields.items()})
            board.add([bar(symbol, close, minute, **{name: getattr(event, name) for name in fields},
                           spread=difference(number(ask), number(bid)))], 996.0 + minute)  # fmt: skip
    return Screen(Boards([board]), status, Layout(COLUMNS)), board


def text(lines: list[Line]) -> str:
    return "".join("".join(part for part, _ in line).rstrip() + "\n" for line in lines)


def assert_golden(name: str, lines: list[Line]) -> None:
    """The picture is as it was looked at. After a change that is meant: write `text(lines)` to the file, and look."""
    assert text(lines) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def scene(name: str) -> tuple[Screen, Board, RunStatus]:
    """The states of a run that were looked at."""
    status = run_status()
    status.providers[0].credits = meter(1000)
    drawn, board = screen(status)
    session = status.sessions[0]
    if name == "held":
        session.state, session.reason, session.retry_at = "held", "connection_limit: 2 connections are open", 1055.0
    elif name == "down":
        session.state, session.reason, session.retry_at, session.attempts = "down", "connection refused", 1012.0, 2
    elif name == "quota":
        session.paused = True
        status.providers[0].credits.quota_exceeded(START)
        board.add([notice()], 1000.0)
    elif name == "reconnected":
        session.epoch, status.gaps = 2, 1
        board.add([gap()], 1000.0)
    elif name == "refused":
        board.add([notice("symbol_refused", "XAUUSD: the provider did not confirm it", ("XAUUSD",))], 1000.0)
    return drawn, board, status


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["live", "held", "down", "quota", "reconnected", "refused"])
def test_the_table_looks_as_it_was_looked_at(name: str, width: int) -> None:
    drawn, _, _ = scene(name)
    assert_golden(f"{name}-{width}", drawn.draw(now(width), 24))


def test_the_table_looks_as_it_was_looked_at_when_data_is_old() -> None:
    drawn, _, _ = scene("live")
    assert_golden("stale-80", drawn.draw(now(80, seconds=500), 24))


def test_the_table_looks_as_it_was_looked_at_when_the_market_is_closed() -> None:
    drawn, _, _ = scene("live")
    assert_golden("closed-80", drawn.draw(now(80, wall_ns=SATURDAY, monotonic=1500.0), 24))


def test_the_table_looks_as_it_was_looked_at_before_the_first_data() -> None:
    status = run_status(state="connecting", step="auth")
    drawn = Screen(Boards([Board(SYMBOLS, (), "tickatlas")]), status, Layout(COLUMNS))
    assert_golden("waiting-80", drawn.draw(now(80), 24))


def test_the_table_looks_as_it_was_looked_at_in_twenty_columns() -> None:
    drawn, _, _ = scene("live")
    assert_golden("live-20", drawn.draw(now(20), 10))


def test_the_table_looks_as_it_was_looked_at_in_ascii() -> None:
    drawn, _, _ = scene("down")
    lines = drawn.draw(now(80, glyphs=ASCII), 24)
    assert text(lines).isascii()
    assert_golden("down-ascii", lines)


def test_the_last_picture_leaves_out_how_fresh_the_data_is() -> None:
    drawn, _, status = scene("live")
    status.sessions[0].state = "closed"
    assert_golden("final-80", drawn.draw(now(80), final=True))


def three_providers() -> tuple[Screen, Boards, RunStatus]:
    """A bank, a bookmaker and an exchange, two of which write a pair in the same way."""
    providers = (
        ProviderStatus("tickatlas", ("EURUSD", "XAUUSD"), meter(1000)),
        ProviderStatus("alltick", ("EURUSD", "NOPE")),
        ProviderStatus("coinbase", ("BTC-USD",)),
    )
    sessions = [SessionStatus(one.name, number, one.symbols, "up") for number, one in enumerate(providers, 1)]
    sessions[0].ping_ms, sessions[1].ping_ms = 12.4, 3.2
    sessions[2].state, sessions[2].retry_at, sessions[2].reason = "down", 1012.0, "connection refused"
    status = RunStatus("LIVE", providers, sessions, started=1000.0, events=3)
    boards = Boards.of(status)
    fields = {name: number("1.13502") for name in ("open", "high", "low", "ask")}
    boards.add([Account("tickatlas", START, "pro"), bar("EURUSD", "1.13450", **fields)], 1000.0)
    boards.add([bar("EURUSD", "1.13460", provider="alltick", **fields)], 1000.0)
    refused = notice("symbol_refused", "NOPE: the provider does not know it", ("NOPE",))
    boards.add([structs.replace(refused, provider="alltick")], 1000.0)
    columns = table_columns((Channel.BARS, Channel.QUOTES), None, several=True)
    return Screen(boards, status, Layout(columns)), boards, status


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_of_several_providers_looks_as_it_was_looked_at(width: int) -> None:
    drawn, _, _ = three_providers()
    assert_golden(f"several-{width}", drawn.draw(now(width), 24))


def test_of_several_providers_a_small_screen_keeps_the_rows_then_each_connection_then_the_title() -> None:
    drawn, _, _ = three_providers()
    lines = text(drawn.draw(now(80), 8)).splitlines()
    assert [line.split()[0] for line in lines] == [
        "tickstream", "tickatlas", "alltick", "coinbase", "provider", "tickatlas", "tickatlas", "+3",
    ]  # fmt: skip


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 60))
def test_nothing_of_several_providers_is_wider_or_higher_than_the_screen(width: int, height: int) -> None:
    drawn, _, _ = three_providers()
    lines = drawn.draw(now(width), height)
    assert 1 <= len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 40))
def test_nothing_is_wider_or_higher_than_the_screen(width: int, height: int, more: int) -> None:
    drawn, _ = screen(symbols=(*SYMBOLS, *(f"SYMBOL{number}" for number in range(more))))
    lines = drawn.draw(now(width), height)
    assert 1 <= len(lines) <= height
    assert all(line_width(line) <= width for line in lines)


@pytest.mark.parametrize(("height", "more"), [(24, 14), (12, 26), (8, 28), (6, 28), (3, 29), (2, 30)])
def test_rows_that_do_not_fit_are_counted(height: int, more: int) -> None:
    symbols = tuple(f"SYM{number}" for number in range(30))
    status = run_status()
    status.providers[0].credits = meter()
    drawn, _ = screen(status, symbols)
    assert f"+{more} more\n" in text(drawn.draw(now(80), height))


def test_rows_never_jump_and_columns_never_shrink() -> None:
    drawn, board = screen()

    def symbols(lines: list[Line]) -> list[str]:
        return [line[0][0].strip() for line in lines if line[0][0].strip() in SYMBOLS]

    wide = drawn.draw(now(200))
    assert symbols(wide) == list(SYMBOLS)
    small = {name: number("9.1") for name in ("bid", "ask", "open", "high", "low", "volume", "spread")}
    board.add([bar(symbol, MARKET[symbol][0], 9, **small) for symbol in reversed(SYMBOLS)], 1000.0)
    after = drawn.draw(now(200))
    assert symbols(after) == list(SYMBOLS)
    heading = next(position for position, line in enumerate(wide) if line[0][0].startswith("symbol"))
    assert after[heading] == wide[heading]


def test_the_first_data_moves_no_column() -> None:
    board = Board(("EURUSD",), (), "tickatlas")
    drawn = Screen(Boards([board]), run_status(), Layout(COLUMNS))
    heading = text(drawn.draw(now(80))[3:4])
    board.add([bar()], 1000.0)
    assert text(drawn.draw(now(80))[3:4]) == heading
    assert heading.startswith("symbol")


def test_another_calendar_can_be_given() -> None:
    board = Board(("EURUSD",), (), "tickatlas")
    board.add([bar()], 0.0)
    status = run_status()
    status.providers[0].market_of = lambda _: ALWAYS
    drawn = Screen(Boards([board]), status, Layout(("symbol", "state")))
    assert "STALE" in text(drawn.draw(now(80, wall_ns=SATURDAY)))


def test_colours_are_those_that_the_terminal_names() -> None:
    drawn, _, _ = scene("refused")
    words = {word for line in drawn.draw(now(140), 24) for _, style in line for word in style.split()}
    assert words <= {"bold", "dim", "reverse", "red", "green", "yellow", "cyan"}


def test_provider_text_is_never_markup() -> None:
    from rich.console import Console

    _, board, _ = scene("live")
    board.add([notice("x", "[red]not red[/red]")], 1000.0)
    drawn = Screen(Boards([board]), run_status(), Layout(("symbol",)))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    with console.capture() as captured:
        for line in drawn.draw(now(80)):
            console.print(to_rich(line))
    assert "[red]not red[/red]" in captured.get()


# --- without a cursor ------------------------------------------------------------------------------------------------


def test_plain_lines_have_the_time_and_the_columns_that_fit() -> None:
    drawn, board = screen()
    rows = list(board.rows.values())
    assert drawn.plain(rows[:1], now(60), heading=True) == [
        "time      symbol        bid        ask     chg%  state",
        "14:54:00  EURUSD    1.13490    1.13502  ▲ 0.04%  LIVE",
    ]
    lines = drawn.plain(rows, now(10_000), heading=False)
    assert len(lines) == 3
    assert all(line.startswith("14:54:00  ") for line in lines)
    assert lines[0].split() == [
        "14:54:00", "EURUSD", "1.13490", "1.13502", "0.00012", "1.13450", "1.13468", "1.13448", "1.13490", "291",
        "+0.00040", "▲", "0.04%", "LIVE",
    ]  # fmt: skip
