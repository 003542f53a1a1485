"""Binance: the conversation, and its streams in our schema."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.conversation import Conversation
from tickstream.errors import ProviderError, RateLimited
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, Notice, Quote, Trade
from tickstream.numbers import number, text
from tickstream.providers.base import Phase
from tickstream.providers.binance import ERRORS, QUIET_AFTER_S, SPEC
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

RECORDED = golden.recorded("binance")
TRADE = {"e": "trade", "E": 1672515782136, "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100", "T": 1672515782136,
         "m": True, "M": True}  # fmt: skip
"""The documentation's own example."""
KLINE = {"e": "kline", "E": 1672515782136, "s": "BNBBTC", "k": {
    "t": 1672515780000, "T": 1672515839999, "s": "BNBBTC", "i": "1m", "f": 100, "L": 200, "o": "0.0010", "c": "0.0020",
    "h": "0.0025", "l": "0.0015", "v": "1000", "n": 100, "x": False, "q": "1.0000", "V": "500", "Q": "0.500",
    "B": "123456"}}  # fmt: skip
SHUTDOWN = {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1770123456789}}


REPLIES = (b'{"result":null,"id":1}', b'{"code":2,"msg":"x"}')


def talk(*symbols: str, channel: Channel = Channel.TRADES, **feed: Any) -> Conversation:
    return Conversation(*(symbols or ("BNBBTC",)), provider="binance", channel=channel, key=None, **feed)


def live(*symbols: str, channel: Channel = Channel.TRADES, **feed: Any) -> Conversation:
    one = talk(*symbols, channel=channel, **feed)
    one.wait(0)
    one.hear({"result": None, "id": 1})
    return one


def stream(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"stream": name, "data": data}


def trades(*numbers: int) -> list[dict[str, Any]]:
    return [stream("bnbbtc@trade", TRADE | {"t": number}) for number in numbers]


class TestRecorded:
    def test_its_268_messages_give_267_events_with_the_digits_that_were_sent(self) -> None:
        made = golden.protocol("binance")
        events = golden.events_of(made, RECORDED)
        assert golden.as_lines(events) == golden.expected("binance")
        kinds = [type(event) for event in events]
        assert {kind: kinds.count(kind) for kind in kinds} == {BookUpdate: 177, Quote: 85, Trade: 3, Bar: 2}
        # The one that is left is no message of a combined stream.
        assert (made.counters.messages, made.counters.quarantined, made.counters.unknown) == (268, 1, 0)
        assert len(made.take_payloads()) == 267

    def test_of_the_recorded_book_updates_none_is_missing(self) -> None:
        events = golden.events_of(golden.protocol("binance"), RECORDED)
        assert [event for event in events if isinstance(event, Gap)] == []
        without = [message for number, message in enumerate(RECORDED) if number != 3]
        (gap,) = [event for event in golden.events_of(golden.protocol("binance"), without) if isinstance(event, Gap)]
        first, last = (int(re.search(rb'"%c":(\d+)' % name, RECORDED[3])[1]) for name in b"Uu")  # type: ignore[index]  # it is there
        assert (gap.symbols, gap.reason, gap.missed) == (("NKNUSDT",), "sequence", last - first + 1)

    def test_recorded_updates_bring_the_level_that_the_quote_of_the_same_number_shows(self) -> None:
        quotes: dict[tuple[str, int], set[tuple[str, str]]] = {}
        compared = agreed = 0
        for event in golden.events_of(golden.protocol("binance"), RECORDED):
            if isinstance(event, Quote):
                top = ((event.bid, event.bid_size), (event.ask, event.ask_size))
                quotes[event.symbol, event.sequence or 0] = {(text(price), text(size)) for price, size in top}  # type: ignore[arg-type]  # has them
            elif isinstance(event, BookUpdate) and (event.symbol, event.sequence) in quotes:
                levels = {(text(price), text(size)) for price, size in (*event.bids, *event.asks)}
                compared += 1
                removes = any(float(size) == 0 for _, size in levels)  # then the next level is the best
                agreed += removes or bool(levels & quotes[event.symbol, event.sequence or 0])
        assert (compared, agreed) == (26, 26)

    @pytest.mark.parametrize("at_once", [2, 50, 268])
    def test_batches_give_the_same_as_messages_one_by_one(self, at_once: int) -> None:
        events = golden.events_of(golden.protocol("binance"), RECORDED, at_once)
        assert golden.as_lines(events) == golden.expected("binance")


