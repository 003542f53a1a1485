from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tickstream.capture.new_file import NewFile
from tickstream.errors import InputError, OutputError


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with NewFile(tmp_path / "new" / "x.csv") as file:
        file.write(b"half")
        file.flush()
        assert not (tmp_path / "new" / "x.csv").exists()
    assert (tmp_path / "new" / "x.csv").read_bytes() == b"half"
    assert entries(tmp_path / "new") == ["x.csv"]


def test_after_an_error_there_is_no_file(tmp_path: Path) -> None:
    def failing() -> None:
        with NewFile(tmp_path / "x") as file:
            file.write(b"half")
            raise InputError("no more")

    with pytest.raises(InputError, match="no more"):
        failing()
    with pytest.raises(KeyboardInterrupt), NewFile(tmp_path / "x"):
        raise KeyboardInterrupt
    assert entries(tmp_path) == []


def test_what_a_killed_process_has_left_is_swept_and_what_another_is_writing_is_not(tmp_path: Path) -> None:
    left, young, others = (tmp_path / name for name in (".x.11.tmp", ".x.12.tmp", ".xy.13.tmp"))
    with NewFile(tmp_path / "x") as held:
        for path in (left, young, others):
            path.write_bytes(b"half")
        written = tmp_path / f".x.{os.getpid()}.tmp"
        at_work = written.rename(tmp_path / ".x.14.tmp")
        for path in (left, others, at_work):
            os.utime(path, (1.0, 1.0))
        with NewFile(tmp_path / "x") as file:
            file.write(b"whole")
        assert entries(tmp_path) == [".x.12.tmp", ".x.14.tmp", ".xy.13.tmp", "x"]
        at_work.rename(written)
        (tmp_path / "x").unlink()
        held.write(b"too")
    assert (tmp_path / "x").read_bytes() == b"too"


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is there already") as error, NewFile(tmp_path / "x"):
        pytest.fail("it must not begin")
    assert "--force" in error.value.hint
    with NewFile(tmp_path / "x", replace=True) as file:
        file.write(b"yours")
    assert (tmp_path / "x").read_bytes() == b"yours"


def test_a_file_that_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    def meanwhile() -> None:
        with NewFile(tmp_path / "x") as file:
            file.write(b"yours")
            (tmp_path / "x").write_bytes(b"mine")

    with pytest.raises(OutputError, match="is there already"):
        meanwhile()
    assert (tmp_path / "x").read_bytes() == b"mine"
    assert entries(tmp_path) == ["x"]


def test_what_a_process_of_our_number_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".x.{os.getpid()}.tmp").write_bytes(b"left")
    with NewFile(tmp_path / "x") as file:
        file.write(b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert entries(tmp_path) == ["x"]


def test_what_cannot_be_written_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a part of the path is a file"), NewFile(tmp_path / "file" / "x"):
        pytest.fail("it must not begin")
    with pytest.raises(OutputError, match="the disk is full") as error, NewFile(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(error.value)
    assert entries(tmp_path) == ["file"]


def test_an_error_of_the_last_moment_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("tickstream.capture.disk.sync_file", failing)
    with pytest.raises(OutputError, match="the device failed"), NewFile(tmp_path / "x") as file:
        file.write(b"new")
    assert entries(tmp_path) == []
