"""One writer for each folder: the second is told at once who has it, and a killed one holds nothing."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capture import storing
from tickstream.capture.lock import NAME, TargetLock, is_held
from tickstream.clock import FakeClock
from tickstream.errors import ExitCode, OutputError, TargetLocked

HOLDS = """
import sys, time
from pathlib import Path
from tickstream.capture.lock import TargetLock
from tickstream.clock import SystemClock
with TargetLock(Path(sys.argv[1]), SystemClock(), ["capture"]):
    print("held", flush=True)
    sys.stdin.read()
"""


def lock(base: Path) -> TargetLock:
    return TargetLock(base, FakeClock(), ["tickstream", "capture", "EURUSD"])


def test_the_second_is_told_who_the_first_is_within_a_second(tmp_path: Path) -> None:
    with lock(tmp_path):
        begun = time.monotonic()
        with pytest.raises(TargetLocked, match=rf"pid {os.getpid()}, since 2026-06-24T14:54:00") as caught:
            lock(tmp_path).acquire()
        assert time.monotonic() - begun < 1
    assert caught.value.exit_code is ExitCode.LOCKED
    assert f"kill {os.getpid()}" in caught.value.hint


def test_who_holds_it_stands_in_the_file_for_other_programs(tmp_path: Path) -> None:
    with lock(tmp_path):
        holder = json.loads((tmp_path / NAME).read_text())
    assert holder == {"pid": os.getpid(), "started": "2026-06-24T14:54:00.000000Z",
                      "command": ["tickstream", "capture", "EURUSD"]}  # fmt: skip
    assert (tmp_path / NAME).read_text() == "", "nobody holds it any more"


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(TargetLocked, match=f"pid {process.pid},"):
            lock(tmp_path).acquire()
        process.send_signal(signal.SIGKILL)
        process.wait(storing.DEADLINE_S)
        with lock(tmp_path):
            pass


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    assert held._fd is not None
    child_does = [sys.executable, "-c", "print(); input()"]
    with subprocess.Popen(child_does, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(held._fd)  # as the kernel does when we are killed
        with lock(tmp_path):
            child.kill()


def test_a_lock_that_was_let_go_can_be_taken_and_let_go_again(tmp_path: Path) -> None:
    first = lock(tmp_path)
    first.acquire()
    first.release()
    first.release()
    with lock(tmp_path):
        first.release()
        with pytest.raises(TargetLocked):
            first.acquire()


def test_the_folder_is_made_and_nobody_else_can_write_to_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock(tmp_path / "a" / "b"):
            modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a/b" / NAME)]
    finally:
        os.umask(before)
    assert modes == [0o755, 0o644]


def test_a_base_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file, not a folder"):
        lock(tmp_path / "file" / "x").acquire()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="symbolic link"):
        lock(tmp_path).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_holder_that_has_not_written_yet_is_somebody_all_the_same(tmp_path: Path) -> None:
    with lock(tmp_path):
        (tmp_path / NAME).write_bytes(b'{"pid":')
        with pytest.raises(TargetLocked, match="has not said yet") as caught:
            lock(tmp_path).acquire()
        assert "kill" not in caught.value.hint


def test_a_lock_whose_file_was_deleted_is_taken_again(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    held.ensure()
    (tmp_path / NAME).unlink()
    held.ensure()
    with pytest.raises(TargetLocked):
        lock(tmp_path).acquire()
    held.release()
    held.ensure()
    lock(tmp_path).acquire()


def test_a_lock_that_another_took_meanwhile_is_lost(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    (tmp_path / NAME).unlink()
    with lock(tmp_path), pytest.raises(TargetLocked):
        held.ensure()


def test_a_lock_on_a_full_disk_holds_though_it_cannot_say_who_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        first = lock(tmp_path)
        first.acquire()
    with pytest.raises(TargetLocked):
        lock(tmp_path).acquire()
    first.release()


@pytest.mark.skipif(sys.platform == "win32", reason="there, only taking a lock tells whether it is held")
def test_whether_it_is_held_can_be_asked_without_taking_it(tmp_path: Path) -> None:
    assert not is_held(tmp_path), "there is no lock yet"
    with lock(tmp_path):
        assert is_held(tmp_path)
        assert is_held(tmp_path)
    assert not is_held(tmp_path)
    with lock(tmp_path):
        pass
