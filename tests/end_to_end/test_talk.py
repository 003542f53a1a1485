"""What is said: on stdout as data, on stderr as talk, in files, and in which order and form."""

from __future__ import annotations

import base64
import csv
import io
import json
import stat
from pathlib import Path

import pytest

from tests.end_to_end.watching import Result, Server, assert_exit, event_of, of_type, serve
from tickstream.errors import ExitCode
from tickstream.events import Bar, wire_fields
from tickstream.simulator.bad_bytes import BAD_BYTES
from tickstream.simulator.tickatlas import TickAtlasConversation
from tickstream.timestamps import parse_rfc3339, rfc3339

KINDS = {"account", "session", "gap", "notice", "summary", "bar"}


# --- fields and times ------------------------------------------------------------------------------------------------


def test_fields_are_picked_and_ordered_alike_in_every_format() -> None:
    fields = ("close", "symbol", "ts_event", "type")
    with serve() as server:
        args = ("EURUSD", "--count", "3", "--fields", ",".join(fields))
        lines = server.watched_here(*args, "-o", "jsonl").lines
        rows = list(csv.reader(server.watched_here(*args, "-o", "csv").lines))
    assert [tuple(event_of(line)) for line in lines] == [fields] * 3
    assert tuple(rows[0]) == fields
    assert [row[1] for row in rows[1:]] == ["EURUSD"] * 3
    assert [row[3] for row in rows[1:]] == ["bar"] * 3


def test_without_fields_json_and_csv_have_the_same_ones_in_the_same_order() -> None:
    with serve() as server:
        [line] = server.watched_here("EUR/USD", "--count", "1").lines  # by another spelling: with `canonical`
        header, _ = server.watched_here("EURUSD", "--count", "1", "-o", "csv").lines
    assert tuple(event_of(line)) == tuple(header.split(",")) == wire_fields(Bar)


@pytest.mark.parametrize("output", ["jsonl", "csv"])
@pytest.mark.parametrize(("unit", "ns"), [("us", 1000), ("ns", 1)])
def test_times_can_be_integers(output: str, unit: str, ns: int) -> None:
    with serve() as server:
        result = server.watched_here("EURUSD", "--count", "3", "--time", unit, "-o", output)
        sent = server.sent
    if output == "jsonl":
        times = [(int(bar["ts_event"]), int(bar["ts_recv"])) for bar in result.bars]
    else:
        rows = csv.DictReader(io.StringIO(result.out.decode()))
        times = [(int(row["ts_event"]), int(row["ts_recv"])) for row in rows]
    assert [event * ns for event, _ in times] == [int(parse_rfc3339(minute)) for _, minute in sent[:3]]
    assert all(parse_rfc3339(rfc3339(received * ns)) for _, received in times)


# --- the order of events ---------------------------------------------------------------------------------------------


def test_events_come_in_the_order_in_which_things_happened() -> None:
    with serve("drop@3x1", "unknown-code@3") as server:
        result = assert_exit(server.watched_here("EURUSD", "--events", "--count", "5"), ExitCode.OK)
    order = [f"{event['type']} {event.get('state', event.get('code', ''))}".strip() for event in result.events]
    assert order == [
        "account", "session up", "bar", "bar", "bar", "session down",
        "account", "session up", "gap", "bar", "bar", "summary",
    ]  # fmt: skip
    assert [event["epoch"] for event in of_type(result.events, "session")] == ["1", "1", "2"]
    assert result.summary["exit_code"] == "0"
    assert "gap (disconnect)" not in result.err  # said once: in the data


def test_without_events_the_data_is_market_data_only_and_the_rest_is_said_on_stderr() -> None:
    with serve("drop@3x1") as server:
        result = assert_exit(server.watched_here("EURUSD", "--count", "5"), ExitCode.OK)
    assert {event["type"] for event in result.events} == {"bar"}
    for said in ("plan pro", "live", "down: ", "next attempt in", "live again (connection 2)", "gap (disconnect)"):
        assert said in result.err
    assert "summary: 5 events" in result.err.splitlines()[-1]


