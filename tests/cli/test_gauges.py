"""The metrics file and the progress line: replaced whole, and never in the way of the data."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from tests.cli.running import Rig
from tests.pipeline.events import bar, batch
from tests.test_metrics import parsed
from tickstream.cli.environment import Environment
from tickstream.cli.gauges import METRICS_S, MetricsFile, Progress, replace
from tickstream.cli.talk import Talk
from tickstream.clock import FakeClock
from tickstream.errors import ExitCode, NetworkError, OutputError
from tickstream.status import FilesStatus, ProviderStatus, RunStatus, SessionStatus

STATUS = RunStatus(
    "LIVE", (ProviderStatus("tickatlas", ("EURUSD",)),), [SessionStatus("tickatlas", 1, ("EURUSD",), "up")]
)


def here(err: io.StringIO, **how: object) -> Environment:
    return Environment(io.BytesIO(), io.BytesIO(), err, {"TERM": "xterm"}, FakeClock(), **how)  # type: ignore[arg-type]


def metrics_at(path: Path, err: io.StringIO | None = None) -> MetricsFile:
    env = here(err or io.StringIO())
    return MetricsFile(path, env, Talk(env), STATUS)


def test_it_is_there_from_the_beginning_for_everybody_to_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        metrics_at(tmp_path / "x.prom")
    finally:
        os.umask(before)
    file = tmp_path / "x.prom"
    assert parsed(file.read_text())["tickstream_running"] == {"": 1.0}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["x.prom"]


def test_who_reads_it_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "x.prom"
    replace(path, b"old\n")
    with path.open("rb") as reader:
        replace(path, b"new\n")
        assert reader.read() == b"old\n"
    assert path.read_bytes() == b"new\n"


def test_what_a_process_of_the_same_number_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".x.prom.{os.getpid()}.tmp").write_text("half")
    replace(tmp_path / "x.prom", b"whole\n")
    assert [path.name for path in tmp_path.iterdir()] == ["x.prom"]


def test_a_place_that_cannot_be_written_is_an_error_at_the_start_and_a_warning_later(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write the metrics file"):
        metrics_at(tmp_path / "no" / "x.prom")
    err, folder = io.StringIO(), tmp_path / "yes"
    folder.mkdir()
    metrics = metrics_at(folder / "x.prom", err)
    (folder / "x.prom").unlink()
    folder.rmdir()
    metrics.write()
    metrics.write()
    assert err.getvalue().count("Cannot write the metrics file") == 1
    folder.mkdir()
    metrics.write()
    assert (folder / "x.prom").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, ExitCode.OK), (NetworkError("gone"), ExitCode.NETWORK), (ZeroDivisionError(), ExitCode.BUG)],
)
def test_at_last_it_tells_how_the_run_ended(tmp_path: Path, error: BaseException | None, code: ExitCode) -> None:
    metrics = metrics_at(tmp_path / "x.prom")
    rig = Rig(batch(1, bar("EURUSD", 1)), error=error, stages=[metrics.stage], chores=[metrics.chore])
    if error is None:
        assert metrics.over(rig.run, lambda: 4) is ExitCode.OK
    else:
        with pytest.raises(type(error)):
            metrics.over(rig.run, lambda: 4)
    shown = parsed((tmp_path / "x.prom").read_text())
    assert (shown["tickstream_exit_code"], shown["tickstream_duplicates_total"]) == ({"": float(code)}, {"": 4.0})
    assert metrics.chore[0] == METRICS_S


def progress(err: io.StringIO, **how: object) -> tuple[Progress, Talk]:
    env = here(err, **how)
    talk = Talk(env)
    return Progress(env, talk, STATUS, FilesStatus), talk


def test_the_line_is_drawn_over_itself_and_taken_away_before_anything_is_said() -> None:
    err = io.StringIO()
    line, talk = progress(err, stderr_isatty=True)
    line.draw()
    line.draw()
    talk.line("spoken")
    assert err.getvalue().count("\rlive: up  0 events  0/s") == 2
    assert err.getvalue().endswith("\x1b[K\r\x1b[Ktickstream: spoken\n")


def test_without_a_terminal_there_is_no_line() -> None:
    err = io.StringIO()
    line, talk = progress(err)
    line.draw()
    talk.line("spoken")
    assert err.getvalue() == "tickstream: spoken\n"
    line.chore[1]()
    assert err.getvalue() == "tickstream: spoken\n"
