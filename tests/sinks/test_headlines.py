from __future__ import annotations

from typing import Any

import pytest

from tests.sinks.making import MINUTE, START, meter, notice, now, run_status
from tickstream.credits import CreditMeter
from tickstream.events import Account
from tickstream.sinks.board import Board
from tickstream.sinks.boards import Boards
from tickstream.sinks.headlines import (
    Now,
    countdown,
    counters_line,
    credits_line,
    notice_line,
    provider_lines,
    session_line,
    title_line,
)
from tickstream.sinks.terminal import ASCII, Line
from tickstream.status import ProviderStatus, RunStatus, SessionStatus


def text(line: Line) -> str:
    return "".join(part for part, _ in line)


def boards(plan: str | None = "pro") -> Boards:
    made = Boards([Board((), (), "tickatlas")])
    made.add([Account("tickatlas", START, plan)], 1000.0)
    return made


# --- the first line --------------------------------------------------------------------------------------------------


def test_the_title_says_what_kind_of_run_it_is_and_whose_data() -> None:
    line = title_line(boards(), run_status(), now(60))
    assert text(line) == "tickstream  DEMO  tickatlas · pro plan          14:54:00 UTC"
    assert (" DEMO ", "bold reverse yellow") in line


@pytest.mark.parametrize(
    ("label", "style"), [("LIVE", "bold reverse green"), ("REPLAY", "bold reverse cyan"), ("X", "bold reverse")]
)
def test_each_kind_of_run_has_its_colour(label: str, style: str) -> None:
    status = run_status()
    status.label = label
    assert (f" {label} ", style) in title_line(boards(), status, now())


def test_the_plan_is_shown_when_the_provider_has_said_it() -> None:
    assert "plan" not in text(title_line(boards(None), run_status(), now()))
    assert "starter\\x1b plan" in text(title_line(boards("starter\x1b"), run_status(), now()))


def test_the_provider_is_cleaned() -> None:
    status = run_status()
    status.providers[0].name = "\x1b[2Jevil"
    assert "\\x1b[2Jevil" in text(title_line(boards(), status, now()))


# --- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("session", "shown"),
    [
        ({}, "● connected"),
        ({"epoch": 3}, "● connected again (connection 3)"),
        ({"blocked": True}, "● connected · the reader of the output is slow"),
        ({"paused": True}, "◆ paused by the provider: quota used up; resumes at Thu 00:00"),
        ({"paused": True, "reason": "maintenance."}, "◆ paused by the provider: maintenance; resumes at Thu 00:00"),
        ({"state": "connecting", "step": "tls"}, "○ connecting: tls"),
        ({"state": "connecting"}, "○ connecting"),
        (
            {"state": "down", "retry_at": 1012.0, "attempts": 2, "reason": "connection refused"},
            "○ reconnecting in 12 s (attempt 3): connection refused",
        ),
        ({"state": "down"}, "○ reconnecting"),
        (
            {"state": "held", "retry_at": 1055.0, "reason": "too many connections"},
            "◆ held, next attempt in 55 s: too many connections",
        ),
        ({"state": "held", "reason": "too many connections"}, "◆ held: too many connections"),
        ({"state": "closed"}, "■ closed"),
        ({"state": "closed", "reason": "\x1b[31m"}, "■ closed: \\x1b[31m"),
    ],
)
def test_the_session_says_what_it_does_and_until_when(session: dict[str, Any], shown: str) -> None:
    status = run_status(ping_ms=None, **session)
    assert text(session_line(status.sessions, meter(), now())) == shown


def test_a_pause_without_a_quota_has_no_end_that_we_know() -> None:
    assert (
        text(session_line(run_status(ping_ms=None, paused=True).sessions, None, now()))
        == "◆ paused by the provider: quota used up"
    )


@pytest.mark.parametrize(("ping", "shown"), [(12.4, "ping 12 ms"), (0.25, "ping 0.2 ms"), (9.96, "ping 10.0 ms")])
def test_the_latency_stands_on_the_right(ping: float, shown: str) -> None:
    line = text(session_line(run_status(ping_ms=ping).sessions, None, now()))
    assert line.endswith(shown)
    assert len(line) == 80


def test_the_latency_of_a_lost_connection_is_not_shown() -> None:
    assert "ping" not in text(session_line(run_status(state="down").sessions, None, now()))


def test_of_several_sessions_the_worst_is_shown() -> None:
    status = run_status()
    status.sessions.append(SessionStatus("tickatlas", 2, (), state="down", retry_at=1004.0))
    status.sessions.append(SessionStatus("tickatlas", 3, (), state="connecting"))
    shown = text(session_line(status.sessions, None, now()))
    assert shown.startswith("○ reconnecting in 4 s · 1 of 3 sessions up ")
    assert shown.endswith("ping 12 ms")


def test_a_run_without_sessions_has_no_such_line() -> None:
    assert session_line([], None, now()) == []


# --- several providers -----------------------------------------------------------------------------------------------


