"""Minutes from CSV files: which, in what order, and with what digits."""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.candles import M1
from tickstream.errors import ConfigError
from tickstream.simulator.market import DAY_NS, MINUTE_NS, Candle, M1Replay, add_points, decimal_text, points_of
from tickstream.timestamps import parse_rfc3339

BOTH = ("EURUSD", "XAUUSD")


def everything(replay: M1Replay, symbols: tuple[str, ...] = BOTH, limit: int = 10_000) -> list[Candle]:
    """All candles, read in steps of about `limit`."""
    found: list[Candle] = []
    position: int | None = replay.first_ns
    while (position := replay.next_open(position)) is not None:
        candles, position = replay.items(position, position + 7 * DAY_NS, symbols, limit)
        found += candles
    return found


def rows(symbol: str) -> list[list[str]]:
    with (M1 / f"{symbol}.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize("limit", [1, 2, 7, 10_000])
def test_every_line_of_every_file_comes_once_with_the_digits_of_the_file(limit: int) -> None:
    candles = everything(M1Replay(M1), limit=limit)
    for symbol in BOTH:
        got = [[str(one.open_ns), one.open, one.high, one.low, one.close, one.volume] for one in candles
               if one.symbol == symbol]  # fmt: skip
        assert got == [[str(int(parse_rfc3339(row[0]))), *row[1:]] for row in rows(symbol)]


def test_both_files_are_interleaved_by_time() -> None:
    candles = everything(M1Replay(M1))
    assert candles == sorted(candles, key=lambda one: (one.open_ns, one.symbol))
    assert {candles[0].symbol, candles[-1].symbol} == set(BOTH)


def test_only_symbols_asked_for_come_and_none_is_missed_when_reading_in_steps() -> None:
    candles = everything(M1Replay(M1), ("XAUUSD",), limit=3)
    assert [one.close for one in candles] == [row[4] for row in rows("XAUUSD")]


def test_the_bid_is_the_close_and_the_ask_is_the_spread_above_it_exactly() -> None:
    for one in everything(M1Replay(M1, spread_points=3)):
        assert one.bid == one.close
        assert Decimal(one.ask) - Decimal(one.bid) == Decimal(3).scaleb(-one.decimals)


def test_float_noise_in_the_file_does_not_make_the_point_smaller() -> None:
    candles = everything(M1Replay(M1))
    noisy = [one for one in candles if len(one.high) > 10]
    assert noisy, "the recorded file has prices like 1.1338300000000001"
    assert {(one.symbol, one.decimals) for one in candles} == {("EURUSD", 5), ("XAUUSD", 2)}


def test_a_loop_begins_anew_on_a_later_day_at_the_same_time() -> None:
    replay = M1Replay(M1, loop=True)
    once = everything(M1Replay(M1))
    position, found = replay.first_ns, []
    while len(found) < 2 * len(once):
        opens = replay.next_open(position)
        assert opens is not None
        candles, position = replay.items(opens, opens + 9 * DAY_NS, BOTH, 50)
        found += candles
    assert found[: len(once)] == once
    assert found[len(once) : 2 * len(once)] == [one.at(one.open_ns + DAY_NS) for one in once]


def test_there_is_no_candle_after_the_last() -> None:
    replay = M1Replay(M1)
    last = everything(replay)[-1].open_ns
    assert replay.next_open(last) == last
    assert replay.next_open(last + 1) is None


def test_it_knows_the_symbols_it_has_files_of() -> None:
    replay = M1Replay(M1)
    assert replay.knows("EURUSD")
    assert not replay.knows("GBPUSD")


@given(st.integers(0, 10**15), st.integers(0, 12))
def test_points_and_decimal_text_are_the_same_number(points: int, decimals: int) -> None:
    text = decimal_text(points, decimals)
    assert points_of(text, decimals) == points
    assert Decimal(text) == Decimal(points).scaleb(-decimals)


def test_negative_points_have_their_sign_before_the_number() -> None:
    assert decimal_text(-12, 5) == "-0.00012"


@given(st.decimals(0, 10**6, places=5), st.integers(0, 10**4), st.integers(0, 8))
def test_adding_points_is_exact(price: Decimal, points: int, decimals: int) -> None:
    assert Decimal(add_points(format(price, "f"), points, decimals)) == price + Decimal(points).scaleb(-decimals)


HEAD = "time,open,high,low,close,volume\n"
LINE = "2026-06-24 14:54:00,1.1,1.2,1.0,1.15,7\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "the header is not time,open,high,low,close,volume"),
        ("time,open\n", 1, "the header is not"),
        (HEAD + LINE + "2026-06-24 14:55:00,1.1,1.2,1.0\n", 3, "4 values where 6 belong"),
        (HEAD + LINE + "yesterday,1.1,1.2,1.0,1.15,7\n", 3, "not an RFC 3339 time"),
        (HEAD + LINE + LINE, 3, "is not after the line before it"),
        (HEAD + "2026-06-24 14:54:00,1.1,1e3,1.0,1.15,7\n", 2, "high is no price: '1e3'"),
        (HEAD + "2026-06-24 14:54:00,NaN,1.2,1.0,1.15,7\n", 2, "open is no price"),
        (HEAD + "2026-06-24 14:54:00,1.1,1.2,-1.0,1.15,7\n", 2, "low is no price"),
        (HEAD + "2026-06-24 14:54:00,1.1,1.2,1.0,01.15,7\n", 2, "close is no price"),
        (HEAD + "2026-06-24 14:54:00,1.1,1.2,1.0,1.15,many\n", 2, "volume is no number"),
    ],
)
def test_a_bad_file_is_refused_naming_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        M1Replay(tmp_path)
    assert refused.value.message.startswith(f"{path}, line {line}: ")
    assert says in refused.value.message


def test_a_file_without_candles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "EURUSD.csv").write_text(HEAD + "\n\n")
    with pytest.raises(ConfigError, match="no candles"):
        M1Replay(tmp_path)


def test_blank_lines_a_byte_order_mark_and_spaces_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "EURUSD.csv").write_text(
        "\ufeffTime, Open,High,Low,Close,Volume\n\n 2026-06-24 14:54:00 ,1,2 ,1, 1.5,7\n"
    )
    replay = M1Replay(tmp_path, spread_points=2)
    (one,), after = replay.items(replay.first_ns, replay.first_ns + MINUTE_NS, ("EURUSD",), 10)
    assert (one.open, one.high, one.low, one.close, one.ask, one.volume) == ("1", "2", "1", "1.5", "1.7", "7")
    assert after == replay.first_ns + MINUTE_NS


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "EURUSD.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="Cannot read"):
        M1Replay(tmp_path)


def test_a_file_name_that_is_no_symbol_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eur-usd.csv").write_text(HEAD + LINE)
    with pytest.raises(ConfigError, match="to be a symbol"):
        M1Replay(tmp_path)


def test_a_file_name_may_stand_for_a_symbol_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "BTC%2FUSD.csv").write_text(HEAD + LINE)
    assert M1Replay(tmp_path, form=re.compile(r"[A-Z]+/[A-Z]+")).knows("BTC/USD")


def test_a_folder_that_is_missing_or_has_no_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read the folder"):
        M1Replay(tmp_path / "none")
    with pytest.raises(ConfigError, match="no CSV file"):
        M1Replay(tmp_path)
