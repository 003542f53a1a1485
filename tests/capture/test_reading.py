from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.capture.reads import read_bytes, read_paths
from tests.capture.test_json_lines import written
from tests.sinks.making import START, bar, gap, notice, trade
from tickstream.capture import zstd_frames
from tickstream.capture.compression import CODECS
from tickstream.capture.finding import Found
from tickstream.capture.reading import ReadOptions, Source
from tickstream.errors import ConfigError, InputError, UsageError
from tickstream.events import Event
from tickstream.sinks.encoders import TimeFormat

SOME: list[Event] = [bar(minute=minute) for minute in range(50)]


def compressed(data: bytes, codec: str, members: int = 3) -> bytes:
    """In so many members of whole lines."""
    lines = data.splitlines(keepends=True)
    size = -(-len(lines) // members)
    parts = [b"".join(lines[at : at + size]) for at in range(0, len(lines), size)]
    return b"".join(map(CODECS[codec].member, parts))


# --- what there is to read --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", list(CODECS))
def test_files_are_read_however_they_are_compressed_and_named(tmp_path: Path, codec: str) -> None:
    place = tmp_path / "some.data"
    place.write_bytes(compressed(written(SOME), codec))
    read = read_paths(place)
    assert (read.events, read.bad, read.torn, read.lines) == (SOME, [], [], 50)
    assert read_bytes(place.read_bytes()).events == SOME
    [source] = read.sources
    assert (source.format, source.time, source.name, source.path) == ("jsonl", "ns", str(place), place)
    assert source.consumed == place.stat().st_size


def test_what_other_programs_compressed_is_read_too() -> None:
    assert read_bytes(gzip.compress(written(SOME))).events == SOME


@pytest.mark.parametrize("time", ["iso", "us", "ns"])
def test_it_is_told_how_times_are_written(time: TimeFormat) -> None:
    for event in (bar(), gap(), notice()):
        assert read_bytes(written([event], time)).sources[0].time == time


def test_an_empty_file_holds_nothing() -> None:
    read = read_bytes(b"")
    assert (read.events, read.lines, read.sources[0].format) == ([], 0, None)
    assert read_bytes(b"\n\n").events == []
    for codec in CODECS.values():
        assert read_bytes(codec.member(b"")).events == []


def test_a_source_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(written(SOME))
    [source] = read_paths(tmp_path).sources
    for _ in range(2):
        assert [event for chunk in source.chunks() for event in chunk.events] == SOME


def test_without_standard_input_there_is_nothing_in_it() -> None:
    assert list(Source(Found("-", None), ReadOptions()).chunks()) == []


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_bytes(b"\xef\xbb\xbf" + written(SOME)).events == SOME


# --- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", list(CODECS))
def test_a_file_that_was_cut_anywhere_gives_all_its_whole_lines_and_says_that_it_is_torn(codec: str) -> None:
    members = [compressed(written(SOME[start : start + 2]), codec, 1) for start in (0, 2, 4)]
    data = b"".join(members)
    before = 0
    for cut in range(1, len(data)):
        read = read_bytes(data[:cut])
        assert (read.events, read.bad) == (SOME[: len(read.events)], [])
        assert before <= len(read.events) <= 6
        before = len(read.events)
        whole = data[:cut] in (members[0], members[0] + members[1])
        if codec == "none":  # a line that lacks only its end is whole as well
            whole = data[cut - 1 : cut + 1] == b"}\n" or data[cut - 1 : cut] == b"\n"
        assert len(read.torn) == (not whole), cut
    assert before >= 4


def test_a_member_that_is_no_member_ends_the_file_and_is_reported() -> None:
    data = compressed(written(SOME), "gzip")
    read = read_bytes(data + b"this is no gzip\n" + data)
    assert read.events == SOME
    assert [(line, "damaged near byte" in reason) for line, reason in read.bad] == [(51, True)]


def test_zeros_of_a_power_cut_are_a_torn_line() -> None:
    read = read_bytes(written(SOME) + bytes(5000))
    assert (read.events, read.bad) == (SOME, [])
    assert [line for line, _ in read.torn] == [51]


def test_a_line_of_20_mebibytes_is_left_out_and_reported() -> None:
    read = read_bytes(written(SOME) + b"x" * (20 * 2**20) + b"\n" + written(SOME))
    assert read.events == SOME * 2
    assert read.bad == [(51, "longer than 16 MiB; left out")]


def test_a_file_of_rubbish_has_no_events_and_names_its_lines() -> None:
    read = read_bytes(b"rubbish\n" * 30)
    assert (read.events, len(read.bad)) == ([], 30)


def test_a_named_file_of_lines_is_read_as_lines_whatever_stands_in_it(tmp_path: Path) -> None:
    place = tmp_path / "x.jsonl"
    place.write_bytes(b"a,b,c\n" * 30 + written([trade()]))
    read = read_paths(place)
    assert (read.events, len(read.bad)) == ([trade()], 30)


def test_our_lines_are_known_even_where_each_is_damaged() -> None:
    read = read_bytes(b'{"type":"bar","provider":"tickatlas"}\n')
    assert [(line, reason.startswith("Object missing")) for line, reason in read.bad] == [(1, True)]


BEGINNINGS = [b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b'{"type":"bar",', b'{"ts_recv":1,"payload":',
              b"type,provider,symbol,ts_event,ts_recv\n"]  # fmt: skip


@given(st.binary(max_size=100), st.sampled_from(BEGINNINGS))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_read_or_refused_without_a_crash(data: bytes, start: bytes) -> None:
    with contextlib.suppress(InputError, UsageError):
        read_bytes(start + data)


# --- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="opening a folder fails in another way there")
def test_what_cannot_be_opened_is_an_error_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^Cannot read .*: Is a directory\.$"):
        list(Source(Found(str(tmp_path), tmp_path), ReadOptions()).chunks())


def test_a_source_that_fails_while_it_is_read_is_an_error() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(1000)

    with pytest.raises(InputError, match="Input/output error"):
        list(Source(Found("-", None), ReadOptions(stdin=Failing(written(SOME)))).chunks())


def test_parquet_in_a_pipe_is_refused() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(UsageError, match="cannot be read from a pipe"):
        list(Source(Found("-", None), ReadOptions(stdin=Pipe(b"PAR1"))).chunks())


def test_a_codec_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise ImportError

    monkeypatch.setattr(zstd_frames, "_load", missing)
    monkeypatch.setitem(CODECS, "zstd", zstd_frames.Zstd())
    with pytest.raises(ConfigError, match="zstd is not installed"):
        read_bytes(b"\x28\xb5\x2f\xfd rest")


# --- large files ------------------------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """The same lines, again and again, so many times."""

    def __init__(self, data: bytes, times: int) -> None:
        super().__init__()
        self._pieces: Iterator[bytes] = iter([data] * times)

    def read(self, size: int | None = -1, /) -> bytes:
        return next(self._pieces, b"")


def test_chunks_stay_small_however_large_the_pieces_are() -> None:
    source = Source(Found("-", None), ReadOptions(stdin=Endless(written(SOME * 50), 20)))  # type: ignore[arg-type]  # it has what is used
    sizes = [(len(chunk.events), chunk.bytes) for chunk in source.chunks()]
    assert sum(events for events, _ in sizes) == 50 * 50 * 20
    assert max(size for _, size in sizes) < 2**20


MEMORY = """
import resource, sys
from tickstream.capture.reading import ReadOptions, sources
def read():
    return sum(len(chunk.events) for source in sources(sys.argv[1:]) for chunk in source.chunks())
read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(4):
    read()
print(read(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in other units elsewhere")
def test_memory_does_not_grow_with_what_is_read(tmp_path: Path) -> None:
    place = tmp_path / "x.jsonl.gz"
    place.write_bytes(compressed(written([bar(minute=n, ts_recv=START + n) for n in range(30_000)]), "gzip", 10))
    done = subprocess.run([sys.executable, "-c", MEMORY, str(place)], capture_output=True, text=True, check=True)
    events, grown_kb = map(int, done.stdout.split())
    assert events == 30_000
    assert grown_kb < 8_000
