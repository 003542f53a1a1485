from __future__ import annotations

import pytest

from tests.sinks.making import Written, bar, batch, gap, request, trade
from tickstream.errors import UsageError
from tickstream.sinks import load
from tickstream.subscriptions import Channel


def test_the_header_comes_first_even_without_data() -> None:
    stdout = Written()
    load("csv").make(request(stdout)).open()
    assert stdout.text.startswith("type,provider,symbol,ts_event,ts_recv,interval,open,")
    assert stdout.text.count("\n") == 1


def test_the_header_is_written_once_and_rows_follow() -> None:
    stdout = Written()
    sink = load("csv").make(request(stdout, fields=("symbol", "close")))
    sink.open()
    sink.write(batch(bar(close="1.10"), gap()))
    sink.write(batch(bar("XAUUSD", "4083.50")))
    sink.close()
    assert stdout.text == "symbol,close\nEURUSD,1.10\nXAUUSD,4083.50\n"


def test_another_channel_has_other_columns() -> None:
    stdout = Written()
    sink = load("csv").make(request(stdout, channels=(Channel.TRADES,), time="ns"))
    sink.open()
    sink.write(batch(trade()))
    assert stdout.text == (
        "type,provider,symbol,ts_event,ts_recv,price,size,side,trade_id,sequence,canonical\n"
        "trade,coinbase,BTC-USD,1782312840000000000,1782312840000000000,68123.50,0.00000001,buy,00042,7,\n"
    )


def test_formulas_are_guarded_unless_told_otherwise() -> None:
    for raw, cell in ((False, "'=1"), (True, "=1")):
        stdout = Written()
        load("csv").make(request(stdout, fields=("symbol",), csv_raw=raw)).write(batch(bar("=1")))
        assert stdout.text == f"{cell}\n"


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(UsageError):
        load("csv").make(request(fields=("nonsense",)))


def test_the_sides_of_a_book_are_refused_as_columns_and_its_levels_named() -> None:
    with pytest.raises(UsageError, match="'bids'") as caught:
        load("csv").make(request(fields=("symbol", "bids"), channels=(Channel.BOOK,)))
    assert all(f" {name}" in str(caught.value) for name in ("side", "level", "price", "size"))
