"""Verification of files on the disk: what is read, hashed, missing, changed, torn, being written."""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.capture.planned import MINUTE, SUNDAY, WALL, bar
from tickstream.capture import manifest
from tickstream.capture.lock import TargetLock
from tickstream.capture.manifest import FileDeleted, FileFinished, PartOpened, RunEnd, RunStart, Tally
from tickstream.capture.reading import ReadOptions
from tickstream.capture.verifying_files import Verification
from tickstream.capture.verifying_report import FileReport, Report, Verdict
from tickstream.capture.verifying_series import Rules
from tickstream.clock import FakeClock
from tickstream.errors import InputError, UsageError
from tickstream.events import Bar, Event, Gap
from tickstream.markets import market_of
from tickstream.sinks.encoders import JsonEncoder
from tickstream.timestamps import NS_PER_SECOND, Timestamp


def bars(symbol: str, *places: int) -> list[Event]:
    """Bars of these minutes, received a second apart."""
    return [bar(symbol, SUNDAY + at * MINUTE, WALL + at * NS_PER_SECOND) for at in places]


def lines(events: Sequence[Event]) -> bytes:
    return JsonEncoder(None, "iso", True).encode(list(events))


class Folder:
    """A capture on the disk, written piece by piece."""

    def __init__(self, base: Path) -> None:
        self.base = base
        base.mkdir(parents=True, exist_ok=True)

    def note(self, *entries: Any) -> None:
        with (self.base / manifest.NAME).open("ab") as file:
            file.write(manifest.lines(entries))

    def run(self, name: str, *symbols: str, ended: bool = True, dropped: int = 0) -> None:
        self.note(
            RunStart(run=name, started=Timestamp(WALL), pid=1, version="1", provider="tickatlas", channel="bars",
                     symbols=symbols, format="jsonl", compression="none", template="x")
        )  # fmt: skip
        if ended:
            self.note(RunEnd(name, Timestamp(WALL), 0, dropped))

    def write(self, file: str, data: bytes) -> Path:
        path = self.base / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def finish(self, file: str, events: Sequence[Event]) -> Path:
        """A finished file, and its line in the manifest."""
        data = lines(events)
        data = gzip.compress(data) if file.endswith(".gz") else data
        tally = Tally.of(events)
        self.note(
            FileFinished(run="A", file=file, format="jsonl", compression="none", events=tally.events, first=tally.first,
                         last=tally.last, symbols=tally.symbols, gaps=tally.gaps, missed=tally.missed, bytes=len(data),
                         sha256=hashlib.sha256(data).hexdigest(), finished=Timestamp(WALL))
        )  # fmt: skip
        return self.write(file, data)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


def verified(*paths: Path | str, progress: Any = None, **bounds: int) -> Report:
    limits = {name: Timestamp(at) for name, at in bounds.items()}
    rules = Rules(market_of=lambda _, symbol: market_of(symbol), **limits)
    return Verification(paths, rules, ReadOptions(), FakeClock(), progress).run()


def only_file(report: Report) -> FileReport:
    [file] = report.files
    return file


def test_a_capture_that_is_all_there_is_complete(folder: Folder) -> None:
    folder.run("A", "EURUSD", "XAUUSD")
    folder.finish("EURUSD/1.jsonl", bars("EURUSD", *range(50)))
    folder.finish("EURUSD/2.jsonl.gz", bars("EURUSD", *range(50, 100)))
    folder.finish("XAUUSD/1.jsonl", bars("XAUUSD", *range(100)))
    report = verified(folder.base)
    assert report.verdict is Verdict.COMPLETE
    assert [file.state for file in report.files] == ["listed"] * 3
    assert [(one.symbol, one.events, one.expected) for one in report.series] == [
        ("EURUSD", 100, 100), ("XAUUSD", 100, 100),
    ]  # fmt: skip
    assert (report.read.files, report.read.events) == (3, 200)
    assert report.read.bytes == sum(path.stat().st_size for path in folder.base.rglob("*.jsonl*")) - _size_of_manifest(
        folder
    )


def _size_of_manifest(folder: Folder) -> int:
    return (folder.base / manifest.NAME).stat().st_size


@pytest.mark.parametrize("size", [10, 30_000], ids=["small", "hashed beside the reading"])
def test_a_changed_file_is_noticed_by_its_hash(folder: Folder, size: int) -> None:
    folder.run("A", "EURUSD")
    path = folder.finish("EURUSD.jsonl", bars("EURUSD", *range(size)))
    assert verified(folder.base).verdict is Verdict.COMPLETE
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"low":1.1345', b'"low":1.1344', 1))
    report = verified(folder.base)
    assert report.verdict is Verdict.INCOMPLETE
    assert "changed" in only_file(report).problems[0]
    assert report.series[0].complete


