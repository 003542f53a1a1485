"""Trading hours, checked against New York's own clock, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream import markets
from tickstream.markets import (
    ALWAYS,
    FOREX,
    MARKETS,
    NS_PER_MINUTE,
    US_EQUITIES,
    Market,
    State,
    market_of,
    pause_of,
    state,
)

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 60 * NS_PER_MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

moments = st.integers(0, 4_102_444_800_000_000_000)
"""1970 to 2100, ns."""


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000) * 1000


def trades(market: Market, ns: int) -> bool:
    """The same question, asked of the calendar and the clock in New York."""
    local = datetime.fromtimestamp(ns // 1_000_000_000, NEW_YORK)
    day, minute = local.isoweekday(), local.hour * 60 + local.minute
    if market is FOREX:
        return day in range(1, 5) or (day == 5 and minute < 17 * 60) or (day == 7 and minute >= 17 * 60)
    if market is US_EQUITIES:
        return day <= 5 and 9 * 60 + 30 <= minute < 16 * 60
    return True


@pytest.fixture(params=["zoneinfo", "built-in rule"])
def zone(request, monkeypatch):
    """With the system's time zone database, and without one, as on Windows."""
    markets.minutes_behind_utc.cache_clear()
    if request.param != "zoneinfo":
        monkeypatch.setattr(markets, "new_york", lambda: None)
    yield request.param
    markets.minutes_behind_utc.cache_clear()


