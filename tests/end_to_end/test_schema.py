"""What runs write is what `tickstream schema` says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.end_to_end.watching import Thread, serve


def schema(*args: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(Thread("schema", *args).wait().out))


@pytest.mark.parametrize(
    "args", [(), ("--time", "us"), ("--time", "ns"), ("--fields", "bid,symbol"), ("--fields", "type,ts_event")]
)
def test_every_line_of_a_run_is_valid_under_the_schema_of_the_same_options(args: tuple[str, ...]) -> None:
    with serve("drop@4", "bad-json@2") as server:
        result = server.watched_here("EURUSD", "GBPUSD", "--count", "12", "-o", "jsonl", "--events", *args)
    validator = schema(*args)
    for line in result.lines:
        validator.validate(json.loads(line))
    kinds: set[Any] = {json.loads(line).get("type") for line in result.lines}
    assert {"session", "account", "gap", "summary"} <= kinds