def lines_of(meters: dict[str, CreditMeter | None], *sessions: SessionStatus, plan: str | None = None) -> list[str]:
    """What is said of these providers, without the spaces at the end."""
    status = RunStatus("LIVE", tuple(ProviderStatus(name, (), one) for name, one in meters.items()), list(sessions))
    made = Boards.of(status)
    made.add([Account(next(iter(meters)), START, plan)], 1000.0)
    return [text(line).rstrip() for line in provider_lines(made, status, now())]


def test_each_of_several_providers_has_a_line_with_its_own_sessions_plan_and_credits() -> None:
    up, down = SessionStatus("tickatlas", 1, (), "up"), SessionStatus("tickatlas", 2, (), "down", retry_at=1004.0)
    shown = lines_of({"tickatlas": meter(1000), "fcs": None}, up, down, SessionStatus("fcs", 3, (), "up"), plan="pro")
    assert shown == [
        "tickatlas  ○ reconnecting in 4 s · 1 of 2 sessions up · pro plan · 132 credits …",
        "fcs        ● connected",
    ]


def test_credits_in_short_say_what_is_urgent() -> None:
    used, soon = meter(1000), meter(410)
    used.quota_exceeded(START)
    shown = lines_of({"a": used, "b": soon, "c": meter(None), "d": CreditMeter()})
    assert shown == [
        "a  132 credits used, quota used up until Thu 00:00",
        "b  132 credits used, 278 left, until 15:17",
        "c  132 credits used",
        "d  0 credits used",
    ]


def test_of_a_recording_of_several_providers_there_is_nothing_to_say() -> None:
    assert lines_of({"tickatlas": None, "fcs": None}) == []


# --- credits ---------------------------------------------------------------------------------------------------------


def test_credits_say_used_left_pace_and_end() -> None:
    line = credits_line(meter(1000), now(100))
    assert text(line) == "credits 132 used   868 left   720 an hour   runs out at 16:06, in 1 h 12 min"
    assert ("16:06", "yellow") in line


def test_a_quota_that_ends_within_the_hour_is_urgent() -> None:
    assert ("15:17", "bold red") in credits_line(meter(410), now())


def test_a_quota_that_lasts_is_said_to_last() -> None:
    assert text(credits_line(meter(100_000), now(100))).endswith("720 an hour   lasts until the reset at Thu 00:00")


def test_a_quota_that_is_used_up_says_until_when() -> None:
    used = meter(1000)
    used.quota_exceeded(START)
    line = credits_line(used, now(100))
    assert text(line) == "credits 132 used   0 left   720 an hour   quota used up until Thu 00:00"


def test_without_a_quota_there_is_no_end() -> None:
    assert text(credits_line(meter(None), now(100))) == "credits 132 used   no daily quota   720 an hour"


def test_before_the_account_is_known_only_what_was_used_is_said() -> None:
    assert text(credits_line(CreditMeter(), now())) == "credits 0 used"


def test_in_the_first_minute_there_is_no_pace() -> None:
    assert text(credits_line(meter(1000, minutes=0), now())) == "credits 12 used   988 left"


def test_only_whole_pieces_are_shown() -> None:
    assert text(credits_line(meter(1000), now(44))) == "credits 132 used   868 left   720 an hour"
    assert text(credits_line(meter(1000), now(40))) == "credits 132 used   868 left"
    assert text(credits_line(meter(1000), now(10))) == "credits 1…"


# --- the foot --------------------------------------------------------------------------------------------------------


def test_counters_say_what_came_and_what_is_missing() -> None:
    status = run_status()
    status.events, status.gaps, status.dropped = 12_345, 2, 7
    line = counters_line(boards(), status, now(100, seconds=3725))
    assert text(line) == "events 12,345   gaps 2   dropped 7   quarantined 0   running 1 h 2 min"
    assert ("7", "bold red") in line
    assert ("0", "") in line


def test_refused_symbols_are_counted_when_there_are_any() -> None:
    made = boards()
    made.add([notice("symbol_refused", "X: no", ("X",))], 1000.0)
    assert "refused 1" in text(counters_line(made, run_status(), now()))


def test_the_last_notice_has_its_time() -> None:
    made = boards()
    assert notice_line(made, now()) == []
    made.add([notice("gap", "x" * 100)], 1000.0)
    assert text(notice_line(made, now(20))) == "14:54:00 gap: xxxxx…"


def test_ascii_terminals_get_ascii() -> None:
    ascii_now = Now(START + MINUTE, 1060.0, 80, ASCII)
    for line in (title_line(boards(), run_status(), ascii_now), session_line(run_status().sessions, None, ascii_now)):
        assert text(line).isascii()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.2, "1 s"),
        (59.2, "1 min"),
        (60.9, "1 min"),
        (200, "3 min 20 s"),
        (7200, "2 h"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_countdowns_have_two_units_at_the_most(seconds: float, shown: str) -> None:
    assert countdown(seconds) == shown
