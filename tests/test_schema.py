"""The schema is made from the event classes, and every line that is written is valid under it."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests import readme
from tickstream.events import EVENT_TYPES, Event, wire_fields
from tickstream.numbers import number
from tickstream.schema import TIMES, schema_of, schema_of_all
from tickstream.sinks.encoders import JsonEncoder, TimeFormat
from tickstream.sinks.fields import valid_fields
from tickstream.timestamps import Timestamp

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(codec="utf-8"), max_size=8),
    int: st.integers(-(2**63), 2**63),
    float: st.floats(0, 1e6),
    bool: st.booleans(),
    type(None): st.none(),
    Timestamp: st.integers(0, 253_402_300_799_999_999_999).map(Timestamp),
    msgspec.Raw: st.sampled_from(["0", "-0.0", "1.08430", "0.00000001", "1e-300", "9" * 60, "5E+3"]).map(number),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as an event may hold them."""
    if hint in VALUES:
        return VALUES[hint]
    parts = get_args(hint)
    if getattr(hint, "__origin__", None) is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(values(parts[0]), max_size=3).map(tuple)
        return st.tuples(*map(values, parts))
    if all(isinstance(part, str) for part in parts):
        return st.sampled_from(parts)
    return st.one_of([values(part) for part in parts])


def events() -> st.SearchStrategy[Event]:
    """Any event that the classes allow."""
    kinds = [
        st.builds(
            kind,
            **{name: values(hint) for name, hint in get_type_hints(kind).items() if name in kind.__struct_fields__},
        )
        for kind in EVENT_TYPES.values()
    ]
    return st.one_of(kinds)


def valid(schema: dict[str, Any], line: bytes | str) -> bool:
    return Draft202012Validator(schema).is_valid(json.loads(line))


@pytest.mark.parametrize("time", TIMES)
@settings(max_examples=150, deadline=None)
@given(event=events())
def test_every_line_is_valid(time: TimeFormat, event: Event) -> None:
    line = JsonEncoder(None, time, events=True).encode([event])
    assert valid(schema_of_all(time), line), line
    assert valid(schema_of(type(event), time), line), line


@settings(max_examples=100, deadline=None)
@given(events(), st.lists(st.sampled_from(valid_fields()), min_size=1, unique=True))
def test_every_line_with_chosen_fields_is_valid(event: Event, fields: list[str]) -> None:
    line = JsonEncoder(tuple(fields), "iso", events=True).encode([event])
    assert valid(schema_of_all("iso", fields), line), line


@settings(max_examples=60, deadline=None)
@given(events(), st.data())
def test_a_line_that_lacks_or_renames_what_is_required_is_not_valid(event: Event, data: st.DataObject) -> None:
    schema = schema_of(type(event))
    line = json.loads(JsonEncoder(None, "iso", events=True).encode([event]))
    name = data.draw(st.sampled_from(schema["required"]))
    value = line.pop(name)
    assert not valid(schema, json.dumps(line))
    assert not valid(schema, json.dumps(line | {name + "_": value}))


@pytest.mark.parametrize("kind", EVENT_TYPES.values())
def test_the_schema_is_itself_valid_and_has_all_fields_in_their_order(kind: type[Event]) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert tuple(schema["properties"]) == wire_fields(kind)
    assert schema["description"].split("\n")[0] == (kind.__doc__ or "").split("\n")[0]


def test_the_schema_of_all_is_valid() -> None:
    Draft202012Validator.check_schema(schema_of_all())
    assert list(schema_of_all()["$defs"]) == list(EVENT_TYPES)


def test_a_price_is_a_number_and_an_id_is_text() -> None:
    trade = schema_of(EVENT_TYPES["trade"])
    assert trade["properties"]["price"] == {"type": "number"}
    assert trade["properties"]["trade_id"] == {"type": "string"}
    assert trade["required"] == ["type", "provider", "symbol", "ts_event", "ts_recv", "price"]


def test_a_level_is_a_price_and_a_size() -> None:
    line = '{"type":"book_snapshot","provider":"p","symbol":"S","ts_event":null,"ts_recv":5,"bids":[%s],"asks":[]}'
    assert valid(schema_of_all("ns"), line % "[1,2]")
    assert not valid(schema_of_all("ns"), line % "[1]")
    assert not valid(schema_of_all("ns"), line % "[1,2,3]")
    assert not valid(schema_of_all("ns"), line % '["1","2"]')


def test_what_is_unknown_is_absent_and_never_null() -> None:
    line = '{"type":"quote","provider":"p","symbol":"S","ts_event":null,"ts_recv":5%s}'
    assert valid(schema_of_all("us"), line % "")
    assert not valid(schema_of_all("us"), line % ',"bid":null')
    assert not valid(schema_of_all("us"), line % ',"bud":1')


def test_a_type_without_a_json_form_is_noticed() -> None:
    class Odd(Event, frozen=True, tag_field="type", tag="odd"):
        when: complex

    with pytest.raises(TypeError, match="no JSON form"):
        schema_of(Odd)


@pytest.mark.parametrize("line", [line for block in readme.blocks("json") for line in block.text.splitlines()])
def test_the_examples_of_the_documentation_are_valid(line: str) -> None:
    assert valid(schema_of_all(), line)
