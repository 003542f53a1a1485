"""What a subscription costs: plans as data, estimates before a run, and a meter during it. Pure arithmetic.

Credits are charged for each push delivered. With one push a minute and symbol, a day costs
`symbols x 1440 x credits_per_push` (the table of TickAtlas' streaming guide).
Everything here is integers; this module imports nothing that start-up would feel.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from tickstream.errors import ConfigError, CreditLimit, Forbidden, SymbolRefused

MINUTES_PER_DAY = 1440
NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND

BURN_WINDOW_MINUTES = 10
"""The burn rate is taken from this many minutes, or from as many whole ones as the run is old."""


class Plan(NamedTuple):
    """A provider's plan. `price_usd` is for a month; None where there is no fixed price."""

    name: str
    price_usd: int | float | None
    credits_per_push: int
    max_symbols: int | None
    """None: no limit that we know of."""
    daily_quota: int | None
    """Credits a day; None: unlimited, or unknown."""
    streaming: bool = True
    max_symbols_is_minimum: bool = False
    """The provider does not publish the limit; `max_symbols` is the largest count it is known to serve."""
    quota_is_assumed: bool = False
    """`daily_quota` is our inference, not the provider's word."""


class CreditRates(NamedTuple):
    """A provider's plans, cheapest first. `minutes_per_push`: one push per symbol in so many minutes."""

    plans: tuple[Plan, ...]
    minutes_per_push: int = 1

    def plan(self, name: str) -> Plan | None:
        """The plan of this name, whatever its case; None when there is none."""
        wanted = name.casefold()
        return next((plan for plan in self.plans if plan.name.casefold() == wanted), None)

    def override(self, changes: Mapping[str, Mapping[str, object]]) -> CreditRates:
        """The rates with fields of plans replaced, and plans added, as the config file says.

        A limit or a quota that is given counts as known. Values must have been checked. Raises ConfigError for a
        plan that is new and does not say what a push costs.
        """
        plans = {plan.name: plan for plan in self.plans}
        for name, fields in changes.items():
            values = dict(fields)
            if "max_symbols" in values:
                values.setdefault("max_symbols_is_minimum", False)
            if "daily_quota" in values:
                values.setdefault("quota_is_assumed", False)
            known = self.plan(name)
            if known is None and "credits_per_push" not in values:
                raise ConfigError(f"the plan {name!r} is new: it needs credits_per_push")
            known = known or Plan(name, None, 0, None, None)
            plans[known.name] = known._replace(**values)  # type: ignore[arg-type]  # checked by config.py
        return self._replace(plans=tuple(plans.values()))


