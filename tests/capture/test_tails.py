"""A file cut at any byte is repaired to all its whole records, and what is torn off is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tickstream.capture.compression import CODECS, Codec
from tickstream.capture.tails import repair
from tickstream.clock import FakeClock

LINES = [b'{"type":"bar","symbol":"EURUSD","minute":%d,"price":1.0843%d}\n' % (n, n * 7919 % 1000) for n in range(24)]
GROUPS = [LINES[start : start + 8] for start in range(0, len(LINES), 8)]
CLOCK = FakeClock()


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of repairs: what is synced, and when, is the subject of other tests."""
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


def write(folder: Path, codec: Codec, data: bytes) -> Path:
    path = folder / f"2026-06-24.jsonl{codec.suffix}.part"
    path.write_bytes(data)
    return path


def content(path: Path, codec: Codec) -> bytes:
    with path.open("rb") as file:
        return b"".join(codec.blocks(file))


def members(codec: Codec) -> list[bytes]:
    return [codec.member(b"".join(group)) for group in GROUPS]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_file_cut_at_every_byte_keeps_all_its_whole_records(codec: Codec, tmp_path: Path) -> None:
    data = b"".join(members(codec))
    ends = [sum(map(len, members(codec)[:count])) for count in range(len(GROUPS) + 1)]
    for cut in range(len(data) + 1):
        path = write(tmp_path, codec, data[:cut])
        done = repair(path, codec, CLOCK)
        left = content(path, codec).splitlines(keepends=True)
        assert left == LINES[: len(left)], cut
        if codec.suffix:
            whole = sum(end <= cut for end in ends[1:])
            assert len(left) >= 8 * whole, cut
            assert (done is None) == (cut in ends), cut
        else:
            assert len(left) == data[:cut].count(b"\n"), cut
        if done is not None:
            torn = done.saved_to.read_bytes()
            assert data[:cut].endswith(torn), cut
            assert len(torn) == done.bytes > 0, cut
            done.saved_to.unlink()
        assert repair(path, codec, CLOCK) is None, "once is enough"


def test_whole_lines_of_a_torn_gzip_member_are_written_back(tmp_path: Path) -> None:
    codec = CODECS["gzip"]
    lines = [b'{"n":%d,"noise":"%s"}\n' % (n, os.urandom(40).hex().encode()) for n in range(200)]
    data = codec.member(b"".join(lines[:100])) + codec.member(b"".join(lines[100:]))
    path = write(tmp_path, codec, data[:-1000])
    done = repair(path, codec, CLOCK)
    assert done is not None
    left = content(path, codec).splitlines(keepends=True)
    assert left == lines[: len(left)]
    assert 150 < len(left) < 200
    assert done.salvaged == sum(map(len, left[100:]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_zeros_that_a_power_cut_leaves_are_no_records(codec: Codec, data: st.DataObject, tmp_path: Path) -> None:
    whole = b"".join(members(codec))
    cut = data.draw(st.integers(0, len(whole)))
    rest = data.draw(st.sampled_from([b"", whole[-40:]]))
    zeros = data.draw(st.integers(8 if rest else 1, 5000))  # in the middle of a file by the sector, at its end any
    torn = whole[:cut] + bytes(zeros) + rest
    assume(not whole.startswith(torn))  # the length of a gzip member ends in zeros
    path = write(tmp_path, codec, torn)
    done = repair(path, codec, CLOCK)
    assert done is not None
    left = content(path, codec).splitlines(keepends=True)
    assert left == LINES[: len(left)]
    assert len(left) >= 8 * sum(end <= cut for end in _ends(codec))


def _ends(codec: Codec) -> list[int]:
    sizes = [len(member) for member in members(codec)]
    return [sum(sizes[: count + 1]) for count in range(len(sizes))]


def test_a_record_longer_than_what_is_read_at_a_time_is_cut_off_whole(tmp_path: Path) -> None:
    codec = CODECS["none"]
    path = write(tmp_path, codec, LINES[0] + b'{"long":"' + b"x" * 3_000_000)
    done = repair(path, codec, CLOCK)
    assert done is not None
    assert path.read_bytes() == LINES[0]
    assert done.saved_to.stat().st_size == done.bytes == 3_000_009


def test_what_was_torn_before_is_never_overwritten(tmp_path: Path) -> None:
    codec = CODECS["none"]
    saved = []
    for rest in (b"one", b"two", b"three"):
        path = write(tmp_path, codec, LINES[0] + rest)
        done = repair(path, codec, CLOCK)
        assert done is not None
        saved.append(done.saved_to)
    assert [path.read_bytes() for path in saved] == [b"one", b"two", b"three"]
    assert {path.name.partition(".torn-")[0] for path in saved} == {"2026-06-24.jsonl.part"}


def test_a_link_in_the_place_of_a_part_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"torn")
    link = tmp_path / "x.part"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        repair(link, CODECS["none"], CLOCK)
    assert (tmp_path / "elsewhere").read_bytes() == b"torn"
