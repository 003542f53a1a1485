from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture.test_csv_rows import written as rows
from tests.capture.test_json_lines import written
from tests.cli.command import Result, run
from tests.end_to_end.watching import eventually
from tests.sinks.making import MINUTE, bar, gap, notice, quote
from tickstream.capture.reading import sources
from tickstream.cli.app import main
from tickstream.cli.environment import Environment
from tickstream.errors import ExitCode
from tickstream.events import Bar, Event
from tickstream.sinks.fields import union

SOME: list[Event] = [bar(minute=minute) for minute in range(5)]
COLUMNS = union([Bar])


def convert(*argv: str | Path, stdin: bytes = b"") -> Result:
    return run("convert", *map(str, argv), stdin=stdin)


def converted(*argv: str | Path, stdin: bytes = b"") -> str:
    """What it said; the run must have been good."""
    result = convert(*argv, stdin=stdin)
    assert (ExitCode(result.code), result.out) == (ExitCode.OK, ""), result
    return result.err


def events_of(path: Path) -> list[Event]:
    return [event for source in sources([path]) for chunk in source.chunks() for event in chunk.events]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    place = tmp_path / "day.jsonl"
    place.write_bytes(written(SOME, "iso"))
    return place


# --- from here to there -----------------------------------------------------------------------------------------------


