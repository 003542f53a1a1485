"""The one place where errors become exit codes: everything lands there, and nothing leaves as a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading

import pytest
import typer
from typer import _completion_classes

from tests.cli.command import run
from tests.cli.test_environment import Broken, made
from tickstream import __version__
from tickstream.cli import app, crash
from tickstream.cli.app import COMMANDS
from tickstream.errors import ExitCode, TickstreamError

CANARY = "tk_canary_0123456789"


@pytest.fixture
def failing(monkeypatch):
    """Make `tickstream exit-codes` raise."""
    from tickstream.cli import exit_codes

    def failing(error: BaseException) -> None:
        def command() -> None:
            """Fail."""
            raise error

        monkeypatch.setattr(exit_codes, "exit_codes", command)

    return failing


def subclasses(kind: type[TickstreamError]) -> list[type[TickstreamError]]:
    return [kind, *(deeper for direct in kind.__subclasses__() for deeper in subclasses(direct))]


class TestErrors:
    @pytest.mark.parametrize(
        "kind", [kind for kind in subclasses(TickstreamError) if kind.__module__ == "tickstream.errors"]
    )
    def test_every_error_ends_with_its_own_code_and_its_own_words(self, failing, kind):
        failing(kind("what happened"))
        result = run("exit-codes")
        assert (result.code, result.out) == (kind.exit_code, "")
        assert result.err == "tickstream: what happened\n"

    def test_the_hint_is_the_second_line(self, failing):
        failing(TickstreamError("what happened", hint="what to do"))
        assert run("exit-codes").err == "tickstream: what happened\nwhat to do\n"

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
    def test_ctrl_c_and_ctrl_d_at_a_prompt_are_130(self, failing, error):
        failing(error)
        assert run("exit-codes").code == ExitCode.SIGINT

    @pytest.mark.parametrize(("code", "expected"), [(7, 7), (None, 0), ("text", 0)])
    def test_a_library_that_exits_does_not_end_the_process(self, failing, code, expected):
        failing(SystemExit(code))
        assert run("exit-codes").code == expected

    def test_a_code_that_a_command_returns_is_the_exit_code(self, monkeypatch):
        from tickstream.cli import exit_codes

        def command() -> int:
            """Return a code."""
            return ExitCode.INCOMPLETE

        monkeypatch.setattr(exit_codes, "exit_codes", command)
        assert run("exit-codes").code == 15

    def test_an_error_text_cannot_drive_the_terminal_nor_give_a_key_away(self, failing):
        failing(TickstreamError(f"\x1b[2J{CANARY}"))
        said = run("exit-codes", env={"TICKATLAS_API_KEY": CANARY}).err
        assert said == "tickstream: \\u001b[2J***\n"


class TestBugs:
    def test_a_bug_is_two_lines_and_exit_1(self, failing):
        failing(ZeroDivisionError("division\nby zero"))
        said = run("exit-codes").failed(ExitCode.BUG)
        assert said.startswith("tickstream: internal error: ZeroDivisionError: division\n")
        assert "TICKSTREAM_DEBUG=1" in said
        assert "Traceback" not in said

    def test_a_bug_without_words_has_its_name(self, failing):
        failing(RuntimeError())
        assert run("exit-codes").err.startswith("tickstream: internal error: RuntimeError\n")

    def test_for_those_who_ask_the_traceback_comes_first_without_keys(self, failing):
        failing(ValueError(f"bad key {CANARY}"))
        result = run("exit-codes", env={"TICKSTREAM_DEBUG": "1", "TICKATLAS_API_KEY": CANARY})
        assert result.code == ExitCode.BUG
        assert result.err.startswith("Traceback (most recent call last):")
        assert "ValueError: bad key ***\n" in result.err
        assert result.err.rstrip().endswith("the traceback above.")
        assert CANARY not in result.err

    def test_a_missing_file_is_a_bug_where_nobody_foresaw_it(self, failing):
        failing(FileNotFoundError(2, "No such file or directory", "some.file"))
        assert "FileNotFoundError" in run("exit-codes").failed(ExitCode.BUG)

    def test_an_end_of_file_that_nobody_foresaw_is_no_ctrl_d(self, failing):
        failing(EOFError("marshal data too short"))
        said = run("exit-codes").failed(ExitCode.BUG)
        assert said.startswith("tickstream: internal error: EOFError: marshal data too short\n")

    def test_a_module_whose_bytecode_was_cut_is_reported(self, tmp_path):
        command = [sys.executable, "-m", "tickstream", "exit-codes"]
        env = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
        assert subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0
        (bytecode,) = tmp_path.rglob("tickstream/cli/exit_codes.*.pyc")
        bytecode.write_bytes(bytecode.read_bytes()[:100])
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (ExitCode.BUG, "")
        assert done.stderr.startswith("tickstream: internal error: EOFError: ")
        assert len(done.stderr.splitlines()) == 2

    def test_a_full_disk_under_typers_own_printing_is_exit_14(self, failing):
        failing(OSError(28, "No space left on device"))
        assert "cannot write to stdout: No space left" in run("exit-codes").failed(ExitCode.OUTPUT)

    def test_the_process_reports_what_nothing_catches(self):
        code = (
            "import sys, threading\n"
            "from tickstream.cli import crash\n"
            "from tickstream.cli.environment import Environment\n"
            "crash.install(Environment.of_process())\n"
            "def fail(): raise ValueError('in a thread')\n"
            "thread = threading.Thread(target=fail, name='reader'); thread.start(); thread.join()\n"
            "raise KeyError('in the main thread')\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        lines = done.stderr.splitlines()
        assert lines[0] == "tickstream: internal error in thread reader: ValueError: in a thread"
        assert lines[2] == "tickstream: internal error: KeyError: 'in the main thread'"
        assert (done.returncode, len(lines)) == (1, 4)

    def test_the_hooks_are_silent_about_leaving(self, monkeypatch):
        said: list[str] = []

        here = made(env={})
        monkeypatch.setattr(here, "say", said.append)
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setattr(threading, "excepthook", threading.excepthook)
        crash.install(here)
        sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
        threading.excepthook(threading.ExceptHookArgs((SystemExit, SystemExit(), None, None)))
        assert said == []
        threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("x"), None, None)))
        assert said[0] == "tickstream: internal error: ValueError: x"


class TestUsage:
    def test_no_command_is_the_help_on_stderr_and_exit_2(self):
        result = run()
        assert (result.code, result.out) == (ExitCode.USAGE, "")
        assert result.err.startswith("Usage: tickstream [OPTIONS] COMMAND [ARGS]...")
        assert all(command in result.err for command in COMMANDS)

    def test_an_unknown_command_is_answered_with_the_nearest(self):
        assert "there is no command 'wacth'\nDid you mean watch?" in run("wacth").failed(ExitCode.USAGE)
        assert "Commands: watch, capture," in run("zzz").failed(ExitCode.USAGE)

    @pytest.mark.parametrize(
        ("argv", "see"),
        [
            (["--nope"], "See 'tickstream --help'."),
            (["exit-codes", "--nope"], "See 'tickstream exit-codes --help'."),
            (["exit-codes", "extra"], "See 'tickstream exit-codes --help'."),
            (["config", "show", "--nope"], "See 'tickstream config show --help'."),
        ],
    )
    def test_a_wrong_option_says_where_to_read_on(self, argv, see):
        assert run(*argv).failed(ExitCode.USAGE).endswith(see + "\n")

    def test_a_usage_error_without_a_command_still_says_where_to_read_on(self):
        assert app.usage_hint(ValueError()) == "See 'tickstream --help'."

    def test_arguments_that_are_no_text_are_shown_escaped(self):
        command = [os.fsencode(sys.executable), b"-m", b"tickstream", b"\xff\x1b[2J"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == ExitCode.USAGE
        assert done.stderr.startswith(b"tickstream: there is no command '\\udcff\\x1b[2J'")


class TestHelp:
    def test_the_version_is_printed(self):
        assert run("--version").ok() == f"tickstream {__version__}\n"

    @pytest.mark.parametrize("option", ["--help", "-h"])
    @pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["config", "set-key"]])
    def test_every_command_has_help_with_examples(self, command, option, capsys):
        assert run(*command, option).code == 0
        text = capsys.readouterr().out
        assert text.startswith(f"Usage: tickstream {' '.join(command)}".rstrip())
        assert "Examples:\n" in text
        assert "tickstream" in text.partition("Examples:")[2]

    def test_every_command_can_be_loaded(self):
        group = typer.main.get_command(app.app)
        assert group.list_commands(None) == list(COMMANDS)
        assert all(group.get_command(None, name).name == name for name in COMMANDS)
        assert group.get_command(None, "nonsense") is None

    def test_the_list_of_commands_imports_none_of_them(self):
        code = (
            "import sys\nfrom tickstream.cli.app import main, COMMANDS\nmain(['--help'])\n"
            "print([name for name in COMMANDS if f'tickstream.cli.{name.replace(chr(45), chr(95))}' in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


class TestCompletion:
    @pytest.fixture(autouse=True)
    def _restore_typer(self, monkeypatch):
        monkeypatch.setattr(_completion_classes, "_sanitize_help_text", _completion_classes._sanitize_help_text)

    def asked(self, words: str, monkeypatch, capsys) -> tuple[int, list[str]]:
        monkeypatch.setenv("_TICKSTREAM_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        code = run().code
        return code, capsys.readouterr().out.split()

    def test_commands_are_offered_by_their_beginning(self, monkeypatch, capsys):
        assert self.asked("tickstream e", monkeypatch, capsys) == (0, ["explain", "exit-codes"])
        assert self.asked("tickstream ", monkeypatch, capsys) == (0, list(COMMANDS))

    def test_options_are_offered_after_a_dash(self, monkeypatch, capsys):
        code, offered = self.asked("tickstream --", monkeypatch, capsys)
        assert (code, "--version" in offered, "--help" in offered) == (0, True, True)

    def test_values_are_offered_after_their_option(self, monkeypatch, capsys):
        assert self.asked("tickstream credits -p p", monkeypatch, capsys) == (0, ["pro"])

    def test_an_unknown_command_offers_nothing_to_complain_about(self, monkeypatch, capsys):
        assert self.asked("tickstream nonsense ", monkeypatch, capsys)[0] == 0

    def test_a_shell_that_is_gone_before_the_answer_is_no_error(self, monkeypatch):
        monkeypatch.setenv("_TICKSTREAM_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "tickstream c")
        monkeypatch.setenv("COMP_CWORD", "1")
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Broken(BrokenPipeError()), write_through=True))
        assert run() == (0, "", "")

    def test_a_shell_that_reads_no_more_is_no_error(self, failing):
        leaving = SystemExit(1)
        leaving.__context__ = BrokenPipeError()
        failing(leaving)
        assert run("exit-codes") == (0, "", "")


def test_an_interrupt_before_the_command_line_is_ready_is_130(monkeypatch):
    from tickstream import __main__ as process

    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "main", interrupted)
    with pytest.raises(SystemExit) as caught:
        process.main()
    assert caught.value.code == 130


def test_a_run_as_a_module_ends_with_its_code(monkeypatch, capfdbinary):
    from tickstream import __main__ as process

    monkeypatch.setattr(sys, "argv", ["tickstream", "explain", "nothing-like-it"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with pytest.raises(SystemExit) as caught:
        process.main()
    assert caught.value.code == 2
    assert b"there is no code" in capfdbinary.readouterr().err
