"""Parts in trouble: whatever becomes of one, what was in it is in exactly one place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.capture import storing
from tickstream.capture import disk, finishing
from tickstream.capture.buffer import Work
from tickstream.capture.codec import UNSYNCED_MOST
from tickstream.capture.compression import CODECS
from tickstream.capture.folder import Folder
from tickstream.capture.manifest import PartOpened, Tally
from tickstream.capture.part_file import PartFile, Unit
from tickstream.capture.room import Room
from tickstream.capture.rotation import Rotation
from tickstream.capture.template import FileKey
from tickstream.capture.writer import Writer
from tickstream.clock import FakeClock
from tickstream.errors import OutputError
from tickstream.timestamps import Timestamp

KEY = FileKey("x.jsonl", None, "EURUSD")


class Rig:
    """A writer without a thread."""

    def __init__(self, base: Path, compression: str = "none", **more: Rotation) -> None:
        import threading

        self.base = base
        self.clock = FakeClock()
        self.said: list[str] = []
        self.compression = compression
        self.folder = Folder(base, storing.run_start(base, "jsonl", compression), self.clock, self._say)
        self.folder.open()
        self.room = Room(base, self.clock, threading.Event(), self._say, "wait")
        self.writer = Writer(
            self.folder, self.room, self.clock, self._say, more.get("rotation", Rotation()), fsync_interval_s=0.5
        )

    @property
    def key(self) -> FileKey:
        return KEY._replace(file="x.jsonl" + CODECS[self.compression].suffix)

    @property
    def part(self) -> PartFile:
        return self.writer.parts._parts[self.key.file]

    def _say(self, code: str, _message: str) -> None:
        self.said.append(code)

    def take(self, *minutes: int) -> None:
        units = []
        for minute in minutes:
            bars = [storing.bar("EURUSD", minute)]
            units.append(Unit(storing.encoded(bars), Tally.of(bars)))
        self.writer.take(Work({self.key: units}, [], sum(len(unit.data) for unit in units)))

    def close(self) -> list[int]:
        """All that is in finished files, in their order."""
        self.writer.close()
        self.folder.close()
        return [minute for _, minute in storing.assert_sound(self.base)]


def fail_once(number: int, then: Callable[..., object]) -> Callable[..., object]:
    """A call of the system that fails the first time."""
    failed = False

    def call(*args: object) -> object:
        nonlocal failed
        if not failed:
            failed = True
            raise OSError(number, os.strerror(number))
        return then(*args)

    return call


def test_a_folder_that_vanishes_before_the_first_sync_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.take(1)

    def taken_away(_folder: Path) -> None:
        monkeypatch.undo()
        (tmp_path / "x.jsonl.part").unlink()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(disk, "sync_folder", taken_away)
    rig.writer.parts.sync()
    assert rig.said == ["file_vanished"]
    rig.take(2)
    assert rig.close() == [1, 2]


def test_a_folder_that_vanishes_before_the_file_is_made_is_made_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.writer.parts.begin([FileKey("folder/x.jsonl", None)])
    (tmp_path / "folder").rmdir()
    bars = [storing.bar("EURUSD", 1)]
    rig.writer.take(Work({FileKey("folder/x.jsonl", None): [Unit(storing.encoded(bars), Tally.of(bars))]}, [], 9))
    assert rig.close() == [1]


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder"):
        rig.writer.parts.begin([FileKey("file/x.jsonl", None)])
    (tmp_path / "file").unlink()
    rig.close()


def test_a_file_that_may_not_grow_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    rig.take(1, 2)
    with monkeypatch.context() as limited:
        limited.setattr(os, "writev", fail_once(errno.EFBIG, os.writev))
        rig.take(3, 4)
    assert rig.close() == [1, 2, 3, 4]
    assert len(storing.data_files(tmp_path)) == 2


def test_a_member_that_its_file_cannot_take_goes_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, "gzip")
    rig.take(1, 2)
    with monkeypatch.context() as limited:
        limited.setattr(os, "write", fail_once(errno.EFBIG, os.write))
        rig.take(3, 4)
    assert rig.close() == [1, 2, 3, 4]
    assert len(storing.data_files(tmp_path)) == 2


def test_a_file_that_may_not_grow_and_cannot_be_synced_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.take(1, 2)
    with monkeypatch.context() as failing:
        failing.setattr(os, "writev", fail_once(errno.EFBIG, os.writev))
        failing.setattr(PartFile, "sync", fail_once(errno.EIO, PartFile.sync))
        rig.take(3, 4)
    assert "sync_failed" in rig.said
    assert sorted(rig.close()) == [1, 2, 3, 4]


def test_a_record_that_no_file_may_hold_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)

    def too_large(_fd: int, _data: object) -> int:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    with monkeypatch.context() as limited:
        limited.setattr(os, "writev", too_large)
        with pytest.raises(OutputError, match="largest size"):
            rig.take(1, 2)
    rig.writer.let_go()
    rig.folder.close()


def test_a_moved_file_that_cannot_be_synced_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    rig.take(1)
    (tmp_path / "x.jsonl.part").rename(tmp_path / "moved")
    with monkeypatch.context() as failing:
        failing.setattr(PartFile, "sync", fail_once(errno.EIO, PartFile.sync))
        with pytest.raises(OutputError, match="cannot sync"):
            rig.writer.parts.sync()
    rig.folder.close()


def test_what_cannot_even_be_written_again_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    rig.take(1)
    with monkeypatch.context() as failing:
        failing.setattr(disk, "sync_file", fail_once(errno.EIO, disk.sync_file))
        failing.setattr(PartFile, "move_unsafe_to", fail_once(errno.EIO, PartFile.move_unsafe_to))
        with pytest.raises(OutputError, match="the device failed"):
            rig.writer.parts.sync()
    rig.folder.close()


def test_a_part_at_rest_is_opened_again_and_a_changed_one_is_not(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.take(1)
    rig.writer.parts.sync()
    rig.part.rest()
    rig.take(2)
    rig.writer.parts.sync()
    rig.part.rest()
    with (tmp_path / "x.jsonl.part").open("ab") as file:
        file.write(b"a line of somebody else\n")
    rig.take(3)
    assert rig.said == ["file_vanished"]
    rig.writer.close()
    rig.folder.close()
    assert [path.name for path in storing.data_files(tmp_path)] == ["x.jsonl", "x.jsonl.part"]
    assert storing.records(tmp_path / "x.jsonl") == [("EURUSD", 3)]
    storing.run_in(tmp_path, range(0))
    assert (tmp_path / "x-001.jsonl").read_bytes().count(b"\n") == 3, "the next run keeps what is in the changed one"


def test_a_part_that_is_truncated_under_us_is_followed_by_another(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.take(1)
    rig.writer.parts.sync()
    os.truncate(tmp_path / "x.jsonl.part", 0)  # `copytruncate` of logrotate
    rig.take(2)
    rig.writer.parts.sync()
    rig.take(3)
    assert rig.said == ["file_vanished"]
    rig.writer.close()
    rig.folder.close()
    storing.run_in(tmp_path, range(0))
    assert [minute for _, minute in storing.assert_sound(tmp_path)] == [3, 2]


def test_a_leftover_that_vanishes_or_changes_is_noticed_when_it_is_written_to(tmp_path: Path) -> None:
    for change in (Path.unlink, lambda path: path.write_bytes(b"less\n")):
        rig = Rig(tmp_path)
        part = tmp_path / "y.jsonl.part"
        part.write_bytes(storing.encoded([storing.bar("EURUSD", 0)]))
        entry = PartOpened(run="R", ts=Timestamp(0), file="x.jsonl", part=part.name, format="jsonl",
                           compression="none", provider="tickatlas")  # fmt: skip
        rig.writer.adopt(PartFile(tmp_path, entry, CODECS["none"], prior=part.stat().st_size), go_on=True)
        change(part)
        rig.take(1)
        assert rig.said == ["file_vanished"]
        rig.writer.parts.complete_all()
        rig.folder.close()
        part.unlink(missing_ok=True)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_what_is_taken_is_in_the_file_at_once_compressed_or_not(tmp_path: Path, compression: str) -> None:
    rig = Rig(tmp_path, compression)
    rig.take(*range(3))
    assert rig.part.pending == []
    with rig.part.path.open("rb") as file:
        found = b"".join(CODECS[compression].blocks(file))
    assert found == storing.encoded([storing.bar("EURUSD", minute) for minute in range(3)])
    rig.writer.parts.let_go()
    rig.folder.close()


def test_much_that_is_not_safe_is_synced_without_waiting(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    line = storing.encoded([storing.bar("EURUSD", 0)])
    count = UNSYNCED_MOST // len(line) + 1
    rig.writer.take(Work({rig.key: [Unit(line * count, Tally())]}, [], 0))
    assert rig.part.held == 0
    assert rig.part.synced == count * len(line)
    rig.folder.close()


@pytest.mark.parametrize("size", [1024, 2000])
def test_batches_are_grouped_into_files_of_the_size_asked_for(size: int, tmp_path: Path) -> None:
    rig = Rig(tmp_path, rotation=Rotation(size=size))
    rig.take(*range(40))
    assert rig.close() == list(range(40))
    assert max(path.stat().st_size for path in storing.data_files(tmp_path)) <= size


# --- what is done in steps -------------------------------------------------------------------------------------------


def test_a_part_that_vanishes_before_it_is_finished_is_struck_off(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "gzip")
    rig.take(1)
    rig.writer.parts.complete_all()
    (tmp_path / "x.jsonl.gz.part").unlink()
    assert rig.close() == []
    assert rig.said == ["file_vanished"]
    assert [entry["reason"] for entry in storing.of_type(tmp_path, "deleted")] == ["deleted by somebody else"]


def test_long_work_waits_for_room_and_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, "gzip")
    for minute in range(10):
        rig.take(minute)
        rig.writer.parts.sync()
    monkeypatch.setattr(finishing, "_repack", _full_once(finishing._repack))
    assert rig.close() == list(range(10))
    assert rig.said == ["disk_full", "disk_writable"]


def _full_once(repack: Callable[..., object]) -> Callable[..., object]:
    return fail_once(errno.ENOSPC, repack)


def test_long_work_on_a_failing_device_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, "gzip")
    for minute in range(10):
        rig.take(minute)
        rig.writer.parts.sync()
    monkeypatch.setattr(finishing, "_repack", fail_once(errno.EIO, finishing._repack))
    with pytest.raises(OutputError, match="the device failed"):
        rig.writer.close()
    rig.writer.let_go()
    rig.folder.close()


def test_small_members_are_repacked_into_large_ones(tmp_path: Path) -> None:
    rig = Rig(tmp_path, "gzip")
    for minute in range(200):
        rig.take(minute)
        rig.writer.parts.sync()
    small = rig.part.synced
    assert rig.close() == list(range(200))
    (path,) = storing.data_files(tmp_path)
    assert path.stat().st_size < small / 4
    with path.open("rb") as file:
        assert len(list(CODECS["gzip"].members(file))) == 1


def test_repacking_goes_on_in_steps_and_cuts_no_line(tmp_path: Path) -> None:
    codec = CODECS["gzip"]
    noise = [os.urandom(30).hex().encode() + b"\n" for _ in range(80_000)]
    part = tmp_path / "x.gz.part"
    part.write_bytes(b"".join(codec.member(b"".join(noise[at : at + 200])) for at in range(0, len(noise), 200)))
    steps = sum(1 for _ in finishing._repack(part, tmp_path / "target", codec))
    assert steps >= 3
    with (tmp_path / "target").open("rb") as file:
        pieces = list(codec.members(file))
        lines = [b"".join(codec.blocks(_window(file, *piece))) for piece in pieces]
    assert len(pieces) == steps + 1
    assert all(piece.endswith(b"\n") for piece in lines)
    assert b"".join(lines) == b"".join(noise)


def _window(file: object, start: int, end: int) -> object:
    from tickstream.capture.codec import Window

    return Window(file, start, end)  # type: ignore[arg-type]  # an open file


def test_a_damaged_part_is_finished_as_it_is(tmp_path: Path) -> None:
    codec = CODECS["gzip"]
    members = [codec.member(storing.encoded([storing.bar("EURUSD", minute)])) for minute in range(3)]
    damaged = members[0] + members[1][:-6] + bytes(2) + members[1][-4:] + members[2]
    (tmp_path / "x.jsonl.gz.part").write_bytes(damaged)
    rig = Rig(tmp_path, "gzip")
    entry = PartOpened(
        run="R", ts=Timestamp(0), file="x.jsonl.gz", part="x.jsonl.gz.part", format="jsonl", compression="gzip"
    )
    rig.writer.adopt(PartFile(tmp_path, entry, codec, prior=len(damaged)), go_on=False)
    rig.writer.close()
    rig.folder.close()
    assert (tmp_path / "x.jsonl.gz").read_bytes() == damaged
    (listed,) = storing.of_type(tmp_path, "file")
    assert listed["events"] == 1, "what can be read"


def test_a_part_that_became_shorter_is_an_error_not_a_wrong_hash(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    (tmp_path / "x.jsonl.part").write_bytes(storing.encoded([storing.bar("EURUSD", 0)]))
    entry = PartOpened(run="R", ts=Timestamp(0), file="x.jsonl", part="x.jsonl.part", format="jsonl",
                       compression="none", provider="tickatlas")  # fmt: skip
    rig.writer.adopt(PartFile(tmp_path, entry, CODECS["none"], prior=10_000), go_on=False)
    with pytest.raises(OutputError, match="shorter than what was written"):
        rig.writer.close()
    rig.folder.close()


def test_lines_that_are_no_events_stay_lines(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    part = tmp_path / "x.parquet.jsonl.part"
    part.write_bytes(b"edited by hand\n")
    entry = PartOpened(
        run="R", ts=Timestamp(0), file="x.parquet", part=part.name, format="parquet", compression="none", provider="p"
    )
    rig.writer.adopt(PartFile(tmp_path, entry, CODECS["none"], prior=15), go_on=False)
    rig.writer.close()
    rig.folder.close()
    assert rig.said == ["not_finished"]
    assert part.read_bytes() == b"edited by hand\n"


# --- the folder itself -----------------------------------------------------------------------------------------------


def test_a_torn_manifest_is_repaired_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(b'{"type":"run"')
    rig = Rig(tmp_path)
    rig.folder.close()
    (entry,) = storing.of_type(tmp_path, "torn")
    assert entry["file"] == "manifest.jsonl"
    assert (tmp_path / entry["saved_to"]).read_bytes() == b'{"type":"run"'


def test_a_manifest_that_cannot_be_opened_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"manifest\.jsonl: there is a folder"):
        Rig(tmp_path)
    (tmp_path / "manifest.jsonl").rmdir()
    Rig(tmp_path).folder.close()


def test_a_manifest_that_cannot_be_written_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    with monkeypatch.context() as failing:
        failing.setattr(os, "write", fail_once(errno.EIO, os.write))
        with pytest.raises(OutputError, match=r"manifest\.jsonl: the device failed"):
            rig.writer.take(Work({}, [b"{}\n"], 0))
    rig.folder.close()


def test_a_folder_that_cannot_be_made_again_is_an_output_error(tmp_path: Path) -> None:
    base = tmp_path / "base"
    rig = Rig(base)
    (base / "manifest.jsonl").unlink()
    (base / "manifest.jsonl").mkdir()
    with pytest.raises(OutputError, match="there is a folder"):
        rig.writer.look()
    rig.folder.close()


def test_a_network_folder_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "network_file_system", lambda _folder: "nfs4")
    rig = Rig(tmp_path)
    rig.folder.close()
    assert rig.said == ["network_folder"]
    assert isinstance(rig.folder.run, msgspec.Struct)