def test_a_file_that_became_longer_is_told_with_what_it_has_now(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    path = folder.finish("EURUSD.jsonl", bars("EURUSD", 0, 1))
    path.write_bytes(path.read_bytes() + lines(bars("EURUSD", 2)))
    problems = only_file(verified(folder.base)).problems
    assert len(problems) == 2
    assert "EURUSD: 3 bar, the manifest has 2" in problems


def test_a_listed_file_that_is_gone_is_missing(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    folder.finish("EURUSD/1.jsonl", bars("EURUSD", *range(5)))
    folder.finish("EURUSD/2.jsonl", bars("EURUSD", *range(5, 10))).unlink()
    report = verified(folder.base)
    assert [(Path(file.file).name, file.state) for file in report.files] == [
        ("1.jsonl", "listed"),
        ("2.jsonl", "missing"),
    ]
    assert report.verdict is Verdict.INCOMPLETE


def test_a_file_that_was_taken_away_while_it_was_written_is_missing_with_what_was_in_it(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    folder.finish("b.jsonl", bars("EURUSD", *range(10)))
    opened = PartOpened(run="A", ts=Timestamp(WALL), file="a.jsonl", part="a.jsonl.part", format="jsonl",
                        compression="none")  # fmt: skip
    reason = f"deleted {manifest.BY_OTHERS}"
    folder.note(opened, FileDeleted(run="A", file="a.jsonl.part", ts=Timestamp(WALL), reason=reason))
    found = verified(folder.base)
    assert found.verdict is Verdict.INCOMPLETE
    [gone] = [file for file in found.files if file.state == "missing"]
    assert gone.file.endswith("a.jsonl.part")
    assert gone.problems == ("it was deleted by somebody else while it was written, with what was in it",)


def test_a_capture_whose_files_are_all_gone_is_incomplete_too(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    folder.finish("EURUSD.jsonl", bars("EURUSD", 0, 1)).unlink()
    report = verified(folder.base)
    assert [file.state for file in report.files] == ["missing"]


def test_a_part_of_a_capture_is_judged_by_the_same_manifest(folder: Folder) -> None:
    folder.run("A", "EURUSD", "XAUUSD")
    gold = folder.finish("XAUUSD/1.jsonl", bars("XAUUSD", *range(3)))
    folder.finish("EURUSD/1.jsonl", bars("EURUSD", *range(10)))
    folder.finish("EURUSD/2.jsonl", bars("EURUSD", *range(10, 20))).unlink()
    report = verified(gold)
    assert (report.verdict, only_file(report).state, report.runs) == (Verdict.COMPLETE, "listed", ())
    assert verified(folder.base / "XAUUSD").verdict is Verdict.COMPLETE
    assert [file.state for file in verified(folder.base / "EURUSD").files] == ["listed", "missing"]
    assert verified(folder.base).verdict is Verdict.INCOMPLETE


def test_gaps_of_the_manifest_explain_holes_and_are_listed(folder: Folder) -> None:
    folder.run("A", "EURUSD", "XAUUSD")
    folder.note(
        Gap("tickatlas", ("EURUSD", "GBPUSD"), "disconnect", Timestamp(WALL), Timestamp(WALL + 4 * NS_PER_SECOND))
    )
    folder.finish("EURUSD.csv.jsonl", bars("EURUSD", 0, 4))
    folder.finish("XAUUSD.jsonl", bars("XAUUSD", *range(5)))
    report = verified(folder.base)
    assert [(one.symbol, one.missing, one.explained) for one in report.series] == [("EURUSD", 3, 3), ("XAUUSD", 0, 0)]
    assert [(one.symbol, one.reason) for one in report.gaps] == [("EURUSD", "disconnect")]


def test_a_symbol_that_ends_before_the_others_is_noticed_in_a_whole_capture_only(folder: Folder) -> None:
    folder.run("A", "EURUSD", "XAUUSD", "GBPUSD")
    folder.finish("EURUSD.jsonl", bars("EURUSD", *range(20)))
    folder.finish("XAUUSD.jsonl", bars("XAUUSD", *range(15)))
    found = {one.symbol: one for one in verified(folder.base).series}
    assert (found["XAUUSD"].missing, found["EURUSD"].missing) == (4, 0)
    assert (found["GBPUSD"].events, found["GBPUSD"].missing) == (0, 18)
    assert verified(folder.base / "XAUUSD.jsonl").verdict is Verdict.COMPLETE


def test_drops_make_a_capture_incomplete(folder: Folder) -> None:
    folder.run("A", "EURUSD", dropped=3)
    folder.finish("EURUSD.jsonl", bars("EURUSD", 0, 1))
    report = verified(folder.base)
    assert (report.verdict, report.runs[0].dropped) == (Verdict.INCOMPLETE, 3)


# --- what a dead run leaves, and a living one writes ----------------------------------------------------------------


def unfinished(folder: Folder, data: bytes) -> Report:
    folder.run("A", "EURUSD", ended=False)
    folder.note(
        PartOpened(run="A", ts=Timestamp(WALL), file="EURUSD.jsonl", part="EURUSD.jsonl.part", format="jsonl",
                   compression="none")
    )  # fmt: skip
    folder.write("EURUSD.jsonl.part", data)
    return verified(folder.base)


def test_a_torn_part_of_a_dead_run_is_a_fault(folder: Folder) -> None:
    report = unfinished(folder, lines(bars("EURUSD", 0, 1, 2))[:-20])
    file = only_file(report)
    assert (file.state, file.events, file.whole, report.verdict) == ("unfinished", 2, False, Verdict.INCOMPLETE)
    assert file.torn is not None
    assert (report.runs[0].ended, report.runs[0].goes_on) == (None, False)


@pytest.mark.skipif(sys.platform == "win32", reason="there, nobody can tell whether a lock is held without taking it")
def test_a_living_run_may_just_be_writing_a_line(folder: Folder) -> None:
    with TargetLock(folder.base, FakeClock(), []):
        report = unfinished(folder, lines(bars("EURUSD", 0, 1, 2))[:-20])
    file = only_file(report)
    assert (file.state, file.whole, report.verdict) == ("being written", True, Verdict.COMPLETE)
    assert report.runs[0].goes_on


# --- what cannot be read --------------------------------------------------------------------------------------------


def test_bad_lines_are_counted_and_the_first_are_quoted(folder: Folder) -> None:
    good = lines(bars("EURUSD", 0, 1))
    path = folder.write("EURUSD.jsonl", good + b"{nonsense\n" * 50)
    file = only_file(verified(path))
    assert (file.events, file.bad, len(file.bad_lines), file.whole) == (2, 50, 20, False)
    assert file.bad_lines[0].startswith("line 3: ")


def test_a_file_of_which_no_line_can_be_used_is_unreadable(folder: Folder) -> None:
    folder.write("good.jsonl", lines(bars("EURUSD", 0, 1)))
    folder.write("bad.jsonl", lines(bars("EURUSD", 2, 3)).replace(b'"open":1', b'"open":"none"'))
    report = verified(folder.base)
    assert report.verdict is Verdict.UNREADABLE
    assert "no line of it is an event" in str(next(file.unreadable for file in report.files if file.unreadable))


def test_a_file_of_something_else_is_unreadable_and_stops_nothing(folder: Folder) -> None:
    folder.write("good.jsonl", lines(bars("EURUSD", 0, 1)))
    folder.write("notes.csv", b"when,what\nmonday,nothing\n")
    report = verified(folder.base)
    assert report.verdict is Verdict.UNREADABLE
    assert report.series[0].complete


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="needs a file that fails when it is read, even for root"
)
def test_a_file_that_fails_while_it_is_read_is_unreadable_and_stops_nothing(folder: Folder) -> None:
    folder.write("good.jsonl", lines(bars("EURUSD", 0, 1)))
    (folder.base / "mem.jsonl").symlink_to("/proc/self/mem")
    report = verified(folder.base)
    assert report.verdict is Verdict.UNREADABLE
    assert [one.symbol for one in report.series] == ["EURUSD"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="as above")
def test_a_manifest_that_cannot_be_read_is_an_error(folder: Folder) -> None:
    path = folder.write("good.jsonl", lines(bars("EURUSD", 0, 1)))
    (folder.base / manifest.NAME).symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"manifest\.jsonl"):
        verified(path)


def test_nothing_at_all_is_never_complete(folder: Folder) -> None:
    assert verified(folder.write("empty.jsonl", b"")).verdict is Verdict.INCOMPLETE


def test_paths_that_do_not_exist_are_a_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        verified(tmp_path / "nothing")
    with pytest.raises(UsageError):
        verified(tmp_path)


def test_the_same_file_named_twice_is_read_once(folder: Folder) -> None:
    path = folder.write("EURUSD.jsonl", lines(bars("EURUSD", 0, 1)))
    report = verified(path, path)
    assert (len(report.files), report.series[0].duplicates) == (1, 0)


def test_the_meter_sees_every_byte_once(folder: Folder) -> None:
    seen: list[tuple[int, int]] = []
    size = sum(folder.write(f"{at}.jsonl", lines(bars("EURUSD", at))).stat().st_size for at in range(3))
    verified(folder.base, progress=lambda read, whole: seen.append((read, whole)))
    assert seen[-1] == (size, size)
    assert [read for read, _ in seen] == sorted(read for read, _ in seen)


def test_bounds_leave_the_agreement_of_files_alone(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    folder.finish("EURUSD.jsonl", bars("EURUSD", *range(20)))
    report = verified(folder.base, start=SUNDAY + 5 * MINUTE, end=SUNDAY + 10 * MINUTE)
    assert (report.verdict, report.series[0].events, only_file(report).events) == (Verdict.COMPLETE, 5, 20)


def test_one_event_more_or_less_in_the_middle_is_told(folder: Folder) -> None:
    folder.run("A", "EURUSD")
    events = bars("EURUSD", *range(20))
    path = folder.finish("EURUSD.jsonl", events)
    path.write_bytes(lines([*events[:7], *events[8:]]))
    report = verified(folder.base)
    assert report.series[0].missing == 1
    assert "EURUSD: 19 bar, the manifest has 20" in only_file(report).problems
    twice = (
        msgspec.structs.replace(events[7], ts_recv=Timestamp(WALL + 99)) if isinstance(events[7], Bar) else events[7]
    )
    path.write_bytes(lines([*events, twice]))
    assert verified(folder.base).series[0].duplicates == 1
