"""Kraken, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulator.client import client
from tests.simulator.talking import START_NS, Pair
from tickstream.errors import SessionStale
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, Notice, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook
from tickstream.simulator.kraken import COUNTERPART, INSTRUMENTS, payload_of, written
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("BTC/USD", "ADA/USD")


def test_it_speaks_first_and_says_that_it_is_online() -> None:
    pair = Pair("kraken", Channel.QUOTES, "BTC/USD")
    assert pair.decoded()[0]["channel"] == "status"
    assert pair.decoded()[0]["data"][0]["system"] == "online"


def test_each_symbol_has_its_reply_as_the_documentation_shows_it() -> None:
    pair = Pair("kraken", Channel.QUOTES, *BOTH)
    assert pair.protocol.active == BOTH
    _, first, second = pair.decoded()
    assert first == {
        "method": "subscribe", "result": {"channel": "ticker", "snapshot": True, "symbol": "BTC/USD"}, "success": True,
        "time_in": "2026-06-22T00:00:00.000000Z", "time_out": "2026-06-22T00:00:00.000000Z",
    }  # fmt: skip
    assert second["result"]["symbol"] == "ADA/USD"


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"method": "dance"}, "EGeneral:Invalid arguments"),
        ({"method": "subscribe", "params": {"channel": "level3", "symbol": ["BTC/USD"]}}, "EGeneral:Invalid arguments"),
        ({"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 7}}, "EGeneral:Invalid"),
        ({"method": "subscribe", "params": {"channel": "ohlc", "interval": 2}}, "EGeneral:Invalid arguments"),
        ({"method": "subscribe", "params": {"channel": "trade", "symbol": "BTC/USD"}}, "Malformed request"),
        ({"method": "subscribe", "params": 5}, "Malformed request"),
        ({"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["BTC/USD"]}}, "Subscription Not Found"),
        ({"method": "subscribe", "params": {"channel": "trade", "symbol": ["FOO/BAR"]}}, "Currency pair not supported"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_the_connection_stays(request_: dict[str, object], error: str) -> None:
    pair = Pair("kraken", Channel.QUOTES, "BTC/USD")
    (answer,) = pair.say(req_id=7, **request_)
    assert answer["error"].startswith(error)
    assert (answer["success"], answer.get("req_id")) == (False, None if error == "Malformed request" else 7)
    assert pair.server.ending is None


def test_the_list_of_pairs_comes_once_for_each_subscription_to_it() -> None:
    pair = Pair("kraken", Channel.QUOTES, "BTC/USD")
    reply, pairs = pair.say(method="subscribe", params={"channel": "instrument"})
    assert reply["result"] == {"channel": "instrument", "snapshot": True}
    assert {one["symbol"]: one["price_precision"] for one in pairs["data"]["pairs"]}["BTC/USD"] == 1
    (gone,) = pair.say(method="unsubscribe", params={"channel": "instrument"})
    assert (gone["method"], gone["success"]) == ("unsubscribe", True)


def test_a_message_that_is_no_json_or_no_text_is_malformed() -> None:
    pair = Pair("kraken", Channel.QUOTES, "BTC/USD")
    assert [pair.say_bytes(rubbish)[0]["error"] for rubbish in (b"{", b"[]", b"7", b"\xff")] == [
        "Malformed request"
    ] * 4
    with Simulator(SimulatorOptions(provider="kraken")) as sim, client(sim) as one:
        one.ws.send(b"binary")
        assert [one.receive().get("channel"), one.receive().get("error")] == ["status", "Malformed request"]


def test_a_ping_is_answered_with_its_number() -> None:
    (pong,) = Pair("kraken", Channel.QUOTES, "BTC/USD").say(method="ping", req_id=42)
    assert (pong["method"], pong["req_id"]) == ("pong", 42)


def test_heartbeats_come_in_each_second_without_anything_else() -> None:
    pair = Pair("kraken", Channel.QUOTES, "BTC/USD")
    assert pair.server.next_deadline() == 1.0
    pair.wait(0.9)
    pair.wait(0.1)
    assert pair.decoded()[-1] == {"channel": "heartbeat"}
    pair.steps(3)
    assert [message.get("channel") for message in pair.decoded()[-3:]] == ["ticker"] * 3
    assert Pair("kraken", Channel.QUOTES, "BTC/USD", heartbeat_s=5.0).server.next_deadline() == 5.0


def test_nobody_is_spoken_to_who_has_no_subscription() -> None:
    conversation = COUNTERPART.conversation(Pair("kraken", Channel.QUOTES, "BTC/USD").counterpart, 0.0)
    assert conversation.next_deadline() is None


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


def test_quotes_are_never_crossed_and_have_the_pairs_decimals() -> None:
    pair = Pair("kraken", Channel.QUOTES, *BOTH)
    pair.steps(50)
    quotes = pair.all(Quote)
    assert len(quotes) == 100
    assert all(decimal(quote.bid) < decimal(quote.ask) for quote in quotes)
    assert len({text(quote.bid) for quote in quotes}) > 20
    assert [quote.ts_event for quote in quotes[:2]] == [Timestamp(START_NS + 10**9)] * 2


def test_trades_are_numbered_without_a_hole_at_the_bid_or_the_ask() -> None:
    pair = Pair("kraken", Channel.TRADES, *BOTH)
    pair.steps(30)
    for symbol in BOTH:
        ids = [int(trade.trade_id) for trade in pair.all(Trade) if trade.symbol == symbol]
        assert ids == list(range(ids[0], ids[0] + 60))
    assert {trade.side for trade in pair.all(Trade)} == {"buy", "sell"}
    assert pair.all(Gap) == []


@pytest.mark.parametrize("depth", ["10", "25"])
def test_a_book_is_checked_in_each_message_and_stays_uncrossed(depth: str) -> None:
    pair = Pair("kraken", Channel.BOOK, *BOTH, settings={"depth": depth})
    pair.wait(0.5)
    pair.steps(80)
    assert pair.all(Notice) == []
    books = {symbol: OrderBook() for symbol in BOTH}
    for event in pair.market:
        book = books[event.symbol]
        assert isinstance(event, BookSnapshot | BookUpdate)
        (book.replace if isinstance(event, BookSnapshot) else book.apply)(event.bids, event.asks)
        assert not book.crossed
        assert book.counts == (int(depth), int(depth))
    assert len(pair.all(BookSnapshot)) == 2
    assert len(pair.all(BookUpdate)) > 100


def test_bars_grow_and_are_left_open() -> None:
    pair = Pair("kraken", Channel.BARS, "BTC/USD", settings={"interval": "5m"})
    pair.steps(310)
    bars = pair.all(Bar)
    assert {bar.interval for bar in bars} == {"5m"}
    first = [bar for bar in bars if bar.ts_event == START_NS]
    assert len(first) == 300
    assert [decimal(bar.volume) for bar in first] == sorted(decimal(bar.volume) for bar in first)
    for bar in bars:
        assert decimal(bar.low) <= min(decimal(bar.open), decimal(bar.close))
        assert decimal(bar.high) >= max(decimal(bar.open), decimal(bar.close))


def test_numbers_are_written_as_kraken_writes_them() -> None:
    assert [written(one) for one in ("105944.20", "0.00009417", "0.10000000", "64156.0")] == [
        "105944.2", "9.417e-05", "0.1", "64156.0",
    ]  # fmt: skip


def test_a_pair_that_is_not_listed_is_refused_and_the_others_go_on() -> None:
    pair = Pair("kraken", Channel.BOOK, "BTC/USD", "FOO/BAR")
    pair.wait(0.5)
    pair.steps(1)
    assert pair.protocol.refused.keys() == {"FOO/BAR"}
    assert {event.symbol for event in pair.market} == {"BTC/USD"}


def test_all_its_pairs_are_listed_unless_others_are_named() -> None:
    with Simulator(SimulatorOptions(provider="kraken")) as sim:
        assert sim._source.symbols == frozenset(INSTRUMENTS)
    options = SimulatorOptions(provider="kraken", known=("A/B",), market_hours="ignore", speed=600.0)
    with Simulator(options) as sim, client(sim) as one_:
        one_.ask(method="subscribe", params={"channel": "trade", "symbol": ["A/B"]})
        assert one_.receive()["success"] is True
        assert one_.receive()["data"][0]["symbol"] == "A/B"


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_makes_the_client_ask_again_and_the_book_comes_back() -> None:
    pair = Pair("kraken", Channel.BOOK, "BTC/USD", faults=("bad-checksum@4",))
    pair.wait(0.5)
    pair.steps(12)
    assert [notice.code for notice in pair.all(Notice)] == ["book_checksum"]
    assert len(pair.all(BookSnapshot)) == 2
    assert isinstance(pair.market[-1], BookUpdate)


def test_a_lost_update_is_found_out_by_the_next_checksum() -> None:
    pair = Pair("kraken", Channel.BOOK, "BTC/USD", faults=("lost@4",))
    pair.wait(0.5)
    pair.steps(12)
    assert [notice.code for notice in pair.all(Notice)] == ["book_checksum"]
    assert len(pair.all(BookSnapshot)) == 2


def test_a_lost_trade_is_a_gap_of_one() -> None:
    pair = Pair("kraken", Channel.TRADES, "BTC/USD", faults=("lost@4",))
    pair.steps(6)
    assert [(gap.reason, gap.missed) for gap in pair.all(Gap)] == [("sequence", 1)]
    assert len(pair.all(Trade)) == 11


def test_maintenance_is_said() -> None:
    pair = Pair("kraken", Channel.TRADES, "BTC/USD", faults=("maintenance@2",))
    pair.steps(3)
    assert [(notice.code, notice.message) for notice in pair.all(Notice)] == [
        ("status", "Kraken says of itself: maintenance")
    ]


@pytest.mark.parametrize(
    ("fault", "what"), [("skew", Trade), ("skew", Quote), ("crossed", Quote), ("skew", BookUpdate)]
)
def test_odd_data_is_still_data(fault: str, what: type[Item]) -> None:
    channel = {Trade: Channel.TRADES, Quote: Channel.QUOTES, BookUpdate: Channel.BOOK}[what]  # type: ignore[index]  # a table
    pair = Pair("kraken", channel, "BTC/USD", faults=(fault,))
    pair.wait(0.5)
    pair.steps(3)
    event = pair.all(what)[0]
    if fault == "crossed":
        assert decimal(event.bid) > decimal(event.ask)
    elif what is not BookUpdate:
        assert event.ts_event > START_NS + 3_600 * 10**9


@pytest.mark.parametrize(
    "fault", ["no-ack", "partial-ack", "invalid-symbol", "no-heartbeat", "duplicate", "out-of-order"]
)
def test_what_others_have_it_has_too(fault: str) -> None:
    pair = Pair("kraken", Channel.TRADES, *BOTH, faults=(fault,))
    pair.steps(12)
    symbols = {trade.symbol for trade in pair.all(Trade)}
    expected = {"partial-ack": {"BTC/USD"}, "invalid-symbol": {"ADA/USD"}}.get(fault, set(BOTH))
    assert symbols == expected
    if fault == "partial-ack":
        assert [(notice.code, notice.symbols) for notice in pair.all(Notice)] == [("no_ack", ("ADA/USD",))]


def test_without_heartbeats_a_quiet_feed_is_dead() -> None:
    pair = Pair("kraken", Channel.TRADES, "BTC/USD", faults=("no-heartbeat",))
    with pytest.raises(SessionStale):
        pair.wait(15)


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments",
})  # fmt: skip
"""No protocol gets to see them."""


@pytest.mark.parametrize(
    "name", [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES]
)
def test_after_any_fault_there_is_data_or_had_been(name: str) -> None:
    moment = COUNTERPART.faults()[name].when.replace("10", "2")
    pair = Pair("kraken", Channel.QUOTES, *BOTH, faults=(f"{name}@{moment}",))
    pair.steps(4)
    assert pair.market or name == "no-data"


# --- what was recorded -----------------------------------------------------------------------------------------------


def moment(second: int) -> Timestamp:
    return Timestamp(START_NS + second * 10**9)


class Recorded:
    """A market of recorded events, all at once."""

    step_ns = 0
    first_ns = START_NS
    symbols = frozenset({"BTC/USD"})

    def __init__(self, *events: Item) -> None:
        self._events = list(events)

    def knows(self, symbol: str) -> bool:
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        return after_ns

    def items(self, start_ns: int, end_ns: int, symbols: object, limit: int) -> tuple[list[Item], int]:
        return self._events, end_ns


def served(channel: Channel, *events: Item) -> Pair:
    pair = Pair("kraken", channel, "BTC/USD", source=Recorded(*events))
    pair.wait(0.5)
    pair.server.deliver(pair.counterpart.round(events), pair.now)
    pair.wait(0.0)
    return pair


def one(value: str) -> Decimal:
    return number(value)  # type: ignore[return-value]  # short for the tables below


def test_recorded_events_come_back_as_they_were() -> None:
    ts = moment(1)
    quote = Quote(
        "kraken", "BTC/USD", ts, ts, one("1.10"), one("2"), one("1.20"), one("9.4e-05"), one("0.10"), one("1.1")
    )
    trade = Trade("kraken", "BTC/USD", ts, ts, one("1.10"), one("2.000"), "sell", "77")
    bar = Bar("kraken", "BTC/USD", moment(0), ts, "15m", *[one("1.50")] * 5)
    for channel, event in ((Channel.QUOTES, quote), (Channel.TRADES, trade), (Channel.BARS, bar)):
        pair = served(channel, event)
        settings = {"interval": "15m"}
        if channel is Channel.BARS:
            pair = Pair("kraken", channel, "BTC/USD", source=Recorded(event), settings=settings)
            pair.server.deliver(pair.counterpart.round([event]), pair.now)
            pair.wait(0.0)
        (again,) = pair.market
        fields = {name: getattr(again, name) for name in again.__struct_fields__}
        for name, value in fields.items():
            if name != "ts_recv":
                assert value == getattr(event, name) or bytes(value) == bytes(getattr(event, name)), name


def test_a_recorded_book_is_sent_with_checksums_whatever_its_decimals() -> None:
    levels = tuple((one(f"1.{n:03d}"), one("0.5")) for n in range(12, 0, -1))
    whole = BookSnapshot("kraken", "BTC/USD", moment(1), moment(1), levels, ((one("2.0"), one("1e-05")),))
    change = BookUpdate("kraken", "BTC/USD", moment(2), moment(2), ((one("1.012"), one("0")),), ())
    pair = served(Channel.BOOK, whole, change)
    assert [type(event) for event in pair.market] == [BookSnapshot, BookUpdate]
    update = pair.market[1]
    assert isinstance(update, BookUpdate)
    assert [(text(price), float(text(size))) for price, size in update.bids] == [("1.012", 0.0), ("1.002", 0.5)]
    assert pair.all(Notice) == []


def test_a_step_that_changes_nothing_in_a_book_is_not_sent() -> None:
    whole = BookSnapshot("kraken", "BTC/USD", moment(1), moment(1), ((one("1"), one("2")),), ((one("2"), one("3")),))
    assert len(served(Channel.BOOK, whole, whole).market) == 1


def test_a_book_alone_is_no_message_and_what_kraken_has_not_is_not_sent() -> None:
    whole = BookSnapshot("kraken", "BTC/USD", moment(1), moment(1), (), ())
    assert payload_of(whole) == b""
    from tickstream.events import OrderUpdate

    order = OrderUpdate("kraken", "BTC/USD", moment(1), moment(1), "open", "7")
    assert served(Channel.QUOTES, order).market == []
