from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import stat
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.making import Written
from tests.sinks.ptys import terminal
from tickstream.clock import FakeClock, SystemClock
from tickstream.errors import OutputError
from tickstream.sinks import descriptors
from tickstream.sinks.descriptors import (
    Descriptor,
    PolledPipe,
    ReopenedPipe,
    ReopenedTerminal,
    Socket,
    Stream,
    descriptor_of,
)
from tickstream.sinks.output import Abandoned, Output, ReaderGone

LINE = b'{"type":"bar","n":%06d}\n'
LINES = 40_000
BATCH = b"".join(LINE % number for number in range(LINES))
"""Several times what a pipe or a socket holds."""
CLOCK = SystemClock()

linux = pytest.mark.skipif(sys.platform != "linux", reason="opens pipes anew through /proc")


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; both ends are closed at the end, if they are still open."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for fd in ends:
            with contextlib.suppress(OSError):
                os.close(fd)


@contextlib.contextmanager
def kinds_of_pipe(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A reading and a writing end: a pipe with a description of our own, one without (no /proc), or a socket pair."""
    if kind == "socket":
        one, other = socket.socketpair()
        with one, other:
            yield one.fileno(), other.fileno()
        return
    if kind == "polled":
        monkeypatch.setattr(descriptors, "ReopenedPipe", _no_proc)
    with pipe() as ends:
        yield ends


def _no_proc(_fd: int) -> Descriptor:
    raise FileNotFoundError(errno.ENOENT, "no /proc here")


KINDS = pytest.mark.parametrize("kind", [pytest.param("reopened", marks=linux), "polled", "socket"])


def read_all(fd: int, into: list[bytes]) -> None:
    while chunk := os.read(fd, 65_536):
        into.append(chunk)


def hang_up(fd: int) -> None:
    """The reader goes away; the number stays taken, for whoever closes it later."""
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, fd)
    os.close(devnull)


def lines_in(data: bytes) -> list[bytes]:
    assert data.endswith(b"\n"), "the last line is complete"
    return data.splitlines(keepends=True)


def drained(fd: int) -> bytes:
    """What lies in a pipe or socket, without waiting for more."""
    os.set_blocking(fd, False)
    chunks = []
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(fd, 65_536):
            chunks.append(chunk)
    return b"".join(chunks)


@KINDS
def test_a_reader_gets_every_byte_in_order(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[bytes] = []
    with kinds_of_pipe(kind, monkeypatch) as (reading, writing):
        reader = threading.Thread(target=read_all, args=(reading, got))
        reader.start()
        output = Output(writing, CLOCK)
        for _ in range(3):
            output.write(BATCH)
        output.close()
        if kind == "socket":
            with socket.socket(fileno=os.dup(writing)) as again:
                again.shutdown(socket.SHUT_WR)
        else:
            os.close(writing)
        reader.join(10)
    assert b"".join(got) == BATCH * 3
    assert output.bytes_written == len(BATCH) * 3
    assert output.blocked_s == 0


@KINDS
def test_our_descriptor_stays_blocking_for_those_who_share_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with kinds_of_pipe(kind, monkeypatch) as (_, writing):
        output = Output(writing, CLOCK)
        output.write(b"x\n")
        assert os.get_blocking(writing)
        output.close()
        os.fstat(writing)  # and it is still open


@KINDS
def test_a_write_into_a_full_pipe_is_abandoned_when_asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def abandon() -> bool:
        asked.append(output.blocked_s)
        return len(asked) > 2

    with kinds_of_pipe(kind, monkeypatch) as (reading, writing):
        output = Output(writing, CLOCK, abandon)
        with pytest.raises(Abandoned) as caught:
            output.write(BATCH)
        got = drained(reading)
        output.close()
    assert asked[0] >= 0
    assert asked[2] > asked[1] > asked[0], "blocked_s grows while the reader keeps us waiting"
    whole = got.count(b"\n")
    assert whole + caught.value.left == LINES, "each record was written, or is counted as left"
    assert caught.value.torn == (not got.endswith(b"\n"))
    assert BATCH.startswith(got)
    assert str(caught.value.left) in str(caught.value)


@KINDS
def test_an_abandoned_write_completes_its_line_when_the_reader_makes_room(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kinds_of_pipe(kind, monkeypatch) as (reading, writing):
        got: list[bytes] = []

        def abandon() -> bool:
            got.append(drained(reading))
            return True

        output = Output(writing, CLOCK, abandon)
        with pytest.raises(Abandoned) as caught:
            output.write(BATCH)
        got.append(drained(reading))
        output.close()
    assert not caught.value.torn
    assert len(lines_in(b"".join(got))) + caught.value.left == LINES


def test_a_record_longer_than_the_pipe_is_reported_as_torn() -> None:
    with pipe() as (reading, writing):
        output = Output(writing, CLOCK, lambda: True)
        with pytest.raises(Abandoned, match="cut") as caught:
            output.write(b"x" * 1_000_000 + b"\n" + b"y\n")
        output.close()
        assert 0 < len(drained(reading)) < 1_000_000
    assert caught.value.left == 2
    assert caught.value.torn


def test_abandoning_before_the_first_byte_leaves_everything() -> None:
    with pipe() as (_, writing):
        output = Output(writing, CLOCK)
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"z" * 4096)
        full = Output(writing, CLOCK, lambda: True)
        with pytest.raises(Abandoned) as caught:
            full.write(b"a\nb\n")
        assert (caught.value.left, caught.value.torn) == (2, False)
        output.close()
        full.close()


@KINDS
def test_a_reader_that_goes_away_ends_the_write(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with kinds_of_pipe(kind, monkeypatch) as (reading, writing):
        output = Output(writing, CLOCK)
        output.write(b"one\n")
        closing = threading.Timer(0.05, hang_up, [reading])
        closing.start()
        with pytest.raises(ReaderGone):
            output.write(BATCH)
        closing.join()
        output.close()


@KINDS
def test_a_reader_that_has_gone_is_noticed_without_writing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with kinds_of_pipe(kind, monkeypatch) as (reading, writing):
        output = Output(writing, CLOCK)
        output.check()
        hang_up(reading)
        with pytest.raises(ReaderGone):
            output.check()
        output.close()


@linux
def test_a_pipe_takes_batches_at_full_speed_before_its_reader_looks() -> None:
    with pipe() as (_, write_end):
        output = Output(write_end, CLOCK, abandon=lambda: True)
        for _ in range(3):
            output.write(LINE % 1 * 6_000)  # a batch of JSON lines


@linux
def test_a_pipe_that_may_not_grow_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "PIPE_BYTES", 1 << 30)  # more than the system allows anybody
    with pipe() as (read_end, write_end):
        Output(write_end, CLOCK).write(LINE % 1)
        assert os.read(read_end, 100) == LINE % 1


def test_a_slow_reader_loses_nothing() -> None:
    with pipe() as (reading, writing):
        got: list[bytes] = []

        def read_slowly() -> None:
            while chunk := os.read(reading, 20_000):
                got.append(chunk)
                time.sleep(0.002)

        reader = threading.Thread(target=read_slowly)
        reader.start()
        output = Output(writing, CLOCK)
        output.write(BATCH)
        output.close()
        os.close(writing)
        reader.join(10)
    assert b"".join(got) == BATCH


def test_a_signal_handler_runs_while_the_reader_keeps_us_waiting() -> None:
    program = """
import os, signal, sys
from tickstream.clock import SystemClock
from tickstream.sinks.output import Abandoned, Output
seen = []
signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
print("ready", file=sys.stderr, flush=True)
try:
    Output(1, SystemClock(), lambda: bool(seen)).write(b"x\\n" * 1_000_000)
except Abandoned as ended:
    print("left", ended.left, file=sys.stderr)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"ready\n"
        time.sleep(0.05)  # let it fill the pipe; the test holds without
        process.terminate()
        assert process.stderr.readline().startswith(b"left ")
        assert process.stdout is not None
        process.stdout.close()


# --- files, terminals, streams -------------------------------------------------------------------------------------


def test_a_file_gets_everything(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with path.open("wb") as file:
        output = Output(file, CLOCK)
        output.write(BATCH)
        assert path.read_bytes() == BATCH, "at once, past the file object's buffer"
        output.check()
        output.close()
        file.write(b"still open\n")
    assert output.fd >= 0


def test_what_a_file_object_had_buffered_comes_first(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        file.write(b"first\n")
        Output(file, CLOCK).write(b"second\n")
    assert (tmp_path / "out").read_bytes() == b"first\nsecond\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_output_error_that_says_what_to_do() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OutputError) as caught:
        Output(file.fileno(), CLOCK).write(b"x\n")
    assert "the disk is full" in str(caught.value)
    assert "Free some space" in str(caught.value)
    assert caught.value.exit_code == 14


def test_a_closed_output_is_an_output_error() -> None:
    with pipe() as (_, writing):
        os.close(writing)
        with pytest.raises(OutputError, match="closed"):
            Output(writing, CLOCK).write(b"x\n")


def test_a_file_open_for_reading_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"")
    with (tmp_path / "in").open("rb") as file, pytest.raises(OutputError, match="not open for writing"):
        Output(file.fileno(), CLOCK).write(b"x\n")


class Failing(Descriptor):
    """A file that takes so many bytes and then fails as told: what a disk that fills up does."""

    def __init__(self, fd: int, room: int, code: int) -> None:
        super().__init__(fd)
        self._room = room
        self._code = code

    def send(self, data: memoryview) -> int:
        if not self._room:
            raise OSError(self._code, os.strerror(self._code))
        sent = os.write(self.fd, data[: self._room])
        self._room -= sent
        return sent


def failing_output(fd: int, room: int, code: int) -> Output:
    output = Output(fd, CLOCK)
    output.close()
    output._descriptor = Failing(fd, room, code)
    return output


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EFBIG, "largest size"),
        (errno.EIO, "the device failed"),
        (errno.ENXIO, os.strerror(errno.ENXIO)),
    ],
)
def test_half_a_record_is_taken_out_of_a_file_again(tmp_path: Path, code: int, words: str) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        file.write(b"before\n")
        with pytest.raises(OutputError, match=words) as caught:
            failing_output(file.fileno(), 7, code).write(b"one\ntwo\nthree\n")
    assert (tmp_path / "out").read_bytes() == b"before\none\n"
    assert "incomplete" not in str(caught.value)


