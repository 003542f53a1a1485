"""What a provider's messages become, field by field: read from `providers/fields/NAME.toml`, which a test proves.

Nothing of it is loaded while data streams: it is for `tickstream providers NAME`, for `providers/README.md`, and for
the test that holds each declaration against what the decoder does.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tickstream.providers.base import ProviderSpec

FOLDER = "fields"
"""Beside the module of the provider."""


class Mapped(msgspec.Struct, frozen=True, array_like=True):
    """One field of a message. Paths are dotted; `[]` is each element of a list, `[0]` the first."""

    path: str
    to: str
    """The fields of the event that it becomes, apart by spaces."""
    how: str = ""
    """The conversion; empty: the same digits, or the same text. See `CONVERSIONS`."""
    remark: str = ""


class MessageMap(msgspec.Struct, frozen=True):
    """One message of a provider in one situation."""

    name: str
    where: dict[str, str | list[str]]
    """Path -> the values by which it is recognised; `*`: any, `~...`: a regular expression for the whole of it."""
    event: str = ""
    """What each `each` of it becomes; empty: no event of a market, `becomes` then says what it is for."""
    becomes: str = ""
    each: str = ""
    channels: list[str] = []
    """Only while one of these is streamed; empty: always."""
    settings: dict[str, str] = {}
    """Only under these settings of the provider."""
    fields: list[Mapped] = []
    made: dict[str, str] = {}
    """Fields of the event that are no field of the message: a constant, `{path}` put together, or `ask - bid`."""
    dropped: dict[str, str] = {}
    """Path -> what it is."""
    example: str = ""
    """A documented message, where `tests/data` has none."""
    after: str = ""
    """A message that has to come before, where one by itself would be no news."""


class Mapping(msgspec.Struct, frozen=True):
    """All messages of a provider, and what holds for all of them."""

    time: str
    numbers: str
    units: str
    """Of prices, sizes and volumes."""
    taker_side: str
    books: str
    order: str
    messages: list[MessageMap]


CONVERSIONS = {
    "": "the same digits, or the same text",
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "epoch": "since 1970: in seconds up to 12 digits, milliseconds up to 14, microseconds from 15 on",
    "rfc3339": "RFC 3339",
    "text": "an integer, as text",
    "flip": "the maker's side, turned round",
    "0=none": "0 means that there is none",
    "part": "a part of it",
    "held": "of the bar held",
    "stream": "before the @, in upper case",
    "slash": "a hyphen becomes a slash",
}
"""Conversions by name. Besides: `A=b C=d` for words; `none with PATH`, left out where that is 0; `levels PRICE SIZE`,
`best PRICE SIZE`, the first of them; `sides SIDE PRICE SIZE`, levels told apart by the words for bids and asks."""


def mapping_of(spec: ProviderSpec) -> Mapping | None:
    """What a provider declares, beside the module of its protocol; None where it declares nothing.

    Raises msgspec.ValidationError and tomllib.TOMLDecodeError for a file that is none.
    """
    package = spec.protocol.__module__.rpartition(".")[0]
    if not package:
        return None
    file = resources.files(package) / FOLDER / f"{spec.name}.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return msgspec.convert(tomllib.loads(text), Mapping)


def words(how: str, count: int = 1) -> str:
    """A conversion as people read it, to so many fields of the event."""
    if how in CONVERSIONS:
        return CONVERSIONS[how] if how else ""
    kind, *names = how.split()
    if kind == "none":
        return f"0, or none where `{names[1]}` is 0"
    if kind == "levels":
        return f"each (`{names[0]}`, `{names[1]}`)"
    if kind == "best":
        return " and ".join(f"`{name}`" for name in names[:count]) + " of the first"
    if kind == "sides":
        return f"each (`{names[1]}`, `{names[2]}`), told apart by `{names[0]}`"
    return ", ".join(f"{one.replace('=', ' is ', 1)}" for one in [kind, *names])


def rows(message: MessageMap) -> list[tuple[str, str, str]]:
    """A line for each field: its path, the event and its field, how and why."""
    found = [
        (one.path, " ".join(f"{message.event}.{field}" for field in one.to.split()), "; ".join(_notes(one)))
        for one in message.fields
    ]
    return found + [("", f"{message.event}.{field}", _made(how)) for field, how in message.made.items()]


def _notes(one: Mapped) -> list[str]:
    return [note for note in (words(one.how, len(one.to.split())), one.remark) if note]


def _made(how: str) -> str:
    if "{" in how:
        return f"`{how}`"
    return f"{how}, exact" if how == "ask - bid" else f"always {how}"
