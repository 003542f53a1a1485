"""AllTick: two protocols, lists that replace lists, codes that are left out without a word."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.end_to_end.canary import FORMS, assert_no_trace
from tests.end_to_end.canary import KEY as CANARY
from tests.providers import golden
from tests.providers.conversation import Conversation
from tickstream import markets
from tickstream.errors import Forbidden, InvalidKey, ProviderError, RateLimited, SessionStale, SymbolRefused
from tickstream.events import BookSnapshot, Notice, Quote, Trade
from tickstream.keys import Secret
from tickstream.numbers import text
from tickstream.providers.alltick import APART_S, BEAT_S, LIMITS, SILENT_AFTER_S, SPEC, TRIES, AllTickProtocol
from tickstream.providers.alltick_wire import OTHERS, SIMPLE, STOCKS
from tickstream.providers.base import Feed, Phase
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp, rfc3339

MESSAGES = golden.recorded("alltick")
"""What AllTick's documents show of the server, then fixtures of a public test suite: nothing was recorded."""
BAD_HEADER, BEATEN, TRADES_OK, HK_TRADE, BOOK_OK, OLD_BOOK, CANCELLED, GOLD_TRADE, GOLD_BOOK, OLD_TRADE = MESSAGES
BTC, AAPL = "BTCUSDT", "AAPL.US"
MONDAY_NOON = Timestamp(1_782_146_400 * 10**9)
"""2026-06-22T16:40:00Z: New York trades."""


def talk(*symbols: str, channel: Channel = Channel.TRADES, mode: str = "v1", **more: Any) -> Conversation:
    """A conversation in which the list has been asked for."""
    own = {"mode": mode} | more.pop("settings", {})
    one = Conversation(
        *(symbols or (BTC,)), provider="alltick", channel=channel, settings=own, start=MONDAY_NOON, **more
    )
    one.wait(0)
    return one


def lists(one: Conversation) -> list[list[str]]:
    """The lists asked for so far, in order."""
    return [[entry["code"] for entry in request["data"]["symbol_list"]] for request in one.sent if request["data"]]


def reply(one: Conversation, ret: int = 200, msg: str = "ok", **changes: Any) -> dict[str, Any]:
    """The answer to the latest list."""
    asked = [request for request in one.sent if request["data"]][-1]
    fields = {"ret": ret, "msg": msg, "cmd_id": asked["cmd_id"] + 1, "seq_id": asked["seq_id"]}
    return fields | {"trace": asked["trace"], "data": {}} | changes


def live(*symbols: str, **how: Any) -> Conversation:
    one = talk(*symbols, **how)
    one.hear(reply(one))
    one.events.clear()
    return one


def tick(code: str = BTC, seq: object = 1, **changes: Any) -> dict[str, Any]:
    fields = {"code": code, "seq": seq, "tick_time": 1782146400123, "price": "1.50", "volume": "2", "turnover": "3",
              "trade_direction": 1}  # fmt: skip
    return {"cmd_id": 22998, "data": fields | changes}


def depth(code: str = BTC, seq: int = 1, **sides: Any) -> dict[str, Any]:
    usual = {"bids": [{"price": "1.50", "volume": "2"}, {"price": "1.40", "volume": "3"}],
             "asks": [{"price": "1.60", "volume": "4"}]}  # fmt: skip
    return {"cmd_id": 22999, "data": {"code": code, "seq": seq, "tick_time": 1782146400123, **usual, **sides}}


def fields_of(event: Any) -> dict[str, Any]:
    """What is known of an event, numbers as their digits."""
    found: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name in ("provider", "ts_recv") or value is None:
            continue
        if name == "ts_event":
            value = rfc3339(value)
        elif name in ("bids", "asks"):
            value = [(text(price), text(size)) for price, size in value]
        found[name] = value if isinstance(value, str | int | list) else text(value)
    return found


