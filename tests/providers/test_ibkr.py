"""Interactive Brokers: a login at a gateway, contracts of tickers, fields that change, subscriptions that just end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.test_alltick import fields_of
from tickstream import markets
from tickstream.canonical import Canonical
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    InvalidKey,
    NetworkError,
    ProviderError,
    RateLimited,
    SessionStale,
    SymbolRefused,
    TickstreamError,
)
from tickstream.events import Event, Gap, Notice, Quote, Trade
from tickstream.numbers import text
from tickstream.providers.base import Feed, Phase
from tickstream.providers.ibkr import RENEW_S, SILENT_S, SPEC, IbkrProtocol
from tickstream.providers.ibkr_session import AUTH_S, PENALTY_S, TICKLE_S, TICKLES_MISSED
from tickstream.providers.rest import RestAnswer, RestRequest
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import Timestamp

NOON = Timestamp(1_782_146_400 * 10**9)
"""2026-06-22T16:40:00Z, a Monday: New York trades."""
NIGHT = Timestamp(1_782_104_400 * 10**9)
"""05:00Z of the same day: it does not."""
SESSION = "5e55104cafe0123456789abcdef"
FRAMES = golden.recorded("ibkr/frames")
"""What documents and public tests show of the gateway: nothing was recorded. Left out: `sts` of a lost session."""
AAPL = {"AAPL": [{"name": "APPLE INC", "assetClass": "STK", "contracts": [
    {"conid": 265598, "exchange": "NASDAQ", "isUS": True},
    {"conid": 38708077, "exchange": "MEXI", "isUS": False}]}]}  # fmt: skip
QUOTES = '{"fields":["31","84","85","86","88","6509"]}'
TRADES = '{"fields":["31","7059","6509"]}'


def tickle(*, authenticated: bool = True, competing: bool = False, session: str = SESSION) -> dict[str, Any]:
    status = {"authenticated": authenticated, "competing": competing, "connected": True, "message": ""}
    return {"session": session, "ssoExpires": 460311, "collission": False, "hmds": {"error": "no bridge"},
            "iserver": {"authStatus": status}}  # fmt: skip


class Talk:
    """A protocol and the time. `hear` gives it messages, `answer` answers to its requests, `wait` lets time pass."""

    def __init__(self, *symbols: str, channel: Channel = Channel.QUOTES, start: Timestamp = NOON, **feed: Any) -> None:
        subscription = Subscription(symbols or ("265598",), channel)
        self.protocol = IbkrProtocol(Feed(feed.pop("url", SPEC.url), subscription, **feed))
        self.start, self.now = start, 0.0
        self.events: list[Event] = []
        self.said: list[str] = []
        self.asked: list[RestRequest] = []
        self.protocol.open(0.0)
        self._collect()

    @property
    def ts(self) -> Timestamp:
        return Timestamp(self.start + round(self.now * 1e9))

    def hear(self, *messages: bytes | dict[str, Any]) -> list[Event]:
        before = len(self.events)
        try:
            payloads = [one if isinstance(one, bytes) else msgspec.json.encode(one) for one in messages]
            self.protocol.receive(payloads, self.ts, self.now)
        finally:
            self._collect()
        return self.events[before:]

    def answer(self, body: object = None, status: int = 200, error: TickstreamError | None = None) -> RestRequest:
        """The answer to the first request that has none."""
        request = self.asked.pop(0)
        try:
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
            self.protocol.take_answer(RestAnswer(request, 0 if error else status, data, error), self.ts, self.now)
        finally:
            self._collect()
        return request

    def wait(self, seconds: float) -> list[Event]:
        """Time passes as the session lets it pass: from one deadline to the next."""
        end, before = self.now + seconds, len(self.events)
        while True:
            planned = self.protocol.next_deadline()
            self.now = end if planned is None else min(max(planned, self.now), end)
            try:
                self.protocol.tick(self.now, self.ts)
            finally:
                self._collect()
            if self.now >= end:
                return self.events[before:]

    def beat(self, seconds: float) -> None:
        """Time in which there are heartbeats and good answers, and nothing else."""
        for _ in range(round(seconds / 10)):
            self.wait(10)
            self.hear({"topic": "system", "hb": 1})
            while self.asked:
                self.answer(tickle())

    def _collect(self) -> None:
        self.said += [payload.decode() for payload in self.protocol.frames_to_send(self.now)]
        self.asked += self.protocol.requests_to_make(self.now)
        self.events += self.protocol.take_events()

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.all(Notice)]

    def log_in(self) -> None:
        self.answer(tickle())
        self.hear({"topic": "sts", "args": {"authenticated": True}})

    def begin(self, found: object = AAPL) -> None:
        """Logged in, tickers looked up, everything asked for."""
        self.log_in()
        self.answer({"accounts": ["DU1"]})
        if self.asked:
            self.answer(found)
        self.wait(10.0 if len(self.protocol.feed.subscription.symbols) > 20 else 1.0)


def smd(conid: object = 265598, at: int = 1782146400123, **fields: object) -> dict[str, Any]:
    """Market data: `_84="1.5"` is the field 84."""
    named = {name.removeprefix("_"): value for name, value in fields.items()}
    return {"server_id": "q0", "conid": conid, "_updated": at, **named, "topic": f"smd+{conid}"}


def live(*symbols: str, **how: Any) -> Talk:
    """Subscribed, with nothing heard yet."""
    one = Talk(*symbols, **how)
    one.begin()
    one.events.clear()
    return one


def streaming(*symbols: str, **how: Any) -> Talk:
    """Subscribed and confirmed."""
    one = live(*symbols, **how)
    one.hear(smd())
    return one


class TestDocumented:
    """Ten messages: three of them data."""

    def test_give_the_events_that_were_checked_by_eye(self) -> None:
        made = golden.protocol("ibkr/frames", Channel.QUOTES)
        events = golden.events_of(made, FRAMES)
        assert golden.as_lines(events) == golden.expected("ibkr/frames")
        assert [type(event) for event in events] == [Quote] * 3
        assert (made.counters.messages, made.counters.quarantined, made.counters.unknown) == (10, 0, 0)

    def test_give_the_same_all_at_once(self) -> None:
        made = golden.protocol("ibkr/frames", Channel.QUOTES)
        assert golden.as_lines(golden.events_of(made, FRAMES, 10)) == golden.expected("ibkr/frames")

    def test_have_two_trades_among_them_for_the_first_price_is_no_news(self) -> None:
        made = golden.protocol("ibkr/frames", Channel.TRADES)
        trades = golden.events_of(made, FRAMES)
        assert [(text(trade.price), trade.size) for trade in trades if isinstance(trade, Trade)] == [
            ("130.64", None), ("4521.50", None)
        ]  # fmt: skip


class TestLogin:
    def test_asks_for_the_session_and_shows_it_when_it_is_asked_for(self) -> None:
        one = Talk()
        assert one.protocol.phase is Phase.AUTH
        one.hear({"message": "waiting for session"})
        assert one.said == []
        request = one.answer(tickle())
        assert (request.method, request.path) == ("POST", "/v1/api/tickle")
        assert one.said == [f'{{"session":"{SESSION}"}}']

    def test_shows_the_session_that_it_knows_already_once(self) -> None:
        one = Talk()
        one.answer(tickle())
        assert one.said == []
        one.hear({"message": "waiting for session"})
        assert len(one.said) == 1

    def test_subscribes_to_nothing_before_the_session_is_authenticated(self) -> None:
        one = Talk()
        one.answer(tickle())
        one.wait(5)
        assert (one.said, one.asked) == ([], [])
        one.hear({"topic": "sts", "args": {"authenticated": True}})
        assert one.answer({"accounts": []}).path == "/v1/api/iserver/accounts"
        one.wait(1)
        assert one.said == [f"smd+265598+{QUOTES}"]

    def test_a_status_that_comes_twice_asks_for_nothing_twice(self) -> None:
        one = Talk()
        one.log_in()
        one.hear({"topic": "sts", "args": {"authenticated": True}})
        assert [request.path for request in one.asked] == ["/v1/api/iserver/accounts"]

    def test_opens_a_brokerage_session_that_is_not_there_once_and_takes_it_from_nobody(self) -> None:
        one = Talk()
        one.answer(tickle(authenticated=False))
        one.hear({"topic": "sts", "args": {"authenticated": False}})
        (request,) = one.asked
        assert (request.method, request.path) == ("POST", "/v1/api/iserver/auth/ssodh/init")
        assert msgspec.json.decode(request.body) == {"publish": True, "compete": False}
        one.answer({"authenticated": True})
        one.hear({"topic": "sts", "args": {"authenticated": True}})
        assert one.protocol.phase is Phase.SUBSCRIBE

    def test_without_a_status_it_is_over_after_ten_seconds(self) -> None:
        one = Talk()
        one.answer(tickle())
        one.wait(AUTH_S - 0.1)
        with pytest.raises(AuthTimeout, match="authenticated"):
            one.wait(0.1)

    def test_another_program_with_the_session_is_waited_for(self) -> None:
        with pytest.raises(ConnectionLimit, match="another program"):
            Talk().answer(tickle(authenticated=False, competing=True))
        with pytest.raises(ConnectionLimit, match="another program"):
            Talk().hear({"topic": "sts", "args": {"authenticated": False, "competing": True}})

    def test_a_session_that_is_lost_ends_the_connection_and_another_opens_it_again(self) -> None:
        one = live()
        with pytest.raises(ProviderError, match="brokerage session has ended") as raised:
            one.hear({"topic": "sts", "args": {"authenticated": False}})
        assert raised.value.retryable

    @pytest.mark.parametrize(
        ("status", "kind", "words"),
        [(401, InvalidKey, "logged in"), (429, RateLimited, "too many"), (503, ProviderError, "bridge"),
         (500, ProviderError, "HTTP 500"), (302, ProviderError, "HTTP 302")],
    )  # fmt: skip
    def test_each_refusal_has_its_meaning(self, status: int, kind: type[ProviderError], words: str) -> None:
        one = Talk()
        with pytest.raises(kind, match=words) as raised:
            one.answer(b"<html>", status)
        assert type(raised.value) is kind
        assert raised.value.code == f"http_{status}"
        assert raised.value.retry_after_s == (PENALTY_S if status == 429 else None)

    def test_an_answer_that_cannot_be_read_or_never_comes_ends_it(self) -> None:
        with pytest.raises(ProviderError, match="cannot be read"):
            Talk().answer(b"<html>")
        with pytest.raises(NetworkError, match="refused"):
            Talk().answer(error=NetworkError("refused"))

    def test_the_session_is_told_to_nobody_but_the_gateway(self) -> None:
        one = Talk()
        one.answer(tickle())
        one.hear({"error": f"no such session: {SESSION}", "code": 0}, f'{{"topic":{SESSION}'.encode())
        (bad,) = one.protocol.take_quarantined()
        assert SESSION not in repr(one.events) + repr(bad)
        assert "***" in one.all(Notice)[0].message

    def test_another_path_of_the_stream_has_its_rest_beside_it(self) -> None:
        assert Talk(url="wss://127.0.0.1:5001/portal/ws").asked[0].path == "/portal/tickle"

    def test_a_pin_is_what_is_set_and_names_its_setting(self) -> None:
        pins = [Talk(settings=own).protocol.connect_request().tls_pin for own in ({}, {"tls_pin": "AB:CD"})]
        assert [(pin.text, pin.setting) for pin in pins if pin] == [
            ("", "TICKSTREAM_IBKR_TLS_PIN"), ("AB:CD", "TICKSTREAM_IBKR_TLS_PIN")
        ]  # fmt: skip


class TestSignsOfLife:
    def minutes(self, one: Talk, count: int, **answer: Any) -> None:
        """So many minutes with heartbeats, and the same answer to each tickle."""
        for _ in range(count * 6):
            one.wait(10)
            one.hear({"topic": "system", "hb": 1})
            while one.asked:
                one.answer(**answer)

    def test_go_out_both_ways_each_minute(self) -> None:
        one = streaming()
        self.minutes(one, 2, body=tickle())
        assert one.said.count("tic") == int(120 / TICKLE_S) == 2
        one.wait(25)
        one.hear({"topic": "system", "hb": 1})
        one.wait(25)
        assert [request.path for request in one.asked] == ["/v1/api/tickle"]

    @pytest.mark.parametrize(
        ("answer", "words"),
        [({"status": 500}, "HTTP 500"), ({"error": NetworkError("nobody listens")}, "nobody listens")],
    )
    def test_that_go_wrong_are_reported_and_do_not_end_a_stream(self, answer: dict[str, Any], words: str) -> None:
        one = streaming(start=NIGHT)
        self.minutes(one, TICKLES_MISSED - 1, **answer)
        assert one.codes == []
        self.minutes(one, 3, **answer)
        assert one.codes == ["tickle"]
        assert words in one.all(Notice)[0].message
        self.minutes(one, 2, body=tickle())
        self.minutes(one, TICKLES_MISSED + 1, **answer)
        assert one.codes == ["tickle"] * 2

    def test_end_it_when_nobody_is_logged_in_any_more(self) -> None:
        one = streaming(start=NIGHT)
        with pytest.raises(InvalidKey):
            self.minutes(one, 1, status=401)

    def test_of_the_gateway_are_missed_after_half_a_minute(self) -> None:
        one = streaming()
        one.wait(29.9)
        with pytest.raises(SessionStale):
            one.wait(0.1)


class TestContracts:
    def test_a_number_is_what_it_is_and_a_ticker_is_looked_up(self) -> None:
        one = Talk("AAPL", "8314", "416904@CBOE", "BRK.B")
        one.log_in()
        one.answer({"accounts": []})
        brk = {"BRK B": [{"name": None, "contracts": [{"conid": 72063691, "exchange": "NYSE", "isUS": True}]}]}
        request = one.answer(AAPL | brk)
        assert request.path == "/v1/api/trsrv/stocks?symbols=AAPL,BRK%20B"
        one.wait(1)
        assert [said.split("+")[1] for said in one.said] == ["265598", "8314", "416904@CBOE", "72063691"]
        assert [(notice.code, notice.symbols, notice.message) for notice in one.all(Notice)] == [
            ("contract", ("AAPL",), "AAPL is the contract 265598 (APPLE INC, NASDAQ)"),
            ("contract", ("BRK.B",), "BRK.B is the contract 72063691 (?, NYSE)"),
        ]

    @pytest.mark.parametrize(
        ("listings", "words"),
        [
            ([], "no stock has this ticker"),
            ([("1", True), ("2", True), ("3", False)], "several contracts have this ticker: 1 (X, E), 2 (X, E); name"),
            ([(str(n), False) for n in range(8)], "4 (X, E), 5 (X, E) ...; name"),
            ([("7", False)], None), ([("7", True), ("8", False)], None),
        ],
    )  # fmt: skip
    def test_a_ticker_is_never_guessed_at(self, listings: list[tuple[str, bool]], words: str | None) -> None:
        one = Talk("FOO", "265598")
        contracts = [{"conid": int(conid), "exchange": "E", "isUS": us} for conid, us in listings]
        one.begin({"FOO": [{"name": "X", "contracts": contracts}]})
        if words is None:
            assert [said.split("+")[1] for said in one.said] == ["7", "265598"]
        else:
            assert [said.split("+")[1] for said in one.said] == ["265598"]
            (notice,) = one.all(Notice)
            assert (notice.code, notice.symbols) == ("symbol_refused", ("FOO",))
            assert words in notice.message

    def test_when_none_is_left_the_run_ends(self) -> None:
        one = Talk("FOO", "BAR")
        with pytest.raises(SymbolRefused, match="FOO, BAR"):
            one.begin({})
        with pytest.raises(ProviderError, match="cannot be read"):
            Talk("FOO").begin(["rubbish"])

    def test_two_names_of_one_contract_are_one_subscription(self) -> None:
        one = Talk("AAPL", "265598", "265598@NASDAQ")
        one.begin()
        assert one.protocol.refused == {
            "265598": "the same contract as AAPL", "265598@NASDAQ": "the same contract as AAPL"
        }  # fmt: skip
        assert len(one.said) == 1

    def test_no_more_lines_are_taken_than_the_login_has(self) -> None:
        symbols = tuple(map(str, range(1, 103)))
        one = live(*symbols)
        assert len(one.said) == 100
        assert one.protocol.refused.keys() == {"101", "102"}
        assert len(live(*symbols, settings={"lines": "200"}).said) == 102

    def test_a_refused_command_refuses_its_symbol(self) -> None:
        one = live("AAPL", "8314")
        one.hear({"error": "No security definition has been found", "code": 0, "topic": "smd+8314"})
        assert one.protocol.refused == {"8314": "No security definition has been found"}
        assert one.protocol.asked == {"AAPL"}
        one.hear({"error": "again", "code": 0, "topic": "smd+8314"}, {"error": "unknown command", "code": 0})
        assert one.codes == ["symbol_refused", "error", "error"]
        with pytest.raises(SymbolRefused):
            one.hear({"error": "no permission", "code": 0, "topic": "smd+265598"})


class TestQuotes:
    def test_keep_what_did_not_change_and_the_digits_that_were_sent(self) -> None:
        one = live("AAPL")
        first, second = one.hear(smd(_31="189.40", _84="189.39", _88="3", _86="189.4100", _85="1,200"), smd(_86=189.5))
        assert fields_of(first) == {
            "symbol": "AAPL", "ts_event": "2026-06-22T16:40:00.123000Z", "bid": "189.39", "bid_size": "3",
            "ask": "189.4100", "ask_size": "1200", "spread": "0.0200", "last": "189.40",
        }  # fmt: skip
        assert fields_of(second)["spread"] == "0.11"
        assert one.protocol.active == ("AAPL",)

    def test_the_first_message_confirms_even_when_it_has_no_price(self) -> None:
        one = live("AAPL", "8314")
        assert one.protocol.phase is Phase.SUBSCRIBE
        assert one.hear(smd(), smd(8314, _6509="RpB")) == []
        assert one.protocol.phase is Phase.LIVE

    def test_what_is_not_confirmed_is_said_after_a_while(self) -> None:
        one = live("AAPL", "8314")
        one.hear(smd())
        one.wait(15)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("no_ack", ("8314",))]

    @pytest.mark.parametrize("nothing", ["", None])
    def test_a_side_that_is_withdrawn_is_unknown(self, nothing: object) -> None:
        one = live()
        one.hear(smd(_84="1.5", _86="1.6"))
        (quote,) = one.hear(smd(_84=nothing))
        assert fields_of(quote) == {"symbol": "265598", "ts_event": "2026-06-22T16:40:00.123000Z", "ask": "1.6"}

    def test_the_close_of_the_day_before_is_no_last_price(self) -> None:
        one = live()
        (quote,) = one.hear(smd(_31="C130.64", _84="1.5"))
        assert (quote.last, text(quote.bid)) == (None, "1.5")
        assert one.hear(smd(_31="C130.64")) == []

    def test_a_halt_and_its_end_are_said(self) -> None:
        one = live()
        one.hear(smd(_31="130.64"))
        notice, quote = one.hear(smd(_31="H130.64"))
        assert (notice.code, notice.message, text(quote.last)) == ("halted", "265598: trading is halted", "130.64")
        assert one.hear(smd(_31="131"))[0].message == "265598: trading goes on"

    def test_data_that_is_not_real_time_is_said_once(self) -> None:
        one = live()
        one.hear(smd(_6509="DPB"), smd(_6509="DPB", _31="1"))
        assert ["delayed" in notice.message for notice in one.all(Notice)] == [True]
        one.hear(smd(_6509="RpB"), smd(_6509="?"), smd(_6509=5))
        assert [notice.code for notice in one.all(Notice)] == ["availability"] * 2
        assert live().hear(smd(_6509="RpB")) == []

    def test_without_a_time_there_is_none(self) -> None:
        message = smd(_31="1.5")
        del message["_updated"], message["conid"]
        (quote,) = live().hear(message)
        assert quote.ts_event is None

    def test_are_known_by_number_wherever_they_are_traded(self) -> None:
        one = live("265598@NASDAQ")
        events = one.hear(smd(_31="1"), smd("265598@NASDAQ", _31="2"))
        assert [event.symbol for event in events] == ["265598@NASDAQ"] * 2
        assert [event.symbol for event in live().hear(smd("265598@SMART", _31="1"))] == ["265598"]
        one.hear(smd(99, _31="1"))
        assert (one.codes, one.protocol.counters.unrequested) == (["unrequested_symbol"], 1)

    @pytest.mark.parametrize("value", ["about one", {}, True, "1e999", "N/A", "1,20", "--"])
    def test_what_is_no_price_is_set_aside_and_changes_nothing(self, value: object) -> None:
        one = live()
        one.hear(smd(_84="1.5"))
        assert one.hear(smd(_84="2.5", _86=value)) == []
        assert one.protocol.counters.quarantined == 1
        (quote,) = one.hear(smd(_86="1.6"))
        assert (text(quote.bid), text(quote.ask)) == ("1.5", "1.6")


class TestTrades:
    def talk(self) -> Talk:
        one = live(channel=Channel.TRADES)
        assert one.said[-1] == f"smd+265598+{TRADES}"
        return one

    def test_begin_after_what_was_last_when_we_came(self) -> None:
        one = self.talk()
        assert one.hear(smd(_31="189.40"), smd(_7059="100"), smd(_6509="RpB")) == []
        (trade,) = one.hear(smd(_31="189.41", _7059="200", at=1782146401000))
        assert fields_of(trade) == {
            "symbol": "265598", "ts_event": "2026-06-22T16:40:01.000000Z", "price": "189.41", "size": "200"
        }  # fmt: skip

    def test_have_what_did_not_change_from_the_one_before(self) -> None:
        one = self.talk()
        one.hear(smd(_31="189.40", _7059="100"))
        trades = one.hear(smd(_31="189.41"), smd(_7059="300"))
        assert [(text(trade.price), text(trade.size)) for trade in trades] == [("189.41", "100"), ("189.41", "300")]

    def test_are_not_what_the_close_a_halt_and_an_empty_price_say(self) -> None:
        one = self.talk()
        one.hear(smd(_31="C189.40", _7059="100"))
        assert one.hear(smd(_31="189.40")) == [], "the first of today"
        one.hear(smd(_31="H189.40"), smd(_31=""), smd(_7059="5"))
        assert one.all(Trade) == []
        assert one.codes == ["halted"] * 2

    def test_in_the_answer_to_a_renewal_are_only_what_is_new(self) -> None:
        one = self.talk()
        one.hear(smd(_31="189.40", _7059="100"))
        one.protocol._watches["265598"].renewed = True
        assert one.hear(smd(_31="189.40", _7059="100")) == []
        assert len(one.hear(smd(_31="189.40", _7059="200"))) == 1


class TestRenewal:
    def renewals(self, one: Talk) -> list[str]:
        return [said for said in one.said if said.startswith("umd")]

    def test_comes_before_a_subscription_ends_by_itself(self) -> None:
        one = streaming("AAPL")
        for second in range(0, int(RENEW_S) - 10, 10):
            one.beat(10)
            one.hear(smd(_84=f"1.{second:03d}"))
        assert self.renewals(one) == []
        one.beat(20)
        commands = [said for said in one.said if said != "tic"]
        assert commands[-2:] == ["umd+265598+{}", f"smd+265598+{QUOTES}"]
        one.hear(smd(_84="2.000"))
        assert (one.all(Gap), one.codes) == ([], [])

    def test_of_a_silent_one_comes_early_and_finds_nothing_missed(self) -> None:
        one = live("AAPL")
        one.hear(smd(_84="1.5"))
        one.beat(SILENT_S + 10)
        assert self.renewals(one) == ["umd+265598+{}"]
        (quote,) = one.hear(smd(_84="1.5"))
        assert isinstance(quote, Quote)
        assert (one.all(Gap), one.codes) == ([], [])

    def test_of_one_that_had_ended_shows_what_was_missed_as_a_gap(self) -> None:
        one = live("AAPL", "8314")
        last = one.ts
        one.hear(smd(_84="1.5"), smd(8314, _84="7"))
        for _ in range(13):
            one.beat(10)
            one.hear(smd(8314, _84="8"))
        assert self.renewals(one) == ["umd+265598+{}"]
        assert one.hear(smd(_6509="RpB")) == [], "it says nothing of prices"
        notice, gap, quote = one.hear(smd(_84="1.6"))
        assert (notice.code, notice.symbols) == ("silent_stop", ("AAPL",))
        assert (gap.symbols, gap.reason, gap.start <= one.ts, gap.end) == (("AAPL",), "disconnect", True, one.ts)
        assert gap.start >= last
        assert text(quote.bid) == "1.6"
        assert len(one.hear(smd(_84="1.7"))) == 1

    def test_of_one_of_which_nothing_ever_came_is_no_gap(self) -> None:
        one = live("AAPL")
        one.beat(SILENT_S + 10)
        assert len(self.renewals(one)) == 1
        one.hear(smd(_84="1.6"))
        assert one.all(Gap) == []

    def test_at_night_comes_as_seldom_as_it_may(self) -> None:
        one = live("AAPL", start=NIGHT)
        one.hear(smd(_84="1.5"))
        one.beat(RENEW_S - 20)
        assert self.renewals(one) == []
        one.beat(20)
        assert len(self.renewals(one)) == 1

    def test_is_not_for_what_was_refused(self) -> None:
        one = live("AAPL", "8314")
        one.hear({"error": "no", "code": 0, "topic": "smd+8314"})
        one.beat(SILENT_S + 10)
        assert self.renewals(one) == ["umd+265598+{}"]


class TestOtherMessages:
    def test_of_the_gateway_are_known(self) -> None:
        one = live()
        one.hear(
            {"topic": "system", "hb": 1}, {"topic": "act", "args": {}}, {"topic": "tic", "alive": True},
            {"topic": "sor", "args": []}, {"message": "Unsubscribed q0"}, {"result": "unsubscribed from summary"},
        )  # fmt: skip
        assert (one.events, one.protocol.counters.quarantined) == ([], 0)

    def test_of_tomorrow_are_counted_and_rubbish_is_set_aside(self) -> None:
        one = live()
        one.hear({"topic": "xyz+1"}, {}, b"[]", {"topic": 5}, {"type": "x"}, {"topic": "sts", "args": "yes"})
        assert (one.protocol.counters.unknown, one.protocol.counters.quarantined) == (1, 4)

    def test_bulletins_and_notifications_are_shown(self) -> None:
        one = live()
        one.hear({"topic": "blt", "args": {"id": "1", "message": "Exchange is down"}},
                 {"topic": "ntf", "args": {"id": "2", "title": "Hello", "text": "world", "url": ""}})  # fmt: skip
        assert [(notice.code, notice.message) for notice in one.all(Notice)] == [
            ("blt", "a bulletin of Interactive Brokers (Exchange is down)"),
            ("ntf", "a notification of Interactive Brokers (Hello: world)"),
        ]
        one.hear({"topic": "blt", "args": []}, {"topic": "ntf", "args": {}}, {"topic": "ntf"})
        assert one.protocol.counters.quarantined == 3


def test_a_stock_has_its_ticker_and_a_pair_only_a_number() -> None:
    form = SPEC.symbol_form({})
    assert form.alias is not None
    assert [form.alias(meaning) for meaning in (Canonical("stock", "BRK.B"), Canonical("forex", "EUR", "USD"))] == [
        "BRK.B", None
    ]  # fmt: skip


def test_hours_are_those_of_new_york() -> None:
    assert SPEC.market_of("265598") is markets.US_EQUITIES


@pytest.mark.parametrize("word", ["265598", "265598@NASDAQ", "AAPL", "BRK.B"])
def test_symbols_are_numbers_and_tickers(word: str) -> None:
    assert SPEC.symbol_pattern.fullmatch(word)


@pytest.mark.parametrize("word", ["0", "012", "aapl", "AAPL@NASDAQ", "EUR/USD", "12345678901", "265598@"])
def test_what_is_neither_is_no_symbol(word: str) -> None:
    assert not SPEC.symbol_pattern.fullmatch(word)


CHANNELS = st.sampled_from(SPEC.channels)


@given(st.lists(st.one_of(golden.torn(FRAMES), golden.replaced(FRAMES)), min_size=1, max_size=6), CHANNELS)
@settings(max_examples=200, deadline=None)
def test_no_message_however_torn_does_more_than_be_set_aside(messages: list[bytes], channel: Channel) -> None:
    golden.assert_survived("ibkr", messages, channel)


PRICES = st.sampled_from(["1.5", "1.50", "2", "0.0001", "100", ""])
CHANGES = st.dictionaries(st.sampled_from(["31", "84", "85", "86", "88"]), PRICES, max_size=5)


@given(st.lists(CHANGES, max_size=12), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_a_quote_is_all_that_was_said_last_however_it_came_in(changes: list[dict[str, str]], at_once: int) -> None:
    one = live()
    names = {"84": "bid", "88": "bid_size", "86": "ask", "85": "ask_size", "31": "last"}
    known: dict[str, str] = {}
    wanted = []
    for change in changes:
        known |= change
        if change:
            wanted.append({names[field]: value for field, value in known.items() if value})
    messages = [smd() | change for change in changes]
    for start in range(0, len(messages), at_once):
        one.hear(*messages[start : start + at_once])
    found = [fields_of(quote) for quote in one.all(Quote)]
    assert [{name: got[name] for name in got if name in names.values()} for got in found] == wanted
    for got in found:
        both = "bid" in got and "ask" in got
        assert (Decimal(got["ask"]) - Decimal(got["bid"]) == Decimal(got["spread"])) if both else "spread" not in got


ANSWERS = [msgspec.json.encode(one) for one in (tickle(), AAPL, {"accounts": ["DU1"]})]


@given(st.lists(st.one_of(golden.torn(ANSWERS), golden.replaced(ANSWERS)), min_size=3, max_size=3))
@settings(max_examples=200, deadline=None)
def test_no_answer_however_torn_does_more_than_end_the_connection(bodies: list[bytes]) -> None:
    one = Talk("AAPL")
    one.hear({"topic": "sts", "args": {"authenticated": True}})
    try:
        for body in bodies:
            if one.asked:
                one.answer(body)
        one.wait(1)
    except TickstreamError:
        return
    assert one.protocol.phase is Phase.SUBSCRIBE
