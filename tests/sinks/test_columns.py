from __future__ import annotations

from datetime import timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import START, bar, trade
from tickstream.events import Event
from tickstream.markets import State
from tickstream.sinks.board import Board, Row
from tickstream.sinks.columns import (
    DISPLAY_FIELDS,
    FLASH_S,
    MAX_WIDTH,
    Layout,
    Moment,
    cell,
    percent,
    short_span,
    signed,
    table_columns,
    time_of_day,
    trend,
)
from tickstream.sinks.terminal import UNICODE
from tickstream.subscriptions import Channel

ALL = table_columns((Channel.BARS,), None)


def row(*events: Event) -> Row:
    made = Board(())
    made.add(list(events), 1000.0)
    return next(iter(made.rows.values()))


def moment(now: float = 1000.0) -> Moment:
    return Moment(now, UNICODE, None)


def test_the_table_of_bars_begins_with_what_one_can_trade_at() -> None:
    names = table_columns((Channel.BARS,), None)
    assert names == ("symbol", "bid", "ask", "spread", "open", "high", "low", "close", "volume", *DISPLAY_FIELDS)


def test_other_channels_have_their_fields() -> None:
    assert table_columns((Channel.TRADES,), None) == ("symbol", "price", "size", "side", *DISPLAY_FIELDS)
    assert table_columns((Channel.QUOTES,), None)[:4] == ("symbol", "bid", "bid_size", "ask")


def test_chosen_columns_are_taken_as_they_are() -> None:
    assert table_columns((Channel.BARS,), ("close", "symbol")) == ("close", "symbol")


# --- widths ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["1.13450", "4083.5", "158", "0.00000001", "68123.50"]), min_size=1, max_size=6))
def test_decimal_points_stand_under_each_other(texts: list[str]) -> None:
    layout = Layout(("open",))
    layout.grow("open", texts)
    width = layout.width("open")
    points = {
        (placed + ".").index(".") if "." in text else len(placed.rstrip())
        for text in texts
        if (placed := layout.place("open", text, width, "…"))
    }
    assert len(points) == 1
    assert all(len(layout.place("open", text, width, "…")) == width for text in texts)


def test_widths_only_grow() -> None:
    layout = Layout(("bid",))
    layout.grow("bid", ["68123.123456789"])
    wide = layout.width("bid")
    layout.grow("bid", ["1.1"])
    assert layout.width("bid") == wide == 15


def test_texts_stand_on_the_left_and_headings_over_their_column() -> None:
    layout = Layout(("symbol", "volume"))
    assert layout.place("symbol", "AB", 6, "…") == "AB    "
    assert layout.place("volume", "12", 6, "…") == "    12"
    assert layout.heading("symbol", "symbol", 8, "…") == "symbol  "
    assert layout.heading("volume", "volume", 8, "…") == "  volume"


def test_a_cell_that_is_absurdly_long_is_cut() -> None:
    layout = Layout(("bid",))
    layout.grow("bid", ["1" * 64])
    assert layout.width("bid") == MAX_WIDTH
    assert layout.place("bid", "1" * 64, MAX_WIDTH, "…").endswith("1…")


@given(st.integers(1, 220), st.sampled_from([ALL, ("close", "symbol", "trend", "ts_recv", "provider")]), st.booleans())
def test_the_columns_chosen_fit_and_keep_their_order(width: int, columns: tuple[str, ...], chosen: bool) -> None:
    layout = Layout(columns, chosen)
    picked, gap = layout.choose(width)
    names = [name for name, _ in picked]
    assert names == [name for name in columns if name in names]
    assert sum(size for _, size in picked) + gap * (len(picked) - 1) <= width
    if not chosen and width >= 6:
        assert "symbol" in names


def test_the_least_important_columns_go_first() -> None:
    layout = Layout(ALL)
    seen = [{name for name, _ in layout.choose(width)[0]} for width in range(220, 0, -1)]
    for wider, narrower in pairwise(seen):
        assert narrower <= wider
    assert seen[0] == set(ALL)
    assert [name for name, _ in layout.choose(80)[0]] == [
        "symbol", "bid", "ask", "spread", "change", "change_pct", "trend", "age", "state",
    ]  # fmt: skip


def test_of_chosen_columns_the_last_go_first() -> None:
    layout = Layout(("volume", "symbol", "bid"), chosen=True)
    assert [name for name, _ in layout.choose(15)[0]] == ["volume", "symbol"]


