"""What can be asked for with --fault, and when it is due."""

from __future__ import annotations

import pytest

from tickstream.errors import UsageError
from tickstream.simulator.faults import FAULTS, Fault, Schedule, faults_of, parse_fault


def schedule(*texts: str) -> Schedule:
    return Schedule([parse_fault(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "moment", "value", "connections"),
    [
        ("drop", "pushes", 10, None),
        ("drop@auth", "auth", 0, None),
        ("drop@connect", "connect", 0, None),
        ("drop@subscribe", "subscribe", 0, None),
        ("bad-json@every", "every", 0, None),
        ("drop@5s", "seconds", 5, None),
        ("drop@0.25s", "seconds", 0.25, None),
        ("drop@200", "pushes", 200, None),
        ("drop@200x3", "pushes", 200, 3),
        ("drop@5sx2", "seconds", 5, 2),
        ("flapx2", "subscribe", 0, 2),
        ("http-503x1", "connect", 0, 1),
        ("close-1012@authx1", "auth", 0, 1),
        (" mute ", "pushes", 10, None),
    ],
)
def test_a_fault_is_a_name_a_moment_and_for_how_many_connections(
    text: str, moment: str, value: float, connections: int | None
) -> None:
    fault = parse_fault(text)
    assert (fault.moment, fault.value, fault.connections) == (moment, value, connections)
    assert text.strip().startswith(fault.kind.name)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_default_moment_and_is_explained(name: str) -> None:
    fault = parse_fault(name)
    assert fault == parse_fault(f"{name}@{FAULTS[name].when}")
    assert FAULTS[name].description
    assert FAULTS[name].name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot read ''"),
        ("drop@", "cannot read"),
        ("drop@noon", "cannot read"),
        ("drop@5m", "cannot read"),
        ("DROP", "cannot read"),
        ("dorp", "there is no fault 'dorp'.\nDid you mean drop?"),
        ("zzz", "--list-faults"),
        ("http-500@auth", "when a client connects"),
        ("mute@every", "lasts"),
    ],
)
def test_what_is_no_fault_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_fault(text)
    assert says in str(refused.value)


def test_only_the_first_connections_are_hit_when_asked_so() -> None:
    faults = [parse_fault("dropx2"), parse_fault("mute")]
    assert [[fault.kind.name for fault in faults_of(faults, number)] for number in (1, 2, 3)] == [
        ["drop", "mute"], ["drop", "mute"], ["mute"],
    ]  # fmt: skip


def names(kinds: list[object]) -> list[str]:
    return [kind.name for kind in kinds]  # type: ignore[attr-defined]  # FaultKinds


def test_faults_come_at_their_moment_once_and_in_the_order_given() -> None:
    one = schedule("nan@auth", "bad-json@auth", "drop@subscribe")
    assert names(one.take("connect")) == []
    assert names(one.take("auth")) == ["nan", "bad-json"]
    assert names(one.take("auth")) == []
    assert names(one.take("subscribe")) == ["drop"]


def test_modes_can_be_taken_before_the_rest() -> None:
    one = schedule("drop@subscribe", "no-ack@subscribe")
    assert names(one.take("subscribe", modes_only=True)) == ["no-ack"]
    assert names(one.take("subscribe")) == ["drop"]


def test_faults_of_the_upgrade_are_not_in_the_schedule() -> None:
    assert names(schedule("http-500").take("connect")) == []


def test_faults_after_pushes_are_due_when_there_were_so_many() -> None:
    one = schedule("drop@10", "nan@4", "empty@1")
    assert one.next_push(0) == 1
    assert names(one.take("pushes", 1)) == ["empty"]
    assert one.next_push(1) == 3
    assert names(one.take("pushes", 9)) == ["nan"]
    assert one.next_push(9) == 1
    assert names(one.take("pushes", 10)) == ["drop"]
    assert one.next_push(10) is None


def test_faults_of_every_push_come_again_and_again() -> None:
    one = schedule("bad-json@every")
    assert one.next_push(5) == 1
    assert names(one.take("every")) == ["bad-json"]
    assert names(one.take("every")) == ["bad-json"]


def test_faults_after_seconds_are_due_in_time() -> None:
    one = schedule("drop@5s", "nan@2s")
    assert one.next_second() == 2.0
    assert names(one.take("seconds", 1.9)) == []
    assert names(one.take("seconds", 2.0)) == ["nan"]
    assert one.next_second() == 5.0
    assert names(one.take("seconds", 7.0)) == ["drop"]
    assert one.next_second() is None


def test_the_same_fault_twice_comes_twice() -> None:
    one = schedule("nan@2", "nan@2", "nan@3")
    assert names(one.take("pushes", 2)) == ["nan", "nan"]
    assert names(one.take("pushes", 3)) == ["nan"]


def test_a_fault_is_a_plain_value() -> None:
    assert parse_fault("drop@5") == Fault(FAULTS["drop"], "pushes", 5)
