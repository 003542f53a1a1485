"""AllTick, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.sync.client import connect

from tests.simulator.candles import payloads
from tests.simulator.talking import START_NS, Pair
from tickstream.errors import Forbidden, InvalidKey, RateLimited, SessionStale, SymbolRefused, UsageError
from tickstream.events import Bar, BookSnapshot, Gap, Notice, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook
from tickstream.providers.alltick_wire import OTHERS, SIMPLE, STOCKS
from tickstream.simulator.alltick import COUNTERPART, IDLE_S, TOKEN_S, AllTick
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending
from tickstream.simulator.random_market import RandomMarket
from tickstream.simulator.server import Simulator
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp

BOTH = ("BTCUSDT", "EURUSD")
STOCK_PAIR = ("AAPL.US", "700.HK")


def pair(*symbols: str, channel: Channel = Channel.TRADES, **how: Any) -> Pair:
    return Pair("alltick", channel, *(symbols or BOTH), **how)


def ask(one: Pair, command: int, data: object, **changes: object) -> list[dict[str, Any]]:
    """A command, a while after the last one."""
    one.now += TOKEN_S
    return one.say(**{"cmd_id": command, "seq_id": 7, "trace": "t", "data": data, **changes})


def codes(*names: str, **more: object) -> dict[str, object]:
    return {"symbol_list": [{"code": name, **more} for name in names]}


class Server:
    """A server and its connections, without clients of ours."""

    def __init__(self, **options: Any) -> None:
        market = RandomMarket(form=COUNTERPART.form, listed=COUNTERPART.listed, known=COUNTERPART.known)
        self.counterpart = COUNTERPART(SimulatorOptions(provider="alltick", **options), market, START_NS)

    def open(self, path: str = OTHERS, token: str = "k", now: float = 0.0) -> Conversation:
        talk: Conversation = AllTick.conversation(self.counterpart.shared, now)
        talk.greet(Request("nonce", path, f"token={token}"), now)
        return talk


# --- the conversation ------------------------------------------------------------------------------------------------


def test_heartbeats_and_lists_are_answered_with_what_they_came_with() -> None:
    one = pair()
    assert one.protocol.active == BOTH
    assert one.decoded()[:2] == [
        {"ret": 200, "msg": "ok", "cmd_id": 22001, "seq_id": 1, "trace": "tickstream-1-1", "data": {}},
        {"ret": 200, "msg": "ok", "cmd_id": 22005, "seq_id": 2, "trace": "tickstream-1-2", "data": {}},
    ]
    asked: tuple[object, ...] = ({}, [], {"symbol_list": None}, None)
    for data in asked:
        assert one.say(cmd_id=22000, seq_id=5, trace="x", data=data)[0]["cmd_id"] == 22001


def test_what_cannot_be_read_is_answered_with_the_number_0() -> None:
    one = pair()
    rubbish = [b"{", b"[]", b"\xff", b"{}", b'{"cmd_id":22000}', b'{"cmd_id":"22000","seq_id":1,"trace":""}',
               b'{"cmd_id":22005,"seq_id":1,"trace":""}']  # fmt: skip
    expected = {"ret": 201, "msg": "request header param invalid", "cmd_id": 0, "seq_id": 0, "trace": "", "data": {}}
    assert [one.say_bytes(message) for message in rubbish] == [[expected]] * len(rubbish)
    one.server.unreadable()
    assert len(payloads(one.server.take_outgoing())) == 1


@pytest.mark.parametrize(
    ("command", "data", "ret"),
    [
        (22004, codes("BTCUSDT"), 200), (22004, codes("NOSUCH"), 600), (22004, codes("AAPL.US"), 600),
        (22004, codes("btcusdt"), 600), (22004, codes("AAPL"), 600), (22004, {"symbol_list": [{"symbol": "A"}]}, 400),
        (22002, codes("BTCUSDT", depth_level=3), 200), (22002, codes("BTCUSDT", depth_level="x"), 400),
        (22004, None, 400), (22006, {"cancel_type": 0}, 200), (22006, {"cancel_type": 7}, 400), (22006, [], 400),
    ],
)  # fmt: skip
def test_each_command_has_its_answer(command: int, data: object, ret: int) -> None:
    (answer,) = ask(pair(), command, data)
    assert (answer["ret"], answer["cmd_id"], answer["seq_id"], answer["trace"]) == (ret, command + 1, 7, "t")


def test_a_list_replaces_the_one_of_its_kind_and_a_refused_one_nothing() -> None:
    one = pair()
    ask(one, 22004, codes("ETHUSDT"))
    ask(one, 22002, codes("BTCUSDT"))
    ask(one, 22004, codes("ETHUSDT", "NOSUCH"))
    assert set(one.server.topics) == {"trade ETHUSDT", "book BTCUSDT"}
    ask(one, 22006, {"cancel_type": 2})
    assert set(one.server.topics) == {"book BTCUSDT"}
    ask(one, 22006, {"cancel_type": 1})
    assert one.server.topics == {}


def test_what_is_over_the_plans_limit_is_left_out_without_a_word() -> None:
    names = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "EURUSD", "USDJPY", "GOLD")
    one = pair(*names, plan="free")
    assert one.protocol.active == names, "nothing was said"
    assert set(one.server.symbols) == set(names[:5])
    one.steps(61)
    assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", ("USDJPY", "GOLD"))]
    assert pair(*names, max_symbols=2).server.symbols == {"BTCUSDT", "ETHUSDT"}


def test_a_second_request_within_a_second_is_too_soon() -> None:
    one = pair()
    requests = {"cmd_id": 22004, "seq_id": 9, "trace": "t", "data": codes("ETHUSDT")}
    assert one.say(**requests)[0]["ret"] == 605
    one.now += 1.0
    assert one.say(**requests)[0]["ret"] == 200


def test_requests_of_two_connections_of_a_token_are_to_be_three_seconds_apart() -> None:
    server = Server()
    first, second, other = server.open(), server.open(), server.open(token="another")
    request = b'{"cmd_id":22004,"seq_id":1,"trace":"t","data":{"symbol_list":[{"code":"BTCUSDT"}]}}'
    first.receive([request], 10.0)
    other.receive([request], 10.5)
    second.receive([request], 12.9)
    assert (first.ending, other.ending, second.ending) == (None, None, Ending(1008, "606"))
    assert b'"ret":606' in payloads(second.take_outgoing())[0]
    first.receive([request], 20.0)
    assert first.ending is None


def test_a_token_has_so_many_connections_to_each_endpoint() -> None:
    server = Server(plan="basic")
    first = server.open()
    assert server.open(STOCKS).ending is None
    assert server.open(token="another").ending is None
    assert server.open().ending == Ending(1008, "606")
    first.close()
    first.close()
    assert server.open().ending is None


@pytest.mark.parametrize(("token", "keys"), [("", ()), ("wrong", ("right",))])
def test_without_a_good_token_there_is_an_error_and_an_end(token: str, keys: tuple[str, ...]) -> None:
    talk = Server(keys=keys).open(token=token)
    assert (talk.ending, b'"ret":401' in payloads(talk.take_outgoing())[0]) == (Ending(1008, "401"), True)


def test_a_refused_token_ends_our_protocol() -> None:
    with pytest.raises(InvalidKey, match="token invalid"):
        pair(keys=("another",))


def test_without_a_heartbeat_for_30_seconds_it_is_over() -> None:
    talk = Server().open(now=5.0)
    assert talk.next_deadline() == 5.0 + IDLE_S
    talk.receive([b'{"cmd_id":22000,"seq_id":1,"trace":"t","data":{}}'], 20.0)
    talk.receive([b'{"cmd_id":22004,"seq_id":1,"trace":"t","data":{"symbol_list":[{"code":"BTCUSDT"}]}}'], 40.0)
    talk.tick(20.0 + IDLE_S - 0.1)
    assert not talk.ending
    talk.tick(20.0 + IDLE_S)
    assert talk.ending == Ending(1008, "no heartbeat")
    talk.tick(90.0)


def test_our_heartbeats_keep_it_for_minutes() -> None:
    one = pair()
    for _ in range(30):
        one.wait(10)
    assert one.server.ending is None


def test_a_plan_that_there_is_not_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no plan 'huge'"):
        SimulatorOptions(provider="alltick", plan="huge")


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [BOTH, STOCK_PAIR])
def test_trades_are_numbered_and_have_sides_where_there_are_some(symbols: tuple[str, ...]) -> None:
    one = pair(*symbols)
    one.steps(30)
    for symbol in symbols:
        trades = [trade for trade in one.all(Trade) if trade.symbol == symbol]
        assert [trade.sequence for trade in trades] == list(range(trades[0].sequence, trades[0].sequence + 60))
        assert {trade.side for trade in trades} == ({None} if symbol == "EURUSD" else {"buy", "sell"})
    assert one.all(Gap) == one.all(Notice) == []


@pytest.mark.parametrize(("symbol", "levels"), [("BTCUSDT", 5), ("EURUSD", 1), ("700.HK", 10), ("AAPL.US", 1)])
def test_books_have_as_many_levels_as_there_are(symbol: str, levels: int) -> None:
    one = pair(symbol, channel=Channel.BOOK)
    one.steps(10)
    assert len(one.all(BookSnapshot)) == 10
    for event in one.all(BookSnapshot):
        book = OrderBook()
        book.replace(event.bids, event.asks)
        assert (book.crossed, book.counts) == (False, (levels, levels))
    assert {len(event.bids) for event in pair_depth(symbol, 3)} == {min(3, levels)}


def pair_depth(symbol: str, depth: int) -> list[BookSnapshot]:
    """Books of a client that asks for so many levels."""
    one = pair(symbol, channel=Channel.BOOK)
    ask(one, 22002, codes(symbol, depth_level=depth))
    one.steps(2)
    return one.all(BookSnapshot)


def test_quotes_are_the_best_of_the_book() -> None:
    one = pair(channel=Channel.QUOTES)
    one.steps(5)
    assert len(one.all(Quote)) == 10
    assert all(decimal(quote.bid) < decimal(quote.ask) for quote in one.all(Quote))


@pytest.mark.parametrize("channel", [Channel.TRADES, Channel.BOOK])
def test_numbers_and_times_may_be_text(channel: Channel) -> None:
    plain, strings = pair(channel=channel), pair(channel=channel, faults=("string-ids",))
    for one in (plain, strings):
        one.steps(3)
    assert isinstance(strings.decoded()[-1]["data"]["seq"], str)
    kind = Trade if channel is Channel.TRADES else BookSnapshot
    assert len(plain.all(kind)) >= 6
    assert [(event.symbol, event.ts_event, event.sequence) for event in plain.all(kind)] == [
        (event.symbol, event.ts_event, event.sequence) for event in strings.all(kind)
    ]


def test_recorded_events_come_back_as_they_were() -> None:
    ts, one_ = Timestamp(START_NS + 10**9), number("1.50")
    two = number("2.0")
    events: list[Item] = [
        Trade("alltick", "BTCUSDT", ts, ts, one_, two, "sell", None, 77),
        Trade("alltick", "BTCUSDT", ts, ts, one_, None, None, "78"),
        Trade("alltick", "BTCUSDT", ts, ts, one_),
        Bar("alltick", "BTCUSDT", ts, ts, "1m", one_, one_, one_, one_),
    ]
    trades = pair("BTCUSDT")
    trades.server.deliver(trades.counterpart.round(events), 0.0)
    trades.wait(0.0)
    found = [(text(t.price), t.size and text(t.size), t.side, t.sequence, t.ts_event) for t in trades.all(Trade)]
    assert found == [
        ("1.50", "2.0", "sell", 77, ts), ("1.50", None, None, 78, ts), ("1.50", None, None, ts // 10**6, ts),
    ]  # fmt: skip
    books = pair("BTCUSDT", channel=Channel.BOOK)
    events = [
        BookSnapshot("alltick", "BTCUSDT", ts, ts, ((one_, two),), (), 5),
        Quote("alltick", "BTCUSDT", ts, ts, one_, two, two, two, None, None, 6),
        Quote("alltick", "BTCUSDT", ts, ts, one_, None, two, two, None, None, 7),
    ]
    books.server.deliver(books.counterpart.round(events), 0.0)
    books.wait(0.0)
    snapshots = books.all(BookSnapshot)
    assert [(len(b.bids), len(b.asks), b.sequence) for b in snapshots] == [(1, 0, 5), (1, 1, 6), (0, 1, 7)]


# --- the simple protocol ---------------------------------------------------------------------------------------------


def test_the_simple_protocol_has_trades_without_a_token_a_heartbeat_or_an_answer() -> None:
    one = pair("AAPL", "TSLA", settings={"mode": "simple"})
    assert one.heard == []
    assert one.server.next_deadline() is None
    one.steps(40)
    assert one.decoded()[0].keys() == {"symbol", "price", "time"}
    assert {trade.symbol for trade in one.all(Trade)} == {"AAPL", "TSLA"}
    assert len(one.all(Trade)) == 160
    assert one.say_bytes(b"{") == one.say(action="dance") == one.say(action="subscribe", symbols="AAPL") == []
    assert one.say(action="subscribe", symbols=["TSLA", "AAPL.US", "NOSUCH"]) == []
    assert one.server.symbols == {"TSLA"}
    talk = Server(keys=("k",)).open(SIMPLE, token="")
    talk.tick(1000.0)
    assert talk.ending is None


# --- faults ----------------------------------------------------------------------------------------------------------


def test_a_token_that_is_echoed_is_masked_and_an_error_606_is_waited_out() -> None:
    for fault in ("invalid-key", "echo-key"):
        with pytest.raises(InvalidKey) as raised:
            pair(key="tk_canary_7f3d9e1b5a", faults=(fault,))
        assert "canary" not in str(raised.value)
    one = pair(faults=("too-many@2",))
    with pytest.raises(RateLimited, match="606"):
        one.steps(2)


def test_a_short_list_that_is_refused_as_too_long_is_a_plan_without_any() -> None:
    with pytest.raises(Forbidden, match="603"):
        pair(faults=("symbol-limit",))


def test_the_last_of_a_list_may_be_missing() -> None:
    names = ("BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "EURUSD", "USDJPY")
    one = pair(*names, faults=("partial-ack",))
    one.steps(61)
    assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", ("USDJPY",))]


def test_codes_that_there_are_not_are_found_in_a_long_list() -> None:
    names = (*[symbol for symbol in COUNTERPART.known if "." not in symbol][:14], "NOSUCH", "NEITHER")
    one = pair(*names)
    for _ in range(30):
        one.wait(1.0)
    assert one.protocol.refused.keys() == {"NOSUCH", "NEITHER"}
    assert one.server.symbols == set(names[:14])
    with pytest.raises(SymbolRefused):
        pair("NOSUCH")


def test_without_answers_to_heartbeats_and_without_data_it_is_dead() -> None:
    one = pair(faults=("no-heartbeat", "no-data"))
    one.wait(20)
    with pytest.raises(SessionStale):
        one.wait(10)


@pytest.mark.parametrize("fault", ["no-ack", "duplicate", "out-of-order", "skew"])
def test_what_others_have_it_has_too(fault: str) -> None:
    one = pair(faults=(fault,))
    one.steps(12)
    trades = [trade for trade in one.all(Trade) if trade.symbol == "BTCUSDT"]
    assert len({trade.sequence for trade in trades}) == len(trades) >= 23
    assert ("duplicates" in [notice.code for notice in one.all(Notice)]) == (fault == "duplicate")


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments",
})  # fmt: skip
"""No protocol gets to see them."""
NO_DATA = frozenset({"invalid-key", "echo-key", "no-data", "symbol-limit", "too-many"})


@pytest.mark.parametrize(
    "name",
    [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES | NO_DATA],
)
def test_after_any_other_fault_there_is_data_or_had_been(name: str) -> None:
    moment = COUNTERPART.faults()[name].when.replace("10", "2")
    one = pair(faults=(f"{name}@{moment}",))
    one.steps(4)
    assert one.market


def test_over_a_socket_each_path_is_its_own_endpoint() -> None:
    with Simulator(SimulatorOptions(provider="alltick", speed=120.0, market_hours="ignore")) as sim:
        assert sim.url.endswith(OTHERS)
        for path, code, ret in ((OTHERS, "BTCUSDT", 200), (STOCKS, "AAPL.US", 200), (STOCKS, "BTCUSDT", 600)):
            url = sim.url.replace(OTHERS, path) + f"?token={path}{code}"
            with connect(url, proxy=None) as ws:
                ws.send(f'{{"cmd_id":22004,"seq_id":1,"trace":"t","data":{{"symbol_list":[{{"code":"{code}"}}]}}}}')
                assert f'"ret":{ret}' in str(ws.recv(10))