def test_lines_to_parquet_and_back_are_the_same_bytes(lines: Path, tmp_path: Path) -> None:
    said = converted(lines, "--to", tmp_path / "day.parquet")
    assert said.startswith(f"tickstream: converted 5 events from 1 file to {tmp_path / 'day.parquet'} (")
    assert said.endswith(" s\n")
    converted(tmp_path / "day.parquet", "--to", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == lines.read_bytes()


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.jsonl.zst", "x.jsonl", "x.parquet"])
def test_the_name_says_format_and_compression(lines: Path, tmp_path: Path, name: str) -> None:
    converted(lines, "--to", tmp_path / name)
    magic = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".parquet": b"PAR1", ".csv": b"type", ".jsonl": b'{"ty'}
    assert (tmp_path / name).read_bytes().startswith(magic[Path(name).suffix])
    converted(tmp_path / name, "--to", tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == lines.read_bytes()


def test_options_say_it_where_the_name_does_not(lines: Path, tmp_path: Path) -> None:
    converted(lines, "--to", tmp_path / "x", "-o", "csv", "--compress", "gzip")
    assert (tmp_path / "x.gz").read_bytes().startswith(b"\x1f\x8b")
    converted(lines, "--to", tmp_path / "y.parquet", "--compress", "none")
    assert events_of(tmp_path / "x.gz") == events_of(tmp_path / "y.parquet") == events_of(lines)


def test_a_folder_becomes_one_file_or_a_file_for_each(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "XAUUSD").mkdir(parents=True)
    (data / "b.jsonl").write_bytes(written(SOME[:2]))
    (data / "XAUUSD" / "a.jsonl.part").write_bytes(written(SOME[2:]))
    converted(data, "--to", tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == written(SOME)
    said = converted(data, "--to", f"{tmp_path / 'out'}/", "-o", "parquet")
    assert said.count("converted") == 2
    assert events_of(tmp_path / "out" / "b.parquet") == SOME[:2]
    assert events_of(tmp_path / "out" / "XAUUSD" / "a.parquet") == SOME[2:]


def test_standard_input_and_output_are_a_way_too(lines: Path) -> None:
    result = convert("-", "--to", "-", "-o", "csv", "-q", stdin=lines.read_bytes())
    assert result.ok() == rows(SOME, COLUMNS, "iso").decode()
    result = convert("-", "--to", "-", "--time", "ns", "--fields", "symbol,ts_event", stdin=written(SOME[:1], "us"))
    assert result.out == '{"symbol":"EURUSD","ts_event":1782312840000000000}\n'
    assert "to stdout in" in result.err


def test_parquet_can_be_written_to_a_pipe(lines: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    here = Environment(stdin=io.BytesIO(), stdout=out, stderr=io.StringIO(), env={})
    assert main(["convert", str(lines), "--to", "-", "-o", "parquet", "-q"], here) == 0
    (tmp_path / "x").write_bytes(out.getvalue())
    assert events_of(tmp_path / "x") == events_of(lines)


def test_files_of_others_are_converted_once_their_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "ticks.csv").write_text("time,px,qty\n1782312840.5,1.50,0.00000001\n", "utf-8")
    said = ["--columns", "ts_event=time,price=px,size=qty", "--type", "trade", "--symbol", "BTCUSD"]
    result = convert(tmp_path / "ticks.csv", *said, "--to", "-", "-q")
    assert result.ok() == (
        '{"type":"trade","provider":"unknown","symbol":"BTCUSD","ts_event":"2026-06-24T14:54:00.500000Z",'
        '"ts_recv":"2026-06-24T14:54:00.500000Z","price":1.50,"size":0.00000001}\n'
    )


def test_what_csv_cannot_hold_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(written([gap(), bar(), gap(), notice()]))
    said = converted(tmp_path / "x.jsonl", "--to", tmp_path / "x.csv").splitlines()
    assert said[:2] == [
        "tickstream: left out, since CSV holds market data only: 2 gap events",
        "tickstream: left out, since CSV holds market data only: 1 notice event",
    ]
    assert "converted 1 event from 1 file" in said[2]


# --- what is not overwritten, and what is bad -------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_one_says_so(lines: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine", "utf-8")
    assert "is there already" in convert(lines, "--to", there).failed(ExitCode.OUTPUT)
    assert there.read_text("utf-8") == "mine"
    converted(lines, "--to", there, "--force")
    assert events_of(there) == events_of(lines)
    converted(lines, "--to", lines, "--force")
    assert len(events_of(lines)) == 5


def test_before_the_first_of_many_files_all_names_are_looked_at(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    for name in "ab":
        (data / f"{name}.jsonl").write_bytes(written(SOME))
    (out / "b.csv").write_text("mine", "utf-8")
    assert "b.csv is there already" in convert(data, "--to", out, "-o", "csv").failed(ExitCode.OUTPUT)
    assert [path.name for path in out.iterdir()] == ["b.csv"]


def test_bad_lines_are_named_and_make_the_run_incomplete(lines: Path, tmp_path: Path) -> None:
    lines.write_bytes(lines.read_bytes() + b"rubbish\n" * 12 + written(SOME, "iso") + b'{"torn')
    result = convert(lines, "--to", tmp_path / "x.csv")
    assert ExitCode(result.code) is ExitCode.INCOMPLETE
    said = result.err.splitlines()
    assert said[0] == f"tickstream: {lines}:6: JSON is malformed: invalid character (byte 0)"
    assert said[10] == "tickstream: and 3 more bad lines"
    assert said[12:] == [
        "tickstream: 13 lines could not be converted; everything else was.",
        "Add --skip-bad if that is no reason to fail.",
    ]
    assert len(events_of(tmp_path / "x.csv")) == 10


def test_bad_lines_may_be_no_reason_to_fail(lines: Path, tmp_path: Path) -> None:
    lines.write_bytes(lines.read_bytes() + b"rubbish\n")
    assert ":6: JSON is malformed" in converted(lines, "--to", tmp_path / "x.csv", "--skip-bad", "-q")


def test_what_cannot_be_read_leaves_nothing_behind(lines: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 not really")
    out = tmp_path / "out"
    out.mkdir()
    said = convert(lines, tmp_path / "broken.parquet", "--to", out / "x.csv").failed(ExitCode.OUTPUT)
    assert said.startswith(f"tickstream: Cannot read {tmp_path / 'broken.parquet'}: ")
    (tmp_path / "rubbish.jsonl").write_bytes(b"rubbish\n")
    assert "nothing at all" in convert(tmp_path / "rubbish.jsonl", "--to", out / "x.csv").failed(ExitCode.OUTPUT)
    assert list(out.iterdir()) == []


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [(["--to", "x"], "does not say which format"), (["--to", "folder/"], "does not say which format"),
     (["--to", "x.csv", "-o", "jsonl"], "says csv, -o says jsonl"),
     (["--to", "x.csv.gz", "--compress", "zstd"], "says gzip, --compress says zstd"),
     (["--to", "x.parquet.gz"], "compressed inside"), (["--to", "x", "-o", "xml"], "is none of jsonl, csv, parquet"),
     (["--to", "x.csv", "--compress", "lz4"], "is none of none, gzip, zstd"),
     (["--to", "x.csv", "--time", "s"], "is none of iso, us, ns"), (["--to", "x.csv", "--fields", "bidd"], "no field"),
     (["--to", "x.parquet", "--fields", "bid"], "--fields does not go with"),
     (["--to", "x.csv", "--columns", "time"], "is not FIELD=COLUMN")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(lines: Path, argv: list[str], complaint: str) -> None:
    assert complaint in convert(lines, *argv).failed(ExitCode.USAGE)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no such file" in convert(tmp_path / "x.jsonl", "--to", "-").failed(ExitCode.USAGE)


def test_two_files_cannot_become_one_of_many(lines: Path, tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_bytes(rows(SOME, COLUMNS))
    said = convert(lines, tmp_path / "day.csv", "--to", f"{tmp_path}/out/", "-o", "csv").failed(ExitCode.USAGE)
    assert "would both become" in said
    assert "has no name" in convert("-", "--to", f"{tmp_path}/", "-o", "csv").failed(ExitCode.USAGE)


def test_no_terminal_is_filled_with_what_it_cannot_show(lines: Path) -> None:
    result = run("convert", str(lines), "--to", "-", "-o", "parquet", tty=True)
    assert "not for a terminal" in result.failed(ExitCode.USAGE)


def test_a_type_that_comes_late_into_standard_output_is_refused(lines: Path) -> None:
    many = written([*[bar(minute=minute) for minute in range(2000)], quote()])
    lines.write_bytes(many)
    result = convert(lines, "--to", "-", "-o", "csv")
    assert ExitCode(result.code) is ExitCode.USAGE
    assert "pick columns with --fields" in result.err


# --- as processes -----------------------------------------------------------------------------------------------------


def process(*argv: str | Path, **how: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tickstream", "convert", *map(str, argv)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)  # type: ignore[call-overload,no-any-return]  # as they come


@pytest.fixture
def large(tmp_path: Path) -> Path:
    place = tmp_path / "large.jsonl"
    place.write_bytes(written([bar(minute=minute, ts_recv=minute * MINUTE) for minute in range(20_000)]))
    return place


def test_a_reader_that_has_seen_enough_is_no_error(large: Path) -> None:
    running = process(large, "--to", "-", "-q")
    assert running.stdout is not None
    assert running.stderr is not None
    with running.stdout as out, running.stderr as err:
        assert out.readline().startswith(b'{"type":"bar"')
        out.close()
        assert (running.wait(20), err.read()) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_standard_output_is_an_error(large: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tickstream", "convert", str(large), "--to", "-", "-q"],
            stdout=full, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == ExitCode.OUTPUT
    assert done.stderr == b"tickstream: cannot write to stdout: No space left on device\n"


@pytest.mark.skipif(os.name == "nt", reason="limits of Unix")
@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.jsonl.gz"])
def test_a_file_that_does_not_fit_leaves_nothing_behind(large: Path, tmp_path: Path, name: str) -> None:
    import resource

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    out = tmp_path / "out"
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # or Python leaves cut files in its cache for the next process
    with process(large, "--to", out / name, "-q", preexec_fn=limited, env=env) as running:
        _, err = running.communicate(timeout=30)
    assert running.returncode == ExitCode.OUTPUT, err
    assert b"largest size allowed" in err
    assert b"internal error" not in err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["INT", "TERM", "HUP"])
def test_a_signal_leaves_nothing_behind(large: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out"
    with process("-", "--to", out / "x.csv", stdin=subprocess.PIPE) as running:
        assert running.stdin is not None
        running.stdin.write(large.read_bytes()[: 2**20])
        running.stdin.flush()
        eventually(lambda: out.exists() and list(out.iterdir()), "a temporary file")
        running.send_signal(number)
        assert running.wait(20) == 128 + number
        running.stdin.close()
    assert list(out.iterdir()) == []
