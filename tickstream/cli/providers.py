"""`tickstream providers`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tickstream.canonical import parse
from tickstream.cli import completion
from tickstream.cli.app import environment
from tickstream.cli.tables import BOLD, RESET, json_text, text_table
from tickstream.errors import ConfigError, UsageError
from tickstream.suggestions import did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickstream.cli.environment import Environment
    from tickstream.markets import Market
    from tickstream.providers.base import ErrorCode, ProviderSpec

WORDS = ("EURUSD", "BTCUSD", "BTCUSDT", "XAUUSD", "AAPL")
"""By which it is shown how each provider spells what users name in their own way."""
_HOURS = {
    "24x7": "always",
    "forex": "Sunday 17:00 to Friday 17:00 in New York",
    "us-equities": "Monday to Friday, 09:30 to 16:00 in New York",
}


def providers(
    name: Annotated[
        str | None,
        typer.Argument(help="One provider, in detail.", autocompletion=completion.providers, show_default="all"),
    ] = None,
    output: Annotated[
        Literal["table", "json"], typer.Option("--output", "-o", help="How to print the result.")
    ] = "table",
    fields: Annotated[
        bool, typer.Option("--fields", help="What each field of its messages becomes, and what is dropped.")
    ] = False,
) -> None:
    """List the providers: what they stream, whether it takes a key, their limits and their hours.

    \b
    Examples:
      tickstream providers                 all of them
      tickstream providers tickatlas       one in detail, with its error codes
      tickstream providers kraken --fields    what becomes of each field of its messages
      tickstream providers -o json | jq -r '.[] | select(.keyless != []) | .name'
    """
    from tickstream.providers import all_names, load

    here = environment()
    if fields and name is None:
        raise UsageError("--fields is about one provider", hint="Such as: tickstream providers kraken --fields")
    if name is None:
        specs = list(_all(here))
        if output == "json":
            here.print(json_text([record(spec) for spec in specs]))
            return
        head = ("provider", "channels", "key", "symbols", "connections", "markets", "free")
        here.print(text_table(head, [_row(spec) for spec in specs], right={4}, bold_head=here.colour()))
        return
    if name not in all_names():
        known = ", ".join(all_names())
        raise UsageError(
            f"there is no provider {shown(name)}", hint=f"{did_you_mean(name, all_names())} Providers: {known}.".strip()
        )
    spec = load(name)
    if fields:
        here.print(_fields(spec, output, colour=here.colour()))
        return
    here.print(json_text(record(spec)) if output == "json" else _details(spec, colour=here.colour()))


def _all(here: Environment) -> Iterator[ProviderSpec]:
    """All that can be used; of another package's that cannot, a line on stderr says why."""
    from tickstream.providers import all_names, load

    for name in all_names():
        try:
            yield load(name)
        except ConfigError as broken:
            here.say(f"tickstream: {broken.message}")


def _fields(spec: ProviderSpec, output: str, *, colour: bool) -> str:
    """What becomes of each field of its messages. Raises UsageError where that is not declared."""
    import msgspec

    from tickstream.cli.mapping import mapping_of, rows

    mapping = mapping_of(spec)
    if mapping is None:
        raise UsageError(f"{spec.title} does not declare what becomes of its fields", hint="See its documentation.")
    if output == "json":
        return json_text(msgspec.to_builtins(mapping))
    bold, plain = (BOLD, RESET) if colour else ("", "")
    lines = [f"{bold}{spec.title} ({spec.name}){plain}", ""]
    for fact in ("time", "numbers", "units", "taker_side", "books", "order"):
        lines += textwrap.wrap(f"{fact.replace('_', ' ')}: {getattr(mapping, fact)}", 100, subsequent_indent="    ")
    for message in mapping.messages:
        if message.becomes:
            lines += ["", f"{bold}{message.name}{plain}: {message.becomes}"]
            continue
        when = [f"channel {one}" for one in message.channels]
        when += [f"{name} = {value}" for name, value in message.settings.items()]
        lines += ["", f"{bold}{message.name}{plain} -> {message.event}" + (f" ({', '.join(when)})" if when else "")]
        lines += [f"  {line}" for line in text_table(("field", "becomes", "how"), rows(message)).splitlines()]
        if message.dropped:
            lines.append("  dropped: " + ", ".join(f"{path} ({why})" for path, why in message.dropped.items()))
    return "\n".join(lines).replace("`", "")


