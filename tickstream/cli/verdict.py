"""What a verification found, printed: as tables and sentences, or as JSON."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tickstream.capture.progress import size
from tickstream.capture.verifying_report import (
    Example,
    FileReport,
    GapReport,
    Hole,
    Report,
    RunReport,
    SeriesReport,
    Verdict,
)
from tickstream.cli.environment import Environment
from tickstream.cli.tables import json_text, text_table
from tickstream.sinks.clean import clean
from tickstream.sinks.encoders import time_hook
from tickstream.timestamps import Timestamp, rfc3339

SHOWN = 10
"""Lines of each list, without --all."""

_HEAD = ("symbol", "type", "events", "first", "last", "missing", "unexplained", "twice", "disorder", "crossed", "")
_RIGHT = frozenset({2, 5, 6, 7, 8, 9})
_STYLES = {"complete": "green", "incomplete": "bold red", "nothing received": "yellow"}


def document(report: Report) -> str:
    """All of it as JSON; numbers of what was found stand beside their sums."""
    plain: dict[str, Any] = msgspec.to_builtins(report, enc_hook=time_hook("iso"))
    for one, series in zip(plain["series"], report.series, strict=True):
        one |= {"unexplained": series.unexplained, "complete": series.complete}
    for one, file in zip(plain["files"], report.files, strict=True):
        one |= {"whole": file.whole}
    speed = {
        "bytes_per_s": round(report.read.megabytes_per_s * 1e6),
        "events_per_s": round(report.read.events_per_s),
        "seconds": round(report.read.seconds, 3),
    }
    return json_text({"verdict": str(report.verdict), **plain, "read": plain["read"] | speed})


def speed_line(report: Report) -> str:
    """How much was read, and how fast."""
    read = report.read
    what = f"{_counted(read.files, 'file')}, {size(read.bytes)}, {_counted(read.events, 'event')}"
    speed = f"{read.megabytes_per_s:,.1f} MB/s, {read.events_per_s:,.0f} events/s"
    return f"read {what} in {read.seconds:.1f} s: {speed}"


class TextVerdict:
    """The report for a reader. `everything`: every hole, gap record and file, not only the first few of each."""

    def __init__(self, env: Environment, report: Report, *, everything: bool = False) -> None:
        self._env = env
        self._report = report
        self._most = None if everything else SHOWN
        self._clean = clean if env.stdout_isatty else str

    def print(self) -> None:
        """Tables first, the verdict last."""
        report = self._report
        if report.series:
            self._table()
        self._list("Missing", self._holes())
        self._list("Twice, out of order, crossed", self._examples())
        self._list("Files", self._files())
        self._list("Runs", list(map(_run_line, report.runs)) if any(map(_is_remarkable, report.runs)) else [])
        self._list("Gap records", list(map(_gap_line, report.gaps)), more=report.more_gaps)
        self._env.print(conclusion(report))

    # --- the table ----------------------------------------------------------------------------------------------------

    def _table(self) -> None:
        several = len({one.provider for one in self._report.series}) > 1
        rows = [_row(one, several) for one in self._report.series]
        if not self._env.colour():
            self._env.print(text_table(_HEAD, [[self._clean(cell) for cell in row] for row in rows], _RIGHT))
        else:
            self._env.print(self._drawn(rows))
        self._env.print()

    def _drawn(self, rows: Sequence[Sequence[str]]) -> str:
        """The same in colours, wrapped to the terminal."""
        import io

        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for at, name in enumerate(_HEAD):
            table.add_column(name, justify="right" if at in _RIGHT else "left", no_wrap=at in (0, 1))
        for row in rows:
            *cells, verdict = (clean(cell) for cell in row)
            warned = [
                Text(cell, "red" if at in _RIGHT and at > 2 and cell != "0" else "") for at, cell in enumerate(cells)
            ]
            table.add_row(*warned, Text(verdict, _STYLES.get(verdict, "")))
        out = io.StringIO()
        width = _columns(self._env)
        Console(file=out, force_terminal=True, width=width, legacy_windows=False, highlight=False).print(table)
        return out.getvalue().rstrip("\n")

    # --- the lists ----------------------------------------------------------------------------------------------------

    def _list(self, title: str, lines: Sequence[str], more: int = 0) -> None:
        if not lines:
            return
        shown = lines[: self._most]
        self._env.print(f"{title}:")
        for line in shown:
            self._env.print(f"  {self._clean(line)}")
        if left := len(lines) - len(shown) + more:
            self._env.print(f"  and {left:,} more" + ("" if self._most is None else ": --all lists them"))
        self._env.print()

    def _holes(self) -> list[str]:
        lines = []
        for series in self._report.series:
            lines += [f"{_name(series)}: {_hole_line(hole)}" for hole in series.holes]
            if series.more_holes:
                lines.append(f"{_name(series)}: and {series.more_holes:,} more")
            if series.uncertain:
                lines.append(
                    f"{_name(series)}: {_counted(series.uncertain, 'gap')} of which nobody knows what they cost"
                )
            if series.untimed:
                lines.append(
                    f"{_name(series)}: {_counted(series.untimed, 'bar')} without a time, which cannot be placed"
                )
        return lines

    def _examples(self) -> list[str]:
        return [f"{_name(series)}: {_example_line(one)}" for series in self._report.series for one in series.examples]

    def _files(self) -> list[str]:
        lines = []
        for file in self._report.files:
            said = list(_file_lines(file))
            if not said and self._most is None:
                said = [f"{file.events:,} events, {size(file.bytes)}, {file.state}"]
            lines += [f"{file.file}: {line}" for line in said]
        return lines


def conclusion(report: Report) -> str:
    """The last line."""
    series, events = report.series, sum(one.events for one in report.series)
    held = f"{_counted(events, 'event')} of {_counted(len({(one.provider, one.symbol) for one in series}), 'symbol')}"
    if report.verdict is Verdict.COMPLETE:
        return f"Complete: {held}, nothing missing."
    faults = [
        *_sum(series, lambda one: one.missing, "missing"),
        *_sum(series, lambda one: one.unexplained, "of them unexplained"),
        *_sum(series, lambda one: one.uncertain, "gap of unknown cost", "gaps of unknown cost"),
        *_sum(series, lambda one: one.duplicates, "twice"),
        *_sum(series, lambda one: one.out_of_order, "out of order"),
    ]
    if broken := sum(not file.whole for file in report.files):
        faults.append(f"{_counted(broken, 'file')} with faults")
    if dropped := sum(run.dropped for run in report.runs):
        faults.append(f"{dropped:,} dropped")
    word = "Unreadable" if report.verdict is Verdict.UNREADABLE else "Incomplete"
    return f"{word}: {held}; {', '.join(faults) or 'there is nothing in it'}."


def _sum(series: Iterable[SeriesReport], of: Callable[[SeriesReport], int], one: str, many: str = "") -> list[str]:
    total = sum(map(of, series))
    return [f"{total:,} {one if total == 1 else many or one}"] if total else []


def _row(one: SeriesReport, several: bool) -> tuple[str, ...]:
    verdict = "complete" if one.complete else "incomplete"
    return (
        f"{one.provider}:{one.symbol}" if several else one.symbol,
        f"{one.type} {one.interval or ''}".strip(),
        f"{one.events:,}",
        _moment(one.first),
        _moment(one.last),
        f"{one.missing:,}" + ("?" if one.uncertain else ""),
        f"{one.unexplained:,}",
        f"{one.duplicates:,}",
        f"{one.out_of_order:,}",
        f"{one.crossed:,}",
        verdict if one.events or not one.complete else "nothing received",
    )


def _moment(ts: Timestamp | None) -> str:
    """To the second: what lies below rarely tells two events of a table apart."""
    return "" if ts is None else rfc3339(ts)[:19] + "Z"


def _name(series: SeriesReport) -> str:
    return f"{series.symbol} {series.type}"


def _hole_line(hole: Hole) -> str:
    why = f"gap record: {hole.explained}" if hole.explained else "unexplained"
    if isinstance(hole.start, Timestamp):
        return f"{hole.missing:,} from {_moment(hole.start)} until {rfc3339(hole.end)[:19]}Z, {why}"
    ids = str(hole.start) if hole.end == hole.start + 1 else f"{hole.start} to {hole.end - 1}"
    return f"{hole.missing:,}: {ids}, {why}"


def _example_line(one: Example) -> str:
    when = f"of {rfc3339(one.at)}" if isinstance(one.at, Timestamp) else "without a time"
    return f"{one.finding.replace('_', ' ')}: {when}, received {rfc3339(one.ts_recv)}, in {one.file}"


def _gap_line(gap: GapReport) -> str:
    missed = "" if gap.missed is None else f", {gap.missed:,} missed"
    return f"{gap.symbol}: {gap.reason} from {rfc3339(gap.start)} to {rfc3339(gap.end)}{missed}"


def _file_lines(file: FileReport) -> Iterable[str]:
    if file.unreadable:
        yield file.unreadable.replace("\n", " ")
    yield from file.problems
    if file.torn:
        writing = ", which is just being written" if file.state == "being written" else ""
        yield f"torn at its end{writing}; {file.torn}"
    if file.bad and not file.unreadable:
        yield f"{_counted(file.bad, 'line')} that cannot be used; {file.bad_lines[0]}"
    if file.state == "unfinished":
        yield "left unfinished by a run that died; the next capture to this folder goes on with it"


def _is_remarkable(run: RunReport) -> bool:
    return (run.ended is None and not run.goes_on) or bool(
        run.exit_code or run.dropped or run.quarantined or run.refused
    )


def _run_line(run: RunReport) -> str:
    parts = [f"{run.run} from {rfc3339(run.started)}"]
    if run.ended is not None:
        parts.append(f"until {rfc3339(run.ended)}, exit code {run.exit_code}")
    else:
        parts.append("still going on" if run.goes_on else "without an end: it was killed")
    if run.dropped:
        parts.append(f"{run.dropped:,} dropped")
    if run.quarantined:
        parts.append(f"{_counted(run.quarantined, 'message')} set aside")
    if run.refused:
        parts.append(f"refused: {', '.join(run.refused)}")
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _columns(env: Environment) -> int:
    given = env.env.get("COLUMNS", "")
    try:
        return int(given) if given.isdigit() else os.get_terminal_size(env.stdout.fileno()).columns
    except (OSError, ValueError):  # no terminal after all
        return 120
