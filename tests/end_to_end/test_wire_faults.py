"""Whatever comes over the wire: no crash, no hang, and good data after it, or the exit code that says why not."""

from __future__ import annotations

import pytest

from tests.end_to_end.canary import assert_no_trace
from tests.end_to_end.laboratory import COUNT, SYMBOLS, TRIALS, Laboratory
from tests.end_to_end.watching import assert_exit, minutes_of, of_type, serve
from tickstream.errors import ExitCode
from tickstream.simulator.faults import FAULTS

MAX_MESSAGE = 8 * 2**20

CONNECTED_ONCE = {
    "quota-exceeded", "invalid-symbol", "partial-ack", "no-ack", "unknown-code", "no-heartbeat", "no-pong",
    "ping-flood", "fragments", "bad-utf8", "binary", "empty", "bad-json", "wrong-type", "nan", "huge-number", "deep",
    "array", "unknown-type", "missing-field", "control-chars", "unrequested-symbol", "duplicate", "out-of-order",
    "skew", "crossed", "null-quote", "burst", "no-data", "masked",
}  # fmt: skip
"""What the connection survives."""
MAY_LOSE = {"reset", "slow-frame", "rsv", "bad-opcode", "big-ping"}
"""What was on its way is thrown away by a reset, is too slow, or comes after bytes that make no sense."""


def test_every_fault_is_tried() -> None:
    assert TRIALS.keys() == FAULTS.keys()
    assert FAULTS.keys() >= CONNECTED_ONCE


@pytest.mark.parametrize("name", FAULTS)
def test_it_ends_as_it_should_and_loses_nothing_that_was_sent(name: str, laboratory: Laboratory) -> None:
    trial = TRIALS[name]
    result, sent, connections, auth_frames = laboratory.outcome(name)
    assert_exit(result, trial.code)
    assert all(character.isprintable() or character == "\n" for character in result.err)
    got = minutes_of(result.bars)
    if name != "duplicate":
        assert len(set(got)) == len(got)
    if trial.code is ExitCode.OK:
        assert len(got) >= COUNT
        assert connections == (1 if name in CONNECTED_ONCE else 2), of_type(result.events, "session")
    elif trial.code is not ExitCode.NO_DATA:
        assert connections == 1, "no retry mends it"
        assert auth_frames <= 1
    if name in MAY_LOSE:
        assert set(got) <= set(sent)
    else:
        assert got == sent[: len(got)]


@pytest.mark.parametrize("name", sorted(name for name, trial in TRIALS.items() if trial.code is ExitCode.OK))
def test_what_was_missed_is_a_gap_and_nothing_else_is(name: str, laboratory: Laboratory) -> None:
    result = laboratory.outcome(name).result
    downs = [event for event in of_type(result.events, "session") if event["state"] == "down"]
    reasons = {gap["reason"] for gap in result.gaps}
    if name == "quota-exceeded":
        assert reasons == {"quota"}
    else:
        assert reasons == ({"disconnect"} if downs else set())
    symbols = {symbol for gap in result.gaps for symbol in gap["symbols"]}
    assert symbols == (set(SYMBOLS) if reasons else set())


@pytest.mark.parametrize("name", FAULTS)
def test_the_key_stays_where_it_is(name: str, laboratory: Laboratory) -> None:
    result = laboratory.outcome(name).result
    assert_no_trace(result.out, result.err)


@pytest.mark.parametrize("fault", ["huge-frame", "endless-fragments"])
def test_a_message_without_end_takes_less_than_twice_the_largest_message(fault: str) -> None:
    with serve() as plain, plain.watch("EURUSD") as process:
        process.wait_for_lines(10)
        usual = process.peak_memory()
    with serve(f"{fault}@3x1") as server, server.watch("EURUSD") as process:
        process.wait_said("live again")
        assert process.peak_memory() - usual < 2 * MAX_MESSAGE
        assert_exit(process.stop(), ExitCode.SIGTERM)
