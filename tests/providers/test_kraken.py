"""Kraken: the conversation, its data in our schema, and books that are checked message by message."""

from __future__ import annotations

import json
import random
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import golden
from tests.providers.conversation import Conversation
from tickstream.checked_book import CheckedBook
from tickstream.errors import ProviderError, RateLimited, SessionStale, SymbolRefused
from tickstream.events import Bar, BookSnapshot, BookUpdate, Gap, Notice, Quote, Trade
from tickstream.numbers import number, text
from tickstream.providers.base import Phase
from tickstream.providers.kraken import ERRORS, INTERVALS, SPEC, KrakenProtocol
from tickstream.providers.subscribing import LONGEST_LIST, REPLY_TIMEOUT_S
from tickstream.subscriptions import Channel

RECORDED = golden.recorded("kraken")
OFFICIAL = RECORDED[0]
"""The worked example of the documentation: ten levels a side, and their checksum."""


def talk(*symbols: str, channel: Channel = Channel.QUOTES, **feed: Any) -> Conversation:
    return Conversation(*(symbols or ("BTC/USD",)), provider="kraken", channel=channel, key=None, **feed)


def acknowledged(*symbols: str, channel: str = "ticker") -> list[dict[str, Any]]:
    return [
        {"method": "subscribe", "result": {"channel": channel, "symbol": symbol}, "success": True} for symbol in symbols
    ]


def listed(**places: tuple[int, int]) -> dict[str, Any]:
    """The list of all pairs: BTC_USD=(1, 8)."""
    pairs = [
        {"symbol": name.replace("_", "/"), "price_precision": price, "qty_precision": qty, "status": "online"}
        for name, (price, qty) in places.items()
    ]
    return {"channel": "instrument", "type": "snapshot", "data": {"assets": [{"id": "BTC"}], "pairs": pairs}}


def reading(depth: str = "10") -> Conversation:
    """A conversation with the book of the documentation's example."""
    one = talk(channel=Channel.BOOK, settings={"depth": depth})
    one.wait(0)
    one.hear(listed(BTC_USD=(1, 8)))
    one.wait(0.25)
    one.hear(*acknowledged("BTC/USD", channel="book"))
    one.hear(OFFICIAL)
    one.wait(0.25)
    return one


class Mirror:
    """Kraken's side of a book, in the test's own words: floats, sorted dictionaries, text."""

    def __init__(self, snapshot: bytes, depth: int = 10) -> None:
        entry = json.loads(snapshot)["data"][0]
        self.depth = depth
        self.sides = [{level["price"]: level["qty"] for level in entry[side]} for side in ("bids", "asks")]

    def change(self, side: int, price: float, qty: float) -> dict[str, Any]:
        """An update of one level, with the checksum of the book after it."""
        if qty:
            self.sides[side][price] = qty
        else:
            self.sides[side].pop(price, None)
        ordered = [sorted(self.sides[0], reverse=True), sorted(self.sides[1])]
        for which, prices in zip(self.sides, ordered, strict=True):
            for gone in prices[self.depth :]:
                del which[gone]
        entry = {"symbol": "BTC/USD", "bids": [], "asks": [], "checksum": self.checksum()}
        entry["bids" if side == 0 else "asks"] = [{"price": price, "qty": qty}]
        return {"channel": "book", "type": "update", "data": [entry]}

    def checksum(self) -> int:
        bids, asks = self.sides
        best = [(price, asks[price]) for price in sorted(asks)[:10]]
        best += [(price, bids[price]) for price in sorted(bids, reverse=True)[:10]]
        whole = ""
        for price, qty in best:
            whole += f"{price:.1f}".replace(".", "").lstrip("0") + f"{qty:.8f}".replace(".", "").lstrip("0")
        return zlib.crc32(whole.encode())


