from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from tests.sinks.making import batch, request
from tickstream import sinks
from tickstream.errors import UsageError
from tickstream.sinks.base import Sink, SinkSpec


def test_the_outputs_are_found_in_alphabetical_order() -> None:
    assert sinks.names() == ["csv", "jsonl", "line", "raw", "table"]


@pytest.mark.parametrize("name", sinks.names())
def test_each_output_declares_itself_in_a_module_of_its_name(name: str) -> None:
    spec = sinks.load(name)
    assert spec.name == name
    assert spec.summary
    assert importlib.import_module(f"tickstream.sinks.{name}").SINK is spec


@pytest.mark.parametrize("name", sinks.names())
def test_each_output_can_be_made_opened_and_closed_twice_without_a_terminal(name: str) -> None:
    sink = sinks.load(name).make(request())
    sink.open()
    sink.write(batch())
    sink.refresh()
    sink.flush()
    sink.close()
    sink.close()
    sink.emergency()
    assert not sink.owns_terminal


def test_an_unknown_output_is_refused_with_the_near_ones_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        sinks.load("jsnl")
    assert "'jsnl'" in str(caught.value)
    assert "Did you mean jsonl?" in str(caught.value)
    assert "csv, jsonl, line, raw, table" in str(caught.value)


def test_listing_the_outputs_imports_nothing_heavy() -> None:
    program = "import sys; from tickstream import sinks; sinks.names(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "websocket", "ssl", "logging", "asyncio", "platformdirs"} & set(loaded)


def test_a_sink_needs_nothing_but_write() -> None:
    class Counting(Sink):
        batches = 0

        def write(self, batch: object) -> None:
            self.batches += 1

    sink = SinkSpec("counting", "counts", lambda _: Counting()).make(request())
    sink.open()
    sink.write(batch())
    sink.refresh()
    sink.flush()
    sink.emergency()
    sink.close()
    assert isinstance(sink, Counting)
    assert sink.batches == 1
