"""FCS API: welcome, rooms, candles, bids and asks, and a key that is in the URL and in nothing else."""

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
from tickstream.errors import AuthTimeout, Forbidden, InvalidKey, SessionStale, SymbolRefused
from tickstream.events import Bar, Event, Notice, Quote
from tickstream.keys import Secret
from tickstream.numbers import text
from tickstream.providers.base import Feed, Phase
from tickstream.providers.fcs import (
    DEMO_KEY,
    INTERVALS,
    MUTE_AFTER_S,
    PING_INTERVAL_S,
    SPEC,
    STRAY_ROOMS,
    FcsProtocol,
    canonical,
)
from tickstream.providers.subscribing import REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import rfc3339

RECORDED = golden.recorded("fcs")
"""Of FCS' README: a confirmation, a profile, `initial`, `candle`, `askbid`; of its blog: a price without a mode."""
CONFIRMED, PROFILE, INITIAL, CANDLE, ASKBID, MODELESS = RECORDED
BTC, EUR = "BINANCE:BTCUSDT", "FX:EURUSD"
WELCOME = {"type": "welcome"}


def talk(*symbols: str, channel: Channel = Channel.BARS, interval: str = "1d", **feed: Any) -> Conversation:
    """A conversation in which nothing has been said."""
    return Conversation(*(symbols or (BTC,)), provider="fcs", channel=channel, settings={"interval": interval}, **feed)


def welcomed(*symbols: str, **how: Any) -> Conversation:
    one = talk(*symbols, **how)
    one.hear(WELCOME)
    one.wait(0)
    return one


def confirmed(symbol: str, /, **changes: Any) -> dict[str, Any]:
    room = f"{symbol}_1D_0s"
    fields = {"success": True, "message": f"Successfully joined room: {room}", "room": room}
    return {"type": "message", **fields, "symbol": symbol.partition(":")[2], "timeframe": "1D",
            "short": "joined_room"} | changes  # fmt: skip


def price(symbol: str = BTC, timeframe: str = "1D", **prices: Any) -> dict[str, Any]:
    return {"type": "price", "symbol": symbol, "timeframe": timeframe, "prices": prices}


def candle(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "mode": "candle",
        "t": 1766361600,
        "o": 2.0,
        "h": 3.0,
        "l": 1.0,
        "c": 2.5,
        "v": 10,
        "a": 2.6,
        "b": 2.5,
    }
    return price(**fields | changes)


def fields_of(event: Event) -> dict[str, Any]:
    """What is known of an event, numbers as their digits, without what is the same in all."""
    found: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in ("provider", "ts_recv", "symbol") and value is not None:
            found[name] = rfc3339(value) if name == "ts_event" else value if isinstance(value, str) else text(value)
    return found


class TestRecorded:
    """Six messages."""

    def test_give_three_bars_of_a_day_with_the_digits_that_were_sent(self) -> None:
        one = welcomed()
        events = one.hear(*RECORDED[:5])
        assert [type(event) for event in events] == [Bar] * 3
        first = {
            "ts_event": "2025-12-22T00:00:00.000000Z", "interval": "1d", "open": "88658.87", "high": "90588.23",
            "low": "87900", "close": "89962.61",
        }  # fmt: skip
        second = first | {"volume": "8192.70", "bid": "89962.61", "ask": "89962.62", "spread": "0.01"}
        assert [fields_of(event) for event in events] == [first, second, second]
        assert one.payloads == [INITIAL, CANDLE, ASKBID]
        assert one.protocol.counters.quarantined == one.protocol.counters.unknown == 0

    def test_give_three_quotes_of_which_only_one_has_a_time(self) -> None:
        one = welcomed(channel=Channel.QUOTES)
        events = one.hear(*RECORDED[:5])
        assert [type(event) for event in events] == [Quote] * 3
        whole = {"bid": "89962.61", "ask": "89962.62", "spread": "0.01", "last": "89962.61"}
        assert [fields_of(event) for event in events] == [
            {"last": "89962.61"}, whole, {"ts_event": "2025-12-22T13:50:26.000000Z", **whole},
        ]  # fmt: skip

    def test_give_a_bar_where_the_mode_is_missing(self) -> None:
        (bar,) = welcomed(interval="15m").hear(MODELESS)
        assert fields_of(bar) == {
            "ts_event": "2025-12-18T16:45:00.000000Z", "interval": "15m", "open": "88284.57", "high": "88305.49",
            "low": "88022.62", "close": "88165.3",
        }  # fmt: skip

    @pytest.mark.parametrize("at_once", [1, 2, 5])
    @pytest.mark.parametrize("channel", SPEC.channels)
    def test_give_the_same_in_batches(self, channel: Channel, at_once: int) -> None:
        alone, together = welcomed(channel=channel), welcomed(channel=channel)
        for message in RECORDED:
            alone.hear(message)
        for start in range(0, len(RECORDED), at_once):
            together.hear(*RECORDED[start : start + at_once])
        assert golden.as_lines(alone.events) == golden.as_lines(together.events)


