from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sinks.making import Written, bar, batch, request
from tickstream.errors import UsageError
from tickstream.sinks import load
from tickstream.sinks.raw import lines

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.tuples(VALUES, st.sampled_from([None, 1])), max_size=4))
def test_each_line_is_one_message_of_the_same_meaning(messages: list[tuple[object, int | None]]) -> None:
    payloads = [json.dumps(value, indent=indent, ensure_ascii=False).encode() for value, indent in messages]
    data = lines(payloads)
    assert data.count(b"\n") == len(payloads)
    for line, payload in zip(data.split(b"\n"), payloads, strict=False):
        assert line == payload.replace(b"\n", b" ")
        assert json.loads(line) == json.loads(payload)


def test_messages_are_written_byte_for_byte() -> None:
    stdout = Written()
    payloads = [b'{"price": 1.10, "x":"\xff\x00"}', b"not json", b"{}  "]
    load("raw").make(request(stdout)).write(batch(bar(), payloads=payloads))
    assert stdout.getvalue() == b"\n".join(payloads) + b"\n"


def test_line_breaks_between_tokens_become_spaces() -> None:
    assert lines([b'{\r\n"a":1\n}', b"2"]) == b'{  "a":1 }\n2\n'


def test_a_batch_without_messages_writes_nothing() -> None:
    stdout = Written()
    load("raw").make(request(stdout)).write(batch(bar()))
    assert stdout.getvalue() == b""


def test_fields_cannot_be_chosen() -> None:
    with pytest.raises(UsageError, match="-o raw"):
        load("raw").make(request(fields=("symbol",)))