class TestRecorded:
    def test_its_17_messages_give_8_market_events_with_the_digits_that_were_sent(self) -> None:
        made = golden.protocol("kraken")
        events = golden.events_of(made, RECORDED)
        assert golden.as_lines(events) == golden.expected("kraken")
        kinds = [type(event).__name__ for event in events]
        assert {kind: kinds.count(kind) for kind in kinds} == {
            "BookSnapshot": 2, "BookUpdate": 1, "Trade": 3, "Bar": 1, "Quote": 1, "Notice": 1,
        }  # fmt: skip
        # An update of a book whose snapshot is not in the file, and five messages of a channel that is not asked for.
        assert (made.counters.messages, made.counters.unknown, made.counters.quarantined) == (17, 5, 0)
        assert len(made.take_payloads()) == 7, "two trades came in one message"

    @pytest.mark.parametrize("at_once", [2, 7, 17])
    def test_batches_give_the_same_as_messages_one_by_one(self, at_once: int) -> None:
        events = golden.events_of(golden.protocol("kraken"), RECORDED, at_once)
        assert golden.as_lines(events) == golden.expected("kraken")

    def test_the_checksum_of_the_documentation_is_ours(self) -> None:
        entry = msgspec.json.decode(OFFICIAL, type=dict[str, Any])["data"][0]
        book = CheckedBook(10, (1, 8))
        sides = [
            tuple((number(f"{level['price']:.1f}"), number(f"{level['qty']:.8f}")) for level in entry[side])
            for side in ("bids", "asks")
        ]
        book.replace(sides[0], sides[1])
        assert book.checksum((1, 8)) == 3310070434 == entry["checksum"]


