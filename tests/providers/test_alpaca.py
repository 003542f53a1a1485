"""Alpaca: who speaks when, what is asked for and refused, and its messages in our schema."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.end_to_end.canary import assert_no_trace
from tests.providers import golden
from tests.providers.conversation import EVENING, KEY, Conversation
from tickstream import markets
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    Forbidden,
    InvalidKey,
    ProviderError,
    SessionStale,
    SymbolRefused,
)
from tickstream.events import Bar, BookSnapshot, BookUpdate, Notice, Quote, Trade
from tickstream.keys import Secret
from tickstream.providers.alpaca import (
    AUTH_TIMEOUT_S,
    AUTH_TRIES,
    ERRORS,
    SPEC,
    AlpacaProtocol,
    Credentials,
    endpoint,
    group_of,
)
from tickstream.providers.base import Feed, Phase
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel, Subscription

RECORDED = golden.recorded("alpaca/documented")
"""Of Alpaca's documentation and the tests of its client: 3 of the conversation, 11 of data, one more, 15 errors."""
DATA = RECORDED[3:14]
CONNECTED, AUTHENTICATED = RECORDED[:2]
STOCK, COIN = "AAPL", "BTC/USD"


def talk(*symbols: str, channel: Channel = Channel.TRADES, statuses: str = "off", **feed: Any) -> Conversation:
    feed["settings"] = {"statuses": statuses} | feed.get("settings", {})
    return Conversation(*(symbols or (STOCK,)), provider="alpaca", channel=channel, **feed)


def array(kind: str, **fields: Any) -> bytes:
    return json.dumps([{"T": kind, **fields}]).encode()


def failure(code: int, said: str = "said so") -> bytes:
    return array("error", code=code, msg=said)


def subscribed(name: str, *symbols: str) -> bytes:
    return array("subscription", **{name: list(symbols)})


def asked(*symbols: str, **how: Any) -> Conversation:
    """A conversation that has asked for its symbols."""
    one = talk(*symbols, **how)
    one.hear(CONNECTED)
    one.hear(AUTHENTICATED)
    one.wait(0)
    return one


def live(*symbols: str, channel: Channel = Channel.TRADES, **how: Any) -> Conversation:
    one = asked(*symbols, channel=channel, **how)
    name = next(name for name in one.sent[-1] if name != "action")
    one.hear(subscribed(name, *(symbols or (STOCK,))))
    one.wait(0)
    return one


def reading(channel: Channel) -> AlpacaProtocol:
    """A protocol that was asked for everything."""
    made = AlpacaProtocol(Feed(SPEC.url, Subscription((STOCK,), channel)))
    made.asked = golden.Everything()
    return made


def read(channel: Channel, messages: list[bytes], at_once: int = 1) -> list[dict[str, Any]]:
    """Their market events and notices as they are written, without what is the same in all."""
    events = golden.events_of(reading(channel), messages, at_once)
    lines = [json.loads(line, parse_float=str, parse_int=str) for line in golden.as_lines(events).splitlines()]
    same = ("provider", "ts_recv")
    return [{name: value for name, value in line.items() if name not in same} for line in lines]


def of(event: dict[str, Any], **fields: Any) -> bool:
    return all(event.get(name) == value for name, value in fields.items())


