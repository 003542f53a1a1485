"""Room on the disk: waited for or given up, left to others, and warned about in time."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from tickstream.capture import disk
from tickstream.capture.disk import Space
from tickstream.capture.room import LOW_BYTES, RETRY_S, OnDiskFull, Room
from tickstream.clock import FakeClock
from tickstream.errors import OutputError

GB = 10**9
PATH = Path("data/x.part")


class Rig:
    """A room whose disk is as full as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, policy: OnDiskFull = "wait", min_free: int = 0) -> None:
        self.clock = FakeClock()
        self.stop = threading.Event()
        self.said: list[str] = []
        self.space = [Space(100 * GB, 100 * GB)]
        monkeypatch.setattr(disk, "space", lambda _folder: self.space.pop(0) if self.space[1:] else self.space[0])
        report = lambda code, message: self.said.append(f"{code}: {message}")  # noqa: E731 - short is clear here
        self.room = Room(Path("data"), self.clock, self.stop, report, policy, min_free)


def failing(times: int, number: int = errno.ENOSPC):  # type: ignore[no-untyped-def]  # a closure over what is left
    left = times

    def action() -> str:
        nonlocal left
        if left:
            left -= 1
            raise OSError(number, os.strerror(number))
        return "done"

    return action


def test_what_fails_for_lack_of_room_is_tried_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    assert rig.room.attempt(failing(3), PATH) == "done"
    assert rig.clock.waits == [RETRY_S] * 3 == [5.0] * 3
    assert [line.partition(":")[0] for line in rig.said] == ["disk_full", "disk_writable"]
    assert rig.room.paused == ""
    rig.room.attempt(failing(1, errno.EDQUOT), PATH)
    assert "disk quota" in rig.said[2]


def test_while_it_waits_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    seen = []
    attempts = iter([True, False])

    def action() -> None:
        seen.append(rig.room.paused)
        if next(attempts):
            raise OSError(errno.ENOSPC, "No space left on device")

    rig.room.attempt(action, PATH)
    assert seen == ["", f"cannot write {PATH}: the disk is full"]


def test_with_exit_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, "exit")
    with pytest.raises(OutputError, match="the disk is full"):
        rig.room.attempt(failing(1), PATH)
    assert rig.clock.waits == []


def test_a_run_that_ends_waits_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.stop.set()
    assert rig.room.attempt(failing(0), PATH) == "done"
    with pytest.raises(OutputError, match="the disk is full"):
        rig.room.attempt(failing(1), PATH)


def test_other_failures_are_not_about_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    with pytest.raises(OSError, match="Input/output"):
        rig.room.attempt(failing(1, errno.EIO), PATH)


def test_the_space_that_others_need_is_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, min_free=10 * GB)
    rig.space = [Space(free, 100 * GB) for free in (9 * GB, 10 * GB, 10 * GB + 500, 11 * GB)]
    rig.room.keep_free(1000)
    assert len(rig.clock.waits) == 3
    assert "--min-free-space" in rig.said[0]
    assert rig.room.free == 11 * GB
    rig.room.attempt(failing(0), PATH)
    assert rig.said[1].startswith("disk_writable")


def test_without_a_minimum_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch)
    rig.space = [Space(0, 0)]
    rig.room.keep_free(1000)
    assert rig.room.free is None


@pytest.mark.parametrize(
    ("total", "low"), [(2000 * GB, LOW_BYTES), (10 * GB, 10 * GB // 20)]
)  # 1 GiB of a large disk, 5 % of a small one
def test_little_space_is_warned_about_once_until_there_is_plenty_again(
    total: int, low: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(monkeypatch)
    for free, warnings in [(low, 0), (low - 1, 1), (low - 2, 1), (low + 1, 1), (low - 1, 1), (2 * low, 1), (1, 2)]:
        rig.space = [Space(free, total)]
        rig.room.look()
        assert len(rig.said) == warnings, free
    assert "low_space: only 1 bytes are free" in rig.said[1]


def test_a_folder_that_has_gone_is_not_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(monkeypatch, min_free=1)

    def gone(_folder: Path) -> Space:
        raise FileNotFoundError

    monkeypatch.setattr(disk, "space", gone)
    rig.room.look()
    rig.room.keep_free(1)
    assert rig.said == []
