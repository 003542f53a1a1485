"""The record of what was sent."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from tests.simulator.candles import NOON_NS, candle
from tickstream.errors import ExitCode, OutputError
from tickstream.events import Trade
from tickstream.numbers import number
from tickstream.simulator.journal import Journal
from tickstream.simulator.outgoing import Push
from tickstream.simulator.tickatlas import push
from tickstream.timestamps import Timestamp


def test_a_line_has_the_digits_that_were_sent(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = time.time_ns()
    journal = Journal(path)
    journal.record(3, [push(candle("EURUSD")), push(candle("XAUUSD", 1))])
    lines = [json.loads(line, parse_float=str) for line in path.read_text().splitlines()]
    journal.close()
    assert [line["symbol"] for line in lines] == ["EURUSD", "XAUUSD"]
    assert lines[0].pop("ts_ns") >= before
    assert lines[0] == {
        "connection": 3, "symbol": "EURUSD", "market_time": "2026-06-24T12:00:00Z", "open": "1.10000",
        "high": "1.10010", "low": "1.09990", "close": "1.10005", "bid": "1.10005", "ask": "1.10017", "volume": 7,
    }  # fmt: skip


def test_it_is_appended_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    for _ in range(2):
        journal = Journal(path)
        journal.record(1, [push(candle())])
        journal.close()
    assert len(path.read_text().splitlines()) == 2


def test_records_are_kept_in_memory_when_asked_for() -> None:
    journal, forgetful = Journal(keep=True), Journal()
    for one in (journal, forgetful):
        one.record(1, [push(candle())])
        one.close()
    (sent,) = journal.sent
    assert (sent.symbol, sent.market_ns, sent.item.close) == ("EURUSD", NOON_NS, "1.10005")
    assert forgetful.sent == []


def test_prices_that_are_null_are_null_in_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.record(1, [push(msgspec.structs.replace(candle(), bid="null"))])
    journal.close()
    assert json.loads((tmp_path / "journal.jsonl").read_text())["bid"] is None


def test_an_event_is_written_as_it_is(tmp_path: Path) -> None:
    ts = Timestamp(NOON_NS)
    trade = Trade("kraken", "BTC/USD", ts, ts, number("1.50"), None, "buy")
    journal = Journal(tmp_path / "journal.jsonl")
    journal.record(1, [Push(trade, "trade BTC/USD", b"")])
    journal.close()
    line = json.loads((tmp_path / "journal.jsonl").read_text(), parse_float=str)
    assert line.pop("ts_ns") > 0
    assert line == {"connection": 1, "symbol": "BTC/USD", "event": {
        "type": "trade", "provider": "kraken", "symbol": "BTC/USD", "ts_event": "2026-06-24T12:00:00.000000Z",
        "ts_recv": "2026-06-24T12:00:00.000000Z", "price": "1.50", "side": "buy"}}  # fmt: skip


def test_a_journal_that_cannot_be_opened_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write the journal") as refused:
        Journal(tmp_path / "none" / "journal.jsonl")
    assert refused.value.exit_code is ExitCode.OUTPUT


def test_a_journal_on_a_full_disk_is_an_output_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    journal = Journal(full)
    with pytest.raises(OutputError, match="No space left"):
        journal.record(1, [push(candle())])
    journal.close()