class TestDocumentedMessages:
    """Eleven: six give a market event, four a notice, and one was not asked for."""

    def test_give_two_trades_with_nanoseconds_inside_and_ids_behind_their_exchange(self) -> None:
        trades = [event for event in read(Channel.TRADES, DATA) if event["type"] == "trade"]
        assert trades == [
            {"type": "trade", "symbol": "AAPL", "ts_event": "2021-02-22T15:51:44.208000Z", "price": "126.55",
             "size": "1", "trade_id": "D:96921"},
            {"type": "trade", "symbol": "AAPL", "ts_event": "2024-01-15T14:30:00.123456Z", "price": "177.79",
             "size": "90", "trade_id": "V:6142"},
        ]  # fmt: skip
        (event,) = golden.events_of(reading(Channel.TRADES), [RECORDED[4]])
        assert isinstance(event, Trade)
        assert event.ts_event is not None
        assert event.ts_event % 10**9 == 123_456_789

    def test_give_a_quote(self) -> None:
        assert [event for event in read(Channel.QUOTES, DATA) if event["type"] == "quote"] == [
            {"type": "quote", "symbol": "SPIP", "ts_event": "2024-01-15T14:30:00.500000Z", "bid": "25.41",
             "bid_size": "35", "ask": "25.43", "ask_size": "35", "spread": "0.02"},
        ]  # fmt: skip

    def test_give_two_bars_with_the_digits_that_were_sent(self) -> None:
        assert [event for event in read(Channel.BARS, DATA) if event["type"] == "bar"] == [
            {"type": "bar", "symbol": "AAPL", "ts_event": "2024-01-15T14:30:00.000000Z", "interval": "1m",
             "open": "177.94", "high": "178.005", "low": "177.94", "close": "178.005", "volume": "8547",
             "closed": True},
            {"type": "bar", "symbol": "FAKEPACA", "ts_event": "2026-01-01T14:31:00.000000Z", "interval": "1m",
             "open": "1.0", "high": "1.2", "low": "0.9", "close": "1.1", "volume": "250", "closed": True},
        ]  # fmt: skip

    def test_give_a_book_update(self) -> None:
        assert [event for event in read(Channel.BOOK, DATA) if event["type"].startswith("book")] == [
            {"type": "book_update", "symbol": "BTC/USD", "ts_event": "2024-03-12T10:38:50.795000Z",
             "bids": [["65128.1", "1.6542"]], "asks": [["65128.1", "1.6542"]]},
        ]  # fmt: skip

    def test_give_notices_of_what_is_no_data_and_of_a_limit_that_was_not_asked_for(self) -> None:
        notices = {event["code"]: event for event in read(Channel.TRADES, DATA) if event["type"] == "notice"}
        assert list(notices) == [
            "cancelled_trade", "trading_status", "unrequested_symbol", "news",
        ]  # fmt: skip
        assert notices["cancelled_trade"]["message"] == (
            "DJT at 2024-06-17T14:11:00Z: trade 4868 of 31800 at 36.18 does not count (C)"
        )
        assert notices["trading_status"]["symbols"] == ["STRR"]
        assert notices["trading_status"]["message"] == "STRR at 2024-01-15T14:30:00Z: T Trading Resumption (C11)"
        assert notices["news"]["symbols"] == ["AVGO"]
        assert notices["news"]["message"].startswith("Broadcom shares are trading higher. (benzinga) https://www.")

    @pytest.mark.parametrize("channel", SPEC.channels)
    @pytest.mark.parametrize("at_once", [2, 5, 11])
    def test_give_the_same_in_batches_and_in_one_array(self, channel: Channel, at_once: int) -> None:
        alone = read(channel, DATA)
        assert read(channel, DATA, at_once) == alone
        together = b"[" + b",".join(one[1:-1] for one in DATA) + b"]"
        assert sorted(map(str, read(channel, [together]))) == sorted(map(str, alone))

    def test_of_errors_are_in_the_table_all_fifteen(self) -> None:
        said = {str(json.loads(line)[0]["code"]) for line in RECORDED[15:]}
        assert said == {entry.code for entry in ERRORS}
        assert len(said) == len(RECORDED) - 15 == 15