class TestKey:
    def test_is_in_the_query_percent_encoded_and_marked_as_a_secret(self) -> None:
        secret = Secret(CANARY)
        request = FcsProtocol(Feed(SPEC.url, Subscription((EUR,)), secret)).connect_request()
        assert parse_qs(urlsplit(request.url).query) == {"access_key": [CANARY]}
        assert request.url == f"wss://ws-v4.fcsapi.com/ws?access_key={FORMS['percent']}"
        assert (request.secrets, dict(request.headers), request.subprotocols) == ((secret,), {}, ())
        assert_no_trace(secret.redact(request.url))

    def test_goes_behind_a_query_that_is_there_already(self) -> None:
        request = FcsProtocol(Feed("wss://h/ws?v=4", Subscription((EUR,)), Secret("k&y"))).connect_request()
        assert request.url == "wss://h/ws?v=4&access_key=k%26y"

    def test_is_left_out_where_there_is_none(self) -> None:
        request = FcsProtocol(Feed(SPEC.url, Subscription((EUR,)))).connect_request()
        assert (request.url, request.secrets) == (SPEC.url, ())

    def test_is_in_no_event_whatever_echoes_it(self) -> None:
        one = welcomed(key=Secret(CANARY))
        for form in FORMS.values():
            one.hear(
                {"type": "error", "message": form, "short": form}, {"type": form}, price(symbol=form), price(mode=form),
                {"type": "message", "success": False, "message": form, "symbol": form},
                price(mode="profile", profile={"current_session": form}), candle(c=form), candle(t=form),
                price(timeframe=form, mode="candle"), f'{{"{form}'.encode(),
            )  # fmt: skip
        assert len(one.events) > 10
        assert_no_trace(golden.as_lines(one.events), repr(one.protocol.take_quarantined()))

    def test_published_for_everybody_makes_all_of_it_keyless(self) -> None:
        assert (SPEC.demo_key, SPEC.keyless) == (DEMO_KEY, SPEC.channels)


class TestWelcome:
    def test_nothing_is_asked_for_before_it(self) -> None:
        one = talk(EUR, BTC)
        one.wait(5)
        assert (one.sent, one.protocol.phase) == ([], Phase.AUTH)
        one.hear(WELCOME)
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.wait(0)
        assert one.sent == [{"type": "join_symbol", "symbol": symbol, "timeframe": "1D"} for symbol in (EUR, BTC)]

    def test_a_second_one_changes_nothing(self) -> None:
        one = welcomed()
        one.hear(WELCOME)
        one.wait(0)
        assert len(one.sent) == 1

    def test_that_does_not_come_is_waited_for_ten_seconds(self) -> None:
        one = talk()
        assert one.protocol.next_deadline() == 10.0
        one.wait(9.9)
        with pytest.raises(AuthTimeout, match="did not say welcome within 10 s"):
            one.wait(0.1)

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ({"type": "error", "message": "Invalid API key", "short": "invalid_key"}, "invalid_key"),
            ({"type": "error", "message": "no plan"}, "not_welcome"),
            ({"type": "error", "short": "invalid_symbol"}, "not_welcome"),
            ({"type": "message", "success": False, "message": "limit", "short": "new"}, "not_welcome"),
        ],
    )
    def test_an_error_in_its_place_is_a_refused_key(self, said: dict[str, Any], code: str) -> None:
        one = talk()
        with pytest.raises(InvalidKey) as raised:
            one.hear(said)
        assert raised.value.code == code
        assert said.get("message", "") in str(raised.value)

    def test_a_close_code_of_their_own_in_its_place_is_a_refusal_and_others_are_what_they_are(self) -> None:
        closed = talk().protocol.closed(4003, "upgrade your plan")
        assert isinstance(closed, Forbidden)
        assert (closed.code, "upgrade your plan" in str(closed)) == ("close_4003", True)
        assert "(" not in str(talk().protocol.closed(4003, ""))
        assert talk().protocol.closed(1006, "") is None
        assert talk().protocol.closed(None, "") is None
        assert welcomed().protocol.closed(4003, "") is None


