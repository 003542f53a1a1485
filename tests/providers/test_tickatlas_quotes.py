"""TickAtlas: its quotes in every form they may come in, and the key wherever it may come back."""

from __future__ import annotations

import pytest

from tests.providers.conversation import KEY, Conversation, authenticated, error, live, quote, subscribed
from tickstream.errors import ProviderError
from tickstream.events import Bar
from tickstream.keys import Secret
from tickstream.numbers import text
from tickstream.timestamps import NS_PER_SECOND


class TestQuotes:
    def test_a_quote_is_one_bar_with_bid_ask_and_our_own_spread(self) -> None:
        talk = live("EURUSD")
        (bar,) = talk.hear(quote())
        assert isinstance(bar, Bar)
        assert (bar.provider, bar.symbol, bar.interval, bar.closed) == ("tickatlas", "EURUSD", "1m", True)
        assert bar.ts_event == 1_774_620_000 * NS_PER_SECOND
        assert bar.ts_recv == talk.ts
        prices = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.bid, bar.ask, bar.spread)
        assert [text(price) for price in prices if price is not None] == [
            "1.08310", "1.08342", "1.08301", "1.08329", "184", "1.08329", "1.08341", "0.00012",
        ]  # fmt: skip

    def test_the_raw_message_goes_along_with_its_bar(self) -> None:
        talk = live("EURUSD")
        messages = [quote(close=f"1.0{n}") for n in range(5)]
        talk.hear(messages[0])
        talk.hear(*messages[1:3])
        talk.hear({"type": "heartbeat"}, *messages[3:])
        assert talk.payloads == messages
        assert len(talk.market) == 5

    @pytest.mark.parametrize(
        "time",
        [
            '"2026-03-27T14:00:00Z"', '"2026-03-27T14:00:00.000000+00:00"', '"2026-03-27T16:00:00+02:00"',
            '"2026-03-27T14:00:00"', '"2026-03-27 14:00"', "1774620000", "1774620000.0", "1774620000000",
            '"1774620000"', '" 1774620000000 "',
        ],
    )  # fmt: skip
    def test_the_time_may_come_in_any_usual_form(self, time: str) -> None:
        talk = live("EURUSD")
        (bar,) = talk.hear(quote(time=time))
        assert isinstance(bar, Bar)
        assert bar.ts_event == 1_774_620_000 * NS_PER_SECOND

    @pytest.mark.parametrize(
        "time", ["null", "true", "[]", "{}", '""', '"soon"', "-1", "1e9", "1e999", "9" * 30, "9" * 5000, ""]
    )
    def test_a_quote_without_a_usable_time_is_set_aside(self, time: str) -> None:
        talk = live("EURUSD")
        assert talk.hear(quote(time=time)) == []
        assert talk.protocol.counters.quarantined == 1

    def test_numbers_may_come_in_strings(self) -> None:
        talk = live("EURUSD")
        (bar,) = talk.hear(quote(close='"1.08330"', bid='"1.1"', ask='"1.20"', volume='"7"'))
        assert isinstance(bar, Bar)
        assert [text(n) for n in (bar.close, bar.spread, bar.volume) if n is not None] == ["1.08330", "0.10", "7"]

    @pytest.mark.parametrize("nothing", ["null", ""])
    def test_bid_ask_and_volume_may_be_unknown(self, nothing: str) -> None:
        talk = live("EURUSD")
        (bar,) = talk.hear(quote(bid=nothing, volume=nothing, spread=nothing))
        assert isinstance(bar, Bar)
        assert (bar.bid, bar.volume, bar.spread) == (None, None, None)
        assert bar.ask is not None

    @pytest.mark.parametrize("field", ["open", "high", "low", "close"])
    @pytest.mark.parametrize(
        "value",
        ["null", "", "true", '"abc"', "[]", "{}", "NaN", "Infinity", "1e999", '"NaN"', "9" * 5000, "01", "1.", "-"],
    )
    def test_a_candle_without_a_usable_price_is_set_aside_and_only_it(self, field: str, value: str) -> None:
        talk = live("EURUSD")
        talk.hear(quote(), quote(**{field: value}), quote())
        assert len(talk.market) == len(talk.payloads) == 2
        assert talk.protocol.counters.quarantined == 1

    def test_exponents_and_negative_prices_are_kept_as_written(self) -> None:
        talk = live("EURUSD")
        (bar,) = talk.hear(quote(open="-37.63", low="1e-08", bid="1E2", ask="1.5e2"))
        assert isinstance(bar, Bar)
        assert (text(bar.open), text(bar.low), text(bar.bid or bar.open)) == ("-37.63", "1e-08", "1E2")
        assert bar.spread is not None
        assert text(bar.spread) == "50"

    def test_unknown_fields_are_ignored(self) -> None:
        talk = live("EURUSD")
        assert len(talk.hear(quote(spread_pips="1.2", flags='{"a":[1,2]}'))) == 1

    def test_the_obsolete_flat_form_is_set_aside(self) -> None:
        talk = live("EURUSD")
        flat = b'{"type":"quote","symbol":"EURUSD","bid":1.08432,"ask":1.08443,"timestamp":"2026-04-04T14:23:01.482Z"}'
        assert talk.hear(flat) == []
        assert [item.payload for item in talk.protocol.take_quarantined()] == [flat]

    def test_data_that_was_not_asked_for_is_counted_and_reported_once(self) -> None:
        talk = live("EURUSD")
        talk.hear(quote("XAUUSD"), quote("EURUSD"), quote("XAUUSD"))
        assert [bar.symbol for bar in talk.market] == ["EURUSD"]
        assert talk.codes == ["unrequested_symbol"]
        assert talk.protocol.counters.unrequested == 2

    def test_every_quote_delivered_is_charged_whatever_we_make_of_it(self) -> None:
        talk = live("EURUSD")
        talk.hear(quote(), quote("XAUUSD"), quote(close="null"), quote(close='"1.5"'), {"type": "heartbeat"})
        assert talk.protocol.counters.pushes == 4

    def test_a_refused_symbol_is_one_that_was_not_asked_for(self) -> None:
        talk = Conversation("EURUSD", "XAUUSD")
        talk.hear(authenticated(), subscribed("EURUSD"))
        talk.hear(quote("XAUUSD"))
        assert talk.market == []

    def test_times_are_remembered_but_not_for_ever(self) -> None:
        talk = live("EURUSD")
        times = [f'"2026-03-{1 + n // 1440:02d}T{n // 60 % 24:02d}:{n % 60:02d}:00Z"' for n in range(5000)]
        for start in range(0, 5000, 1000):
            talk.hear(*(quote(time=time) for time in times[start : start + 1000]))
        assert [bar.ts_event for bar in talk.market] == [(1_772_323_200 + 60 * n) * NS_PER_SECOND for n in range(5000)]
        assert len(talk.protocol._times) <= 4096  # type: ignore[attr-defined]  # the bound is what is tested


