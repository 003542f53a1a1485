"""What a capture has left in its folder, read with nothing of tickstream's: json, gzip, hashlib."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.end_to_end.watching import Event, Process, Result, Server, event_of, of_type, run
from tickstream.timestamps import parse_rfc3339

MINUTE_NS = 60 * 10**9


def capture(server: Server, base: Path | str, *args: str, **how: Any) -> Process:
    """A process that captures from this server into a folder."""
    return Process("capture", "--url", server.url, "--to", str(base), *args, **how)


def captured(server: Server, base: Path | str, *args: str, **how: Any) -> Result:
    """The same, from its start to its end."""
    return run("capture", "--url", server.url, "--to", str(base), *args, **how)


def plain_lines(path: Path) -> list[str]:
    """The whole lines of a file, decompressed."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    assert not data or data.endswith(b"\n"), f"{path} ends in the middle of a line"
    return data.decode().splitlines()


class Folder:
    """A capture folder whose run has ended, one way or the other."""

    def __init__(self, base: Path) -> None:
        self.base = base

    @cached_property
    def manifest(self) -> list[Event]:
        """Its manifest, which has whole lines only."""
        return [json.loads(line) for line in plain_lines(self.base / "manifest.jsonl")]

    def entries(self, kind: str) -> list[Event]:
        """Those of a type."""
        return of_type(self.manifest, kind)

    @cached_property
    def files(self) -> list[str]:
        """Every file in it but the manifest, the lock and the parts."""
        found = (path.relative_to(self.base).as_posix() for path in self.base.rglob("*") if path.is_file())
        return sorted(
            name for name in found if name not in ("manifest.jsonl", ".tickstream.lock") and not name.endswith(".part")
        )

    @cached_property
    def parts(self) -> list[Path]:
        """Files that are not finished."""
        return sorted(self.base.rglob("*.part"))

    def events(self, symbol: str) -> list[Event]:
        """What its finished files hold of a symbol, file after file in the order in which they were begun.

        That is not always the order of the manifest: the file of a day that is over still waits for late data.
        """
        listed = [one["file"] for one in self.entries("file") if symbol in one["file"]]
        files = [[event_of(line) for line in plain_lines(self.base / name)] for name in listed]
        files.sort(key=lambda events: events[0]["to"] if events[0]["type"] == "gap" else events[0]["ts_recv"])
        return [event for events in files for event in events]

    def check(self) -> None:
        """Every file is finished, listed once, and is what its entry says."""
        assert not self.parts
        entries = self.entries("file")
        names = Counter(one["file"] for one in entries)
        assert set(names.values()) <= {1}, names
        torn = [name for name in self.files if ".torn-" in name]
        assert sorted(names) == [name for name in self.files if name not in torn]
        assert {one["saved_to"] for one in self.entries("torn")} == set(torn)
        for entry in entries:
            self._check_file(entry)
        starts, ends = self.entries("run"), self.entries("end")
        assert starts[-1]["run"] == ends[-1]["run"], "the last run came to its end"
        assert (self.base / ".tickstream.lock").read_bytes() == b""

    def _check_file(self, entry: Event) -> None:
        path = self.base / entry["file"]
        data = path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry
        assert len(data) == entry["bytes"]
        if entry["format"] != "jsonl":
            return
        events = [event_of(line) for line in plain_lines(path)]
        market = [event for event in events if event["type"] != "gap"]
        counts: dict[str, dict[str, int]] = {}
        for event in market:
            kinds = counts.setdefault(event["symbol"], {})
            kinds[event["type"]] = kinds.get(event["type"], 0) + 1
        assert entry["symbols"] == counts, path
        assert entry["events"] == len(market)
        assert entry["gaps"] == len(events) - len(market)
        times = [event["ts_event"] for event in market]
        assert (entry["first"], entry["last"]) == (min(times, default=None), max(times, default=None))


def assert_holes_are_gaps(events: list[Event]) -> int:
    """Of one symbol: each minute once, in order, and before the first bar after a hole its gap. Returns the missed."""
    before: Event | None = None
    gap: Event | None = None
    missing = 0
    for event in events:
        if event["type"] == "gap":
            gap = event
            continue
        if before is not None:
            hole = (parse_rfc3339(event["ts_event"]) - parse_rfc3339(before["ts_event"])) // MINUTE_NS - 1
            assert hole >= 0, f"again, or out of order: {event}"
            if hole:
                assert gap is not None, f"no gap before {event}, {hole} minutes after {before}"
                assert gap["from"] <= before["ts_recv"], (gap, before, event)
                assert gap["to"] == event["ts_recv"], (gap, before, event)
                assert gap.get("missed") in (None, str(hole)), (gap, hole)
                missing += hole
        before, gap = event, None
    return missing


def minutes(events: list[Event]) -> set[str]:
    """The minutes of the bars among these."""
    return {event["ts_event"] for event in events if event["type"] == "bar"}
