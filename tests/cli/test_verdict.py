"""The words of a verdict, for what a command line does not easily bring about."""

from __future__ import annotations

import io

from tickstream.capture.verifying_report import (
    Example,
    FileReport,
    Finding,
    GapReport,
    ReadReport,
    Report,
    RunReport,
    SeriesReport,
)  # fmt: skip
from tickstream.cli.environment import Environment
from tickstream.cli.verdict import TextVerdict, conclusion, speed_line
from tickstream.timestamps import Timestamp, parse_rfc3339

NOON = parse_rfc3339("2026-06-24T12:00:00Z")
READ = ReadReport(files=2, bytes=10_400_000_000, events=50_000_000, seconds=100)


def report(
    *series: SeriesReport, files: tuple[FileReport, ...] = (), runs: tuple[RunReport, ...] = (), more_gaps: int = 0
) -> Report:
    gap = GapReport(provider="x", symbol="BTC", reason="quota", start=NOON, end=NOON)
    return Report(
        series=series, files=files, runs=runs, gaps=(gap,) if more_gaps else (), more_gaps=more_gaps, read=READ
    )


def printed(one: Report, *, everything: bool = False) -> str:
    out = io.BytesIO()
    env = Environment(stdin=io.BytesIO(), stdout=out, stderr=io.StringIO(), env={})
    TextVerdict(env, one, everything=everything).print()
    return out.getvalue().decode()


def series(provider: str = "x", symbol: str = "BTC", **more: object) -> SeriesReport:
    return SeriesReport(provider=provider, symbol=symbol, type="trade", **more)  # type: ignore[arg-type]  # fields of it


def run_of(**more: object) -> RunReport:
    return RunReport(run="01A", provider="x", symbols=("BTC",), started=NOON, **more)  # type: ignore[arg-type]  # as above


def test_the_speed_is_told_in_bytes_on_the_disk_and_in_events() -> None:
    assert speed_line(report()) == ("read 2 files, 10.4 GB, 50,000,000 events in 100.0 s: 104.0 MB/s, 500,000 events/s")


def test_no_time_at_all_is_no_division_by_zero() -> None:
    nothing = Report(series=(), files=(), read=ReadReport(files=0, bytes=0, events=0, seconds=0.0))
    assert speed_line(nothing).endswith("0.0 MB/s, 0 events/s")


def test_several_providers_are_named_in_the_table() -> None:
    out = printed(report(series(), series("y")))
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["x:BTC", "y:BTC"]


def test_doubt_is_shown_with_a_question_mark_and_in_words() -> None:
    doubtful = report(series(uncertain=2))
    assert " 0? " in printed(doubtful)
    assert "2 gaps of which nobody knows what they cost" in printed(doubtful)
    assert conclusion(doubtful) == "Incomplete: 0 events of 1 symbol; 2 gaps of unknown cost."
    assert "1 gap of unknown cost" in conclusion(report(series(uncertain=1)))


def test_bars_without_a_time_and_holes_beyond_the_list_are_told() -> None:
    out = printed(report(series(untimed=1, missing=5, more_holes=1234)))
    assert "1 bar without a time, which cannot be placed" in out
    assert "BTC trade: and 1,234 more" in out


def test_a_symbol_without_events_that_owes_nothing_is_no_success_and_no_fault() -> None:
    out = printed(report(series(), series(symbol="ETH", events=3)))
    assert "nothing received" in out
    assert out.splitlines()[-1] == "Complete: 3 events of 2 symbols, nothing missing."


def test_nothing_at_all_is_no_success() -> None:
    assert conclusion(report(series())) == "Incomplete: 0 events of 1 symbol; there is nothing in it."


def test_an_example_without_a_time_is_told_by_its_reception() -> None:
    example = Example(Finding.OUT_OF_ORDER, "a.jsonl", None, Timestamp(NOON))
    out = printed(report(series(out_of_order=1, examples=(example,), counted_by="trade_id")))
    assert "BTC trade: out of order: without a time, received 2026-06-24T12:00:00.000000Z, in a.jsonl" in out
    assert out.splitlines()[-1].endswith("; 1 out of order.")


def test_files_tell_their_faults() -> None:
    files = (
        FileReport(file="a", state="missing", problems=("it is not there",)),
        FileReport(file="b", state="unfinished", torn="line 3: cut"),
        FileReport(file="c", state="being written", torn="line 3: cut"),
        FileReport(file="d", state="listed", unreadable="two\nlines"),
        FileReport(file="e", state="listed"),
    )
    out = printed(report(series(events=1), files=files))
    assert "  a: it is not there\n" in out
    assert "  b: torn at its end; line 3: cut\n" in out
    assert "  b: left unfinished by a run that died; the next capture to this folder goes on with it\n" in out
    assert "  c: torn at its end, which is just being written; line 3: cut\n" in out
    assert "  d: two lines\n" in out
    assert "  e: " not in out
    assert out.splitlines()[-1] == "Unreadable: 1 event of 1 symbol; 3 files with faults."


def test_runs_are_told_when_one_of_them_is_remarkable() -> None:
    ended = run_of(ended=NOON, exit_code=0)
    assert "Runs" not in printed(report(runs=(ended,)))
    out = printed(
        report(runs=(ended, run_of(), run_of(ended=NOON, exit_code=143, dropped=2, quarantined=1, refused=("Z",))))
    )
    assert "01A from 2026-06-24T12:00:00.000000Z, without an end: it was killed" in out
    assert "exit code 143, 2 dropped, 1 message set aside, refused: Z" in out
    assert out.splitlines()[-1] == "Incomplete: 0 events of 0 symbols; 2 dropped."


def test_a_run_that_goes_on_is_nothing_remarkable() -> None:
    assert "Runs" not in printed(report(runs=(run_of(goes_on=True),)))
    assert "still going on, 1 message set aside" in printed(report(runs=(run_of(goes_on=True, quarantined=1),)))


def test_gaps_beyond_the_list_are_counted() -> None:
    assert "  and 5 more: --all lists them\n" in printed(report(more_gaps=5))
    assert "  and 5 more\n" in printed(report(more_gaps=5), everything=True)


def test_where_the_width_of_the_terminal_is_unknown_it_is_taken_to_be_wide() -> None:
    env = Environment(stdin=io.BytesIO(), stdout=io.BytesIO(), stderr=io.StringIO(), env={}, stdout_isatty=True)
    TextVerdict(env, report(series(events=3))).print()
    assert "complete" in env.stdout.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO
