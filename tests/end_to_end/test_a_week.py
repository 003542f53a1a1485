"""A week of five symbols in seconds, closed on its weekend, the quota used up each day: it misses what was planned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.watching import Process, Server, run, serve
from tickstream.errors import ExitCode
from tickstream.markets import FOREX, NS_PER_MINUTE
from tickstream.timestamps import parse_rfc3339, rfc3339

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY", "AUDUSD", "XAUUSD")
SUNDAY = parse_rfc3339("2026-06-21T20:00:00Z")
"""An hour before the market opens."""
QUOTA = 24_000
"""Credits a day: pro costs 4 a push, so five symbols use them up in 1,200 of the day's minutes."""
A_WEEK = 32_000
"""Pushes: three hours of a Sunday, five days of 1,200 minutes, and the next Sunday."""


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, Any]]]:
    """The server with its record, and what `verify` says of the capture."""
    folder = str(tmp_path_factory.mktemp("week") / "data")
    with serve(speed=240_000.0, start_ns=SUNDAY, quota=QUOTA, market_hours="follow") as server:
        with Process("capture", *SYMBOLS, "--url", server.url, "--to", folder, "-q") as capture:
            server.wait_for(lambda: server.simulator.pushes >= A_WEEK, "the next Sunday")
            assert capture.stop().code == ExitCode.SIGTERM
        verified = run("verify", folder, "-o", "json", "-q")
        assert verified.code == ExitCode.INCOMPLETE
        yield server, json.loads(verified.out)


def sent_of(server: Server, symbol: str, until: str) -> list[str]:
    """The minutes that the server sent, until this one."""
    return sorted(minute for one, minute in server.sent if one == symbol and minute <= until)


def test_every_push_that_was_sent_is_there_once(week: tuple[Server, dict[str, Any]]) -> None:
    server, report = week
    assert [one["symbol"] for one in report["series"]] == sorted(SYMBOLS)
    for series in report["series"]:
        assert series["events"] == len(sent_of(server, series["symbol"], series["last"]))
        assert (series["duplicates"], series["out_of_order"], series["crossed"]) == (0, 0, 0)


def test_what_is_missing_is_what_the_quota_withheld_to_the_minute(week: tuple[Server, dict[str, Any]]) -> None:
    server, report = week
    for series in report["series"]:
        first, last = parse_rfc3339(series["first"]), parse_rfc3339(series["last"])
        sent = set(sent_of(server, series["symbol"], series["last"]))
        owed = [rfc3339(at) for at in range(first, last, NS_PER_MINUTE) if FOREX.is_open(at)]
        withheld = [minute for minute in owed if minute not in sent]
        assert series["missing"] == len(withheld) > 500
        assert series["unexplained"] == 0
        assert {hole["explained"] for hole in series["holes"]} == {"quota"}
        told = [minute for hole in series["holes"] for minute in owed if hole["from"] <= minute < hole["to"]]
        assert told == withheld


def test_the_weekend_is_no_gap(week: tuple[Server, dict[str, Any]]) -> None:
    _, report = week
    # Friday's quota is used up before the market closes, so one hole reaches over the weekend; it owes Friday's rest.
    assert [len(series["holes"]) for series in report["series"]] == [5] * len(SYMBOLS)
    for series in report["series"]:
        [friday] = [hole for hole in series["holes"] if hole["to"].startswith("2026-06-28T21:00")]
        assert friday["missing"] < 1440


def test_the_files_are_as_their_manifest_says(week: tuple[Server, dict[str, Any]]) -> None:
    _, report = week
    assert len(report["files"]) >= 7 * len(SYMBOLS)
    assert all(file["whole"] and file["state"] == "listed" for file in report["files"])
    [only] = report["runs"]
    assert (only["exit_code"], only["dropped"]) == (143, 0)
