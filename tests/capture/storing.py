"""What tests of the writing side share: records to store, runs that store them, and an independent look at the disk.

As a program it is such a run: `python -m tests.capture.storing BASE FORMAT COMPRESSION FROM TO` stores the minutes
[FROM, TO) of two symbols, going on where the runs before it ended.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tickstream.capture import manifest
from tickstream.capture.manifest import RunStart, Tally
from tickstream.capture.recovery import Recovered
from tickstream.capture.rotation import Rotation
from tickstream.capture.store import Store, StoreOptions
from tickstream.capture.template import FileKey, PathTemplate
from tickstream.clock import SystemClock
from tickstream.events import Bar, Summary
from tickstream.numbers import number
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.fields import default_columns
from tickstream.sinks.rows import CsvEncoder
from tickstream.subscriptions import Channel
from tickstream.timestamps import NS_PER_SECOND, Timestamp

START_NS = 1_782_312_840 * NS_PER_SECOND
"""2026-06-24T14:54:00Z."""
MINUTE_NS = 60 * NS_PER_SECOND
SYMBOLS = ("EURUSD", "XAUUSD")
DEADLINE_S = 20.0
ROTATION = Rotation(size=8192)

_json = JsonEncoder(None, "iso", events=True)
_csv = CsvEncoder(default_columns(Channel.BARS), "iso")


def bar(symbol: str, minute: int) -> Bar:
    """The bar of a minute, counted from the start; received when it was over."""
    ts = Timestamp(START_NS + minute * MINUTE_NS)
    low, high = number("1.08430"), number(f"1.{10000 + minute}")
    return Bar("tickatlas", symbol, ts, Timestamp(ts + MINUTE_NS), "1m", low, high, low, high)


def summary() -> Summary:
    """The account of a run."""
    return Summary("tickatlas", Timestamp(START_NS), 1.5, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 2, (), 5, None, None)


def run_start(base: Path, form: str = "jsonl", compression: str = "none", template: str = "") -> RunStart:
    """The entry of a run."""
    path = PathTemplate(template or str(base), format=form, compression=compression)
    now = SystemClock().now_ns()
    return RunStart(
        run=manifest.run_id(now),
        started=now,
        pid=os.getpid(),
        version="0",
        provider="tickatlas",
        channel="bars",
        symbols=SYMBOLS,
        format=form,
        compression=compression,
        template=path.text,
        command=("tickstream", "capture"),
    )


def options(
    base: Path, form: str = "jsonl", compression: str = "none", template: str = "", **more: Any
) -> StoreOptions:
    """What a run asks of its store; synced often, so that tests need not wait."""
    more.setdefault("fsync_interval_s", 0.02)
    header = _csv.header() if form == "csv" else b""
    return StoreOptions(base=base, run=run_start(base, form, compression, template), header=header, **more)


def key(symbol: str, minute: int, form: str = "jsonl", compression: str = "none", template: str = "x") -> FileKey:
    """The file of this bar."""
    values = {"provider": "tickatlas", "channel": "bars", "symbol": symbol, "interval": "1m"}
    path = PathTemplate(template, format=form, compression=compression)
    return path.key(START_NS + minute * MINUTE_NS, values)


def encoded(bars: list[Bar], form: str = "jsonl") -> bytes:
    """These bars as lines of a file."""
    if form == "raw":
        return b"".join(b'{"ts_recv":"2026-06-24T14:55:00.000000Z","session":1,"epoch":1,"payload":{}}\n' for _ in bars)
    return _csv.encode(list(bars)) if form == "csv" else _json.encode(list(bars))


def store_bars(store: Store, minutes: range, form: str = "jsonl", compression: str = "none") -> None:
    """Write these minutes of all symbols, each bar by itself."""
    for minute in minutes:
        for symbol in SYMBOLS:
            one = [bar(symbol, minute)]
            store.write(key(symbol, minute, form, compression), encoded(one, form), Tally.of(one))


def run_in(base: Path, minutes: range, form: str = "jsonl", compression: str = "none", **more: Any) -> Recovered:
    """A whole run, in this process."""
    store = Store(options(base, form, compression, **more), SystemClock())
    recovered = store.open()
    store_bars(store, minutes, form, compression)
    store.finish(None)
    return recovered


def resume_in(base: Path, minutes: range, form: str = "jsonl", compression: str = "none", **more: Any) -> Recovered:
    """A run in this process that goes on where those before it ended."""
    store = Store(options(base, form, compression, **more), SystemClock())
    recovered = store.open()
    store_new(store, recovered, minutes, form, compression)
    store.finish(None)
    return recovered


def store_new(store: Store, recovered: Recovered, minutes: range, form: str, compression: str) -> None:
    """Write those of these minutes that the runs before do not have."""
    for minute in minutes:
        for symbol in SYMBOLS:
            one = bar(symbol, minute)
            left = recovered.symbols.get(symbol)
            if left is None or left.ts_event is None or one.ts_event is None or one.ts_event > left.ts_event:
                store.write(key(symbol, minute, form, compression), encoded([one], form), Tally.of([one]))
        if minute % 20 == 0:
            wait_until(lambda: store.status.waiting_bytes == 0, "the writer takes it")


# --- what is on the disk ---------------------------------------------------------------------------------------------


def decompressed(path: Path) -> bytes:
    """A file's content by tools that are not ours."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        from backports import zstd

        return zstd.decompress(path.read_bytes())
    return path.read_bytes()