class TestSubscribing:
    @pytest.mark.parametrize(
        ("channel", "params"),
        [
            (Channel.QUOTES, {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo"}),
            (Channel.TRADES, {"channel": "trade", "symbol": ["BTC/USD"]}),
            (Channel.BARS, {"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 1}),
        ],
    )
    def test_symbols_are_asked_for_without_a_key_as_soon_as_the_connection_stands(
        self, channel: Channel, params: dict[str, Any]
    ) -> None:
        one = talk(channel=channel)
        assert one.protocol.phase is Phase.SUBSCRIBE
        assert one.protocol.next_deadline() == 0.0
        one.wait(0)
        assert one.sent == [{"method": "subscribe", "params": params}]
        request = one.protocol.connect_request()
        assert (request.url, dict(request.headers), request.secrets) == ("wss://ws.kraken.com/v2", {}, ())

    def test_a_greeting_that_comes_first_changes_nothing(self) -> None:
        one = talk()
        assert one.hear({"channel": "status", "type": "update", "data": [{"system": "online"}]}) == []
        assert len(one.sent) == 1

    def test_the_interval_of_bars_is_a_setting(self) -> None:
        one = talk(channel=Channel.BARS, settings={"interval": "4h"})
        one.wait(0)
        assert one.sent[0]["params"]["interval"] == 240
        one.hear({"channel": "ohlc", "type": "update", "data": [{
            "symbol": "BTC/USD", "interval": 240, "interval_begin": "2023-10-04T16:00:00.000000000Z", "open": 1,
            "high": 2, "low": 1, "close": 2, "volume": 5}]})  # fmt: skip
        (bar,) = one.all(Bar)
        assert (bar.interval, bar.closed) == ("4h", None)

    def test_each_symbol_is_confirmed_and_with_the_last_one_the_feed_is_live(self) -> None:
        one = talk("BTC/USD", "ETH/USD")
        one.wait(0)
        one.hear(*acknowledged("ETH/USD"))
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.hear(*acknowledged("BTC/USD"))
        assert one.protocol.phase is Phase.LIVE
        assert one.protocol.active == ("BTC/USD", "ETH/USD")

    def test_data_confirms_as_well(self) -> None:
        one = talk()
        one.hear(RECORDED[15])
        assert one.protocol.phase is Phase.LIVE

    def test_a_pair_that_there_is_not_is_refused_by_name_and_the_others_go_on(self) -> None:
        one = talk("FOO/BAR", "BTC/USD")
        one.wait(0)
        error = {"error": "Currency pair not supported FOO/BAR", "method": "subscribe", "success": False}
        events = one.hear(error | {"symbol": "FOO/BAR"}, *acknowledged("BTC/USD"))
        assert [(event.code, event.symbols) for event in events if isinstance(event, Notice)] == [
            ("symbol_refused", ("FOO/BAR",))
        ]
        assert (one.protocol.phase, one.protocol.active) == (Phase.LIVE, ("BTC/USD",))
        assert one.protocol.refused.keys() == {"FOO/BAR"}

    def test_when_none_is_left_there_is_nothing_to_stream(self) -> None:
        one = talk("FOO/BAR")
        one.wait(0)
        with pytest.raises(SymbolRefused, match="FOO/BAR"):
            one.hear({"error": "Currency pair not supported FOO/BAR", "success": False, "symbol": "FOO/BAR"})

    def test_many_symbols_go_in_portions_with_time_between_them(self) -> None:
        symbols = tuple(f"A{n}/USD" for n in range(120))
        one = talk(*symbols)
        one.wait(0)
        assert [len(request["params"]["symbol"]) for request in one.sent] == [50]
        assert one.protocol.next_deadline() == 0.25
        one.wait(0.1)
        assert len(one.sent) == 1
        one.wait(0.15)
        one.wait(0.25)
        asked = [symbol for request in one.sent for symbol in request["params"]["symbol"]]
        assert asked == list(symbols)

    def test_no_confirmation_is_waited_for_only_so_long(self) -> None:
        one = talk()
        one.wait(0)
        one.wait(REPLY_TIMEOUT_S - 1)
        one.hear({"channel": "heartbeat"})
        assert one.protocol.phase is Phase.SUBSCRIBE
        one.wait(1.5)
        assert one.protocol.phase is Phase.LIVE
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("no_ack", ("BTC/USD",))]

    def test_whose_data_has_come_needs_no_confirmation(self) -> None:
        one = talk("BTC/USD", "ETH/USD")
        one.wait(0)
        one.hear(RECORDED[15])
        one.wait(REPLY_TIMEOUT_S)
        one.hear(RECORDED[15])
        one.wait(1)
        assert [(notice.code, notice.symbols) for notice in one.all(Notice)] == [("no_ack", ("ETH/USD",))]
        again = talk("BTC/USD")
        again.wait(0)
        again.hear(RECORDED[15])
        assert again.protocol.next_deadline() == 15.0, "nothing but the silence of the whole feed"


class TestErrors:
    @pytest.mark.parametrize(
        ("said", "error"),
        [
            ("Exceeded msg rate", RateLimited),
            ("EService:Unavailable", ProviderError),
            ("Malformed request", ProviderError),
            ("Unsupported field for the given msg type", ProviderError),
            ("EGeneral:Invalid arguments:depth", ProviderError),
        ],
    )
    def test_an_error_is_what_its_beginning_says(self, said: str, error: type[ProviderError]) -> None:
        one = talk()
        one.wait(0)
        with pytest.raises(error) as raised:
            one.hear({"error": said, "method": "subscribe", "success": False})
        assert type(raised.value) is error
        assert raised.value.code in {entry.code for entry in ERRORS}
        assert said in str(raised.value)

    @pytest.mark.parametrize("said", ["Already subscribed to one", "Subscription Not Found", "ENew:Error of tomorrow"])
    def test_others_are_notices_and_the_stream_goes_on(self, said: str) -> None:
        one = talk()
        one.hear(*acknowledged("BTC/USD"))
        one.hear({"error": said, "success": False})
        assert len(one.all(Notice)) == 1
        assert said in one.all(Notice)[0].message

    def test_a_refusal_of_what_was_not_asked_for_is_a_notice(self) -> None:
        one = talk()
        one.hear({"error": "Currency pair not supported X/Y", "success": False, "symbol": "X/Y"})
        assert one.codes == ["Currency pair not supported"]

    def test_maintenance_is_said(self) -> None:
        one = talk()
        one.hear({"channel": "status", "type": "update", "data": [{"system": "maintenance", "version": "2.0.0"}]})
        one.hear({"channel": "status", "type": "update", "data": []})
        assert [(notice.code, notice.message) for notice in one.all(Notice)] == [
            ("status", "Kraken says of itself: maintenance")
        ]

    def test_heartbeats_keep_the_feed_alive_and_without_them_it_is_dead(self) -> None:
        one = talk()
        one.wait(0)
        one.hear(*acknowledged("BTC/USD"))
        for _ in range(5):
            one.wait(14)
            one.hear({"channel": "heartbeat"})
        assert one.protocol.next_deadline() == one.now + 15
        with pytest.raises(SessionStale, match="neither data nor a heartbeat for 15 s"):
            one.wait(15)

    def test_pongs_and_other_replies_mean_nothing(self) -> None:
        one = talk()
        one.hear({"method": "pong", "req_id": 42}, {"method": "unsubscribe", "result": {"symbol": "BTC/USD"}})
        assert one.events == []
        assert one.protocol.counters.quarantined == 0


class TestData:
    def test_a_quote_has_an_exact_spread_and_lacks_what_is_null(self) -> None:
        one = talk()
        ticker = RECORDED[15].replace(b'"bid":105944.20', b'"bid":null').replace(b'"last":105899.40', b'"last":null')
        one.hear(RECORDED[15], ticker)
        quote, half = one.all(Quote)
        assert quote.spread is not None
        assert text(quote.spread) == "0.10"
        assert (half.bid, half.spread, half.last) == (None, None, None)

    def test_a_quote_may_come_without_its_time(self) -> None:
        one = talk()
        one.hear(RECORDED[15].replace(b',"timestamp":"2022-12-25T09:30:59.123456Z"', b""))
        assert one.all(Quote)[0].ts_event is None

    def test_what_was_not_asked_for_is_counted_and_left_out(self) -> None:
        one = talk("ETH/USD", channel=Channel.TRADES)
        one.hear(RECORDED[16], RECORDED[15], RECORDED[5])
        assert one.market == []
        assert one.protocol.counters.unrequested == 4
        assert one.codes == ["unrequested_symbol"]
        assert one.payloads == []

    def trades(self, *ids: int) -> dict[str, Any]:
        return {"channel": "trade", "type": "update", "data": [
            {"symbol": "BTC/USD", "side": "buy", "price": 1.5, "qty": 2, "trade_id": one,
             "timestamp": "2026-08-02T05:43:39.154709Z"} for one in ids]}  # fmt: skip

    def test_ids_that_are_missing_are_a_gap_with_their_count_before_the_next_trade(self) -> None:
        one = talk(channel=Channel.TRADES)
        one.hear(self.trades(7, 8))
        before = one.ts
        one.wait(3)
        events = one.hear(self.trades(12))
        assert [type(event) for event in events] == [Gap, Trade]
        (gap,) = one.all(Gap)
        assert (gap.reason, gap.symbols, gap.missed, gap.start, gap.end) == (
            "sequence", ("BTC/USD",), 3, before, one.ts
        )  # fmt: skip

    def test_ids_that_come_again_are_no_gap(self) -> None:
        one = talk(channel=Channel.TRADES)
        one.hear(self.trades(7, 8, 7, 8, 9))
        assert one.all(Gap) == []
        assert [trade.trade_id for trade in one.all(Trade)] == ["7", "8", "7", "8", "9"]

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"105944.20", b'"about"'), (b"105944.20", b"null"), (b'"buy"', b'"hold"'), (b"10218208", b'"x"'),
         (b'"2023-10-06T17:35:55.440295Z"', b'"soon"'), (b'"price":105944.20,', b""), (b"105944.20", b"1e999")],
    )  # fmt: skip
    def test_a_bad_message_is_set_aside_and_the_next_one_is_good(self, old: bytes, new: bytes) -> None:
        one = talk(channel=Channel.TRADES)
        one.hear(RECORDED[16].replace(old, new), RECORDED[4])
        assert one.protocol.counters.quarantined == 1
        assert [trade.trade_id for trade in one.all(Trade)] == ["104622323"]


