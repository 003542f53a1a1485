"""Completion: the files are the generated ones, every shell gets the right offers, and Tab is fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generate.completions import FILES, FOLDER, script
from tickstream.cli.app import COMMANDS
from tickstream.config import OUTPUTS
from tickstream.sinks import names as outputs
from tickstream.sinks.fields import valid_fields

SCRIPTS = Path(sys.executable).parent
HEAVY = ("rich", "websocket", "ssl", "logging", "http", "asyncio", "platformdirs.macos", "email", "sqlite3")
"""What completing a value needs no part of."""

RUN = """
import sys
from tickstream.cli.app import main
code = main([])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


def completing(line: str, shell: str = "bash", env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What the shell's script asks for when Tab is pressed at the end of this line; modules imported are on stderr."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it imports much itself
    asked = {"_TICKSTREAM_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        words = line.split(" ")
        asked |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        asked["_TYPER_COMPLETE_ARGS"] = line
    if shell == "powershell":
        asked["_TYPER_COMPLETE_WORD_TO_COMPLETE"] = line.rsplit(" ", maxsplit=1)[-1]
    if shell == "fish":
        asked["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    return subprocess.run(
        [sys.executable, "-c", RUN], env=bare | asked | (env or {}), capture_output=True, text=True, check=True
    )


def offers(line: str, shell: str = "bash", env: dict[str, str] | None = None) -> list[str]:
    return completing(line, shell, env).stdout.split()


def in_shell(command: list[str], home: Path) -> str:
    """What a real shell prints, with `tickstream` in its PATH and a home of its own."""
    env = os.environ | {"PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}", "HOME": str(home)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.mark.parametrize("shell", FILES)
def test_the_file_is_what_typer_generates_now(shell: str) -> None:
    assert (FOLDER / FILES[shell]).read_text(encoding="utf-8") == script(shell), (
        "run: python -m tests.generate.completions"
    )


def test_there_is_no_file_that_nobody_generates() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(FILES.values())


def test_every_command_is_offered() -> None:
    assert offers("tickstream ") == list(COMMANDS)


def test_a_command_is_completed_from_its_beginning() -> None:
    assert offers("tickstream wa") == ["watch"]


def test_subcommands_are_offered() -> None:
    assert offers("tickstream config ") == ["init", "path", "show", "set-key"]


def test_options_are_offered_after_a_dash() -> None:
    assert {"--output", "--fields", "--count", "--demo"} <= set(offers("tickstream watch --"))
    assert "--version" in offers("tickstream --v")


def test_plans_that_stream_are_offered() -> None:
    assert offers("tickstream credits --plan ") == ["starter", "pro", "enterprise"]
    assert offers("tickstream credits --plan st") == ["starter"]


def test_every_output_that_watch_has_is_offered() -> None:
    offered = offers("tickstream watch -o ")
    assert offered == list(OUTPUTS)
    assert set(outputs()) <= set(offered)


def test_fields_are_offered_after_each_comma() -> None:
    assert offers("tickstream watch --fields ") == list(valid_fields())
    assert offers("tickstream watch --fields symbol,bid") == ["symbol,bid", "symbol,bid_size"] + [
        f"symbol,{name}" for name in valid_fields() if name.startswith("bids")
    ]


def test_common_symbols_and_watchlists_are_offered(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[watchlists]\nmajors = ["EURUSD"]\n', encoding="utf-8")
    env = {"TICKSTREAM_CONFIG": str(config)}
    for command in ("watch", "credits"):
        offered = offers(f"tickstream {command} ", env=env)
        assert {"@majors", "EURUSD", "XAUUSD"} <= set(offered), command
    assert offers("tickstream watch XA", env=env) == ["XAUUSD", "XAGUSD"]


def test_codes_are_offered_to_explain() -> None:
    assert "quota_exceeded" in offers("tickstream explain quo")


def test_a_broken_config_file_does_not_disturb_the_line_being_typed(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("this is no TOML", encoding="utf-8")
    done = completing("tickstream watch EUR", env={"TICKSTREAM_CONFIG": str(config)})
    assert "tickstream:" not in done.stdout + done.stderr
    assert offers("tickstream watch --", env={"TICKSTREAM_CONFIG": str(config)}) == offers("tickstream watch --")


@pytest.mark.parametrize("shell", FILES)
def test_every_shell_gets_its_offers_in_its_own_form(shell: str) -> None:
    text = completing("tickstream credits --plan st", shell).stdout
    expected = {
        "bash": "starter\n",
        "zsh": '_arguments \'*: :(("starter":"5 credits a push"))\'\n',
        "fish": "starter\t5 credits a push\n",
        "powershell": "starter:::5 credits a push\n",
    }
    assert text == expected[shell]


@pytest.mark.parametrize("shell", FILES)
@pytest.mark.parametrize("line", ["tickstream wat", "tickstream credits --plan ", "tickstream watch EUR"])
def test_nothing_heavy_is_imported_for_a_press_of_tab(shell: str, line: str) -> None:
    imported = set(completing(line, shell).stderr.split())
    assert not imported & set(HEAVY)


@needs("bash")
def test_bash_completes_with_the_file(tmp_path: Path) -> None:
    file = FOLDER / FILES["bash"]
    code = (
        f"source {file}; complete -p tickstream; "
        "COMP_WORDS=(tickstream credits --plan st); COMP_CWORD=3; _tickstream_completion tickstream; "
        'echo "${COMPREPLY[@]}"'
    )
    assert in_shell(["bash", "--norc", "-c", code], tmp_path).splitlines() == [
        "complete -o default -F _tickstream_completion tickstream",
        "starter",
    ]


@needs("fish")
def test_fish_completes_with_the_file(tmp_path: Path) -> None:
    code = f"source {FOLDER / FILES['fish']}; complete -C 'tickstream credits --plan st'"
    assert in_shell(["fish", "--no-config", "-c", code], tmp_path).strip() == "starter\t5 credits a push"


ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=(%(folder)s \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "bindkey '^I' complete-word; PS1=READ; PS1+=Y"
zpty -r shell seen '*READY*'
zpty -n -w shell $'tickstream credits --plan st\t'
zpty -r shell seen '*starter*'
zpty -d shell
print completed
"""


@needs("zsh")
def test_zsh_completes_at_the_first_tab_when_it_finds_the_file(tmp_path: Path) -> None:
    code = ZSH % {"folder": FOLDER}
    assert in_shell(["timeout", "30", "zsh", "-f", "-c", code], tmp_path).strip() == "completed"


@needs("bash")
def test_install_completion_makes_the_next_bash_complete(tmp_path: Path) -> None:
    said = in_shell(["bash", "--norc", "-c", "tickstream --install-completion; true"], tmp_path)
    assert "bash completion installed in" in said
    assert (tmp_path / ".bash_completions" / "tickstream.sh").read_text(encoding="utf-8") + "\n" == script("bash")
    code = f"source {tmp_path / '.bashrc'}; complete -p tickstream"
    assert "_tickstream_completion" in in_shell(["bash", "--norc", "-c", code], tmp_path)


@needs("bash")
def test_show_completion_prints_the_same_script(tmp_path: Path) -> None:
    assert in_shell(["bash", "--norc", "-c", "tickstream --show-completion; true"], tmp_path) == script("bash")