class TestSubscribing:
    @pytest.mark.parametrize(
        ("channel", "given", "name"),
        [
            (Channel.QUOTES, {}, "bookTicker"),
            (Channel.TRADES, {}, "trade"),
            (Channel.TRADES, {"trades": "aggTrade"}, "aggTrade"),
            (Channel.BOOK, {}, "depth20@100ms"),
            (Channel.BOOK, {"depth": "5"}, "depth5@100ms"),
            (Channel.BARS, {}, "kline_1m"),
            (Channel.BARS, {"interval": "1M"}, "kline_1M"),
        ],
    )
    def test_streams_have_names_in_lower_case(self, channel: Channel, given: dict[str, str], name: str) -> None:
        one = talk("BTCUSDT", "ETHBTC", channel=channel, settings=given)
        one.wait(0)
        assert one.sent == [
            {"method": "SUBSCRIBE", "params": [f"btcusdt@{name}", f"ethbtc@{name}"], "id": 1}
        ]  # fmt: skip

    def test_it_connects_to_combined_streams_without_a_key(self) -> None:
        request = talk().protocol.connect_request()
        assert (request.url, request.secrets) == ("wss://stream.binance.com:9443/stream", ())

    def test_the_reply_confirms_what_its_request_asked_for(self) -> None:
        one = talk(*(f"A{n}USDT" for n in range(250)))
        for _ in range(3):
            one.wait(0.5)
        assert [(request["id"], len(request["params"])) for request in one.sent] == [(1, 200), (2, 50)]
        one.hear({"result": None, "id": 2})
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear({"result": None, "id": 1})
        assert one.protocol.phase is Phase.LIVE
        assert one.hear({"result": None, "id": 1}) == []

    def test_data_may_come_before_the_reply(self) -> None:
        one = talk()
        one.hear(*trades(1))
        assert one.protocol.phase is Phase.LIVE
        assert one.hear({"result": None, "id": 1}) == []

    def test_no_more_streams_than_a_connection_may_have(self) -> None:
        one = talk(*(f"A{n}USDT" for n in range(1030)))
        one.wait(0)
        assert [(notice.code, len(notice.symbols)) for notice in one.all(Notice)] == [("symbol_limit", 6)]
        assert len(one.protocol.asked) == 1024

    def test_no_more_than_two_requests_a_second(self) -> None:
        one = talk(*(f"A{n}USDT" for n in range(1000)))
        one.wait(0)
        for count in range(2, 6):
            one.wait(0.4)
            assert len(one.sent) == count - 1
            one.wait(0.1)
            assert len(one.sent) == count

    def test_no_confirmation_is_said(self) -> None:
        one = talk()
        one.wait(0)
        one.wait(REPLY_TIMEOUT_S + 0.5)
        assert one.codes == ["no_ack"]
        assert one.protocol.phase is Phase.LIVE

    def test_symbols_that_stay_quiet_are_named_once_for_binance_confirms_what_there_is_not(self) -> None:
        one = live("BNBBTC", "NOSUCH")
        assert one.protocol.next_deadline() == QUIET_AFTER_S
        one.hear(*trades(1))
        one.wait(QUIET_AFTER_S - 1)
        assert one.codes == []
        one.wait(1)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("quiet_symbols", ("NOSUCH",))]
        assert one.protocol.next_deadline() is None

    def test_when_all_have_come_nothing_is_said(self) -> None:
        one = live()
        one.hear(*trades(1))
        one.wait(QUIET_AFTER_S)
        assert one.codes == []


