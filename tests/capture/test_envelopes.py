"""Raw lines: what the provider sent, word for word, one line each, readable by every JSON reader."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.events import batch
from tickstream.capture.envelopes import envelopes


def lines(*payloads: bytes) -> list[bytes]:
    made = envelopes(batch(0, session=2, epoch=7, payloads=payloads))
    assert made.endswith(b"\n")
    return made[:-1].split(b"\n")


def test_a_message_stands_in_its_line_as_it_came() -> None:
    assert lines(b'{"p":1.10,  "x":[]}', b'{"q":"\\u00e9"}') == [
        b'{"ts_recv":"2026-06-24T14:00:00.000000Z","session":2,"epoch":7,"payload":{"p":1.10,  "x":[]}}',
        b'{"ts_recv":"2026-06-24T14:00:00.000000Z","session":2,"epoch":7,"payload":{"q":"\\u00e9"}}',
    ]


def test_a_batch_without_messages_is_nothing() -> None:
    assert envelopes(batch(0)) == b""


@pytest.mark.parametrize("payload", [b'[{"a":1},{"b":2}]', '{"a":"é"}'.encode(), b' {"a":1}', b'"text"', b"1.50"])
def test_other_json_on_one_line_is_kept_as_it_is_too(payload: bytes) -> None:
    assert payload in lines(payload)[0]


@pytest.mark.parametrize(
    "payload",
    [b'{"a":\n1}', b'{"a":\r1}', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b"", b"\x00\x01binary", b"[" * 100_000,
     b'"' + b"x" * 2**20 + b'"', b"{]"],
)  # fmt: skip
def test_what_is_no_json_on_one_line_is_kept_in_base64(payload: bytes) -> None:
    good = b'{"good":1}'
    first, second = lines(payload, good)
    assert good in second
    assert base64.b64decode(json.loads(first)["payload_base64"]) == payload


_OBJECTS = st.recursive(st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)).map(
    lambda value: json.dumps({"k": value}, ensure_ascii=False).encode()
)


@given(st.lists(st.one_of(st.binary(max_size=30), _OBJECTS), max_size=6))
def test_every_message_can_be_read_back(payloads: list[bytes]) -> None:
    payloads = [one for one in payloads if not (one.startswith(b"{") and one.endswith(b"}") and not _is_json(one))]
    made = envelopes(batch(0, payloads=payloads))
    assert made.count(b"\n") == len(payloads)
    for line, payload in zip(made.split(b"\n"), payloads, strict=False):
        record = json.loads(line)
        if "payload_base64" in record:
            assert base64.b64decode(record["payload_base64"]) == payload
        else:
            assert line.endswith(b'"payload":' + payload + b"}")
            assert record["payload"] == json.loads(payload)


def _is_json(payload: bytes) -> bool:
    try:
        json.loads(payload.decode())
    except ValueError:
        return False
    return True