@pytest.mark.parametrize("output", ["csv", "raw"])
def test_events_do_not_go_with_lines_of_market_data(output: str) -> None:
    with serve() as server:
        assert_exit(server.watched_here("EURUSD", "--events", "-o", output), ExitCode.USAGE)


# --- how much is said, and how ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "args", "code"),
    [
        (("drop@3x1", "bad-json@2"), ("--count", "5", "-vv"), ExitCode.OK),
        (("drop@3x1",), ("--count", "5", "--strict"), ExitCode.INCOMPLETE),
        (("invalid-key",), (), ExitCode.INVALID_KEY),
        (("no-data",), ("--idle-timeout", "200ms"), ExitCode.NO_DATA),
    ],
)
def test_as_json_every_line_on_stderr_is_an_object(
    faults: tuple[str, ...], args: tuple[str, ...], code: ExitCode
) -> None:
    with serve(*faults) as server:
        result = assert_exit(server.watched("EURUSD", "--log-format", "json", *args), code)
    said = [event_of(line) for line in result.err.splitlines()]
    assert {one["type"] for one in said} <= KINDS | {"log"}
    assert int(result.summary["exit_code"]) == code
    if code is not ExitCode.OK:
        error = said[-1]
        assert (error["type"], error["level"]) == ("log", "error")
        assert int(error["exit_code"]) == code


def test_quiet_says_nothing_but_errors() -> None:
    with serve("drop@3x1") as server:
        assert server.watched_here("EURUSD", "-q", "--count", "5").err == ""
        failed = server.watched_here("EURUSD", "-q", "--max-credits", "4")
    assert failed.err.startswith("tickstream: --max-credits 4 reached")
    assert failed.err.count("\n") == 2


def test_verbose_says_more_and_very_verbose_most() -> None:
    with serve() as server:
        said = [server.watched("EURUSD", "--count", "2", *more).err.count("\n") for more in ((), ("-v",), ("-vv",))]
    assert said[0] <= said[1] < said[2]


# --- bad messages ----------------------------------------------------------------------------------------------------


def quarantined(server: Server, file: Path) -> Result:
    return server.watched_here("EURUSD", "--count", "6", "--quarantine", str(file), "--log-format", "json")


def test_bad_messages_are_kept_in_a_file_for_the_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    faults = ("bad-json", "bad-utf8", "empty", "missing-field", "wrong-type", "huge-number")
    with serve(*(f"{fault}@3" for fault in faults)) as server:
        result = assert_exit(quarantined(server, file), ExitCode.OK)
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(records) == int(result.summary["quarantined"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = [base64.b64decode(record["payload_base64"]) for record in records]
    frames = b"".join(
        item.data for fault in faults for item in BAD_BYTES[fault](TickAtlasConversation.sample, "EURUSD")
    )  # type: ignore[union-attr]
    assert kept
    assert all(payload in frames for payload in kept)
    assert all(record["reason"] for record in records)
    codes = [notice["code"] for notice in of_type([event_of(line) for line in result.err.splitlines()], "notice")]
    assert set(codes) == {"bad_message"}


def test_a_quarantine_file_that_cannot_be_written_is_said_before_anybody_is_called(tmp_path: Path) -> None:
    with serve() as server:
        result = assert_exit(quarantined(server, tmp_path / "nowhere" / "bad.jsonl"), ExitCode.OUTPUT)
        assert server.simulator.connections == 0
    assert "quarantine file" in result.err


def test_a_second_run_adds_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    with serve("bad-json@3") as server:
        assert_exit(quarantined(server, file), ExitCode.OK)
        assert_exit(quarantined(server, file), ExitCode.OK)
    assert len(file.read_text().splitlines()) == 2
