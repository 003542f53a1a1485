"""The ends of files: the last events in their order, however the file is made, and no more read than needed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture import storing
from tickstream.capture import last_records, survey
from tickstream.capture.codec import BLOCK, Plain
from tickstream.capture.compression import CODECS
from tickstream.capture.last_records import RECENT, Ends

SYMBOLS = frozenset(storing.SYMBOLS)


def file_of(folder: Path, form: str, compression: str, minutes: range, group: int = 50) -> Path:
    codec = CODECS[compression]
    groups = [minutes[at : at + group] for at in range(0, len(minutes), group)]
    pieces = [storing.encoded([storing.bar("EURUSD", minute) for minute in some], form) for some in groups]
    header = storing.options(folder, form).header
    path = folder / f"x.{form}{codec.suffix}"
    path.write_bytes((codec.member(header) if header else b"") + b"".join(map(codec.member, pieces)))
    return path


def ends_of(path: Path, compression: str, *symbols: str) -> Ends:
    ends = Ends(SYMBOLS)
    ends.read(path, CODECS[compression], "tickatlas", frozenset(symbols or ["EURUSD"]))
    return ends


@pytest.mark.parametrize("compression", sorted(CODECS))
@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("count", [1, 49, 50, 51, 230])
def test_the_last_events_are_there_in_their_order(form: str, compression: str, count: int, tmp_path: Path) -> None:
    path = file_of(tmp_path, form, compression, range(count))
    left = ends_of(path, compression).found()["EURUSD"]
    assert left.recent == [storing.bar("EURUSD", minute) for minute in range(max(0, count - RECENT), count)]
    assert left.ts_event == storing.bar("EURUSD", count - 1).ts_event


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path, "jsonl", "gzip", range(40_000), group=100)
    read = 0
    events_of = survey.events_of

    def counting(*args: object) -> Iterator[object]:
        nonlocal read
        for events in events_of(*args):  # type: ignore[arg-type]  # passed on
            read += len(events)
            yield events

    monkeypatch.setattr(survey, "events_of", counting)
    ends = ends_of(path, "gzip")
    assert len(ends.found()["EURUSD"].recent) == RECENT
    assert read == 100


def test_a_wildcard_wants_whatever_there_is(tmp_path: Path) -> None:
    path = file_of(tmp_path, "jsonl", "none", range(5))
    for asked, there in (("*", {"EURUSD"}), ("XAUUSD", set())):
        ends = Ends(frozenset([asked]))
        assert ends.wanting(frozenset(["EURUSD"])) == ends.missing(frozenset(["EURUSD"])) == there
        ends.read(path, CODECS["none"], "tickatlas", frozenset(["EURUSD"]))
        assert ends.found().keys() == there


@given(st.lists(st.integers(0, 2 * BLOCK), max_size=6), st.booleans())
def test_lines_are_never_cut_however_long(lengths: list[int], small: bool) -> None:
    lines = [
        bytes([97 + number]) * (length // 1000 if small else length) + b"\n" for number, length in enumerate(lengths)
    ]
    data = b"".join(lines)
    pieces = list(last_records._lines_back(io.BytesIO(data)))
    assert b"".join(data[start:end] for start, end in reversed(pieces)) == data
    assert all(data[end - 1 : end] == b"\n" for _, end in pieces)
    assert [end for _, end in pieces] == [len(data), *(start for start, _ in pieces[:-1])][: len(pieces)]


def test_a_member_that_was_damaged_is_passed_over(tmp_path: Path) -> None:
    path = file_of(tmp_path, "jsonl", "gzip", range(150))
    with path.open("rb") as file:
        members = list(CODECS["gzip"].members(file))
    data = bytearray(path.read_bytes())
    data[members[1].end - 12] ^= 0xFF
    path.write_bytes(data)
    minutes = [bar.ts_event for bar in ends_of(path, "gzip").found()["EURUSD"].recent]
    kept = [*range(50), *range(100, 150)]
    assert minutes == [storing.bar("EURUSD", minute).ts_event for minute in kept]


def test_a_file_that_is_no_member_at_all_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(b"not gzip, and long enough to see that it is none")
    assert ends_of(path, "gzip").found() == {}


def test_symbols_that_nobody_asked_for_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(storing.encoded([storing.bar("OTHER", 1), storing.bar("EURUSD", 2)]))
    ends = ends_of(path, "none", "EURUSD", "XAUUSD", "OTHER")
    assert ends.found().keys() == {"EURUSD"}
    assert ends.missing(SYMBOLS) == {"XAUUSD"}
    assert ends.wanting(SYMBOLS) == SYMBOLS


def test_what_cannot_be_told_is_passed_over(tmp_path: Path) -> None:
    assert list(survey.events_of([b"a;b\n1;2\n"], "x.txt", None)) == []
    assert list(survey.events_of([], "x.jsonl", None)) == []
    broken = tmp_path / "x.parquet"
    broken.write_bytes(b"PAR1 this is none PAR1")
    assert [event for events in survey.events_in(broken, Plain(), None) for event in events] == []


def test_a_finished_file_that_cannot_be_read_does_not_stop_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickstream.capture.store import Store
    from tickstream.clock import SystemClock

    storing.run_in(tmp_path, range(5))

    def fail(*_args: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Ends, "read", fail)
    store = Store(storing.options(tmp_path), SystemClock())
    recovered = store.open()
    assert [notice.code for notice in store.take_notices()] == ["not_read", "not_read"]
    assert recovered.symbols == {}
    store.finish(None)