class Fit(Enum):
    """Whether a plan serves a subscription."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Usage(NamedTuple):
    """What is to be streamed: so many symbols, `minutes_a_day` on each trading day, `trading_days` in a week."""

    symbols: int
    minutes_a_day: int = MINUTES_PER_DAY
    trading_days: int = 7


class Estimate(NamedTuple):
    """What a usage costs on a plan, in credits. `per_minute` and above count all symbols.

    `per_day` is one trading day. `per_30_days` and longer periods are averages where not every day trades, rounded up.
    """

    plan: Plan
    usage: Usage
    per_minute: int
    per_hour: int
    per_day: int
    per_week: int
    per_30_days: int
    quota: int | None
    lasts_minutes: int | None
    """Minutes of streaming until the quota is used up; None when it lasts the day."""
    symbols_sustained: int | None
    """Symbols that the quota pays for all day; None without a quota."""
    fit: Fit
    reason: str
    """Why it does not fit, or why that is not known."""

    def over(self, days: int) -> int:
        """Credits for so many calendar days, on average, rounded up."""
        return -(-self.per_week * days // 7)


def estimate(plan: Plan, usage: Usage, minutes_per_push: int = 1, quota: int | None = None) -> Estimate:
    """What this usage costs on this plan. `quota` replaces the plan's daily quota."""
    pushes_a_day = usage.minutes_a_day // minutes_per_push
    per_round = usage.symbols * plan.credits_per_push
    per_day = per_round * pushes_a_day
    per_week = per_day * usage.trading_days
    limit = plan.daily_quota if quota is None else quota
    lasts = sustained = None
    if limit is not None and per_day > limit:
        lasts = limit // per_round * minutes_per_push
    if limit is not None and plan.credits_per_push and pushes_a_day:
        sustained = limit // (plan.credits_per_push * pushes_a_day)
    fit, reason = _fit(plan, usage.symbols, per_day, limit, assumed=quota is None and plan.quota_is_assumed)
    return Estimate(
        plan,
        usage,
        per_minute=-(-per_round // minutes_per_push),
        per_hour=-(-per_round * 60 // minutes_per_push),
        per_day=per_day,
        per_week=per_week,
        per_30_days=-(-per_week * 30 // 7),
        quota=limit,
        lasts_minutes=lasts,
        symbols_sustained=sustained,
        fit=fit,
        reason=reason,
    )


def _fit(plan: Plan, symbols: int, per_day: int, quota: int | None, *, assumed: bool) -> tuple[Fit, str]:
    if not plan.streaming:
        return Fit.NO, "no streaming"
    beyond = plan.max_symbols is not None and symbols > plan.max_symbols
    if beyond and not plan.max_symbols_is_minimum:
        return Fit.NO, f"{plan.max_symbols}-symbol limit"
    if quota is not None and per_day > quota:
        return Fit.NO, f"over {quota:,} credits a day" + (" (assumed)" if assumed else "")
    if beyond:
        return Fit.UNKNOWN, f"known to serve {plan.max_symbols} symbols; its limit is not published"
    return Fit.YES, ""


def refuse(plan: Plan, symbols: int) -> None:
    """Raises Forbidden for a plan without streaming, SymbolRefused for more symbols than it is known to allow."""
    if not plan.streaming:
        raise Forbidden(
            f"the {plan.name} plan has no streaming", code="forbidden", hint="See --compare for the plans that have."
        )
    if plan.max_symbols is not None and not plan.max_symbols_is_minimum and symbols > plan.max_symbols:
        raise SymbolRefused(
            f"{symbols} symbols are too many for the {plan.name} plan: it has a {plan.max_symbols}-symbol limit",
            hint="Ask for fewer symbols, or see --compare for a plan that takes them.",
        )


def cheapest(estimates: Iterable[Estimate]) -> Estimate | None:
    """The one of least price that fits; one whose fit is unknown only when no other does; None when none may."""
    ranked = [one for one in estimates if one.fit is not Fit.NO]
    return min(
        ranked,
        key=lambda one: (one.fit is Fit.UNKNOWN, one.plan.price_usd is None, one.plan.price_usd or 0, one.per_day),
        default=None,
    )


def preflight(symbols: int, plan: Plan | None, rates: CreditRates, duration_s: float | None = None) -> str:
    """One line that says what a run will cost: "2 symbols on starter: 10 credits a minute, 600 an hour, ...".

    Without a plan, the span over all plans that stream. `duration_s` adds the most that a run so long can cost.
    """
    prices = [plan.credits_per_push] if plan else [one.credits_per_push for one in rates.plans if one.streaming]
    costs = sorted({symbols * price for price in prices}) or [0]
    each = rates.minutes_per_push
    parts = [
        f"{_span(costs, 1)} credits " + ("a minute" if each == 1 else f"every {each} minutes"),
        f"{_span(costs, 60, each)} an hour",
        f"{_span(costs, MINUTES_PER_DAY, each)} a day",
    ]
    if duration_s is not None:
        # A run may begin just before one push and end just after another.
        parts.append(f"at most {_span(costs, int(duration_s // (60 * each)) + 1)} in this run")
    name = f" on {plan.name}" if plan else ", by plan"
    return f"{symbols} {'symbol' if symbols == 1 else 'symbols'}{name}: {', '.join(parts)}"


def _span(costs: list[int], times: int, each: int = 1) -> str:
    low, high = costs[0] * times // each, costs[-1] * times // each
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


class CreditMeter:
    """The credits of a run, shared by its sessions: thread-safe, time as an argument (wall clock, ns).

    `used` counts this run and never resets. What remains is the provider's own figure, less what was charged
    since; a quota resets at 00:00 UTC, and from then until the next authentication what remains is unknown,
    unless `daily_quota` says what a day begins with.
    """

    def __init__(
        self, max_credits: int | None = None, credits_per_push: int | None = None, daily_quota: int | None = None
    ) -> None:
        self.max_credits = max_credits
        self._per_push = credits_per_push
        self._daily_quota = daily_quota
        self._used = 0
        self._pushes = 0
        self._remaining: int | None = None
        self._unlimited = False
        self._day = 0
        self._started_ns: int | None = None
        self._charges: deque[tuple[int, int]] = deque()
        self._at_once: dict[int, int] = {}
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Credits charged in this run."""
        return self._used

    @property
    def pushes(self) -> int:
        """Pushes charged in this run."""
        return self._pushes

    @property
    def credits_per_push(self) -> int | None:
        """What a push costs, as far as we have been told; while None, pushes are counted but not priced."""
        return self._per_push

    @property
    def unlimited(self) -> bool:
        """True when the provider said that there is no daily quota."""
        return self._unlimited

    def account(self, credits_per_push: int | None, quota_remaining: int | None, now_ns: int) -> None:
        """The provider's word after an authentication; `quota_remaining` None means unlimited."""
        with self._lock:
            if credits_per_push is not None:
                self._per_push = credits_per_push
            self._unlimited = quota_remaining is None
            self._remaining = quota_remaining
            self._day = now_ns // NS_PER_DAY

    def quota_exceeded(self, now_ns: int) -> None:
        """The provider says that the day's credits are used up, whatever we had counted."""
        with self._lock:
            self._unlimited = False
            self._remaining = 0
            self._day = now_ns // NS_PER_DAY

    def charge(self, pushes: int, now_ns: int) -> None:
        """So many pushes were delivered."""
        with self._lock:
            self._turn_day(now_ns)
            cost = pushes * (self._per_push or 0)
            self._pushes += pushes
            self._used += cost
            if self._remaining is not None:
                self._remaining = max(0, self._remaining - cost)
            self._record(cost, now_ns)

    def expect(self, session: int, symbols: int) -> None:
        """A session streams so many symbols: their next pushes come together, and cannot be stopped one by one."""
        with self._lock:
            self._at_once[session] = symbols

    def check(self, pushes: int | None = None) -> None:
        """Raises CreditLimit when so many more pushes would pass `max_credits`; None: one of each symbol expected."""
        with self._lock:
            count = (sum(self._at_once.values()) or 1) if pushes is None else pushes
            limit, used, cost = self.max_credits, self._used, count * (self._per_push or 0)
        if limit is not None and used + cost > limit:
            what = "push costs" if count == 1 else f"{count} pushes, which come together, cost"
            raise CreditLimit(
                f"--max-credits {limit:,} reached: {used:,} credits used, and the next {what} {cost:,}",
                hint="The connection was closed so that nothing more is charged. Raise --max-credits to go on.",
            )

    def remaining(self, now_ns: int) -> int | None:
        """Credits left of the day's quota; None when it is unlimited (see `unlimited`) or not known."""
        with self._lock:
            self._turn_day(now_ns)
            return self._remaining

    def exhausted(self, now_ns: int) -> bool:
        """True when what remains does not pay for one more push."""
        left = self.remaining(now_ns)
        return left is not None and left < (self._per_push or 1)

    def burn_per_hour(self, now_ns: int) -> int | None:
        """Credits an hour at the pace of the last minutes; None in the first minute."""
        with self._lock:
            if self._started_ns is None:
                return None
            minutes = min(BURN_WINDOW_MINUTES, (now_ns - self._started_ns) // (60 * NS_PER_SECOND))
            if minutes < 1:
                return None
            since = now_ns - minutes * 60 * NS_PER_SECOND
            return sum(cost for at, cost in self._charges if since < at <= now_ns) * 60 // minutes

    def runs_out_at(self, now_ns: int) -> int | None:
        """When the quota is used up at the present burn, ns; None when that is not known, or not before the reset."""
        left, burn = self.remaining(now_ns), self.burn_per_hour(now_ns)
        if left is None or not burn:
            return None
        at = now_ns + left * 3600 * NS_PER_SECOND // burn
        return at if at < next_reset_ns(now_ns) else None

    def next_reset_ns(self, now_ns: int) -> int:
        """The next 00:00 UTC."""
        return next_reset_ns(now_ns)

    def _turn_day(self, now_ns: int) -> None:
        day = now_ns // NS_PER_DAY
        if day > self._day and self._remaining is not None:
            self._day = day
            self._remaining = self._daily_quota

    def _record(self, cost: int, now_ns: int) -> None:
        """Keep the charge for the burn rate, one entry a second at the most."""
        charges = self._charges
        if self._started_ns is None or (charges and charges[-1][0] > now_ns):
            # The first charge, or the wall clock went back: what we have no longer lies in the past.
            charges.clear()
            self._started_ns = now_ns
        if charges and now_ns - charges[-1][0] < NS_PER_SECOND:
            charges[-1] = (charges[-1][0], charges[-1][1] + cost)
        else:
            charges.append((now_ns, cost))
        oldest = now_ns - BURN_WINDOW_MINUTES * 60 * NS_PER_SECOND
        while charges[0][0] <= oldest:
            charges.popleft()


def next_reset_ns(now_ns: int) -> int:
    """The next 00:00 UTC after this moment, ns: quotas know no time zone and no DST."""
    return (now_ns // NS_PER_DAY + 1) * NS_PER_DAY
