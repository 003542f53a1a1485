"""`tickstream schema`."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import run
from tickstream.errors import ExitCode
from tickstream.events import EVENT_TYPES
from tickstream.schema import DIALECT, schema_of, schema_of_all


def test_without_a_name_it_is_the_schema_of_every_line():
    printed = json.loads(run("schema").ok())
    assert printed == schema_of_all()
    assert printed["$schema"] == DIALECT


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_has_its_own(name):
    assert json.loads(run("schema", name).ok()) == {"$schema": DIALECT, **schema_of(EVENT_TYPES[name])}


def test_times_are_as_the_outputs_write_them():
    assert json.loads(run("schema", "bar", "--time", "ns").ok())["properties"]["ts_recv"]["type"] == "integer"
    printed = json.loads(run("schema", "bar", env={"TICKSTREAM_TIME": "us"}).ok())
    assert "microseconds" in printed["properties"]["ts_recv"]["description"]


def test_chosen_fields_are_all_that_is_left():
    printed = json.loads(run("schema", "bar", "--fields", "symbol, bid").ok())
    assert list(printed["properties"]) == ["symbol", "bid"]
    assert printed["required"] == ["symbol"]


def test_an_unknown_event_is_answered_with_the_near_ones():
    said = run("schema", "quotes").failed(ExitCode.USAGE)
    assert "Did you mean quote?" in said
    assert "book_snapshot" in said


def test_an_unknown_field_or_time_is_refused():
    assert "'bud'" in run("schema", "--fields", "bud").failed(ExitCode.USAGE)
    assert "--time" in run("schema", "--time", "minutes").failed(ExitCode.USAGE)
