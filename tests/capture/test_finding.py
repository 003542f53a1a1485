from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.capture.test_json_lines import written
from tests.sinks.making import MINUTE, START, bar, gap
from tickstream.capture import manifest
from tickstream.capture.finding import Many, bare_name, find, format_suffix, recorded_provider
from tickstream.capture.manifest import FileFinished, PartOpened, RunStart
from tickstream.capture.reading import sources
from tickstream.errors import InputError, UsageError
from tickstream.timestamps import Timestamp


def place(path: Path, minute: int = 0) -> Path:
    """A file whose only bar is of this minute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written([gap(), bar(minute=minute)]))
    return path


def names(folder: Path | str) -> list[str]:
    return [source.relative.as_posix() for source in sources([folder])]


def test_a_path_is_a_file_a_folder_a_pattern_or_standard_input(tmp_path: Path) -> None:
    file = place(tmp_path / "a.jsonl")
    place(tmp_path / "sub" / "b.jsonl")
    assert [found.path for found in find(str(file))] == [file]
    assert [found.path for found in find("-")] == [None]
    assert {found.name for found in find(str(tmp_path))} == {str(file), str(tmp_path / "sub" / "b.jsonl")}
    assert [found.path for found in find(str(tmp_path / "*.jsonl"))] == [file]
    assert len(find(str(tmp_path / "**" / "*.jsonl"))) == 2


def test_any_file_that_is_named_is_read_and_a_name_may_look_like_a_pattern(tmp_path: Path) -> None:
    odd = place(tmp_path / "a[1].log")
    assert [found.path for found in find(str(odd))] == [odd]


@pytest.mark.parametrize("path", ["nothing.jsonl", "*.jsonl", "sub/*"])
def test_what_stands_for_nothing_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    with pytest.raises(UsageError, match="there is no such file"):
        find(str(tmp_path / path))


def test_in_a_folder_only_data_is_read(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv", "c.parquet", "d.jsonl.gz", "e.csv.zst", "f.jsonl.part", "g.parquet.jsonl.part",
                 "h.jsonl.gz.part"):  # fmt: skip
        place(tmp_path / name)
    for name in (
        "manifest.jsonl",
        ".hidden.jsonl",
        "notes.txt",
        "x.jsonl.torn-2026",
        "x.jsonl.part.tmp",
        "x.jsonl.bak",
    ):
        place(tmp_path / name)
    (tmp_path / "folder.jsonl").mkdir()
    assert sorted(name[0] for name in names(tmp_path)) == list("abcdefgh")


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file that could be read"):
        find(str(tmp_path))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything, and Windows has no modes")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0)
    with pytest.raises((InputError, UsageError)):
        find(str(tmp_path / "a"))


def test_files_of_a_folder_come_in_the_order_of_their_first_events(tmp_path: Path) -> None:
    place(tmp_path / "c.jsonl", 0)
    place(tmp_path / "a.jsonl", 2)
    place(tmp_path / "b.jsonl", 1)
    assert names(tmp_path) == ["c.jsonl", "b.jsonl", "a.jsonl"]
    assert names(tmp_path / "[ab].jsonl") == ["b.jsonl", "a.jsonl"]


def test_files_that_are_named_stay_in_the_order_given(tmp_path: Path) -> None:
    late, early = place(tmp_path / "late.jsonl", 9), place(tmp_path / "early.jsonl", 1)
    assert [source.path for source in sources([late, early])] == [late, early]


def test_numbered_files_come_behind_the_first_and_unfinished_ones_last(tmp_path: Path) -> None:
    for name in ("x-002.jsonl", "x.jsonl.part", "x.jsonl", "x-010.jsonl", "x-001.jsonl"):
        place(tmp_path / name)
    assert names(tmp_path) == ["x.jsonl", "x-001.jsonl", "x-002.jsonl", "x-010.jsonl", "x.jsonl.part"]
    assert [source.part for source in sources([tmp_path])] == [False] * 4 + [True]


def test_files_that_say_nothing_come_last(tmp_path: Path) -> None:
    place(tmp_path / "c.jsonl", 3)
    (tmp_path / "a.jsonl").write_bytes(b"")
    (tmp_path / "b.csv").write_bytes(b"what,is,this\n1,2,3\n")
    (tmp_path / "d.parquet").write_bytes(b"PAR1 not really")
    place(tmp_path / "e.jsonl", 1)
    assert names(tmp_path) == ["e.jsonl", "c.jsonl", "a.jsonl", "b.csv", "d.parquet"]


# --- what a manifest says ---------------------------------------------------------------------------------------------


def list_files(base: Path, **firsts: int | None) -> None:
    """A manifest in which these files begin at these minutes."""
    start = RunStart(run="R1", started=START, pid=1, version="0", provider="kraken", channel="quotes", symbols=(),
                     format="raw", compression="none", template="x")  # fmt: skip
    files = [
        FileFinished(run="R1", file=f"{name}.jsonl", format="jsonl", compression="none", events=1, symbols={}, gaps=0,
                     missed=0, bytes=1, sha256="", finished=START, last=None,
                     first=None if first is None else Timestamp(START + first * MINUTE))
        for name, first in firsts.items()
    ]  # fmt: skip
    part = PartOpened(run="R1", ts=START, file="p.jsonl", part="p.jsonl.part", format="raw", compression="none")
    other = PartOpened(run="R1", ts=START, file="q.jsonl", part="q.jsonl.part", format="raw", compression="none",
                       provider="tickatlas")  # fmt: skip
    (base / manifest.NAME).write_bytes(manifest.lines([start, part, other, *files]))


def test_a_manifest_says_when_files_begin_without_opening_them(tmp_path: Path) -> None:
    for name in "abc":
        place(tmp_path / f"{name}.jsonl")
    list_files(tmp_path, a=3, b=1, c=2)
    assert names(tmp_path) == ["b.jsonl", "c.jsonl", "a.jsonl"]


def test_the_manifest_above_a_folder_counts_and_files_that_it_does_not_know_are_read_too(tmp_path: Path) -> None:
    for name in ("a", "b", "new"):
        place(tmp_path / "deep" / f"{name}.jsonl", minute=2)
    place(tmp_path / "deep" / "a.jsonl.part", minute=5)
    list_files(tmp_path, **{"deep/a": 3, "deep/b": 1})
    assert names(tmp_path / "deep") == ["b.jsonl", "new.jsonl", "a.jsonl", "a.jsonl.part"]


def test_a_manifest_says_whose_raw_lines_a_file_holds(tmp_path: Path) -> None:
    place(tmp_path / "deep" / "a.jsonl")
    list_files(tmp_path, **{"deep/a": 3})
    assert recorded_provider(tmp_path / "deep" / "a.jsonl") == "kraken"
    assert recorded_provider(tmp_path / "p.jsonl.part") == "kraken"
    assert recorded_provider(tmp_path / "q.jsonl.part") == "tickatlas"
    assert recorded_provider(tmp_path / "renamed.jsonl") == "kraken", "there is only one in this capture"


def test_of_several_providers_none_is_guessed(tmp_path: Path) -> None:
    list_files(tmp_path)
    place = tmp_path / manifest.NAME
    place.write_bytes(place.read_bytes() + place.read_bytes().replace(b"kraken", b"binance").replace(b"R1", b"R2"))
    assert recorded_provider(tmp_path / "renamed.jsonl") is None
    assert recorded_provider(tmp_path.parent / "elsewhere.jsonl") is None


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffix", "bare"),
    [("x.jsonl", ".jsonl", "x"), ("x.csv.gz", ".csv", "x"), ("x.parquet.jsonl.part", ".jsonl", "x.parquet"),
     ("x.jsonl.zst.part", ".jsonl", "x"), ("x.raw", "", "x"), ("x", "", "x"), ("x.y.parquet", ".parquet", "x.y")],
)  # fmt: skip
def test_names_say_what_kind_of_file_it_is(name: str, suffix: str, bare: str) -> None:
    assert (format_suffix(name), bare_name(name)) == (suffix, bare)


def test_there_are_many_only_where_there_may_be(tmp_path: Path) -> None:
    file = place(tmp_path / "a.jsonl")
    assert isinstance(find(str(tmp_path)), Many)
    assert not isinstance(find(str(file)), Many)
