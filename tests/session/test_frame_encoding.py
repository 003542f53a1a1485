"""Frames into bytes: masks, close payloads, and control frames that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.session.frames import CONTINUATION, PING, TEXT, apply_mask, encode_close, encode_frame

MASK = b"\x37\xfa\x21\x3d"


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_twice_gives_the_payload_back(payload: bytes, mask: bytes) -> None:
    assert apply_mask(apply_mask(payload, mask), mask) == payload


def test_masking_agrees_with_the_example_of_the_rfc() -> None:
    assert encode_frame(TEXT, b"Hello", MASK) == b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"
    assert encode_frame(TEXT, b"Hello") == b"\x81\x05Hello"
    assert encode_frame(TEXT, b"Hel", fin=False) + encode_frame(CONTINUATION, b"lo") == b"\x01\x03Hel\x80\x02lo"


@pytest.mark.parametrize(("payload", "fin"), [(b"x" * 126, True), (b"", False)])
def test_a_control_frame_that_is_too_long_or_fragmented_cannot_be_made(payload: bytes, fin: bool) -> None:
    with pytest.raises(ValueError, match="125"):
        encode_frame(PING, payload, fin=fin)


def test_a_close_payload_is_cut_between_characters() -> None:
    assert encode_close(None, "ignored") == b""
    assert encode_close(1000) == b"\x03\xe8"
    payload = encode_close(1000, "€" * 60)
    assert len(payload) == 2 + 123
    assert payload[2:].decode() == "€" * 41
    assert encode_close(1000, "€" * 40 + "xx€")[2:].decode() == "€" * 40 + "xx"
