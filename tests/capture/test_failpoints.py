"""Every fail point in every format, without a process for each: the writer ends there as if it had been killed.

tests/capture/test_crashes.py does the same to real processes, with real signals.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.capture import storing
from tickstream.capture import failpoints
from tickstream.capture.failpoints import FAILPOINTS, reached
from tickstream.capture.store import Store
from tickstream.clock import SystemClock

MINUTES = range(60)
KINDS = [("jsonl", "none"), ("csv", "gzip"), ("parquet", "none")]
CONVERTING = {"before_replace", "after_replace_before_rename"}
ELSEWHERE = {"during_repair_after_save", "during_repair_after_cut", "after_delete_before_manifest", "before_end"}
"""Of recovery, retention, and the thread of the data: see test_crashes.py and test_retention.py."""


class Killed(BaseException):
    """What stands for SIGKILL: nothing handles it."""


def run_killed_at(
    name: str, base: Path, form: str, compression: str, monkeypatch: pytest.MonkeyPatch, first: int = 0
) -> None:
    def die() -> None:
        raise Killed

    place, _, times = name.partition("@")
    with monkeypatch.context() as armed:
        armed.setattr(failpoints, "_left", {place: int(times or 1)})
        armed.setattr(failpoints, "_die", die)
        store = Store(storing.options(base, form, compression, rotation=storing.ROTATION), SystemClock())
        store.open()
        with pytest.raises(Killed):  # noqa: PT012 - which of these meets it is not known
            for minute in range(first, MINUTES.stop, 15):  # so that there are several members to be repacked
                storing.store_bars(store, range(minute, min(minute + 15, MINUTES.stop)), form, compression)
                storing.wait_until(lambda: store._error or _is_synced(store), "it is synced")
            store.settle()
    for part in store._writer.parts._open:
        part.rest()
    store._folder.close()


def _is_synced(store: Store) -> bool:
    return not store.status.waiting_bytes and not store._writer.parts.held


@pytest.mark.parametrize(("form", "compression"), KINDS)
@pytest.mark.parametrize("name", sorted(set(FAILPOINTS) - ELSEWHERE - CONVERTING))
def test_the_next_run_goes_on_exactly_where_the_killed_one_stopped(
    name: str, form: str, compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_killed_at(name, tmp_path, form, compression, monkeypatch)
    storing.resume_in(tmp_path, MINUTES, form, compression)
    storing.assert_holds(tmp_path, MINUTES)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("form", "compression"), [("jsonl", "zstd"), ("csv", "gzip"), ("parquet", "none")])
@pytest.mark.parametrize("name", sorted(CONVERTING))
def test_a_conversion_that_was_killed_is_done_again_or_was_done(
    name: str, form: str, compression: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_killed_at(f"{name}@{times}", tmp_path, form, compression, monkeypatch)
    storing.resume_in(tmp_path, MINUTES, form, compression)
    storing.assert_holds(tmp_path, MINUTES)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["after_fsync@2", "after_write_before_fsync@2", "after_rename_before_manifest@2"])
def test_a_run_that_was_killed_twice_goes_on_all_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(storing.options(tmp_path), SystemClock())
    store.open()
    storing.store_bars(store, range(10))
    store.finish(None)
    run_killed_at(name, tmp_path, "jsonl", "none", monkeypatch, first=10)
    storing.resume_in(tmp_path, MINUTES)
    storing.assert_holds(tmp_path, MINUTES)


def test_a_fail_point_counts_how_often_it_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints, "_left", {"after_fsync": 3})
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    for _ in range(2):
        reached("after_fsync")
        reached("before_end")
    assert killed == []
    reached("after_fsync")
    assert killed == [(os.getpid(), signal.SIGKILL)]


def test_every_place_in_the_code_is_in_the_table(repository: Path) -> None:
    code = "".join(path.read_text() for path in (repository / "tickstream/capture").glob("*.py"))
    named = {name.split('"')[1] for name in code.split("reached(")[1:] if name.startswith('"')}
    assert named == set(FAILPOINTS)
