"""Coinbase Advanced Trade: the conversation, its data in our schema, numbers of the whole connection."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.conversation import Conversation
from tickstream.errors import SessionStale, SymbolRefused
from tickstream.events import Bar, BookSnapshot, BookUpdate, Event, Gap, Notice, Quote, Trade
from tickstream.numbers import text
from tickstream.providers.base import Phase
from tickstream.providers.coinbase import SPEC
from tickstream.providers.coinbase_advanced import CHANNELS, URL, AdvancedProtocol
from tickstream.providers.json_feed import LONGEST_MESSAGE
from tickstream.subscriptions import Channel

FIXTURES = golden.recorded("coinbase/advanced")
CANDLES, HEARTBEAT, SNAPSHOT, UPDATE, TRADES, CONFIRMED, TICKER, USER = FIXTURES
ADVANCED = {"feed": "advanced"}


def talk(*symbols: str, channel: Channel = Channel.TRADES, **feed: Any) -> Conversation:
    """A conversation that has asked for its symbols, and for heartbeats."""
    one = Conversation(
        *(symbols or ("BTC-USD",)), provider="coinbase", channel=channel, key=None, settings=ADVANCED, **feed
    )
    one.wait(0)
    one.wait(0.15)
    return one


def numbered(message: bytes, sequence: int) -> dict[str, Any]:
    """A fixture at another place of the connection."""
    decoded = json.loads(message)
    assert isinstance(decoded, dict)
    return decoded | {"sequence_num": sequence}


def confirmed(*products: str, channel: str = "market_trades") -> dict[str, Any]:
    return numbered(CONFIRMED, 0) | {"events": [{"subscriptions": {channel: list(products)}}]}


def each_by_itself() -> list[Event]:
    """The fixtures are of several connections."""
    events: list[Event] = []
    for message in FIXTURES:
        events += golden.events_of(golden.protocol("coinbase/advanced", Channel.BOOK, settings=ADVANCED), [message])
    return events


def test_its_8_fixtures_give_6_market_events_with_the_digits_that_were_sent() -> None:
    events = each_by_itself()
    assert golden.as_lines(events) == golden.expected("coinbase/advanced")
    assert [type(event) for event in events] == [Bar, BookSnapshot, BookUpdate, Trade, Trade, Quote, Notice]
    assert events[-1].message.startswith("a message of the unknown type 'user'")  # type: ignore[attr-defined]  # a notice


@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_is_a_request_of_its_own_and_heartbeats_are_another(channel: Channel) -> None:
    one = talk("BTC-USD", "ETH-USD", channel=channel)
    assert isinstance(one.protocol, AdvancedProtocol)
    assert one.protocol.connect_request().url == URL
    assert one.sent == [
        {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channel": CHANNELS[channel]},
        {"type": "subscribe", "channel": "heartbeats"},
    ]


def test_bars_are_of_this_feed_whatever_is_set() -> None:
    one = Conversation("BTC-USD", provider="coinbase", channel=Channel.BARS, key=None)
    assert isinstance(one.protocol, AdvancedProtocol)
    assert not isinstance(Conversation("BTC-USD", provider="coinbase", channel=Channel.BOOK).protocol, AdvancedProtocol)


def test_orders_are_not() -> None:
    with pytest.raises(SymbolRefused, match="advanced"):
        talk(channel=Channel.ORDERS)


def test_another_place_is_gone_to_and_the_sandbox_is_not_of_this_feed() -> None:
    one = talk()
    elsewhere = type(one.protocol.feed)("ws://127.0.0.1:1/", one.protocol.feed.subscription, settings=ADVANCED)
    assert SPEC.protocol(elsewhere).connect_request().url == "ws://127.0.0.1:1/"
    sandbox = type(one.protocol.feed)(
        SPEC.url, one.protocol.feed.subscription, settings={**ADVANCED, "environment": "sandbox"}
    )
    assert SPEC.protocol(sandbox).connect_request().url == URL


def test_the_confirmation_makes_it_live_and_what_is_not_in_it_was_refused() -> None:
    one = talk("BTC-USD", "FOO-BAR")
    one.hear(confirmed("BTC-USD", "ETH-USD"))
    assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, ("BTC-USD",))
    assert [notice.symbols for notice in one.all(Notice)] == [("FOO-BAR",)]


def test_a_product_with_usdc_is_served_as_the_one_with_usd() -> None:
    one = talk("BTC-USDC")
    one.hear(confirmed("BTC-USD"), numbered(TRADES, 1))
    assert one.protocol.phase is Phase.LIVE
    assert {trade.symbol for trade in one.all(Trade)} == {"BTC-USDC"}
    both = talk("BTC-USDC", "BTC-USD")
    both.hear(numbered(TRADES, 1))
    assert {trade.symbol for trade in both.all(Trade)} == {"BTC-USD"}


def test_an_error_that_names_a_product_refuses_it_and_another_is_a_notice() -> None:
    one = talk("BTC-USD", "FOO-BAR")
    one.hear({"type": "error", "message": "FOO-BAR is not a valid product"}, {"type": "error", "message": "be quiet"})
    assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [
        ("symbol_refused", ("FOO-BAR",)), ("error", ())
    ]  # fmt: skip
    one.hear(b'{"type":"error"}')
    assert one.protocol.counters.quarantined == 1


def test_trades_come_in_order_with_the_takers_side() -> None:
    one = talk()
    news = numbered(TRADES, 3)
    news["events"][0]["trades"].reverse()
    one.hear(news)
    sent = {trade["trade_id"]: trade["side"] for trade in news["events"][0]["trades"]}
    times = [trade.ts_event for trade in one.all(Trade)]
    assert times == sorted(times, key=lambda ts: ts or 0)
    for trade in one.all(Trade):
        assert {trade.side, sent[trade.trade_id or ""].lower()} == {"buy", "sell"}


def test_a_ticker_without_a_side_of_the_book_is_a_quote_without_it() -> None:
    one = talk(channel=Channel.QUOTES)
    news = numbered(TICKER, 3)
    for name in ("best_bid", "best_bid_quantity", "best_ask"):
        del news["events"][0]["tickers"][0][name]
    one.hear(news)
    (quote,) = one.all(Quote)
    assert (quote.bid, quote.ask, quote.spread) == (None, None, None)
    assert quote.last is not None
    assert text(quote.last) == "68900.50"


def test_a_number_that_is_missing_is_a_gap_of_all_symbols_before_what_came_next() -> None:
    one = talk("BTC-USD", "ETH-USD")
    one.hear(confirmed("BTC-USD", "ETH-USD"), numbered(HEARTBEAT, 1), numbered(TRADES, 2), numbered(HEARTBEAT, 3))
    assert one.all(Gap) == []
    before = one.ts
    one.wait(2)
    events = one.hear(numbered(TRADES, 5))
    assert [type(event) for event in events] == [Gap, Trade, Trade]
    (gap,) = one.all(Gap)
    assert (gap.reason, gap.symbols, gap.missed, gap.start) == ("sequence", ("BTC-USD", "ETH-USD"), None, before)


def test_before_anything_is_asked_for_nothing_is_missing() -> None:
    one = Conversation("BTC-USD", provider="coinbase", channel=Channel.TRADES, key=None, settings=ADVANCED)
    one.protocol.asked = frozenset()
    one.protocol._begin_at = None  # type: ignore[attr-defined]  # as if it had not been opened
    one.hear(numbered(HEARTBEAT, 1), numbered(HEARTBEAT, 7))
    assert one.all(Gap) == []


def test_a_message_of_no_use_counts_as_one_that_came() -> None:
    one = talk()
    bad = numbered(TRADES, 1)
    bad["events"][0]["trades"][0]["price"] = "about"
    one.hear(numbered(TRADES, 0), bad, numbered(TRADES, 2))
    assert one.protocol.counters.quarantined == 1
    assert one.all(Gap) == []


def test_a_whole_book_may_be_long() -> None:
    one = talk(channel=Channel.BOOK)
    news = numbered(SNAPSHOT, 0)
    news["events"][0]["updates"] *= 1_000
    assert len(json.dumps(news, separators=(",", ":"))) > LONGEST_MESSAGE
    one.hear(news)
    assert len(one.all(BookSnapshot)[0].bids) == 3_000


def test_a_book_is_begun_anew_for_one_symbol() -> None:
    one = talk(channel=Channel.BOOK)
    one.protocol.resubscribe(("BTC-USD",), one.now)
    for _ in range(2):
        one.wait(0.15)
    assert [request["type"] for request in one.sent[2:]] == ["unsubscribe", "subscribe"]


def test_without_heartbeats_it_is_dead() -> None:
    one = talk()
    one.hear(confirmed("BTC-USD"))
    with pytest.raises(SessionStale):
        one.wait(10)


@settings(max_examples=200, deadline=None)
@given(st.one_of(golden.torn(FIXTURES), golden.replaced(FIXTURES)))
def test_of_a_spoiled_message_come_events_or_a_quarantine_or_an_error_of_ours(message: bytes) -> None:
    golden.assert_survived("coinbase", [UPDATE, message], Channel.BARS)
