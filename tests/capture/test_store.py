"""The store: bounded, off the path of the data, and complete when it has been finished."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from tests.capture import storing
from tickstream.capture import manifest
from tickstream.capture.manifest import Tally
from tickstream.capture.rotation import Rotation
from tickstream.capture.store import Store
from tickstream.capture.template import FileKey
from tickstream.clock import FakeClock, SystemClock
from tickstream.errors import ConfigError, OutputError, TargetLocked
from tickstream.sinks.output import Abandoned
from tickstream.timestamps import NS_PER_SECOND

DAY_NS = 86_400 * NS_PER_SECOND


def opened(base: Path, **more: object) -> Store:
    store = Store(storing.options(base, **more), SystemClock())
    store.open()
    return store


class Gate:
    """Writes of parts wait until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = threading.Event()
        writev = os.writev

        def wait(fd: int, pieces: list[bytes]) -> int:
            assert self.passed.wait(storing.DEADLINE_S)
            return writev(fd, pieces)

        def write(fd: int, data: bytes) -> int:
            return wait(fd, [data]) if len(data) > 1000 else writev(fd, [data])

        monkeypatch.setattr(os, "writev", wait)
        monkeypatch.setattr(os, "write", write)


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "raw"])
def test_what_is_stored_is_in_finished_files_that_the_manifest_lists(
    form: str, compression: str, tmp_path: Path
) -> None:
    storing.run_in(tmp_path, range(40), form, compression)
    storing.run_in(tmp_path, range(40, 80), form, compression)
    if form == "raw":
        storing.assert_sound(tmp_path)
        lines = [line for path in storing.data_files(tmp_path) for line in storing.decompressed(path).splitlines()]
        assert len(lines) == 160
        assert sum(entry["events"] for entry in storing.of_type(tmp_path, "file")) == 160
    else:
        storing.assert_holds(tmp_path, range(80))
    ends = {"none": "", "gzip": ".gz", "zstd": ".zst"}
    extension = {"raw": "jsonl"}.get(form, form) + ("" if form == "parquet" else ends[compression])
    names = {path.name for path in storing.data_files(tmp_path)}
    assert names == {f"2026-06-24.{extension}", f"2026-06-24-001.{extension}"}


def test_a_run_stands_in_the_manifest_from_its_start_to_its_end(tmp_path: Path) -> None:
    store = opened(tmp_path)
    storing.store_bars(store, range(3))
    store.note(b'{"type":"session","run":"x","state":"up"}\n')
    store.finish(storing.summary())
    kinds = [entry["type"] for entry in storing.entries(tmp_path)]
    assert kinds[0] == "run"
    assert kinds[-1] == "end"
    assert sorted(kinds[1:-1]) == ["file", "file", "part", "part", "session"]
    run = storing.entries(tmp_path)[0]
    assert {entry["run"] for entry in storing.entries(tmp_path) if entry["type"] != "session"} == {run["run"]}
    assert run["command"] == ["tickstream", "capture"]


