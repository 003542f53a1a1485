"""FCS API, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.simulator.candles import M1
from tests.simulator.client import client
from tests.simulator.talking import START_NS, Pair
from tickstream.errors import AuthTimeout, InvalidKey, SessionStale, SymbolRefused
from tickstream.events import Bar, BookSnapshot, Gap, Notice, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.fcs import COUNTERPART, IDLE_S, PING_S, opening
from tickstream.simulator.market import M1Replay
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending
from tickstream.simulator.server import Simulator
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp, parse_rfc3339, rfc3339

PRICES = ("1.10", "1.30", "1.0", "1.20", "7.50", "1.20", "1.21", "0.01")
BOTH = ("FX:EURUSD", "BINANCE:BTCUSDT")


def pair(*symbols: str, channel: Channel = Channel.BARS, interval: str = "1m", **how: Any) -> Pair:
    return Pair("fcs", channel, *(symbols or BOTH), settings={"interval": interval}, **how)


# --- the conversation ------------------------------------------------------------------------------------------------


def test_a_good_key_is_welcomed_and_each_room_is_confirmed_as_the_readme_shows_it() -> None:
    one = pair(interval="1d")
    assert one.protocol.active == BOTH
    welcome, confirmation, profile, *_ = one.decoded()
    assert welcome == {"type": "welcome"}
    assert confirmation == {
        "type": "message", "success": True, "message": "Successfully joined room: FX:EURUSD_1D_0s",
        "room": "FX:EURUSD_1D_0s", "symbol": "EURUSD", "timeframe": "1D", "short": "joined_room",
    }  # fmt: skip
    assert profile == {
        "type": "price", "symbol": "FX:EURUSD", "timeframe": "1D", "prices": {"mode": "profile", "profile": {
            "current_session": "market", "timezone": "Etc/UTC", "pro_name": "FX:EURUSD", "update_mode": "streaming"}},
    }  # fmt: skip


@pytest.mark.parametrize("keys", [("other",), ("A-KEY",)])
def test_a_key_that_is_not_known_gets_an_error_in_place_of_the_welcome(keys: tuple[str, ...]) -> None:
    with pytest.raises(InvalidKey, match="Invalid API key"):
        pair(keys=keys)


def test_a_key_that_is_known_is_found_behind_its_percent_signs() -> None:
    assert pair(key="a&b=c %+", keys=("a&b=c %+",)).protocol.active == BOTH


def test_an_empty_key_is_none() -> None:
    with Simulator(SimulatorOptions(provider="fcs")) as sim, client(sim) as one:
        assert one.receive() == {"type": "error", "message": "Invalid API key", "short": "invalid_key"}


def test_what_cannot_be_read_is_an_error_and_the_connection_stays() -> None:
    one = pair()
    rubbish = [b"{", b"[]", b"7", b"\xff", b"{}", b'{"type":"dance"}', b'{"type":"join_symbol","symbol":5}']
    assert [one.say_bytes(message) for message in rubbish] == [[{"type": "error", "message": "Invalid message"}]] * 7
    assert one.server.ending is None


def test_every_spelling_of_a_timeframe_is_echoed_and_other_words_are_refused() -> None:
    one = pair("FX:EURUSD")
    for spelling in ("1m", "60", "1H", "D"):
        confirmation, _ = one.say(type="join_symbol", symbol="FX:USDJPY", timeframe=spelling)
        assert (confirmation["timeframe"], confirmation["room"]) == (spelling, f"FX:USDJPY_{spelling}_0s")
    for symbol, timeframe in (("FX:USDJPY", "7"), ("FX:USDJPY", "soon"), ("FX:NOSUCH", "1")):
        (refusal,) = one.say(type="join_symbol", symbol=symbol, timeframe=timeframe)
        assert (refusal["success"], refusal["short"]) == (False, "invalid_symbol")


def test_a_symbol_without_its_exchange_is_understood_where_only_one_has_it() -> None:
    one = pair("FX:EURUSD")
    confirmation, _ = one.say(type="join_symbol", symbol="BTCUSDT", timeframe="1")
    assert confirmation["room"] == "BINANCE:BTCUSDT_1_0s"
    (refusal,) = one.say(type="join_symbol", symbol="LTCUSDT", timeframe="1")
    assert refusal["success"] is False


def test_joining_twice_begins_anew_and_leaving_ends_it() -> None:
    one = pair("FX:EURUSD")
    one.steps(1)
    assert len(one.say(type="join_symbol", symbol="FX:EURUSD", timeframe="1")) == 2
    one.steps(1)
    modes = [message["prices"]["mode"] for message in one.decoded() if message["type"] == "price"]
    assert modes == ["profile", "initial", "candle", "askbid", "initial", "candle", "askbid"]
    (left,) = one.say(type="leave_symbol", symbol="FX:EURUSD", timeframe="1")
    assert (left["short"], left["success"]) == ("left_room", True)
    assert one.server.symbols == frozenset()


def test_all_rooms_are_left_at_once() -> None:
    one = pair()
    assert one.say(type="remove_all") == []
    one.steps(3)
    assert one.market == []


def test_it_pings_and_answers_pings_and_a_client_that_says_nothing_is_closed() -> None:
    one = pair()
    assert one.say(type="ping", timestamp=5) == [{"type": "pong"}]
    assert one.say(type="pong", timestamp=5) == []
    for _ in range(8):
        one.wait(PING_S / 2)
    assert [message for message in one.decoded() if message["type"] == "ping"] == [{"type": "ping"}] * 4
    talk: Conversation = COUNTERPART.conversation(one.counterpart.shared, 0.0)
    assert talk.next_deadline() == PING_S
    talk.tick(PING_S)
    talk.ping(b"")
    talk.tick(IDLE_S - 1)
    talk.tick(IDLE_S)
    assert not talk.ending, "a ping frame is a sign of life"
    talk.tick(2 * IDLE_S)
    assert talk.ending == Ending(1008, "idle")
    talk.tick(3 * IDLE_S)


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


def test_bars_grow_to_the_end_of_their_minute() -> None:
    one = pair()
    one.steps(130)
    bars = [bar for bar in one.all(Bar) if bar.symbol == "FX:EURUSD"]
    assert len(bars) == 261, "a candle and a bid and ask each second, and before them the first candle"
    assert {rfc3339(bar.ts_event)[11:16] for bar in bars} == {"00:00", "00:01", "00:02"}
    for before, after in pairwise(bars[1:]):
        if before.ts_event == after.ts_event:
            assert text(before.open) == text(after.open)
            assert decimal(before.volume) <= decimal(after.volume)
            assert decimal(before.low) >= decimal(after.low)
            assert decimal(before.high) <= decimal(after.high)
    assert all(decimal(bar.bid) < decimal(bar.ask) for bar in bars[1:])
    assert (bars[0].bid, bars[0].volume) == (None, None)


def test_quotes_have_their_time_where_it_is_known() -> None:
    one = pair("FX:EURUSD", channel=Channel.QUOTES)
    one.steps(3)
    times = [quote.ts_event and (quote.ts_event - START_NS) // 10**9 for quote in one.all(Quote)]
    assert times == [None, None, 1, None, 2, None, 3]


@pytest.mark.parametrize(
    ("timeframe", "moment", "begins"),
    [
        ("1", "2026-06-24T14:54:31Z", "2026-06-24T14:54:00"), ("15m", "2026-06-24T14:54:31Z", "2026-06-24T14:45:00"),
        ("4H", "2026-06-24T14:54:31Z", "2026-06-24T12:00:00"), ("1D", "2026-06-24T14:54:31Z", "2026-06-24T00:00:00"),
        ("1W", "2026-06-24T14:54:31Z", "2026-06-22T00:00:00"), ("1W", "2026-06-22T00:00:00Z", "2026-06-22T00:00:00"),
        ("1W", "2026-06-21T23:59:59Z", "2026-06-15T00:00:00"), ("1M", "2026-06-24T14:54:31Z", "2026-06-01T00:00:00"),
    ],
)  # fmt: skip
def test_candles_begin_when_people_expect_it(timeframe: str, moment: str, begins: str) -> None:
    assert rfc3339(opening(parse_rfc3339(moment), timeframe))[:19] == begins


def test_replayed_minutes_keep_their_prices() -> None:
    market = M1Replay(M1)
    one = pair("EURUSD", source=market)
    assert one.protocol.refused == {}
    items, _ = market.items(market.first_ns, market.first_ns + 10**15, ["EURUSD"], 5)
    one.server.deliver(one.counterpart.round(items), 0.0)
    one.wait(0.0)
    closes = [text(bar.close) for bar in one.all(Bar)]
    assert [close for at, close in enumerate(closes) if at % 2] == [item.close for item in items]


def test_recorded_events_come_back_as_they_were() -> None:
    ts = Timestamp(START_NS + 10**9)
    one = pair("FX:EURUSD", interval="1h")
    prices = [number(value) for value in PRICES]

    def made(interval: str) -> Bar:
        opened, high, low, close, volume, bid, ask, spread = prices
        opens = Timestamp(START_NS)
        return Bar("fcs", "FX:EURUSD", opens, ts, interval, opened, high, low, close, volume, bid, ask, spread)

    bar = made("1h")
    others = [
        made("15m"), made("7m"), Trade("fcs", "FX:EURUSD", ts, ts, prices[0]),
        BookSnapshot("fcs", "FX:EURUSD", ts, ts, (), ()),
    ]  # fmt: skip
    one.server.deliver(one.counterpart.round([bar, *others]), 0.0)
    one.wait(0.0)
    _, again = one.all(Bar)
    for name in ("ts_event", "interval", "open", "high", "low", "close", "volume", "bid", "ask", "spread"):
        assert getattr(again, name) == getattr(bar, name), name
    one = pair("FX:EURUSD", channel=Channel.QUOTES)
    quote = Quote("fcs", "FX:EURUSD", ts, ts, prices[0], None, prices[1], None, number("0.20"), prices[3])
    bare = Quote("fcs", "FX:EURUSD", None, ts, prices[0])
    one.server.deliver(one.counterpart.round([quote, bare]), 0.0)
    one.wait(0.0)
    first, second = one.all(Quote)
    for name in ("ts_event", "bid", "ask", "spread", "last"):
        assert getattr(first, name) == getattr(quote, name), name
    assert (second.bid, second.ask, second.last, second.ts_event) == (prices[0], None, None, ts)


# --- faults ----------------------------------------------------------------------------------------------------------


def test_confirmations_may_name_the_whole_symbol() -> None:
    one = pair(faults=("whole-symbols",))
    assert one.decoded()[1]["symbol"] == "FX:EURUSD"
    assert one.protocol.active == BOTH


def test_a_closed_market_is_said() -> None:
    one = pair("FX:EURUSD", faults=("closed-session",))
    assert [notice.code for notice in one.all(Notice)] == ["session"]


def test_a_key_that_is_echoed_is_masked() -> None:
    for fault in ("invalid-key", "echo-key"):
        with pytest.raises(InvalidKey) as raised:
            pair(key="tk_canary_7f3d9e1b5a", faults=(fault,))
        assert "canary" not in str(raised.value)


def test_without_a_welcome_there_is_an_end() -> None:
    one = pair(faults=("no-auth-reply",))
    with pytest.raises(AuthTimeout):
        one.wait(10)


def test_a_server_that_answered_once_and_is_mute_is_dead() -> None:
    one = pair("FX:EURUSD", faults=("mute@1",))
    one.steps(2)
    one.protocol.receive([b'{"type":"pong"}'], Timestamp(START_NS), one.now)
    one.wait(60)
    with pytest.raises(SessionStale):
        one.wait(20)


@pytest.mark.parametrize("fault", ["partial-ack", "invalid-symbol"])
def test_a_fault_of_each_request_hits_each_symbol_for_each_is_asked_for_alone(fault: str) -> None:
    with pytest.raises(SymbolRefused):
        pair(faults=(fault,))


@pytest.mark.parametrize("fault", ["no-ack", "no-heartbeat", "duplicate", "out-of-order", "crossed", "skew"])
def test_what_others_have_it_has_too(fault: str) -> None:
    one = pair(faults=(fault,))
    one.steps(6)
    assert {bar.symbol for bar in one.all(Bar)} == set(BOTH)
    assert one.all(Gap) == []


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments",
})  # fmt: skip
"""No protocol gets to see them."""
NO_DATA = frozenset({"invalid-key", "echo-key", "no-auth-reply", "no-data", "invalid-symbol", "partial-ack"})


@pytest.mark.parametrize(
    "name",
    [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES | NO_DATA],
)
def test_after_any_other_fault_there_is_data_or_had_been(name: str) -> None:
    moment = COUNTERPART.faults()[name].when.replace("10", "2")
    one = pair(faults=(f"{name}@{moment}",))
    one.steps(4)
    assert one.market


def test_two_clients_with_two_timeframes_each_get_their_own() -> None:
    with Simulator(SimulatorOptions(provider="fcs", speed=120.0, market_hours="ignore", keys=("k",))) as sim:
        assert sim.url.endswith("/ws")
        url = f"{sim.url}?access_key=k"
        with connect(url, proxy=None) as first, connect(url, proxy=None) as second:
            for ws, timeframe in ((first, "1m"), (second, "1D")):
                ws.send(f'{{"type":"join_symbol","symbol":"FX:EURUSD","timeframe":"{timeframe}"}}')
            for ws, timeframe in ((first, "1m"), (second, "1D")):
                heard = [str(ws.recv(10)) for _ in range(8)]
                assert all(f'"timeframe":"{timeframe}"' in message for message in heard[1:])
