"""What earlier runs left: found through the manifest, put in order, and never mixed up with what others put there."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tests.capture import storing
from tickstream.capture import manifest
from tickstream.capture.compression import CODECS
from tickstream.capture.manifest import PartOpened, Tally
from tickstream.capture.recovery import History, Recovered
from tickstream.capture.store import Store, StoreOptions
from tickstream.capture.template import FileKey
from tickstream.capture.writer import Writer
from tickstream.clock import SystemClock
from tickstream.errors import ConfigError
from tickstream.events import SessionEvent
from tickstream.timestamps import Timestamp

FORMS = [("jsonl", "none"), ("jsonl", "gzip"), ("csv", "zstd"), ("csv", "none"), ("parquet", "none"), ("raw", "none")]


def crashed(base: Path, minutes: range, form: str = "jsonl", compression: str = "none", **more: object) -> None:
    """A run that ends without finishing anything."""
    store = Store(storing.options(base, form, compression, **more), SystemClock())
    store.open()
    storing.store_bars(store, minutes, form, compression)
    crash(store)


def crash(store: Store) -> None:
    """End it when all is synced, without finishing anything."""
    storing.wait_until(lambda: not store.status.waiting_bytes and not store._writer.parts.held, "all is synced")
    store._stop.set()
    store._writer.close = store._writer.parts._open.clear  # type: ignore[method-assign]  # what a crash leaves undone
    store._buffer.stop()
    store._thread.join()
    store._folder.close()


def opened(options: StoreOptions) -> tuple[Store, Recovered]:
    store = Store(options, SystemClock())
    return store, store.open()


def recovered(base: Path, form: str = "jsonl", compression: str = "none", **more: object) -> Recovered:
    store, left = opened(storing.options(base, form, compression, **more))
    store.finish(None)
    return left


# --- how far each symbol had come ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [storing.run_in, crashed], ids=["finished", "crashed"])
@pytest.mark.parametrize(("form", "compression"), [one for one in FORMS if one[0] != "raw"])
def test_a_restart_knows_the_last_of_each_symbol(form: str, compression: str, end: type, tmp_path: Path) -> None:
    end(tmp_path, range(150), form, compression)
    left = recovered(tmp_path, form, compression)
    assert left.resumed
    assert left.asked == set(storing.SYMBOLS)
    for symbol in storing.SYMBOLS:
        last = storing.bar(symbol, 149)
        assert (left.symbols[symbol].ts_event, left.symbols[symbol].ts_recv) == (last.ts_event, last.ts_recv)
        assert left.symbols[symbol].recent == [storing.bar(symbol, minute) for minute in range(50, 150)]


def test_what_a_crash_left_comes_after_what_was_finished_before(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(30))
    crashed(tmp_path, range(30, 60))
    left = recovered(tmp_path)
    for symbol in storing.SYMBOLS:
        assert left.symbols[symbol].recent == [storing.bar(symbol, minute) for minute in range(60)]
    storing.assert_holds(tmp_path, range(60))


def test_a_first_run_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert recovered(tmp_path) == Recovered()


def test_other_feeds_in_the_same_folder_are_not_ours(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(5))
    options = storing.options(tmp_path)
    other = msgspec.structs.replace(options, run=msgspec.structs.replace(options.run, channel="quotes"))
    store, left = opened(other)
    store.finish(None)
    assert left == Recovered()
    assert recovered(tmp_path).symbols.keys() == set(storing.SYMBOLS)


def test_the_highest_epoch_is_known(tmp_path: Path) -> None:
    store, _ = opened(storing.options(tmp_path))
    for provider, epoch in (("tickatlas", 3), ("tickatlas", 2), ("another", 9)):
        event = SessionEvent(provider, 1, epoch, Timestamp(0), "up")
        store.note(manifest.stream_entry(event, "R"))
    store.finish(None)
    assert recovered(tmp_path).epoch == 3


def test_of_several_symbols_in_one_file_the_rare_one_is_found_far_back(tmp_path: Path) -> None:
    key = FileKey("all.jsonl", None)
    store, _ = opened(storing.options(tmp_path))
    rare = [storing.bar("XAUUSD", 0)]
    store.write(key, storing.encoded(rare), Tally.of(rare))
    many = [storing.bar("EURUSD", minute) for minute in range(20_000)]
    store.write(key, storing.encoded(many), Tally.of(many))
    store.finish(None)
    left = recovered(tmp_path)
    assert left.symbols["XAUUSD"].recent == rare
    assert left.symbols["EURUSD"].recent == many[-100:]


def test_files_that_were_taken_away_are_not_missed(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(5))
    for path in storing.data_files(tmp_path):
        path.unlink()
    assert recovered(tmp_path).symbols == {}


# --- what is done with parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "compression"), FORMS)
def test_a_part_is_gone_on_with_by_a_run_of_the_same_kind(form: str, compression: str, tmp_path: Path) -> None:
    crashed(tmp_path, range(30), form, compression)
    parts = storing.data_files(tmp_path)
    assert all(part.name.endswith(".part") for part in parts)
    storing.run_in(tmp_path, range(30, 60), form, compression)
    assert len(storing.data_files(tmp_path)) == len(parts)
    if form == "raw":
        storing.assert_sound(tmp_path)
    else:
        storing.assert_holds(tmp_path, range(60))


@pytest.mark.parametrize("change", [{"compression": "gzip"}, {"form": "csv"}, {"template": "{symbol}-x.jsonl"}])
def test_a_part_of_another_kind_is_finished_as_it_is(change: dict[str, str], tmp_path: Path) -> None:
    crashed(tmp_path, range(30))
    store, _ = opened(storing.options(tmp_path, **change))
    store.finish(None)
    storing.assert_holds(tmp_path, range(30))
    assert {path.suffix for path in storing.data_files(tmp_path)} == {".jsonl"}


def test_a_csv_part_with_other_columns_is_finished_as_it_is(tmp_path: Path) -> None:
    crashed(tmp_path, range(5), "csv")
    options = storing.options(tmp_path, "csv")
    store, _ = opened(msgspec.structs.replace(options, header=b"symbol,close\n"))
    store.write(storing.key("EURUSD", 9, "csv"), b"EURUSD,1.1\n", Tally.of([storing.bar("EURUSD", 9)]))
    store.finish(None)
    names = sorted(path.name for path in tmp_path.rglob("EURUSD/*"))
    assert names == ["2026-06-24-001.csv", "2026-06-24.csv"]
    assert len(storing.records(tmp_path / "tickatlas/bars/EURUSD/2026-06-24.csv")) == 5


def test_a_csv_part_with_only_a_header_is_nothing(tmp_path: Path) -> None:
    crashed(tmp_path, range(1), "csv")
    header = storing.options(tmp_path, "csv").header
    for part in storing.data_files(tmp_path):
        part.write_bytes(header)
    recovered(tmp_path, "csv")
    assert storing.data_files(tmp_path) == []
    assert [entry["reason"] for entry in storing.of_type(tmp_path, "deleted")] == ["empty", "empty"]


def test_what_a_crash_has_torn_is_moved_aside_and_noted(tmp_path: Path) -> None:
    crashed(tmp_path, range(5))
    part = next(tmp_path.rglob("EURUSD/*.part"))
    with part.open("ab") as file:
        file.write(b'{"type":"bar","sym')
    store, _ = opened(storing.options(tmp_path))
    assert [notice.code for notice in store.take_notices()] == ["torn"]
    store.finish(None)
    storing.assert_holds(tmp_path, range(5))
    (entry,) = storing.of_type(tmp_path, "torn")
    assert (tmp_path / entry["saved_to"]).read_bytes() == b'{"type":"bar","sym'
    assert entry["file"] == "tickatlas/bars/EURUSD/2026-06-24.jsonl.part"
    assert entry["bytes"] == 18


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("torn", [b"", b"\0" * 20, b"{"], ids=["empty", "zeros", "torn"])
def test_a_part_without_a_whole_record_is_struck_off_and_its_name_is_used_again(
    tmp_path: Path, compression: str, torn: bytes
) -> None:
    crashed(tmp_path, range(3), compression=compression)
    for part in tmp_path.rglob("*.part"):
        part.write_bytes(torn)
    storing.resume_in(tmp_path, range(5), compression=compression)
    storing.assert_holds(tmp_path, range(5))
    assert {entry["reason"] for entry in storing.of_type(tmp_path, "deleted")} == {"empty"}


def test_a_new_part_never_has_the_name_of_one_whose_end_is_still_to_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(tmp_path, range(10))
    for part in list(tmp_path.rglob("*.part")):
        part.rename(part.with_suffix(""))  # the crash came before the manifest said so
    with monkeypatch.context() as busy:
        busy.setattr(Writer, "step", lambda _writer: False)
        store, left = opened(storing.options(tmp_path))
        storing.store_new(store, left, range(20), "jsonl", "none")
        storing.wait_until(lambda: not store.status.waiting_bytes, "new parts are announced and written")
    storing.wait_until(lambda: store.tick() or not store._writer._jobs, "the old ones are listed")  # type: ignore[func-returns-value]  # it goes on ticking
    crash(store)
    storing.resume_in(tmp_path, range(30))
    storing.assert_holds(tmp_path, range(30))


def test_a_part_that_somebody_has_deleted_is_struck_off(tmp_path: Path) -> None:
    crashed(tmp_path, range(5))
    for part in storing.data_files(tmp_path):
        part.unlink()
    recovered(tmp_path)
    assert len(storing.of_type(tmp_path, "deleted")) == 2
    recovered(tmp_path)
    assert len(storing.of_type(tmp_path, "deleted")) == 2


def test_a_file_of_somebody_else_is_never_taken_for_ours(tmp_path: Path) -> None:
    crashed(tmp_path, range(5))
    folder = tmp_path / "tickatlas/bars/EURUSD"
    foreign = folder / "2026-06-24.jsonl"
    foreign.write_bytes(b"theirs\n")
    (folder / "2026-06-23.jsonl").write_bytes(b"theirs too\n")
    recovered(tmp_path)
    assert foreign.read_bytes() == b"theirs\n"
    listed = {entry["file"] for entry in storing.of_type(tmp_path, "file")}
    assert "tickatlas/bars/EURUSD/2026-06-24-001.jsonl" in listed
    assert "tickatlas/bars/EURUSD/2026-06-24.jsonl" not in listed


def test_a_file_that_has_both_names_keeps_the_right_one(tmp_path: Path) -> None:
    crashed(tmp_path, range(5))
    for part in storing.data_files(tmp_path):
        os.link(part, part.with_name(part.name.removesuffix(".part")))
    recovered(tmp_path)
    storing.assert_holds(tmp_path, range(5))


def test_a_manifest_that_names_places_outside_moves_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "precious.part"
    outside.write_bytes(b"no line end")
    base = tmp_path / "base"
    storing.run_in(base, range(1))
    for part, file in (("../precious.part", "x"), ("y.part", "../x"), (str(outside), "z"), ("..\\precious.part", "w")):
        entry = PartOpened(
            run="R", ts=Timestamp(0), file=file, part=part, format="jsonl", compression="none", provider="p"
        )
        with (base / "manifest.jsonl").open("ab") as file_:
            file_.write(manifest.lines([entry]))
    store, _ = opened(storing.options(base))
    assert [notice.code for notice in store.take_notices()] == ["not_finished"] * 4
    store.finish(None)
    assert outside.read_bytes() == b"no line end"


def test_a_part_whose_compression_is_not_installed_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(tmp_path, range(5), "jsonl", "zstd")
    part = storing.data_files(tmp_path)[0]
    part.write_bytes(part.read_bytes()[:-3])

    def missing(*_args: object) -> None:
        raise ConfigError("zstd is not installed")

    with monkeypatch.context() as without:
        without.setattr(type(CODECS["zstd"]), "_zstd", missing)
        store, left = opened(storing.options(tmp_path))
        codes = {notice.code for notice in store.take_notices()}
        store.finish(None)
    assert codes == {"not_finished"}
    assert "EURUSD" not in left.symbols
    assert part.exists()
    recovered(tmp_path)
    assert not part.exists()


def test_a_manifest_that_has_gone_is_begun_anew_and_old_files_stay(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(5))
    (tmp_path / "manifest.jsonl").unlink()
    storing.run_in(tmp_path, range(5, 10))
    names = sorted(path.name for path in storing.data_files(tmp_path))
    assert names == ["2026-06-24-001.jsonl"] * 2 + ["2026-06-24.jsonl"] * 2


def test_the_history_knows_what_is_open_and_what_is_finished(tmp_path: Path) -> None:
    storing.run_in(tmp_path, range(5))
    crashed(tmp_path, range(5, 8))
    history = History.of(tmp_path)
    assert len(history.runs) == 2
    assert sorted(history.open) == [f"tickatlas/bars/{one}/2026-06-24.jsonl.part" for one in sorted(storing.SYMBOLS)]
    assert sorted(history.files) == [f"tickatlas/bars/{one}/2026-06-24.jsonl" for one in sorted(storing.SYMBOLS)]
