"""Disks that are full, read-only, too small or taken away, and devices that fail: nothing is lost in silence."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture import storing
from tickstream.capture.compression import CODECS
from tickstream.capture.rotation import Rotation
from tickstream.capture.store import Store
from tickstream.clock import SystemClock
from tickstream.errors import ExitCode, OutputError
from tickstream.timestamps import Timestamp

ROOT = sys.platform == "linux" and os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="mounts a small disk, which only root can")


class HurriedClock(SystemClock):
    """Waits for 5 s are over after a twentieth of one."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(min(seconds, 0.05))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def opened(base: Path, form: str = "jsonl", compression: str = "none", **more: object) -> Store:
    store = Store(storing.options(base, form, compression, **more), HurriedClock())
    store.open()
    return store


def taken_in(store: Store) -> None:
    storing.wait_until(lambda: not store.status.waiting_bytes or store._error, "the writer takes it")


def codes(store: Store) -> list[str]:
    return [notice.code for notice in store.take_notices()]


# --- full ------------------------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_full_disk_is_waited_for_and_nothing_is_lost(compression: str, small_disk: Path) -> None:
    ballast = small_disk / "somebody-elses-file"
    ballast.write_bytes(os.urandom(244 << 10))
    store = opened(small_disk, "jsonl", compression, fsync_interval_s=0.02)
    storing.store_bars(store, range(300), "jsonl", compression)
    storing.wait_until(lambda: store.status.paused, "the writer pauses")
    assert "the disk is full" in store.status.paused
    for part in small_disk.rglob("*.part"):  # but for the moment of another attempt
        storing.wait_until(
            lambda part=part: CODECS[compression].whole(part) == part.stat().st_size,
            "no part of a record, or of a member, is left standing",
        )
    ballast.unlink()
    storing.wait_until(lambda: not store.status.paused and not store.status.waiting_bytes, "it goes on")
    store.finish(None)
    storing.assert_holds(small_disk, range(300))
    assert {"disk_full", "disk_writable"} <= set(codes(store))
    assert {"disk_full", "disk_writable"} <= {entry["code"] for entry in storing.of_type(small_disk, "notice")}


@needs_root
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_with_exit_a_full_disk_ends_the_run_and_what_was_written_is_whole(compression: str, small_disk: Path) -> None:
    ballast = small_disk / "somebody-elses-file"
    ballast.write_bytes(os.urandom(236 << 10))
    store = opened(small_disk, "jsonl", compression, on_disk_full="exit", fsync_interval_s=0.02)
    written = 0
    with pytest.raises(OutputError, match="the disk is full") as caught:  # noqa: PT012 - which write it is, is not known
        while True:
            storing.store_bars(store, range(written, written + 1), "jsonl", compression)
            written += 1
            if written % 50 == 0:
                taken_in(store)
    assert caught.value.exit_code is ExitCode.OUTPUT
    with pytest.raises(OutputError):
        store.finish(None)
    ballast.unlink()
    storing.run_in(small_disk, range(0), "jsonl", compression)  # lists what could not be listed any more
    found = storing.assert_sound(small_disk)
    for symbol in storing.SYMBOLS:
        minutes = [minute for one, minute in found if one == symbol]
        assert minutes == list(range(len(minutes)))
    assert 0 < len(found) < 2 * written + 2
    assert 2 * written <= len(found) + store.lost <= 2 * written + 2, "each one is in a file, or counted as lost"


@needs_root
def test_what_is_to_be_left_free_is_left_free(small_disk: Path) -> None:
    store = opened(small_disk, on_disk_full="exit", min_free_bytes=128 << 10)
    with pytest.raises(OutputError, match="--min-free-space"):  # noqa: PT012 - which write it is, is not known
        for minute in range(0, 100_000, 10):
            storing.store_bars(store, range(minute, minute + 10))
            taken_in(store)
    with pytest.raises(OutputError):
        store.finish(None)
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    assert 110 << 10 < free < 140 << 10, "but for a page or two: of the manifest, and of what was not written"


@needs_root
def test_a_run_that_is_ended_while_the_disk_is_full_says_what_is_lost(small_disk: Path) -> None:
    ballast = small_disk / "somebody-elses-file"
    ballast.write_bytes(os.urandom(244 << 10))
    store = opened(small_disk)
    storing.store_bars(store, range(300))
    storing.wait_until(lambda: store.status.paused, "the writer pauses")
    with pytest.raises(OutputError, match="the disk is full"):
        store.finish(None)
    ballast.unlink()
    assert store.lost > 0
    storing.run_in(small_disk, range(0))
    assert len(storing.assert_sound(small_disk)) + store.lost == 600


def test_a_file_that_may_not_grow_any_more_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what is imported meanwhile would leave cut files
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = opened(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))  # as `ulimit -f` does
    try:
        for minute in range(0, 300, 20):
            storing.store_bars(store, range(minute, minute + 20))
            storing.wait_until(lambda: not store.status.waiting_bytes, "the writer takes it")
        store.settle()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        store.finish(None)
    storing.assert_holds(tmp_path, range(300))
    sizes = [path.stat().st_size for path in storing.data_files(tmp_path)]
    assert len(sizes) >= 6
    assert max(sizes) <= 16_384


# --- devices that fail -----------------------------------------------------------------------------------------------