def record(spec: ProviderSpec) -> dict[str, Any]:
    """All that is declared, for JSON."""
    return {
        "name": spec.name,
        "title": spec.title,
        "site": spec.site or None,
        "url": spec.url,
        "channels": list(spec.channels),
        "key_env": spec.key_env,
        "keyless": list(spec.keyless),
        "demo_key": spec.demo_key,
        "symbols": {
            "pattern": spec.symbol_pattern.pattern,
            "form": spec.symbol_help,
            "examples": list(spec.common_symbols),
            "spellings": _spellings(spec),
        },
        "max_connections": spec.max_connections,
        "limits": list(spec.limits),
        "heartbeat": spec.heartbeat or None,
        "free_tier": spec.free_tier or None,
        "market_hours": [market.name for market in _markets(spec)],
        "bar_interval_s": spec.bar_interval_s,
        "plans": [plan.name for plan in spec.credit_rates.plans] if spec.credit_rates else [],
        "settings": {setting: list(values) for setting, values in spec.settings.items()},
        "errors": [_error(one) for one in spec.errors],
    }


def _spellings(spec: ProviderSpec) -> dict[str, str | None]:
    """What some words that everybody knows become; null: there is no such thing."""
    alias = spec.symbol_form().alias
    return {word: alias(meaning) for word in WORDS if (meaning := parse(word))} if alias else {}


def _spelled(spec: ProviderSpec) -> list[str]:
    said = [f"{word} becomes {symbol}" for word, symbol in _spellings(spec).items() if symbol not in (word, None)]
    return [", ".join(said)] if said else []


def _error(one: ErrorCode) -> dict[str, Any]:
    code = None if one.error is None else int(one.error.exit_code)
    return {"code": one.code, "meaning": one.meaning, "advice": one.advice, "exit_code": code,
            "documented": one.documented}  # fmt: skip


def _markets(spec: ProviderSpec) -> list[Market]:
    """Those of the common symbols, each once."""
    return list(dict.fromkeys(spec.market_of(symbol) for symbol in spec.common_symbols))


def _row(spec: ProviderSpec) -> tuple[str, ...]:
    return (
        spec.name,
        " ".join(spec.channels),
        _key(spec),
        " ".join(spec.common_symbols[:2]),
        str(spec.max_connections),
        " ".join(market.name for market in _markets(spec)),
        spec.free_tier,
    )


def _key(spec: ProviderSpec) -> str:
    if spec.key_env is None:
        return "none needed"
    if spec.demo_key is not None:
        return f"{spec.key_env}, or the demo key"
    if spec.keyless:
        needed = " ".join(channel for channel in spec.channels if channel not in spec.keyless)
        return f"{spec.key_env} for {needed}" if needed else f"{spec.key_env}, if you have one"
    return spec.key_env


def _details(spec: ProviderSpec, *, colour: bool) -> str:
    interval = "" if spec.bar_interval_s is None else f" (bars of {spec.bar_interval_s // 60} min)"
    markets = [f"{market.name}: {_HOURS.get(market.name, 'see its documentation')}" for market in _markets(spec)]
    settings = [f"{name}: {', '.join(values) or 'a text'}" for name, values in spec.settings.items()]
    facts: list[tuple[str, list[str]]] = [
        ("site", [spec.site]),
        ("endpoint", [spec.url]),
        ("channels", [" ".join(spec.channels) + interval]),
        ("key", [_key(spec)]),
        ("demo key", [spec.demo_key or ""]),
        ("free", [spec.free_tier]),
        ("symbols", [spec.symbol_help, f"such as {' '.join(spec.common_symbols[:6])}", *_spelled(spec)]),
        ("connections", [f"{spec.max_connections} at once"]),
        ("limits", list(spec.limits)),
        ("heartbeat", [spec.heartbeat]),
        ("markets", markets),
        ("settings", settings),
    ]
    bold, plain = (BOLD, RESET) if colour else ("", "")
    lines = [f"{bold}{spec.title} ({spec.name}){plain}", ""]
    for fact, values in facts:
        some = [value for value in values if value]
        lines += [f"  {'' if number else fact:<12}  {value}" for number, value in enumerate(some)]
    if spec.errors:
        rows = [
            (one.code, "" if one.error is None else str(int(one.error.exit_code)), one.meaning) for one in spec.errors
        ]
        table = text_table(("error", "exit", "means"), rows, right={1}, bold_head=colour)
        lines += ["", *table.splitlines(), "", "`tickstream explain CODE` says what to do about one."]
    lines += ["", f"`tickstream providers {spec.name} --fields` says what becomes of each field of its messages."]
    return "\n".join(lines)