class TestDocumented:
    """Ten messages: five answers, three trades, two books."""

    def test_trades_have_the_digits_and_times_that_were_sent(self) -> None:
        one = live("1288.HK", "700.HK")
        (trade,) = one.hear(HK_TRADE)
        assert fields_of(trade) == {
            "symbol": "1288.HK", "ts_event": "2026-06-23T02:02:44.000000Z", "price": "651.12", "size": "300",
            "side": "buy", "sequence": 1782180168224,
        }  # fmt: skip
        (older,) = one.hear(OLD_TRADE)
        assert fields_of(older) == {
            "symbol": "1288.HK", "ts_event": "2020-11-16T06:44:28.000000Z", "price": "651.12", "size": "300",
            "side": "buy", "sequence": 1605509068000001,
        }  # fmt: skip
        (gold,) = live("GOLD").hear(GOLD_TRADE)
        assert fields_of(gold) == {
            "symbol": "GOLD", "ts_event": "2026-10-03T04:00:00.000000Z", "price": "2675.25", "size": "3",
        }  # fmt: skip

    def test_books_without_sizes_are_quotes(self) -> None:
        one = live("GOLD", channel=Channel.BOOK)
        (quote,) = one.hear(GOLD_BOOK)
        assert fields_of(quote) == {
            "symbol": "GOLD", "ts_event": "2026-10-03T04:00:00.123000Z", "bid": "2675.20", "ask": "2675.30",
            "spread": "0.10",
        }  # fmt: skip

    def test_a_code_of_the_old_form_was_not_asked_for(self) -> None:
        one = live("1288.HK", channel=Channel.BOOK)
        one.hear(OLD_BOOK)
        assert (one.market, one.protocol.counters.unrequested) == ([], 1)

    def test_answers_without_a_question_mean_nothing(self) -> None:
        one = live()
        assert one.hear(BEATEN, TRADES_OK, BOOK_OK, CANCELLED) == []
        assert one.protocol.counters.quarantined == 0

    def test_all_of_them_at_once_give_the_same(self) -> None:
        alone, together = (golden.protocol("alltick", Channel.TRADES) for _ in range(2))
        said = MESSAGES[1:]  # not the error
        assert golden.as_lines(golden.events_of(alone, said)) == golden.as_lines(golden.events_of(together, said, 9))
        assert (alone.counters.messages, alone.counters.unrequested) == (9, 2), "books, among trades"


class TestEndpoints:
    @pytest.mark.parametrize(
        ("symbol", "mode", "url"),
        [
            (BTC, "v1", f"wss://quote.alltick.co{OTHERS}"), ("GOLD", "v1", f"wss://quote.alltick.co{OTHERS}"),
            (AAPL, "v1", f"wss://quote.alltick.co{STOCKS}"), ("700.HK", "v1", f"wss://quote.alltick.co{STOCKS}"),
            ("600416.SH", "v1", f"wss://quote.alltick.co{STOCKS}"), ("AAPL", "simple", f"wss://api.alltick.co{SIMPLE}"),
        ],
    )  # fmt: skip
    def test_are_chosen_by_code_and_mode(self, symbol: str, mode: str, url: str) -> None:
        feed = Feed(SPEC.url, Subscription((symbol,)), settings={"mode": mode})
        assert AllTickProtocol(feed).connect_request().url == url

    def test_of_another_server_keep_its_name_and_a_path_of_its_own(self) -> None:
        for url, mode, expected in (
            (f"ws://127.0.0.1:5{OTHERS}", "v1", f"ws://127.0.0.1:5{STOCKS}"),
            ("ws://127.0.0.1:5", "simple", f"ws://127.0.0.1:5{SIMPLE}"),
            ("wss://proxy.example/alltick", "v1", "wss://proxy.example/alltick"),
        ):
            feed = Feed(url, Subscription((AAPL,)), settings={"mode": mode})
            assert AllTickProtocol(feed).connect_request().url == expected

    def test_the_token_is_in_the_query_and_a_secret(self) -> None:
        for url in (SPEC.url, f"{SPEC.url}?v=1"):
            request = AllTickProtocol(Feed(url, Subscription((BTC,)), Secret(CANARY))).connect_request()
            assert parse_qs(urlsplit(request.url).query)["token"] == [CANARY]
            assert request.secrets == (Secret(CANARY),)
            assert_no_trace(Secret(CANARY).redact(request.url))

    def test_are_the_groups_that_cannot_share_a_connection(self) -> None:
        assert SPEC.group_of is not None
        groups = [SPEC.group_of(symbol) for symbol in (AAPL, "700.HK", BTC, "EURUSD")]
        assert groups == [STOCKS, STOCKS, OTHERS, OTHERS]

    def test_what_is_served_at_the_other_one_is_refused_by_name(self) -> None:
        one = talk(BTC, AAPL, "EURUSD")
        assert [notice.symbols for notice in one.all(Notice)] == [(AAPL,)]
        assert lists(one) == [[BTC, "EURUSD"]]
        after = talk(AAPL, BTC, refused=frozenset({AAPL}))
        assert lists(after) == [[BTC]]
        assert OTHERS in after.protocol.connect_request().url