class TestErrors:
    @pytest.mark.parametrize("code", ["0", "1", "2", "3"])
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_request_that_is_not_accepted_ends_the_connection(self, code: str, wrapped: bool) -> None:
        error = {"code": int(code), "msg": "Invalid request: unknown variant"}
        one = talk()
        one.wait(0)
        with pytest.raises(ProviderError, match="unknown variant") as raised:
            one.hear({"error": error, "id": 1} if wrapped else error | {"id": 1})
        assert raised.value.code == code

    def test_an_unknown_code_is_a_notice(self) -> None:
        one = live()
        one.hear({"error": {"code": -1121, "msg": "Invalid symbol."}, "id": 1})
        assert one.codes == ["-1121"]

    def test_1008_is_the_answer_to_too_many_messages(self) -> None:
        one = live()
        error = one.protocol.closed(1008, "Too many requests")
        assert isinstance(error, RateLimited)
        assert "Too many requests" in str(error)
        assert one.protocol.closed(1001, "24 hours") is None

    def test_a_server_that_goes_is_told_and_another_connection_wanted(self) -> None:
        one = live()
        assert not one.protocol.ends_soon(one.now)
        one.hear(*trades(1), SHUTDOWN, *trades(2))
        assert [trade.trade_id for trade in one.all(Trade)] == ["1", "2"]
        assert one.codes == ["server_shutdown"]
        assert one.protocol.ends_soon(one.now)
        one.hear(*trades(3))
        assert len(one.all(Trade)) == 3, "it is heard on until it goes"

    def test_another_connection_is_wanted_before_a_day_is_over(self) -> None:
        one = live()
        assert not one.protocol.ends_soon(23 * 3600.0)
        assert one.protocol.ends_soon(24 * 3600.0 - 60.0)

    def test_what_has_been_delivered_is_told_by_the_numbers_of_binance(self) -> None:
        one = live()
        assert one.protocol.counts_places
        one.hear(*trades(7))
        bar = Bar("binance", "X", Timestamp(60), Timestamp(0), "1m", *map(number, "1111"), number("2.50"), closed=True)
        book = BookSnapshot("binance", "X", None, Timestamp(0), (), (), 8)
        quote = Quote("binance", "X", None, Timestamp(0), sequence=9)
        update = BookUpdate("binance", "X", None, Timestamp(0), (), (), 8)
        places = [one.protocol.place(event) for event in (*one.all(Trade), bar, book, quote, update)]
        assert places == [(7,), (60, Decimal("2.5"), True), (8,), (9,), None]
        assert not live(channel=Channel.QUOTES).protocol.counts_places

    def test_what_is_neither_data_nor_a_reply_is_set_aside(self) -> None:
        one = live()
        one.hear(TRADE, {"result": None, "id": 9}, {"result": None, "id": "mine"}, {})
        assert one.protocol.counters.quarantined == 4

    def test_streams_of_tomorrow_are_counted(self) -> None:
        one = live()
        one.hear(stream("bnbbtc@blockTrade", {}), stream("!ticker@arr", {}), stream("bnbbtc", {}))
        assert one.protocol.counters.unknown == 3
        assert one.codes == ["unknown_type"] * 3