def test_everything_moves_closer_before_anything_is_left_out_that_could_stay() -> None:
    layout = Layout(("symbol", "bid", "ask"))
    assert layout.choose(28) == ([("symbol", 6), ("bid", 9), ("ask", 9)], 2)
    assert layout.choose(26) == ([("symbol", 6), ("bid", 9), ("ask", 9)], 1)
    assert layout.choose(25) == ([("symbol", 6), ("bid", 9)], 2)


def test_the_trend_takes_the_room_that_is_left() -> None:
    layout = Layout(("symbol", "trend"))
    assert layout.choose(16)[0][1] == ("trend", 8)
    assert layout.choose(20)[0][1] == ("trend", 12)
    assert layout.choose(100)[0][1] == ("trend", 20)


def test_columns_can_be_left_out_unless_nothing_is_left() -> None:
    layout = Layout(("symbol", "age"))
    assert [name for name, _ in layout.choose(50, without=("age",))[0]] == ["symbol"]
    assert [name for name, _ in layout.choose(50, without=("age", "symbol"))[0]] == ["symbol", "age"]


# --- cells -----------------------------------------------------------------------------------------------------------


def test_cells_show_the_digits_of_the_provider() -> None:
    shown = row(bar(close="1.13450"))
    assert cell("close", shown, State.LIVE, moment()) == ("1.13450", "")
    assert cell("symbol", shown, State.LIVE, moment()) == ("EURUSD", "bold")
    assert cell("price", shown, State.LIVE, moment()) == ("", "")
    assert cell("state", shown, State.STALE, moment()) == ("STALE", "bold red")
    assert cell("age", shown, State.LIVE, moment(1075.0)) == ("1m", "dim")


@pytest.mark.parametrize(
    ("last", "change", "shown", "style"),
    [
        ("1.1360", "+0.00150", "▲ 0.13%", "green"),
        ("1.1330", "-0.00150", "▼ 0.13%", "red"),
        ("1.1345", "0.00000", "  0.00%", ""),
    ],
)
def test_the_change_has_sign_arrow_and_colour(last: str, change: str, shown: str, style: str) -> None:
    changed = row(bar(close="1.13450"), bar(close=last, minute=1))
    assert cell("change", changed, State.LIVE, moment()) == (change, style)
    assert cell("change_pct", changed, State.LIVE, moment()) == (shown, style)
    assert trend(changed, 10, UNICODE).style == style


def test_before_the_first_data_cells_are_empty() -> None:
    for name in ("age", "change", "change_pct", "bid", "ts_event"):
        assert cell(name, Row(Board(()), "EURUSD"), State.WAITING, moment()).text == ""
    assert percent(Row(Board(()), "EURUSD"), UNICODE) == ""
    assert signed(None) == ""


def test_a_price_that_has_just_moved_is_coloured_for_a_moment() -> None:
    made = Board(())
    made.add([bar(close="1.10")], 999.0)
    made.add([bar(close="1.20", minute=1)], 1000.0)
    moved = made.rows["EURUSD"]
    assert cell("bid", moved, State.LIVE, moment(1000.1)).style == "green"
    assert cell("open", moved, State.LIVE, moment(1000.1)).style == ""
    assert cell("bid", moved, State.LIVE, moment(1000.1 + FLASH_S)).style == ""
    made.add([bar(close="1.10", minute=2)], 1002.0)
    assert cell("bid", moved, State.LIVE, moment(1002.1)).style == "red"


def test_the_side_of_a_trade_is_coloured() -> None:
    assert cell("side", row(trade(side="buy")), State.LIVE, moment()) == ("buy", "green")
    assert cell("side", row(trade(side="sell")), State.LIVE, moment()) == ("sell", "red")
    assert cell("side", row(trade(side=None)), State.LIVE, moment()) == ("", "")


def test_times_are_shown_in_the_zone_asked_for() -> None:
    assert time_of_day(START, timezone(timedelta(hours=-4))) == "10:54:00"
    at = Moment(1000.0, UNICODE, timezone(timedelta(hours=2)))
    assert cell("ts_event", row(bar()), State.LIVE, at) == ("16:54:00", "dim")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200_000, "2d")],
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert short_span(seconds) == text


def test_a_change_is_written_without_an_exponent() -> None:
    assert signed(Decimal("1E-8")) == "+0.00000001"
    assert signed(Decimal("-0.000")) == "0.000"