def test_a_run_without_data_leaves_no_files(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.finish(storing.summary())
    assert storing.data_files(tmp_path) == []
    assert [entry["type"] for entry in storing.entries(tmp_path)] == ["run", "end"]


def test_finishing_twice_does_no_harm(tmp_path: Path) -> None:
    store = opened(tmp_path)
    storing.store_bars(store, range(3))
    store.settle()
    storing.assert_holds(tmp_path, range(3))
    store.finish(storing.summary())
    store.finish(storing.summary())
    assert len(storing.of_type(tmp_path, "end")) == 1


def test_status_says_how_much_there_is(tmp_path: Path) -> None:
    store = opened(tmp_path)
    storing.store_bars(store, range(10))
    storing.wait_until(lambda: store.status.open_files == 2 and not store.status.waiting_bytes, "it is written")
    store.settle()
    status = store.status
    assert (status.open_files, status.files, status.paused) == (0, 2, "")
    assert status.bytes == sum(path.stat().st_size for path in storing.data_files(tmp_path))
    assert status.free_bytes is not None
    store.finish(None)


def test_files_can_be_finished_at_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    storing.store_bars(store, range(10))
    storing.wait_until(lambda: not store.status.waiting_bytes, "it is written")
    store.rotate()
    storing.wait_until(lambda: store.status.files == 2, "they are finished")
    storing.store_bars(store, range(10, 20))
    store.finish(None)
    storing.assert_holds(tmp_path, range(20))
    assert len(storing.data_files(tmp_path)) == 4


def test_data_is_on_the_disk_soon_without_being_asked_for(tmp_path: Path) -> None:
    store = opened(tmp_path)
    storing.store_bars(store, range(1))
    storing.wait_until(lambda: any(path.stat().st_size for path in tmp_path.rglob("*.part")), "it is written")
    store.finish(None)


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_a_full_buffer_makes_the_writer_wait_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    asked = 0

    def abandon() -> bool:
        nonlocal asked
        asked += 1
        assert store.blocked_s >= 0
        if asked == 2:
            gate.passed.set()
        return False

    store = opened(tmp_path, buffer_bytes=20_000, abandon=abandon)
    assert store.blocked_s == 0
    storing.store_bars(store, range(500))
    assert asked >= 2
    assert store.blocked_s == 0
    store.finish(None)
    storing.assert_holds(tmp_path, range(500))


def test_what_waits_for_a_full_buffer_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    store = opened(tmp_path, buffer_bytes=20_000, abandon=lambda: True)
    with pytest.raises(Abandoned) as caught:
        storing.store_bars(store, range(500))
    assert caught.value.left == 1
    assert store.blocked_s == 0
    gate.passed.set()
    store.finish(None)
    found = storing.assert_sound(tmp_path)
    assert found, "what was taken before is there"


def test_a_batch_larger_than_the_buffer_is_taken_alone(tmp_path: Path) -> None:
    store = opened(tmp_path, buffer_bytes=1000)
    bars = [storing.bar("EURUSD", minute) for minute in range(100)]
    for _ in range(2):
        store.write(storing.key("EURUSD", 0), storing.encoded(bars), Tally.of(bars))
    store.finish(None)
    assert len(storing.assert_sound(tmp_path)) == 200


def test_files_never_pass_the_size_asked_for(tmp_path: Path) -> None:
    store = opened(tmp_path, rotation=Rotation(size=2048))
    storing.store_bars(store, range(100))
    store.finish(None)
    storing.assert_holds(tmp_path, range(100))
    sizes = [path.stat().st_size for path in storing.data_files(tmp_path)]
    assert max(sizes) <= 2048
    assert len(sizes) > 18


# --- one at a time ---------------------------------------------------------------------------------------------------


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(TargetLocked, match=f"pid {os.getpid()}"):
        opened(tmp_path)
    first.finish(None)
    opened(tmp_path).finish(None)


def test_a_recovery_that_fails_lets_go_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_base: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(manifest, "read", fail)
    with pytest.raises(OutputError, match="cannot recover"):
        opened(tmp_path)

    def stop(_base: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "read", stop)
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path)
    monkeypatch.undo()
    opened(tmp_path).finish(None)


def test_a_compression_that_is_not_installed_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickstream.capture.compression import CODECS

    def missing(_self: object) -> None:
        raise ConfigError("zstd is not installed")

    monkeypatch.setattr(type(CODECS["zstd"]), "require", missing)
    with pytest.raises(ConfigError, match="zstd"):
        Store(storing.options(tmp_path / "x", "jsonl", "zstd"), SystemClock()).open()
    assert not (tmp_path / "x").exists()


# --- what goes wrong in the thread -----------------------------------------------------------------------------------