def records(path: Path) -> list[tuple[str, int]]:
    """Symbol and minute of each record in a finished file."""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_table(path).to_pylist()
        return [(row["symbol"], _minute(row["ts_event"])) for row in rows]
    lines = decompressed(path).decode().splitlines()
    if ".csv" in path.name:
        names = lines[0].split(",")
        cells = [dict(zip(names, line.split(","), strict=True)) for line in lines[1:]]
        return [(row["symbol"], _minute(row["ts_event"])) for row in cells]
    return [(row["symbol"], _minute(row["ts_event"])) for row in map(json.loads, lines)]


def _minute(moment: Any) -> int:
    from tickstream.timestamps import parse_rfc3339

    text = moment if isinstance(moment, str) else moment.isoformat()
    return (parse_rfc3339(text) - START_NS) // MINUTE_NS


def entries(base: Path) -> list[dict[str, Any]]:
    """The manifest as plain JSON: every line of it must be whole."""
    return [json.loads(line) for line in (base / "manifest.jsonl").read_text().splitlines()]


def of_type(base: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of one type."""
    return [entry for entry in entries(base) if entry["type"] == kind]


def data_files(base: Path) -> list[Path]:
    """All but our own: lock, manifest, what was torn."""
    return sorted(
        path
        for path in base.rglob("*")
        if path.is_file() and path.name not in ("manifest.jsonl", ".tickstream.lock") and ".torn-" not in path.name
    )


def assert_sound(base: Path) -> list[tuple[str, int]]:
    """Every file is finished, and the manifest agrees with each; returns all records, in the order of the manifest."""
    listed = of_type(base, "file")
    deleted = {entry["file"] for entry in of_type(base, "deleted")}
    there = [entry for entry in listed if entry["file"] not in deleted]
    assert sorted(base / entry["file"] for entry in there) == data_files(base)
    everything = []
    for entry in there:
        path = base / entry["file"]
        data = path.read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"]), path
        if entry["format"] == "raw":
            continue
        found = records(path)
        counted = {symbol: {"bar": count} for symbol, count in Counter(symbol for symbol, _ in found).items()}
        assert (entry["events"], entry["symbols"]) == (len(found), counted), path
        everything += found
    return everything


def assert_holds(base: Path, minutes: range) -> None:
    """The folder is sound and holds each of these minutes once for each symbol, in order."""
    found = assert_sound(base)
    for symbol in SYMBOLS:
        assert [minute for one, minute in found if one == symbol] == list(minutes), symbol
    assert {symbol for symbol, _ in found} <= set(SYMBOLS)


def spawn(*args: str, failpoint: str = "", **how: Any) -> subprocess.Popen[bytes]:
    """The program below, killed at this fail point."""
    env = {**os.environ, "TICKSTREAM_FAILPOINT": failpoint, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-m", "tests.capture.storing", *args], env=env, **how)


def wait_until(true: Callable[[], Any], what: str) -> None:
    """Wait for something to be so, with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, f"not so in time: {what}"
        time.sleep(0.005)


def main(base: str, form: str, compression: str, first: str, last: str) -> None:
    """The run; says `ready` when it has the folder, and `written` when all is on its way to the disk."""
    store = Store(options(Path(base), form, compression, rotation=ROTATION, fsync_interval_s=0.02), SystemClock())
    recovered = store.open()
    print("ready", flush=True)
    store_new(store, recovered, range(int(first), int(last)), form, compression)
    print("written", flush=True)
    store.finish(summary())


if __name__ == "__main__":
    main(*sys.argv[1:])
