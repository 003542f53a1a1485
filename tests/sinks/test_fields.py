from __future__ import annotations

import pytest

from tickstream.errors import UsageError
from tickstream.events import EVENT_TYPES, Bar, MarketEvent, OrderUpdate, Quote, Trade, wire_fields
from tickstream.sinks.fields import check_fields, csv_fields, default_columns, valid_fields
from tickstream.subscriptions import Channel


def test_every_field_of_every_market_event_is_valid_once() -> None:
    names = valid_fields()
    kinds = [kind for kind in EVENT_TYPES.values() if issubclass(kind, MarketEvent)]
    assert set(names) == {name for kind in kinds for name in wire_fields(kind)}
    assert len(names) == len(set(names))
    assert names[:5] == ("type", "provider", "symbol", "ts_event", "ts_recv")


@pytest.mark.parametrize(
    ("channel", "kind"),
    [(Channel.BARS, Bar), (Channel.QUOTES, Quote), (Channel.TRADES, Trade), (Channel.ORDERS, OrderUpdate)],
)
def test_the_columns_of_a_channel_are_the_fields_of_its_events(channel: Channel, kind: type[Bar]) -> None:
    assert default_columns(channel) == wire_fields(kind)


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_has_columns_that_can_be_chosen(channel: Channel) -> None:
    assert default_columns(channel)[:5] == ("type", "provider", "symbol", "ts_event", "ts_recv")
    assert set(default_columns(channel)) <= set(csv_fields())


def test_in_csv_a_book_has_levels_instead_of_sides() -> None:
    assert set(valid_fields()) - set(csv_fields()) == {"bids", "asks"}
    assert set(csv_fields()) - set(valid_fields()) == {"level"}
    assert default_columns(Channel.BOOK)[5:] == ("side", "level", "price", "size", "sequence", "canonical")


def test_known_fields_come_back_in_the_order_given() -> None:
    assert check_fields(["close", "symbol"]) == ("close", "symbol")
    assert check_fields(["age", "symbol"], ("age",)) == ("age", "symbol")


def test_an_unknown_field_is_refused_with_the_near_ones_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        check_fields(["symbol", "volme"])
    assert "'volme'" in str(caught.value)
    assert "Did you mean volume?" in str(caught.value)
    assert ", ".join(valid_fields()) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_field_of_another_output_is_refused() -> None:
    with pytest.raises(UsageError):
        check_fields(["trend"])


def test_a_field_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        check_fields(["bid", "ask", "bid"])


def test_no_field_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no field"):
        check_fields([])