class TestMessages:
    def test_a_correction_is_a_notice_with_both_trades(self) -> None:
        correction = (
            b'[{"T":"c","S":"EEM","x":"M","oi":52983525033527,"op":39.1582,"os":440000,"oc":["7"],"ci":52983525034326,'
            b'"cp":39.1809,"cs":440000,"cc":["7"],"z":"B","t":"2023-04-06T13:15:42.83540958Z"}]'
        )
        (notice,) = read(Channel.TRADES, [correction])
        assert of(notice, code="correction", symbols=["EEM"])
        assert notice["message"] == (
            "EEM at 2023-04-06T13:15:42.83540958Z: trade 52983525033527 of 440000 at 39.1582 is now trade "
            "52983525034326 of 440000 at 39.1809"
        )

    @pytest.mark.parametrize(("tks", "side"), [("B", "buy"), ("S", "sell"), ("?", None)])
    def test_the_side_of_cryptos_trades_is_the_takers(self, tks: str, side: str | None) -> None:
        trade = f'[{{"T":"t","S":"BTC/USD","p":0.00000001,"s":1e-7,"t":"2024-03-12T10:38:50Z","i":7,"tks":"{tks}"}}]'
        (event,) = read(Channel.TRADES, [trade.encode()])
        assert (event.get("side"), event["trade_id"]) == (side, "7")
        (raw,) = golden.events_of(reading(Channel.TRADES), [trade.encode()])
        assert b'"price":0.00000001,"size":1e-7' in golden.as_lines([raw])

    def test_a_trade_without_an_id_has_none(self) -> None:
        (event,) = read(Channel.TRADES, [array("t", S=STOCK, p=1, s=2, t="2024-03-12T10:38:50Z", x="V")])
        assert "trade_id" not in event

    def test_a_side_at_a_price_of_nought_is_no_side(self) -> None:
        quote = array("q", S=STOCK, bx=" ", bp=0, bs=0, ax="V", ap=5.5, **{"as": 1}, t="2024-03-12T10:38:50Z")
        (event,) = read(Channel.QUOTES, [quote])
        assert {"bid", "bid_size", "spread"}.isdisjoint(event)
        assert of(event, ask="5.5", ask_size="1")

    def test_a_whole_book_is_a_snapshot_with_the_best_first_and_a_nought_in_an_update_removes(self) -> None:
        levels = [{"p": 2, "s": 1}, {"p": 10, "s": 1}, {"p": 9.5, "s": 1}]
        book = array("o", S=COIN, t="2024-03-12T10:38:50Z", b=levels, a=levels, r=True)
        gone = array("o", S=COIN, t="2024-03-12T10:38:51Z", b=[{"p": 10, "s": 0}])
        whole, change = read(Channel.BOOK, [book, gone])
        assert [price for price, _ in whole["bids"]] == ["10", "9.5", "2"]
        assert [price for price, _ in whole["asks"]] == ["2", "9.5", "10"]
        assert (whole["type"], change["type"]) == ("book_snapshot", "book_update")
        assert (change["bids"], change["asks"]) == ([["10", "0"]], [])

    def test_days_and_updated_minutes_are_bars_of_their_interval(self) -> None:
        fields = {"S": STOCK, "o": 1, "h": 2, "l": 1, "c": 2, "v": 3, "t": "2024-03-12T10:38:00Z"}
        messages = [array("d", **fields), array("u", **fields), array("b", **fields)]
        bars = read(Channel.BARS, messages)
        assert [(bar["interval"], bar.get("closed")) for bar in bars] == [("1d", None), ("1m", True), ("1m", True)]

    def test_what_is_bad_in_an_array_costs_the_others_nothing(self) -> None:
        good = {"T": "t", "S": STOCK, "p": 1, "s": 2, "t": "2024-03-12T10:38:50Z"}
        for bad in ({**good, "p": "x"}, {**good, "s": None}, {**good, "t": "noon"}, {**good, "p": {}}, {"T": "t"}, 5):
            made = reading(Channel.TRADES)
            events = golden.events_of(made, [json.dumps([good, bad, good]).encode()])
            assert (len(events), made.counters.quarantined) == (2, 1), bad

    def test_messages_of_tomorrow_are_counted_and_their_neighbours_read(self) -> None:
        made = reading(Channel.TRADES)
        good = {"T": "t", "S": STOCK, "p": 1, "s": 2, "t": "2024-03-12T10:38:50Z"}
        events = golden.events_of(made, [json.dumps([{"T": "zz"}, good]).encode()])
        assert [type(event).__name__ for event in events] == ["Notice", "Trade"]
        assert (made.counters.unknown, made.counters.quarantined) == (1, 0)

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(golden.torn(RECORDED) | golden.replaced(RECORDED), min_size=1, max_size=6),
        st.sampled_from(SPEC.channels),
    )
    def test_mutated_ones_give_events_that_can_be_written_or_errors_of_ours(
        self, messages: list[bytes], channel: Channel
    ) -> None:
        made = reading(channel)
        with contextlib.suppress(ProviderError):
            made.receive(messages, EVENING, 0.0)
        for line in golden.as_lines(list(made.take_events())).splitlines():
            json.loads(line)


def trade(symbol: str = STOCK, **changes: Any) -> dict[str, Any]:
    fields = {"S": symbol, "p": 1.5, "s": 2, "t": "2024-03-12T10:38:50.123456789Z", "x": "V", "i": 7}
    return {"T": "t", **fields, **changes}


