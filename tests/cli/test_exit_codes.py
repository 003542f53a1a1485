"""`tickstream exit-codes`."""

from __future__ import annotations

import csv
import io
import json

from tests.cli.command import run
from tickstream.errors import ExitCode


def test_the_table_has_every_code_with_its_meaning():
    lines = run("exit-codes").ok().splitlines()
    assert lines[0].split() == ["code", "name", "meaning"]
    assert len(lines) == 1 + len(ExitCode)
    for line, code in zip(lines[1:], ExitCode, strict=True):
        assert line.split(maxsplit=2) == [str(code.value), code.name, code.meaning]


def test_json_and_csv_have_the_same():
    found = json.loads(run("exit-codes", "-o", "json").ok())
    assert found == [{"code": code.value, "name": code.name, "meaning": code.meaning} for code in ExitCode]
    rows = list(csv.DictReader(io.StringIO(run("exit-codes", "-o", "csv").ok())))
    assert [(int(row["code"]), row["meaning"]) for row in rows] == [(code.value, code.meaning) for code in ExitCode]


def test_on_a_terminal_the_head_is_bold():
    assert run("exit-codes", tty=True).ok().startswith("\x1b[1mcode")
    assert "\x1b" not in run("exit-codes", tty=True, env={"NO_COLOR": "1"}).ok()


def test_another_format_is_a_usage_error():
    assert "'xml' is not one of" in run("exit-codes", "-o", "xml").failed(ExitCode.USAGE)
