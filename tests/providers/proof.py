"""Holds what is declared of a message's fields against the events that the decoder makes of it.

Nothing of the decoder is used: values are taken from the text of the message, converted as declared, and compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tickstream.cli.mapping import Mapped, Mapping, MessageMap
from tickstream.events import MarketEvent

ALWAYS = {"provider", "ts_recv"}
"""Fields of each event that are ours."""
MISSING = "-"


class Digits(str):
    """A number as it stands in the text."""

    __slots__ = ()


def parsed(payload: bytes) -> list[Any]:
    """The messages of a payload, with the text of their numbers."""
    found = json.loads(payload, parse_int=Digits, parse_float=Digits)
    return found if isinstance(found, list) else [found]


def written(value: Any) -> str:
    """JSON of what `parsed` gives, with the same digits."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


# --- paths -----------------------------------------------------------------------------------------------------------


def at(message: Any, path: str, places: Sequence[int] = ()) -> Any:
    """What stands at a path, with these places in the place of `[]`; None if there is nothing."""
    wanted = list(places)
    for step in path.split("."):
        name, _, inner = step.partition("[")
        message = message.get(name) if isinstance(message, dict) else None
        if inner and isinstance(message, list):
            place = int(inner[:-1] or (wanted.pop(0) if wanted else 0))
            message = message[place] if place < len(message) else None
    return message


def places(message: Any, each: str) -> list[tuple[int, ...]]:
    """Where the elements are of which each is an event; one, without a place, if the message is the event."""
    found: list[tuple[int, ...]] = [()]
    for end in [match.end() for match in re.finditer(r"\[\]", each)]:
        lists = [(before, at(message, each[: end - 2], before)) for before in found]
        found = [(*before, number) for before, some in lists for number in range(len(some or ()))]
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The paths of all values, and of what holds them, from the outside in."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, f"{path}[]")


def is_one(message: Any, entry: MessageMap) -> bool:
    """Whether the entry is about this message."""
    return isinstance(message, dict) and all(_fits(at(message, path), want) for path, want in entry.where.items())


def _fits(value: Any, want: str | list[str]) -> bool:
    if isinstance(want, list):
        return any(_fits(value, one) for one in want)
    if want == MISSING:
        return value is None
    if value is None or want == "*":
        return value is not None
    text = _text(value)
    return re.fullmatch(want[1:], text) is not None if want.startswith("~") else text == want


