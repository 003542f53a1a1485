"""From batches to files through a real store: each format, gaps, the manifest, and what is given up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.capture.storing import options, run_start, summary
from tests.pipeline.events import at, bar, batch, notice, session
from tickstream.capture import manifest, sink
from tickstream.capture.manifest import FileFinished
from tickstream.capture.sink import FORMATS, CaptureSink, header
from tickstream.capture.store import Store
from tickstream.capture.template import PathTemplate
from tickstream.clock import FakeClock, SystemClock
from tickstream.errors import OutputError, UsageError
from tickstream.events import Batch, Gap
from tickstream.sinks.output import Abandoned
from tickstream.subscriptions import Channel

GAP = Gap("tickatlas", ("EURUSD", "XAUUSD"), "disconnect", at(0), at(1), 1, 1, 4)


class Capture:
    """A sink over a store in a folder; leaving the context closes it."""

    def __init__(self, base: Path, form: str = "jsonl", **more: Any) -> None:
        self.base = base
        self.clock = FakeClock()
        """Of the sink: how long it gathers."""
        self.store = Store(options(base, form, **more), SystemClock())
        self.sink = CaptureSink(
            self.store, PathTemplate(str(base), format=form), run_start(base, form), Channel.BARS, self.clock, "1m"
        )

    def __enter__(self) -> CaptureSink:
        self.store.open()
        return self.sink

    def __exit__(self, *_: object) -> None:
        self.sink.close()
        self.sink.close()

    def entries(self, kind: type) -> list[Any]:
        return [entry for entry in manifest.read(self.base) if isinstance(entry, kind)]

    def lines(self, file: str) -> list[str]:
        return (self.base / "tickatlas" / file).read_text().splitlines()


def last_words(*events: Any) -> Batch:
    return Batch(0, 0, at(9), list(events))


def test_lines_of_json_hold_bars_and_the_gaps_of_their_symbol(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    with capture as out:
        out.write(batch(1, session("up", 0), GAP, bar("EURUSD", 1), bar("XAUUSD", 1)))
        out.flush()
        out.write(last_words(summary()))
    gap, data = (json.loads(line) for line in capture.lines("bars/EURUSD/2026-06-24.jsonl"))
    assert (gap["type"], gap["symbols"], data["symbol"]) == ("gap", ["EURUSD"], "EURUSD")
    files = {entry.file: entry for entry in capture.entries(FileFinished)}
    assert {(entry.events, entry.gaps, entry.missed) for entry in files.values()} == {(1, 1, None)}
    [whole] = capture.entries(Gap)
    assert whole.symbols == GAP.symbols
    [end] = capture.entries(manifest.RunEnd)
    assert end.exit_code == 0


@pytest.mark.parametrize("form", ["csv", "raw", "parquet"])
def test_other_files_hold_market_data_only(tmp_path: Path, form: str) -> None:
    capture = Capture(tmp_path, form)
    with capture as out:
        out.write(batch(1, GAP, bar("EURUSD", 1), payloads=[b'{"a":1}']))
        out.write(batch(2, GAP))
    [entry] = capture.entries(FileFinished)
    assert (entry.events, entry.gaps, entry.symbols) == (1, 0, {"EURUSD": {"bar": 1}})
    assert len(capture.entries(Gap)) == 2
    if form == "raw":
        [line] = capture.lines("raw/2026-06-24.jsonl")
        assert json.loads(line)["payload"] == {"a": 1}


def test_a_csv_file_begins_with_its_columns_others_with_their_data() -> None:
    assert header("csv", Channel.BARS).startswith(b"type,provider,symbol,ts_event,ts_recv,interval,open")
    assert {header(form, Channel.BARS) for form in FORMATS if form != "csv"} == {b""}


def test_a_format_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    run = msgspec.structs.replace(run_start(tmp_path), format="xml")
    store, template = Store(options(tmp_path), SystemClock()), PathTemplate(str(tmp_path), format="jsonl")
    with pytest.raises(UsageError, match="none of jsonl"):
        CaptureSink(store, template, run, Channel.BARS, SystemClock())


@pytest.mark.parametrize(("form", "left"), [("jsonl", 2), ("raw", 3)])
def test_what_is_given_up_is_counted_in_events(tmp_path: Path, form: str, left: int) -> None:
    """Nobody writes here, since the store was never opened: it has room for one piece."""
    capture = Capture(tmp_path, form, buffer_bytes=1, abandon=lambda: True)
    three = batch(1, *(bar(symbol, 1) for symbol in ("EURUSD", "XAUUSD", "BTCUSD")), payloads=[b"{}"] * 3)
    if form == "raw":
        capture.sink.write(three)
    capture.clock.advance(1)
    with pytest.raises(Abandoned):
        capture.sink.write(three)
    assert capture.sink.lost == left


def test_what_the_store_could_not_write_is_lost_too(tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.store.open()
    (tmp_path / "tickatlas").write_text("a file in the way")
    capture.sink.write(batch(1, bar("EURUSD", 1), bar("XAUUSD", 1)))
    with pytest.raises(OutputError):
        capture.sink.flush()
    with pytest.raises(OutputError):
        capture.sink.close()
    assert capture.sink.lost == 2


def test_a_flood_of_notices_does_not_fill_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "NOTICES_KEPT", 3)
    capture = Capture(tmp_path)
    with capture as out:
        for number in range(9):
            out.write(batch(number, notice("bad", number)))
    assert len(capture.entries(type(notice("bad", 0)))) == 3


def test_a_batch_that_comes_alone_is_handed_over_at_once_and_those_behind_it_together(tmp_path: Path) -> None:
    capture = Capture(tmp_path, buffer_bytes=10**6)  # never opened, so what was handed over stays there
    one = batch(1, bar("EURUSD", 1))
    waiting = [capture.store.status.waiting_bytes]
    for seconds in (0.0, 0.001, 0.03):
        capture.clock.advance(seconds)
        capture.sink.write(one)
        waiting.append(capture.store.status.waiting_bytes)
    assert waiting[0] < waiting[1] == waiting[2]
    assert waiting[3] == 3 * waiting[1]
    capture.sink.write(one)
    assert capture.store.status.waiting_bytes == waiting[3]
    capture.sink.check()
    assert capture.store.status.waiting_bytes == 4 * waiting[1]