class TestData:
    @pytest.mark.parametrize(("maker_bought", "side"), [(True, "sell"), (False, "buy")])
    def test_a_trade_has_the_takers_side(self, maker_bought: bool, side: str) -> None:
        one = live()
        one.hear(stream("bnbbtc@trade", TRADE | {"m": maker_bought}))
        (trade,) = one.all(Trade)
        assert (trade.side, trade.trade_id, text(trade.price), text(trade.size)) == (side, "12345", "0.001", "100")
        assert trade.ts_event == Timestamp(1672515782136 * 10**6)

    def test_times_may_be_in_microseconds(self) -> None:
        one = live()
        url = "wss://localhost/stream?timeUnit=MICROSECOND"
        feed = msgspec.structs.replace(one.protocol.feed, url=url)
        protocol = SPEC.protocol(feed)
        protocol.receive([msgspec.json.encode(stream("bnbbtc@trade", TRADE | {"T": 1672515782136001}))], one.ts, 0.0)
        protocol.asked = frozenset({"BNBBTC"})
        protocol.receive([msgspec.json.encode(stream("bnbbtc@trade", TRADE | {"T": 1672515782136001}))], one.ts, 0.0)
        assert [event.ts_event for event in protocol.take_events() if isinstance(event, Trade)] == [1672515782136001000]

    def test_aggregated_trades_have_their_own_numbers(self) -> None:
        one = live(settings={"trades": "aggTrade"})
        data = {key: value for key, value in TRADE.items() if key != "t"} | {"a": 7, "f": 100, "l": 105}
        one.hear(stream("bnbbtc@aggTrade", data))
        assert one.all(Trade)[0].trade_id == "7"

    def test_numbers_that_are_missing_are_a_gap_with_their_count(self) -> None:
        one = live()
        one.hear(*trades(5, 6, 10))
        assert [(gap.missed, gap.reason, gap.symbols) for gap in one.all(Gap)] == [(3, "sequence", ("BNBBTC",))]

    def test_a_bar_says_whether_it_is_closed(self) -> None:
        one = live(channel=Channel.BARS)
        one.hear(stream("bnbbtc@kline_1m", KLINE), stream("bnbbtc@kline_1m", KLINE | {"k": KLINE["k"] | {"x": True}}))  # type: ignore[operator]  # both are dicts
        opened, closed = one.all(Bar)
        assert (opened.closed, closed.closed) == (False, True)
        assert opened.ts_event == Timestamp(1672515780000 * 10**6)
        prices = (opened.open, opened.high, opened.low, opened.close, opened.volume)
        assert [text(price) for price in prices if price is not None] == [
            "0.0010",
            "0.0025",
            "0.0015",
            "0.0020",
            "1000",
        ]

    def test_a_quote_has_no_time_and_an_exact_spread(self) -> None:
        one = live("BNBUSDT", channel=Channel.QUOTES)
        one.hear(stream("bnbusdt@bookTicker", {
            "u": 400900217, "s": "BNBUSDT", "b": "25.35190000", "B": "31.21000000", "a": "25.36520000",
            "A": "40.66000000"}))  # fmt: skip
        (quote,) = one.all(Quote)
        assert (quote.ts_event, quote.sequence, text(quote.spread)) == (None, 400900217, "0.01330000")  # type: ignore[arg-type]  # has one

    @pytest.mark.parametrize("name", ["depth20@100ms", "depth5", "depth10@1000ms"])
    def test_a_partial_book_is_whole_each_time_and_takes_its_symbol_from_the_stream(self, name: str) -> None:
        one = live(channel=Channel.BOOK)
        asks = [["0.0026", "100"], ["0.0027", "5"]]
        one.hear(stream(f"bnbbtc@{name}", {"lastUpdateId": 160, "bids": [["0.0024", "10"]], "asks": asks}))
        (book,) = one.all(BookSnapshot)
        assert (book.symbol, book.ts_event, book.sequence) == ("BNBBTC", None, 160)
        assert [(text(price), text(size)) for price, size in book.asks] == [("0.0026", "100"), ("0.0027", "5")]

    def test_a_book_that_is_wrong_is_mended_by_the_next_message(self) -> None:
        one = live(channel=Channel.BOOK)
        sent = len(one.sent)
        one.protocol.resubscribe(("BNBBTC",), one.now)
        one.wait(1)
        assert len(one.sent) == sent

    def test_what_was_not_asked_for_is_left_out(self) -> None:
        one = live("BTCUSDT")
        one.hear(*trades(1))
        assert one.market == []
        assert one.codes == ["unrequested_symbol"]

    @pytest.mark.parametrize(
        "change",
        [{"p": "about"}, {"p": None}, {"p": "1e999"}, {"q": ""}, {"T": -1}, {"T": 10**18}, {"m": "yes"}, {"t": "5"},
         {"s": None}],
    )  # fmt: skip
    def test_a_bad_message_is_set_aside_and_the_next_one_is_good(self, change: dict[str, Any]) -> None:
        one = live()
        one.hear(stream("bnbbtc@trade", TRADE | change), *trades(7))
        assert one.protocol.counters.quarantined == 1
        assert [trade.trade_id for trade in one.all(Trade)] == ["7"]


class TestWhateverComes:
    @settings(max_examples=300, deadline=None)
    @given(golden.torn(RECORDED))
    def test_of_a_torn_message_come_events_or_a_quarantine_or_an_error_of_ours(self, message: bytes) -> None:
        golden.assert_survived("binance", [RECORDED[0], message])

    @settings(max_examples=300, deadline=None)
    @given(
        golden.replaced([*RECORDED, msgspec.json.encode(SHUTDOWN), b'{"result":null,"id":1}', b'{"code":2,"msg":"x"}'])
    )
    def test_of_a_value_that_is_another_one_too(self, message: bytes) -> None:
        golden.assert_survived("binance", [RECORDED[0], message])

    @given(st.text(max_size=30))
    def test_of_any_stream_name(self, name: str) -> None:
        golden.assert_survived("binance", [msgspec.json.encode(stream(name, {"s": "X"}))])


def test_what_it_declares() -> None:
    assert SPEC.key_env is None
    assert SPEC.keyless == SPEC.channels == (Channel.QUOTES, Channel.TRADES, Channel.BOOK, Channel.BARS)
    assert [entry.code for entry in ERRORS] == ["0", "1", "2", "3", "1008"]
