"""What `tickstream schedule` prints, run as the scheduler runs it, with the real capture and a real provider."""

from __future__ import annotations

import contextlib
import json
import os
import plistlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.watching import DEADLINE_S, Server, Thread, event_of, of_type, serve

SH = shutil.which("sh")
pytestmark = pytest.mark.skipif(SH is None, reason="there is no sh")


class Scheduled:
    """A schedule for a server, with everything of it in a folder."""

    def __init__(self, server: Server, folder: Path, key: str = "demo") -> None:
        self.folder = folder
        self.data = folder / "it's 100% data"
        self.log = self.data / "tickstream-capture.log"
        (folder / "capture.env").write_text(f"TICKATLAS_API_KEY={key}\nTICKSTREAM_TICKATLAS_URL={server.url}\n")

    def printed(self, scheduler: str) -> str:
        args = ("schedule", "EURUSD", "GBPUSD", scheduler, "--to", str(self.data))
        result = Thread(*args, "--env-file", str(self.folder / "capture.env")).wait()
        assert result.code == 0, result.err
        return result.out.decode()

    def cron(self) -> str:
        """The script that cron hands to the shell."""
        (line,) = (line for line in self.printed("--cron").splitlines() if not line.startswith("#"))
        return line.split(" ", 5)[5].replace("\\%", "%")

    @contextlib.contextmanager
    def start(self, script: str) -> Iterator[subprocess.Popen[str]]:
        """The script as it runs, and the end of all that it started."""
        assert SH is not None
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen([SH, "-c", script], env=env, text=True, start_new_session=True, **pipes) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, script: str) -> str:
        """What the script says, run to its end."""
        with self.start(script) as process:
            return process.communicate(timeout=DEADLINE_S)[0]

    def wait_for_data(self) -> int:
        """Wait until something is recorded; the pid of the run that does it."""
        deadline = time.monotonic() + DEADLINE_S
        while not any(path.stat().st_size for path in self.data.rglob("*.jsonl.part")):
            assert time.monotonic() < deadline, self.log.read_text() if self.log.exists() else "nothing was started"
            time.sleep(0.02)
        pid = json.loads((self.data / ".tickstream.lock").read_text())["pid"]
        assert isinstance(pid, int)
        return pid

    def recorded(self) -> list[dict[str, object]]:
        """The events in the finished files."""
        return [
            event_of(line)
            for path in sorted(self.data.rglob("*.jsonl"))
            if path.name != "manifest.jsonl"
            for line in path.read_text().splitlines()
        ]


def test_cron_records_starts_no_second_run_and_says_nothing_while_all_is_well(tmp_path: Path) -> None:
    with serve() as server:
        scheduled = Scheduled(server, tmp_path)
        script = scheduled.cron()
        with scheduled.start(script) as first:
            pid = scheduled.wait_for_data()
            assert scheduled.run(script) == ""
            os.kill(pid, signal.SIGTERM)
            assert first.communicate(timeout=DEADLINE_S)[0] == ""
    assert {event["symbol"] for event in of_type(scheduled.recorded(), "bar")} == {"EURUSD", "GBPUSD"}
    assert list(scheduled.data.rglob("*.part")) == []


def test_cron_says_once_that_the_key_is_wrong_and_then_rests(tmp_path: Path) -> None:
    with serve(keys=("tk_right_123456",)) as server:
        scheduled = Scheduled(server, tmp_path, key="tk_canary_123456")
        script = scheduled.cron()
        assert scheduled.run(script) == f"tickstream capture ended with exit code 4, see {scheduled.log}\n"
        assert scheduled.run(script) == ""
    assert "invalid_key" in scheduled.log.read_text()
    assert "tk_canary" not in scheduled.log.read_text()


def test_launchd_passes_on_the_signal_that_ends_a_run_and_is_told_not_to_start_another(tmp_path: Path) -> None:
    with serve() as server:
        scheduled = Scheduled(server, tmp_path)
        script = plistlib.loads(scheduled.printed("--launchd").encode())["ProgramArguments"][2]
        with scheduled.start(script) as shell:
            scheduled.wait_for_data()
            shell.send_signal(signal.SIGTERM)
            assert shell.wait(DEADLINE_S) == 0
    assert of_type(scheduled.recorded(), "bar") != []
    assert list(scheduled.data.rglob("*.part")) == []
