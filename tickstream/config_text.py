"""The config file as text: the template, where a key stands, and how one key is set without touching the rest. Pure."""

from __future__ import annotations

import re
from typing import Any

from tickstream.errors import ConfigError

TEMPLATE = """\
# tickstream's configuration. Every line is optional; flags and environment variables win over this file.
# Show what is in force, and where each value comes from:  tickstream config show

# output = "auto"          # auto, table, jsonl, csv, raw, line       TICKSTREAM_OUTPUT
# provider = "tickatlas"   #                                          TICKSTREAM_PROVIDER
# symbols = ["@majors"]    # what `tickstream watch` alone streams    TICKSTREAM_SYMBOLS
# time = "iso"             # iso, us, ns                              TICKSTREAM_TIME
# tz = "UTC"               # of the table: UTC, local, Europe/Berlin  TICKSTREAM_TZ
# on_full = "block"        # block, drop-oldest, conflate             TICKSTREAM_ON_FULL

[watchlists]
# majors = ["EURUSD", "GBPUSD", "USDJPY"]    # used as @majors

[providers.tickatlas]
# The key is looked for in --key-file, --key-stdin, TICKATLAS_API_KEY, and then here:
# key_command = ["pass", "show", "tickatlas"]    # its first line of output; no shell
# key = "..."                                    # or: tickstream config set-key
# plan = "starter"                               # for estimates before the provider tells
# auth_field = "key"                             # or "api_key"
# url = "wss://tickatlas.com/ws/v1/quotes"

# A plan's figures, where they are not what `tickstream credits --compare` says:
# [providers.tickatlas.plans.pro]
# max_symbols = 50             # or "unlimited"
# daily_quota = 150000         # or "unlimited"
# credits_per_push = 4
# price_usd = 79
"""

_HEADER = re.compile(r"\s*\[\s*([^\[\]#]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'""")


def parse(text: str, name: str) -> dict[str, Any]:
    """The TOML document; `name` is what errors call it. Raises ConfigError with the line."""
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than Python reads
        raise ConfigError(f"{name} is not valid TOML: {error}", hint=_TOML_HINT) from None
    except RecursionError:
        raise ConfigError(f"{name} is nested too deeply") from None


_TOML_HINT = "Text stands in quotes, lists in brackets; see 'tickstream config init' for an example."


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The line, from 1, in which this key or table is set; None when it cannot be told (inline tables)."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _parts(header[1])
            if table[: len(keys)] == keys:
                return number
        elif (key := _KEY.match(line)) and (*table, *_parts(key[1])) == keys:
            return number
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def with_key(text: str, provider: str, key: str) -> str:
    """The text with `key` of this provider set, and not a character else changed.

    Raises ConfigError when the file is written in a way in which that cannot be done (an inline table).
    """
    import json

    # A TOML basic string has JSON's escapes; control characters were refused when the key was read.
    setting = f"key = {json.dumps(key, ensure_ascii=False)}"
    wanted = parse(text, "the config file")
    changed = _set(text, provider, setting)
    try:
        wanted.setdefault("providers", {}).setdefault(provider, {})["key"] = key
        same = parse(changed, "") == wanted
    except (ConfigError, AttributeError, TypeError):  # the last two: not tables
        same = False
    if not same:
        raise ConfigError(
            "the config file cannot be edited safely: the provider's settings are not in a table of their own",
            hint=f"Write them under a line [providers.{provider}], then try again.",
        )
    return changed


def _set(text: str, provider: str, setting: str) -> str:
    lines = text.splitlines(keepends=True)
    at = line_of(text, ("providers", provider, "key"))
    if at is not None:
        ending = "\n" if lines[at - 1].endswith("\n") else ""
        lines[at - 1] = setting + ending
        return "".join(lines)
    for number, line in enumerate(lines):
        header = _HEADER.fullmatch(line.rstrip("\r\n"))
        if header and _parts(header[1]) == ("providers", provider):
            lines[number] = line.rstrip("\r\n") + "\n" + setting + "\n"
            return "".join(lines)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}[providers.{provider}]\n{setting}\n"
