"""What is said on stderr, and what is not."""

from __future__ import annotations

import io
import json
import logging

import pytest

from tickstream.cli.environment import Environment
from tickstream.cli.talk import DEBUG, NORMAL, QUIET, VERBOSE, Talk
from tickstream.clock import FakeClock
from tickstream.events import Account, Bar, Event, Gap, Notice, SessionEvent, Summary
from tickstream.numbers import number
from tickstream.timestamps import Timestamp

TS = Timestamp(1_782_312_840_000_000_000)
START = "2026-06-24T14:54:00.000000Z"
ONE = number("1")
BAR = Bar("tickatlas", "EURUSD", TS, TS, "1m", ONE, ONE, ONE, ONE)


def said(*events: Event, level: int = NORMAL, log_format: str = "text") -> list[str]:
    err = io.StringIO()
    talk = Talk(Environment(io.BytesIO(), io.BytesIO(), err, {}, FakeClock()), level, log_format)
    for event in events:
        talk.event(event)
    return err.getvalue().splitlines()


def summary(**changes: object) -> Summary:
    values: dict[str, object] = dict.fromkeys(Summary.__struct_fields__, 0)
    values |= {"provider": "tickatlas", "ts_recv": TS, "duration_s": 61.25, "refused": (), "credits_used": None}
    return Summary(**(values | {"credits_remaining": None} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (SessionEvent("tickatlas", 1, 1, TS, "up"), "tickatlas: live"),
        (SessionEvent("tickatlas", 1, 3, TS, "up"), "tickatlas: live again (connection 3)"),
        (SessionEvent("tickatlas", 2, 1, TS, "up"), "tickatlas (session 2): live"),
        (
            SessionEvent("tickatlas", 1, 1, TS, "down", "The connection was reset.", 1.25),
            "tickatlas: down: The connection was reset; next attempt in 1.2 s",
        ),
        (
            SessionEvent("tickatlas", 1, 1, TS, "held", "limit", 30.0),
            "tickatlas: holding: limit; next attempt in 30.0 s",
        ),
        (
            Gap("tickatlas", ("EURUSD", "XAUUSD"), "disconnect", TS, Timestamp(TS + 60 * 10**9), missed=2),
            f"gap (disconnect): EURUSD, XAUUSD from {START} to {START.replace('54', '55')}, 2 missed",
        ),
        (Notice("tickatlas", TS, "stale", "no data for 150 s"), "stale: no data for 150 s"),
        (
            Account("tickatlas", TS, "pro", 20, 4, 99_380),
            "tickatlas: plan pro, up to 20 symbols, 4 credits a push, 99,380 credits left today",
        ),
        (
            summary(
                events=1, gaps=1, missed=7, reconnects=1, refused=("BADUSD",), credits_used=12, credits_remaining=3
            ),
            (
                "summary: 1 event in 61.2 s, 1 gap (7 missed), 0 dropped, 0 bad messages, 1 reconnect, "
                "refused: BADUSD, 12 credits used, 3 left today"
            ),
        ),
    ],
)
def test_each_thing_that_happens_is_one_line(event: Event, line: str) -> None:
    assert said(event) == [f"tickstream: {line}"]


def test_market_events_are_data_and_never_said() -> None:
    assert said(BAR, level=DEBUG) == []


def test_an_ordinary_goodbye_is_not_worth_a_line() -> None:
    assert said(SessionEvent("tickatlas", 1, 1, TS, "closed")) == []


def test_quiet_says_nothing_of_events() -> None:
    assert said(Notice("tickatlas", TS, "x", "y"), level=QUIET) == []


def test_a_providers_newline_and_escape_make_no_line_and_no_colour_of_their_own() -> None:
    (line,) = said(Notice("tickatlas", TS, "x", "one\nExit 0\x1b[31m"))
    assert line == "tickstream: x: one\\nExit 0\\u001b[31m"


def test_in_json_every_line_is_an_object_of_the_schema() -> None:
    session, gap = said(
        SessionEvent("tickatlas", 1, 1, TS, "up"), Gap("tickatlas", ("EURUSD",), "quota", TS, TS), log_format="json"
    )
    assert json.loads(session)["state"] == "up"
    assert json.loads(gap) == {
        "type": "gap", "provider": "tickatlas", "symbols": ["EURUSD"], "reason": "quota",
        "from": "2026-06-24T14:54:00.000000Z", "to": "2026-06-24T14:54:00.000000Z",
    }  # fmt: skip


def lines_of(level: int, log_format: str = "text") -> list[str]:
    err = io.StringIO()
    talk = Talk(Environment(io.BytesIO(), io.BytesIO(), err, {}, FakeClock()), level, log_format)
    logger = logging.getLogger("tickstream")
    before = (logger.handlers[:], logger.level, logger.propagate)
    try:
        talk.log_to_stderr()
        logging.getLogger("tickstream.session").info("info %d", 1)
        logging.getLogger("tickstream.session").debug("detail")
        talk.line("spoken")
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
    return err.getvalue().splitlines()


def test_v_adds_what_the_library_logs_and_vv_its_details() -> None:
    assert lines_of(NORMAL) == ["tickstream: spoken"]
    assert lines_of(VERBOSE) == ["tickstream: info 1", "tickstream: spoken"]
    assert lines_of(DEBUG) == ["tickstream: info 1", "tickstream: detail", "tickstream: spoken"]


def test_a_log_line_in_json_has_a_time_and_a_level() -> None:
    info, spoken = (json.loads(line) for line in lines_of(VERBOSE, "json"))
    assert info == {"type": "log", "ts": "2026-06-24T14:54:00.000000Z", "level": "info", "message": "info 1"}
    assert spoken["message"] == "spoken"


def test_while_a_table_owns_the_terminal_nothing_is_said() -> None:
    err = io.StringIO()
    talk = Talk(Environment(io.BytesIO(), io.BytesIO(), err, {}, FakeClock()))
    talk.muted = True
    talk.line("x")
    talk.event(Notice("tickatlas", TS, "x", "y"))
    assert err.getvalue() == ""


def calmly(*events: Event, level: int = NORMAL) -> list[str]:
    err = io.StringIO()
    talk = Talk(Environment(io.BytesIO(), io.BytesIO(), err, {}, FakeClock()), level, calm=True)
    talk.line("just so")
    talk.line("look", severity="warning")
    for event in events:
        talk.event(event)
    return err.getvalue().splitlines()


def test_a_calm_run_says_only_what_calls_for_action_and_the_summary() -> None:
    heals = [
        SessionEvent("tickatlas", 1, 4, TS, "connecting"), SessionEvent("tickatlas", 1, 4, TS, "up"),
        Account("tickatlas", TS, "pro"), SessionEvent("tickatlas", 1, 4, TS, "down", "gone"),
        Gap("tickatlas", ("EURUSD",), "disconnect", TS, TS, missed=2), SessionEvent("tickatlas", 1, 5, TS, "up"),
        Notice("tickatlas", TS, "stale", "no data for 150 s"), Notice("tickatlas", TS, "torn", "repaired"),
    ]  # fmt: skip
    calls = [Notice("tickatlas", TS, "disk_full", "words"), Notice("tickatlas", TS, "symbol_refused", "words")]
    said = calmly(*heals, *calls, summary())
    assert [line.partition(" ")[2][:12] for line in said] == ["look", "disk_full: w", "symbol_refus", "summary: 0 e"]
    assert len(calmly(*heals, *calls, summary(), level=VERBOSE)) == 2 + len(heals) + len(calls) + 1
