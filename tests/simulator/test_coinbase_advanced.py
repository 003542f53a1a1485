"""Coinbase Advanced Trade, the server's side, where Coinbase Exchange is served as well."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.talking import START_NS, Pair
from tickstream.errors import SessionStale, SymbolRefused
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, MarketEvent, Notice, OrderUpdate, Quote, Trade
from tickstream.numbers import decimal, number
from tickstream.order_book import OrderBook
from tickstream.simulator.coinbase_advanced import AdvancedTalk
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("BTC-USD", "ADA-USD")


def pair(channel: Channel, *symbols: str, **more: Any) -> Pair:
    """Both sides, after the second request."""
    one = Pair("coinbase", channel, *(symbols or BOTH), settings={"feed": "advanced"}, **more)
    one.wait(0.15)
    return one


def test_requests_are_answered_with_all_that_is_subscribed_and_messages_are_numbered() -> None:
    one = pair(Channel.TRADES)
    first, second = one.decoded()
    assert first == {
        "channel": "subscriptions", "client_id": "", "timestamp": "2026-06-22T00:00:00.000000Z", "sequence_num": 0,
        "events": [{"subscriptions": {"market_trades": list(BOTH)}}],
    }  # fmt: skip
    assert second["events"] == [{"subscriptions": {"market_trades": list(BOTH), "heartbeats": ["heartbeats"]}}]
    one.steps(5)
    assert [message["sequence_num"] for message in one.decoded()] == list(range(len(one.decoded())))


@pytest.mark.parametrize(
    ("channel", "kind", "each"), [(Channel.QUOTES, Quote, 1), (Channel.TRADES, Trade, 2), (Channel.BARS, Bar, 1)]
)
def test_each_channel_streams(channel: Channel, kind: type[MarketEvent], each: int) -> None:
    one = pair(channel)
    one.steps(20)
    assert [type(event) for event in one.market] == [kind] * 20 * 2 * each
    assert {event.symbol for event in one.market} == set(BOTH)
    assert one.all(Gap) == one.all(Notice) == []
    assert {bar.interval for bar in one.all(Bar)} <= {"5m"}


def test_books_begin_whole_and_stay_uncrossed() -> None:
    one = pair(Channel.BOOK)
    one.steps(40)
    books = {symbol: OrderBook() for symbol in BOTH}
    for event in one.market:
        assert isinstance(event, BookSnapshot | BookUpdate)
        book = books[event.symbol]
        (book.replace if isinstance(event, BookSnapshot) else book.apply)(event.bids, event.asks)
        assert not book.crossed
        assert book.counts == (30, 30)
    assert len(one.all(BookSnapshot)) == 2


def test_a_lost_message_is_a_gap_of_all_symbols() -> None:
    one = pair(Channel.TRADES, faults=("lost@4",))
    one.steps(6)
    assert [(gap.reason, gap.symbols, gap.missed) for gap in one.all(Gap)] == [("sequence", BOTH, None)]


def test_a_crossed_quote_comes_as_it_is() -> None:
    one = pair(Channel.QUOTES, "BTC-USD", faults=("crossed",))
    one.steps(1)
    assert decimal(one.all(Quote)[0].bid) > decimal(one.all(Quote)[0].ask)


def test_what_there_is_not_is_an_error_and_the_others_go_on() -> None:
    one = pair(Channel.TRADES, "FOO-BAR", "BTC-USD")
    assert one.protocol.refused.keys() == {"FOO-BAR"}
    (error,) = one.say(type="subscribe", channel="dance", product_ids=["BTC-USD"])
    assert error == {"type": "error", "message": "dance is not a valid channel"}
    one.steps(1)
    assert {event.symbol for event in one.market} == {"BTC-USD"}
    with pytest.raises(SymbolRefused):
        pair(Channel.TRADES, "FOO-BAR")


def test_a_book_that_is_asked_for_anew_begins_whole() -> None:
    one = pair(Channel.BOOK, "BTC-USD")
    one.steps(2)
    one.protocol.resubscribe(("BTC-USD",), one.now)
    for _ in range(2):
        one.wait(0.15)
    one.steps(2)
    assert [type(event) for event in one.market] == [BookSnapshot, BookUpdate, BookSnapshot, BookUpdate]


def test_without_heartbeats_a_quiet_feed_is_dead() -> None:
    with pytest.raises(SessionStale):
        pair(Channel.TRADES, faults=("no-heartbeat",)).wait(10)


def test_an_order_is_no_message_of_it() -> None:
    ts = Timestamp(START_NS)
    order = OrderUpdate("coinbase", "BTC-USD", ts, ts, "open", "7", "buy", number("1"))
    assert AdvancedTalk().of(order) == b""