class TestTheKeyEchoedBack:
    def test_it_is_redacted_in_errors_notices_events_and_what_is_set_aside(self) -> None:
        escaped = KEY.replace("_", "\\u005f")
        talk = live("EURUSD")
        talk.hear(
            error(KEY, f"your key is {KEY}"),
            {"type": KEY, "key": KEY},
            {"type": "subscribed", "symbols": KEY},
            quote(KEY),
            quote(time=f'"{KEY}"'),
            quote(close=f'"{KEY}"'),
            b"not json: " + KEY.encode(),
            f'{{"type":"{escaped}"}}'.encode(),
            authenticated(plan=KEY),
        )
        kept = talk.protocol.take_quarantined()
        assert len(kept) == 4
        assert talk.codes == ["***", "unknown_type", "unrequested_symbol"]
        for shown in (*map(repr, talk.events), *(repr(item) for item in kept)):
            assert KEY not in shown
            assert KEY[:12] not in shown

    @pytest.mark.parametrize("code", ["invalid_key", "forbidden", "something"])
    def test_it_is_redacted_in_what_ends_the_conversation(self, code: str) -> None:
        talk = Conversation("EURUSD")
        try:
            talk.hear(error(code, f"key {KEY}"))
            ended = talk.protocol.closed(1008, KEY)
        except ProviderError as raised:
            ended = raised
        assert ended is not None
        assert "***" in str(ended)
        assert KEY not in str(ended) + repr(ended) + repr(vars(ended))

    def test_a_long_key_is_not_shown_in_part(self) -> None:
        key = "tk_" + "0123456789abcdef" * 8
        talk = live("EURUSD", key=Secret(key))
        talk.hear(
            {"type": key},
            quote(key),
            quote(time=f'"{key}"'),
            quote(close=f'"{key}"'),
            b"[" + b"x" * 4070 + key.encode(),
        )
        shown = repr(talk.events) + repr(talk.protocol.take_quarantined())
        assert "tk_0123" not in shown
        assert "***" in shown