class TestJoining:
    def test_a_confirmation_is_matched_by_its_room_for_its_symbol_lacks_the_exchange(self) -> None:
        one = welcomed("NYSE:TSLA", "NASDAQ:TSLA")
        one.hear(confirmed("NASDAQ:TSLA"))
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear(confirmed("NYSE:TSLA"))
        assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, ("NYSE:TSLA", "NASDAQ:TSLA"))

    @pytest.mark.parametrize("changes", [{"room": None}, {"room": None, "symbol": BTC}, {"room": "new", "symbol": BTC}])
    def test_without_a_room_the_symbol_has_to_do(self, changes: dict[str, Any]) -> None:
        one = welcomed(BTC, EUR)
        one.hear(confirmed(BTC, **changes), confirmed(EUR))
        assert one.protocol.phase is Phase.LIVE

    def test_a_name_that_two_exchanges_have_confirms_neither(self) -> None:
        one = welcomed("NYSE:TSLA", "NASDAQ:TSLA")
        one.hear(confirmed("NYSE:TSLA", room=None), confirmed("NYSE:TSLA", room=None))
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.wait(REPLY_TIMEOUT_S)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [
            ("no_ack", ("NASDAQ:TSLA", "NYSE:TSLA"))
        ]

    @pytest.mark.parametrize("data", [PROFILE, CANDLE])
    def test_a_profile_or_a_price_confirms_as_well(self, data: bytes) -> None:
        one = welcomed()
        one.hear(data)
        assert one.protocol.phase is Phase.LIVE

    def test_a_refused_symbol_is_named_and_the_others_go_on(self) -> None:
        one = welcomed("FX:NOSUCH", BTC)
        one.hear({"type": "message", "success": False, "message": "no such", "symbol": "FX:NOSUCH"}, confirmed(BTC))
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_refused", ("FX:NOSUCH",))]
        assert (one.protocol.active, one.protocol.phase) == ((BTC,), Phase.LIVE)
        with pytest.raises(SymbolRefused, match="BINANCE:BTCUSDT"):
            one.hear({"type": "message", "success": False, "symbol": "BTCUSDT"})

    def test_what_was_refused_before_is_not_asked_for_again(self) -> None:
        one = welcomed(BTC, EUR, refused=frozenset({EUR}))
        assert [request["symbol"] for request in one.sent] == [BTC]
        with pytest.raises(SymbolRefused):
            talk(EUR, refused=frozenset({EUR})).hear(WELCOME)

    def test_errors_that_name_no_symbol_are_notices(self) -> None:
        one = welcomed()
        one.hear(
            {"type": "error", "message": "Invalid message"}, {"type": "message", "success": False, "short": "later"},
            {"type": "error", "short": "invalid_symbol"}, {"type": "message", "success": False},
        )  # fmt: skip
        assert one.codes == ["error", "later", "invalid_symbol", "error"]

    def test_a_room_that_we_did_not_join_is_left_once(self) -> None:
        one = welcomed()
        for _ in range(3):
            one.hear(price(EUR, "1D", mode="candle"), price(BTC, "1H", mode="candle"))
        one.wait(0)
        assert one.sent[1:] == [
            {"type": "leave_symbol", "symbol": EUR, "timeframe": "1D"},
            {"type": "leave_symbol", "symbol": BTC, "timeframe": "1H"},
        ]
        assert (one.market, one.protocol.counters.unrequested) == ([], 6)
        assert one.codes == ["unrequested_symbol"]

    def test_when_there_are_many_of_these_all_are_left_and_ours_joined_anew(self) -> None:
        one = welcomed(BTC, "FX:NOSUCH")
        one.hear({"type": "message", "success": False, "symbol": "FX:NOSUCH"})
        for number in range(STRAY_ROOMS + 5):
            one.hear(price(f"FX:A{number}", "1D", mode="candle"))
        one.wait(0)
        kinds = [request["type"] for request in one.sent]
        assert kinds == ["join_symbol"] * 2 + ["leave_symbol"] * STRAY_ROOMS + ["remove_all", "join_symbol"]
        assert one.sent[-1]["symbol"] == BTC


