"""What a capture takes over from the run before it, and what it writes down of itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.events import MINUTE, at, bar, batch, gaps_in
from tickstream.capture.last_records import Left
from tickstream.capture.recovery import Recovered
from tickstream.cli.live import LiveFeed
from tickstream.cli.recording import interval_text, resume, without_secrets
from tickstream.events import MarketEvent, Quote, Trade
from tickstream.numbers import number
from tickstream.pipeline.dedup import DedupStage
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.skew import SkewStage
from tickstream.providers import load
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.subscriptions import Channel

SYMBOLS = ("EURUSD", "XAUUSD", "BTCUSD")


def feed() -> LiveFeed:
    """One session, three symbols; its wires are of no concern here."""
    wires: Any = None
    session = SessionStatus("tickatlas", 1, SYMBOLS)
    gaps = GapStage("tickatlas", {1: SYMBOLS}, at(100), lambda _, start, end: (end - start) // MINUTE, 60)
    status = RunStatus("LIVE", (ProviderStatus("tickatlas", SYMBOLS),), [session])
    skew = SkewStage("tickatlas", None)
    return LiveFeed(load("tickatlas"), SYMBOLS, Channel.BARS, wires, skew, gaps, status, ())


def left(minutes: float, *recent: MarketEvent, received: float | None = None) -> Left:
    """The last of a symbol was of this minute, and received so many minutes after START."""
    return Left(at(minutes), at(minutes if received is None else received), list(recent))


def stages() -> tuple[LiveFeed, DedupStage]:
    return feed(), DedupStage("tickatlas", bars_once=True)


def test_a_folder_that_is_new_changes_nothing() -> None:
    new, dedup = stages()
    resume(Recovered(), new, dedup)
    assert new.gaps.process(batch(101, bar("EURUSD", 100))).events == [bar("EURUSD", 100)]
    assert new.status.sessions[0].epoch == 0


def test_connections_are_counted_on_and_are_no_reconnects() -> None:
    new, dedup = stages()
    resume(Recovered({"EURUSD": left(1)}, frozenset(SYMBOLS), 7, resumed=True), new, dedup)
    [session] = new.status.sessions
    assert (session.epoch, session.reconnects) == (7, 0)
    session.epoch = 9
    assert session.reconnects == 1


def test_what_lies_between_the_runs_is_a_gap_of_all_symbols_whose_data_ended_together() -> None:
    new, dedup = stages()
    earlier = {"EURUSD": left(10, received=11.0), "XAUUSD": left(10, received=11.05), "BTCUSD": left(4, received=5)}
    resume(Recovered(earlier, frozenset(SYMBOLS), 1, resumed=True), new, dedup)
    [one, other] = gaps_in(list(new.gaps.process(batch(21, *(bar(symbol, 20) for symbol in SYMBOLS))).events))
    assert (one.symbols, one.reason, one.start, one.end, one.missed) == (
        ("EURUSD", "XAUUSD"), "restart", at(11), at(21), 18,
    )  # fmt: skip
    assert (other.symbols, other.start, other.missed) == (("BTCUSD",), at(5), 15)


def test_a_symbol_that_was_asked_for_and_never_came_has_a_gap_too_and_a_new_one_has_none() -> None:
    new, dedup = stages()
    resume(Recovered({"EURUSD": left(10, received=11)}, frozenset({"EURUSD", "XAUUSD"}), 1, resumed=True), new, dedup)
    gaps = gaps_in(list(new.gaps.process(batch(21, *(bar(symbol, 20) for symbol in SYMBOLS))).events))
    assert {symbol for gap in gaps for symbol in gap.symbols} == {"EURUSD", "XAUUSD"}
    assert {gap.start for gap in gaps} == {at(11)}


def test_what_the_earlier_run_has_is_not_written_again() -> None:
    new, dedup = stages()
    trade = Trade("tickatlas", "BTCUSD", at(0), at(0), number("1"), trade_id="7")
    nameless = Trade("tickatlas", "BTCUSD", at(0), at(0), number("1"))
    quote = Quote("tickatlas", "BTCUSD", at(0), at(0))
    earlier = {"EURUSD": left(10, bar("EURUSD", 9), bar("EURUSD", None)), "BTCUSD": left(4, trade, nameless, quote)}
    resume(Recovered(earlier, frozenset(SYMBOLS), 1, resumed=True), new, dedup)
    again = [bar("EURUSD", 9), trade, nameless, quote, bar("EURUSD", 10)]
    assert dedup.process(batch(21, *again)).events == [nameless, quote, bar("EURUSD", 10)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1m"), (300, "5m"), (3600, "1h"), (14_400, "4h"), (86_400, "1d"), (604_800, "7d"), (1, "1s")],
)
def test_intervals_are_written_as_bars_write_them(seconds: int, text: str) -> None:
    assert interval_text(seconds) == text


def test_a_command_line_is_written_down_without_secrets() -> None:
    command = [
        "tickstream",
        "capture",
        "--url",
        "wss://me:pw@h/ws?token=k",
        "--url=wss://h/ws?token=k",
        "--to=x",
        "KEY-1",
    ]
    shown = without_secrets(command, lambda text: text.replace("KEY-1", "***"))
    assert shown == ("tickstream", "capture", "--url", "wss://h/ws?***", "--url=wss://h/ws?***", "--to=x", "***")
