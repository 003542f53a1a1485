"""Polygon, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.simulator.talking import START_NS, Pair
from tickstream.errors import AuthTimeout, ConnectionLimit, Forbidden, InvalidKey, SymbolRefused
from tickstream.events import Bar, BookSnapshot, Notice, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.providers.base import Phase
from tickstream.providers.polygon import SPEC, TOPICS, cluster_of
from tickstream.simulator.outgoing import Ending
from tickstream.simulator.polygon import AUTH_DEADLINE_S, COUNTERPART, payload_of, topic_of
from tickstream.simulator.random_market import RandomMarket
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

TS = Timestamp(START_NS)
STOCKS = ("AAPL", "BRK.B")


def pair(*symbols: str, channel: Channel = Channel.TRADES, interval: str = "1m", **how: Any) -> Pair:
    return Pair("polygon", channel, *(symbols or STOCKS), settings={"interval": interval}, **how)


def said(one: Pair) -> list[tuple[str, str]]:
    """Status and message of all that is about the conversation."""
    frames: list[Any] = one.decoded()
    messages = [message for frame in frames for message in frame]
    return [(each["status"], each["message"]) for each in messages if each["ev"] == "status"]


def say(one: Pair, action: str, params: str) -> list[Any]:
    """The messages of all answers to a request."""
    answers: list[Any] = one.say(action=action, params=params)
    return [message for answer in answers for message in answer]


def bar(symbol: str, interval: str, volume: str | None = None) -> Bar:
    price = number("1.50")
    return Bar("polygon", symbol, TS, TS, interval, price, price, price, price, number(volume) if volume else None)


# --- the conversation ------------------------------------------------------------------------------------------------


def test_a_greeting_a_key_and_a_success_for_each_topic_one_frame_each() -> None:
    one = pair()
    assert said(one) == [
        ("connected", "Connected Successfully"), ("auth_success", "authenticated"),
        ("success", "subscribed to: T.AAPL"), ("success", "subscribed to: T.BRK.B"),
    ]  # fmt: skip
    assert [len(frame) for frame in one.decoded()] == [1, 1, 2]
    assert one.protocol.active == STOCKS


def test_a_key_that_is_not_known_is_refused_and_so_is_none() -> None:
    with pytest.raises(InvalidKey):
        pair(keys=("other",))
    one = pair(keys=("a-key",))
    assert one.protocol.active == STOCKS
    (refusal,) = say(one, "auth", "")
    assert refusal["status"] == "auth_failed"


def test_what_cannot_be_read_is_an_error_and_the_connection_stays() -> None:
    one = pair()
    error: Any = [[{"ev": "status", "status": "error", "message": "invalid request"}]]
    for rubbish in (b"{", b"[]", b"7", b"\xff", b'{"action":"dance"}', b'{"action":5}'):
        assert one.say_bytes(rubbish) == error
    assert one.server.ending is None


def test_nothing_is_given_before_the_key_and_who_has_none_is_closed() -> None:
    talk: Any = COUNTERPART.conversation(pair().counterpart.shared, 0.0)
    talk.receive([b'{"action":"subscribe","params":"T.AAPL"}'], 0.0)
    assert (talk.topics, talk.next_deadline()) == ({}, AUTH_DEADLINE_S)
    talk.tick(AUTH_DEADLINE_S - 1)
    assert not talk.ending
    talk.tick(AUTH_DEADLINE_S)
    assert talk.ending == Ending(1008)
    assert b"auth_timeout" in talk.take_outgoing()[-1].payload


@pytest.mark.parametrize("topic", ["T.NOSUCH", "XT.BTC-USD", "T.BTC-USD", "AAPL", "FMV.AAPL"])
def test_topics_that_the_endpoint_does_not_have_are_not_found(topic: str) -> None:
    assert say(pair(), "subscribe", topic) == [
        {"ev": "status", "status": "not_found", "message": f"not found: {topic}"}
    ]


def test_topics_are_left_one_by_one_or_all_at_once() -> None:
    one = pair()
    one.say(action="subscribe", params="Q.AAPL")
    (left,) = say(one, "unsubscribe", "T.AAPL")
    assert left["message"] == "unsubscribed to: T.AAPL"
    assert list(one.server.topics) == ["T.BRK.B", "Q.AAPL"]
    one.say(action="unsubscribe", params="T.*,Q.MSFT")
    assert list(one.server.topics) == ["Q.AAPL"]


def test_pairs_of_currencies_may_have_a_hyphen() -> None:
    one = pair("EUR/USD", channel=Channel.QUOTES)
    one.say(action="subscribe", params="C.GBP-USD")
    assert one.server.symbols == {"EUR/USD", "GBP/USD"}


@pytest.mark.parametrize(("wildcard", "some"), [("*", "AAPL"), ("*/*", "EUR/USD"), ("*-*", "BTC-USD")])
def test_a_wildcard_is_all_that_the_endpoint_has(wildcard: str, some: str) -> None:
    one = pair(wildcard, channel=Channel.QUOTES)
    one.steps(1)
    known = {symbol for symbol in COUNTERPART.known if cluster_of(symbol) == cluster_of(some)}
    assert {event.symbol for event in one.market} == known >= {some}


def test_some_endpoints_have_no_wildcard() -> None:
    one = pair("I:SPX", channel=Channel.BARS)
    assert say(one, "subscribe", "AM.*")[0]["status"] == "not_found"


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD"])
def test_trades_and_quotes_arrive_as_they_were_made(symbol: str) -> None:
    for channel, kind, count in ((Channel.TRADES, Trade, 2), (Channel.QUOTES, Quote, 1)):
        one = pair(symbol, channel=channel)
        one.steps(30)
        assert {type(event) for event in one.market} == {kind}
        assert len(one.market) == 30 * count
        assert one.protocol.counters.quarantined == one.protocol.counters.unknown == 0


def test_trades_of_stocks_have_whole_shares_and_numbers_with_holes_and_those_of_crypto_sides() -> None:
    stocks, coins = pair("AAPL"), pair("BTC-USD")
    stocks.steps(5)
    coins.steps(5)
    shares = [trade.size for trade in stocks.all(Trade)]
    assert all(decimal(size) == int(decimal(size)) >= 1 for size in shares)
    numbers = [trade.sequence for trade in stocks.all(Trade)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - numbers[0] > len(numbers)
    assert {trade.side for trade in stocks.all(Trade)} == {None}
    assert {trade.side for trade in coins.all(Trade)} == {"buy", "sell"}
    assert all(trade.trade_id.startswith("4:") for trade in stocks.all(Trade) + coins.all(Trade))


@pytest.mark.parametrize("symbol", ["AAPL", "I:SPX", "EUR/USD", "BTC-USD"])
def test_bars_come_once_each_at_their_end(symbol: str) -> None:
    minutes, seconds = (pair(symbol, channel=Channel.BARS, interval=interval) for interval in ("1m", "1s"))
    for one in (minutes, seconds):
        one.steps(120)
    first, second = minutes.all(Bar)
    assert (first.ts_event, second.ts_event, first.interval) == (START_NS, START_NS + 60 * 10**9, "1m")
    every = seconds.all(Bar)
    assert ([bar.ts_event for bar in every], {bar.interval for bar in every}) == (
        [START_NS + at * 10**9 for at in range(120)], {"1s"},
    )  # fmt: skip
    assert decimal(first.high) == max(decimal(bar.high) for bar in every[:60])
    assert (first.open, second.close) == (every[0].open, every[-1].close)


def test_a_market_of_minutes_has_no_bars_of_seconds() -> None:
    for interval, count in (("1m", 3), ("1s", 0)):
        one = pair(channel=Channel.BARS, interval=interval, source=RandomMarket(known=STOCKS))
        one.steps(3)
        assert len(one.all(Bar)) == count * len(STOCKS)
        assert all(b"." not in bytes(bar.volume) for bar in one.all(Bar))


@pytest.mark.parametrize(
    "event",
    [
        Trade("polygon", "AAPL", TS, TS, number("1.50"), number("3"), None, "4.202:77", 9),
        Trade("polygon", "AAPL", TS, TS, number("1.50")),
        Trade("polygon", "BTC-USD", TS, TS, number("1.50"), number("0.10"), "sell", "3:77"),
        Quote(
            "polygon", "AAPL", TS, TS, number("1.50"), number("3"), number("1.60"), number("4"), number("0.10"), None, 8
        ),
        Quote("polygon", "AAPL", TS, TS, number("1.50"), number("3")),
        Quote("polygon", "EUR/USD", TS, TS, number("1.50"), None, number("1.60"), None, number("0.10")),
        bar("AAPL", "1s", "7"),
        bar("I:SPX", "1m"),
    ],
)
def test_an_event_that_was_captured_makes_the_message_it_came_in(event: Any) -> None:
    channels: dict[Any, Channel] = {Trade: Channel.TRADES, Quote: Channel.QUOTES, Bar: Channel.BARS}
    one = pair(event.symbol, channel=channels[type(event)], interval=getattr(event, "interval", "1m"))
    one.server.deliver(one.counterpart.round([event]), 0.0)
    one.wait(0)
    (again,) = one.market
    assert msgspec.structs.replace(again, ts_recv=TS) == event


def test_what_the_endpoint_does_not_have_is_not_sent() -> None:
    counterpart = pair().counterpart
    book = BookSnapshot("polygon", "AAPL", TS, TS, (), ())
    trade = Trade("polygon", "EUR/USD", TS, TS, number("1.5"))
    assert counterpart.round([book, trade, bar("AAPL", "1h")]).pushes == []
    assert topic_of(trade) is None


def test_unknown_prices_are_left_out() -> None:
    payload = payload_of(Quote("polygon", "AAPL", TS, TS, None, None, number("1.60")))
    assert b'"bp"' not in payload
    assert b'"ap":1.60' in payload


def test_prices_have_the_decimals_of_the_symbol() -> None:
    one = pair("EUR/USD", "USD/JPY", channel=Channel.QUOTES)
    one.steps(1)
    found = {quote.symbol: len(text(quote.bid).partition(".")[2]) for quote in one.all(Quote)}
    assert found == {"EUR/USD": 5, "USD/JPY": 3}


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error"),
    [("invalid-key", InvalidKey), ("echo-key", InvalidKey), ("auth-timeout", AuthTimeout), ("forbidden", Forbidden),
     ("connection-limit", ConnectionLimit), ("invalid-symbol", None)],
)  # fmt: skip
def test_a_refusal_is_read_as_what_it_is(fault: str, error: type[Exception] | None) -> None:
    if error is None:
        with pytest.raises(SymbolRefused):
            pair("NOSUCH", faults=(fault,))
    else:
        with pytest.raises(error):
            pair(faults=(fault,))


def test_too_many_connections_are_noticed_after_everything_was_accepted() -> None:
    one = pair("AAPL")
    one.server.crowded = True  # type: ignore[attr-defined]  # what the fault does
    assert [each["status"] for each in say(one, "subscribe", "T.MSFT")] == ["success", "max_connections"]
    assert one.server.ending == Ending(1008)


def test_a_connection_that_is_evicted_says_why() -> None:
    one = pair(faults=("evicted@4",))
    with pytest.raises(ConnectionLimit):
        one.steps(3)


def test_no_answer_to_the_key_is_a_timeout() -> None:
    one = pair(faults=("no-auth-reply",))
    assert one.protocol.phase is Phase.AUTH
    with pytest.raises(AuthTimeout):
        one.wait(AUTH_DEADLINE_S)


@pytest.mark.parametrize("fault", ["invalid-symbol", "partial-ack"])
def test_symbols_that_are_not_served_are_told_and_the_others_go_on(fault: str) -> None:
    one = pair("AAPL", "MSFT", faults=(fault,))
    one.steps(12)
    assert len({event.symbol for event in one.market}) == 1


def test_without_confirmations_data_does() -> None:
    one = pair(faults=("no-ack",))
    one.steps(12)
    assert one.protocol.phase is Phase.LIVE
    assert {event.symbol for event in one.market} == set(STOCKS)
    assert one.all(Notice) == []


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments",
})  # fmt: skip
"""No protocol gets to see them."""
NO_DATA = frozenset({
    "invalid-key", "echo-key", "auth-timeout", "forbidden", "connection-limit", "no-auth-reply", "no-data", "evicted",
})  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES | NO_DATA],
)
def test_after_any_other_fault_there_is_data_or_had_been(name: str) -> None:
    one = pair(faults=(f"{name}@{COUNTERPART.faults()[name].when.replace('10', '2')}",))
    one.steps(4)
    assert one.market


def test_every_endpoint_is_served() -> None:
    assert {path.strip("/") for path in (COUNTERPART.path, *COUNTERPART.paths)} == set(TOPICS)
    assert set(COUNTERPART.known) < set(SPEC.common_symbols)
