"""A capture from its start to its end: files, manifest, exit codes, signals, locks."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.end_to_end.capturing import Folder, assert_holes_are_gaps, capture, captured, plain_lines
from tests.end_to_end.watching import FAST, Server, assert_exit, eventually, serve
from tickstream.errors import ExitCode

SYMBOLS = ("BTCUSD", "EURUSD")


def bars_sent(server: Server, symbol: str) -> set[str]:
    return {minute for one, minute in server.sent if one == symbol}


def test_every_push_is_in_the_file_of_its_symbol_once_and_the_manifest_agrees(tmp_path: Path) -> None:
    with serve() as server:
        result = captured(server, tmp_path, *SYMBOLS, "--count", "100")
    assert_exit(result, ExitCode.OK)
    assert result.out == b""
    assert result.err.startswith("tickstream: summary: 100 events"), "nothing but the summary"
    folder = Folder(tmp_path)
    folder.check()
    assert sum(len(folder.events(symbol)) for symbol in SYMBOLS) == 100
    for symbol in SYMBOLS:
        assert assert_holes_are_gaps(folder.events(symbol)) == 0
        assert {event["ts_event"] for event in folder.events(symbol)} <= bars_sent(server, symbol)
    [begun], [end] = folder.entries("run"), folder.entries("end")
    assert (begun["symbols"], end["exit_code"], end["written"]) == (list(SYMBOLS), 0, 100)