class TestLists:
    def test_a_heartbeat_goes_out_at_once_and_then_the_whole_list(self) -> None:
        one = talk(BTC, "ETHUSDT")
        assert one.sent == [
            {"cmd_id": 22000, "seq_id": 1, "trace": "tickstream-1-1", "data": {}},
            {"cmd_id": 22004, "seq_id": 2, "trace": "tickstream-1-2", "data": {
                "symbol_list": [{"code": BTC}, {"code": "ETHUSDT"}]}},
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("channel", "settings_", "level"),
        [(Channel.BOOK, {}, 10), (Channel.BOOK, {"depth": "5"}, 5), (Channel.QUOTES, {"depth": "5"}, 1)],
    )
    def test_books_are_asked_for_with_their_depth(
        self, channel: Channel, settings_: dict[str, str], level: int
    ) -> None:
        one = talk(channel=channel, settings=settings_)
        assert one.sent[1]["cmd_id"] == 22002
        assert one.sent[1]["data"] == {"symbol_list": [{"code": BTC, "depth_level": level}]}

    def test_an_answer_makes_it_live_and_so_does_data(self) -> None:
        one = talk()
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear(reply(one))
        assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, (BTC,))
        early = talk()
        early.hear(tick())
        assert early.protocol.phase is Phase.LIVE

    def test_an_answer_to_something_else_is_none(self) -> None:
        one = talk()
        one.hear(reply(one, seq_id=77), reply(one, ret=600, seq_id=77))
        assert one.protocol.phase is Phase.SUBSCRIBE
        assert one.codes == ["600"]

    def test_connections_of_a_run_ask_three_seconds_apart(self) -> None:
        one = talk(shard=2, shards=3)
        assert lists(one) == []
        one.wait(2 * APART_S - 0.1)
        assert lists(one) == []
        one.wait(0.1)
        assert (lists(one), one.sent[-1]["trace"]) == ([[BTC]], "tickstream-3-2")

    def test_a_code_that_there_is_not_is_found_by_halves_and_the_others_go_on(self) -> None:
        symbols = tuple(f"A{number}USDT" for number in range(8))
        one = talk(*symbols)
        while one.protocol.phase is not Phase.LIVE or one.protocol.active != symbols[:5] + symbols[6:]:
            asked = lists(one)[-1]
            before = len(one.sent)
            one.hear(reply(one, 600, "code invalid") if symbols[5] in asked else reply(one))
            assert len(one.sent) == before, "a second has to pass"
            one.wait(1)
            assert len(lists(one)) < 12
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_refused", (symbols[5],))]
        assert lists(one)[-1] == [*symbols[:5], *symbols[6:]]

    def test_when_none_is_left_there_is_nothing_to_stream(self) -> None:
        one = talk("NOSUCH")
        with pytest.raises(SymbolRefused, match="NOSUCH"):
            one.hear(reply(one, 604, "code unauthorized"))

    def test_a_list_that_is_too_long_is_cut_to_the_next_plan(self) -> None:
        symbols = tuple(f"A{number}USDT" for number in range(103))
        one = talk(*symbols)
        one.hear(reply(one, 603))
        one.wait(1)
        assert lists(one)[-1] == [*symbols[:100]]
        one.hear(reply(one))
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", symbols[100:])]
        assert one.protocol.phase is Phase.LIVE
        none = talk()
        with pytest.raises(Forbidden, match="603"):
            none.hear(reply(none, 603))

    def test_a_plan_that_is_named_is_kept_to_on_each_connection(self) -> None:
        symbols = tuple(f"A{number}USDT" for number in range(8))
        one = talk(*symbols, settings={"tier": "free"}, shard=1, shards=2)
        one.wait(APART_S)
        assert lists(one) == [[*symbols[:5]]]
        assert one.all(Notice)[0].symbols == symbols[5:]

    def test_a_request_that_came_too_soon_is_made_again_and_not_for_ever(self) -> None:
        one = talk()
        for ret in (429, 605, 605):
            one.hear(reply(one, ret))
            one.wait(1.9)
            before = len(lists(one))
            one.wait(0.1)
            assert len(lists(one)) == before + 1
        assert len(lists(one)) == TRIES + 1
        with pytest.raises(RateLimited):
            one.hear(reply(one, 605))
        again = talk()
        again.hear(reply(again, 605))
        again.wait(2)
        again.hear(reply(again))
        assert again.protocol.phase is Phase.LIVE

    def test_without_an_answer_data_is_waited_for(self) -> None:
        one = talk()
        one.wait(REPLY_TIMEOUT_S)
        assert (one.protocol.phase, one.codes) == (Phase.LIVE, ["no_ack"])

    def test_books_need_no_new_list_to_begin_anew(self) -> None:
        one = live(channel=Channel.BOOK)
        one.protocol.resubscribe((BTC,), one.now)
        one.wait(5)
        assert len(lists(one)) == 1


