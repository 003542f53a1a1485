"""Recorded minutes from the provider to the output: each once, in order, with the very digits of the file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.end_to_end.watching import Result, assert_exit, serve
from tickstream.errors import ExitCode

SYMBOLS = ("EURUSD", "XAUUSD")
PRICES = ("open", "high", "low", "close")
Minute = tuple[str, ...]


@pytest.fixture(scope="module")
def m1(repository: Path) -> Path:
    return repository / "tests" / "data" / "m1"


@pytest.fixture(scope="module")
def minutes(m1: Path) -> dict[str, list[Minute]]:
    """Symbol -> time, open, high, low, close and volume, the text of the file."""
    found = {}
    for symbol in SYMBOLS:
        rows = list(csv.reader((m1 / f"{symbol}.csv").read_text().splitlines()))[1:]
        found[symbol] = [(row[0].replace(" ", "T"), *row[1:]) for row in rows]
        assert len(found[symbol]) > 100
    return found


def replayed(m1: Path, minutes: dict[str, list[Minute]], output: str) -> Result:
    """What comes out when all minutes are replayed at 1,000 a second."""
    count = sum(map(len, minutes.values()))
    with serve(speed=60_000.0, start_ns=None, m1=m1) as server:
        result = server.watched(*SYMBOLS, "-o", output, "--count", str(count))
        assert_exit(result, ExitCode.OK)
        assert server.simulator.pushes == count
    return result


def test_json_lines_hold_every_minute_once_in_order_and_digit_for_digit(
    m1: Path, minutes: dict[str, list[Minute]]
) -> None:
    bars = replayed(m1, minutes, "jsonl").bars
    for symbol in SYMBOLS:
        got = [
            (bar["ts_event"].removesuffix(".000000Z"), *(bar[name] for name in (*PRICES, "volume")))
            for bar in bars
            if bar["symbol"] == symbol
        ]
        assert got == minutes[symbol]


def test_csv_rows_hold_every_minute_once_in_order_and_digit_for_digit(
    m1: Path, minutes: dict[str, list[Minute]]
) -> None:
    result = replayed(m1, minutes, "csv")
    rows = list(csv.DictReader(io.StringIO(result.out.decode())))
    for symbol in SYMBOLS:
        got = [
            (row["ts_event"].removesuffix(".000000Z"), *(row[name] for name in (*PRICES, "volume")))
            for row in rows
            if row["symbol"] == symbol
        ]
        assert got == minutes[symbol]


def test_raw_lines_are_the_messages_of_the_provider(m1: Path, minutes: dict[str, list[Minute]]) -> None:
    lines = replayed(m1, minutes, "raw").lines
    quotes = [json.loads(line, parse_float=str, parse_int=str)["data"] for line in lines]
    for symbol in SYMBOLS:
        got = [
            (quote["time"].removesuffix("Z"), *(quote[name] for name in (*PRICES, "volume")))
            for quote in quotes
            if quote["symbol"] == symbol
        ]
        assert got == minutes[symbol]


def test_bid_ask_and_spread_are_exact(m1: Path, minutes: dict[str, list[Minute]]) -> None:
    from decimal import Decimal

    for bar in replayed(m1, minutes, "jsonl").bars:
        assert bar["bid"] == bar["close"]
        assert Decimal(bar["spread"]) == Decimal(bar["ask"]) - Decimal(bar["bid"])
        assert "e" not in bar["spread"].lower()
