"""When markets trade, and what silence means. Pure: every moment is an argument, in ns since 1970 UTC.

A market is a week of sessions in New York time. New York changes its clocks on Sundays at 02:00, when none of these
markets trades, so one UTC offset holds for all sessions of a week (Sunday 00:00 to Saturday 24:00), and every week
has the same number of open minutes: counting over years is as fast as over hours.

Holidays are not known here. Fresh data is LIVE whatever the calendar says.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
MINUTES_PER_DAY = 1440
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY

_EPOCH_SUNDAY = 3 * MINUTES_PER_DAY
"""1970-01-04 was the first Sunday: minutes since 1970."""


class State(Enum):
    """What a symbol is at, for the reader of the table."""

    LIVE = "live"  # data is fresh
    QUIET = "quiet"  # nothing for a little while; nothing wrong yet
    STALE = "stale"  # data should be there and is not
    CLOSED = "closed"  # the market does not trade now
    HELD = "held"  # the provider withholds data: quota, too many connections
    WAITING = "waiting"  # nothing has come yet


class Market(NamedTuple):
    """Trading hours: sessions as [open, close) in minutes of the New York week, Sunday 00:00 = 0. None: always open."""

    name: str
    sessions: tuple[tuple[int, int], ...] | None = None

    @property
    def minutes_per_week(self) -> int:
        """Open minutes of any week: 10,080 for ALWAYS, 7,200 for FOREX."""
        if self.sessions is None:
            return MINUTES_PER_WEEK
        return sum(close - begin for begin, close in self.sessions)

    def is_open(self, ns: int) -> bool:
        """True while the market trades; the opening belongs to it, the close does not."""
        return self.sessions is None or self.opened_at(ns) is not None

    def opened_at(self, ns: int) -> int | None:
        """The opening of the session that this moment is in; None when closed, or always open."""
        return next((begin for begin, close in self._sessions(ns, 1) if begin <= ns < close), None)

    def next_open(self, ns: int) -> int | None:
        """The first opening after this moment; None for a market that is always open."""
        return next((begin for begin, _ in self._sessions(ns, 2) if begin > ns), None)

    def next_close(self, ns: int) -> int | None:
        """The first close after this moment; None for a market that is always open."""
        return next((close for _, close in self._sessions(ns, 2) if close > ns), None)

    def open_minutes(self, start_ns: int, end_ns: int) -> int:
        """How many whole minutes of [start, end) the market is open: the M1 bars that begin and end in it."""
        first, last = -(-start_ns // NS_PER_MINUTE), end_ns // NS_PER_MINUTE
        if last <= first:
            return 0
        if self.sessions is None:
            return last - first
        return self._opened_before(last * NS_PER_MINUTE) - self._opened_before(first * NS_PER_MINUTE)

    def _opened_before(self, ns: int) -> int:
        """Open minutes from the first Sunday of 1970 until this moment; negative before it."""
        week = _week(ns)
        this_week = sum(max(0, min(close, ns) - begin) for begin, close in self._sessions(ns, 1))
        return week * self.minutes_per_week + this_week // NS_PER_MINUTE

    def _sessions(self, ns: int, weeks: int) -> list[tuple[int, int]]:
        """The sessions of this moment's week, and of those that follow, in ns, in order."""
        found = []
        for week in range(_week(ns), _week(ns) + weeks):
            sunday = _EPOCH_SUNDAY + week * MINUTES_PER_WEEK + minutes_behind_utc(week)
            found += [
                ((sunday + begin) * NS_PER_MINUTE, (sunday + close) * NS_PER_MINUTE)
                for begin, close in self.sessions or ()
            ]
        return found


