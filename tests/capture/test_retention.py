"""`--keep`: old files go, oldest first; nothing that is new, foreign or changed ever does."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture import storing
from tickstream.capture import failpoints
from tickstream.capture.manifest import FileDeleted, FileFinished
from tickstream.capture.recovery import History
from tickstream.capture.retention import Retention, expired
from tickstream.clock import FakeClock
from tickstream.timestamps import NS_PER_SECOND, Timestamp

DAY_S = 86_400
NOW = FakeClock().now_ns()


def finished(file: str, age_days: float | None, made_days: float = 0.0, size: int = 5) -> FileFinished:
    last = None if age_days is None else Timestamp(NOW - round(age_days * DAY_S * NS_PER_SECOND))
    made = Timestamp(NOW - round(made_days * DAY_S * NS_PER_SECOND))
    return FileFinished(
        run="R", file=file, format="jsonl", compression="none", events=1, first=last, last=last, symbols={}, gaps=0,
        missed=0, bytes=size, sha256="", finished=made,
    )  # fmt: skip


class Rig:
    """A folder, and what is listed and said."""

    def __init__(self, base: Path, keep_days: float = 30) -> None:
        self.base = base
        self.listed: list[FileDeleted] = []
        self.said: list[str] = []
        self.retention = Retention(
            base, "R", keep_days * DAY_S, FakeClock(), self.listed.append, lambda _code, words: self.said.append(words)
        )

    def has(self, file: str, age_days: float, data: bytes = b"data\n") -> Path:
        path = self.base / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.retention.keep([finished(file, age_days)])
        return path


ages = st.lists(st.tuples(st.none() | st.floats(-100, 100), st.floats(-1, 100)), max_size=20)


@given(ages, st.floats(0, 90))
def test_exactly_the_old_ones_have_expired_and_the_oldest_comes_first(
    made: list[tuple[float | None, float]], keep: float
) -> None:
    files = [finished(str(number), age, since) for number, (age, since) in enumerate(made)]
    gone = expired(files, NOW, keep * DAY_S)
    limit = NOW - round(keep * DAY_S * NS_PER_SECOND)

    def moment(file: FileFinished) -> int:
        return file.finished if file.last is None else min(file.last, file.finished)

    assert {file.file for file in gone} == {file.file for file in files if moment(file) < limit}
    assert [moment(file) for file in gone] == sorted(moment(file) for file in gone)


def test_old_files_are_deleted_and_listed_with_their_empty_folders(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for day, age in (("05/01", 40.0), ("05/02", 39.0), ("06/20", 4.0)):
        rig.has(f"EURUSD/2026/{day}.jsonl", age)
    rig.retention.delete()
    assert [entry.file for entry in rig.listed] == ["EURUSD/2026/05/01.jsonl", "EURUSD/2026/05/02.jsonl"]
    assert all(entry.reason == "--keep" for entry in rig.listed)
    assert [path.relative_to(tmp_path).as_posix() for path in storing.data_files(tmp_path)] == [
        "EURUSD/2026/06/20.jsonl"
    ]
    assert not (tmp_path / "EURUSD/2026/05").exists()
    rig.retention.delete()
    assert len(rig.listed) == 2
    assert rig.said == []


def test_a_file_that_is_not_as_it_was_finished_is_left_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    edited = rig.has("edited.jsonl", 40, b"somebody has added a line\n")
    link = rig.has("link.jsonl", 40)
    elsewhere = tmp_path / "elsewhere"
    link.rename(elsewhere)
    link.symlink_to(elsewhere)
    rig.retention.delete()
    assert edited.exists()
    assert link.is_symlink()
    assert rig.listed == []
    assert len(rig.said) == 2
    rig.retention.delete()
    assert len(rig.said) == 2, "it is said once"


def test_a_file_outside_is_never_touched(tmp_path: Path) -> None:
    outside = tmp_path / "precious"
    outside.write_bytes(b"data\n")
    (tmp_path / "base").mkdir()
    rig = Rig(tmp_path / "base")
    rig.retention.keep([finished("../precious", 40)])
    rig.retention.delete()
    assert outside.exists()


def test_a_file_that_somebody_else_has_deleted_is_listed_as_deleted(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.has("x.jsonl", 40).unlink()
    rig.retention.delete()
    assert [entry.file for entry in rig.listed] == ["x.jsonl"]


def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    rig.has("x.jsonl", 40)

    def refuse(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "unlink", refuse)
    rig.retention.delete()
    assert rig.listed == []
    assert "Permission denied" in rig.said[0]


def test_a_kill_between_deleting_and_listing_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    storing.run_in(tmp_path, range(3))
    files = list(History.of(tmp_path).files.values())
    rig = Rig(tmp_path, keep_days=-1)
    rig.retention.keep(files)
    monkeypatch.setattr(failpoints, "_left", {"after_delete_before_manifest": 1})
    monkeypatch.setattr(failpoints, "_die", die)
    with pytest.raises(Killed):
        rig.retention.delete()
    assert len(storing.data_files(tmp_path)) == 1
    again = Rig(tmp_path, keep_days=-1)
    again.retention.keep(History.of(tmp_path).files.values())
    again.retention.delete()
    assert len(again.listed) == 2
    assert storing.data_files(tmp_path) == []


def test_a_run_keeps_what_other_feeds_captured_into_its_folder(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(3))
    other = storing.options(tmp_path, keep_s=0.0)
    run = other.run
    import msgspec

    from tickstream.capture.store import Store
    from tickstream.clock import SystemClock

    store = Store(msgspec.structs.replace(other, run=msgspec.structs.replace(run, provider="another")), SystemClock())
    store.open()
    store.tick()
    store.finish(None)
    assert len(storing.data_files(tmp_path)) == 2
