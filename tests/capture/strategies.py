"""Events of every type, as Hypothesis draws them: ordinary ones, and such as break a format that is careless."""

from __future__ import annotations

import functools
from typing import Any, Literal, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from tickstream.capture.values import may_be_number
from tickstream.events import EVENT_TYPES, BookSnapshot, BookUpdate, Event, Level, MarketEvent
from tickstream.numbers import Number, number
from tickstream.timestamps import MAX_NS, Timestamp

PLAIN_DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", fullmatch=True)
ODD_DIGITS = st.sampled_from(
    ["1e-8", "1E+5", "-0", "-0.0", "0.000", "0.0000001", "0.0000010", "1" * 20, "1" * 21, "0." + "1" * 18,
     "0." + "1" * 19, "-" + "9" * 20 + "." + "9" * 18]
)  # fmt: skip
NUMBERS = st.one_of(PLAIN_DIGITS, PLAIN_DIGITS, PLAIN_DIGITS, ODD_DIGITS).map(number)
YEAR_2026 = 1_782_312_840 * 10**9
NEAR = st.integers(0, 20).map(lambda step: Timestamp(YEAR_2026 + step * 1_000_001))
MOMENTS = st.one_of(NEAR, NEAR, st.integers(10**17, 10**20 - 1).map(Timestamp), st.just(Timestamp(MAX_NS - 1)))
TEXTS = st.one_of(
    st.sampled_from(["EURUSD", "XAUUSD", "BTC/USD", "a,b", 'say "x"', "two\nlines", "", "ü€", "'=1", "null", "]["]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)
INTEGERS = st.one_of(st.integers(0, 100), st.integers(-(2**63), 2**63 - 1), st.integers(2**63, 2**64 - 1))


def _values(hint: Any) -> st.SearchStrategy[Any]:
    parts = get_args(hint)
    if may_be_number(hint):
        return st.none() | NUMBERS if type(None) in parts else NUMBERS
    if type(None) in parts:
        return st.none() | _values(next(part for part in parts if part is not type(None)))
    if hint == tuple[Level, ...]:
        return st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3).map(tuple)
    if get_origin(hint) is tuple:
        return st.lists(TEXTS, max_size=3).map(tuple)
    if get_origin(hint) is Literal:
        return st.sampled_from(parts)
    return {Timestamp: MOMENTS, int: INTEGERS, bool: st.booleans(), str: TEXTS, float: st.floats(0, 1e9)}[hint]


@functools.cache
def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Events of this type."""
    return st.builds(kind, *(_values(one.type) for one in msgspec.structs.fields(kind)))


MARKET_KINDS = [kind for kind in EVENT_TYPES.values() if issubclass(kind, MarketEvent)]
PLAIN_KINDS = [kind for kind in MARKET_KINDS if kind not in (BookSnapshot, BookUpdate)]


def events(kinds: list[type[Event]], most: int = 8) -> st.SearchStrategy[list[Event]]:
    """Lists of events of these types."""
    return st.lists(st.sampled_from(kinds).flatmap(events_of), max_size=most)


def numbers_in(value: Any) -> list[Number]:
    """All numbers of an event, in order."""
    if isinstance(value, Number):
        return [value]
    if isinstance(value, tuple):
        return [found for one in value for found in numbers_in(one)]
    if isinstance(value, Event):
        return [found for one in msgspec.structs.astuple(value) for found in numbers_in(one)]
    return []
