"""`tickstream credits`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from tickstream.cli import completion
from tickstream.cli.app import environment
from tickstream.cli.environment import Environment
from tickstream.cli.tables import BOLD, RESET, Format, csv_text, json_text, text_table
from tickstream.credits import CreditRates, Estimate, Fit, Plan, Usage, cheapest, estimate, refuse
from tickstream.errors import UsageError
from tickstream.suggestions import did_you_mean, shown

ASSUMED = "* assumed from the REST limits: the provider publishes no daily quota for its stream"


def credits(  # noqa: A001, PLR0913, PLR0917 - a command's function has the command's name and options
    symbols: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SYMBOL]...", help="Symbols, or @watchlists, to be counted.", autocompletion=completion.symbols
        ),
    ] = None,
    count: Annotated[int | None, typer.Option("--symbols", "-n", min=1, max=100_000, help="How many symbols.")] = None,
    plan: Annotated[str | None, typer.Option("--plan", "-p", help="The plan.", autocompletion=completion.plans)] = None,
    compare: Annotated[bool, typer.Option("--compare", help="All plans, and the cheapest that fits.")] = False,
    hours: Annotated[float, typer.Option("--hours", min=0.02, max=24, help="Hours streamed on a day.")] = 24,
    days: Annotated[int, typer.Option("--days", min=1, max=3660, help="Calendar days in the total.")] = 30,
    market: Annotated[
        Literal["forex", "24x7"] | None,
        typer.Option("--market", help="When there is data. Default: forex if all symbols named are, else 24x7."),
    ] = None,
    quota: Annotated[
        int | None, typer.Option("--quota", min=0, help="Credits a day, where the plan's figure is not yours.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="Whose plans.", autocompletion=completion.providers)
    ] = None,
    output: Format = "table",
) -> None:
    """What a subscription costs in credits, and which plan fits.

    Each push of a symbol is charged; there is one a minute while its market trades. Without --plan, and with none in
    the config file, all plans are compared.

    \b
    Examples:
      tickstream credits --plan pro --symbols 20
      tickstream credits EURUSD XAUUSD --compare           named symbols are counted
      tickstream credits -p starter -n 2 --hours 8         eight hours a day
      tickstream credits -p pro -n 20 --quota 100000       when the quota is used up
      tickstream credits -p pro -n 20 -o json | jq .per_day
    """
    here = environment()
    spec_name = here.config().text("provider", provider)
    rates, configured = _rates(here, spec_name)
    number, markets = _count(here, symbols or [], count, spec_name)
    usage = Usage(number, max(1, round(hours * 60)), 5 if (market or markets) == "forex" else 7)
    if compare and plan:
        raise UsageError("--compare shows all plans: leave out --plan")
    wanted = None if compare else plan or configured
    if wanted is None:
        _compare(here, [estimate(one, usage, rates.minutes_per_push, quota) for one in rates.plans], days, output)
        return
    chosen = _plan(rates, wanted)
    refuse(chosen, number)
    _one(here, estimate(chosen, usage, rates.minutes_per_push, quota), days, output)


def _rates(here: Environment, provider: str) -> tuple[CreditRates, str | None]:
    """The provider's plans as the config file has them, and the plan it names."""
    from tickstream.providers import load

    spec = load(provider)
    if spec.credit_rates is None:
        raise UsageError(f"{spec.title} does not charge for pushes: there is nothing to estimate")
    settings = here.config().provider(provider, spec.settings)
    return spec.credit_rates.override(settings.plans), str(settings.plan.value) if settings.plan else None


def _count(here: Environment, named: Sequence[str], count: int | None, provider: str) -> tuple[int, str]:
    """How many symbols, and when their markets trade as far as their names tell."""
    if count is not None:
        if named:
            raise UsageError("symbols are named and counted: leave out --symbols, or the names")
        return count, "24x7"
    from tickstream.cli.prefixes import by_provider
    from tickstream.markets import FOREX, market_of
    from tickstream.providers import load
    from tickstream.symbols import named_symbols, resolve_symbols

    spec = load(provider)
    config = here.config()
    words = named or config.symbols
    if not words:
        raise UsageError("how many symbols?", hint="Name them, or say --symbols N.")
    told = named_symbols(words, stdin=here.stdin, watchlists=config.watchlists)
    own = by_provider(told, spec.name, config.watchlists).get(spec.name, ())
    found = resolve_symbols(own, spec.symbol_form()).symbols
    return len(found), "forex" if all(market_of(symbol) is FOREX for symbol in found) else "24x7"


def _plan(rates: CreditRates, name: str) -> Plan:
    plan = rates.plan(name)
    if plan is None:
        known = [one.name for one in rates.plans]
        hint = did_you_mean(name, known) or f"Plans: {', '.join(known)}."
        raise UsageError(f"there is no plan {shown(name)}", hint=hint)
    return plan


def record(one: Estimate, days: int) -> dict[str, object]:
    """An estimate as the fields of JSON and CSV. Null: unlimited, unknown, or no such thing on this plan."""
    plan, usage = one.plan, one.usage
    costs = {
        "credits_per_push": plan.credits_per_push,
        "per_minute": one.per_minute,
        "per_hour": one.per_hour,
        "per_day": one.per_day,
        "per_week": one.per_week,
        "per_30_days": one.per_30_days,
        "total": one.over(days),
        "symbols_sustained": one.symbols_sustained,
    }
    return {
        "plan": plan.name,
        "price_usd": plan.price_usd,
        "symbols": usage.symbols,
        "market": "forex" if usage.trading_days == 5 else "24x7",
        "minutes_per_day": usage.minutes_a_day,
        "days": days,
        **(costs if plan.streaming else dict.fromkeys(costs)),
        "daily_quota": one.quota,
        "quota_assumed": _assumed(one),
        "quota_lasts_minutes": one.lasts_minutes,
        "fits": one.fit.value,
        "reason": one.reason or None,
    }