def test_a_bug_in_the_writer_reaches_the_thread_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)

    def bug(_work: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store._writer, "take", bug)
    storing.store_bars(store, range(1))
    storing.wait_until(lambda: store._error is not None, "it is noticed")
    with pytest.raises(ZeroDivisionError):
        store.check()
    with pytest.raises(ZeroDivisionError):
        storing.store_bars(store, range(1))
    with pytest.raises(ZeroDivisionError):
        store.finish(storing.summary())
    opened(tmp_path).finish(None)


def test_a_writer_that_dies_wakes_up_whoever_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path, buffer_bytes=2000)
    entered, go = threading.Event(), threading.Event()

    def die(_work: object) -> None:
        entered.set()
        assert go.wait(storing.DEADLINE_S)
        raise OutputError("gone")

    monkeypatch.setattr(store._writer, "take", die)
    threading.Thread(target=lambda: entered.wait(storing.DEADLINE_S) and go.set()).start()
    with pytest.raises(OutputError, match="gone"):
        storing.store_bars(store, range(1000))
    with pytest.raises(OutputError, match="gone"):
        store.finish(None)
    assert store.lost > 0


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_day_that_is_over_is_finished_a_minute_later(tmp_path: Path) -> None:
    clock = FakeClock()
    store = Store(storing.options(tmp_path), clock)
    store.open()
    storing.store_bars(store, range(5))
    storing.wait_until(lambda: not store.status.waiting_bytes, "it is written")
    until = storing.key("EURUSD", 0).until
    assert until is not None
    clock.advance((until - clock.now_ns()) / NS_PER_SECOND + 59)
    store.tick()
    store.tick()
    assert store.status.files == 0
    clock.advance(2)
    store.tick()
    storing.wait_until(lambda: store.status.files == 2, "the day is finished")
    storing.store_bars(store, range(5, 6))
    store.finish(None)
    storing.assert_holds(tmp_path, range(6))
    assert len(storing.data_files(tmp_path)) == 4, "what came late has a file of its own"


def test_an_interval_ends_files_by_the_clock(tmp_path: Path) -> None:
    clock = FakeClock()
    store = Store(storing.options(tmp_path, rotation=Rotation(interval_ns=3600 * NS_PER_SECOND)), clock)
    store.open()
    storing.store_bars(store, range(5))
    storing.wait_until(lambda: not store.status.waiting_bytes, "it is written")
    clock.advance(3600)
    store.tick()
    storing.wait_until(lambda: store.status.files == 2, "the hour is finished")
    store.finish(None)


def test_old_files_go_while_a_run_goes_on(tmp_path: Path) -> None:
    clock = FakeClock()
    store = Store(storing.options(tmp_path, keep_s=86_400.0), clock)
    store.open()
    storing.store_bars(store, range(5))
    storing.wait_until(lambda: not store.status.waiting_bytes, "it is written")
    store.rotate()
    storing.wait_until(lambda: store.status.files == 2, "they are finished")
    clock.advance(86_400 + 600)
    store.tick()
    storing.wait_until(lambda: storing.data_files(tmp_path) == [], "they are deleted")
    store.finish(None)
    assert len(storing.of_type(tmp_path, "deleted")) == 2


def test_notices_are_given_once_and_stand_in_the_manifest(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(2))
    part = storing.data_files(tmp_path)[0]
    store = opened(tmp_path)
    store._report("code", "words")
    assert [notice.code for notice in store.take_notices()] == ["code"]
    assert store.take_notices() == []
    for _ in range(1100):
        store._report("code", "again")
    assert len(store.take_notices()) == 1000
    store.finish(None)
    assert len(storing.of_type(tmp_path, "notice")) == 1101
    assert part.exists()


def test_keys_of_any_kind_of_names_work(tmp_path: Path) -> None:
    store = opened(tmp_path)
    one = [storing.bar("EURUSD", 0)]
    store.write(FileKey("manifest-like.jsonl", None), storing.encoded(one), Tally.of(one))
    store.finish(None)
    assert [path.name for path in storing.data_files(tmp_path)] == ["manifest-like.jsonl"]