class FailingSync:
    """`os.fsync` of files whose name has `.part` in it fails, when asked to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = errno.EIO) -> None:
        self.failures = 0
        self.failed = 0
        self._number = number
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, fd: int) -> None:
        if self.failures and Path(f"/proc/self/fd/{fd}").readlink().suffix == ".part":
            self.failures -= 1
            self.failed += 1
            raise OSError(self._number, os.strerror(self._number))
        self._sync(fd)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_after_a_failed_sync_what_is_in_doubt_is_written_again_elsewhere(
    number: int, compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = FailingSync(monkeypatch, number)
    store = opened(tmp_path, "jsonl", compression, fsync_interval_s=0.01)
    storing.store_bars(store, range(50), "jsonl", compression)
    storing.wait_until(lambda: not store.status.waiting_bytes and not store._writer.parts.held, "all is synced")
    sync.failures = 1
    storing.store_bars(store, range(50, 100), "jsonl", compression)
    storing.wait_until(lambda: sync.failed == 1, "a sync fails")
    storing.store_bars(store, range(100, 120), "jsonl", compression)
    store.finish(None)
    storing.assert_holds(tmp_path, range(120))
    assert len(storing.data_files(tmp_path)) == 3, "what was good before, what was in doubt, and the other symbol"
    assert "sync_failed" in codes(store)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_device_that_goes_on_failing_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = FailingSync(monkeypatch)
    store = opened(tmp_path, fsync_interval_s=0.01)
    sync.failures = 1000
    storing.store_bars(store, range(10))
    with pytest.raises(OutputError, match="the device failed"):
        store.finish(None)


# --- folders and files that are taken away ---------------------------------------------------------------------------


def test_after_a_logrotate_writing_goes_on_in_a_new_file(tmp_path: Path) -> None:
    store = opened(tmp_path, fsync_interval_s=0.01)
    storing.store_bars(store, range(30))
    storing.wait_until(lambda: len(list(tmp_path.rglob("*.part"))) == 2, "the parts are there")
    for part in list(tmp_path.rglob("*.part")):
        part.rename(part.with_name("rotated.1"))
    storing.store_bars(store, range(30, 45))
    storing.wait_until(lambda: len(store._notices) == 2, "both are missed")
    storing.store_bars(store, range(45, 60))
    store.finish(None)
    together = [
        minute
        for name in ("rotated.1", "2026-06-24.jsonl")
        for symbol, minute in storing.records(tmp_path / "tickatlas/bars/EURUSD" / name)
    ]
    assert together == list(range(60)), "the moved file has what was written to it, the new one the rest"
    assert codes(store).count("file_vanished") == 2


def test_a_folder_that_was_deleted_is_made_again_and_what_was_not_safe_is_written(tmp_path: Path) -> None:
    base = tmp_path / "capture"
    store = opened(base, fsync_interval_s=0.01)
    storing.store_bars(store, range(30))
    storing.wait_until(lambda: len(list(base.rglob("*.part"))) == 2, "the parts are there")
    shutil.rmtree(base)
    storing.store_bars(store, range(30, 60))
    storing.wait_until(lambda: len(list(base.rglob("*.part"))) == 2, "new parts are there")
    store.finish(None)
    found = storing.assert_sound(base)
    for symbol in storing.SYMBOLS:
        minutes = [minute for one, minute in found if one == symbol]
        assert minutes == list(range(60 - len(minutes), 60))
        assert len(minutes) >= 30
    assert {"file_vanished", "manifest_vanished"} <= set(codes(store))
    assert storing.entries(base)[0]["type"] == "run", "the new manifest says whose it is"


def test_a_part_that_was_replaced_by_another_file_is_left_to_its_owner(tmp_path: Path) -> None:
    store = opened(tmp_path, fsync_interval_s=0.01)
    storing.store_bars(store, range(30))
    storing.wait_until(lambda: len(list(tmp_path.rglob("*.part"))) == 2, "the parts are there")
    part = next(tmp_path.rglob("EURUSD/*.part"))
    foreign = part.with_name("foreign")
    foreign.write_bytes(b"not ours\n")
    foreign.replace(part)
    storing.store_bars(store, range(30, 60))
    store.finish(None)
    assert part.read_bytes() == b"not ours\n"
    assert "file_vanished" in codes(store)


def test_a_folder_without_the_right_to_write_is_an_error_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    if ROOT:
        os.seteuid(65_534)  # nobody
    try:
        with pytest.raises(OutputError, match="permission denied") as caught:
            opened(tmp_path / "capture")
    finally:
        if ROOT:
            os.seteuid(0)
    assert caught.value.exit_code is ExitCode.OUTPUT
    assert "right to write" in caught.value.hint


@needs_root
def test_a_read_only_file_system_is_an_error_at_once(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OutputError, match="read-only"):
        opened(small_disk / "capture")


def test_a_folder_that_is_a_file_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a file, not a folder"):
        opened(tmp_path / "file" / "capture")


def test_a_link_that_leads_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    base, outside = tmp_path / "capture", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "tickatlas").symlink_to(outside)
    store = opened(base)
    storing.store_bars(store, range(1))
    with pytest.raises(OutputError, match="leads out"):
        store.finish(None)
    assert not list(outside.iterdir())
    assert store.lost == 2


def test_more_files_than_may_be_open_are_written_in_turn(tmp_path: Path) -> None:
    from tickstream.capture.manifest import Tally
    from tickstream.capture.template import FileKey

    store = opened(tmp_path, fsync_interval_s=0.01, rotation=Rotation())
    count = 300
    for minute in range(2):
        for number in range(count):
            one = [storing.bar(f"S{number}", minute)]
            store.write(FileKey(f"S{number}.jsonl", None, f"S{number}"), storing.encoded(one), Tally.of(one))
    storing.wait_until(lambda: not store.status.waiting_bytes, "all is written")
    assert len(store._writer.parts._open) <= 128
    store.finish(None)
    assert len(storing.data_files(tmp_path)) == count
    assert len(storing.assert_sound(tmp_path)) == 2 * count
    assert isinstance(storing.bar("S", 0).ts_recv, Timestamp)