class TestErrors:
    @pytest.mark.parametrize(
        ("ret", "code", "error"),
        [
            (201, "400", ProviderError), (202, "400", ProviderError), (400, "400", ProviderError),
            (401, "401", InvalidKey), (402, "402", ProviderError), (601, "601", ProviderError),
            (606, "606", RateLimited),
        ],
    )  # fmt: skip
    def test_each_is_what_its_number_says(self, ret: int, code: str, error: type[ProviderError]) -> None:
        for changes in ({}, {"cmd_id": 0, "seq_id": 0, "trace": ""}):
            one = talk()
            with pytest.raises(error) as raised:
                one.hear(reply(one, ret, "said so", **changes))
            assert type(raised.value) is error
            assert (raised.value.code, "said so" in str(raised.value)) == (code, True)

    def test_the_answer_to_a_heartbeat_may_be_one(self) -> None:
        one = live()
        assert one.hear({"ret": 200, "msg": "ok", "cmd_id": 22001, "seq_id": 0}) == []
        with pytest.raises(InvalidKey):
            one.hear({"ret": 401, "msg": "token invalid", "cmd_id": 22001, "seq_id": 1})

    def test_one_of_tomorrow_is_a_notice(self) -> None:
        one = live()
        one.hear(reply(one, 777, "new"), {"ret": 200, "cmd_id": 22099}, {"ret": 200, "cmd_id": 22099})
        assert one.codes == ["777", "unknown_type"]
        assert one.protocol.counters.unknown == 2

    def test_a_token_is_in_no_event_whatever_echoes_it(self) -> None:
        one = live(key=Secret(CANARY))
        for form in FORMS.values():
            one.hear(reply(one, 777, form), tick(form), tick(price=form), tick(tick_time=form), tick(seq=form),
                     depth(form), f'{{"{form}'.encode(), {"cmd_id": form})  # fmt: skip
        assert len(one.events) > 8
        assert_no_trace(golden.as_lines(one.events), repr(one.protocol.take_quarantined()))


class TestTrades:
    @pytest.mark.parametrize(
        ("symbol", "direction", "side"),
        [
            (BTC, 1, "buy"), (BTC, 2, "sell"), (BTC, 0, None), (BTC, "2", "sell"), (BTC, None, None), (AAPL, 2, "sell"),
            ("EURUSD", 1, None), ("GOLD", 2, None), ("USOIL", 1, None),
        ],
    )  # fmt: skip
    def test_have_a_side_where_the_direction_means_one(self, symbol: str, direction: object, side: str | None) -> None:
        (trade,) = live(symbol).hear(tick(symbol, trade_direction=direction))
        assert isinstance(trade, Trade)
        assert trade.side == side

    @pytest.mark.parametrize(
        ("time", "expected"),
        [
            (1782146400123, "16:40:00.123000"), ("1782146400123", "16:40:00.123000"), (1782146400, "16:40:00.000000"),
            ("1782146400", "16:40:00.000000"), (1782146400123456, "16:40:00.123456"), (None, None),
        ],
    )  # fmt: skip
    def test_have_times_of_any_length(self, time: object, expected: str | None) -> None:
        (trade,) = live().hear(tick(tick_time=time))
        assert isinstance(trade, Trade)
        assert (trade.ts_event and rfc3339(trade.ts_event)[11:26]) == expected

    def test_whose_number_came_before_do_not_count_twice(self) -> None:
        one = live(BTC, "ETHUSDT")
        one.hear(
            tick(seq=7), tick(seq=8), tick(seq=7), tick(seq=8), tick("ETHUSDT", seq=7), tick(seq=None), tick(seq=None)
        )
        assert [trade.sequence for trade in one.all(Trade)] == [7, 8, 7, None, None]
        assert len(one.payloads) == 5
        assert one.codes == ["duplicates"], "said once"

    def test_that_were_not_asked_for_are_counted(self) -> None:
        one = live()
        one.hear(tick("ETHUSDT"), depth())
        assert (one.market, one.protocol.counters.unrequested) == ([], 2)

    @pytest.mark.parametrize("broken", [{"price": None}, {"price": "x"}, {"volume": {}}, {"tick_time": "now"}])
    def test_that_are_broken_are_set_aside(self, broken: dict[str, Any]) -> None:
        one = live()
        one.hear(tick(**broken), tick(seq=2))
        assert (len(one.all(Trade)), one.protocol.counters.quarantined) == (1, 1)


