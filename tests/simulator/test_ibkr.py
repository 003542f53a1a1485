"""Interactive Brokers' gateway, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.simulator.candles import payloads
from tests.simulator.talking import START_NS, Pair
from tickstream.errors import AuthTimeout, ConnectionLimit, InvalidKey, ProviderError, RateLimited, SymbolRefused
from tickstream.events import Bar, Gap, MarketEvent, Notice, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.providers.base import Phase
from tickstream.providers.ibkr import SILENT_S
from tickstream.simulator.handshake import Plain, Refusal, Request
from tickstream.simulator.ibkr import BASE, COUNTERPART, SESSION, SILENT_AFTER_S, Ibkr
from tickstream.simulator.ibkr_contracts import INSTRUMENTS, LISTINGS, conid_of
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.random_market import RandomMarket
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("AAPL", "8314")


def pair(*symbols: str, channel: Channel = Channel.QUOTES, **how: Any) -> Pair:
    return Pair("ibkr", channel, *(symbols or BOTH), **how)


def gateway(known: tuple[str, ...] = (), **options: Any) -> Ibkr:
    market = RandomMarket(form=COUNTERPART.form, listed=COUNTERPART.listed, known=known or COUNTERPART.known)
    return COUNTERPART(SimulatorOptions(provider="ibkr", **options), market, START_NS)


def ask(server: Ibkr, path: str, method: str = "GET", query: str = "") -> Any:
    answer = server.plain(Plain(method, path, query))
    return None if answer is None else msgspec.json.decode(answer)


# --- REST ------------------------------------------------------------------------------------------------------------


def test_the_session_is_told_and_its_state() -> None:
    server = gateway()
    answer = ask(server, f"{BASE}/tickle", "POST")
    assert answer["session"] == SESSION
    assert answer["iserver"]["authStatus"] == ask(server, f"{BASE}/iserver/auth/status", "POST")
    assert ask(server, f"{BASE}/iserver/accounts")["accounts"] == ["DU1234"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"{BASE}/tickle"), ("POST", "/tickle"), ("GET", f"{BASE}/nothing")]
)
def test_there_is_nothing_else(method: str, path: str) -> None:
    assert ask(gateway(), path, method) is None


def test_tickers_have_their_contracts() -> None:
    answer = ask(gateway(), f"{BASE}/trsrv/stocks", query="symbols=AAPL,BRK%20B,NOSUCH,")
    assert answer.keys() == {"AAPL", "BRK B", "NOSUCH"}
    assert answer["AAPL"][0] == {"name": "APPLE INC", "assetClass": "STK", "contracts": [
        {"conid": 265598, "exchange": "NASDAQ", "isUS": True}]}  # fmt: skip
    assert answer["NOSUCH"] == []
    assert ask(gateway(), f"{BASE}/trsrv/stocks") == {}


def test_a_ticker_of_another_market_gets_a_number_that_leads_back_to_it() -> None:
    server = gateway(("NEWCO", "265598"))
    (company,) = ask(server, f"{BASE}/trsrv/stocks", query="symbols=NEWCO")["NEWCO"]
    conid = company["contracts"][0]["conid"]
    assert conid == conid_of("NEWCO")
    assert server.symbol_of(str(conid)) == "NEWCO"
    assert (server.symbol_of("265598"), server.symbol_of("265598@NASDAQ"), server.symbol_of("5")) == (
        "265598", "265598", "5"
    )  # fmt: skip
    assert conid_of("265598@NASDAQ") == 265598


def test_each_contract_has_one_number() -> None:
    numbers = [listing.conid for listings in LISTINGS.values() for listing in listings]
    assert len(set(numbers)) == len(numbers)
    assert set(LISTINGS) <= set(INSTRUMENTS)


@pytest.mark.parametrize(("flag", "value", "status"), [("logged_in", False, 401), ("paced", True, 429)])
def test_a_gateway_that_refuses_refuses_everything(flag: str, value: bool, status: int) -> None:
    server = gateway()
    setattr(server, flag, value)
    with pytest.raises(Refusal) as raised:
        ask(server, f"{BASE}/tickle", "POST")
    assert raised.value.status == status


# --- the conversation ------------------------------------------------------------------------------------------------


def test_who_comes_without_a_cookie_is_asked_for_the_session() -> None:
    one = pair()
    said = one.decoded()
    assert said[0] == {"message": "waiting for session"}
    assert [message.get("topic") for message in said[1:4]] == ["system", "act", "sts"]
    assert one.protocol.phase is Phase.SUBSCRIBE
    assert one.server.auth_frames == 1


def test_a_cookie_is_as_good() -> None:
    server = gateway()
    talk = Ibkr.conversation(server.shared, 0.0)
    talk.greet(Request("nonce", f"{BASE}/ws", "", {"cookie": f'api={{"session":"{SESSION}"}}'}), 0.0)
    assert b'"sts"' in payloads(talk.take_outgoing())[-1]


def test_commands_before_the_session_are_dropped_without_a_word() -> None:
    server = gateway()
    talk = Ibkr.conversation(server.shared, 0.0)
    talk.greet(Request("nonce", f"{BASE}/ws"), 0.0)
    talk.take_outgoing()
    talk.receive([b'smd+265598+{"fields":["31"]}'], 0.0)
    assert (talk.take_outgoing(), talk.symbols) == ([], frozenset())
    talk.receive([b"{", b'{"session":"of another"}'], 0.0)
    assert payloads(talk.take_outgoing()) == [b'{"error":"unknown command","code":0}'] * 2


def test_what_is_no_command_is_an_error() -> None:
    one = pair()
    rubbish = [
        b"{",
        b"\xff",
        b"[1]",
        b'{"session":5}',
        b"smd+AAPL+{}",
        b"smd+1",
        b'{"session":"other"}',
        b"smd+265598+{}",
        b"smd+265598+{1}",
    ]
    assert [one.say_bytes(said)[0] for said in rubbish] == [{"error": "unknown command", "code": 0}] * len(rubbish)
    one.server.unreadable()
    assert len(payloads(one.server.take_outgoing())) == 1
    assert one.say_bytes(b"tic")[0]["topic"] == "tic"


def test_the_end_of_a_subscription_is_not_confirmed() -> None:
    one = pair()
    one.steps(1)
    assert one.server.symbols == {"AAPL", "IBM"}
    assert one.say_bytes(b"umd+265598+{}") == one.say_bytes(b"umd+99+{}") == []
    assert one.server.symbols == {"IBM"}


def test_heartbeats_come_every_ten_seconds() -> None:
    one = pair()
    for _ in range(40):
        one.wait(1.0)
    assert len([message for message in one.decoded() if "hb" in message]) == 4
    assert one.server.next_deadline() is not None
    quick = pair(heartbeat_s=1.0)
    quick.wait(1.0)
    assert any("hb" in message for message in quick.decoded())


def test_lines_have_a_limit() -> None:
    one = pair("AAPL", "MSFT", "IBM", max_symbols=2)
    one.steps(3)
    assert one.protocol.refused == {"IBM": "Max number of market data lines reached"}


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


def test_quotes_are_whole_although_only_changes_are_sent() -> None:
    one = pair()
    one.steps(30)
    quotes = one.all(Quote)
    assert {quote.symbol for quote in quotes} == set(BOTH)
    assert one.protocol.active == BOTH
    for quote in quotes[10:]:
        assert decimal(quote.ask) - decimal(quote.bid) == decimal(quote.spread) > 0
        assert "." not in text(quote.bid_size) + text(quote.ask_size)
        assert quote.last is not None
    assert [notice.code for notice in one.all(Notice)] == ["contract"]
    sizes = [len(message.keys() & {"31", "84", "85", "86", "88"}) for message in one.decoded() if "conid" in message]
    assert min(sizes) <= 1 < max(sizes)


def test_trades_are_what_was_traded() -> None:
    one = pair("AAPL", channel=Channel.TRADES)
    one.steps(30)
    trades = one.all(Trade)
    assert len(trades) >= 50
    assert all(trade.size is not None and trade.side is None and trade.trade_id is None for trade in trades)


def test_recorded_events_come_back_as_they_were() -> None:
    ts, price, size = Timestamp(START_NS + 10**9), number("1.50"), number("200")
    items: list[Item] = [
        Quote("ibkr", "AAPL", ts, ts, price, size, number("1.60"), None, None, number("1.55")),
        Quote("ibkr", "AAPL", ts, ts, None, None, number("1.60"), size),
        Trade("ibkr", "AAPL", ts, ts, number("1.57")),
        Bar("ibkr", "AAPL", ts, ts, "1m", price, price, price, price),
    ]
    one = pair("AAPL")
    one.wait(1.0)
    one.server.deliver(one.counterpart.round(items), 1.0)
    one.wait(0.0)
    found = [
        tuple(None if value is None else text(value) for value in (q.bid, q.bid_size, q.ask, q.ask_size, q.last))
        for q in one.all(Quote)
    ]
    assert found == [
        ("1.50", "200", "1.60", None, "1.55"), (None, None, "1.60", "200", "1.55"), (None, None, "1.60", "200", "1.57")
    ]  # fmt: skip


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("not-logged-in", InvalidKey), ("competing", ConnectionLimit), ("no-bridge", ProviderError),
     ("pacing", RateLimited), ("symbol-limit", SymbolRefused)],
)  # fmt: skip
def test_each_refusal_ends_our_protocol(fault: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as raised:
        pair(faults=(fault,)).steps(1)
    assert type(raised.value) is kind


def test_without_a_status_there_is_no_subscription() -> None:
    one = pair(faults=("no-auth-reply",))
    with pytest.raises(AuthTimeout):
        one.wait(10.0)


def test_a_session_that_is_lost_can_be_opened_again() -> None:
    one = pair(faults=("session-lost@6",))
    with pytest.raises(ProviderError, match="has ended"):
        one.steps(5)
    assert one.counterpart.plain(Plain("POST", f"{BASE}/iserver/auth/ssodh/init")) is not None
    one.heard.clear()
    one.server.tick(one.now + 1.0)
    assert b'"authenticated":true' in payloads(one.server.take_outgoing())[0]


@pytest.mark.parametrize("channel", [Channel.QUOTES, Channel.TRADES])
def test_a_silent_stop_is_noticed_renewed_and_shown_as_a_gap(channel: Channel) -> None:
    one = pair("AAPL", channel=channel, faults=("silent-stop@20",))
    one.at_ns += int(16.7 * 3600 * 1e9)  # New York trades
    one._ts = lambda: Timestamp(START_NS + round((one.now + 16.7 * 3600) * 1e9))  # type: ignore[method-assign]  # the clock of the test
    one.steps(12)
    before = one.market[-1]
    assert one._ts() - before.ts_recv >= 2 * 10**9, "nothing comes any more"
    one.steps(int(SILENT_S) + 10)
    (gap,) = one.all(Gap)
    assert (gap.symbols, gap.reason, gap.start) == (("AAPL",), "disconnect", before.ts_recv)
    assert [notice.code for notice in one.all(Notice)] == ["contract", "silent_stop"]
    assert one.market[-1].ts_recv > gap.end


def test_no_subscription_lasts_longer_than_fifteen_minutes_and_ours_do() -> None:
    one = pair("AAPL")
    for _ in range(int(SILENT_AFTER_S) + 60):
        one.steps(1)
    assert one.server.symbols == {"AAPL"}
    assert one.all(Gap) == []
    quotes = one.all(Quote)
    assert quotes[-1].ts_recv - quotes[0].ts_recv > SILENT_AFTER_S * 1e9
    idle = gateway()
    talk = Ibkr.conversation(idle.shared, 0.0)
    talk.greet(Request("nonce", f"{BASE}/ws", "", {"cookie": SESSION}), 0.0)
    talk.receive([b'smd+265598+{"fields":["31"]}'], 0.0)
    ts = Timestamp(START_NS)
    quotes_of = [Quote("ibkr", "AAPL", ts, ts, last=number(price)) for price in ("1.5", "1.6")]
    talk.tick(SILENT_AFTER_S - 1)
    talk.take_outgoing()
    talk.deliver(idle.round(quotes_of[:1]), SILENT_AFTER_S - 1)
    assert talk.take_outgoing()
    talk.tick(SILENT_AFTER_S)
    talk.take_outgoing()
    talk.deliver(idle.round(quotes_of[1:]), SILENT_AFTER_S)
    talk.tick(SILENT_AFTER_S + 1)
    assert talk.take_outgoing() == []


def test_a_connection_may_end_while_the_session_is_shown() -> None:
    one = pair(faults=("drop@auth",))
    assert one.server.ending is not None
    assert [message.get("topic") for message in one.decoded()[1:]] == []
    assert one.server.symbols == frozenset()


def test_delayed_data_and_halts_are_said() -> None:
    one = pair("AAPL", faults=("delayed", "halted@5"))
    one.steps(10)
    codes = [notice.code for notice in one.all(Notice)]
    assert codes.count("availability") == 1
    assert "halted" in codes


def test_no_confirmation_is_said_and_data_flows() -> None:
    one = pair("AAPL", faults=("no-ack",))
    one.steps(3)
    assert len(one.all(Quote)) > 3


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments",
})  # fmt: skip
"""No protocol gets to see them."""
NO_DATA = frozenset({
    "not-logged-in", "session-lost", "competing", "no-bridge", "pacing", "symbol-limit", "no-auth-reply", "no-data",
    "no-heartbeat", "mute", "blackhole", "silent-stop",
})  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    sorted(
        name for name, kind in COUNTERPART.faults().items()
        if kind.sort != "http" and name not in OF_FRAMES | NO_DATA and not name.startswith("close-")
    ),
)  # fmt: skip
def test_data_survives_every_fault_that_leaves_some(fault: str) -> None:
    one = pair("AAPL", faults=(f"{fault}@2",) if COUNTERPART.faults()[fault].sort == "event" else (fault,))
    one.steps(10)
    assert len(one.market) > 10 or one.server.ending is not None
    assert all(isinstance(event, MarketEvent | Notice) for event in one.events)
