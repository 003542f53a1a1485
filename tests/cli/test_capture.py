"""`capture` before it connects: what the command line asks for, and what is refused. The rest is in end_to_end/."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.command import run
from tickstream.capture.compression import CODECS
from tickstream.capture.zstd_frames import Zstd
from tickstream.errors import ExitCode

NOWHERE = "ws://127.0.0.1:1/ws/v1/quotes"
"""Nothing listens there: a run that gets as far as dialling ends with NETWORK."""


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-o", "xml"], "--output: 'xml' is none of jsonl, csv, raw, parquet"),
        (["-o", "jsonnl"], "Did you mean jsonl"),
        (["--compress", "bzip2"], "--compress: 'bzip2' is none of none, gzip, zstd"),
        (["--on-disk-full", "pray"], "--on-disk-full: 'pray' is none of wait, exit"),
        (["-o", "parquet", "--compress", "gzip"], "compressed inside"),
        (["--rotate", "often"], "--rotate: 'often'"),
        (["--min-free-space", "some"], "--min-free-space: 'some' is not a size"),
        (["--fsync-interval", "now"], "--fsync-interval: 'now' is not a duration"),
        (["--keep", "0d"], "--keep: nothing would be kept"),
        (["--keep", "a while"], "--keep: 'a while' is not a duration"),
        (["--to", "{nothing}/x"], "no placeholder 'nothing'"),
        (["--to", "out.jsonl"], "looks like a file"),
        (["-o", "raw", "--to", "{symbol}"], "cannot fill {symbol}"),
        (["--log-format", "xml"], "neither text nor json"),
        (["--channel", "trads"], "has no channel 'trads'"),
        (["--until", "99:99"], "--until"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(tmp_path: Path, args: list[str], words: str) -> None:
    to = [] if "--to" in args else ["--to", str(tmp_path / "data")]
    assert words in run("capture", "EURUSD", "--url", NOWHERE, *to, *args).failed(ExitCode.USAGE)
    assert not (tmp_path / "data").exists()


def test_without_a_key_it_says_how_to_set_one_and_makes_no_folder(tmp_path: Path) -> None:
    said = run("capture", "EURUSD", "--to", str(tmp_path / "data")).failed(ExitCode.CONFIG)
    assert "TICKATLAS_API_KEY" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("args", "module", "extra"),
    [(["-o", "parquet"], "pyarrow", "parquet"), (["--compress", "zstd"], "backports.zstd", "zstd")],
)
def test_what_is_not_installed_is_one_line_with_the_remedy_before_anything_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], module: str, extra: str
) -> None:
    if extra == "zstd" and sys.version_info >= (3, 14):
        pytest.skip("it is built in")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, module.partition(".")[0], None)  # which knows a module once it was imported
    monkeypatch.setitem(CODECS, "zstd", Zstd())  # so does the one that has been used
    said = run("capture", "EURUSD", "--url", NOWHERE, "--to", str(tmp_path / "data"), *args).failed(ExitCode.CONFIG)
    assert f"tickstream[{extra}]" in said
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = run("capture", "EURUSD", "--url", NOWHERE, "--to", str(tmp_path / "file" / "data")).failed(ExitCode.OUTPUT)
    assert "a part of the path is a file" in said


@pytest.mark.parametrize("option", ["--metrics-file", "--quarantine"])
def test_a_file_beside_the_data_that_cannot_be_made_is_one_too(tmp_path: Path, option: str) -> None:
    args = ("--url", NOWHERE, "--to", str(tmp_path / "data"), option, str(tmp_path / "no" / "file"))
    assert "Cannot write the" in run("capture", "EURUSD", *args).failed(ExitCode.OUTPUT)
    assert (tmp_path / "data" / ".tickstream.lock").read_bytes() == b"", "the folder is free again"