class TestHours:
    @pytest.mark.parametrize(
        ("moment", "is_open"),
        [
            ("2026-01-02T21:59:59", True),  # Friday, winter
            ("2026-01-02T22:00:00", False),
            ("2026-01-04T21:59:59", False),  # Sunday
            ("2026-01-04T22:00:00", True),
            ("2026-07-03T20:59:59", True),  # Friday, summer
            ("2026-07-03T21:00:00", False),
            ("2026-07-05T20:59:59", False),
            ("2026-07-05T21:00:00", True),
            ("2026-03-06T22:00:00", False),  # the last Friday of winter
            ("2026-03-08T20:59:59", False),
            ("2026-03-08T21:00:00", True),  # the Sunday on which the clocks change
            ("2026-10-30T20:59:59", True),
            ("2026-10-30T21:00:00", False),
            ("2026-11-01T21:30:00", False),
            ("2026-11-01T22:00:00", True),
        ],
    )
    def test_forex_trades_from_sunday_to_friday_17_00_new_york(self, zone, moment, is_open):
        assert FOREX.is_open(at(moment)) is is_open

    @pytest.mark.parametrize(
        ("moment", "is_open"),
        [
            ("2026-01-05T14:29:59", False),
            ("2026-01-05T14:30:00", True),
            ("2026-01-05T20:59:59", True),
            ("2026-01-05T21:00:00", False),
            ("2026-07-06T13:30:00", True),
            ("2026-07-06T20:00:00", False),
            ("2026-07-04T15:00:00", False),  # a Saturday
        ],
    )
    def test_us_equities_trade_from_9_30_to_16_00_new_york(self, zone, moment, is_open):
        assert US_EQUITIES.is_open(at(moment)) is is_open

    @given(moments, st.sampled_from(list(MARKETS.values())))
    def test_a_market_is_open_when_new_yorks_clock_says_so(self, moment, market):
        assert market.is_open(moment) is trades(market, moment)

    @given(st.integers(at("2007-06-01T00:00:00"), at("2099-12-31T00:00:00")))
    def test_the_built_in_rule_agrees_with_the_database_since_2007(self, moment):
        week = markets._week(moment)
        day = datetime.fromtimestamp(moment // 1_000_000_000 // 86_400 * 86_400, UTC)
        at_noon = day.replace(hour=17).astimezone(NEW_YORK)
        summer = markets.us_summer_time(at_noon.year, at_noon.month, at_noon.day)
        assert summer is (at_noon.utcoffset().total_seconds() == -4 * 3600)
        assert markets.minutes_behind_utc(week) in (240, 300)

    def test_a_missing_database_is_no_error(self, monkeypatch):
        def missing(name: str) -> ZoneInfo:
            raise ZoneInfoNotFoundError(name)

        monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
        markets.new_york.cache_clear()
        try:
            assert markets.new_york() is None
        finally:
            markets.new_york.cache_clear()

    def test_the_end_of_the_calendar_is_no_error(self):
        last = 253_402_300_799 * 1_000_000_000
        assert isinstance(FOREX.is_open(last), bool)
        assert FOREX.next_open(last) is not None


class TestNext:
    def test_a_market_that_never_closes_has_neither_opening_nor_close(self):
        now = at("2026-06-24T12:00:00")
        assert (ALWAYS.next_open(now), ALWAYS.next_close(now), ALWAYS.opened_at(now)) == (None, None, None)

    def test_over_the_weekend_forex_opens_on_sunday(self, zone):
        saturday = at("2026-07-04T12:00:00")
        assert FOREX.next_open(saturday) == at("2026-07-05T21:00:00")
        assert FOREX.next_close(saturday) == at("2026-07-10T21:00:00")

    def test_over_the_change_of_the_clocks_forex_opens_by_the_new_time(self, zone):
        assert FOREX.next_open(at("2026-03-07T12:00:00")) == at("2026-03-08T21:00:00")
        assert FOREX.next_open(at("2026-10-31T12:00:00")) == at("2026-11-01T22:00:00")

    def test_the_opening_itself_is_not_the_next_one(self):
        opening = at("2026-07-05T21:00:00")
        assert FOREX.opened_at(opening) == opening
        assert FOREX.next_open(opening) == opening + WEEK
        assert FOREX.next_open(opening - 1) == opening

    @given(moments, st.sampled_from([FOREX, US_EQUITIES]))
    def test_openings_and_closes_are_where_the_market_changes(self, moment, market):
        opening, close = market.next_open(moment), market.next_close(moment)
        assert opening is not None
        assert close is not None
        assert moment < opening <= moment + WEEK
        assert moment < close <= moment + WEEK + DAY
        assert (trades(market, opening - 1), trades(market, opening)) == (False, True)
        assert (trades(market, close - 1), trades(market, close)) == (True, False)
        assert (close < opening) is trades(market, moment)

    @given(moments, st.sampled_from([FOREX, US_EQUITIES]))
    def test_the_opening_of_the_session_is_in_the_past_of_an_open_market(self, moment, market):
        opened = market.opened_at(moment)
        assert (opened is not None) is trades(market, moment)
        if opened is not None:
            assert opened <= moment < opened + 5 * DAY
            assert market.next_open(opened - 1) == opened


class TestOpenMinutes:
    def test_a_forex_week_has_7200_minutes_in_every_season(self, zone):
        assert FOREX.minutes_per_week == 7_200
        for sunday in ("2026-01-04", "2026-03-08", "2026-03-01", "2026-10-25", "2026-11-01"):
            assert FOREX.open_minutes(at(f"{sunday}T00:00:00"), at(f"{sunday}T00:00:00") + WEEK) == 7_200

    def test_other_weeks_have_theirs(self):
        assert ALWAYS.minutes_per_week == 10_080
        assert US_EQUITIES.minutes_per_week == 5 * 390

    def test_only_whole_minutes_count(self):
        noon = at("2026-06-24T12:00:00")
        for market in (ALWAYS, FOREX):
            assert market.open_minutes(noon, noon + NS_PER_MINUTE) == 1
            assert market.open_minutes(noon + 1, noon + NS_PER_MINUTE) == 0
            assert market.open_minutes(noon, noon + NS_PER_MINUTE - 1) == 0
            assert market.open_minutes(noon + 1, noon + 2 * NS_PER_MINUTE) == 1
            assert market.open_minutes(noon, noon - HOUR) == 0

    @given(
        moments,
        st.integers(0, 20 * 24 * 60) | st.integers(0, 300),
        st.integers(0, NS_PER_MINUTE - 1),
        st.sampled_from(list(MARKETS.values())),
    )
    def test_they_are_the_minutes_that_one_counts_by_hand(self, start, minutes, rest, market):
        end = start + minutes * NS_PER_MINUTE + rest
        step = 30 * NS_PER_MINUTE  # every change of these markets falls on a half hour
        first, last = -(-start // NS_PER_MINUTE) * NS_PER_MINUTE, end // NS_PER_MINUTE * NS_PER_MINUTE
        counted, moment = 0, first
        while moment < last:
            ahead = min(last, moment - moment % step + step)
            counted += (ahead - moment) // NS_PER_MINUTE if trades(market, moment) else 0
            moment = ahead
        assert market.open_minutes(start, end) == counted

    @given(moments, moments, moments)
    def test_parts_add_up_to_the_whole_over_any_number_of_years(self, one, two, three):
        start, middle, end = sorted(moment - moment % NS_PER_MINUTE for moment in (one, two, three))
        whole = FOREX.open_minutes(start, end)
        assert FOREX.open_minutes(start, middle) + FOREX.open_minutes(middle, end) == whole


class TestMarketOf:
    @pytest.mark.parametrize("symbol", ["EURUSD", "USDJPY", "XAUUSD", "XAGEUR", "EUR/USD", "eur-usd", "EURUSD.M"])
    def test_currencies_and_metals_trade_in_the_forex_week(self, symbol):
        assert market_of(symbol) is FOREX

    @pytest.mark.parametrize(
        "symbol", ["BTCUSD", "BTC-USD", "ETHEUR", "US500", "AAPL", "USDOIL", "EUR", "", "☃", "XAUXAG"]
    )
    def test_crypto_and_everything_unknown_counts_as_always_open(self, symbol):
        assert market_of(symbol) is ALWAYS


OPEN = at("2026-06-24T12:00:00")
CLOSED = at("2026-06-27T12:00:00")


class TestState:
    @pytest.mark.parametrize(
        ("age_s", "session", "now", "expected"),
        [
            (0.0, "up", OPEN, State.LIVE),
            (75.0, "up", OPEN, State.LIVE),
            (75.1, "up", OPEN, State.QUIET),
            (150.0, "up", OPEN, State.QUIET),
            (150.1, "up", OPEN, State.STALE),
            (None, "up", OPEN, State.WAITING),
            (None, "connecting", OPEN, State.WAITING),
            (1.0, "down", OPEN, State.STALE),
            (1.0, "connecting", OPEN, State.STALE),
            (1.0, "closed", OPEN, State.STALE),
            (1.0, "held", OPEN, State.HELD),
            (None, "held", OPEN, State.HELD),
            (90_000.0, "up", CLOSED, State.CLOSED),
            (None, "up", CLOSED, State.CLOSED),
            (1.0, "down", CLOSED, State.CLOSED),
            (1.0, "held", CLOSED, State.HELD),
        ],
    )
    def test_a_symbol_is_shown_as_what_it_is(self, age_s, session, now, expected):
        assert state(FOREX, age_s, 150, session, now) is expected

    def test_fresh_data_is_live_whatever_the_calendar_says(self):
        assert state(FOREX, 1.0, 150, "up", CLOSED) is State.LIVE

    def test_a_market_that_has_just_opened_is_given_time(self):
        opening = at("2026-06-28T21:00:00")
        assert state(FOREX, 172_800.0, 150, "up", opening - 1) is State.CLOSED
        assert state(FOREX, 172_800.0, 150, "up", opening) is State.QUIET
        assert state(FOREX, 172_950.0, 150, "up", opening + 150_000_000_000) is State.QUIET
        assert state(FOREX, 172_951.0, 150, "up", opening + 151_000_000_000) is State.STALE

    def test_a_market_that_never_closes_goes_stale_at_the_weekend_too(self):
        assert state(ALWAYS, 151.0, 150, "up", CLOSED) is State.STALE


@pytest.mark.parametrize(
    ("symbol", "pauses"),
    [("XAUUSD", True), ("XAG/USD", True), ("C:XAU-USD", True), ("xauusd.m", True), ("GOLD", True), ("Silver", True),
     ("EURUSD", False), ("BTCUSD", False), ("GOLDMAN", False)],
)  # fmt: skip
def test_metals_pause_for_an_hour_a_day(symbol: str, pauses: bool) -> None:
    pause = pause_of(symbol)
    assert (pause is not None) is pauses
    if pause is not None:
        begins = at("2026-06-24T21:00:00")
        assert [pause.open_minutes(begins - HOUR, begins), pause.open_minutes(begins, begins + 2 * HOUR)] == [0, 60]
        assert pause.minutes_per_week == 5 * 60
