"""Alpaca, the server's side: what it answers, what it sends, and that our protocol reads it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.simulator.candles import wire
from tests.simulator.talking import START_NS, Pair
from tickstream.errors import AuthTimeout, Forbidden, InvalidKey, ProviderError, SymbolRefused
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, Notice, OrderUpdate, Quote, Trade
from tickstream.numbers import decimal, number, text
from tickstream.order_book import OrderBook
from tickstream.providers.alpaca_msgpack import CONTENT_TYPE, TIMES, json_of, packed_of, time_text
from tickstream.session.frames import FrameReader
from tickstream.simulator.alpaca import COUNTERPART, ERRORS
from tickstream.simulator.bad_bytes import payload_of as payload_of_frame
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Item
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.outgoing import Ending, Message, Raw
from tickstream.subscriptions import Channel
from tickstream.timestamps import Timestamp, rfc3339

STOCKS, COINS = ("AAPL", "SPY"), ("BTC/USD", "ETH/USD")


def pair(*symbols: str, channel: Channel = Channel.TRADES, statuses: str = "off", **how: Any) -> Pair:
    how["settings"] = {"statuses": statuses} | how.get("settings", {})
    return Pair("alpaca", channel, *(symbols or STOCKS), **how)


def said(one: Pair) -> list[dict[str, Any]]:
    """All messages, out of their arrays."""
    frames: Any = one.decoded()
    return [message for frame in frames for message in frame]


def answers(one: Pair, **request: Any) -> list[dict[str, Any]]:
    frames: Any = one.say(**request)
    return [message for frame in frames for message in frame]


# --- the conversation ------------------------------------------------------------------------------------------------


def test_it_greets_and_confirms_with_all_that_is_subscribed_as_the_documentation_shows_it() -> None:
    one = pair()
    assert one.protocol.active == STOCKS
    assert said(one) == [
        {"T": "success", "msg": "connected"},
        {"T": "success", "msg": "authenticated"},
        {"T": "subscription", "trades": ["AAPL", "SPY"], "quotes": [], "bars": [], "updatedBars": [], "dailyBars": [],
         "statuses": [], "lulds": [], "corrections": ["AAPL", "SPY"], "cancelErrors": ["AAPL", "SPY"]},
    ]  # fmt: skip
    (more,) = answers(one, action="subscribe", quotes=["AAPL"])
    assert (more["trades"], more["quotes"]) == (["AAPL", "SPY"], ["AAPL"])
    (less,) = answers(one, action="unsubscribe", trades=["AAPL", "NEVER"], quotes=["AAPL"])
    assert (less["trades"], less["quotes"]) == (["SPY"], [])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"action": "dance"}, 400), ({"action": "subscribe", "trades": [5]}, 400), ({}, 400),
        ({"action": "auth", "key": "k", "secret": "s"}, 403), ({"action": "subscribe"}, 410),
        ({"action": "subscribe", "orderbooks": ["AAPL"]}, 410), ({"action": "subscribe", "news": ["*"]}, 410),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_and_the_connection_stays(request_: dict[str, object], code: int) -> None:
    one = pair()
    (answer,) = answers(one, **request_)
    assert (answer["T"], answer["code"], answer["msg"]) == ("error", code, ERRORS[str(code)])
    assert one.server.ending is None


@pytest.mark.parametrize("rubbish", [b"{", b"[]", b"7", b"\xff"])
def test_what_is_no_request_is_invalid_syntax(rubbish: bytes) -> None:
    one = pair()
    assert one.say_bytes(rubbish) == [[{"T": "error", "code": 400, "msg": "invalid syntax"}]]  # type: ignore[comparison-overlap]  # frames are arrays
    one.server.unreadable()
    assert len(one.server.take_outgoing()) == 1


def connected(path: str = "/v2/iex", **headers: str) -> Conversation:
    made: Conversation = COUNTERPART.conversation(pair().counterpart.shared, 0.0)
    made.greet(Request("nonce", path, "", {name.replace("_", "-"): value for name, value in headers.items()}), 0.0)
    return made


def test_a_key_in_the_headers_is_answered_without_being_asked() -> None:
    made = connected(apca_api_key_id="k", apca_api_secret_key="s")
    words = [msgspec.json.decode(one.payload)[0]["msg"] for one in made.take_outgoing() if isinstance(one, Message)]
    assert words == ["connected", "authenticated"]
    assert made.next_deadline() is None


def test_who_does_not_say_who_it_is_may_do_nothing_and_has_to_go_after_ten_seconds() -> None:
    made = connected()
    made.hear(b'{"action":"subscribe","trades":["AAPL"]}', 0.0)
    assert made.next_deadline() == 10.0
    made.tick(9.9)
    assert not made.ending
    made.tick(10.0)
    assert made.ending == Ending(1008)
    codes = [
        msgspec.json.decode(one.payload)[0].get("code") for one in made.take_outgoing() if isinstance(one, Message)
    ]
    assert codes == [None, 401, 404]


def test_only_the_keys_it_was_told_are_good() -> None:
    assert pair(key="a:b", keys=("a:b",)).protocol.active == STOCKS
    for wrong in ("a:c", "a", "b:a"):
        with pytest.raises(InvalidKey):
            pair(key=wrong, keys=("a:b",))


def test_a_list_over_the_limit_is_rejected_whole_and_our_protocol_finds_out_what_fits() -> None:
    symbols = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "SPY", "QQQ")
    one = pair(*symbols, max_symbols=3)
    assert one.protocol.active == symbols[:3]
    assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("symbol_limit", symbols[3:])]
    assert pair(*symbols, channel=Channel.BARS, max_symbols=3).protocol.active == symbols, "bars have no limit"


def test_each_endpoint_has_its_own_symbols_and_channels() -> None:
    assert pair(*COINS, channel=Channel.BOOK).protocol.active == COINS
    assert pair("FAKEPACA").protocol.active == ("FAKEPACA",)
    with pytest.raises(SymbolRefused, match="no such channel"):
        pair(channel=Channel.BOOK)
    mixed = pair("AAPL", "BTC/USD")
    assert (mixed.protocol.active, [*mixed.protocol.refused]) == (("AAPL",), ["BTC/USD"])


def test_news_come_as_notices() -> None:
    one = pair(settings={"feed": "news"})
    assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("news", STOCKS)]
    assert said(one)[2] == {"T": "subscription", "news": list(STOCKS)}


# --- what it sends, read by our protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [STOCKS, COINS, ("FAKEPACA",)])
def test_trades_are_numbered_and_cryptos_have_a_side(symbols: tuple[str, ...]) -> None:
    one = pair(*symbols)
    one.steps(5)
    trades = one.all(Trade)
    assert len(trades) == 10 * len(symbols)
    assert {trade.symbol for trade in trades} == set(symbols)
    assert len({(trade.symbol, trade.trade_id) for trade in trades}) == len(trades)
    assert all((trade.side is None) == ("/" not in trade.symbol) for trade in trades)
    assert all(str(trade.trade_id).startswith("V:") == ("/" not in trade.symbol) for trade in trades)
    assert trades[0].ts_event % 10**9 == 333_333_333
    assert all((decimal(trade.size) % 1 == 0) == ("/" not in trade.symbol) for trade in trades)


@pytest.mark.parametrize("symbols", [STOCKS, COINS])
def test_quotes_are_as_they_were_made(symbols: tuple[str, ...]) -> None:
    one = pair(*symbols, channel=Channel.QUOTES)
    one.steps(5)
    assert len(one.all(Quote)) == 5 * len(symbols)
    assert all(decimal(quote.bid) < decimal(quote.ask) for quote in one.all(Quote))


def test_a_bar_comes_when_its_minute_is_over_and_every_other_one_again() -> None:
    one = pair("AAPL", channel=Channel.BARS)
    one.steps(220)
    assert [rfc3339(bar.ts_event)[14:16] for bar in one.all(Bar)] == ["00", "00", "01", "02", "02"]
    assert [message["T"] for message in said(one) if message["T"] in "bu"] == ["b", "u", "b", "b", "u"]
    first, again = one.all(Bar)[:2]
    assert decimal(again.volume) == decimal(first.volume) + 100
    assert replace(again, volume=first.volume, ts_recv=first.ts_recv) == first
    days = pair("AAPL", channel=Channel.BARS, settings={"interval": "1d"})
    days.steps(130)
    assert [(bar.interval, rfc3339(bar.ts_event)[:10]) for bar in days.all(Bar)] == [("1d", "2026-06-22")] * 2


def test_a_book_is_whole_once_and_then_what_changes_makes_the_same_book() -> None:
    one = pair("BTC/USD", channel=Channel.BOOK)
    made, ours = one.counterpart, OrderBook()
    one.steps(6)
    first, *changes = one.market
    assert isinstance(first, BookSnapshot)
    assert len(changes) >= 4
    ours.replace(first.bids, first.asks)
    for change in changes:
        assert isinstance(change, BookUpdate)
        ours.apply(change.bids, change.asks)
    items, _ = one.source.items(one.at_ns - 10**9, one.at_ns, {"BTC/USD"}, 9)
    (whole,) = (push.item for push in made.round(items).pushes if isinstance(push.item, BookSnapshot))
    assert [tuple(map(text, level)) for side in ours.depth() for level in side] == [
        tuple(map(text, level)) for side in (whole.bids, whole.asks) for level in side
    ]


def test_a_book_asked_for_anew_begins_anew() -> None:
    one = pair("BTC/USD", channel=Channel.BOOK)
    one.steps(2)
    one.protocol.resubscribe(("BTC/USD",), one.now)
    one.wait(0)
    one.steps(2)
    assert [type(event) for event in one.market] == [BookSnapshot, BookUpdate, BookSnapshot, BookUpdate]


def test_recorded_events_come_back_as_they_were() -> None:
    ts = Timestamp(START_NS + 1_500_000_001)
    a, b, size = number("1.10"), number("1.20"), number("0.00000001")
    given: dict[Channel, list[Item]] = {
        Channel.TRADES: [
            Trade("alpaca", "AAPL", ts, ts, a, size, None, "D:7"),
            Trade("alpaca", "SPY", ts, ts, b, size, None, "V:x1"),
            OrderUpdate("alpaca", "AAPL", ts, ts, "open", "1"),
        ],
        Channel.QUOTES: [
            Quote("alpaca", "AAPL", ts, ts, a, size, b, size, number("0.10")), Quote("alpaca", "SPY", ts, ts, a, size),
        ],
        Channel.BARS: [
            Bar("alpaca", "AAPL", ts, ts, "1m", a, b, a, b, size, closed=True),
            Bar("alpaca", "AAPL", ts, ts, "7m", a, b, a, b, size),
        ],
    }  # fmt: skip
    for channel, events in given.items():
        one = pair(channel=channel)
        one.server.deliver(one.counterpart.round(events), 0.0)
        one.wait(0.0)
        wanted = [
            event for event in events if not (isinstance(event, OrderUpdate) or getattr(event, "interval", "") == "7m")
        ]
        for event, again in zip(wanted, one.market, strict=True):
            assert msgspec.structs.replace(again, ts_recv=ts) == event
    one = pair("BTC/USD", channel=Channel.BOOK)
    books: list[Item] = [
        BookSnapshot("alpaca", "BTC/USD", ts, ts, ((a, size),), ((b, size),)),
        BookUpdate("alpaca", "BTC/USD", ts, ts, ((a, number("0")),), ()),
        BookUpdate("alpaca", "BTC/USD", ts, ts, (), ()),
    ]
    one.server.deliver(one.counterpart.round(books), 0.0)
    one.wait(0.0)
    first, second = one.market
    assert (first.bids, first.asks) == (((a, size),), ((b, size),))  # type: ignore[attr-defined]  # a snapshot, see above
    assert (second.bids, second.asks) == (((a, number("0")),), ())  # type: ignore[attr-defined]  # an update


@pytest.mark.parametrize(
    ("below", "written"), [(0, ""), (500_000_000, ".5"), (208_000_000, ".208"), (123_456_789, ".123456789")]
)
def test_times_have_the_decimals_they_need(below: int, written: str) -> None:
    assert time_text(START_NS + below) == f"2026-06-22T00:00:00{written}Z"


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("invalid-key", InvalidKey), ("echo-key", InvalidKey), ("forbidden", Forbidden), ("auth-timeout", AuthTimeout),
        ("invalid-symbol", SymbolRefused), ("partial-ack", SymbolRefused), ("symbol-limit", SymbolRefused),
        ("slow-client@subscribe", ProviderError), ("internal-error@subscribe", ProviderError),
    ],
)  # fmt: skip
def test_refusals_are_what_they_are(fault: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as raised:
        pair("AAPL", key="tk_canary_7f3d9e1b5a", faults=(fault,))
    assert "canary" not in str(raised.value)


def test_while_another_connection_is_there_the_key_is_tried_again() -> None:
    one = pair(faults=("connection-limit",))
    assert not one.protocol.active
    one.wait(0.5)
    assert one.protocol.active == STOCKS
    assert [notice.code for notice in one.all(Notice)] == ["406"]
    assert one.server.auth_frames == 2


def test_without_an_answer_to_the_key_there_is_an_end() -> None:
    one = pair(faults=("no-auth-reply",))
    with pytest.raises(AuthTimeout):
        one.wait(10)


def test_a_halt_is_said() -> None:
    one = pair(statuses="on", faults=("halt@2",))
    one.steps(3)
    (notice,) = one.all(Notice)
    assert (notice.code, notice.symbols) == ("trading_status", ("AAPL",))
    assert "T12" in notice.message
    silent = pair(faults=("halt@2",))
    silent.steps(3)
    assert silent.all(Notice) == []


@pytest.mark.parametrize("fault", ["no-ack", "duplicate", "out-of-order", "crossed", "skew"])
@pytest.mark.parametrize("channel", [Channel.TRADES, Channel.QUOTES])
def test_what_others_have_it_has_too(fault: str, channel: Channel) -> None:
    one = pair(channel=channel, faults=(fault,))
    one.steps(6)
    assert {event.symbol for event in one.market} == set(STOCKS)
    assert one.all(Gap) == []


OF_FRAMES = frozenset({
    "huge-frame", "endless-fragments", "deep", "rsv", "bad-opcode", "big-ping", "ping-flood", "binary", "bad-utf8",
    "fragments", "masked",
})  # fmt: skip
"""No protocol gets to see them."""
ENDS = frozenset({
    "invalid-key", "echo-key", "forbidden", "auth-timeout", "no-auth-reply", "no-data", "symbol-limit", "slow-client",
    "internal-error", "connection-limit",
})  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [name for name, kind in COUNTERPART.faults().items() if kind.sort != "http" and name not in OF_FRAMES | ENDS],
)
def test_after_any_other_fault_there_is_data_or_had_been(name: str) -> None:
    moment = COUNTERPART.faults()[name].when.replace("10", "2")
    one = pair(faults=(f"{name}@{moment}",))
    one.steps(4)
    assert one.market


# --- MessagePack -----------------------------------------------------------------------------------------------------


def packing(*symbols: str) -> Any:
    """A conversation with a client that asked for it, and has subscribed to trades."""
    one = COUNTERPART(SimulatorOptions(provider="alpaca"), Pair("alpaca", Channel.TRADES, *symbols).source, START_NS)
    talk = one.conversation(one.shared, 0.0)
    talk.greet(Request("nonce", "/v2/iex", headers={"content-type": CONTENT_TYPE}), 0.0)
    talk.receive([packed_of({"action": "auth", "key": "k", "secret": "s"})], 0.0)
    talk.receive([packed_of({"action": "subscribe", "trades": list(symbols)})], 0.0)
    return one, talk


def unpacked(talk: Any) -> list[dict[str, Any]]:
    """What it has to say, out of binary frames and arrays."""
    batch = FrameReader(binary=True).feed(wire(talk.take_outgoing()))
    assert batch.error is None
    assert not any(payload.startswith(b"[") for payload in batch.payloads)
    return [message for payload in batch.payloads for message in msgspec.json.decode(json_of(payload))]


def test_who_asks_for_message_pack_is_answered_in_it() -> None:
    _, talk = packing("AAPL")
    assert talk.binary
    assert [message["T"] for message in unpacked(talk)] == ["success", "success", "subscription"]
    talk.receive([b"\xc1"], 0.0)
    assert unpacked(talk) == [{"T": "error", "code": 400, "msg": "invalid syntax"}]


def test_pushes_are_the_same_as_in_json_with_times_as_timestamps() -> None:
    counterpart, talk = packing("AAPL")
    unpacked(talk)
    items, _ = counterpart.source.items(START_NS, START_NS + counterpart.step_ns, {"AAPL"}, 10)
    due = counterpart.round(items)
    talk.deliver(due, 0.0)
    mine = [push for push in due.pushes if push.topic == "trades AAPL"]
    assert unpacked(talk) == [msgspec.json.decode(payload_of_frame(push.frame))[0] for push in mine]
    talk.deliver(due, 0.0)
    assert b"\xc7\x0c\xff" in wire(talk.take_outgoing())
    assert {"t"} <= TIMES


def test_what_a_fault_makes_goes_out_as_it_is() -> None:
    _, talk = packing("AAPL")
    talk.take_outgoing()
    talk._outgoing.append(Raw(b"\x81\x01{"))
    assert talk.take_outgoing() == [Raw(b"\x81\x01{")]
