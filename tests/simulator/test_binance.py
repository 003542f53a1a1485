"""Binance, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

import pytest

from tests.simulator.candles import wire
from tests.simulator.client import client
from tests.simulator.talking import START_NS, Pair
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, Notice, OrderUpdate, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook
from tickstream.session.frames import PING, FrameReader
from tickstream.simulator.binance import COUNTERPART, LIFETIME_S, MINUTES, NOTICE_S, data_of, written
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending
from tickstream.simulator.server import Simulator
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("BTCUSDT", "ETHBTC")


def streams(pair: Pair) -> list[str]:
    """The streams that the server keeps for the client."""
    pair.wait(2.0)
    (answer,) = pair.say(method="LIST_SUBSCRIPTIONS", id=3)
    found = answer["result"]
    assert isinstance(found, list)
    return found


def test_a_subscription_is_confirmed_by_its_id_and_listed() -> None:
    pair = Pair("binance", Channel.TRADES, *BOTH)
    assert pair.decoded() == [{"result": None, "id": 1}]
    assert streams(pair) == ["btcusdt@trade", "ethbtc@trade"]
    assert pair.say(method="UNSUBSCRIBE", params=["btcusdt@trade", "x@y"], id="mine") == [
        {"result": None, "id": "mine"}
    ]
    assert streams(pair) == ["ethbtc@trade"]


def test_what_there_is_not_is_confirmed_as_well_and_silent() -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT", "NOSUCH")
    pair.steps(2)
    assert pair.protocol.active == ("BTCUSDT", "NOSUCH")
    assert {event.symbol for event in pair.market} == {"BTCUSDT"}
    pair.wait(60)
    assert [(notice.code, notice.symbols) for notice in pair.all(Notice)] == [("quiet_symbols", ("NOSUCH",))]


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"{", 3), (b"\xff", 3), (b"[" * 5000, 3), (b"[]", 2), (b'{"method":"DANCE","id":1}', 2),
     (b'{"method":"SUBSCRIBE","params":"btcusdt@trade"}', 2), (b'{"method":"SUBSCRIBE","params":[5]}', 2)],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_and_the_connection_stays(said: bytes, code: int) -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT")
    (answer,) = pair.say_bytes(said)
    assert answer["code"] == code
    assert pair.server.ending is None


def test_streams_may_be_named_in_the_url() -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT")
    conversation = COUNTERPART.conversation(pair.counterpart, 0.0)
    conversation.greet(Request("key", "/stream", "streams=btcusdt@trade/ethbtc@bookTicker/nosuch@trade"), 0.0)
    assert list(conversation.topics) == ["btcusdt@trade", "ethbtc@bookTicker"]


def test_more_than_five_messages_in_a_second_end_the_connection() -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT")
    for _ in range(4):
        pair.say(method="LIST_SUBSCRIPTIONS", id=3)
    assert pair.server.ending is None
    pair.say(method="LIST_SUBSCRIPTIONS", id=3)
    assert pair.server.ending == Ending(1008, "Too many requests")


def test_a_ping_comes_every_20_seconds_and_the_end_after_24_hours() -> None:
    conversation = COUNTERPART.conversation(Pair("binance", Channel.TRADES, "BTCUSDT").counterpart, 0.0)
    assert conversation.next_deadline() == 20.0
    for now in (19.0, 20.0, 25.0, 40.0):
        conversation.tick(now)
    batch = FrameReader().feed(wire(conversation.take_outgoing()))
    assert [control.opcode for control in batch.controls] == [PING, PING]
    conversation.tick(LIFETIME_S)
    assert conversation.ending == Ending(1001, "24 hours are over")


@pytest.mark.parametrize(
    ("stream", "there"),
    [("btcusdt@bookTicker", True), ("btcusdt@depth", True), ("btcusdt@depth5@100ms", True), ("btcusdt@depth7", False),
     ("btcusdt@kline_5m", True), ("btcusdt@kline_1M", False), ("btcusdt@kline_2m", False), ("BTCUSDT@trade", False),
     ("btcusdt", False), ("nosuch@trade", False)],
)  # fmt: skip
def test_which_streams_there_are(stream: str, there: bool) -> None:
    counterpart = Pair("binance", Channel.TRADES, "BTCUSDT").counterpart
    assert counterpart.has(stream) is there  # type: ignore[attr-defined]  # it is Binance's


def test_over_a_real_connection_a_binary_message_is_an_error() -> None:
    with Simulator(SimulatorOptions(provider="binance")) as sim, client(sim) as one:
        one.ws.send(b"binary")
        assert one.receive()["code"] == "3"
        assert sim.url.endswith("/stream")


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


def test_quotes_are_never_crossed_and_have_eight_decimals() -> None:
    pair = Pair("binance", Channel.QUOTES, *BOTH)
    pair.steps(40)
    quotes = pair.all(Quote)
    assert len(quotes) == 80
    assert all(decimal(quote.bid) < decimal(quote.ask) for quote in quotes)
    assert {len(text(quote.bid).partition(".")[2]) for quote in quotes} == {8}
    assert written("0.5") == "0.50000000"


@pytest.mark.parametrize("kind", ["trade", "aggTrade"])
def test_trades_are_numbered_without_a_hole(kind: str) -> None:
    pair = Pair("binance", Channel.TRADES, *BOTH, settings={"trades": kind})
    pair.steps(30)
    for symbol in BOTH:
        ids = [int(trade.trade_id) for trade in pair.all(Trade) if trade.symbol == symbol]
        assert ids == list(range(ids[0], ids[0] + 60))
    assert {trade.side for trade in pair.all(Trade)} == {"buy", "sell"}
    assert pair.all(Gap) == []


@pytest.mark.parametrize("depth", ["5", "20"])
def test_partial_books_are_whole_and_uncrossed(depth: str) -> None:
    pair = Pair("binance", Channel.BOOK, *BOTH, settings={"depth": depth})
    pair.steps(20)
    books = pair.all(BookSnapshot)
    assert len(books) == 40
    for snapshot in books:
        book = OrderBook()
        book.replace(snapshot.bids, snapshot.asks)
        assert book.counts == (int(depth), int(depth))
        assert not book.crossed


def test_updates_are_numbered_on_and_bring_the_book_from_one_snapshot_to_the_next() -> None:
    pair = Pair("binance", Channel.BOOK, "BTCUSDT")
    pair.say(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=2)
    begin = pair.counterpart._tape  # type: ignore[attr-defined]  # it is Binance's
    candles, _ = pair.source.items(START_NS, START_NS + 40 * 10**9, {"BTCUSDT"}, 100)
    first, last = begin.book(candles[0]), begin.book(candles[-1])
    pair.steps(40)
    assert pair.all(Gap) == []
    book, whole = OrderBook(), OrderBook()
    book.replace(first.bids, first.asks)
    for update in pair.all(BookUpdate):
        book.apply(update.bids, update.asks)
    whole.replace(last.bids, last.asks)
    assert [[(text(p), text(s)) for p, s in side] for side in book.depth()] == [
        [(text(p), text(s)) for p, s in side] for side in whole.depth()
    ]


def test_bars_are_closed_by_their_last_step() -> None:
    pair = Pair("binance", Channel.BARS, "BTCUSDT")
    pair.steps(65)
    bars = pair.all(Bar)
    assert [bar.closed for bar in bars] == [False] * 59 + [True] + [False] * 5
    assert {bar.interval for bar in bars} == {"1m"}
    assert MINUTES["4h"] == 240


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_server_that_goes_says_so_and_goes_a_little_later() -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT", faults=("server-shutdown@4",))
    while not pair.all(Notice):
        pair.steps(1)
    told = len(pair.all(Trade))
    assert [notice.code for notice in pair.all(Notice)] == ["server_shutdown"]
    pair.steps(2)
    assert len(pair.all(Trade)) > told, "it delivers until then"
    assert pair.server.ending is None
    pair.wait(NOTICE_S)
    assert pair.server.ending == Ending(1001, "this server shuts down")


@pytest.mark.parametrize("stream", ["trade", "depth"])
def test_what_is_lost_is_a_gap_with_its_count(stream: str) -> None:
    pair = Pair("binance", Channel.TRADES, "BTCUSDT", faults=("lost@4",))
    pair.say(method="UNSUBSCRIBE", params=["btcusdt@trade"], id=2)
    pair.say(method="SUBSCRIBE", params=[f"btcusdt@{stream}"], id=3)
    pair.steps(12)
    assert [(gap.reason, gap.missed) for gap in pair.all(Gap)] == [("sequence", 1)]


@pytest.mark.parametrize(
    ("fault", "what", "channel"), [("skew", Trade, Channel.TRADES), ("crossed", Quote, Channel.QUOTES)]
)
def test_odd_data_is_still_data(fault: str, what: type[Item], channel: Channel) -> None:
    pair = Pair("binance", channel, "BTCUSDT", faults=(fault,))
    pair.steps(3)
    event = pair.all(what)[0]
    if fault == "crossed":
        assert decimal(event.bid) > decimal(event.ask)
    else:
        assert event.ts_event > START_NS + 3_600 * 10**9


def test_a_subscription_may_be_confirmed_in_part_or_not_at_all() -> None:
    partial = Pair("binance", Channel.TRADES, *BOTH, faults=("partial-ack",))
    partial.steps(2)
    assert {event.symbol for event in partial.market} == {"BTCUSDT"}
    mute = Pair("binance", Channel.TRADES, *BOTH, faults=("no-ack",))
    mute.steps(2)
    assert mute.decoded()[0]["stream"] == "btcusdt@trade"
    assert mute.all(Notice) == []


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments", "server-shutdown",
})  # fmt: skip
"""No protocol gets to see them; the last one ends the connection."""


@pytest.mark.parametrize(
    "name", [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES]
)
def test_after_any_fault_there_is_data_or_had_been(name: str) -> None:
    moment = COUNTERPART.faults()[name].when.replace("10", "2")
    pair = Pair("binance", Channel.QUOTES, *BOTH, faults=(f"{name}@{moment}",))
    pair.steps(4)
    assert pair.market or name == "no-data"


# --- what was recorded -----------------------------------------------------------------------------------------------


class Recorded:
    """A market of recorded events."""

    step_ns = 0
    first_ns = START_NS
    symbols = frozenset({"BTCUSDT"})

    def knows(self, symbol: str) -> bool:
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        return after_ns

    def items(self, start_ns: int, end_ns: int, symbols: object, limit: int) -> tuple[list[Item], int]:
        return [], end_ns


def served(channel: Channel, *events: Item, **settings: str) -> Pair:
    pair = Pair("binance", channel, "BTCUSDT", source=Recorded(), settings=settings)
    pair.server.deliver(pair.counterpart.round(events), pair.now)
    pair.wait(0.0)
    return pair


def test_recorded_events_come_back_as_they_were() -> None:
    ts = Timestamp(START_NS + 10**9)
    value = number("1.50000000")
    sizes = ((number("1.1"), number("2")),), ((number("1.2"), number("3")),)
    events: list[tuple[Channel, Item, dict[str, str]]] = [
        (
            Channel.QUOTES,
            Quote("binance", "BTCUSDT", None, ts, value, value, value, value, number("0.00000000"), None, 7),
            {},
        ),
        (Channel.TRADES, Trade("binance", "BTCUSDT", ts, ts, value, value, "sell", "77"), {}),
        (Channel.BARS, Bar("binance", "BTCUSDT", ts, ts, "1h", *[value] * 5, closed=True), {"interval": "1h"}),
        (Channel.BOOK, BookSnapshot("binance", "BTCUSDT", None, ts, *sizes, 9), {"depth": "5"}),
    ]
    for channel, event, settings in events:
        (again,) = served(channel, event, **settings).market
        for name in event.__struct_fields__:
            if name != "ts_recv":
                assert getattr(again, name) == getattr(event, name), (channel, name)


def test_a_recorded_book_of_updates_goes_on_as_updates() -> None:
    ts = Timestamp(START_NS + 10**9)
    later = Timestamp(START_NS + 2 * 10**9)
    whole = BookSnapshot("binance", "BTCUSDT", ts, ts, ((number("1.0"), number("2")),), ((number("2.0"), number("1")),))
    change = BookUpdate("binance", "BTCUSDT", later, later, ((number("1.0"), number("0")),), ())
    pair = served(Channel.BOOK)
    pair.say(method="SUBSCRIBE", params=["btcusdt@depth"], id=2)
    pair.say(method="UNSUBSCRIBE", params=["btcusdt@depth20@100ms"], id=3)
    pair.server.deliver(pair.counterpart.round([whole, change, change]), pair.now)
    pair.wait(0.0)
    (update,) = pair.all(BookUpdate)
    assert [(text(price), text(size)) for price, size in update.bids] == [("1.0", "0.00000000")]
    assert update.asks == ()


def test_what_binance_has_not_is_not_sent() -> None:
    order = OrderUpdate("binance", "BTCUSDT", Timestamp(START_NS), Timestamp(START_NS), "open", "7")
    assert served(Channel.QUOTES, order).market == []
    assert data_of(order, "trade") == {}
    half = Quote("binance", "BTCUSDT", None, Timestamp(START_NS))
    assert data_of(half, "bookTicker")["b"] == "0.00000000"