class TestTimeframes:
    @pytest.mark.parametrize(
        ("written", "canonical_form"),
        [
            ("1", "1"), ("1m", "1"), ("5", "5"), ("15m", "15"), ("30", "30"), ("60", "60"), ("1H", "60"), ("1h", "60"),
            ("2h", "120"), ("4H", "240"), ("D", "1D"), ("1D", "1D"), ("1d", "1D"), ("W", "1W"), ("1W", "1W"),
            ("M", "1M"), ("1M", "1M"), ("H", "60"), ("m", "1"),
        ],
    )  # fmt: skip
    def test_are_compared_in_one_form(self, written: str, canonical_form: str) -> None:
        assert canonical(written) == canonical_form

    @pytest.mark.parametrize("text_", ["", "x", "1s", "1 m", "12345", "-1", "1mm", "1.5h", "١"])
    def test_other_words_are_none(self, text_: str) -> None:
        with pytest.raises(ValueError, match="not a timeframe"):
            canonical(text_)

    @pytest.mark.parametrize("interval", INTERVALS)
    def test_are_a_setting(self, interval: str) -> None:
        one = welcomed(interval=interval)
        assert one.sent[0]["timeframe"] == INTERVALS[interval] == canonical(INTERVALS[interval])
        one.hear(candle() | {"timeframe": INTERVALS[interval]})
        assert one.all(Bar)[0].interval == interval

    def test_a_minute_is_no_month(self) -> None:
        one = welcomed(interval="1m")
        one.hear(candle() | {"timeframe": "1M"}, candle() | {"timeframe": "1m"}, candle() | {"timeframe": "later"})
        assert (len(one.all(Bar)), one.protocol.counters.unrequested, one.protocol.counters.quarantined) == (1, 1, 1)


class TestBars:
    def test_a_bid_and_ask_move_the_close_and_where_it_leaves_them_high_or_low(self) -> None:
        one = welcomed()
        t = 1766361600
        events = one.hear(
            candle(), price(mode="askbid", t=t, c=3.5, a=3.6, b=3.5), price(mode="askbid", t=t, c=0.5),
            price(mode="askbid", t=t, c=1.5, a=1.6, b=None),
        )  # fmt: skip
        kept = ("high", "low", "close", "bid", "ask", "volume", "open")
        assert [[fields_of(event)[name] for name in kept] for event in events] == [
            ["3.0", "1.0", "2.5", "2.5", "2.6", "10", "2.0"],
            ["3.5", "1.0", "3.5", "3.5", "3.6", "10", "2.0"],
            ["3.5", "0.5", "0.5", "3.5", "3.6", "10", "2.0"],
            ["3.5", "0.5", "1.5", "3.5", "3.6", "10", "2.0"],
        ]  # fmt: skip

    def test_a_bid_and_ask_of_a_candle_that_was_not_seen_makes_none(self) -> None:
        one = welcomed()
        assert one.hear(ASKBID) == []
        one.hear(candle())
        assert one.hear(price(mode="askbid", t=1766448000, c=3.5)) == []
        assert (one.payloads[1:], one.protocol.counters.quarantined) == ([], 0)

    def test_the_volume_may_be_missing(self) -> None:
        one = welcomed()
        first, second = one.hear(candle(v=None), candle(v=0))
        assert "volume" not in fields_of(first)
        assert fields_of(second)["volume"] == "0"

    def test_numbers_may_come_as_text(self) -> None:
        (bar,) = welcomed().hear(candle(o="2.00", h="3.0", l="1.0", c="2.50", t="1766361600"))
        assert [fields_of(bar)[name] for name in ("open", "close", "ts_event")] == [
            "2.00", "2.50", "2025-12-22T00:00:00.000000Z",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "broken",
        [{"o": None}, {"h": "x"}, {"l": {}}, {"c": True}, {"t": 0}, {"t": -5}, {"t": None}, {"a": "NaN"}, {"v": []}],
    )
    def test_a_candle_that_lacks_something_is_set_aside_and_the_next_one_counts(self, broken: dict[str, Any]) -> None:
        one = welcomed()
        one.hear(candle(**broken), candle())
        assert (len(one.all(Bar)), one.protocol.counters.quarantined) == (1, 1)

    def test_without_mode_and_prices_it_is_nothing_and_an_unknown_mode_is_counted(self) -> None:
        one = welcomed()
        one.hear(price(), price(mode="auction"), price(mode="auction"))
        assert (one.protocol.counters.quarantined, one.protocol.counters.unknown) == (1, 2)
        assert one.codes == ["unknown_type"]