def _week(ns: int) -> int:
    """Weeks of Sunday 00:00 to Saturday 24:00 UTC since 1970-01-04. Every session lies within one, in both zones."""
    return (ns // NS_PER_MINUTE - _EPOCH_SUNDAY) // MINUTES_PER_WEEK


def _day(weekday: int, hour: int, minute: int = 0) -> int:
    return weekday * MINUTES_PER_DAY + hour * 60 + minute


ALWAYS = Market("24x7")
FOREX = Market("forex", ((_day(0, 17), _day(5, 17)),))
"""Currencies and metals: Sunday 17:00 to Friday 17:00 New York, 5 x 1440 minutes."""
METALS_PAUSE = Market("metals-pause", tuple((_day(day, 17), _day(day, 18)) for day in range(5)))
"""When metals pause within the week of FOREX: an hour a day, and on Sundays they open an hour later. What is made of
COMEX's hours (Sunday 18:00 to Friday 17:00 with a break of an hour from 17:00 on); no provider documents its own."""
US_EQUITIES = Market("us-equities", tuple((_day(day, 9, 30), _day(day, 16)) for day in range(1, 6)))

MARKETS = {market.name: market for market in (ALWAYS, FOREX, US_EQUITIES)}


@lru_cache(maxsize=1024)
def minutes_behind_utc(week: int) -> int:
    """How far New York is behind UTC in this week (0 began on 1970-01-04): 240 in summer, 300 in winter."""
    from datetime import UTC, datetime, timedelta

    try:
        sunday = datetime(1970, 1, 4, 22, tzinfo=UTC) + timedelta(weeks=week)
    except OverflowError:  # beyond the year 9999
        return 300
    zone = new_york()
    if zone is None:
        return 240 if us_summer_time(sunday.year, sunday.month, sunday.day) else 300
    offset = sunday.astimezone(zone).utcoffset() or timedelta(0)
    return round(-offset.total_seconds() / 60)


@lru_cache(maxsize=1)
def new_york() -> ZoneInfo | None:
    """The zone from the system's time zone database; None where there is none (Windows without `tzdata`)."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo("America/New_York")
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return None


def us_summer_time(year: int, month: int, day: int) -> bool:
    """The US rule since 2007, for want of a time zone database: summer time begins on the second Sunday of March and
    ends on the first Sunday of November. Both days count as what they become."""
    from datetime import date

    def sunday(of_month: int, nth: int) -> date:
        first = date(year, of_month, 1)
        return first.replace(day=1 + (6 - first.weekday()) % 7 + 7 * (nth - 1))

    return sunday(3, 2) <= date(year, month, day) < sunday(11, 1)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_METALS = _words("XAG XAU XPD XPT")
_CURRENCIES = _words(
    """AED ARS AUD BRL CAD CHF CLP CNH CNY COP CZK DKK EUR GBP HKD HUF IDR ILS INR JPY KRW KWD MXN MYR NOK NZD PEN PHP
    PLN QAR RON RUB SAR SEK SGD THB TRY TWD USD ZAR"""
)


@lru_cache(maxsize=8192)
def market_of(symbol: str) -> Market:
    """Where a symbol trades, by its name: pairs of currencies, and metals (`EURUSD`, `EUR/USD`, `XAUUSD`), are FOREX.

    Everything else is ALWAYS: crypto because it is, and indices, commodities and stocks because their hours are not
    known here. To call a silent feed closed would hide a fault; to call it stale only asks somebody to look.
    """
    # What follows a dot is a broker's suffix (`EURUSD.M`).
    letters = "".join(one for one in symbol.upper().partition(".")[0] if one.isalpha())
    base, quoted = letters[:3], letters[3:]
    if quoted in _CURRENCIES and (base in _CURRENCIES or base in _METALS):
        return FOREX
    return ALWAYS


def pause_of(symbol: str) -> Market | None:
    """When a symbol may be silent although its market is open, as sessions of silence; None where no pause is known.

    What is sent then is as good as any other data: this only says what nobody has to miss.
    """
    name = symbol.upper().rpartition(":")[2].partition(".")[0]
    metal = name in ("GOLD", "SILVER") or "".join(filter(str.isalpha, name))[:3] in _METALS
    return METALS_PAUSE if metal else None


def state(market: Market, last_data_age_s: float | None, silence_s: float, session_state: str, now_ns: int) -> State:
    """What to say of a symbol.

    `last_data_age_s`: seconds since its last data, None for none yet. `silence_s`: after so long without data in an
    open market it is STALE; up to half of that it is LIVE, in between QUIET. `session_state`: see events.SessionState;
    "held" also for a provider that withholds data until its quota resets. A market that has just opened is given
    `silence_s` from its opening.
    """
    if session_state == "held":
        return State.HELD
    up = session_state == "up"
    if up and last_data_age_s is not None and last_data_age_s <= silence_s / 2:
        return State.LIVE
    if not market.is_open(now_ns):
        return State.CLOSED
    if last_data_age_s is None:
        return State.WAITING
    if not up:
        return State.STALE
    opened = market.opened_at(now_ns)
    waited_s = last_data_age_s if opened is None else min(last_data_age_s, (now_ns - opened) / NS_PER_SECOND)
    return State.QUIET if waited_s <= silence_s else State.STALE
