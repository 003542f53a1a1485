"""The manifest: append-only, whole after every crash, and readable by programs that know less, or more."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture import storing
from tickstream.capture import manifest
from tickstream.capture.manifest import FileFinished, Manifest, PartOpened, RunEnd, Tally
from tickstream.clock import FakeClock
from tickstream.events import Bar, Event, Gap, Notice, SessionEvent, Summary
from tickstream.timestamps import Timestamp

NOW = FakeClock().now_ns()
FILE = FileFinished(
    run="R", file="a/x.jsonl", format="jsonl", compression="none", events=3, first=NOW, last=None,
    symbols={"EURUSD": {"bar": 3}}, gaps=1, missed=None, bytes=100, sha256="00", finished=NOW, part="a/x.jsonl.part",
)  # fmt: skip


def opened(base: Path) -> Manifest:
    one = Manifest(base)
    one.open(FakeClock())
    return one


def test_entries_are_plain_json_lines_and_come_back_as_they_were(tmp_path: Path) -> None:
    one = opened(tmp_path)
    part = PartOpened(run="R", ts=NOW, file="a/x", part="a/x.part", format="csv", compression="gzip", symbol="é")
    one.append(manifest.lines([storing.run_start(tmp_path), part]))
    one.append(manifest.lines([FILE]))
    one.close()
    plain = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [entry["type"] for entry in plain] == ["run", "part", "file"]
    assert plain[2]["first"] == "2026-06-24T14:54:00.000000Z"
    assert plain[2]["last"] is None
    assert list(manifest.read(tmp_path))[1:] == [part, FILE]


def test_events_of_the_stream_carry_their_run(tmp_path: Path) -> None:
    gap = Gap("p", ("EURUSD",), "disconnect", NOW, Timestamp(NOW + 10**9), missed=2)
    summary = Summary("p", NOW, 1.5, 0, 3, 3, 0, 0, 0, 0, 1, None, 0, 1, (), 5, None, None)
    events: list[Event] = [gap, Notice("p", NOW, "code", "words"), SessionEvent("p", 1, 2, NOW, "up"), summary]
    one = opened(tmp_path)
    for event in events:
        one.append(manifest.stream_entry(event, "R"))
    one.close()
    plain = storing.entries(tmp_path)
    assert [(entry["type"], entry["run"]) for entry in plain] == [
        ("gap", "R"), ("notice", "R"), ("session", "R"), ("end", "R"),
    ]  # fmt: skip
    assert plain[3]["written"] == 3
    back = list(manifest.read(tmp_path))
    assert back[:3] == events[:3]
    end = back[3]
    assert isinstance(end, RunEnd)
    assert (end.run, end.exit_code) == ("R", 0)


def test_a_torn_last_line_is_cut_off_and_kept(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.append(manifest.lines([FILE]))
    one.close()
    whole = one.path.read_bytes()
    for cut in range(1, len(whole)):
        one.path.write_bytes(whole + whole[:cut])
        again = Manifest(tmp_path)
        done = again.open(FakeClock())
        again.append(manifest.lines([FILE]))
        again.close()
        assert done is not None
        assert done.saved_to.read_bytes() == whole[:cut]
        assert one.path.read_bytes() == whole + whole
        done.saved_to.unlink()


def test_what_others_wrote_into_it_is_passed_on_or_passed_over(tmp_path: Path) -> None:
    one = opened(tmp_path)
    one.append(b'{"type":"of the future","x":1}\n[1]\nnot json\n\xff\n{"type":"file","run":5}\n{"no type":1}\n\n')
    one.append(manifest.lines([FILE]))
    one.close()
    assert list(manifest.read(tmp_path)) == [
        {"type": "of the future", "x": 1}, {"type": "file", "run": 5}, {"no type": 1}, FILE,
    ]  # fmt: skip


def test_a_folder_without_a_manifest_has_no_entries(tmp_path: Path) -> None:
    assert list(manifest.read(tmp_path)) == []


def test_lines_are_added_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = opened(tmp_path)
    one.append(manifest.lines([FILE]))
    write, calls = os.write, 0

    def full(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:20])

    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            one.append(manifest.lines([FILE]))
    monkeypatch.undo()
    one.append(manifest.lines([FILE]))
    one.close()
    one.close()
    assert len(storing.entries(tmp_path)) == 2


def test_it_knows_when_it_was_taken_away(tmp_path: Path) -> None:
    one = Manifest(tmp_path)
    assert not one.is_there()
    one.open(FakeClock())
    assert one.is_there()
    one.path.rename(tmp_path / "elsewhere")
    assert not one.is_there()
    one.path.write_text("another")
    assert not one.is_there()
    one.close()


def test_the_name_of_a_run_is_a_ulid_that_sorts_by_time() -> None:
    ids = [manifest.run_id(ms * 1_000_000) for ms in (0, 1, 1_782_312_840_000, 1_782_312_840_001, 2**48 - 1)]
    assert ids == sorted(ids)
    assert all(len(one) == 26 and set(one) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for one in ids)
    assert ids[0].startswith("0000000000")
    assert ids[-1].startswith("7ZZZZZZZZZ"), "github.com/ulid/spec: the largest"
    assert len({manifest.run_id(0) for _ in range(100)}) == 100


# --- tallies ---------------------------------------------------------------------------------------------------------

BARS = st.builds(storing.bar, st.sampled_from(["EURUSD", "XAUUSD", "BRK/B"]), st.integers(0, 5000))
GAPS = st.builds(
    lambda missed: Gap("p", ("EURUSD",), "disconnect", NOW, NOW, missed=missed), st.none() | st.integers(0, 9)
)
EVENTS = st.lists(BARS | GAPS | st.just(Notice("p", NOW, "c", "w")))


@given(EVENTS, EVENTS)
def test_tallies_add_up(some: list[Event], more: list[Event]) -> None:
    both = Tally.of(some)
    both.add(Tally.of(more))
    assert both == Tally.of(some + more)


@given(EVENTS)
def test_a_tally_counts_events_by_symbol_and_type_and_gaps_apart(events: list[Event]) -> None:
    tally = Tally.of(events)
    bars = [event for event in events if isinstance(event, Bar)]
    gaps = [event for event in events if isinstance(event, Gap)]
    assert tally.events == len(bars) == sum(kinds["bar"] for kinds in tally.symbols.values())
    assert tally.gaps == len(gaps)
    assert tally.missed == (None if any(gap.missed is None for gap in gaps) else sum(gap.missed or 0 for gap in gaps))
    times = [bar.ts_event for bar in bars if bar.ts_event is not None]
    assert (tally.first, tally.last) == (min(times, default=None), max(times, default=None))


def test_an_event_without_a_time_counts_and_stretches_nothing() -> None:
    bar = storing.bar("EURUSD", 0)
    timeless = Bar("p", "EURUSD", None, NOW, "1m", bar.open, bar.high, bar.low, bar.close)
    tally = Tally.of([timeless])
    assert (tally.events, tally.first, tally.last) == (1, None, None)


@pytest.mark.parametrize(
    "line",
    [b'{"type":"zzz", rubbish', b'{"type":"file","events":"x", rubbish', b"\xff", b"[" * 100_000, b"[1]", b"",
     b'{"type":"gap","provider":"x","symbols":[],"reason":"torn","from":"noon","to":"noon", x'],
)  # fmt: skip
def test_a_line_that_is_no_entry_is_left_out(tmp_path: Path, line: bytes) -> None:
    (tmp_path / manifest.NAME).write_bytes(line + b"\n" + b'{"type":"tomorrow"}\n')
    assert list(manifest.read(tmp_path)) == [{"type": "tomorrow"}]


def test_an_entry_with_a_time_that_is_no_text_comes_as_it_is(tmp_path: Path) -> None:
    line = b'{"type":"gap","provider":"x","symbols":[],"reason":"torn","from":1,"to":2}'
    (tmp_path / manifest.NAME).write_bytes(line + b"\n")
    [entry] = manifest.read(tmp_path)
    assert isinstance(entry, dict)
    assert entry["from"] == 1
