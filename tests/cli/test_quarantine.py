"""The quarantine file: private, bounded, and begun anew when it was moved away."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from tickstream.cli import quarantine
from tickstream.cli.quarantine import QuarantineFile
from tickstream.clock import FakeClock
from tickstream.errors import OutputError
from tickstream.events import Quarantined

BAD = Quarantined(b"\xff{", "no JSON")


def test_it_is_there_from_the_start_and_keeps_message_time_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    before = os.umask(0)
    try:
        file = QuarantineFile(path, FakeClock())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file.write([BAD])
    record = json.loads(path.read_text())
    assert base64.b64decode(record.pop("payload_base64")) == b"\xff{"
    assert record == {"ts": "2026-06-24T14:54:00.000000Z", "reason": "no JSON"}


def test_when_it_was_moved_away_a_new_one_begins(tmp_path: Path) -> None:
    file = QuarantineFile(tmp_path / "bad.jsonl", FakeClock())
    file.write([BAD])
    (tmp_path / "bad.jsonl").rename(tmp_path / "bad.jsonl.1")
    file.write([BAD])
    assert (tmp_path / "bad.jsonl").read_text() == (tmp_path / "bad.jsonl.1").read_text()


def test_it_never_grows_beyond_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 250)
    file = QuarantineFile(tmp_path / "bad.jsonl", FakeClock())
    for _ in range(9):
        file.write([BAD, BAD])
    assert (tmp_path / "bad.jsonl").read_text().count("\n") == 3


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write the quarantine file"):
        QuarantineFile(tmp_path / "no" / "bad.jsonl", FakeClock())
