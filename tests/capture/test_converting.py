from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings

from tests.capture.reads import read_bytes
from tests.capture.strategies import events
from tests.capture.test_json_lines import written
from tests.sinks.making import bar, gap, notice, quote, trade
from tickstream.capture.chunks import CHUNK_BYTES
from tickstream.capture.compression import CODECS
from tickstream.capture.converting import LOOK_AHEAD, MEMBER_BYTES, SHOWN, Outcome, Wanted, convert
from tickstream.capture.reading import ReadOptions, Source, sources
from tickstream.errors import ConfigError, InputError, UsageError
from tickstream.events import EVENT_TYPES, Event


class Memory:
    """A target in memory that can be begun anew."""

    def __init__(self) -> None:
        self.data = b""
        self.begun = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[BinaryIO]:
        self.begun += 1
        file = io.BytesIO()
        yield file
        self.data = file.getvalue()


def stdin(data: bytes) -> list[Source]:
    return sources(["-"], ReadOptions(stdin=io.BytesIO(data)))


def converted(data: bytes, again: bool = False, **wanted: Any) -> bytes:
    target = Memory()
    convert(stdin(data), target, Wanted(**wanted), again=again)
    return target.data


@given(events(list(EVENT_TYPES.values())))
@settings(deadline=None, max_examples=40)
def test_lines_come_back_from_parquet_byte_for_byte(some: list[Event]) -> None:
    data = written(some)
    target = Memory()
    with contextlib.suppress(UsageError):  # of a type that comes late, in a pipe
        convert(stdin(data), target, Wanted(format="parquet"), again=False)
        assert converted(target.data, format="jsonl") == (data if some else b"")


@pytest.mark.parametrize("time", ["iso", "us", "ns"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("format_", ["jsonl", "csv", "parquet"])
def test_lines_come_back_from_everywhere_byte_for_byte(format_: Any, compression: str, time: Any) -> None:
    data = written([bar(minute=minute) for minute in range(50)], time)
    there = converted(data, format=format_, compression=compression)
    assert converted(there, format="jsonl") == data


def test_several_files_become_one_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(written([bar(minute=0), bar(minute=1)]))
    (tmp_path / "a.jsonl").write_bytes(written([bar(minute=2)]))
    target = Memory()
    steps: list[tuple[int, int]] = []
    outcome = convert(sources([tmp_path]), target, Wanted(format="jsonl"), progress=lambda *seen: steps.append(seen))
    assert target.data == written([bar(minute=minute) for minute in range(3)])
    assert (outcome.events, outcome.bad) == (3, 0)
    size = len(target.data)
    assert steps[-1] == (size, size)


def test_times_are_as_in_the_input_or_as_asked_for() -> None:
    assert converted(written([bar()], "us"), format="csv").count(b"1782312840000000,") == 1
    assert converted(written([bar()], "us"), format="csv", time="iso").count(b"2026-06-24T14:54:00.000000Z") == 1


def test_compressed_lines_are_in_members_of_about_a_mebibyte() -> None:
    data = written([bar(minute=minute) for minute in range(12_000)])
    packed = converted(data, format="jsonl", compression="gzip")
    members = list(CODECS["gzip"].members(io.BytesIO(packed)))
    assert len(members) == len(data) // MEMBER_BYTES
    assert read_bytes(packed).lines == 12_000


# --- columns ----------------------------------------------------------------------------------------------------------

LATE = [*[bar(minute=minute) for minute in range(2000)], quote(), trade(), gap(), bar()]


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_type_that_comes_late_gets_its_columns_when_one_can_begin_again(tmp_path: Path, format_: Any) -> None:
    (tmp_path / "x.jsonl").write_bytes(written(LATE))
    target = Memory()
    outcome = convert(sources([tmp_path]), target, Wanted(format=format_))
    assert target.begun == 2
    assert outcome.events == len(LATE)
    without = [event for event in LATE if event != gap()] if format_ == "csv" else LATE
    assert read_bytes(target.data).events == without


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_type_that_comes_late_in_a_pipe_is_refused(format_: Any) -> None:
    with pytest.raises(UsageError, match="a quote comes behind events of other types"):
        converted(written(LATE), format=format_)


def test_types_that_come_early_have_their_columns_at_once() -> None:
    some: list[Event] = [gap(), notice(), bar(), quote(), trade()]
    assert read_bytes(converted(written(some), format="csv")).events == some[2:]
    assert read_bytes(converted(written(some), format="parquet")).events == some


def test_a_file_without_market_data_has_no_columns() -> None:
    assert converted(written([gap(), notice()]), format="csv") == b""
    assert read_bytes(converted(written([gap(), notice()]), format="parquet")).events == [gap(), notice()]
    assert converted(b"", format="csv") == b""


def test_what_is_held_until_market_data_comes_is_bounded(tmp_path: Path) -> None:
    line = written([gap()])
    (tmp_path / "x.jsonl").write_bytes(line * ((LOOK_AHEAD + 1) * CHUNK_BYTES // len(line)) + written([bar()]))
    target = Memory()
    convert(sources([tmp_path]), target, Wanted(format="csv"))
    assert target.begun == 2, "the columns came too late for the first time"
    assert target.data.count(b"\n") == 2


def test_fields_may_be_picked() -> None:
    data = written([bar(), gap()])
    assert converted(data, format="csv", fields=("symbol", "close")) == b"symbol,close\nEURUSD,1.1345\n"
    assert converted(data, format="jsonl", fields=("close", "symbol")).startswith(
        b'{"close":1.1345,"symbol":"EURUSD"}\n'
    )
    assert converted(written(LATE), format="csv", fields=("symbol",)).count(b"\n") == 2004


def test_formulas_are_defused_unless_one_asks_for_the_text_itself() -> None:
    data = written([bar("=1+1")])
    assert b",'=1+1," in converted(data, format="csv")
    assert b",=1+1," in converted(data, format="csv", csv_raw=True)


def test_what_csv_cannot_hold_is_counted() -> None:
    outcome = convert(stdin(written([bar(), gap(), notice(), gap()])), Memory(), Wanted(format="csv"), again=False)
    assert (outcome.events, outcome.left_out) == (4, {"gap": 2, "notice": 1})


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_bad_lines_are_counted_and_the_first_are_shown() -> None:
    data = (written([bar()]) + b"rubbish\n") * 30 + b'{"torn'
    target = Memory()
    outcome: Outcome = convert(stdin(data), target, Wanted(format="jsonl"))
    assert (outcome.events, outcome.bad, len(outcome.first_bad)) == (30, 31, SHOWN)
    assert target.data == written([bar()]) * 30


def test_a_file_of_rubbish_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^-:1: .*nothing at all could be used") as error:
        converted(b"rubbish\n", format="jsonl")
    assert "--columns" in error.value.hint


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UsageError, match="--fields"):
        Wanted(format="parquet", fields=("bid",)).check()
    with pytest.raises(UsageError, match="no field 'bidd'"):
        Wanted(format="csv", fields=("bidd",)).check()
    Wanted(format="jsonl", fields=("bid",)).check()
    Wanted(format="csv", compression="zstd", fields=("side", "level")).check()


def test_what_is_not_installed_is_said_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pyarrow"):
        Wanted(format="parquet").check()