class TestBooks:
    def test_are_whole_each_time(self) -> None:
        one = live(channel=Channel.BOOK)
        events = one.hear(depth(), depth(seq=2, asks=[]), depth(seq=2))
        assert [type(event) for event in events[:2]] == [BookSnapshot] * 2
        assert fields_of(events[0]) == {
            "symbol": BTC, "ts_event": "2026-06-22T16:40:00.123000Z", "sequence": 1,
            "bids": [("1.50", "2"), ("1.40", "3")], "asks": [("1.60", "4")],
        }  # fmt: skip
        assert fields_of(events[1])["asks"] == []
        assert one.codes == ["duplicates"]

    def test_have_no_levels_at_nothing_or_of_nothing(self) -> None:
        (book,) = live(channel=Channel.BOOK).hear(
            depth(bids=[{"price": "0", "volume": "0"}], asks=[{"price": "1.6", "volume": "0"}])
        )
        assert (fields_of(book)["bids"], fields_of(book)["asks"]) == ([], [])

    def test_are_quotes_where_these_are_asked_for(self) -> None:
        one = live(channel=Channel.QUOTES)
        events = one.hear(depth(), depth(seq=2, asks=[]), depth(seq=3, bids=[]))
        assert [type(event) for event in events] == [Quote] * 3
        assert fields_of(events[0]) == {
            "symbol": BTC, "ts_event": "2026-06-22T16:40:00.123000Z", "bid": "1.50", "bid_size": "2", "ask": "1.60",
            "ask_size": "4", "spread": "0.10", "sequence": 1,
        }  # fmt: skip
        assert "ask" not in fields_of(events[1])
        assert "bid" not in fields_of(events[2])


class TestLife:
    def test_a_heartbeat_goes_out_each_ten_seconds_whatever_else_does(self) -> None:
        one = live()
        beats = [request["seq_id"] for request in one.sent if request["cmd_id"] == 22000]
        for _ in range(3):
            one.wait(BEAT_S)
            one.hear(BEATEN)
        assert [request["seq_id"] for request in one.sent if request["cmd_id"] == 22000] == [*beats, 3, 4, 5]
        assert one.protocol.next_deadline() == one.now + BEAT_S

    def test_without_answers_to_them_it_is_dead(self) -> None:
        one = live()
        one.wait(29)
        with pytest.raises(SessionStale, match="for 30 s"):
            one.wait(1)

    def waited(self, *heard: str, asked: tuple[str, ...], **how: Any) -> Conversation:
        """A minute after a list was accepted, of which these came."""
        one = live(*asked, **how)
        for symbol in heard:
            one.hear(tick(symbol))
        for _ in range(6):
            one.wait(SILENT_AFTER_S / 6)
            one.hear(BEATEN)
        return one

    def test_what_is_cut_off_a_list_without_a_word_is_found_out(self) -> None:
        asked = tuple(f"A{number}USDT" for number in range(8))
        one = self.waited(*asked[:5], asked=asked)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", asked[5:])]
        assert one.protocol.refused.keys() == set(asked[5:])
        assert "only the 5 before came within 60 s" in one.all(Notice)[0].message
        one.hear(tick(asked[6]))
        assert len(one.market) == 6, "and if it comes after all, it counts"

    def test_so_it_is_when_one_of_a_hundred_sleeps(self) -> None:
        asked = tuple(f"A{number}USDT" for number in range(LIMITS["basic"] + 3))
        one = self.waited(*asked[:97], asked=asked)
        assert [notice.symbols for notice in one.all(Notice)] == [asked[100:]]

    def test_what_is_silent_in_between_is_only_said(self) -> None:
        asked = tuple(f"A{number}USDT" for number in range(14))
        one = self.waited(asked[0], asked[13], asked=asked)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("silent_symbols", asked[1:13])]
        assert "..." in one.all(Notice)[0].message
        assert one.protocol.refused == {}
        few = self.waited(BTC, asked=(BTC, "ETHUSDT"))
        assert few.codes == ["silent_symbols"]

    def test_nothing_is_said_of_closed_markets_of_all_and_of_none(self) -> None:
        saturday = Timestamp(MONDAY_NOON - 2 * 86_400 * 10**9)
        closed = Conversation("GOLD", "EURUSD", "BTCUSDT", provider="alltick", channel=Channel.TRADES, start=saturday)
        closed.wait(0)
        closed.hear(reply(closed), tick(BTC))
        for _ in range(6):
            closed.wait(10)
            closed.hear(BEATEN)
        assert closed.codes == []
        assert self.waited(asked=(BTC, "ETHUSDT")).codes == []
        assert self.waited(BTC, "ETHUSDT", asked=(BTC, "ETHUSDT")).codes == []