def _assumed(one: Estimate) -> bool:
    return one.plan.quota_is_assumed and one.quota == one.plan.daily_quota


def _one(here: Environment, one: Estimate, days: int, output: str) -> None:
    fields = record(one, days)
    if output == "json":
        here.print(json_text(fields))
        return
    if output == "csv":
        here.print(csv_text([fields]))
        return
    bold, plain = (BOLD, RESET) if here.colour() else ("", "")
    average = ", on average" if one.usage.trading_days != 7 else ""
    rows = [
        ("per push", one.plan.credits_per_push, "one symbol"),
        ("per minute", one.per_minute, ""),
        ("per hour", one.per_hour, ""),
        ("per day", one.per_day, f"{one.usage.minutes_a_day:,} minutes"),
        ("per week", one.per_week, f"{one.usage.trading_days} days"),
        ("per 30 days", one.per_30_days, average.lstrip(", ")),
    ]
    if days != 30:
        rows.append((f"per {days} days", one.over(days), average.lstrip(", ")))
    here.print(f"{bold}{_title(one)}{plain}\n")
    here.print(text_table(("", "credits", ""), [(name, f"{n:,}", note) for name, n, note in rows], right={1}))
    here.print("\n" + "\n".join(_quota_lines(one)))


def _title(one: Estimate) -> str:
    price = "" if one.plan.price_usd is None else f" (${one.plan.price_usd:,} a month)"
    symbols = f"{one.usage.symbols} {'symbol' if one.usage.symbols == 1 else 'symbols'}"
    return f"{one.plan.name}{price}, {symbols}, {'forex' if one.usage.trading_days == 5 else '24x7'}"


def _day(usage: Usage) -> str:
    text = f"{usage.minutes_a_day:,} minutes a day"
    return text if usage.trading_days == 7 else f"{text}, {usage.trading_days} days a week"


def _quota_lines(one: Estimate) -> list[str]:
    lines = []
    if one.quota is None:
        lines.append("No daily quota is known.")
    else:
        source = " (assumed: the provider publishes none for its stream)" if _assumed(one) else ""
        lines.append(f"Daily quota: {one.quota:,} credits{source}.")
        if one.lasts_minutes is None:
            lines.append("It lasts the day.")
        else:
            at = f"{one.lasts_minutes // 60:02}:{one.lasts_minutes % 60:02} UTC"
            lines.append(f"It is used up after {_duration(one.lasts_minutes)}: at {at}, if started at 00:00 UTC.")
        if one.symbols_sustained is not None:
            lines.append(f"It pays for {_symbols(one.symbols_sustained)} all day.")
    if one.fit is Fit.UNKNOWN:
        lines.append(f"Whether {one.plan.name} takes {one.usage.symbols} symbols is not known: {one.reason}.")
    return lines


def _symbols(count: int) -> str:
    return "no symbol" if count == 0 else "1 symbol" if count == 1 else f"{count:,} symbols"


def _duration(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"


def _compare(here: Environment, estimates: list[Estimate], days: int, output: str) -> None:
    best = cheapest(estimates)
    fields = [record(one, days) for one in estimates]
    if output == "json":
        certain = best is not None and best.fit is Fit.YES
        name = best.plan.name if best else None
        here.print(json_text({"plans": fields, "cheapest": name, "cheapest_is_certain": certain}))
        return
    if output == "csv":
        here.print(csv_text(fields))
        return
    head = ("plan", "$/month", "per push", "per hour", "per day", f"per {days} days", "daily quota", "fits")
    here.print(text_table(head, [_row(one, days) for one in estimates], right=range(1, 7), bold_head=here.colour()))
    if any(_assumed(one) for one in estimates):
        here.print(f"\n{ASSUMED}")
    here.print("\n" + _verdict(best, estimates[0].usage))


def _row(one: Estimate, days: int) -> tuple[str, ...]:
    price = "" if one.plan.price_usd is None else f"{one.plan.price_usd:,}"
    quota = "" if one.quota is None else f"{one.quota:,}{'*' if _assumed(one) else ' '}"
    fits = f"{one.fit.value}: {one.reason}" if one.reason else one.fit.value
    if not one.plan.streaming:
        return one.plan.name, price, "", "", "", "", "", fits
    costs = (one.plan.credits_per_push, one.per_hour, one.per_day, one.over(days))
    return one.plan.name, price, *(f"{cost:,}" for cost in costs), quota, fits


def _verdict(best: Estimate | None, usage: Usage) -> str:
    what = f"{_symbols(usage.symbols)}, {_day(usage)}"
    if best is None:
        return f"No plan fits {what}."
    price = "" if best.plan.price_usd is None else f", ${best.plan.price_usd:,} a month"
    doubt = "" if best.fit is Fit.YES else f", if it does ({best.reason})"
    return f"The cheapest that fits {what}: {best.plan.name}{price}{doubt}."