class TestBatches:
    @pytest.mark.parametrize(
        "odd",
        [
            [], [trade()], [trade(), trade("SPY")], [trade(tks="B", x=None)], [trade(p=1e-9)], [trade(p="1.5")],
            [trade(t="2024-03-12T10:38:50Z")], [trade(t="2024-03-12T10:38:50.5+01:00")], [trade(t="never")],
            [trade(t="2024-03-12T10:38:99.5Z")], [trade("MSFT")], [{"T": "s", "S": STOCK, "t": "x"}], [trade(p=None)],
        ],
    )  # fmt: skip
    def test_of_trades_give_the_same_as_trades_one_by_one(self, odd: list[dict[str, Any]]) -> None:
        frames = [json.dumps(frame).encode() for frame in ([trade()], odd, [trade("SPY"), trade()])]
        alone, together = live(STOCK, "SPY"), live(STOCK, "SPY")
        for frame in frames:
            alone.hear(frame)
        together.hear(*frames)
        assert golden.as_lines([*together.market]) == golden.as_lines([*alone.market])
        assert sorted(together.codes) == sorted(alone.codes)
        assert together.payloads == alone.payloads
        assert together.protocol.counters.quarantined == alone.protocol.counters.quarantined
        assert len(together.market) >= 3


class TestAuthentication:
    def test_waits_for_the_first_word_and_gives_both_parts_of_the_key(self) -> None:
        one = talk(key=Secret("PK123456:secret/123"))
        assert (one.sent, one.protocol.phase) == ([], Phase.AUTH)
        one.hear(CONNECTED)
        one.wait(0)
        assert one.sent == [{"action": "auth", "key": "PK123456", "secret": "secret/123"}]
        one.hear(CONNECTED)
        one.wait(0)
        assert len(one.sent) == 1

    @pytest.mark.parametrize("said", [(), (CONNECTED,)])
    def test_without_an_answer_ends_after_ten_seconds(self, said: tuple[bytes, ...]) -> None:
        one = talk()
        one.hear(*said)
        assert one.protocol.next_deadline() == AUTH_TIMEOUT_S
        one.wait(AUTH_TIMEOUT_S - 0.1)
        with pytest.raises(AuthTimeout, match="10 s"):
            one.wait(0.1)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (400, ProviderError), (401, ProviderError), (402, InvalidKey), (404, AuthTimeout), (407, ProviderError),
            (408, Forbidden), (409, Forbidden), (410, SymbolRefused), (411, Forbidden), (412, SymbolRefused),
            (413, SymbolRefused), (500, ProviderError),
        ],
    )  # fmt: skip
    def test_that_is_refused_ends_it_with_what_the_code_means(self, code: int, kind: type[ProviderError]) -> None:
        one = talk()
        one.hear(CONNECTED)
        with pytest.raises(kind) as raised:
            one.hear(failure(code))
        assert (type(raised.value), raised.value.code) == (kind, str(code))

    def test_while_another_connection_is_there_is_tried_again_on_the_same_one_more_and_more_rarely(self) -> None:
        one = talk()
        one.hear(CONNECTED)
        waits = []
        for _ in range(AUTH_TRIES - 1):
            one.hear(failure(406))
            at = one.protocol.next_deadline()
            assert at is not None
            waits.append(at - one.now)
            one.wait(at - one.now)
        assert waits == pytest.approx([0.5 * min(tries, 10) for tries in range(1, AUTH_TRIES)])
        assert len(one.sent) == AUTH_TRIES
        assert one.codes == ["406"]
        with pytest.raises(ConnectionLimit):
            one.hear(failure(406))

    def test_after_the_other_connection_has_gone_goes_on(self) -> None:
        one = talk()
        one.hear(CONNECTED)
        one.hear(failure(406))
        one.wait(0.5)
        one.hear(AUTHENTICATED)
        one.wait(0)
        assert [request["action"] for request in one.sent] == ["auth", "auth", "subscribe"]

    def test_twice_does_no_harm(self) -> None:
        one = live()
        one.hear(AUTHENTICATED, failure(403))
        assert (one.codes, one.protocol.phase) == (["403"], Phase.LIVE)

    def test_shows_no_part_of_the_key_whatever_echoes_it(self) -> None:
        one = asked(key=Secret(f"{KEY}:another-{KEY}"))
        for part in (KEY, f"another-{KEY}"):
            one.hear(failure(499, part), array(part), array("s", S=STOCK, t=part, sm=part), array("t", S=part, p=part))
            one.hear(array("n", headline=part), f'["{part}'.encode())
        assert len(one.events) > 5
        assert_no_trace(golden.as_lines(one.events), repr(one.protocol.take_quarantined()), repr(one.protocol.feed))
        assert Credentials("only").secret == ""

    def test_is_possible_without_a_key_so_that_captures_can_be_read(self) -> None:
        one = talk(key=None)
        one.hear(CONNECTED)
        one.wait(0)
        assert one.sent == [{"action": "auth", "key": "", "secret": ""}]


