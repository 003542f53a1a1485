from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickstream.capture.lines import Stretch, count, numbered, stretches

TEXT = st.lists(st.sampled_from([b"a", b"bb", b"", b"\n", b"\n\n", b"long" * 5]), max_size=60).map(b"".join)


def blocks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(TEXT, st.integers(1, 30), st.integers(1, 40))
def test_nothing_is_lost_and_every_line_has_its_number(data: bytes, block: int, size: int) -> None:
    got = list(stretches(blocks(data, block), size, longest=10_000))
    assert b"".join(one.data for one in got) == data
    lines = [line for one in got for line in numbered(one)]
    assert lines == [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line]
    assert sum(count(one.data) for one in got) == count(data) if data else got == []


@given(TEXT, st.integers(1, 30), st.integers(1, 40))
def test_only_the_last_line_may_lack_its_end(data: bytes, block: int, size: int) -> None:
    got = list(stretches(blocks(data, block), size, longest=10_000))
    assert all(one.data.endswith(b"\n") for one in got[:-1])
    assert [one.ended for one in got] == [one.data.endswith(b"\n") for one in got]
    assert all(one.data.count(b"\n") == 0 for one in got if not one.ended)


def test_lines_come_in_stretches_of_about_the_size_asked_for() -> None:
    got = list(stretches([b"x" * 9 + b"\n"] * 1000, 100))
    assert {len(one.data) for one in got} == {100}


def test_a_line_that_is_too_long_is_reported_and_the_next_is_read() -> None:
    got = list(stretches([b"a\n", b"x" * 60, b"x" * 60, b"x" * 60, b"x\nb\n", b"c\n"], size=10, longest=100))
    assert [(one.first, one.overlong) for one in got] == [(1, False), (2, True), (3, False)]
    assert got[0].data + got[2].data == b"a\nb\nc\n"


def test_a_line_that_never_ends_takes_no_memory() -> None:
    def endless() -> object:
        for _ in range(10_000):
            yield b"x" * 1000

    got = list(stretches(endless(), size=1000, longest=5000))  # type: ignore[arg-type]  # a generator of bytes
    assert [one.overlong for one in got] == [True]
    assert len(got[0].data) <= 7000


def test_blank_lines_have_numbers_but_are_not_shown() -> None:
    assert list(numbered(Stretch(b"\n a \n \t\r\nb\n", 7))) == [(8, b" a "), (10, b"b")]
