"""Killed at any of the dangerous places, a capture loses nothing that was written, and has nothing twice.

Real processes and real signals; tests/capture/test_failpoints.py has every format.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.capture import storing

REPAIRING = ("during_repair_after_save", "during_repair_after_cut")
ORDINARY = ("after_part_entry_before_part", "after_write_before_fsync", "after_fsync_before_rename",
            "between_link_and_unlink", "after_rename_before_manifest", "before_end")  # fmt: skip
MINUTES = range(60)


def run_killed_at(failpoint: str, base: Path, form: str = "jsonl", compression: str = "none") -> None:
    process = storing.spawn(str(base), form, compression, "0", str(MINUTES.stop), failpoint=failpoint)
    process.communicate(timeout=storing.DEADLINE_S)
    assert process.returncode == -signal.SIGKILL, f"{failpoint} was never passed"


@pytest.mark.parametrize("failpoint", ORDINARY)
def test_the_next_run_recovers_from_a_kill_at(failpoint: str, tmp_path: Path) -> None:
    run_killed_at(failpoint, tmp_path)
    storing.resume_in(tmp_path, MINUTES)
    storing.assert_holds(tmp_path, MINUTES)


@pytest.mark.parametrize("failpoint", ["after_write_before_fsync@9", "after_rename_before_manifest@2"])
def test_the_next_run_recovers_from_a_kill_when_other_files_are_finished_already(
    failpoint: str, tmp_path: Path
) -> None:
    run_killed_at(failpoint, tmp_path)
    storing.resume_in(tmp_path, MINUTES)
    storing.assert_holds(tmp_path, MINUTES)


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("failpoint", REPAIRING)
def test_a_repair_that_is_killed_is_repaired(failpoint: str, compression: str, tmp_path: Path) -> None:
    run_killed_at("after_fsync@4", tmp_path, "jsonl", compression)
    for part in tmp_path.rglob("*.part"):
        with part.open("ab") as file:
            file.write(part.read_bytes()[:100])  # the beginning of a record, or of a member
    run_killed_at(failpoint, tmp_path, "jsonl", compression)
    storing.resume_in(tmp_path, MINUTES, "jsonl", compression)
    storing.assert_holds(tmp_path, MINUTES)
    assert list(tmp_path.rglob("*.torn-*")), "what was torn is kept"
    assert storing.of_type(tmp_path, "torn")


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_runs_that_are_killed_at_any_moment_add_up_to_the_whole(compression: str, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    last = 700
    for _ in range(4):
        process = storing.spawn(str(tmp_path), "jsonl", compression, "0", str(last), stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as out:
            assert out.readline() == b"ready\n"
            time.sleep(moments.uniform(0.0, 0.25))  # the moment is the test's subject, not something that it waits for
            process.kill()
            process.wait(storing.DEADLINE_S)
    storing.resume_in(tmp_path, range(last), "jsonl", compression)
    storing.assert_holds(tmp_path, range(last))