def _text(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def entry_of(mapping: Mapping, message: Any, channel: str, settings: dict[str, str]) -> MessageMap | None:
    """The first entry about a message in this situation."""
    for entry in mapping.messages:
        here = (not entry.channels or channel in entry.channels) and entry.settings.items() <= settings.items()
        if here and is_one(message, entry):
            return entry
    return None


# --- what a message should become -----------------------------------------------------------------------------------


def undeclared(message: Any, entry: MessageMap) -> set[str]:
    """Paths with a value of which the entry says nothing."""
    inside = {one.path: _inside(one) for one in entry.fields}
    silent: set[str] = set()
    known = {*entry.dropped, *(path.replace("[0]", "[]") for path in entry.where)}
    for path, value in leaves(message):
        holder = next((p for p in inside if path == p or path.startswith((f"{p}[", f"{p}."))), None)
        first = re.sub(r"\[\]$", "[0]", path)
        if isinstance(value, (dict, list)) and holder is None:
            continue
        if any(path == one or path.startswith((f"{one}[", f"{one}.")) for one in known):
            continue
        if first in inside or (holder is not None and (path == holder or path in inside[holder])):
            continue
        if holder is not None and (isinstance(value, (dict, list)) or path.endswith("[][]")):
            continue
        silent.add(path)
    return silent


def _inside(one: Mapped) -> set[str]:
    """Paths inside of a field that is a list of levels."""
    kind, *names = one.how.split() or [""]
    return {f"{one.path}[].{name}" for name in names} if kind in {"levels", "best", "sides"} else set()


def expected(message: Any, entry: MessageMap, where: tuple[int, ...]) -> dict[str, Any]:
    """Field -> value that the event should have; what is unknown is left out. `HELD` is not looked at."""
    found: dict[str, Any] = {}
    for one in entry.fields:
        value = at(message, one.path, where)
        if value is None or one.how == "part":
            continue
        names = one.to.split()
        values = _converted(value, one.how, len(names), message, where)
        found.update({name: new for name, new in zip(names, values, strict=True) if new is not None})
    for name, how in entry.made.items():
        if how == "ask - bid":
            if {"ask", "bid"} <= found.keys():
                found[name] = Decimal(found["ask"]) - Decimal(found["bid"])
        else:
            found[name] = re.sub(r"{(.*?)}", lambda path: str(at(message, path[1], where)), how)
    return found


HELD = object()


def _converted(value: Any, how: str, count: int, message: Any, where: tuple[int, ...]) -> list[Any]:
    kind, *names = how.split() or [""]
    if kind == "held":
        return [HELD] * count
    if kind == "best":
        first = [at(value[0], name) for name in names][:count]
        return [None if one is None else _text(one) for one in first]
    if kind == "levels":
        return [[[_text(_item(level, name)) for name in names] for level in value]]
    if kind == "sides":
        pairs = [(_item(level, names[0]), [_text(_item(level, name)) for name in names[1:]]) for level in value]
        return [[pair for side, pair in pairs if side in words] for words in (("buy", "bid"), ("sell", "offer"))]
    return [_plain(value, how, message, where)] * count


def _item(level: Any, name: str) -> Any:
    return level[int(name)] if isinstance(level, list) else level[name]


def _plain(value: Any, how: str, message: Any, where: tuple[int, ...]) -> Any:
    text = _text(value)
    if how in {"", "text"}:
        return text
    if how in UNITS or how == "epoch":
        unit = how if how in UNITS else "s" if len(text) <= 12 else "ms" if len(text) <= 14 else "us"
        return int(Decimal(text) * UNITS[unit])
    if how == "rfc3339":
        whole, _, below = text.rstrip("Z").partition(".")
        seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
        return seconds * 10**9 + int((below or "0").ljust(9, "0"))
    if how == "flip":
        return {"buy": "sell", "sell": "buy"}[text.lower()]
    if how == "0=none" or how.startswith("none with "):
        judge = value if how == "0=none" else at(message, how.removeprefix("none with "), where)
        return text if judge is not None and Decimal(str(judge)) else None
    if how == "stream":
        return text.partition("@")[0].upper()
    if how == "slash":
        return text.replace("-", "/")
    return dict(one.split("=", 1) for one in how.split()).get(text)


UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3}


def seen(event: MarketEvent, names: dict[str, Any]) -> dict[str, Any]:
    """The event in the form of `expected`, whose names say what is not to be looked at."""
    found: dict[str, Any] = {}
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if field in ALWAYS or value is None:
            continue
        if names.get(field) is HELD:
            found[field] = HELD
        elif field in {"bids", "asks"}:
            found[field] = [[bytes(number).decode() for number in level] for level in value]
        elif field == "spread":
            found[field] = Decimal(bytes(value).decode())
        elif field == "ts_event":
            found[field] = int(value)
        else:
            found[field] = bytes(value).decode() if isinstance(value, msgspec.Raw | bytes) else _text(value)
    return found


def compared(event: MarketEvent, entry: MessageMap, want: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides in the same form. Sides without levels are as good as none; what falls out of a book comes behind."""
    got = seen(event, want)
    for side in ("bids", "asks"):
        if side in got:
            want.setdefault(side, [])
            if any("pushes out" in one.remark for one in entry.fields):
                behind = got[side][len(want[side]) :]
                assert all(Decimal(size) == 0 for _, size in behind), behind
                got[side] = got[side][: len(want[side])]
    return got, want


def spoiled(message: Any, entry: MessageMap) -> Any:
    """The message with another value in each field that is declared as dropped.

    But for those that are checked: they prove that nothing is missing, or that the message is meant for us.
    """
    if isinstance(message, list):
        return [spoiled(one, entry) for one in message]
    free = {path for path, why in entry.dropped.items() if not why.startswith("checked")}
    return _spoiled(message, free - {*entry.where}, "")


def _spoiled(value: Any, dropped: set[str], path: str) -> Any:
    if isinstance(value, dict):
        return {key: _spoiled(one, dropped, f"{path}.{key}" if path else key) for key, one in value.items()}
    if path in dropped:
        return Digits("987654") if isinstance(value, Digits) else f"{value}9" if isinstance(value, str) else value
    return [_spoiled(one, dropped, f"{path}[]") for one in value] if isinstance(value, list) else value