class TestQuotes:
    def test_have_what_there_is(self) -> None:
        one = welcomed(channel=Channel.QUOTES)
        events = one.hear(
            price(mode="askbid", b=1.5), price(mode="askbid", a=1.75, update=1766411426), candle(a=None, b=None),
        )  # fmt: skip
        assert [fields_of(event) for event in events] == [
            {"bid": "1.5"}, {"ask": "1.75", "ts_event": "2025-12-22T13:50:26.000000Z"}, {"last": "2.5"},
        ]  # fmt: skip

    def test_without_any_price_are_set_aside(self) -> None:
        one = welcomed(channel=Channel.QUOTES)
        one.hear(price(mode="askbid", update=1766411426))
        assert (one.market, one.protocol.counters.quarantined) == ([], 1)


class TestLife:
    def test_a_ping_goes_out_each_25_seconds_after_the_welcome_with_the_time_in_milliseconds(self) -> None:
        one = talk()
        one.wait(3)
        one.hear(WELCOME, confirmed(BTC))
        one.wait(0)
        assert one.protocol.next_deadline() == 3 + PING_INTERVAL_S
        one.wait(PING_INTERVAL_S - 0.1)
        assert len(one.sent) == 1
        one.wait(0.1)
        assert one.sent[1:] == [{"type": "ping", "timestamp": one.ts // 1_000_000}]
        assert one.protocol.next_deadline() == one.now + PING_INTERVAL_S

    def test_a_ping_of_theirs_is_answered_at_once(self) -> None:
        one = talk()
        one.wait(1)
        one.hear({"type": "ping"})
        assert one.sent == [{"type": "pong", "timestamp": one.ts // 1_000_000}]

    def test_only_a_server_that_was_heard_to_ping_or_pong_is_dead_when_it_is_mute(self) -> None:
        quiet = welcomed()
        quiet.hear(confirmed(BTC))
        for _ in range(20):
            quiet.wait(PING_INTERVAL_S)
        for beat in ("ping", "pong"):
            one = welcomed()
            one.hear({"type": beat}, confirmed(BTC))
            one.wait(MUTE_AFTER_S - 1)
            with pytest.raises(SessionStale, match="neither data nor a heartbeat for 75 s"):
                one.wait(1)

    def test_a_session_that_is_not_open_is_said_and_not_too_often(self) -> None:
        symbols = [f"NASDAQ:A{number}" for number in range(15)]
        one = welcomed(*symbols, BTC)
        one.hear(PROFILE, price(mode="profile"), price(mode="profile", profile={"current_session": 5}))
        assert one.codes == []
        one.hear(*[price(name, mode="profile", profile={"current_session": "out_of_session"}) for name in symbols])
        assert one.codes == ["session"] * 10
        assert one.all(Notice)[0].message == "NASDAQ:A0: FCS API says of its session: out_of_session"
        assert one.all(Notice)[0].symbols == ("NASDAQ:A0",)


def test_hours_are_those_of_the_exchange() -> None:
    found = {symbol: SPEC.market_of(symbol) for symbol in (EUR, "ONA:XAUUSD", BTC, "NASDAQ:AAPL", "NYSE:BRK.A", "X:Y")}
    assert list(found.values()) == [
        markets.FOREX, markets.FOREX, markets.ALWAYS, markets.US_EQUITIES, markets.US_EQUITIES, markets.ALWAYS,
    ]  # fmt: skip


SPOKEN = [*RECORDED, b'{"type":"welcome"}', b'{"type":"ping"}', b'{"type":"error","message":"x","short":"y"}']


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(SPEC.channels),
    st.lists(st.one_of(golden.torn(SPOKEN), golden.replaced(SPOKEN), st.sampled_from(SPOKEN)), max_size=8),
)
def test_anything_like_what_was_recorded_is_survived(channel: Channel, messages: list[bytes]) -> None:
    golden.assert_survived("fcs", messages, channel, settings={"interval": "1d"})
