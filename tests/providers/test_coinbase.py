"""Coinbase Exchange: the conversation, its data in our schema, whole batches, gaps, signatures."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.conversation import Conversation
from tickstream.errors import InvalidKey, ProviderError, RateLimited, SessionStale, SymbolRefused
from tickstream.events import BookSnapshot, BookUpdate, Gap, Notice, OrderUpdate, Quote, Trade
from tickstream.keys import Secret
from tickstream.numbers import text
from tickstream.providers.base import Phase
from tickstream.providers.coinbase import ERRORS, LONGEST_BOOK, SANDBOX_URL, SPEC, URL, Credentials
from tickstream.providers.json_feed import LONGEST_MESSAGE
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp, parse_rfc3339

RECORDED = golden.recorded("coinbase/exchange_2026")
ERRORS_RECORDED = golden.recorded("coinbase/exchange_errors")
CONFIRMED, TICKER, LAST_MATCH, TICKER_2, MATCH, MATCH_2, HEARTBEAT = RECORDED
SNAPSHOT = (
    b'{"type":"snapshot","product_id":"BTC-USD","bids":[["10101.10","0.45054140"],["10101.0","1"]],'
    b'"asks":[["10102.55","0.57753524"]],"time":"2026-08-02T05:43:30.758130Z"}'
)
UPDATE = (
    b'{"type":"l2update","product_id":"BTC-USD","changes":[["buy","22356.270000","0.00000000"],["sell","22357","2"],'
    b'["buy","22356.300000","1.00000000"]],"time":"2022-08-04T15:25:05.010758Z"}'
)
"""Both from the documentation."""
KEY = "k3y1d:c2VjcmV0:my passphrase"
ORDER = {"product_id": "BTC-USD", "order_id": "d50ec984-77a8", "side": "buy", "sequence": 10}
ORDER_TIME = "2014-11-07T08:19:27.028459Z"


def talk(*symbols: str, channel: Channel = Channel.TRADES, key: str | None = None, **feed: Any) -> Conversation:
    """A conversation that has asked for its symbols."""
    secret = Secret(key) if key else None
    one = Conversation(*(symbols or ("BTC-USD",)), provider="coinbase", channel=channel, key=secret, **feed)
    one.wait(0)
    return one


def confirmed(*products: str, channel: str = "matches") -> dict[str, Any]:
    channels = [{"name": name, "product_ids": list(products), "account_ids": None} for name in (channel, "heartbeat")]
    return {"type": "subscriptions", "channels": channels if products else []}


def match(trade_id: int, product: str = "BTC-USD", **changes: Any) -> dict[str, Any]:
    fields = {
        "type": "match", "trade_id": trade_id, "maker_order_id": "m", "taker_order_id": "t", "side": "buy",
        "size": "0.10", "price": "84149.240", "product_id": product, "sequence": trade_id * 3,
        "time": "2026-09-29T13:45:58.467935Z",
    }  # fmt: skip
    return fields | changes


def heartbeat(last_trade_id: int, sequence: int = 0, product: str = "BTC-USD") -> dict[str, Any]:
    time = "2026-09-29T13:45:59.000000Z"
    return {
        "type": "heartbeat",
        "last_trade_id": last_trade_id,
        "product_id": product,
        "sequence": sequence,
        "time": time,
    }


class TestRecorded:
    def test_its_7_messages_give_2_quotes_and_3_trades_with_the_digits_that_were_sent(self) -> None:
        made = golden.protocol("coinbase/exchange_2026", Channel.QUOTES)
        events = golden.events_of(made, RECORDED)
        assert golden.as_lines(events) == golden.expected("coinbase/exchange_2026")
        assert [type(event) for event in events] == [Quote, Trade, Quote, Trade, Trade]
        assert (made.counters.messages, made.counters.unknown, made.counters.quarantined) == (7, 0, 0)

    @pytest.mark.parametrize("channel", [Channel.QUOTES, Channel.TRADES])
    def test_batches_give_the_same_as_messages_one_by_one(self, channel: Channel) -> None:
        at_once, one_by_one = talk(channel=channel, start=Timestamp(0)), talk(channel=channel, start=Timestamp(0))
        messages = [TICKER, TICKER_2, LAST_MATCH, MATCH, MATCH_2, HEARTBEAT, TICKER_2]
        at_once.hear(*messages)
        for message in messages:
            one_by_one.hear(message)
        assert golden.as_lines(at_once.events) == golden.as_lines(one_by_one.events)
        assert at_once.payloads == one_by_one.payloads == [one for one in messages if one is not HEARTBEAT]

    def test_the_taker_of_a_match_is_the_one_that_the_ticker_names(self) -> None:
        one = talk()
        one.hear(TICKER_2, MATCH)
        assert json.loads(TICKER_2)["trade_id"] == json.loads(MATCH)["trade_id"]
        assert one.all(Trade)[0].side == json.loads(TICKER_2)["side"] == "sell"


class TestSubscribing:
    @pytest.mark.parametrize(
        ("channel", "settings_", "name"),
        [
            (Channel.QUOTES, {}, "ticker"),
            (Channel.QUOTES, {"quotes": "ticker_batch"}, "ticker_batch"),
            (Channel.TRADES, {}, "matches"),
            (Channel.BOOK, {}, "level2_batch"),
        ],
    )
    def test_data_and_heartbeats_are_asked_for_at_once_without_a_key(
        self, channel: Channel, settings_: dict[str, str], name: str
    ) -> None:
        one = talk("BTC-USD", "ETH-USD", channel=channel, settings=settings_, key=KEY)
        assert one.sent == [
            {"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": [name, "heartbeat"]}
        ]

    def test_the_recorded_confirmation_makes_the_feed_live(self) -> None:
        one = talk(channel=Channel.QUOTES)
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear(CONFIRMED)
        assert one.protocol.phase is Phase.LIVE
        assert one.protocol.active == ("BTC-USD",)

    @pytest.mark.parametrize(("asked", "said"), [("level2_batch", "level2_50"), ("level2", "level2")])
    def test_a_channel_may_be_confirmed_under_its_other_name(self, asked: str, said: str) -> None:
        one = talk(channel=Channel.BOOK, settings={"book": asked})
        one.hear(confirmed("BTC-USD", channel=said))
        assert one.protocol.phase is Phase.LIVE

    @pytest.mark.parametrize("message", [MATCH, LAST_MATCH])
    def test_data_confirms_as_well(self, message: bytes) -> None:
        one = talk()
        one.hear(message, message)
        assert one.protocol.phase is Phase.LIVE
        assert one.protocol.next_deadline() == 10.0, "nothing but the silence of the whole feed"

    def test_many_products_are_asked_for_in_portions_and_confirmed_with_the_last_one(self) -> None:
        symbols = tuple(f"A{n}-USD" for n in range(60))
        one = talk(*symbols)
        assert [len(request["product_ids"]) for request in one.sent] == [50]
        one.hear(confirmed(*symbols[:50]))
        assert one.codes == []
        one.wait(0.1)
        assert [len(request["product_ids"]) for request in one.sent] == [50, 10]
        one.hear(confirmed(*symbols[:59]))
        assert one.protocol.phase is Phase.LIVE
        assert one.protocol.active == symbols[:59]
        assert [notice.symbols for notice in one.all(Notice)] == [("A59-USD",)]

    def test_a_confirmation_of_nothing_leaves_nothing_to_stream(self) -> None:
        with pytest.raises(SymbolRefused, match="BTC-USD"):
            talk().hear(confirmed())

    def test_later_confirmations_mean_nothing(self) -> None:
        one = talk(channel=Channel.BOOK)
        one.hear(confirmed("BTC-USD", channel="level2_50"))
        one.hear(confirmed())
        assert one.events == []
        assert one.protocol.active == ("BTC-USD",)

    def test_without_a_confirmation_data_is_waited_for_only_so_long(self) -> None:
        one = talk()
        one.wait(REPLY_TIMEOUT_S - 1)
        one.hear(heartbeat(5))
        one.wait(1.5)
        assert one.codes == ["no_ack"]
        assert one.protocol.phase is Phase.LIVE

    def test_heartbeats_keep_the_feed_alive_and_without_them_it_is_dead(self) -> None:
        one = talk()
        one.hear(confirmed("BTC-USD"))
        for _ in range(4):
            one.wait(9)
            one.hear(heartbeat(5))
        with pytest.raises(SessionStale, match="neither data nor a heartbeat for 10 s"):
            one.wait(10)

    def test_the_sandbox_is_a_setting_unless_another_place_is_named(self) -> None:
        settings_ = {"environment": "sandbox"}
        assert talk(settings=settings_).protocol.connect_request().url == SANDBOX_URL
        assert talk().protocol.connect_request().url == URL
        feed = msgspec.structs.replace(talk().protocol.feed, url="ws://127.0.0.1:1/", settings=settings_)
        assert SPEC.protocol(feed).connect_request().url == "ws://127.0.0.1:1/"


class TestErrors:
    def test_a_product_that_there_is_not_is_refused_by_name_and_the_others_go_on(self) -> None:
        delisted, unknown, _ = ERRORS_RECORDED
        one = talk("YFI-USD", "ETH-USD", "BTC-USD")
        one.hear(delisted, delisted, unknown, unknown, confirmed("ETH-USD"))
        notices = one.all(Notice)
        assert [(notice.code, notice.symbols) for notice in notices] == [
            ("symbol_refused", ("YFI-USD",)), ("symbol_refused", ("BTC-USD",))
        ]  # fmt: skip
        assert notices[0].message == "YFI-USD: YFI-USD is delisted"
        assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, ("ETH-USD",))
        assert one.protocol.refused.keys() == {"YFI-USD", "BTC-USD"}

    def test_when_none_is_left_there_is_nothing_to_stream(self) -> None:
        with pytest.raises(SymbolRefused, match="BTC-USD"):
            talk().hear(ERRORS_RECORDED[1])

    def test_a_refusal_of_what_was_not_asked_for_is_a_notice(self) -> None:
        one = talk()
        one.hear(ERRORS_RECORDED[0])
        assert one.codes == ["is delisted"]

    def test_a_channel_that_needs_a_key_says_so(self) -> None:
        one = talk(channel=Channel.BOOK, settings={"book": "level2"})
        assert "signature" not in one.sent[0]
        with pytest.raises(InvalidKey, match="level2_batch"):
            one.hear(ERRORS_RECORDED[2])

    @pytest.mark.parametrize(
        ("message", "reason", "error"),
        [
            ("Sorry, you could not be authenticated: Bad Request", "invalid signature", InvalidKey),
            ("Sorry, you could not be authenticated: Bad Request", None, InvalidKey),
            ("Failed to subscribe", "level9 is not a valid channel", SymbolRefused),
            ("ErrSlowConsume", None, ProviderError),
            ("ErrSlowRead", "too many", RateLimited),
        ],
    )
    def test_an_error_is_what_its_words_say(self, message: str, reason: str | None, error: type[ProviderError]) -> None:
        with pytest.raises(error) as raised:
            talk().hear({"type": "error", "message": message} | ({"reason": reason} if reason else {}))
        assert type(raised.value) is error
        assert raised.value.code in {entry.code for entry in ERRORS}

    def test_others_are_notices_and_the_stream_goes_on(self) -> None:
        one = talk()
        one.hear({"type": "error", "message": "Failed to dance", "reason": "no music"})
        assert [(notice.code, notice.message) for notice in one.all(Notice)] == [
            ("Failed to dance", "an error code that tickstream does not know (no music)")
        ]


class TestKeys:
    def test_the_signature_is_that_of_the_worked_example(self) -> None:
        assert Credentials("k:c2VjcmV0:p").signature("1700000000") == {
            "key": "k", "passphrase": "p", "timestamp": "1700000000",
            "signature": "lhmJXK08fk9SI1ZwFXKFRrPtzfbNOwC+D1xMJJ/1KZg=",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("channel", "settings_", "name"),
        [
            (Channel.BOOK, {"book": "level2"}, "level2"),
            (Channel.ORDERS, {}, "full"),
            (Channel.ORDERS, {"orders": "user"}, "user"),
        ],
    )
    def test_requests_for_what_needs_a_key_are_signed_at_their_time(
        self, channel: Channel, settings_: dict[str, str], name: str
    ) -> None:
        one = talk(channel=channel, settings=settings_, key=KEY, start=Timestamp(1_700_000_000 * NS_PER_SECOND))
        (request,) = one.sent
        signature = Credentials(KEY).signature("1700000000.000")
        assert request == {
            "type": "subscribe", "product_ids": ["BTC-USD"], "channels": [name, "heartbeat"], **signature
        }  # fmt: skip
        assert signature["passphrase"] == "my passphrase"

    def test_a_secret_that_is_no_base64_is_refused_before_anything_is_sent(self) -> None:
        with pytest.raises(InvalidKey, match="KEY:SECRET:PASSPHRASE") as raised:
            talk(channel=Channel.ORDERS, key="a:not base64!:b")
        assert "not base64!" not in str(raised.value)

    def test_neither_the_key_nor_a_part_of_it_is_shown_when_it_is_echoed(self) -> None:
        one = talk(key=KEY)
        one.hear({"type": "error", "message": "you sent k3y1d", "reason": f"and c2VjcmV0 my passphrase or {KEY}"})
        (notice,) = one.all(Notice)
        assert (notice.code, notice.message.partition("(")[2]) == ("you sent ***", "and *** *** or ***)")
        one.hear(b'{"type":"match","passphrase":"my passphrase"}')
        assert b"my passphrase" not in one.protocol.take_quarantined()[0].payload

    def test_a_key_of_one_part_is_only_a_key(self) -> None:
        assert Credentials("demo").signature("1")["key"] == "demo"


class TestTrades:
    def test_ids_that_are_missing_are_a_gap_with_their_count(self) -> None:
        one = talk()
        one.hear(match(7), match(8))
        before = one.ts
        one.wait(3)
        events = one.hear(match(12), match(13))
        assert [type(event) for event in events] == [Gap, Trade, Trade]
        (gap,) = one.all(Gap)
        assert (gap.reason, gap.symbols, gap.missed, gap.start, gap.end) == (
            "sequence", ("BTC-USD",), 3, before, one.ts
        )  # fmt: skip

    def test_a_hole_within_a_batch_is_found_at_its_place(self) -> None:
        one = talk()
        events = one.hear(match(7), match(8), match(11), match(12))
        assert [type(event) for event in events] == [Trade, Trade, Gap, Trade, Trade]
        assert len(one.payloads) == 4

    def test_each_product_has_its_own_numbers(self) -> None:
        one = talk("BTC-USD", "ETH-USD")
        one.hear(match(7), match(100, "ETH-USD"), match(8), match(101, "ETH-USD"))
        assert one.all(Gap) == []
        one.hear(match(103, "ETH-USD"), match(9))
        assert [gap.symbols for gap in one.all(Gap)] == [("ETH-USD",)]
        assert [trade.trade_id for trade in one.all(Trade)] == ["7", "100", "8", "101", "103", "9"]

    def test_a_heartbeat_tells_of_trades_that_never_came(self) -> None:
        one = talk()
        one.hear(match(7), heartbeat(7))
        assert one.all(Gap) == []
        one.hear(heartbeat(9))
        assert [gap.missed for gap in one.all(Gap)] == [2]
        one.hear(match(10), heartbeat(10), heartbeat(10))
        assert len(one.all(Gap)) == 1, "said once"

    def test_the_first_heartbeat_is_where_counting_begins(self) -> None:
        one = talk()
        one.hear(heartbeat(7))
        assert one.all(Gap) == []
        one.hear(match(9))
        assert [gap.missed for gap in one.all(Gap)] == [1]

    def test_a_heartbeat_of_another_product_or_channel_counts_nothing(self) -> None:
        one = talk()
        one.hear(heartbeat(7, product="ETH-USD"), heartbeat(9, product="ETH-USD"))
        quotes = talk(channel=Channel.QUOTES)
        quotes.hear(heartbeat(7), heartbeat(9))
        assert one.events == quotes.events == []

    def test_the_trade_before_the_subscription_is_a_trade_and_counting_begins_there(self) -> None:
        one = talk()
        one.hear(LAST_MATCH, MATCH, MATCH_2, HEARTBEAT)
        assert [trade.trade_id for trade in one.all(Trade)] == ["1099995623", "1099995624", "1099995625"]
        assert one.all(Gap) == []

    def test_what_was_not_asked_for_is_counted_and_left_out(self) -> None:
        one = talk("ETH-USD")
        one.hear(MATCH, MATCH_2)
        one.hear(MATCH, match(5, "ETH-USD"))
        assert [trade.symbol for trade in one.all(Trade)] == ["ETH-USD"]
        assert one.protocol.counters.unrequested == 3
        assert one.codes == ["unrequested_symbol"]
        assert len(one.payloads) == 1

    def test_times_with_fewer_decimals_are_read_too(self) -> None:
        one = talk()
        times = ["2026-09-29T13:45:58Z", "2026-09-29T13:45:58.5Z", "2026-09-29T13:45:58.467935Z"]
        one.hear(*[match(number, time=time) for number, time in enumerate(times)])
        assert [trade.ts_event for trade in one.all(Trade)] == [parse_rfc3339(time) for time in times]

    @pytest.mark.parametrize(
        "change", [{"price": "about"}, {"price": None}, {"size": ""}, {"side": "hold"}, {"trade_id": "x"},
                   {"time": "soon"}, {"price": "1,5"}, {"size": "1e999"}, {"price": 84149.24}],
    )  # fmt: skip
    def test_a_bad_trade_costs_the_others_nothing(self, change: dict[str, Any]) -> None:
        one = talk()
        one.hear(match(7), match(8) | change, match(9))
        assert [trade.trade_id for trade in one.all(Trade)] == ["7", "9"]
        assert one.protocol.counters.quarantined == 1
        assert len(one.payloads) == 2


class TestQuotes:
    def test_a_quote_has_an_exact_spread_and_the_price_of_the_last_trade(self) -> None:
        one = talk(channel=Channel.QUOTES)
        one.hear(TICKER, TICKER_2)
        first, second = one.all(Quote)
        assert first.spread is not None
        assert second.spread is not None
        assert (text(first.spread), text(second.spread)) == ("8.50", "0.01")
        assert first.last is not None
        assert text(first.last) == "84140.83"

    def test_what_a_ticker_lacks_a_quote_lacks(self) -> None:
        one = talk(channel=Channel.QUOTES)
        bare = {"type": "ticker", "product_id": "BTC-USD", "price": "1.50", "best_bid": "1.40"}
        one.hear(bare, bare)
        assert golden.as_lines(one.events[:1]) == (
            b'{"type":"quote","provider":"coinbase","symbol":"BTC-USD","ts_event":null,'
            b'"ts_recv":"2026-06-24T22:00:00.000000Z","bid":1.40,"last":1.50}\n'
        )


class TestBooks:
    def book(self, **more: Any) -> Conversation:
        one = talk(channel=Channel.BOOK, **more)
        one.hear(confirmed("BTC-USD", channel=more.get("settings", {}).get("book", "level2_50")))
        return one

    def test_a_snapshot_and_the_changes_after_it(self) -> None:
        one = self.book()
        one.hear(SNAPSHOT)
        one.hear(UPDATE)
        assert golden.as_lines(one.events) == (
            b'{"type":"book_snapshot","provider":"coinbase","symbol":"BTC-USD","ts_event":"2026-08-02T05:43:30.758130Z",'
            b'"ts_recv":"2026-06-24T22:00:00.000000Z","bids":[[10101.10,0.45054140],[10101.0,1]],'
            b'"asks":[[10102.55,0.57753524]]}\n'
            b'{"type":"book_update","provider":"coinbase","symbol":"BTC-USD","ts_event":"2022-08-04T15:25:05.010758Z",'
            b'"ts_recv":"2026-06-24T22:00:00.000000Z","bids":[[22356.270000,0.00000000],[22356.300000,1.00000000]],'
            b'"asks":[[22357,2]]}\n'
        )

    def test_batches_of_changes_of_any_length_give_the_same(self) -> None:
        short = {"type": "l2update", "product_id": "BTC-USD", "time": "2022-08-04T15:25:05.010758Z"}
        messages = [UPDATE] + [
            msgspec.json.encode({**short, "changes": changes})
            for changes in ([["sell", "5", "1"]], [["buy", "4", "0"]], [], [["buy", "4", "1"], ["buy", "3", "1"]])
        ]
        at_once, one_by_one = self.book(), self.book()
        for some in (messages, messages[1:3], messages[3:]):  # all, one change in each, as many changes as messages
            at_once.hear(*some)
            for message in some:
                one_by_one.hear(message)
        assert golden.as_lines(at_once.events) == golden.as_lines(one_by_one.events)
        assert len(at_once.all(BookUpdate)) == 5 + 2 + 2

    def test_an_older_snapshot_has_no_time(self) -> None:
        one = self.book()
        one.hear(SNAPSHOT.replace(b',"time":"2026-08-02T05:43:30.758130Z"', b""))
        assert one.all(BookSnapshot)[0].ts_event is None

    def test_a_level_that_is_no_number_makes_no_book(self) -> None:
        one = self.book()
        one.hear(SNAPSHOT.replace(b"10101.10", b"about"), UPDATE.replace(b"22356.27", b"x"), UPDATE)
        assert one.protocol.counters.quarantined == 2
        assert len(one.events) == 1

    def test_a_level_in_scientific_notation_is_a_level(self) -> None:
        one = self.book()
        one.hear(SNAPSHOT.replace(b"0.45054140", b"4.5e-05"))
        assert text(one.all(BookSnapshot)[0].bids[0][1]) == "4.5e-05"

    def test_a_whole_book_of_more_than_a_million_bytes_is_one_message_among_others(self) -> None:
        levels = [[f"{60_000 - n * 0.01:.2f}", f"0.{n:08d}"] for n in range(40_000)]
        whole = msgspec.json.encode(
            {"type": "snapshot", "product_id": "BTC-USD", "bids": levels, "asks": [["60001.00", "1"]]}
        )
        assert len(whole) > 1_000_000 > LONGEST_MESSAGE
        one = self.book()
        one.hear(UPDATE, whole, UPDATE)
        assert [type(event) for event in one.events] == [BookUpdate, BookSnapshot, BookUpdate]
        assert len(one.all(BookSnapshot)[0].bids) == 40_000

    def test_but_not_of_any_size_and_nothing_else_may_be_so_long(self) -> None:
        one = self.book()
        one.hear(b'{"type":"snapshot"' + b" " * LONGEST_BOOK + b"}")
        one.hear(UPDATE[:-1] + b" " * LONGEST_MESSAGE + b"}")
        assert one.protocol.counters.quarantined == 2

    def test_somebody_may_ask_for_a_book_anew(self) -> None:
        one = self.book(settings={"book": "level2"}, key=KEY)
        one.protocol.resubscribe(("BTC-USD",), one.now)
        one.wait(0.1)
        one.wait(0.1)
        assert [(request["type"], request["channels"]) for request in one.sent[1:]] == [
            ("unsubscribe", ["level2"]), ("subscribe", ["level2", "heartbeat"]),
        ]  # fmt: skip
        assert all("signature" in request for request in one.sent)


class TestOrders:
    def orders(self, orders: str = "full") -> Conversation:
        one = talk(channel=Channel.ORDERS, settings={"orders": orders}, key=KEY)
        one.hear(confirmed("BTC-USD", channel=orders))
        return one

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ({"type": "received", "size": "1.34", "price": "502.10", "order_type": "limit"},
             '"action":"received","order_id":"d50ec984-77a8","side":"buy","price":502.10,"size":1.34'),
            ({"type": "received", "funds": "3000.234", "order_type": "market"},
             '"action":"received","order_id":"d50ec984-77a8","side":"buy"'),
            ({"type": "open", "price": "200.2", "remaining_size": "1.00"},
             '"action":"open","order_id":"d50ec984-77a8","side":"buy","price":200.2,"remaining":1.00'),
            ({"type": "done", "price": "200.2", "reason": "filled", "remaining_size": "0"},
             '"action":"done","order_id":"d50ec984-77a8","side":"buy","price":200.2,"remaining":0,"reason":"filled"'),
            ({"type": "done", "reason": "canceled", "cancel_reason": "102:Self Trade Prevention"},
             '"action":"done","order_id":"d50ec984-77a8","side":"buy","reason":"canceled 102:Self Trade Prevention"'),
            ({"type": "change", "reason": "STP", "new_size": "5.23", "old_size": "12.23", "price": "400.23"},
             '"action":"change","order_id":"d50ec984-77a8","side":"buy","price":400.23,"remaining":5.23,"reason":"STP"'),
            ({"type": "change", "reason": "modify_order", "new_size": "80", "old_size": "100", "new_price": "7",
              "old_price": "8"},
             '"action":"change","order_id":"d50ec984-77a8","side":"buy","price":7,"remaining":80,"reason":"modify_order"'),
            ({"type": "change", "reason": "STP", "price": None, "old_funds": "2", "new_funds": "1"},
             '"action":"change","order_id":"d50ec984-77a8","side":"buy","reason":"STP"'),
        ],
    )  # fmt: skip
    def test_each_step_of_an_order_is_an_event(self, message: dict[str, Any], expected: str) -> None:
        one = self.orders()
        one.hear(ORDER | {"time": ORDER_TIME} | message)
        assert golden.as_lines(one.events).decode() == (
            '{"type":"order","provider":"coinbase","symbol":"BTC-USD","ts_event":"2014-11-07T08:19:27.028459Z",'
            f'"ts_recv":"2026-06-24T22:00:00.000000Z",{expected},"sequence":10}}\n'
        )

    def test_a_match_is_one_of_the_makers_order_and_names_the_trade(self) -> None:
        one = self.orders()
        one.hear(match(7), match(8, sequence=22))
        first, _ = one.all(OrderUpdate)
        assert (first.action, first.order_id, first.side, first.trade_id, first.sequence) == (
            "match",
            "m",
            "buy",
            "7",
            21,
        )
        assert first.price is not None
        assert text(first.price) == "84149.240"

    def test_a_stop_order_that_is_placed_has_no_number_and_an_epoch(self) -> None:
        one = self.orders("user")
        stop = {
            "type": "activate", "product_id": "BTC-USD", "timestamp": "1483736448.299000", "order_id": "7b52009b",
            "stop_type": "entry", "side": "buy", "stop_price": "80", "size": "2", "funds": "50", "private": True,
        }  # fmt: skip
        one.hear(stop)
        (order,) = one.all(OrderUpdate)
        assert (order.action, order.reason, order.sequence) == ("received", "stop entry", None)
        assert order.ts_event == 1_483_736_448_299_000_000

    def numbered(self, sequence: int) -> dict[str, Any]:
        done = {"type": "done", "time": ORDER_TIME, "reason": "filled"}
        return ORDER | done | {"sequence": sequence}

    def test_numbers_that_are_missing_are_a_gap(self) -> None:
        one = self.orders()
        one.hear(self.numbered(10), self.numbered(11), self.numbered(15))
        assert [type(event) for event in one.events] == [OrderUpdate, OrderUpdate, Gap, OrderUpdate]
        assert one.all(Gap)[0].missed == 3

    def test_a_heartbeat_tells_the_last_number_and_takes_none(self) -> None:
        one = self.orders()
        one.hear(self.numbered(10), heartbeat(7, 10), self.numbered(11))
        assert one.all(Gap) == []
        one.hear(heartbeat(7, 13))
        assert [gap.missed for gap in one.all(Gap)] == [2]

    def test_ones_own_orders_leave_numbers_out(self) -> None:
        one = self.orders("user")
        one.hear(self.numbered(10), self.numbered(15), heartbeat(7, 20))
        assert one.all(Gap) == []
        assert len(one.all(OrderUpdate)) == 2


class TestStatus:
    def status(self, **product: Any) -> dict[str, Any]:
        others = [{"id": "ETH-USD", "status": "delisted"}]
        return {
            "type": "status",
            "currencies": [],
            "products": [*others, {"id": "BTC-USD", "status": "online", **product}],
        }

    def test_it_is_asked_for_where_it_is_wanted(self) -> None:
        one = talk(settings={"status": "on"})
        one.wait(0.1)
        assert one.sent[1:] == [{"type": "subscribe", "channels": [{"name": "status"}]}]

    def test_what_changes_for_our_products_is_said_once(self) -> None:
        one = talk()
        for product in ({}, {"cancel_only": True, "status_message": "maintenance"}, {"cancel_only": True}, {}):
            one.hear(self.status(**product))
        one.hear(self.status(status="offline", post_only=False, limit_only=None))
        assert [(notice.code, notice.message) for notice in one.all(Notice)] == [
            ("status", "BTC-USD: cancel_only maintenance"), ("status", "BTC-USD: online"),
            ("status", "BTC-USD: offline"),
        ]  # fmt: skip


ALL = [*RECORDED[1:], SNAPSHOT, UPDATE, *ERRORS_RECORDED, *[
    msgspec.json.encode(one) for one in (
        ORDER | {"type": "received", "size": "1", "price": "2", "time": ORDER_TIME}, heartbeat(7),
        ORDER | {"type": "change", "new_size": "1", "price": None, "time": ORDER_TIME},
        {"type": "status", "products": [{"id": "BTC-USD"}]},
        {"type": "activate", "product_id": "BTC-USD", "timestamp": "1483736448.299000", "order_id": "7", "side": "buy",
         "stop_type": "entry", "stop_price": "80"},
    )
]]  # fmt: skip


class TestWhateverComes:
    @settings(max_examples=300, deadline=None)
    @given(st.one_of(golden.torn(ALL), golden.replaced(ALL)))
    def test_of_a_spoiled_message_come_events_or_a_quarantine_or_an_error_of_ours(self, message: bytes) -> None:
        golden.assert_survived("coinbase", [UPDATE, message], Channel.QUOTES)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.one_of(st.sampled_from(ALL[:6]), golden.replaced(ALL[:6])), min_size=2, max_size=12))
    def test_a_batch_gives_what_its_messages_give_by_themselves(self, messages: list[bytes]) -> None:
        """But for the place of a gap: before a stretch of several products, not within it."""
        at_once, one_by_one = talk(channel=Channel.QUOTES), talk(channel=Channel.QUOTES)
        at_once.hear(*messages)
        for message in messages:
            one_by_one.hear(message)
        assert golden.as_lines(at_once.market) == golden.as_lines(one_by_one.market)  # type: ignore[arg-type]  # events
        assert at_once.payloads == one_by_one.payloads
        assert at_once.protocol.counters == one_by_one.protocol.counters


def test_what_it_declares() -> None:
    assert SPEC.keyless == (Channel.QUOTES, Channel.TRADES, Channel.BOOK, Channel.BARS)
    assert not SPEC.market_of("BTC-USD").sessions