def test_a_file_that_others_have_written_to_is_not_cut(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file, (tmp_path / "out").open("ab", buffering=0) as other:
        other.write(b"much longer than what we write\n")
        with pytest.raises(OutputError, match="incomplete"):
            failing_output(file.fileno(), 5, errno.ENOSPC).write(b"one\ntwo\n")
    assert (tmp_path / "out").read_bytes() == b"one\ntlonger than what we write\n"


def test_a_failure_between_two_records_needs_no_cut(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file, pytest.raises(OutputError):
        failing_output(file.fileno(), 4, errno.ENOSPC).write(b"one\ntwo\n")
    assert (tmp_path / "out").read_bytes() == b"one\n"


def test_what_cannot_seek_is_not_cut() -> None:
    with pipe() as (reading, writing):
        with pytest.raises(OutputError, match="incomplete"):
            failing_output(writing, 5, errno.EIO).write(b"one\ntwo\n")
        assert drained(reading) == b"one\nt"


def test_a_descriptor_that_others_made_non_blocking_is_waited_for() -> None:
    """ssh and node leave O_NONBLOCK on a terminal that we share; here a pipe that is treated as one."""
    with pipe() as (reading, writing):
        os.set_blocking(writing, False)
        output = Output(writing, CLOCK)
        output.close()
        output._descriptor = Descriptor(writing)
        got: list[bytes] = []
        reader = threading.Thread(target=read_all, args=(reading, got))
        reader.start()
        output.write(BATCH)
        os.close(writing)
        reader.join(10)
    assert b"".join(got) == BATCH


def test_a_stream_without_a_descriptor_is_written_and_flushed() -> None:
    class Flushed(Written):
        flushes = 0

        def flush(self) -> None:
            self.flushes += 1

    stream = Flushed()
    output = Output(stream, FakeClock())
    output.write(b"one\n")
    output.check()
    output.close()
    assert stream.getvalue() == b"one\n"
    assert stream.flushes == 2
    assert output.fd == -1
    Stream(stream).wait(10)  # has nothing to wait for


# --- which way to write --------------------------------------------------------------------------------------------


@linux
def test_each_kind_of_descriptor_is_written_in_its_way(tmp_path: Path) -> None:
    def way(fd: int) -> type[Descriptor]:
        found = descriptor_of(fd)
        found.close()
        return type(found)

    with pipe() as (_, writing):
        assert way(writing) is ReopenedPipe
    one, other = socket.socketpair()
    with one, other:
        assert way(one.fileno()) is Socket
    with (tmp_path / "file").open("wb") as file:
        assert way(file.fileno()) is Descriptor
    with Path(os.devnull).open("wb") as null:
        assert way(null.fileno()) is Descriptor
    with terminal() as screen:
        assert way(screen.inner) is ReopenedTerminal
    assert type(descriptor_of(io.BytesIO())) is Stream


@linux
def test_a_terminal_stopped_with_ctrl_s_holds_nobody_for_ever() -> None:
    with terminal() as screen:
        output = Output(screen.inner, CLOCK, lambda: output.blocked_s > 0.05)
        termios.tcflow(screen.inner, termios.TCOOFF)
        with pytest.raises(Abandoned) as caught:
            output.write(b"one\ntwo\n")
        assert caught.value.left == 2
        termios.tcflow(screen.inner, termios.TCOON)
        output.write(b"three\n")
        assert screen.read() == b"three\r\n"
        output.check()
        output.close()


@linux
def test_a_terminal_that_cannot_be_opened_again_is_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "ReopenedTerminal", _no_proc)
    with terminal() as screen:
        output = Output(screen.inner, CLOCK)
        assert type(output._descriptor) is Descriptor
        output.write(b"x\n")
        assert screen.read() == b"x\r\n"


@linux
def test_a_fifo_that_nobody_reads_any_more_is_still_a_broken_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reading = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "fifo", os.O_WRONLY)
    assert stat.S_ISFIFO(os.fstat(writing).st_mode)
    os.close(reading)
    output = Output(writing, CLOCK)
    assert type(output._descriptor) is PolledPipe, "a pipe without a reader cannot be opened again"
    with pytest.raises(ReaderGone):
        output.write(b"x\n")
    output.close()
    os.close(writing)


def test_without_poll_everything_is_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setattr(descriptors, "_CAN_POLL", False)
    with pipe() as (reading, writing):
        output = Output(writing, CLOCK)
        assert type(output._descriptor) is Descriptor
        output.write(b"x\n")
        output._descriptor.wait(10)  # returns at once: it cannot know
        assert drained(reading) == b"x\n"


def test_nothing_is_written_for_an_empty_batch() -> None:
    def never(*_: Any) -> int:
        raise AssertionError

    output = Output(Written(), CLOCK)
    sends: Callable[..., int] = never
    output._descriptor.send = sends  # type: ignore[method-assign]  # it must not be called
    output.write(b"")
    assert output.bytes_written == 0