class TestSubscribing:
    @pytest.mark.parametrize(
        ("channel", "interval", "names"),
        [
            (Channel.TRADES, "1m", ("trades",)), (Channel.QUOTES, "1m", ("quotes",)),
            (Channel.BARS, "1m", ("bars", "updatedBars")), (Channel.BARS, "1d", ("dailyBars",)),
            (Channel.BOOK, "1m", ("orderbooks",)),
        ],
    )  # fmt: skip
    def test_asks_for_what_a_channel_is_made_of(self, channel: Channel, interval: str, names: tuple[str, ...]) -> None:
        one = asked(STOCK, "SPY", channel=channel, settings={"interval": interval})
        assert one.sent[1] == {"action": "subscribe", **{name: [STOCK, "SPY"] for name in names}}
        one.hear(subscribed(names[0], "SPY", STOCK))
        assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, (STOCK, "SPY"))

    def test_what_is_missing_in_the_confirmation_is_refused_by_name(self) -> None:
        one = asked(STOCK, "NOSUCH")
        one.hear(subscribed("trades", STOCK))
        assert (one.codes, one.protocol.active) == (["symbol_refused"], (STOCK,))
        with pytest.raises(SymbolRefused):
            asked("NOSUCH").hear(subscribed("trades"))

    def test_a_list_over_the_limit_is_halved_until_it_fits_and_the_rest_is_refused(self) -> None:
        symbols = tuple(f"A{number}" for number in range(11))
        one = asked(*symbols)
        there: list[str] = []
        while one.sent and one.protocol.phase is not Phase.LIVE:
            request = one.sent[-1]["trades"]
            if len(there) + len(request) > 6:
                one.hear(failure(405))
            else:
                there += request
                one.hear(subscribed("trades", *there))
            one.wait(0)
        assert there == list(symbols[:6]) == list(one.protocol.active)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", symbols[6:])]

    def test_with_a_limit_of_nought_nothing_is_left(self) -> None:
        one = asked(STOCK, "SPY")
        one.hear(failure(405))
        one.wait(0)
        with pytest.raises(SymbolRefused):
            one.hear(failure(405))

    def test_many_symbols_are_asked_for_a_portion_at_a_time(self) -> None:
        symbols = tuple(f"A{number}" for number in range(501))
        one = asked(*symbols)
        assert len(one.sent[-1]["trades"]) == 500
        one.hear(subscribed("trades", *symbols[:500]))
        one.wait(0)
        assert one.sent[-1]["trades"] == ["A500"]
        with pytest.raises(SessionStale):
            (late := asked(*symbols)).wait(REPLY_TIMEOUT_S)
        assert late.protocol.phase is Phase.SUBSCRIBE

    def test_data_confirms_too_and_silence_is_said(self) -> None:
        one = asked()
        one.hear(RECORDED[3])
        assert one.protocol.phase is Phase.LIVE
        one.hear(subscribed("trades", STOCK), subscribed("trades", STOCK))
        assert one.codes == []
        mute = asked()
        mute.wait(REPLY_TIMEOUT_S)
        assert (mute.codes, mute.protocol.phase) == (["no_ack"], Phase.LIVE)

    def test_other_data_is_counted_and_left_out(self) -> None:
        one = live()
        one.hear(*DATA)
        assert {event.symbol for event in one.market} == {STOCK}
        assert one.protocol.counters.unrequested == 6
        assert one.payloads == [DATA[0], DATA[1], DATA[3]]

    def test_trading_statuses_come_with_stocks_and_where_they_do_not_that_is_said(self) -> None:
        one = live(statuses="on")
        assert one.sent[-1] == {"action": "subscribe", "statuses": [STOCK]}
        one.hear(array("s", S=STOCK, t="2024-01-15T14:30:00Z", sc="H", sm="Trading Halt", rm="news"))
        assert [notice.message for notice in one.all(Notice)] == ["AAPL at 2024-01-15T14:30:00Z: H Trading Halt (news)"]
        one.hear(failure(410))
        assert one.codes == ["trading_status", "410"]
        with pytest.raises(ProviderError):
            one.hear(failure(500))
        assert "statuses" not in live("BTC/USD", statuses="on").sent[-1]

    def test_a_book_that_is_wrong_is_asked_for_anew(self) -> None:
        one = live(COIN, channel=Channel.BOOK)
        one.protocol.resubscribe((COIN,), one.now)
        one.wait(0)
        assert one.sent[-2:] == [{"action": action, "orderbooks": [COIN]} for action in ("unsubscribe", "subscribe")]
        one.hear(subscribed("orderbooks"), subscribed("orderbooks", COIN))
        assert one.codes == []
        one.hear(array("o", S=COIN, t="2024-01-15T14:30:00Z", r=True))
        assert len(one.all(BookSnapshot)) == 1

    def test_news_are_notices(self) -> None:
        one = asked(STOCK, settings={"feed": "news"})
        assert one.sent[1] == {"action": "subscribe", "news": [STOCK]}
        one.hear(subscribed("news", STOCK))
        assert one.protocol.phase is Phase.LIVE
        one.hear(RECORDED[13])
        assert one.codes == ["news"]

    def test_unknown_codes_and_words_are_no_end(self) -> None:
        one = live()
        one.hear(failure(499), array("success", msg="fine"))
        assert one.codes == ["499"]


