"""Coinbase Exchange, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.simulator.talking import START_NS, Pair
from tickstream.errors import InvalidKey, ProviderError, SessionStale, SymbolRefused
from tickstream.events import Bar, Batch, BookSnapshot, BookUpdate, Gap, Notice, OrderUpdate, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook
from tickstream.pipeline.book import BookStage
from tickstream.providers.coinbase import Credentials
from tickstream.simulator.coinbase import COUNTERPART
from tickstream.simulator.coinbase_messages import INSTRUMENTS, orders_of, payload_of
from tickstream.simulator.market import Item
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("BTC-USD", "ADA-USD")
KEY = "k3y1d:c2VjcmV0:pass"


def signed(channel: Channel, *symbols: str, key: str = KEY, **more: Any) -> Pair:
    """A client with a key, and a server that knows one."""
    return Pair("coinbase", channel, *symbols, key=key, keys=(KEY,), **more)


def types(pair: Pair) -> list[str]:
    return [message["type"] for message in pair.decoded()]


# --- what it answers -------------------------------------------------------------------------------------------------


def test_a_subscription_is_answered_with_all_that_is_subscribed_now() -> None:
    pair = Pair("coinbase", Channel.BOOK, *BOTH)
    assert pair.decoded()[0] == {
        "type": "subscriptions",
        "channels": [
            {"name": "level2_50", "product_ids": list(BOTH), "account_ids": None},
            {"name": "heartbeat", "product_ids": list(BOTH), "account_ids": None},
        ],
    }
    assert pair.protocol.active == BOTH


def test_products_of_the_request_are_added_to_those_of_a_channel_and_subscriptions_add_up() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD")
    channels: list[Any] = [{"name": "ticker", "product_ids": ["ETH-BTC", "ETH-USD"]}, "ticker_1000"]
    (answer,) = pair.say(type="subscribe", product_ids=["ETH-USD", "ETH-EUR"], channels=channels)
    assert {one["name"]: one["product_ids"] for one in answer["channels"]} == {
        "matches": ["BTC-USD"], "heartbeat": ["BTC-USD"], "ticker": ["ETH-BTC", "ETH-USD", "ETH-EUR"],
        "ticker_1000": ["ETH-USD", "ETH-EUR"],
    }  # fmt: skip


def test_products_can_be_left_one_by_one_or_a_whole_channel_at_once() -> None:
    pair = Pair("coinbase", Channel.TRADES, *BOTH)
    (one,) = pair.say(type="unsubscribe", product_ids=["BTC-USD"], channels=["matches"])
    assert [entry["product_ids"] for entry in one["channels"]] == [["ADA-USD"], list(BOTH)]
    (rest,) = pair.say(type="unsubscribe", channels=["heartbeat"])
    assert [entry["name"] for entry in rest["channels"]] == ["matches"]
    (nothing,) = pair.say(type="unsubscribe", channels=["matches"])
    assert nothing["channels"] == []


def test_a_product_that_there_is_not_is_an_error_for_each_channel() -> None:
    pair = Pair("coinbase", Channel.TRADES, "FOO-BAR", "BTC-USD")
    error = {"type": "error", "message": "Failed to subscribe", "reason": "FOO-BAR is not a valid product"}
    assert pair.decoded()[:2] == [error, error]
    assert pair.protocol.refused.keys() == {"FOO-BAR"}
    pair.steps(1)
    assert {event.symbol for event in pair.market} == {"BTC-USD"}
    with pytest.raises(SymbolRefused):
        Pair("coinbase", Channel.TRADES, "FOO-BAR")


def test_what_cannot_be_done_is_an_error_and_the_connection_stays() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD")
    error, _ = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=["level9"])
    assert error["reason"] == "level9 is not a valid channel"
    wrong = (b'{"type":"dance","channels":[]}', b'{"type":"subscribe","channels":[7]}')
    for rubbish in (b"{", b"[]", b"7", b"\xff", *wrong):
        (answer,) = pair.say_bytes(rubbish)
        assert (answer["type"], answer["message"]) == ("error", "Malformed JSON")
    assert pair.server.ending is None


def test_asking_twice_changes_nothing() -> None:
    pair = Pair("coinbase", Channel.BOOK, "BTC-USD")
    pair.steps(1)
    (answer,) = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=["level2_batch"])
    assert [entry["product_ids"] for entry in answer["channels"]] == [["BTC-USD"], ["BTC-USD"]]
    pair.steps(1)
    assert len(pair.all(BookSnapshot)) == 1


def test_a_channel_that_was_left_is_not_sent() -> None:
    pair = Pair("coinbase", Channel.BOOK, "BTC-USD")
    pair.say(type="unsubscribe", channels=["level2_50"])
    pair.steps(2)
    assert pair.market == []


def test_its_products_are_like_others_of_their_name() -> None:
    assert COUNTERPART.listed("XRP-USD").price == INSTRUMENTS["XRP-USD"].price
    assert COUNTERPART.listed("AAVE-USD").price


def test_who_asks_for_nothing_is_hung_up_on_after_five_seconds() -> None:
    silent = COUNTERPART.conversation(Pair("coinbase", Channel.TRADES, "BTC-USD").counterpart, 0.0)
    assert silent.next_deadline() == 5.0
    silent.tick(4.9)
    assert silent.ending is None
    silent.tick(5.0)
    assert silent.ending is not None


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "settings"),
    [(Channel.ORDERS, {}), (Channel.ORDERS, {"orders": "user"}), (Channel.BOOK, {"book": "level2"})],
)
def test_what_needs_a_key_is_there_for_who_signs(channel: Channel, settings: dict[str, str]) -> None:
    pair = signed(channel, "BTC-USD", settings=settings)
    pair.steps(2)
    assert pair.market
    name = pair.decoded()[0]["channels"][0]["name"]
    error, _ = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=[name])
    assert error["reason"].startswith("level2, level3, and full channels now require authentication.")


@pytest.mark.parametrize("key", ["k3y1d:c2VjcmV0:wrong", "k3y1d:bm8=:pass", "other:c2VjcmV0:pass", "k3y1d"])
def test_a_wrong_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey):
        signed(Channel.ORDERS, "BTC-USD", key=key)


def test_where_no_keys_are_named_each_is_good() -> None:
    pair = Pair("coinbase", Channel.ORDERS, "BTC-USD", key="demo")
    pair.steps(1)
    assert pair.market


@pytest.mark.parametrize("fault", ["invalid-key", "echo-key"])
def test_a_key_can_be_refused_on_purpose_and_is_not_shown(fault: str) -> None:
    with pytest.raises(InvalidKey) as raised:
        signed(Channel.ORDERS, "BTC-USD", faults=(fault,))
    assert "k3y1d" not in str(raised.value)


def test_a_signature_is_good_for_its_own_time_only() -> None:
    pair = signed(Channel.ORDERS, "BTC-USD")
    fields = Credentials(KEY).signature("1700000000") | {"timestamp": "1700000001"}
    (error,) = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=["full"], **fields)
    assert error["reason"] == "invalid signature"


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


def test_quotes_are_never_crossed_and_the_last_one_comes_at_once() -> None:
    pair = Pair("coinbase", Channel.QUOTES, *BOTH)
    pair.steps(50)
    quotes = pair.all(Quote)
    assert len(quotes) == 100
    assert all(decimal(quote.bid) < decimal(quote.ask) for quote in quotes)
    assert [quote.ts_event for quote in quotes[:2]] == [Timestamp(START_NS + 10**9)] * 2
    late = COUNTERPART.conversation(pair.counterpart, pair.now)
    pair.server = late
    confirmation = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=["ticker"])
    assert [message["type"] for message in confirmation] == ["ticker", "subscriptions"]


def test_batched_tickers_come_every_five_seconds() -> None:
    pair = Pair("coinbase", Channel.QUOTES, "BTC-USD", settings={"quotes": "ticker_batch"})
    pair.steps(20)
    assert len(pair.all(Quote)) == 4


def test_trades_are_numbered_without_a_hole_and_heartbeats_agree() -> None:
    pair = Pair("coinbase", Channel.TRADES, *BOTH)
    pair.steps(30)
    for symbol in BOTH:
        ids = [int(trade.trade_id) for trade in pair.all(Trade) if trade.symbol == symbol]
        assert ids == list(range(ids[0], ids[0] + 60))
    assert {trade.side for trade in pair.all(Trade)} == {"buy", "sell"}
    assert pair.all(Gap) == []
    assert types(pair).count("heartbeat") >= 58


def test_a_later_client_gets_the_trade_before_it() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD")
    pair.steps(3)
    last = pair.all(Trade)[-1]
    pair.server = COUNTERPART.conversation(pair.counterpart, pair.now)
    first, _ = pair.say(type="subscribe", product_ids=["BTC-USD"], channels=["matches"])
    assert (first["type"], str(first["trade_id"])) == ("last_match", last.trade_id)
    assert {first["side"], last.side} == {"buy", "sell"}


@pytest.mark.parametrize("book", ["level2_batch", "level2"])
def test_books_begin_whole_and_stay_uncrossed(book: str) -> None:
    pair = signed(Channel.BOOK, *BOTH, settings={"book": book})
    pair.steps(60)
    assert pair.all(Notice) == []
    books = {symbol: OrderBook() for symbol in BOTH}
    for event in pair.market:
        assert isinstance(event, BookSnapshot | BookUpdate)
        one = books[event.symbol]
        (one.replace if isinstance(event, BookSnapshot) else one.apply)(event.bids, event.asks)
        assert not one.crossed
        assert one.counts == (30, 30)
    assert (len(pair.all(BookSnapshot)), len(pair.all(BookUpdate))) == (2, 118)


def test_a_life_of_an_order_has_numbers_without_a_hole() -> None:
    pair = signed(Channel.ORDERS, "BTC-USD")
    pair.steps(10)
    orders = pair.all(OrderUpdate)
    assert [order.action for order in orders[:6]] == ["received", "open", "received", "match", "done", "done"]
    numbers = [order.sequence for order in orders]
    assert numbers == list(range(numbers[0], numbers[0] + 120))
    assert pair.all(Gap) == []


def test_ones_own_orders_are_some_of_them() -> None:
    pair = signed(Channel.ORDERS, "BTC-USD", settings={"orders": "user"})
    pair.steps(10)
    assert len(pair.all(OrderUpdate)) == 60
    assert pair.all(Gap) == []


def test_the_list_of_products_comes_every_five_seconds_to_who_wants_it() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD", settings={"status": "on"})
    pair.wait(0.1)
    for _ in range(11):
        pair.wait(1.0)
    assert types(pair).count("status") == 3
    status = next(message for message in pair.decoded() if message["type"] == "status")
    assert [product["id"] for product in status["products"]] == sorted(INSTRUMENTS)
    assert pair.all(Notice) == []


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_lost_trade_is_a_gap_of_one_before_the_next_trade() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD", faults=("lost@4",))
    pair.steps(6)
    assert [(gap.reason, gap.missed) for gap in pair.all(Gap)] == [("sequence", 1)]
    assert len(pair.all(Trade)) == 11


def test_the_last_trade_that_is_lost_is_told_by_a_heartbeat() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD", faults=("lost@5",))
    pair.steps(3)
    assert len(pair.all(Trade)) == 5
    assert pair.server.next_deadline() is not None
    pair.wait(1.0)
    assert [(gap.reason, gap.missed) for gap in pair.all(Gap)] == [("sequence", 1)]
    pair.steps(1)
    assert len(pair.all(Gap)) == 1


def test_a_lost_step_of_an_order_is_a_gap_of_one() -> None:
    pair = signed(Channel.ORDERS, "BTC-USD", faults=("lost@7",))
    pair.steps(3)
    assert [(gap.reason, gap.missed) for gap in pair.all(Gap)] == [("sequence", 1)]


def test_a_crossed_book_is_withheld_and_begins_anew_when_it_is_asked_for() -> None:
    pair = Pair("coinbase", Channel.BOOK, "BTC-USD", faults=("crossed-book@3",))
    stage, shown = BookStage(), []
    for _ in range(8):
        before = len(pair.events)
        pair.steps(1)
        shown += stage.process(Batch(1, 1, Timestamp(START_NS + round(pair.now * 1e9)), pair.events[before:])).events
        for request in stage.take_requests():
            pair.protocol.resubscribe((request.symbol,), pair.now)
            pair.wait(0.1)
            pair.wait(0.1)
    kinds = [type(event) for event in shown]
    assert kinds.count(BookSnapshot) == 2
    assert [gap.reason for gap in shown if isinstance(gap, Gap)] == ["book"]
    assert kinds[-1] is BookUpdate


def test_a_slow_client_is_told_so_and_hung_up_on() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD", faults=("slow-consumer@2",))
    with pytest.raises(ProviderError, match="ErrSlowConsume"):
        pair.steps(3)
    assert pair.server.ending is not None


@pytest.mark.parametrize(
    "fault", ["no-ack", "partial-ack", "invalid-symbol", "no-heartbeat", "duplicate", "out-of-order", "skew"]
)
def test_what_others_have_it_has_too(fault: str) -> None:
    pair = Pair("coinbase", Channel.QUOTES, *BOTH, faults=(fault,))
    pair.steps(6)
    symbols = {quote.symbol for quote in pair.all(Quote)}
    assert symbols == {"partial-ack": {"BTC-USD"}, "invalid-symbol": {"ADA-USD"}}.get(fault, set(BOTH))


def test_without_heartbeats_a_quiet_feed_is_dead() -> None:
    pair = Pair("coinbase", Channel.TRADES, "BTC-USD", faults=("no-heartbeat",))
    with pytest.raises(SessionStale):
        pair.wait(10)


def test_a_crossed_quote_is_still_a_quote() -> None:
    pair = Pair("coinbase", Channel.QUOTES, "BTC-USD", faults=("crossed",))
    pair.steps(2)
    assert decimal(pair.all(Quote)[0].bid) > decimal(pair.all(Quote)[0].ask)


# --- what was recorded -----------------------------------------------------------------------------------------------


class Recorded:
    """A market of recorded events, all at once."""

    step_ns = 0
    first_ns = START_NS
    symbols = frozenset({"BTC-USD"})

    def __init__(self, *events: Item) -> None:
        self._events = list(events)

    def knows(self, symbol: str) -> bool:
        return symbol in self.symbols

    def next_open(self, after_ns: int) -> int | None:
        return after_ns

    def items(self, start_ns: int, end_ns: int, symbols: object, limit: int) -> tuple[list[Item], int]:
        return self._events, end_ns


def served(channel: Channel, *events: Item) -> Pair:
    pair = signed(channel, "BTC-USD", source=Recorded(*events))
    pair.server.deliver(pair.counterpart.round(events), pair.now)
    pair.wait(0.0)
    return pair


AT = Timestamp(START_NS)
OF = ("coinbase", "BTC-USD", AT, AT)
PRICE, SIZE = number("1.10"), number("2.000")


@pytest.mark.parametrize(
    ("channel", "event"),
    [
        (Channel.QUOTES, Quote(*OF, PRICE, SIZE, number("1.30"), SIZE, number("0.20"), PRICE, 9)),
        (Channel.TRADES, Trade(*OF, PRICE, SIZE, "sell", "77", 9)),
        (Channel.BOOK, BookSnapshot(*OF, ((PRICE, SIZE),), ())),
        *[(Channel.ORDERS, one) for one in orders_of(Trade(*OF, PRICE, SIZE, "sell", "77"))],
        (Channel.ORDERS, OrderUpdate(*OF, "change", "o", "buy", PRICE, None, SIZE, "STP", None, 4)),
    ],
)
def test_recorded_events_come_back_as_they_were(channel: Channel, event: Item) -> None:
    pair = served(channel, event)
    (again,) = pair.market
    for name in again.__struct_fields__:
        if name not in ("ts_recv", "order_id"):
            assert _texts(getattr(again, name)) == _texts(getattr(event, name)), name


def _texts(value: Any) -> Any:
    """A value with the digits of its numbers."""
    if isinstance(value, tuple):
        return [_texts(one) for one in value]
    return text(value) if isinstance(value, msgspec.Raw) else value


def test_a_recorded_change_changes_what_there_was() -> None:
    whole = BookSnapshot(*OF, ((PRICE, SIZE),), ((number("1.20"), SIZE),))
    change = BookUpdate(*OF, ((PRICE, number("0")),), ())
    pair = served(Channel.BOOK, whole, whole, change)
    snapshot, update = pair.market
    assert isinstance(snapshot, BookSnapshot)
    assert isinstance(update, BookUpdate)
    assert [(text(price), text(size)) for price, size in update.bids] == [("1.10", "0.00000000")]


def test_a_book_alone_is_no_message_and_what_coinbase_has_not_is_not_sent() -> None:
    assert payload_of(BookSnapshot(*OF, (), ())) == b""
    assert served(Channel.QUOTES, Bar(*OF, "1m", *[PRICE] * 4)).market == []


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
    if name in ("invalid-key", "echo-key", "slow-consumer"):
        return
    pair = Pair("coinbase", Channel.QUOTES, *BOTH, faults=(f"{name}@{moment}",))
    pair.steps(4)
    assert pair.market or name == "no-data"
