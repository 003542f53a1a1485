from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import START, bar, book, book_update, gap, notice, quote, session_event, trade
from tickstream.events import Account, Event, MarketEvent
from tickstream.sinks.board import EXTRA_ROWS, LARGE_BATCH, Board
from tickstream.status import SessionStatus
from tickstream.timestamps import Timestamp

PRICES = st.decimals(-(10**6), 10**6, places=5).map(str)


def board(*events: Event) -> Board:
    made = Board(("EURUSD", "XAUUSD"))
    made.add(list(events), 1000.0)
    return made


def test_rows_stand_in_the_order_asked_for_whatever_comes_first() -> None:
    made = board(bar("XAUUSD"), bar("BTCUSD"), bar("EURUSD"))
    assert list(made.rows) == ["EURUSD", "XAUUSD", "BTCUSD"]


def test_the_values_are_the_digits_of_the_latest_event() -> None:
    values = board(bar(close="1.10"), bar(close="1.20000", minute=1, volume=None)).rows["EURUSD"].values
    assert values["close"] == "1.20000"
    assert values["closed"] == "yes"
    assert values["ts_event"] == START + 60_000_000_000
    assert "volume" not in values


def test_a_book_shows_its_best_levels() -> None:
    made = board(book(("1.10", "5.0"), ("1.09", "2"), asks=(("1.20", "7"),), symbol="EURUSD"))
    values = made.rows["EURUSD"].values
    assert {name: values[name] for name in ("bid", "bid_size", "ask", "ask_size")} == {
        "bid": "1.10", "bid_size": "5.0", "ask": "1.20", "ask_size": "7",
    }  # fmt: skip
    assert made.rows["EURUSD"].prices[-1] == b"1.10"
    made.add([book(asks=(("1.30", "7"),), symbol="EURUSD")], 1001.0)
    assert "bid" not in values
    assert values["ask"] == "1.30"


def test_after_an_update_the_best_levels_are_those_of_the_book() -> None:
    made = board(
        book(("1.10", "5.0"), asks=(("1.20", "7"),), symbol="EURUSD"), book_update(("1.11", "1"), symbol="EURUSD")
    )
    values = made.rows["EURUSD"].values
    assert [values[name] for name in ("bid", "bid_size", "ask", "spread")] == ["1.11", "1", "1.20", "0.09"]
    made.add([book_update(("1.11", "0"), symbol="EURUSD"), quote("5", symbol="XAUUSD")], 1001.0)
    assert values["bid"] == "1.10"
    assert made.rows["XAUUSD"].values["bid"] == "5"


@pytest.mark.parametrize(
    "wrong",
    [
        gap(symbols=("EURUSD",), reason="dropped"),
        notice("book_broken", "EURUSD: crossed", ("EURUSD",)),
        session_event("down"),
    ],
)
def test_the_prices_of_a_book_that_is_wrong_are_not_shown(wrong: Event) -> None:
    made = Board(("EURUSD",), [SessionStatus("tickatlas", 1, ("EURUSD",))])
    whole = book(("1.10", "5.0"), asks=(("1.20", "7"),), symbol="EURUSD")
    made.add([whole, wrong], 1000.0)
    assert not {"bid", "bid_size", "ask", "ask_size", "spread"} & set(made.rows["EURUSD"].values)
    assert made.books.why_not("EURUSD").startswith("withheld: ")
    assert made.take_changed() == [made.rows["EURUSD"]]
    made.add([whole], 1001.0)
    assert made.rows["EURUSD"].values["bid"] == "1.10"


def test_a_session_that_ends_as_it_should_leaves_its_books() -> None:
    made = Board(("EURUSD",), [SessionStatus("tickatlas", 1, ("EURUSD",))])
    made.add([book(("1.10", "5.0"), symbol="EURUSD"), session_event("closed", None)], 1000.0)
    assert made.rows["EURUSD"].values["bid"] == "1.10"


def test_texts_are_cleaned() -> None:
    values = board(bar("EURUSD", provider="\x1b[31mX", closed=False)).rows["EURUSD"].values
    assert values["provider"] == "\\x1b[31mX"
    assert values["closed"] == "no"
    assert board(bar("\x1b")).rows["\x1b"].values["symbol"] == "\\x1b"


@given(PRICES, PRICES)
def test_the_change_is_exact(first: str, last: str) -> None:
    row = board(bar(close=first), bar(close=last, minute=1)).rows["EURUSD"]
    assert row.change == Decimal(last) - Decimal(first)
    if Decimal(first):
        percent = row.change_percent
        assert percent is not None
        assert abs(percent - 100 * (Decimal(last) - Decimal(first)) / abs(Decimal(first))) <= Decimal("0.005000001")


def test_the_change_of_very_long_numbers_is_exact_too() -> None:
    long = "1" + "0" * 40 + ".00000001"
    row = board(bar(close=long), bar(close="1", minute=1)).rows["EURUSD"]
    assert row.change == Decimal("-" + "9" * 40 + ".00000001")


@pytest.mark.parametrize(("first", "last"), [("0", "1"), ("0.00", "0.00")])
def test_there_is_no_percentage_of_nothing(first: str, last: str) -> None:
    assert board(bar(close=first), bar(close=last, minute=1)).rows["EURUSD"].change_percent is None