class TestBooks:
    def test_the_decimals_of_all_pairs_are_asked_for_first(self) -> None:
        one = talk("BTC/USD", "NO/PAIR", channel=Channel.BOOK, settings={"depth": "25"})
        one.wait(0)
        assert one.sent == [{"method": "subscribe", "params": {"channel": "instrument", "snapshot": True}}]
        one.hear(listed(BTC_USD=(1, 8), ETH_USD=(2, 8)))
        one.wait(0.25)
        assert one.sent[1:] == [
            {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 25}}
        ]
        assert one.protocol.refused.keys() == {"NO/PAIR"}
        assert one.protocol.phase is Phase.SUBSCRIBE

    def test_a_list_as_long_as_kraken_is_large_is_read(self) -> None:
        one = talk(channel=Channel.BOOK)
        one.wait(0)
        many = listed(BTC_USD=(1, 8), **{f"A{n}_USD": (5, 8) for n in range(6000)})
        assert len(msgspec.json.encode(many)) > 256 * 1024
        one.hear(many)
        one.wait(0.25)
        assert len(one.sent) == 2
        one.hear(b'{"channel":"instrument"' + b" " * LONGEST_LIST + b"}")
        assert one.protocol.counters.quarantined == 1

    def test_without_the_list_it_is_tried_again_on_another_connection(self) -> None:
        one = talk(channel=Channel.BOOK)
        one.wait(0)
        with pytest.raises(SessionStale, match="did not answer within 10 s"):
            one.wait(REPLY_TIMEOUT_S + 0.25)

    def test_pairs_of_which_none_is_listed_are_refused(self) -> None:
        one = talk("NO/PAIR", channel=Channel.BOOK)
        one.wait(0)
        with pytest.raises(SymbolRefused):
            one.hear(listed(BTC_USD=(1, 8)))

    def test_a_list_that_changes_later_asks_for_nothing_again(self) -> None:
        one = reading()
        sent = len(one.sent)
        one.hear(listed(BTC_USD=(2, 8)))
        one.wait(1)
        assert len(one.sent) == sent

    def test_a_snapshot_whose_checksum_is_right_is_the_book_best_first(self) -> None:
        (book,) = reading().all(BookSnapshot)
        assert [text(price) for price, _ in book.bids][:2] == ["45283.5", "45283.4"]
        assert [text(price) for price, _ in book.asks][:2] == ["45285.2", "45286.4"]
        assert text(book.bids[0][1]) == "0.10000000"

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 2**32))
    def test_updates_whose_checksums_are_right_pass_whatever_form_their_numbers_have(self, seed: int) -> None:
        one, mirror, luck = reading(), Mirror(OFFICIAL), random.Random(seed)
        for _ in range(40):
            side = luck.randrange(2)
            price = luck.choice([*mirror.sides[side], round(45284 + (1 if side else -1) * luck.randrange(200) / 10, 1)])
            if not (price < min(mirror.sides[1]) if side == 0 else price > max(mirror.sides[0])):
                continue
            qty = 0.0 if luck.random() < 0.2 and len(mirror.sides[side]) > 3 else round(luck.random() * 10**-4, 8)
            one.hear(mirror.change(side, price, qty or 0.0))
        assert one.codes == []
        shown: list[dict[str, str]] = [{}, {}]
        for event in one.market:
            assert isinstance(event, BookSnapshot | BookUpdate)
            for side, levels in enumerate((event.bids, event.asks)):
                for price, size in levels:
                    shown[side].pop(text(price), None)
                    if float(text(size)):
                        shown[side][text(price)] = text(size)
        for side in (0, 1):
            # Snapshot and updates alone make the book: also the levels that fall out at the far end are said.
            assert {float(price): float(size) for price, size in shown[side].items()} == mirror.sides[side]

    def test_levels_that_are_pushed_out_are_removed_by_the_update_that_pushes_them(self) -> None:
        one, mirror = reading(), Mirror(OFFICIAL)
        (update,) = one.hear(mirror.change(0, 45284.0, 1.0))
        assert isinstance(update, BookUpdate)
        assert [(text(price), text(size)) for price, size in update.bids] == [("45284.0", "1.0"), ("45276.6", "0")]

    def test_a_wrong_checksum_loses_the_update_and_the_book_is_asked_for_anew(self) -> None:
        one, mirror = reading(), Mirror(OFFICIAL)
        update = mirror.change(0, 45284.0, 1.0)
        update["data"][0]["checksum"] += 1
        events = one.hear(update)
        assert [(type(event), getattr(event, "code", "")) for event in events] == [(Notice, "book_checksum")]
        assert one.all(Notice)[0].symbols == ("BTC/USD",)
        for _ in range(2):
            one.wait(0.25)
        params = {"channel": "book", "symbol": ["BTC/USD"], "depth": 10}
        assert one.sent[-2:] == [
            {"method": "unsubscribe", "params": params}, {"method": "subscribe", "params": params}
        ]  # fmt: skip
        assert one.hear(mirror.change(1, 45290.0, 2.0)) == [], "until then nothing is known of it"
        one.hear(*acknowledged("BTC/USD", channel="book"))
        (again,) = one.hear(OFFICIAL)
        assert isinstance(again, BookSnapshot)
        assert one.hear(Mirror(OFFICIAL).change(0, 45284.0, 1.0)) != []

    def test_a_second_wrong_book_is_asked_for_some_seconds_later(self) -> None:
        one = reading()
        wrong = OFFICIAL.replace(b"3310070434", b"1")
        one.hear(wrong)
        one.wait(0.25)
        one.wait(0.25)
        sent = len(one.sent)
        one.hear(wrong)
        one.wait(4)
        assert len(one.sent) == sent
        one.wait(0.5)
        one.wait(0.25)
        assert len(one.sent) == sent + 2
        assert one.codes == ["book_checksum"] * 2

    def test_one_wrong_book_does_not_wait_for_another_ones_turn(self) -> None:
        one = talk("BTC/USD", "ETH/USD", channel=Channel.BOOK)
        one.wait(0)
        one.hear(listed(BTC_USD=(1, 8), ETH_USD=(1, 8)))
        one.wait(0.25)
        wrong = OFFICIAL.replace(b"3310070434", b"1")
        one.hear(wrong)
        one.hear(wrong)
        one.hear(wrong.replace(b"BTC/USD", b"ETH/USD"))
        for _ in range(8):
            one.wait(0.25)
        named = [request["params"]["symbol"] for request in one.sent[2:]]
        assert named == [["BTC/USD"], ["BTC/USD"], ["ETH/USD"], ["ETH/USD"]]

    def test_a_size_below_zero_makes_no_book(self) -> None:
        one = reading()
        one.hear(OFFICIAL.replace(b'"qty":1.54582015', b'"qty":-1.54582015'))
        assert one.protocol.counters.quarantined == 1

    def test_somebody_else_may_ask_for_a_book_anew(self) -> None:
        one = reading()
        assert isinstance(one.protocol, KrakenProtocol)
        one.protocol.resubscribe(("BTC/USD",), one.now)
        one.wait(0.25)
        one.wait(0.25)
        assert [request["method"] for request in one.sent[-2:]] == ["unsubscribe", "subscribe"]
        assert one.hear(Mirror(OFFICIAL).change(0, 45284.0, 1.0)) == []


class TestWhateverComes:
    @settings(max_examples=300, deadline=None)
    @given(golden.torn(RECORDED))
    def test_of_a_torn_message_come_events_or_a_quarantine_or_an_error_of_ours(self, message: bytes) -> None:
        golden.assert_survived("kraken", [OFFICIAL, message])

    @settings(max_examples=300, deadline=None)
    @given(golden.replaced(RECORDED))
    def test_of_a_value_that_is_another_one_too(self, message: bytes) -> None:
        golden.assert_survived("kraken", [OFFICIAL, message])


def test_what_it_declares() -> None:
    assert SPEC.key_env is None
    assert SPEC.keyless == SPEC.channels == (Channel.QUOTES, Channel.TRADES, Channel.BOOK, Channel.BARS)
    assert SPEC.settings["interval"] == tuple(INTERVALS)
