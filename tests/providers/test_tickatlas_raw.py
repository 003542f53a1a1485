"""TickAtlas for `-o raw`: messages go on as they are, and no more of them is read than symbol and time."""

from __future__ import annotations

import pytest

from tests.providers.conversation import Conversation, error, live, quote
from tickstream.errors import ProviderError
from tickstream.events import Bar, Glimpses, MarketEvent
from tickstream.timestamps import NS_PER_SECOND


def raw(*symbols: str) -> Conversation:
    return live(*symbols, raw=True)


def test_symbol_and_time_of_each_message_are_known_and_it_goes_along() -> None:
    talk = raw("EURUSD", "XAUUSD")
    messages = [quote(), quote("XAUUSD", time='"2026-03-27T14:01:00Z"')]
    first, second = talk.hear(*messages)
    assert type(first) is type(second) is MarketEvent
    assert isinstance(first, MarketEvent)
    assert (first.provider, first.symbol, first.ts_event, first.ts_recv) == (
        "tickatlas", "EURUSD", 1_774_620_000 * NS_PER_SECOND, talk.ts,
    )  # fmt: skip
    assert isinstance(second, MarketEvent)
    assert (second.symbol, second.ts_event) == ("XAUUSD", 1_774_620_060 * NS_PER_SECOND)
    assert talk.payloads == messages


def test_a_whole_batch_is_not_made_into_events_until_somebody_looks() -> None:
    talk = raw("EURUSD")
    talk.protocol.receive([quote()] * 3, talk.ts, 0.0)
    assert talk.protocol.has_events
    events = talk.protocol.take_events()
    assert isinstance(events, Glimpses)
    assert len(events) == 3
    assert not talk.protocol.has_events


def test_pushes_are_counted_as_they_are_for_every_output() -> None:
    talk = raw("EURUSD")
    talk.hear(*[quote()] * 3)
    talk.hear({"type": "heartbeat"}, quote(), quote("GBPUSD"))
    assert talk.protocol.counters.pushes == 5
    assert talk.protocol.counters.unrequested == 1


def test_data_keeps_its_place_among_other_events() -> None:
    talk = raw("EURUSD")
    talk.protocol.receive([quote()], talk.ts, 0.0)
    talk.protocol.receive([quote(), b"{"], talk.ts, 0.0)
    talk.protocol.receive([quote("GBPUSD")], talk.ts, 0.0)
    talk.protocol.receive([quote()], talk.ts, 0.0)
    names = [getattr(event, "symbol", None) or event.code for event in talk.protocol.take_events()]  # type: ignore[attr-defined]  # all else are notices
    assert names == ["EURUSD", "EURUSD", "unrequested_symbol", "EURUSD"]


def test_prices_are_not_looked_at() -> None:
    talk = raw("EURUSD")
    message = quote(bid='"n/a"')
    assert len(talk.hear(message)) == 1
    assert talk.payloads == [message]


@pytest.mark.parametrize("time", ["1774620000", '"1774620000000"'])
def test_a_time_in_a_looser_form_is_understood(time: str) -> None:
    talk = raw("EURUSD")
    (event,) = talk.hear(quote(time=time))
    assert isinstance(event, Bar)
    assert event.ts_event == 1_774_620_000 * NS_PER_SECOND


@pytest.mark.parametrize("message", [b"{", b'{"type":"quote"}', b'{"type":"quote","data":{"symbol":"EURUSD"}}', b"[1]"])
def test_what_is_no_message_is_set_aside(message: bytes) -> None:
    talk = raw("EURUSD")
    talk.hear(quote(), message, quote())
    assert talk.protocol.counters.quarantined == 1
    assert len(talk.payloads) == 2


def test_errors_end_the_conversation_as_always() -> None:
    with pytest.raises(ProviderError):
        raw("EURUSD").hear(quote(), error("invalid_key"))
