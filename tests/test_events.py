"""The schema: names, order and form of what is written are a contract with every reader of the output."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec
import pytest

from tickstream.events import (
    EVENT_TYPES,
    Account,
    Bar,
    Batch,
    BookSnapshot,
    BookUpdate,
    Event,
    Gap,
    Glimpses,
    Joined,
    MarketEvent,
    Notice,
    OrderUpdate,
    Quarantined,
    Quote,
    SessionEvent,
    Summary,
    Trade,
    joined,
    only_market,
    wire_fields,
)
from tickstream.numbers import number
from tickstream.timestamps import Timestamp, rfc3339

MINUTE = Timestamp(1_782_312_840_000_000_000)
RECEIVED = Timestamp(1_782_312_901_204_511_000)
FIRST = ("type", "provider", "symbol", "ts_event", "ts_recv")

FIELDS = {
    "bar": (
        *FIRST, "interval", "open", "high", "low", "close", "volume", "bid", "ask", "spread", "closed", "canonical",
    ),
    "quote": (*FIRST, "bid", "bid_size", "ask", "ask_size", "spread", "last", "sequence", "canonical"),
    "trade": (*FIRST, "price", "size", "side", "trade_id", "sequence", "canonical"),
    "book_snapshot": (*FIRST, "bids", "asks", "sequence", "canonical"),
    "book_update": (*FIRST, "bids", "asks", "sequence", "canonical"),
    "order": (
        *FIRST, "action", "order_id", "side", "price", "size", "remaining", "reason", "trade_id", "sequence",
        "canonical",
    ),
    "session": ("type", "provider", "session", "epoch", "ts_recv", "state", "reason", "retry_in_s"),
    "account": ("type", "provider", "ts_recv", "plan", "max_symbols", "credits_per_push", "quota_remaining"),
    "gap": ("type", "provider", "symbols", "reason", "from", "to", "session", "epoch", "missed"),
    "notice": ("type", "provider", "ts_recv", "code", "message", "symbols"),
    "summary": (
        "type", "provider", "ts_recv", "duration_s", "exit_code", "events", "written", "dropped", "quarantined",
        "unknown", "unrequested", "gaps", "missed", "reconnects", "symbols", "refused", "bytes", "credits_used",
        "credits_remaining",
    ),
}  # fmt: skip


def bar(**changes: Any) -> Bar:
    made = Bar(
        "tickatlas", "EURUSD", MINUTE, RECEIVED, "1m",
        number("1.13468"), number("1.13468"), number("1.13448"), number("1.1345"), number("291"),
        number("1.1345"), number("1.13462"), number("0.00012"), True,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def line(event: Event) -> str:
    return msgspec.json.Encoder(enc_hook=rfc3339).encode(event).decode()


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_an_event_are_written_in_this_order(name: str) -> None:
    assert wire_fields(EVENT_TYPES[name]) == FIELDS[name]


def test_the_table_of_events_is_complete() -> None:
    assert set(EVENT_TYPES) == set(FIELDS)
    declared = {*MarketEvent.__subclasses__(), *Event.__subclasses__()} - {MarketEvent}
    assert set(EVENT_TYPES.values()) == {kind for kind in declared if kind.__module__ == "tickstream.events"}


def test_a_bar_is_written_with_the_digits_of_the_provider() -> None:
    assert line(bar()) == (
        '{"type":"bar","provider":"tickatlas","symbol":"EURUSD","ts_event":"2026-06-24T14:54:00.000000Z",'
        '"ts_recv":"2026-06-24T14:55:01.204511Z","interval":"1m","open":1.13468,"high":1.13468,"low":1.13448,'
        '"close":1.1345,"volume":291,"bid":1.1345,"ask":1.13462,"spread":0.00012,"closed":true}'
    )
    assert '"close":1.08430,' in line(bar(close=number("1.08430")))
    assert '"close":0.00000001,' in line(bar(close=number("0.00000001")))


def test_what_is_unknown_is_absent_and_never_zero() -> None:
    event = bar(volume=None, bid=None, ask=None, spread=None, closed=None)
    assert list(json.loads(line(event))) == list(FIELDS["bar"][:10])
    assert json.loads(line(Quote("p", "S", MINUTE, RECEIVED))) == {
        "type": "quote", "provider": "p", "symbol": "S",
        "ts_event": "2026-06-24T14:54:00.000000Z", "ts_recv": "2026-06-24T14:55:01.204511Z",
    }  # fmt: skip


def test_a_zero_that_the_provider_sent_is_written() -> None:
    assert json.loads(line(bar(volume=number("0"), spread=number("0.00"))))["volume"] == 0
    assert '"spread":0.00' in line(bar(spread=number("0.00")))


def test_ids_stay_text() -> None:
    trade = Trade("p", "S", MINUTE, RECEIVED, number("1.5"), number("2"), "buy", "0012345678901234567890", 7)
    assert json.loads(line(trade))["trade_id"] == "0012345678901234567890"


def test_a_book_has_levels_of_price_and_size_in_the_digits_of_the_provider() -> None:
    levels = ((number("68123.50"), number("0.00000001")), (number("68123.00"), number("2.0")))
    assert line(BookSnapshot("coinbase", "BTC-USD", MINUTE, RECEIVED, levels, (), 7)) == (
        '{"type":"book_snapshot","provider":"coinbase","symbol":"BTC-USD","ts_event":"2026-06-24T14:54:00.000000Z",'
        '"ts_recv":"2026-06-24T14:55:01.204511Z","bids":[[68123.50,0.00000001],[68123.00,2.0]],"asks":[],"sequence":7}'
    )
    removed = ((number("68123.50"), number("0.00000000")),)
    assert line(BookUpdate("coinbase", "BTC-USD", MINUTE, RECEIVED, (), removed)).endswith(
        '"bids":[],"asks":[[68123.50,0.00000000]]}'
    )


def test_an_order_says_what_happened_to_it() -> None:
    done = OrderUpdate(
        "coinbase", "BTC-USD", MINUTE, RECEIVED, "done", "a-1", "sell", number("1.50"), None, number("0.0"), "canceled"
    )
    assert line(done).endswith(
        '"action":"done","order_id":"a-1","side":"sell","price":1.50,"remaining":0.0,"reason":"canceled"}'
    )


def test_a_gap_says_from_when_to_when_in_its_output() -> None:
    gap = Gap("tickatlas", ("EURUSD", "XAUUSD"), "disconnect", MINUTE, RECEIVED, 1, 2, 3)
    assert line(gap) == (
        '{"type":"gap","provider":"tickatlas","symbols":["EURUSD","XAUUSD"],"reason":"disconnect",'
        '"from":"2026-06-24T14:54:00.000000Z","to":"2026-06-24T14:55:01.204511Z","session":1,"epoch":2,"missed":3}'
    )
    assert "missed" not in line(Gap("tickatlas", ("EURUSD",), "quota", MINUTE, RECEIVED))


def test_stream_events_name_themselves() -> None:
    down = SessionEvent("tickatlas", 1, 3, RECEIVED, "down", "refused", 1.5)
    assert line(down) == (
        '{"type":"session","provider":"tickatlas","session":1,"epoch":3,"ts_recv":"2026-06-24T14:55:01.204511Z",'
        '"state":"down","reason":"refused","retry_in_s":1.5}'
    )
    assert json.loads(line(Notice("tickatlas", RECEIVED, "stale", "no data")))["type"] == "notice"
    assert "quota_remaining" not in line(Account("tickatlas", RECEIVED, "pro", 20, 4))


def test_a_summary_shows_all_its_counters_even_at_zero() -> None:
    summary = Summary("p", RECEIVED, 1.5, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, 1, (), 0, None, None)
    assert tuple(json.loads(line(summary))) == FIELDS["summary"]
    assert json.loads(line(summary))["missed"] is None


@pytest.mark.parametrize("kind", EVENT_TYPES.values())
def test_events_are_immutable(kind: type[Event]) -> None:
    assert kind.__struct_config__.frozen
    with pytest.raises(AttributeError):
        bar().close = number("2")  # type: ignore[misc]  # that is what must not work


def test_a_batch_begins_with_nothing_of_another_one() -> None:
    first, second = (Batch(1, 1, RECEIVED, []) for _ in range(2))
    first.quarantined.append(Quarantined(b"{}", "test"))
    assert second.quarantined == []


class SeenQuote(NamedTuple):
    symbol: str
    time: str


class TestGlimpses:
    def glimpses(self) -> Glimpses:
        seen = [SeenQuote("A", "i"), SeenQuote("B", "ii"), SeenQuote("A", "iii")]
        times = {"i": Timestamp(1), "ii": Timestamp(2), "iii": Timestamp(3)}
        return Glimpses("tickatlas", seen, times, Timestamp(9))

    def test_they_are_market_events_in_order(self) -> None:
        assert [(e.symbol, e.ts_event, e.ts_recv) for e in self.glimpses()] == [("A", 1, 9), ("B", 2, 9), ("A", 3, 9)]
        assert only_market(self.glimpses())

    def test_looking_at_one_or_some_is_the_same_as_looking_at_all(self) -> None:
        seen = self.glimpses()
        assert seen[1] == list(self.glimpses())[1]
        assert [e.symbol for e in reversed(seen)] == ["A", "B", "A"]
        assert seen[:2] == list(seen)[:2]
        assert seen[-1] is list(seen)[-1]

    def test_who_looks_twice_finds_the_same_objects(self) -> None:
        seen = self.glimpses()
        assert [id(event) for event in seen] == [id(event) for event in seen]


def test_a_batch_gives_its_market_events_whatever_else_is_in_it() -> None:
    data = MarketEvent("tickatlas", "A", None, Timestamp(1))
    notice = Notice("tickatlas", Timestamp(1), "code", "text")
    assert Batch(1, 1, Timestamp(1), [notice, data]).market_events() == [data]
    assert Batch(1, 1, Timestamp(1), [data], market_only=True).market_events() == [data]
    assert not only_market([notice, data])


def test_messages_that_were_joined_are_not_joined_again() -> None:
    text = b"one\ntwo"
    messages = Joined.of([b"one", b"two"], text, lines=True)
    assert messages == (b"one", b"two")
    assert joined(messages) is text
    assert joined([b"one", b"two"]) == text
