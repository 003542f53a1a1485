"""The streams and variables a command is given."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.cli.environment import Environment, printable
from tickstream.errors import ConfigError, OutputError
from tickstream.keys import find_key


def made(**named: object) -> Environment:
    streams = {"stdin": io.BytesIO(), "stdout": io.BytesIO(), "stderr": io.StringIO(), "env": {}}
    return Environment(**(streams | named))  # type: ignore[arg-type]


class Broken(io.RawIOBase):
    """A stream that fails in one way."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise self.error


class TestPrint:
    def test_text_is_utf8_whatever_the_locale(self):
        here = made()
        here.print("5 €")
        assert here.stdout.getvalue() == "5 €\n".encode()

    def test_bytes_of_an_argument_that_are_no_text_do_not_end_the_run(self):
        here = made()
        here.print(b"\xff".decode("utf-8", "surrogateescape"))
        assert here.stdout.getvalue() == b"?\n"

    def test_a_reader_that_went_away_is_told_apart_from_a_failure(self):
        with pytest.raises(BrokenPipeError):
            made(stdout=Broken(BrokenPipeError())).print("x")
        with pytest.raises(OutputError, match="cannot write to stdout: No space left"):
            made(stdout=Broken(OSError(28, "No space left on device"))).print("x")
        closed = io.BytesIO()
        closed.close()
        with pytest.raises(OutputError, match="closed file"):
            made(stdout=closed).print("x")


class TestSay:
    def test_what_could_drive_a_terminal_is_written_out(self):
        here = made()
        here.say("a\x1b[31m\x07\u202eb\r\nc")
        assert here.stderr.getvalue() == "a\\u001b[31m\\u0007\\u202eb\\r\nc\n"

    def test_keys_that_were_found_and_secrets_of_the_environment_are_taken_out(self):
        find_key("x", "K", env={"K": "tk_said_canary"})
        here = made(env={"OTHER_TOKEN": "token_canary", "MY_KEY": "short", "HOME": "/home/canary"})
        here.say("tk_said_canary token_canary short /home/canary")
        assert here.stderr.getvalue() == "*** *** short /home/canary\n"

    def test_a_stderr_that_cannot_be_written_is_ignored(self):
        made(stderr=io.TextIOWrapper(Broken(OSError(28, "No space left on device")), write_through=True)).say("x")
        closed = io.StringIO()
        closed.close()
        made(stderr=closed).say("x")

    @given(st.text(st.characters()))
    def test_anything_is_made_printable_and_json_stays_json(self, text):
        assert all(character.isprintable() or character == "\n" for character in printable(text))
        line = json.dumps({"message": text}, ensure_ascii=False)
        assert json.loads(printable(line)) == {"message": text}


class TestConfig:
    def test_it_is_read_once(self, tmp_path):
        (tmp_path / "config.toml").write_text('output = "csv"')
        here = made(user_folder=lambda: tmp_path)
        first = here.config()
        (tmp_path / "config.toml").write_text("broken")
        assert here.config() is first
        assert first.text("output") == "csv"

    def test_a_section_of_an_unknown_provider_is_an_error(self, tmp_path):
        (tmp_path / "config.toml").write_text("[providers.nobody]")
        with pytest.raises(ConfigError, match="no provider 'nobody'"):
            made(user_folder=lambda: tmp_path).config()

    def test_without_a_folder_it_is_the_defaults(self):
        assert made().config().text("output") == "auto"


@pytest.mark.parametrize(
    ("env", "tty", "coloured"),
    [({}, True, True), ({}, False, False), ({"NO_COLOR": "1"}, True, False), ({"NO_COLOR": ""}, True, True),
     ({"TERM": "dumb"}, True, False), ({"TERM": "xterm"}, True, True)],
)  # fmt: skip
def test_colour_is_for_terminals_that_want_it(env, tty, coloured):
    assert made(env=env, stdout_isatty=tty).colour() is coloured


class TestOfProcess:
    def test_it_is_the_process_itself(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"in")))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
        here = Environment.of_process()
        assert here.env is os.environ
        assert here.stdout is sys.stdout.buffer
        assert here.stdin.read() == b"in"
        assert (here.stdin_isatty, here.stdout_isatty) == (False, False)
        assert here.user_folder() is not None

    def test_closed_streams_are_replaced_and_only_stdout_fails(self, monkeypatch):
        for name in ("stdin", "stdout", "stderr"):
            monkeypatch.setattr(sys, name, None)
        here = Environment.of_process()
        try:
            assert here.stdin.read() == b""
            here.say("nobody hears this")
            with pytest.raises(OutputError):
                here.print("nobody reads this")
        finally:
            here.stdin.close()
            here.stdout.close()
            here.stderr.close()

    def test_a_stream_that_was_closed_later_is_no_terminal(self, monkeypatch):
        stream = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(sys, "stdout", stream)
        stream.close()
        assert Environment.of_process().stdout_isatty is False

    @pytest.mark.parametrize(
        ("redirections", "code", "said"),
        [
            (">&-", 14, "cannot write to stdout: Bad file descriptor"),
            (">/dev/full", 14, "cannot write to stdout: No space left on device"),
            ("2>&-", 0, ""),
            ("2>/dev/full", 0, ""),
            ("<&-", 0, ""),
            ("| true", 0, ""),
            (">&- 2>&- <&-", 14, ""),
        ],
    )
    @pytest.mark.parametrize("argv", ["exit-codes", "--version"])
    def test_a_command_ends_with_the_right_code_whatever_its_streams_are(self, redirections, code, said, argv):
        script = f'set -o pipefail; "{sys.executable}" -m tickstream {argv} {redirections}'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == bool(said)

    @pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
    def test_an_error_keeps_its_code_though_nobody_hears_it(self, redirection):
        script = f'"{sys.executable}" -m tickstream nonsense {redirection}'
        assert subprocess.run(["bash", "-c", script], capture_output=True, check=False).returncode == 2

    @pytest.mark.parametrize("argv", ["--help", "credits --help"])
    def test_a_help_text_that_cannot_be_written_is_an_output_error_and_one_nobody_reads_is_none(self, argv):
        for redirection, code in ((">/dev/full", 14), ("| true", 0), (">&-", 0)):
            script = f'set -o pipefail; "{sys.executable}" -m tickstream {argv} {redirection}'
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
            assert (done.returncode, len(done.stderr.splitlines())) == (code, 1 if code else 0), redirection


class TestDraw:
    def terminal(self, **variables: str) -> Environment:
        return made(stderr_isatty=True, env={"TERM": "xterm", **variables})

    def test_a_line_is_cut_to_the_terminal_and_erased_to_its_end(self):
        here = self.terminal()
        assert here.draw("x" * 100)
        assert here.stderr.getvalue() == "\r" + "x" * 79 + "\x1b[K"

    def test_neither_keys_nor_control_characters_are_drawn(self):
        here = self.terminal(TICKATLAS_API_KEY="canary-123")
        assert here.draw("\x1b[31m canary-123\n")
        assert "canary" not in here.stderr.getvalue()
        assert here.stderr.getvalue().count("\x1b") == 1

    def test_where_the_cursor_cannot_be_moved_nothing_is(self):
        for here in (made(), self.terminal(TERM="dumb")):
            assert not here.draw("x")
            assert here.stderr.getvalue() == ""

    def test_a_terminal_that_is_gone_is_ignored(self):
        broken = io.TextIOWrapper(Broken(OSError(5, "Input/output error")), write_through=True)
        assert not made(stderr=broken, stderr_isatty=True, env={"TERM": "xterm"}).draw("x")
        broken.detach()