class TestEndpoints:
    @pytest.mark.parametrize(
        ("symbol", "feed", "path"),
        [
            (STOCK, "iex", "/v2/iex"), (STOCK, "sip", "/v2/sip"), (STOCK, "delayed_sip", "/v2/delayed_sip"),
            (STOCK, "overnight", "/v1beta1/overnight"), (STOCK, "news", "/v1beta1/news"), (STOCK, "test", "/v2/test"),
            ("FAKEPACA", "sip", "/v2/test"), (COIN, "sip", "/v1beta3/crypto/eu-1"), (COIN, "news", "/v1beta1/news"),
        ],
    )  # fmt: skip
    def test_are_chosen_by_setting_and_symbol(self, symbol: str, feed: str, path: str) -> None:
        one = talk(symbol, settings={"feed": feed, "crypto": "eu-1"})
        assert one.protocol.connect_request().url == f"wss://stream.data.alpaca.markets{path}"

    def test_are_as_they_are_in_a_url_with_a_path(self) -> None:
        assert endpoint("wss://host/v2/sip", (COIN,), "iex", "us") == "wss://host/v2/sip"
        assert endpoint("ws://host:1/", (COIN,), "iex", "us") == "ws://host:1/v1beta3/crypto/us"
        assert endpoint("ws://host:1", (), "iex", "us") == "ws://host:1/v2/iex"

    def test_make_groups_that_cannot_share_a_connection(self) -> None:
        assert [group_of(symbol) for symbol in (STOCK, COIN, "FAKEPACA")] == ["stocks", "crypto", "test"]
        hours = [SPEC.market_of(symbol) for symbol in (STOCK, COIN, "FAKEPACA")]
        assert hours == [markets.US_EQUITIES, markets.ALWAYS, markets.ALWAYS]

    @pytest.mark.parametrize("symbol", ["aapl", "AAPL/", "BTC-USD", "", "A" * 11, "/USD", "BRK..B"])
    def test_know_no_symbols_of_other_forms(self, symbol: str) -> None:
        assert SPEC.symbol_pattern.fullmatch(symbol) is None


def test_a_capture_of_messages_is_read_without_being_told_the_channel() -> None:
    made = AlpacaProtocol(Feed(SPEC.url, Subscription(())))
    made.asked = golden.Everything()
    events = golden.events_of(made, DATA)
    kinds = [type(event) for event in events if not isinstance(event, Notice)]
    assert kinds == [Trade, Trade, Quote, Bar, BookUpdate, Bar]