def test_a_tiny_first_price_gives_a_huge_percentage_and_no_error() -> None:
    percent = board(bar(close="1e-290"), bar(close="1e290", minute=1)).rows["EURUSD"].change_percent
    assert percent is not None
    assert percent > 10**100


def test_before_the_first_data_nothing_is_known() -> None:
    row = board().rows["EURUSD"]
    assert (row.change, row.change_percent, row.seen_at, row.direction) == (None, None, None, 0)


def test_a_bar_that_still_grows_replaces_its_point_of_the_trend() -> None:
    row = board(bar(close="1"), bar(close="2"), bar(close="3", minute=1)).rows["EURUSD"]
    assert list(row.prices) == [b"2", b"3"]
    assert row.first == b"1"


def test_the_trend_holds_twenty_prices() -> None:
    row = board(*(bar(close=str(minute), minute=minute) for minute in range(30))).rows["EURUSD"]
    assert list(row.prices) == [str(minute).encode() for minute in range(10, 30)]


def test_a_large_batch_is_one_point_of_the_trend() -> None:
    row = board(*(bar(close=str(minute), minute=minute) for minute in range(LARGE_BATCH + 1))).rows["EURUSD"]
    assert list(row.prices) == [b"%d" % LARGE_BATCH]
    assert row.values["close"] == str(LARGE_BATCH)


def test_a_price_that_moves_says_which_way_and_when() -> None:
    made = board(bar(close="1.10"))
    row = made.rows["EURUSD"]
    moves = ((1001.0, "1.20", 1, 1001.0), (1002.0, "1.200", 1, 1001.0), (1003.0, "1", -1, 1003.0))
    for now, close, direction, since in moves:
        made.add([bar(close=close, minute=int(now))], now)
        assert (row.direction, row.moved_at) == (direction, since)
        assert row.seen_at == now


def test_quotes_are_followed_by_their_last_price_or_their_bid() -> None:
    made = Board(())
    made.add([quote("1.10"), quote("1.20", ts_event=Timestamp(START + 1)), quote(None)], 1.0)
    assert list(made.rows["EUR/USD"].prices) == [b"1.10", b"1.20"]
    made.add([quote("1.10", last=trade("1.15").price)], 2.0)
    assert made.rows["EUR/USD"].prices[-1] == b"1.15"


def test_an_event_without_a_price_only_tells_that_data_comes() -> None:
    made = board(MarketEvent("x", "EURUSD", START, START))
    row = made.rows["EURUSD"]
    assert row.change is None
    assert row.seen_at == 1000.0


def test_trades_are_followed_by_their_price() -> None:
    made = Board(())
    made.add([trade("1.5"), trade("1.5")], 1.0)
    assert list(made.rows["BTC-USD"].prices) == [b"1.5", b"1.5"], "two trades at one time are two"
    assert made.rows["BTC-USD"].values["trade_id"] == "00042"


def test_symbols_that_nobody_asked_for_do_not_fill_the_memory() -> None:
    made = board()
    made.add([bar(f"X{number}") for number in range(3 * EXTRA_ROWS)], 1.0)
    for number in range(10):
        made.add([bar(f"Y{number}")], 1.0)
    assert len(made.rows) == 2 + EXTRA_ROWS


def test_changed_rows_are_handed_out_once() -> None:
    made = board(bar("XAUUSD"), bar("XAUUSD"), gap())
    assert [row.symbol for row in made.take_changed()] == ["XAUUSD"]
    assert made.take_changed() == []


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (notice(), "quota_exceeded: Daily quota exhausted"),
        (notice("x\x1b", "[red]\u202e"), "x\\x1b: [red]\\u202e"),
        (gap(), "gap (disconnect), 3 missed: EURUSD XAUUSD"),
        (gap(missed=None), "gap (disconnect): EURUSD XAUUSD"),
        (session_event(), "session 1 down: connection refused"),
        (session_event("up", None, epoch=3), "session 1 up again (connection 3)"),
    ],
)
def test_the_last_thing_to_know_is_remembered(event: Event, text: str) -> None:
    made = board(event)
    assert made.notice is not None
    assert made.notice[1] == text


def test_what_goes_as_planned_is_no_news() -> None:
    made = board(notice(), session_event("connecting"), session_event("up", None), session_event("closed", None))
    assert made.notice == (START, "quota_exceeded: Daily quota exhausted")


def test_refused_symbols_keep_their_reason() -> None:
    made = board(
        notice("symbol_refused", "GBPXYZ: the provider did not confirm it", ("GBPXYZ",)),
        notice("symbol_limit", "A, B: over the limit of 5 symbols of this plan", ("A", "B")),
        notice("other", "C", ("C",)),
    )
    assert made.refused == {
        "GBPXYZ": "the provider did not confirm it",
        "A": "over the limit of 5 symbols of this plan",
        "B": "over the limit of 5 symbols of this plan",
    }


def test_the_plan_is_what_the_provider_calls_it() -> None:
    made = board(Account("tickatlas", START, "pro\n", 20, 4, 100))
    assert made.plan == "pro\\x0a"
    made.add([Account("tickatlas", START)], 1.0)
    assert made.plan is None
