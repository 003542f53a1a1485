"""RFC 6455 frames: any chunking, any bytes, and a table of cases in the manner of the Autobahn test suite."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickstream.events import Joined
from tickstream.session.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_FRAGMENTS,
    PING,
    PONG,
    TEXT,
    Close,
    Control,
    FrameBatch,
    FrameReader,
    encode_close,
    encode_frame,
    is_utf8,
)

MASK = b"\x37\xfa\x21\x3d"


def read(stream: bytes, *cuts: int, **options: object) -> FrameBatch:
    """Feed the stream, cut at the given offsets; everything that came out, in one batch."""
    return read_chunks(chunks_of(stream, cuts), FrameReader(**options))  # type: ignore[arg-type]


def chunks_of(stream: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(edges)]


def read_chunks(chunks: list[bytes], reader: FrameReader) -> FrameBatch:
    total = FrameBatch([], [], [])
    for chunk in chunks:
        batch = reader.feed(chunk)
        total.payloads += batch.payloads
        total.bad += batch.bad
        total.controls += batch.controls
        total.close = total.close or batch.close
        total.error = total.error or batch.error
    return total


def outcome(batch: FrameBatch) -> tuple[object, ...]:
    """All of a batch in a form that can be compared."""
    error = (batch.error.close_code, str(batch.error)) if batch.error else None
    return batch.payloads, batch.bad, batch.controls, batch.close, error


def header(first: int, length: int, form: int) -> bytes:
    """A header with the length written in the form asked for: 7, 16 or 64 bits."""
    if form == 7:
        return bytes((first, length))
    return struct.pack("!BBH", first, 126, length) if form == 16 else struct.pack("!BBQ", first, 127, length)


# --- what is legal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 2, 124, 125, 126, 127, 128, 190, 65535, 65536, 65537, 200_000])
@pytest.mark.parametrize("mask", [None, MASK])
def test_every_length_form_comes_back_as_it_was_sent(length: int, mask: bytes | None) -> None:
    payload = (b"0123456789abcdef" * (length // 16 + 1))[:length]
    stream = encode_frame(TEXT, payload, mask) + encode_frame(TEXT, b"next", mask)
    assert read(stream).payloads == [payload, b"next"]
    assert read(stream, 1, 3, len(stream) - 7).payloads == [payload, b"next"]


def test_many_frames_in_one_chunk_keep_their_order() -> None:
    payloads = [f'{{"n":{n}}}'.encode() * (1 + n % 40) for n in range(500)]
    batch = read(b"".join(encode_frame(TEXT, payload) for payload in payloads))
    assert batch.payloads == payloads
    assert batch.error is None


def test_a_fragmented_message_is_joined_and_pings_within_it_come_out_at_once() -> None:
    text = "Zürich €".encode()
    reader = FrameReader()
    first = reader.feed(encode_frame(TEXT, text[:2], fin=False) + encode_frame(PING, b"are you there"))
    assert first.controls == [Control(PING, b"are you there")]
    assert first.payloads == []
    assert reader.partial
    assert reader.fragmented
    second = reader.feed(encode_frame(CONTINUATION, text[2:9], fin=False) + encode_frame(CONTINUATION, text[9:]))
    assert second.payloads == [text]
    assert not reader.partial


def test_data_after_a_fragmented_message_in_the_same_chunk_is_read_too() -> None:
    stream = (
        encode_frame(TEXT, b"before")
        + encode_frame(TEXT, b"a", fin=False)
        + encode_frame(CONTINUATION, b"b")
        + encode_frame(TEXT, b"after")
    )
    assert read(stream).payloads == [b"before", b"ab", b"after"]


def test_empty_fragments_make_an_empty_message() -> None:
    stream = encode_frame(TEXT, b"", fin=False) + encode_frame(CONTINUATION, b"", fin=False)
    assert read(stream + encode_frame(CONTINUATION, b"")).payloads == [b""]


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("length", [0, 1, 125])
def test_control_frames_are_handed_out_with_their_payload(opcode: int, length: int) -> None:
    assert read(encode_frame(opcode, b"p" * length), 1).controls == [Control(opcode, b"p" * length)]


def test_partial_is_true_only_inside_a_frame_or_message() -> None:
    reader = FrameReader()
    assert not reader.partial
    reader.feed(b"\x81")
    assert reader.partial
    reader.feed(b"\x02a")
    assert reader.partial
    reader.feed(b"b")
    assert not reader.partial
    reader.feed(encode_frame(TEXT, b"x", fin=False))
    assert reader.partial
    reader.feed(encode_frame(CONTINUATION, b"y"))
    assert not reader.partial


def test_a_server_reads_masked_frames_and_a_client_reads_both_kinds() -> None:
    masked, plain = encode_frame(TEXT, b"hello", MASK), encode_frame(TEXT, b"hello")
    assert read(masked, masked=True).payloads == [b"hello"]
    assert read(masked + plain).payloads == [b"hello", b"hello"]
    refused = read(masked + plain, masked=True)
    assert refused.payloads == [b"hello"]
    assert refused.error is not None
    assert "client" in str(refused.error)


# --- data that is not data -------------------------------------------------------------------------------------------


def test_a_binary_message_is_set_aside_unless_binary_is_data() -> None:
    stream = encode_frame(BINARY, b"\x1f\x8b") + encode_frame(TEXT, b"{}")
    assert outcome(read(stream))[:2] == ([b"{}"], [(b"\x1f\x8b", "binary message")])
    assert outcome(read(stream, binary=True))[:2] == ([b"\x1f\x8b", b"{}"], [])


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"caf\xe9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", "€".encode()[:2], b"ok" * 70 + b"\xce"],
    ids=["lone byte", "latin-1", "surrogate", "above U+10FFFF", "overlong", "cut short", "cut short, 16-bit length"],
)
def test_text_that_is_not_utf8_is_set_aside_and_the_connection_goes_on(payload: bytes) -> None:
    batch = read(encode_frame(TEXT, payload) + encode_frame(TEXT, b"good"))
    assert batch.bad == [(payload, "not UTF-8")]
    assert batch.payloads == [b"good"]
    assert batch.error is None


@given(st.binary(max_size=12), st.sampled_from([0, 65533, 65534, 65535, 65536, 131071]))
def test_large_payloads_are_checked_as_python_would(tail: bytes, padding: int) -> None:
    payload = b"x" * padding + tail
    try:
        payload.decode()
        valid = True
    except UnicodeDecodeError:
        valid = False
    assert is_utf8(payload) is valid


# --- the case table, in the manner of Autobahn sections 1 to 7 and 9 --------------------------------------------------

OK = encode_frame(TEXT, b"ok")

VIOLATIONS = {
    "3.1 RSV1 on a text frame": (b"\xc1\x00", 1002),
    "3.2 RSV2 after good data": (b"\xa1\x00", 1002),
    "3.3 RSV3 on a ping": (b"\x99\x00", 1002),
    "3.7 all RSV bits": (b"\xf1\x00", 1002),
    "4.1.1 reserved data opcode 3": (b"\x83\x00", 1002),
    "4.1.5 reserved data opcode 7": (b"\x87\x00", 1002),
    "4.2.1 reserved control opcode 11": (b"\x8b\x00", 1002),
    "4.2.5 reserved control opcode 15": (b"\x8f\x00", 1002),
    "2.5 ping of 126 bytes": (b"\x89\x7e\x00\x7e" + b"p" * 126, 1002),
    "2.5 close of 126 bytes": (b"\x88\x7e\x00\x7e" + b"p" * 126, 1002),
    "5.1 fragmented ping": (b"\x09\x00", 1002),
    "5.2 fragmented pong": (b"\x0a\x00", 1002),
    "fragmented close": (b"\x08\x00", 1002),
    "5.9 continuation of nothing": (b"\x80\x00", 1002),
    "5.10 unfinished continuation of nothing": (b"\x00\x00", 1002),
    "5.12 continuation after a whole message": (OK + b"\x80\x00", 1002),
    "5.18 text inside a text": (b"\x01\x01a\x81\x01b", 1002),
    "binary inside a text": (b"\x01\x01a\x02\x01b", 1002),
    "16-bit length for 125 bytes": (b"\x81\x7e\x00\x7d" + b"x" * 125, 1002),
    "16-bit length for none": (b"\x81\x7e\x00\x00", 1002),
    "64-bit length for 65535 bytes": (header(0x81, 65535, 64), 1002),
    "64-bit length with the top bit": (b"\x81\x7f\x80" + b"\x00" * 7, 1002),
    "7.3.2 close with one byte": (b"\x88\x01\x03", 1002),
    "9.1 a gibibyte announced": (header(0x81, 2**30, 64), 1009),
    "9.2 the largest length there is": (header(0x82, 2**63 - 1, 64), 1009),
    **{
        f"7.9 close code {code}": (encode_frame(CLOSE, encode_close(code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize(("stream", "close_code"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_violation_ends_the_stream_and_everything_before_it_is_kept(stream: bytes, close_code: int) -> None:
    for cuts in ((), tuple(range(len(OK + stream)))):
        batch = read(OK + OK + stream + OK, *cuts)
        assert batch.payloads[:2] == [b"ok", b"ok"]
        assert OK not in batch.payloads[3:]
        assert batch.error is not None
        assert batch.error.close_code == close_code
        assert batch.close is None


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])
def test_a_legal_close_is_reported_with_code_and_reason(code: int) -> None:
    batch = read(OK + encode_frame(CLOSE, encode_close(code, "going away")) + OK)
    assert batch.payloads == [b"ok"]
    assert batch.close == Close(code, "going away")
    assert batch.error is None


def test_an_empty_close_has_no_code() -> None:
    assert read(b"\x88\x00").close == Close(None, "")


def test_a_close_reason_that_is_not_utf8_costs_the_code_nothing() -> None:
    assert read(encode_frame(CLOSE, b"\x0f\xa1bad \xff")).close == Close(4001, "bad \ufffd")


def test_a_close_inside_a_fragmented_message_is_taken() -> None:
    reader = FrameReader()
    batch = reader.feed(encode_frame(TEXT, b"a", fin=False) + encode_frame(CLOSE, encode_close(1001)))
    assert batch.close == Close(1001, "")
    assert not reader.partial


@pytest.mark.parametrize("end", [b"\x88\x00", b"\xff\x00"], ids=["close", "error"])
def test_after_the_end_all_bytes_are_ignored(end: bytes) -> None:
    reader = FrameReader()
    reader.feed(end)
    assert outcome(reader.feed(OK)) == ([], [], [], None, None)
    assert not reader.partial


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 100, 125, 126, 1000, 65535, 65536, 70_000])
def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not(limit: int) -> None:
    assert read(encode_frame(TEXT, b"x" * limit), max_message=limit).payloads == [b"x" * limit]
    over = read(encode_frame(TEXT, b"x" * (limit + 1)), max_message=limit)
    assert over.payloads == []
    assert over.error is not None
    assert over.error.close_code == 1009


def test_the_sum_of_fragments_is_bounded_by_the_header_of_the_one_that_is_too_much() -> None:
    reader = FrameReader(max_message=10)
    assert reader.feed(encode_frame(TEXT, b"12345", fin=False)).error is None
    batch = reader.feed(b"\x00\x06")
    assert batch.error is not None
    assert batch.error.close_code == 1009


def test_an_announced_gibibyte_takes_no_memory() -> None:
    reader = FrameReader()
    tracemalloc.start()
    try:
        assert reader.feed(header(0x81, 2**30, 64) + b"x" * 1000).error is not None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_endless_empty_fragments_are_bounded() -> None:
    reader = FrameReader()
    stream = encode_frame(TEXT, b"", fin=False) + encode_frame(CONTINUATION, b"", fin=False) * (MAX_FRAGMENTS - 1)
    assert reader.feed(stream).error is None
    batch = reader.feed(encode_frame(CONTINUATION, b""))
    assert batch.error is not None
    assert batch.error.close_code == 1009
    assert str(MAX_FRAGMENTS) in str(batch.error)


@pytest.mark.parametrize(("mask", "times"), [(None, 2), (MASK, 3)])
def test_a_message_as_large_as_allowed_takes_a_small_multiple_of_its_size(mask: bytes | None, times: int) -> None:
    size = 8 * 2**20
    stream = encode_frame(TEXT, "é".encode() * (size // 2), mask)
    reader = FrameReader()
    tracemalloc.start()
    try:
        whole = read_chunks([stream[n : n + 65536] for n in range(0, len(stream), 65536)], reader)
        peak = tracemalloc.get_traced_memory()[1] - len(stream)  # the list of chunks is the test's own
    finally:
        tracemalloc.stop()
    assert len(whole.payloads[0]) == size
    assert peak < (times + 0.2) * size


def test_the_number_of_fragments_is_counted_for_each_message_anew() -> None:
    message = encode_frame(TEXT, b"a", fin=False) + encode_frame(CONTINUATION, b"", fin=False) * 999
    stream = (message + encode_frame(CONTINUATION, b"b")) * (MAX_FRAGMENTS // 1000 + 2)
    batch = read(stream)
    assert batch.error is None
    assert set(batch.payloads) == {b"ab"}


def test_a_large_frame_in_tiny_chunks_is_not_copied_over_and_over() -> None:
    reader = FrameReader()
    stream = encode_frame(TEXT, b"x" * 300_000)
    whole = read_chunks([stream[n : n + 1] for n in range(len(stream))], reader)
    assert whole.payloads == [b"x" * 300_000]


# --- properties ------------------------------------------------------------------------------------------------------

edge_texts = st.sampled_from(["x" * 125, "x" * 126, "é" * 100, "x" * 66_000])
texts = st.one_of(st.text(max_size=40), edge_texts).map(str.encode)
cut_lists = st.lists(st.integers(0, 2000), max_size=30)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, bytes]]]:
    """One message on the wire, perhaps in fragments with pings in between, and what must come out of it."""
    kind = draw(st.sampled_from(["text", "text", "binary", "ping", "pong", "fragments"]))
    mask = draw(st.sampled_from([None, MASK]))
    if kind in {"ping", "pong"}:
        payload = draw(st.binary(max_size=125))
        return encode_frame(PING if kind == "ping" else PONG, payload, mask), [(kind, payload)]
    payload = draw(texts)
    if kind != "fragments":
        return encode_frame(TEXT if kind == "text" else BINARY, payload, mask), [(kind, payload)]
    pieces = chunks_of(payload, tuple(draw(st.lists(st.integers(0, len(payload)), min_size=1, max_size=4))))
    wire, expected = b"", []
    for number, piece in enumerate(pieces):
        wire += encode_frame(CONTINUATION if number else TEXT, piece, mask, fin=number == len(pieces) - 1)
        if number < len(pieces) - 1 and draw(st.booleans()):
            wire += encode_frame(PING, b"!", mask)
            expected.append(("ping", b"!"))
    return wire, [*expected, ("text", payload)]


@settings(max_examples=100, deadline=None)
@given(st.lists(messages(), max_size=8), cut_lists)
def test_any_chunking_of_any_legal_stream_gives_the_same_messages(
    sent: list[tuple[bytes, list[tuple[str, bytes]]]], cuts: list[int]
) -> None:
    stream = b"".join(wire for wire, _ in sent)
    expected = [item for _, items in sent for item in items]
    batch = read(stream, *cuts, binary=True)
    assert batch.payloads == [payload for kind, payload in expected if kind in {"text", "binary"}]
    assert [control.payload for control in batch.controls] == [p for kind, p in expected if kind in {"ping", "pong"}]
    assert (batch.bad, batch.close, batch.error) == ([], None, None)


frame_like = st.one_of(
    st.binary(max_size=30),
    st.builds(
        lambda first, second, rest: bytes((first, second)) + rest,
        st.sampled_from([0x01, 0x81, 0x82, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x83]),
        st.integers(0, 255),
        st.binary(max_size=140),
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(frame_like, max_size=6).map(b"".join), cut_lists, st.booleans(), st.booleans(), st.integers(1, 300))
@example(b"\x81\x7e\x00\x7e" + b"x" * 126 + b"\x81", [1, 3, 5], False, False, 125)
def test_any_bytes_in_any_chunks_give_the_same_frames_or_the_same_error(
    stream: bytes, cuts: list[int], binary: bool, masked: bool, limit: int
) -> None:
    options = {"binary": binary, "masked": masked, "max_message": limit}
    at_once = read(stream, **options)
    assert outcome(read(stream, *cuts, **options)) == outcome(at_once)
    assert outcome(read(stream, *range(len(stream)), **options)) == outcome(at_once)
    assert at_once.close is None or at_once.error is None


# --- many plain frames at once: the same as one by one -------------------------------------------------------------

mixed_texts = st.one_of(
    st.integers(0, 700).map(lambda size: b"x" * size),
    st.sampled_from([b"y" * 128, b"y" * 129, b"y" * 385, "ü".encode() * 80, b"\xc2\x81" * 70, b"\xff" * 130]),
)


@given(
    st.lists(mixed_texts, min_size=4, max_size=30),
    st.lists(st.integers(0, 9000), max_size=3),
    st.binary(max_size=3),
    st.integers(0, 9000),
)
def test_a_chunk_of_many_frames_gives_what_single_bytes_give(
    messages: list[bytes], cuts: list[int], noise: bytes, place: int
) -> None:
    stream = b"".join(encode_frame(TEXT, message) for message in messages)
    place = min(place, len(stream))
    stream = stream[:place] + noise + stream[place + len(noise) :]  # what is wrong is wrong in the same way
    single = read(stream, *range(len(stream)))
    assert outcome(read(stream, *cuts)) == outcome(single)


@pytest.mark.parametrize("size", [125, 126, 127, 129, 200, 65_535, 65_536])
def test_many_frames_of_any_size_of_header_are_cut_apart(size: int) -> None:
    messages = [b"%d" % number * (size // len(b"%d" % number)) for number in range(1, 9)]
    batch = read(b"".join(encode_frame(TEXT, message) for message in messages), max_message=size)
    assert batch.payloads == messages
    assert batch.error is None


def test_one_message_over_the_limit_among_many_is_found() -> None:
    stream = b"".join(encode_frame(TEXT, b"z" * size) for size in (200, 200, 201, 200, 200, 200))
    batch = read(stream, max_message=200)
    assert batch.payloads == [b"z" * 200] * 2
    assert batch.error is not None
    assert batch.error.close_code == 1009


def test_a_chunk_of_a_thousand_quotes_is_not_taken_one_by_one() -> None:
    messages = [b'{"type":"quote","n":"%0150d"}' % number for number in range(1000)]
    reader = FrameReader()
    taken_singly: list[int] = []
    frame = reader._frame
    reader._frame = lambda buf, pos, batch: taken_singly.append(pos) or frame(buf, pos, batch)  # type: ignore[func-returns-value, method-assign]
    batch = reader.feed(b"".join(encode_frame(TEXT, message) for message in messages) + b"\x81")
    assert batch.payloads == messages
    assert len(taken_singly) == 1  # the byte at the end


def test_messages_cut_apart_at_once_bring_their_text_along_and_others_do_not() -> None:
    messages = [b"%d" % number * 150 for number in range(1, 6)]
    stream = b"".join(encode_frame(TEXT, message) for message in messages)
    together = FrameReader().feed(stream).messages()
    assert isinstance(together, Joined)
    assert (list(together), together.text, together.lines) == (messages, b"\n".join(messages), True)
    mixed = FrameReader().feed(stream + encode_frame(TEXT, b"short")).messages()
    assert not isinstance(mixed, Joined)
    assert list(mixed) == [*messages, b"short"]