class TestSimple:
    def test_all_symbols_are_asked_for_in_one_list_and_there_are_no_heartbeats(self) -> None:
        one = talk("AAPL", "TSLA", mode="simple")
        one.wait(60)
        assert one.sent == [{"action": "subscribe", "symbols": ["AAPL", "TSLA"]}]
        assert one.protocol.phase is Phase.LIVE, "there is no answer to wait for"
        assert one.codes == []

    def test_a_message_is_a_trade_with_what_it_has(self) -> None:
        one = talk("AAPL", mode="simple")
        (trade,) = one.hear(b'{"symbol":"AAPL","price":189.320,"time":1718000000123}')
        assert fields_of(trade) == {"symbol": "AAPL", "ts_event": "2024-06-10T06:13:20.123000Z", "price": "189.320"}
        assert one.protocol.phase is Phase.LIVE

    @pytest.mark.parametrize(
        ("fields", "second"),
        [
            ('"time":1718000000', "20.000000"), ('"timestamp":1718000000123456', "20.123456"),
            ('"time":"2024-06-10T06:13:20.5Z"', "20.500000"), ('"time":null,"timestamp":"1718000000123"', "20.123000"),
        ],
    )  # fmt: skip
    def test_times_have_many_forms(self, fields: str, second: str) -> None:
        (trade,) = talk("AAPL", mode="simple").hear(f'{{"symbol":"AAPL","price":"189.32",{fields}}}'.encode())
        assert fields_of(trade)["ts_event"][17:26] == second

    def test_the_same_price_at_the_same_time_is_the_same_and_another_price_is_not(self) -> None:
        one = talk("AAPL", mode="simple")
        for price in ("1.5", "1.5", "1.6", "1.5"):
            one.hear(f'{{"symbol":"AAPL","price":{price},"time":1718000000123}}'.encode())
        for _ in range(2):
            one.hear(b'{"symbol":"AAPL","price":1.5}')
        assert [fields_of(trade)["price"] for trade in one.all(Trade)] == ["1.5", "1.6", "1.5", "1.5"]

    def test_what_is_none_is_set_aside(self) -> None:
        one = talk("AAPL", mode="simple")
        one.hear(b'{"price":1}', b'{"symbol":"AAPL"}', b'{"symbol":"AAPL","price":null}', b"{}", b'{"cmd_id":22998}')
        assert (one.market, one.protocol.counters.quarantined) == ([], 5)

    def test_codes_with_an_exchange_are_of_the_other_protocol(self) -> None:
        one = talk(AAPL, "AAPL", mode="simple")
        assert one.sent == [{"action": "subscribe", "symbols": ["AAPL"]}]
        assert one.all(Notice)[0].symbols == (AAPL,)


def test_hours_are_known_of_new_york_currencies_and_metals() -> None:
    found = [SPEC.market_of(symbol) for symbol in (AAPL, "EURUSD", "GOLD", "Silver", BTC, "700.HK", "USOIL")]
    assert found == [markets.US_EQUITIES, *[markets.FOREX] * 3, *[markets.ALWAYS] * 3]


SPOKEN = [*MESSAGES[1:], b'{"ret":600,"msg":"code invalid","cmd_id":22005,"seq_id":1}']
FLAT = [b'{"symbol":"AAPL","price":189.320,"time":1718000000123}']


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SPEC.channels),
    st.lists(st.one_of(golden.torn(SPOKEN), golden.replaced(SPOKEN), st.sampled_from(SPOKEN)), max_size=8),
)
def test_anything_like_what_is_documented_is_survived(channel: Channel, messages: list[bytes]) -> None:
    golden.assert_survived("alltick", messages, channel)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(golden.torn(FLAT), golden.replaced(FLAT), st.sampled_from(SPOKEN)), max_size=8))
def test_and_so_it_is_in_the_simple_protocol(messages: list[bytes]) -> None:
    golden.assert_survived("alltick", messages, Channel.TRADES, settings={"mode": "simple"})
