"""Members that stand alone: other tools read them as one file, and their ends are found again."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture import codec as codec_module
from tickstream.capture import zstd_frames
from tickstream.capture.compression import BLOCK, CODECS, Codec, Damaged, Member, Window, codec_of, whole_lines
from tickstream.errors import ConfigError, ExitCode

COMPRESSED = [codec for codec in CODECS.values() if codec.suffix]
LINES = [b'{"minute":%d,"price":1.08%03d}\n' % (n, n * 7919 % 1000) for n in range(3000)]
every = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
compressed = pytest.mark.parametrize("codec", COMPRESSED, ids=[codec.name for codec in COMPRESSED])


def decoded(codec: Codec, data: bytes) -> bytes:
    return b"".join(codec.blocks(io.BytesIO(data)))


@every
@given(pieces=st.lists(st.binary(max_size=2000), max_size=6))
def test_members_are_read_as_one(codec: Codec, pieces: list[bytes]) -> None:
    assert decoded(codec, b"".join(codec.member(piece) for piece in pieces)) == b"".join(pieces)


@pytest.mark.parametrize(("name", "tool"), [("gzip", "gzip"), ("gzip", "zcat"), ("zstd", "zstd"), ("zstd", "zstdcat")])
def test_the_usual_tools_read_them(name: str, tool: str, tmp_path: Path) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"there is no {tool} here")
    codec = CODECS[name]
    path = tmp_path / f"x{codec.suffix}"
    path.write_bytes(b"".join(codec.member(line) for line in LINES[:50]))
    options = [] if tool.endswith("cat") else ["-dc"]
    assert subprocess.run([tool, *options, path], check=True, capture_output=True).stdout == b"".join(LINES[:50])
    if not options:
        return
    subprocess.run([tool, "-t", "-q", path], check=True)


def test_pythons_own_gzip_reads_them_and_equal_lines_give_equal_bytes() -> None:
    codec = CODECS["gzip"]
    data = codec.member(b"".join(LINES))
    assert gzip.decompress(data + codec.member(LINES[0])) == b"".join(LINES) + LINES[0]
    assert codec.member(b"".join(LINES)) == data


# --- where members end -----------------------------------------------------------------------------------------------


@compressed
def test_the_ends_of_members_are_found(codec: Codec) -> None:
    members = [codec.member(b"".join(LINES[start : start + 500])) for start in range(0, 3000, 500)]
    data = b"".join(members)
    found = list(codec.members(io.BytesIO(data)))
    assert [data[start:end] for start, end in found] == members
    assert list(codec.members(io.BytesIO(data), found[2].end)) == found[3:]
    assert list(codec.members(io.BytesIO(data[:-1]))) == found[:-1]
    assert list(codec.members(io.BytesIO(data + b"garbage"))) == found
    assert list(codec.members(io.BytesIO(b""))) == []


def test_lines_without_compression_are_found_in_stretches() -> None:
    data = b"".join(LINES) * 40
    long = b"x" * (2 * BLOCK) + b"\n"
    file = io.BytesIO(data + long + data + b"torn")
    found = list(CODECS["none"].members(file))
    assert found[0].start == 0
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert found[-1].end == 2 * len(data) + len(long)
    assert all(file.getvalue()[one.end - 1 : one.end] == b"\n" for one in found)
    assert len(found) > 4


@pytest.mark.parametrize("foreign", [gzip.compress, lambda data: gzip.compress(data, mtime=1) + b""])
def test_members_of_other_tools_are_found_too(foreign: Callable[[bytes], bytes]) -> None:
    codec = CODECS["gzip"]
    noise = os.urandom(3 * BLOCK)
    members = [foreign(b"".join(LINES)), codec.member(LINES[0]), foreign(noise), foreign(b"")]
    data = b"".join(members)
    assert [data[start:end] for start, end in codec.members(io.BytesIO(data))] == members
    assert len(list(codec.members(io.BytesIO(data[:-3])))) == 3
    damaged = data[:300] + bytes(500) + data[800:]
    assert list(codec.members(io.BytesIO(damaged))) == []


def test_frames_of_other_tools_are_found_too() -> None:
    from backports import zstd

    codec = CODECS["zstd"]
    skippable = b"\x5f\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    streamed = zstd.ZstdCompressor()  # no size in the header
    frames = [
        zstd.compress(b"".join(LINES)),
        skippable,
        streamed.compress(b"".join(LINES)) + streamed.flush(),
        zstd.compress(b"a" * 1_000_000),  # RLE
        zstd.compress(os.urandom(200_000)),  # raw, more than a block
        zstd.compress(b""),
        zstd.compress(b"x" * 300),
        codec.member(b"x" * 70_000),
    ]
    data = b"".join(frames)
    assert [data[start:end] for start, end in codec.members(io.BytesIO(data))] == frames
    for cut in range(1, len(frames[-1])):
        assert len(list(codec.members(io.BytesIO(data[: -len(frames[-1])] + frames[-1][:cut])))) == len(frames) - 1


def test_a_frame_with_a_block_type_that_does_not_exist_is_none() -> None:
    data = bytearray(CODECS["zstd"].member(b"".join(LINES)))
    header = 4 + 1 + 2 + 1
    for at in range(header - 2, header + 2):
        changed = bytes(data[:at]) + b"\xff" + bytes(data[at + 1 :])
        assert list(CODECS["zstd"].members(io.BytesIO(changed))) in ([], [Member(0, len(data))])


# --- damage ----------------------------------------------------------------------------------------------------------


@compressed
def test_what_ends_too_early_is_read_as_far_as_it_goes_and_called_torn(codec: Codec) -> None:
    data = codec.member(b"".join(LINES[:100])) + codec.member(b"".join(LINES[100:]))
    got: list[bytes] = []
    with pytest.raises(Damaged, match="ends too early") as caught:
        got.extend(codec.blocks(io.BytesIO(data[:-5])))
    assert caught.value.torn
    assert b"".join(LINES).startswith(b"".join(got))
    assert len(b"".join(got)) >= len(b"".join(LINES[:100]))


@compressed
def test_what_is_something_else_is_called_damaged(codec: Codec) -> None:
    good = codec.member(LINES[0])
    with pytest.raises(Damaged) as caught:
        decoded(codec, good + b"this is no member at all, and long enough to see that")
    assert not caught.value.torn
    assert caught.value.offset == len(good)
    with pytest.raises(Damaged) as zeros:
        decoded(codec, good + bytes(100))
    assert zeros.value.torn, "zeros are what a power cut leaves"


@compressed
def test_a_member_whose_content_was_changed_is_not_whole(codec: Codec) -> None:
    first, second = codec.member(b"".join(LINES[:100])), codec.member(b"".join(LINES[100:]))
    for data, whole in ((first + second, len(first + second)), (first + _flip(second), len(first))):
        assert codec.whole_of(io.BytesIO(data)) == whole


def _flip(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@every
def test_nothing_is_salvaged_from_what_was_never_a_member(codec: Codec) -> None:
    assert codec.salvage(b"nothing of the kind") == b""
    assert codec.salvage(b"") == b""


def test_only_the_end_of_a_long_file_is_decoded_to_find_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "CHECKED", 3000)
    codec = CODECS["gzip"]
    members = [codec.member(os.urandom(1000)) for _ in range(20)]
    data = b"".join(members)
    looked: list[int] = []
    sound = type(codec)._is_sound
    monkeypatch.setattr(
        type(codec), "_is_sound", lambda self, file, member: looked.append(member.start) or sound(self, file, member)
    )
    assert codec.whole_of(io.BytesIO(data)) == len(data)
    assert len(looked) == 3
    plain = b"a\n" * 5000
    assert CODECS["none"].whole_of(io.BytesIO(plain[:100] + b"\0" + plain)) == 101 + len(plain), "synced long ago"


@compressed
def test_a_bomb_comes_in_small_pieces(codec: Codec) -> None:
    bomb = codec.member(bytes(64 << 20))
    assert len(bomb) < 1 << 20
    size = 0
    for block in codec.blocks(io.BytesIO(bomb)):
        assert len(block) <= BLOCK
        size += len(block)
    assert size == 64 << 20


# --- which, and whether ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec"),
    [("x.jsonl", "none"), ("x.jsonl.part", "none"), ("x.jsonl.gz", "gzip"), ("x.csv.zst.part", "zstd"), ("gz", "none")],
)
def test_the_name_tells_the_compression(name: str, codec: str) -> None:
    assert codec_of(name) is CODECS[codec]


def test_without_zstd_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("backports", "backports.zstd", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    codec = zstd_frames.Zstd()
    with pytest.raises(ConfigError, match="zstd is not installed") as caught:
        codec.require()
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "pip install 'tickstream[zstd]'" in caught.value.hint


def test_what_is_built_in_requires_nothing() -> None:
    CODECS["none"].require()
    CODECS["gzip"].require()
    CODECS["zstd"].require()


def test_a_window_is_a_stretch_of_a_file() -> None:
    window = Window(io.BytesIO(b"0123456789"), 2, 7)
    assert [window.read(3), window.read(3), window.read(3)] == [b"234", b"56", b""]


def test_whole_lines_end_with_the_last_line_end() -> None:
    assert whole_lines(b"a\nb\nc") == b"a\nb\n"
    assert whole_lines(b"abc") == b""


def test_the_trailer_of_gzip_is_right_for_what_zlib_says() -> None:
    member = CODECS["gzip"].member(LINES[0])
    assert member[-8:-4] == zlib.crc32(LINES[0]).to_bytes(4, "little")
