"""Polygon: greeting, key, topics; each event by its own names; whole batches; wildcards; too many connections."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.end_to_end.canary import FORMS, assert_no_trace
from tests.end_to_end.canary import KEY as CANARY
from tests.providers import golden
from tests.providers.conversation import KEY, Conversation
from tickstream import markets
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    Forbidden,
    InvalidKey,
    Recovery,
    SymbolRefused,
    TickstreamError,
)
from tickstream.events import Bar, Notice, Quote, Trade
from tickstream.keys import Secret
from tickstream.numbers import text
from tickstream.providers.base import Feed, Phase
from tickstream.providers.polygon import (
    AUTH_TIMEOUT_S,
    HELD_S,
    LONGEST_FRAME,
    SPEC,
    TOPICS,
    WILDCARDS,
    PolygonProtocol,
    cluster_of,
)
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import rfc3339

RECORDED = golden.recorded("polygon/events")
"""The examples of the machine-readable description, a frame each."""
STATUSES = golden.recorded("polygon/statuses")
CONNECTED, SUCCESS, FAILED, TIMEOUT, SUBSCRIBED, UNSUBSCRIBED, NO_ROOM = STATUSES
TRADE = b'{"ev":"T","sym":"AAPL","x":4,"i":"7","z":3,"p":114.10,"s":100,"t":1536036818784,"q":9}'
QUOTE = b'{"ev":"Q","sym":"AAPL","bx":4,"bp":114.10,"bs":100,"ax":7,"ap":114.125,"as":160,"t":1536036818784,"q":5}'
RATE = b'{"ev":"C","p":"EUR/USD","x":"44","a":1.08366,"b":1.0836,"t":1536036818784}'
COIN = b'{"ev":"XT","pair":"BTC-USD","p":33021.90,"t":1610462007425,"s":0.01616617,"c":[2],"i":14272084,"x":3}'
COIN_QUOTE = b'{"ev":"XQ","pair":"BTC-USD","bp":33052.79,"bs":0.48,"ap":33073.19,"as":0.601,"t":1610462411115,"x":1}'


def talk(*symbols: str, channel: Channel = Channel.TRADES, **feed: Any) -> Conversation:
    return Conversation(*(symbols or ("AAPL",)), provider="polygon", channel=channel, **feed)


def asked(*symbols: str, **how: Any) -> Conversation:
    """After the key was accepted."""
    one = talk(*symbols, **how)
    one.hear(CONNECTED)
    one.wait(0)
    one.hear(SUCCESS)
    one.wait(0)
    return one


def live(*symbols: str, **how: Any) -> Conversation:
    one = asked(*symbols, **how)
    one.hear(*(said("success", f"subscribed to: {topic}") for topic in one.sent[-1]["params"].split(",")))
    assert one.protocol.phase is Phase.LIVE
    return one


def said(status: str, message: str = "") -> bytes:
    return msgspec.json.encode([{"ev": "status", "status": status, "message": message}])


def frame(*messages: bytes) -> bytes:
    return b"[" + b",".join(messages) + b"]"


class TestRecorded:
    def test_its_36_messages_give_24_market_events_with_the_digits_that_were_sent(self) -> None:
        made = golden.protocol("polygon/events")
        events = golden.events_of(made, RECORDED)
        assert golden.as_lines(events) == golden.expected("polygon/events")
        kinds = [type(event) for event in events]
        assert [kinds.count(kind) for kind in (Trade, Quote, Bar, Notice)] == [6, 4, 14, 6]
        # LULD, NOI, XL2 and V once, FMV and LV four times each: none of them is asked for.
        assert (made.counters.messages, made.counters.unknown, made.counters.quarantined) == (36, 12, 0)
        assert len(made.take_payloads()) == 24 - 1, "two trades came in one frame"

    @pytest.mark.parametrize("at_once", [2, 7, 35])
    def test_batches_give_the_same_as_frames_one_by_one(self, at_once: int) -> None:
        events = golden.events_of(golden.protocol("polygon/events"), RECORDED, at_once)
        assert golden.as_lines(events) == golden.expected("polygon/events")


class TestEndpoint:
    @pytest.mark.parametrize(
        ("symbol", "cluster"),
        [("AAPL", "stocks"), ("BRK.B", "stocks"), ("*", "stocks"), ("O:SPY241220P00720000", "options"),
         ("I:SPX", "indices"), ("EUR/USD", "forex"), ("*/*", "forex"), ("BTC-USD", "crypto"), ("*-*", "crypto")],
    )  # fmt: skip
    def test_follows_from_the_first_symbol(self, symbol: str, cluster: str) -> None:
        assert SPEC.symbol_pattern.fullmatch(symbol)
        assert cluster_of(symbol) == cluster
        for url in (SPEC.url, "wss://socket.massive.com/forex"):
            request = PolygonProtocol(Feed(url, Subscription((symbol,)), Secret(KEY))).connect_request()
            assert (request.url, request.secrets) == (f"wss://socket.massive.com/{cluster}", (Secret(KEY),))

    def test_of_ones_own_stays(self) -> None:
        request = PolygonProtocol(Feed("wss://h/futures/cme", Subscription(("ES",)))).connect_request()
        assert request.url == "wss://h/futures/cme"

    def test_has_its_own_hours(self) -> None:
        hours = {symbol: SPEC.market_of(symbol) for symbol in ("AAPL", "I:SPX", "EUR/USD", "BTC-USD")}
        assert list(hours.values()) == [markets.US_EQUITIES, markets.US_EQUITIES, markets.FOREX, markets.ALWAYS]

    def test_that_another_symbol_needs_is_another_run(self) -> None:
        one = asked("AAPL", "EUR/USD", "BTC-USD", "MSFT")
        assert one.sent[-1]["params"] == "T.AAPL,T.MSFT"
        (notice,) = one.all(Notice)
        assert (notice.code, notice.symbols) == ("symbol_refused", ("EUR/USD", "BTC-USD"))
        assert "another run" in notice.message

    @pytest.mark.parametrize(("symbol", "channel"), [("EUR/USD", "trades"), ("I:SPX", "trades"), ("I:SPX", "quotes")])
    def test_without_the_channel_refuses_all(self, symbol: str, channel: str) -> None:
        one = talk(symbol, channel=Channel(channel))
        one.hear(CONNECTED)
        with pytest.raises(SymbolRefused):
            one.hear(SUCCESS)
        assert f"there are no {channel} at the endpoint" in one.all(Notice)[0].message


class TestAuthentication:
    def test_waits_for_the_greeting_and_for_the_answer(self) -> None:
        one = talk()
        one.wait(1)
        assert one.sent == []
        one.hear(CONNECTED)
        one.wait(0)
        assert one.sent == [{"action": "auth", "params": KEY}]
        one.hear(SUCCESS)
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.wait(0)
        assert one.sent[1:] == [{"action": "subscribe", "params": "T.AAPL"}]

    def test_said_again_changes_nothing(self) -> None:
        one = live()
        one.hear(CONNECTED, SUCCESS, said("success", "unsubscribed to: T.AAPL"))
        one.wait(0)
        assert (len(one.sent), one.protocol.phase, one.events) == (2, Phase.LIVE, [])

    def test_is_waited_for_ten_seconds_each(self) -> None:
        one = talk()
        assert one.protocol.next_deadline() == AUTH_TIMEOUT_S
        one.wait(9)
        one.hear(CONNECTED)
        one.wait(9)
        with pytest.raises(AuthTimeout, match="did not let us in"):
            one.wait(1)

    def test_without_a_key_says_so_to_the_server_alone(self) -> None:
        one = talk(key=None)
        one.hear(CONNECTED)
        one.wait(0)
        assert one.sent == [{"action": "auth", "params": ""}]

    @pytest.mark.parametrize(
        ("answer", "error"),
        [(FAILED, InvalidKey), (TIMEOUT, AuthTimeout), (NO_ROOM, ConnectionLimit),
         (said("error", "not authorized"), Forbidden)],
    )  # fmt: skip
    def test_refused_is_the_error_that_it_is(self, answer: bytes, error: type[TickstreamError]) -> None:
        one = talk()
        one.hear(CONNECTED)
        with pytest.raises(error):
            one.hear(answer)

    def test_keys_are_in_no_event_whatever_echoes_them(self) -> None:
        one = live(key=Secret(CANARY))
        for form in FORMS.values():
            one.hear(
                said("error", form), said(form, form), said("not_found", f"T.AAPL {form}"[7:]),
                msgspec.json.encode([{"ev": form}]), TRADE.replace(b"114.10", msgspec.json.encode(form)),
                msgspec.json.encode([{"ev": "T", "sym": form, "p": 1}]), f'[{{"{form}'.encode(),
            )  # fmt: skip
        assert len(one.events) > 5
        assert_no_trace(golden.as_lines(one.events), repr(one.protocol.take_quarantined()))


class TestTooManyConnections:
    def test_is_said_after_everything_was_accepted_and_waits_a_minute_or_more(self) -> None:
        one = live()
        with pytest.raises(ConnectionLimit) as raised:
            one.hear(NO_ROOM)
        assert (raised.value.recovery, raised.value.retry_after_s) == (Recovery.HOLD, HELD_S)
        assert one.payloads == [], "what was accepted is no data: the backoff goes on from where it was"

    def test_does_not_cost_the_data_before_it(self) -> None:
        one = live()
        with pytest.raises(ConnectionLimit):
            one.hear(frame(TRADE), NO_ROOM)
        assert len(one.market) == 1


class TestTopics:
    @pytest.mark.parametrize("cluster", TOPICS)
    def test_are_named_by_endpoint_channel_and_interval(self, cluster: str) -> None:
        symbol = next(one for one in (*SPEC.common_symbols, "O:SPY241220P00720000") if cluster_of(one) == cluster)
        for kind, topic in TOPICS[cluster].items():
            channel = Channel.BARS if kind in ("1m", "1s") else Channel(kind)
            own = {"interval": kind} if channel is Channel.BARS else {}
            assert asked(symbol, channel=channel, settings=own).sent[-1]["params"] == f"{topic}.{symbol}"

    @pytest.mark.parametrize(("cluster", "symbol"), WILDCARDS.items())
    def test_of_all_symbols_take_whatever_comes(self, cluster: str, symbol: str) -> None:
        one = live(symbol, channel=Channel.QUOTES)
        assert one.sent[-1]["params"] == f"{TOPICS[cluster]['quotes']}.*"
        data = {"stocks": QUOTE, "forex": RATE, "crypto": COIN_QUOTE}[cluster]
        one.hear(frame(data))
        one.hear(frame(data), frame(data.replace(b"USD", b"EUR").replace(b"AAPL", b"T")))
        assert len(one.market) == 3
        assert one.protocol.counters.unrequested == 0

    def test_confirmed_in_one_frame_or_in_several_make_it_live(self) -> None:
        one = asked("AAPL", "BRK.B", "MSFT")
        one.hear(frame(said("success", "subscribed to: T.BRK.B")[1:-1], said("success", "subscribed to: T.MSFT")[1:-1]))
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear(said("success", "subscribed to: T.AAPL"))
        assert one.protocol.active == ("AAPL", "BRK.B", "MSFT")

    def test_that_are_not_confirmed_are_waited_for_and_data_does_for_it(self) -> None:
        one = asked("AAPL", "MSFT")
        one.hear(frame(TRADE))
        assert one.protocol.phase is Phase.LIVE
        one.wait(REPLY_TIMEOUT_S)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("no_ack", ("MSFT",))]

    @pytest.mark.parametrize("status", ["error", "not_found"])
    def test_that_are_refused_by_name_cost_the_others_nothing(self, status: str) -> None:
        one = asked("AAPL", "NOSUCH")
        one.hear(said(status, "not authorized: T.NOSUCH"))
        assert one.all(Notice)[0].symbols == ("NOSUCH",)
        one.hear(said("success", "subscribed to: T.AAPL"))
        assert one.protocol.active == ("AAPL",)

    def test_errors_about_nothing_in_particular_are_told(self) -> None:
        one = live()
        one.hear(said("error", "invalid request"), said("not_found", "T.OTHER"), said("solar_flare"))
        assert one.codes == ["error", "not_found", "solar_flare"]


class TestEvents:
    def test_trade_ids_are_unique_across_exchanges_and_facilities(self) -> None:
        one = live()
        one.hear(
            frame(TRADE, TRADE.replace(b'"x":4', b'"x":11'), TRADE.replace(b'"x":4', b'"x":4,"trfi":202')),
            frame(TRADE.replace(b'"i":"7",', b"")),
        )
        assert [trade.trade_id for trade in one.all(Trade)] == ["4:7", "11:7", "4.202:7", None]

    @pytest.mark.parametrize(("conditions", "side"), [("[2]", "buy"), ("[1]", "sell"), ("[0]", None), ("[]", None)])
    def test_conditions_of_crypto_trades_are_the_side(self, conditions: str, side: str | None) -> None:
        one = live("BTC-USD")
        (trade,) = one.hear(frame(COIN.replace(b"[2]", conditions.encode())))
        assert isinstance(trade, Trade)
        assert (trade.side, trade.trade_id, text(trade.price)) == (side, "3:14272084", "33021.90")

    def test_a_side_of_a_quote_that_is_zero_or_left_out_is_unknown(self) -> None:
        one = live(channel=Channel.QUOTES)
        one.hear(
            frame(QUOTE.replace(b'"bp":114.10,"bs":100,', b'"bp":0,')), frame(QUOTE.replace(b'"ap":114.125,', b""))
        )
        one.hear(frame(QUOTE.replace(b',"t":1536036818784', b"")))
        first, second, third = one.all(Quote)
        assert (first.bid, first.bid_size, first.spread) == (None, None, None)
        assert (second.bid and text(second.bid), second.ask, second.spread) == ("114.10", None, None)
        assert (third.ts_event, third.spread and text(third.spread)) == (None, "0.025")

    def test_pairs_written_with_a_hyphen_are_those_that_were_asked_for(self) -> None:
        one = live("EUR/USD", channel=Channel.QUOTES)
        one.hear(frame(RATE.replace(b"EUR/USD", b"EUR-USD")), frame(RATE))
        assert {quote.symbol for quote in one.all(Quote)} == {"EUR/USD"}
        assert [text(quote.spread) for quote in one.all(Quote) if quote.spread] == ["0.00006"] * 2

    def test_times_are_milliseconds_and_nothing_longer_is_a_time(self) -> None:
        one = live()
        one.hear(frame(TRADE), frame(TRADE.replace(b"1536036818784", b"1536036818784000000")))
        assert [rfc3339(trade.ts_event) for trade in one.all(Trade) if trade.ts_event] == [
            "2018-09-04T04:53:38.784000Z"
        ]
        assert one.protocol.counters.quarantined == 1

    def test_a_symbol_that_was_not_asked_for_is_left_out(self) -> None:
        one = live()
        one.hear(frame(TRADE, TRADE.replace(b"AAPL", b"MSFT")))
        assert [trade.symbol for trade in one.all(Trade)] == ["AAPL"]
        assert one.protocol.counters.unrequested == 1


class TestBatches:
    @pytest.mark.parametrize(
        ("symbol", "channel", "data"),
        [("AAPL", "trades", TRADE), ("AAPL", "quotes", QUOTE), ("EUR/USD", "quotes", RATE), ("BTC-USD", "trades", COIN),
         ("BTC-USD", "quotes", COIN_QUOTE)],
    )  # fmt: skip
    def test_of_one_kind_give_the_same_as_message_by_message(self, symbol: str, channel: str, data: bytes) -> None:
        whole, alone = (asked(symbol, channel=Channel(channel)) for _ in range(2))
        frames = [frame(data, data), frame(data)]
        whole.hear(*frames)
        for each in (data, data, data):
            alone.hear(each)  # not in an array: it is looked at by itself
        assert golden.as_lines(whole.events) == golden.as_lines(alone.events)
        assert whole.payloads == frames
        assert whole.protocol.counters.messages == alone.protocol.counters.messages == 3 + len(STATUSES[:2])
        assert whole.protocol.phase is alone.protocol.phase is Phase.LIVE

    @pytest.mark.parametrize(
        ("data", "change", "kept"),
        [(TRADE, (b"114.10", b'"x"'), 1), (TRADE, (b"114.10", b"1e400"), 1),
         (TRADE, (b'"t":1536036818784', b'"t":-1'), 1),
         (TRADE, (b"AAPL", b"MSFT"), 1), (TRADE, (b'"s":100,', b""), 2), (QUOTE, (b"160", b"{}"), 1),
         (QUOTE, (b"114.125", b"[]"), 1), (TRADE, (b'"ev":"T"', b'"ev":"new"'), 1), (TRADE, (b'"AAPL"', b"5"), 1),
         (TRADE, (b"114.10", b""), 1)],
    )  # fmt: skip
    def test_with_one_bad_message_lose_that_one(self, data: bytes, change: tuple[bytes, bytes], kept: int) -> None:
        one = live(channel=Channel.QUOTES if data is QUOTE else Channel.TRADES)
        one.hear(frame(data), frame(data.replace(*change)))
        assert len(one.market) == kept

    @pytest.mark.parametrize("bad", [b'"a":0,', b'"a":0.0,', b'"a":null,', b'"a":1e-3,', b""])
    def test_of_rates_with_half_a_rate_keep_the_other_half(self, bad: bytes) -> None:
        one = live("EUR/USD", channel=Channel.QUOTES)
        one.hear(frame(RATE), frame(RATE.replace(b'"a":1.08366,', bad)))
        assert [text(quote.bid) for quote in one.all(Quote) if quote.bid] == ["1.0836"] * 2

    def test_of_empty_frames_and_of_mixed_ones_are_taken_one_by_one(self) -> None:
        one = live()
        one.hear(b"[]", frame(TRADE), frame(TRADE, CONNECTED[1:-1], QUOTE), frame())
        assert [type(event) for event in one.market] == [Trade, Trade, Quote]
        assert one.protocol.counters.quarantined == 0

    def test_frames_up_to_a_mebibyte_are_read_and_longer_ones_set_aside(self) -> None:
        one = live()
        count = LONGEST_FRAME // (len(TRADE) + 1) - 1
        one.hear(frame(*[TRADE] * count))
        assert len(one.market) == count
        one.hear(frame(*[TRADE] * (count + 9)))
        assert (len(one.market), one.protocol.counters.quarantined) == (count, 1)


@settings(max_examples=300, deadline=None)
@given(messages=st.lists(golden.torn([*RECORDED, *STATUSES]) | golden.replaced([*RECORDED, *STATUSES]), max_size=6))
def test_whatever_comes_is_data_or_set_aside(messages: list[bytes]) -> None:
    golden.assert_survived("polygon", messages)


@settings(max_examples=300, deadline=None)
@given(st.lists(golden.replaced([frame(one, one) for one in (TRADE, QUOTE)]), min_size=1, max_size=4))
def test_batches_and_single_frames_agree_on_whatever_comes(messages: list[bytes]) -> None:
    whole, alone = live("AAPL"), live("AAPL")
    with contextlib.suppress(TickstreamError):
        whole.hear(*messages)
        for message in messages:
            alone.hear(message)
    assert golden.as_lines(list(whole.market)) == golden.as_lines(list(alone.market))
