from __future__ import annotations

import json

import pytest

from tests.sinks.making import Written, bar, batch, gap, request
from tickstream.errors import UsageError
from tickstream.sinks import load


def test_each_batch_is_written_at_once() -> None:
    stdout = Written()
    sink = load("jsonl").make(request(stdout))
    sink.open()
    assert stdout.text == ""
    sink.write(batch(bar(), bar("XAUUSD")))
    assert [json.loads(line)["symbol"] for line in stdout.text.splitlines()] == ["EURUSD", "XAUUSD"]


def test_stream_events_are_written_when_asked_for() -> None:
    for wanted, types in ((True, ["bar", "gap"]), (False, ["bar"])):
        stdout = Written()
        load("jsonl").make(request(stdout, events=wanted)).write(batch(bar(), gap()))
        assert [json.loads(line)["type"] for line in stdout.text.splitlines()] == types


def test_fields_and_times_are_written_as_asked() -> None:
    stdout = Written()
    load("jsonl").make(request(stdout, fields=("close", "ts_event"), time="us")).write(batch(bar(close="1.10")))
    assert stdout.text == '{"close":1.10,"ts_event":1782312840000000}\n'


def test_unknown_fields_are_refused_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="no field 'age'"):
        load("jsonl").make(request(fields=("age",)))
